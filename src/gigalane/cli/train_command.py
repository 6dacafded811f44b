"""gigalane train: self-play."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro
from rich.console import Console

from gigalane.cli.arguments import parse
from gigalane.cli.run_files import BegunRun, changed_options, refuse_begun
from gigalane.core.files import filling
from gigalane.core.kernels import require_device
from gigalane.maps.road import RoadMap
from gigalane.maps.sources import open_maps
from gigalane.policies.checkpoint import training_states
from gigalane.render.birdview import BirdviewSettings
from gigalane.render.camera import Rig, load_rig
from gigalane.sim.settings import SimulatorSettings
from gigalane.train.coach import CoachRecipe
from gigalane.train.ranks import Ranks, joined_ranks
from gigalane.train.run_folder import SETTINGS_FILE
from gigalane.train.selfplay import WORLDS_FILE, self_play
from gigalane.train.trainer import TrainSettings


@dataclass(frozen=True)
class Train:
    """Teaches one policy to drive every road user, by playing against copies of itself.

    Progress goes to the terminal, to metrics.jsonl and to TensorBoard in the run's folder.
    Ctrl-C saves and stops; --resume goes on exactly there, with the run's own settings.
    Under torchrun the processes share the worlds out and learn one policy together; where it
    starts them again after a failure, they go on from the last saved state.

    Examples:
      gigalane train run
      gigalane train run --resume --train.samples 60000000
      gigalane train mine --map town:1-32 Town01.xodr.gz --world.worlds 128
      gigalane train coach --eyes birdview
      gigalane train pixels --eyes camera --rig front --world.worlds 16
    """

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """Folder of the run."""
    map: Annotated[tuple[str, ...], tyro.conf.arg(metavar="MAP [MAP ...]")] = ("town:1-16",)
    """Road files or town:SEED; the worlds share them out."""
    resume: bool = False
    """Go on with the run in that folder; only samples, threads and device may be set anew."""
    resume_if_begun: bool = False
    """The same if the folder holds a run, else begin one; for job scripts that run again."""
    device: Annotated[str, tyro.conf.arg(metavar="NAME")] = "cpu"
    """Where it runs: cpu, or cuda for a GPU."""
    eyes: Literal["entities", "birdview", "camera"] = "entities"
    """What it drives by: sets of entities, a picture from above (a coach for students; what is
    not given is then as in recipes/coach.py, small), or cameras and nothing else to learn from."""
    rig: Annotated[str, tyro.conf.arg(metavar="RIG")] = "surround"
    """Its cameras: surround, surround-small, front, four, six, or a file."""
    train: TrainSettings = field(default_factory=TrainSettings)
    world: SimulatorSettings = field(
        default_factory=lambda: SimulatorSettings(worlds=64, agents=32)
    )
    birdview: BirdviewSettings = field(default_factory=BirdviewSettings.small)


def run(words: Sequence[str]) -> int:
    """Runs `gigalane train`."""
    with joined_ranks() as ranks:
        with ranks.agreeing():
            command, resume = _read_command(words, ranks)
            maps = open_maps(command.map)
        _train(command, maps, resume, ranks)
        if ranks.is_first:
            told = f"{command.run}: policy.safetensors, metrics.jsonl"
            Console(highlight=False).print(told)
    return 0


def _read_command(words: Sequence[str], ranks: Ranks) -> tuple[Train, bool]:
    """Reads the arguments; tells too whether a run goes on."""
    command = parse(Train, words, "train")
    if command.eyes == "birdview":
        command = parse(Train, words, "train", _coach(command.run))
    require_device(command.device)
    begun = bool(training_states(command.run))
    goes_on = command.resume or (begun and (command.resume_if_begun or ranks.restarts > 0))
    if goes_on:
        command = _resumed(command.run, words)
    else:
        refuse_begun(command.run)
    return command, goes_on


def _coach(folder: Path) -> Train:
    """What a coach is taught with where the arguments say nothing else."""
    recipe = CoachRecipe.small()
    return Train(folder, train=recipe.train, world=recipe.world, birdview=recipe.birdview)


def _train(command: Train, maps: Sequence[RoadMap], resume: bool, ranks: Ranks) -> None:
    """Trains; the first rank makes the folder, and takes it away if nothing came of it."""
    folder = nullcontext()
    if ranks.is_first:
        folder = filling(command.run, worth_keeping=lambda: bool(training_states(command.run)))
    with folder:
        self_play(
            maps,
            command.world,
            command.train,
            command.run,
            resume=resume,
            sources=command.map,
            device=command.device,
            ranks=ranks,
            eyes=_eyes(command, resume),
        )


def _eyes(command: Train, resume: bool) -> BirdviewSettings | Rig | None:
    """What is looked with; a run goes on with the cameras that it was begun with."""
    if command.eyes == "entities":
        return None
    if command.eyes == "birdview":
        return command.birdview
    if not resume:
        return load_rig(command.rig)
    return BegunRun(command.run, (WORLDS_FILE,)).rig(WORLDS_FILE)


def _resumed(folder: Path, words: Sequence[str]) -> Train:
    """The run in a folder as it was begun, with what the arguments change.

    Raises:
        InputError: there is no run, or the arguments ask for other worlds.
        SettingsError: its files are damaged or of another version.
    """
    begun = BegunRun(folder, (WORLDS_FILE, SETTINGS_FILE))
    maps = begun.part(WORLDS_FILE, "maps", tuple)
    birdview = begun.part(WORLDS_FILE, "birdview", is_optional=True)
    rig = begun.rig(WORLDS_FILE)
    saved = Train(
        folder,
        maps,
        False,  # an option that is on already could not be given again
        False,
        "cpu",  # a run may go on elsewhere
        "birdview" if birdview else "camera" if rig else "entities",
        "",
        begun.settings(TrainSettings, SETTINGS_FILE, "train"),
        begun.settings(SimulatorSettings, WORLDS_FILE, "world"),
        begun.settings(BirdviewSettings, WORLDS_FILE, "birdview")
        if birdview
        else BirdviewSettings.small(),
    )
    command = parse(Train, words, "train", saved)
    names = ("world", "birdview", "map", "eyes")
    begun.refuse_changed(changed_options(saved, command, names))
    begun.refuse_other_cameras(rig, command.rig)
    return command

"""gigalane train: self-play."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich.console import Console

from gigalane.cli.arguments import parse
from gigalane.cli.errors import InputError
from gigalane.core.files import filling
from gigalane.core.settings import differences, rebuild
from gigalane.maps.sources import open_maps
from gigalane.policies.checkpoint import training_states
from gigalane.sim.settings import SimulatorSettings
from gigalane.train.selfplay import WORLDS_FILE, self_play
from gigalane.train.trainer import SETTINGS_FILE, TrainSettings


@dataclass(frozen=True)
class Train:
    """Teaches one policy to drive every road user, by playing against copies of itself.

    Progress goes to the terminal, to metrics.jsonl and to TensorBoard in the run's folder.
    Ctrl-C saves and stops; --resume goes on exactly there, with the run's own settings.

    Examples:
      gigalane train run
      gigalane train run --resume --train.samples 60000000
      gigalane train mine --map town:1-32 Town01.xodr.gz --world.worlds 128
    """

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """Folder of the run."""
    map: Annotated[tuple[str, ...], tyro.conf.arg(metavar="MAP [MAP ...]")] = ("town:1-16",)
    """Road files or town:SEED; the worlds share them out."""
    resume: bool = False
    """Go on with the run in that folder; only samples and threads may be set anew."""
    train: TrainSettings = field(default_factory=TrainSettings)
    world: SimulatorSettings = field(
        default_factory=lambda: SimulatorSettings(worlds=64, agents=32)
    )


def run(words: Sequence[str]) -> int:
    """Runs `gigalane train`."""
    command = parse(Train, words, "train")
    if command.resume:
        command = _resumed(command.run, words)
    elif training_states(command.run):
        raise InputError(
            f"{command.run}: already holds a run; go on with --resume, or name another folder"
        )
    maps = open_maps(command.map)
    with filling(command.run, worth_keeping=lambda: bool(training_states(command.run))):
        self_play(
            maps,
            command.world,
            command.train,
            command.run,
            resume=command.resume,
            sources=command.map,
        )
    Console(highlight=False).print(f"{command.run}: policy.safetensors, metrics.jsonl")
    return 0


def _resumed(folder: Path, words: Sequence[str]) -> Train:
    """The run in a folder as it was begun, with what the arguments change.

    Raises:
        InputError: there is no run, or the arguments ask for other worlds.
        SettingsError: its files are damaged or of another version.
    """
    worlds, settings = folder / WORLDS_FILE, folder / SETTINGS_FILE
    if not (worlds.is_file() and settings.is_file()):
        raise InputError(f"{folder}: holds no run to go on with; leave out --resume")
    saved = Train(
        folder,
        tuple(_read(worlds, "maps")),
        False,  # an option that is on already could not be given again
        rebuild(TrainSettings, _read(settings, "train"), f"{settings}, train"),
        rebuild(SimulatorSettings, _read(worlds, "world"), f"{worlds}, world"),
    )
    command = parse(Train, words, "train", saved)
    changed = differences(saved.world, command.world, "--world.")
    if command.map != saved.map:
        changed.append("--map")
    if changed:
        raise InputError(f"{folder}: the run has another {changed[0]}; leave it out to go on")
    return command


def _read(file: Path, part: str) -> Any:  # noqa: ANN401
    """One part of a JSON file of a run."""
    try:
        return json.loads(file.read_text(encoding="utf-8"))[part]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{file}: {part}: cannot be read ({error}); begin a new run") from error

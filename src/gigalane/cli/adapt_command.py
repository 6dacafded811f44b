"""gigalane adapt: a camera student gets used to images of another appearance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

import torch
import tyro
from rich.console import Console

from gigalane.cli.arguments import parse
from gigalane.cli.errors import InputError
from gigalane.cli.run_files import BegunRun, changed_options, refuse_begun
from gigalane.core.files import filling
from gigalane.maps.sources import open_maps
from gigalane.policies.camera import CameraPolicy
from gigalane.policies.checkpoint import training_states
from gigalane.policies.shipped import open_subject
from gigalane.render.appearance import look_named
from gigalane.sim.settings import SimulatorSettings
from gigalane.teach.adapt import TARGET_FILE, AdaptSettings, adapt, frozen
from gigalane.teach.image_pairs import open_pairs
from gigalane.teach.teaching import TEACHING_WORLD
from gigalane.teach.two_looks import Folder, PairSource, drive_in_two_looks
from gigalane.train.run_folder import SETTINGS_FILE

ADAPTING_WORLD = replace(TEACHING_WORLD, worlds=8)
"""Fewer worlds than students are taught in: every one of them is drawn twice."""


@dataclass(frozen=True)
class Adapt:
    """Adapts a camera student's eyes to images that look different from those it was taught on.

    It sees the same scenes in two appearances and learns to make of the new images what it made,
    before, of those it knew; its planner stays as it is. Pairs come from the simulator, drawn in
    two looks, or from a folder of image files (docs/files.md). The look `textured` stands in for
    a real camera; it is made up. Ctrl-C saves and stops; --resume goes on.

    Examples:
      gigalane adapt run student/policy.safetensors
      gigalane adapt run student/policy.safetensors --look dusk
      gigalane adapt run student/policy.safetensors --pairs photographs
      gigalane adapt run --resume --adapt.pairs 400000
    """

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """Folder of the run."""
    student: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="STUDENT")] = (
        "default-camera"
    )
    """The camera policy to adapt: `default-camera` (the shipped one) or a policy file."""
    look: Annotated[str, tyro.conf.arg(metavar="NAME")] = "textured"
    """The new appearance: textured, dusk, plain, varied."""
    known: Annotated[str, tyro.conf.arg(metavar="NAME")] = "varied"
    """The appearance that the student was taught in."""
    pairs: Annotated[Path | None, tyro.conf.arg(metavar="FOLDER")] = None
    """Take pairs from a folder of image files instead."""
    map: Annotated[tuple[str, ...], tyro.conf.arg(metavar="MAP [MAP ...]")] = ("town:1-16",)
    """Road files or town:SEED; the worlds share them out."""
    resume: bool = False
    """Go on with the run in that folder; only pairs, threads and the like may be set anew."""
    adapt: AdaptSettings = field(default_factory=AdaptSettings)
    world: SimulatorSettings = field(default_factory=lambda: ADAPTING_WORLD)


def run(words: Sequence[str]) -> int:
    """Runs `gigalane adapt`."""
    command = parse(Adapt, words, "adapt")
    if command.resume:
        command = _resumed(command.run, words)
    else:
        refuse_begun(command.run)
    student = open_subject(str(command.run / TARGET_FILE) if command.resume else command.student)
    if not isinstance(student, CameraPolicy):
        raise InputError(
            f"{command.student}: does not drive by what it sees; give `default-camera` or a file "
            "that gigalane distill wrote"
        )
    target = frozen(student)
    student.threads = target.threads = command.adapt.threads or torch.get_num_threads()
    with filling(command.run, worth_keeping=lambda: bool(training_states(command.run))):
        adapt(
            _source(command, student, target),
            student,
            target,
            command.adapt,
            command.run,
            command.resume,
            names=_names(command),
        )
    told = f"{command.run}: policy.safetensors, metrics.jsonl; gigalane evaluate measures it"
    Console(highlight=False).print(told, soft_wrap=True)
    return 0


def _source(command: Adapt, student: CameraPolicy, target: CameraPolicy) -> PairSource:
    """Where the pairs come from."""
    if command.pairs is not None:
        return Folder(open_pairs(command.pairs, student.layout.given), target)
    settings = command.adapt
    return drive_in_two_looks(
        open_maps(command.map),
        command.world,
        student,
        target,
        (look_named(command.known), look_named(command.look)),
        command.run,
        steps=settings.rollout_steps,
        target_share=settings.target_share,
        seed=settings.seed,
    )


def _names(command: Adapt) -> dict[str, Any]:
    """What settings.json keeps besides the settings of the lessons."""
    return {
        "student": command.student,
        "look": command.look,
        "known": command.known,
        "pairs": None if command.pairs is None else str(command.pairs),
        "maps": list(command.map),
        "world": asdict(command.world),
    }


def _resumed(folder: Path, words: Sequence[str]) -> Adapt:
    """The run in a folder as it was begun, with what the arguments change.

    Raises:
        InputError: there is no run, or the arguments ask for another one.
        SettingsError: its files are damaged or of another version.
    """
    begun = BegunRun(folder, (SETTINGS_FILE,))
    saved = Adapt(
        folder,
        begun.part(SETTINGS_FILE, "student"),
        begun.part(SETTINGS_FILE, "look"),
        begun.part(SETTINGS_FILE, "known"),
        begun.part(SETTINGS_FILE, "pairs", lambda pairs: None if pairs is None else Path(pairs)),
        begun.part(SETTINGS_FILE, "maps", tuple),
        False,  # an option that is on already could not be given again
        begun.settings(AdaptSettings, SETTINGS_FILE, "adapt"),
        begun.settings(SimulatorSettings, SETTINGS_FILE, "world"),
    )
    command = parse(Adapt, words, "adapt", saved)
    changed = changed_options(saved, command, ("world", "map", "look", "known", "pairs"))
    if command.student != saved.student:
        changed.append("student")
    begun.refuse_changed(changed)
    return command

"""gigalane distill: a camera student learns from a teacher that knows the state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console

from gigalane.cli.arguments import parse
from gigalane.cli.errors import InputError
from gigalane.cli.run_files import BegunRun, changed_options, refuse_begun
from gigalane.core.files import filling
from gigalane.maps.sources import open_maps
from gigalane.policies.camera import CameraPolicy, CameraSettings
from gigalane.policies.checkpoint import training_states
from gigalane.policies.coach import CoachPolicy
from gigalane.policies.entity import EntityPolicy
from gigalane.policies.shipped import open_subject
from gigalane.render.camera import Rig, load_rig
from gigalane.sim.settings import SimulatorSettings
from gigalane.teach.comparison import LossWeights
from gigalane.teach.distill import DistillSettings
from gigalane.teach.teaching import TEACHING_WORLD, Knowing, open_teacher, teach
from gigalane.train.run_folder import SETTINGS_FILE
from gigalane.train.selfplay import WORLDS_FILE

FREE_TO_CHANGE = ("--student.caution",)
"""Options of a student that has been taught already."""


@dataclass(frozen=True)
class Distill:
    """Teaches a driver to see: a student that looks through cameras learns from a teacher.

    The teacher is shown the state of the world; the student gets images, its own speed and its
    route. By default the student drives every car itself, in turns with the teacher at first,
    and the teacher says what it would have done (self-play DAgger).
    Ctrl-C saves and stops; --resume goes on with the run's own settings.

    Examples:
      gigalane distill student
      gigalane distill student --rig front --distill.frames 500000
      gigalane distill copycat --distill.method cloning
      gigalane distill planner --student.proposals 16 --student.drives plans --distill.every 4
      gigalane distill pupil --teacher default-coach
      gigalane distill local --start default-camera --map my_town.xodr
      gigalane distill student --resume --distill.frames 4000000
    """

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """Folder of the run."""
    teacher: Annotated[str, tyro.conf.arg(metavar="POLICY")] = "default"
    """Who teaches: `default` (the shipped driver), `default-coach`, a policy file of either kind,
    or `autopilot`, the script that drives by rules."""
    start: Annotated[str, tyro.conf.arg(metavar="POLICY")] = ""
    """A camera policy to go on teaching: `default-camera` (the shipped one) or a file. Its cameras
    and sizes stay; without one, a student begins that knows nothing of images."""
    rig: Annotated[str, tyro.conf.arg(metavar="RIG")] = "surround"
    """The student's cameras: surround, surround-small, front, four, six, or a file."""
    map: Annotated[tuple[str, ...], tyro.conf.arg(metavar="MAP [MAP ...]")] = ("town:1-16",)
    """Road files or town:SEED; the worlds share them out."""
    resume: bool = False
    """Go on with the run in that folder; only frames, threads and the like may be set anew."""
    distill: DistillSettings = field(default_factory=DistillSettings)
    student: CameraSettings = field(default_factory=CameraSettings)
    world: SimulatorSettings = field(default_factory=lambda: TEACHING_WORLD)


def run(words: Sequence[str]) -> int:
    """Runs `gigalane distill`."""
    command = parse(Distill, words, "distill")
    if command.resume:
        command, rig = _resumed(command.run, words)
        teacher, start = open_teacher(command.teacher), None
    else:
        refuse_begun(command.run)
        teacher, start = open_teacher(command.teacher), _open_start(command.start)
        usual = _usual(command, teacher, start)
        command = parse(Distill, words, "distill", usual)
        _refuse_decided(usual, command, teacher)
        rig = load_rig(command.rig) if start is None else start.layout.rig
        if start is not None:
            start.settings = command.student
    maps = open_maps(command.map)
    with filling(command.run, worth_keeping=lambda: bool(training_states(command.run))):
        teach(
            maps,
            command.world,
            teacher,
            rig,
            command.distill,
            command.run,
            eyes=command.student,
            start=start,
            resume=command.resume,
            sources=command.map,
            names={"teacher": command.teacher, "start": command.start},
        )
    told = f"{command.run}: policy.safetensors, metrics.jsonl; gigalane evaluate measures it"
    Console(highlight=False).print(told, soft_wrap=True)
    return 0


def _open_start(name: str) -> CameraPolicy | None:
    """The student to begin with, if one is named.

    Raises:
        InputError: it does not look.
        PolicyError: there is no such policy.
    """
    if not name:
        return None
    start = open_subject(name)
    if not isinstance(start, CameraPolicy):
        raise InputError(
            f"--start {name}: does not drive by what it sees; give default-camera or a file that "
            "gigalane distill wrote"
        )
    return start


def _usual(command: Distill, teacher: Knowing, start: CameraPolicy | None) -> Distill:
    """What holds with such a teacher and student where the arguments say nothing else."""
    losses = LossWeights()
    if isinstance(teacher, CoachPolicy):
        losses = LossWeights.for_coach()
    if isinstance(teacher, str):
        losses = LossWeights.for_autopilot()
    student = command.student if start is None else start.settings
    if student.proposals and isinstance(teacher, EntityPolicy):
        losses = losses.with_plans()
    usual = Distill(command.run, distill=DistillSettings(losses=losses))
    if start is None:
        return usual
    # Who can drive already needs nobody beside, and smaller steps.
    lessons = replace(usual.distill, mixed=0.0, learning_rate=3e-4)
    action = start.action_space.name if isinstance(teacher, str) else usual.world.action
    world = replace(usual.world, action=action)
    return replace(usual, student=start.settings, distill=lessons, world=world)


def _refuse_decided(usual: Distill, command: Distill, teacher: Knowing) -> None:
    """Refuses options that a teacher decides, or plans do, or the student to begin with.

    Raises:
        InputError: one of them is set.
    """
    decides: dict[str, str] = {}
    if isinstance(teacher, EntityPolicy):
        widths = ("--student.encoder-width", "--student.trunk")
        decides |= dict.fromkeys(widths, f"teacher {command.teacher}")
    if not isinstance(teacher, str):
        decides["--world.action"] = f"teacher {command.teacher}"
    if command.student.drives == "plans":
        decides["--world.action"] = "driving by plans"
    for option in changed_options(usual, command, ("world", "student", "rig")):
        who = decides.get(option)
        if command.start and option not in FREE_TO_CHANGE and not option.startswith("--world."):
            who = f"--start {command.start}"
        if who:
            raise InputError(f"{option}: {who} decides that; leave it out")


def _resumed(folder: Path, words: Sequence[str]) -> tuple[Distill, Rig]:
    """The run in a folder as it was begun, with what the arguments change, and its cameras.

    Raises:
        InputError: there is no run, or the arguments ask for another one.
        SettingsError: its files are damaged or of another version.
    """
    begun = BegunRun(folder, (WORLDS_FILE, SETTINGS_FILE))
    rig = begun.rig(WORLDS_FILE)
    if rig is None:
        raise InputError(f"{folder / WORLDS_FILE}: names no cameras; begin a new run")
    saved = Distill(
        folder,
        begun.part(WORLDS_FILE, "teacher"),
        begun.part(WORLDS_FILE, "start", is_optional=True) or "",
        "",
        begun.part(WORLDS_FILE, "maps", tuple),
        False,  # an option that is on already could not be given again
        begun.settings(DistillSettings, SETTINGS_FILE, "distill"),
        begun.settings(CameraSettings, WORLDS_FILE, "student"),
        begun.settings(SimulatorSettings, WORLDS_FILE, "world"),
    )
    command = parse(Distill, words, "distill", saved)
    names = ("world", "student", "map", "teacher", "start")
    begun.refuse_changed(changed_options(saved, command, names))
    begun.refuse_other_cameras(rig, command.rig)
    return command, rig

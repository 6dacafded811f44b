"""From maps and a teacher to a camera student: makes the worlds that `distill` needs."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Literal

import torch

from gigalane.core.files import replacing
from gigalane.core.settings import SettingsError, differences
from gigalane.maps.compile import compile_maps
from gigalane.maps.road import RoadMap
from gigalane.networks.camera_rows import CameraLayout
from gigalane.policies.camera import CameraPolicy, CameraSettings
from gigalane.policies.coach import CoachPolicy
from gigalane.policies.entity import EntityPolicy
from gigalane.policies.shipped import open_subject
from gigalane.render.camera import Rig
from gigalane.sim.control import ActionSpace
from gigalane.sim.guard import Guard
from gigalane.sim.settings import ActionName, PersonaSettings, SimulatorSettings, TrafficSettings
from gigalane.sim.simulator import Simulator
from gigalane.teach.comparison import check_weights
from gigalane.teach.distill import DistillSettings, distill
from gigalane.teach.teachers import Autopilot, CoachTeacher, DriverTeacher, Teacher
from gigalane.train.run_folder import refuse_begun
from gigalane.train.selfplay import WORLDS_FILE
from gigalane.worlds.birdview import BirdviewWorld
from gigalane.worlds.camera import CameraWorld
from gigalane.worlds.vector import VectorWorld

TEACHING_WORLD = SimulatorSettings(
    worlds=16,
    agents=40,
    persona=PersonaSettings.strict(),
    traffic=TrafficSettings(blind=0.0, braking=0.0),
)
"""Worlds that students are taught in: all drive, as carefully as they are measured."""


Knowing = EntityPolicy | CoachPolicy | Literal["autopilot"]
"""Who can teach: a driver that sees entities, a coach that looks from above, or the script."""


def open_teacher(name: str) -> Knowing:
    """Who teaches, by the name a person gives it.

    Args:
        name: `default`, `default-coach`, `autopilot`, or a policy file of a driver or a coach.

    Raises:
        SettingsError: it does not know the state.
        PolicyError: there is no such policy.
    """
    if name == "autopilot":
        return "autopilot"
    teacher = open_subject(name)
    if not isinstance(teacher, EntityPolicy | CoachPolicy):
        raise SettingsError(
            f"teacher {name}: does not drive by the state; give default, default-coach, "
            "autopilot or a file that gigalane train wrote"
        )
    return teacher


def teach(
    maps: Sequence[RoadMap],
    world: SimulatorSettings,
    teacher: Knowing,
    rig: Rig,
    settings: DistillSettings,
    run_directory: str | os.PathLike[str],
    *,
    eyes: CameraSettings | None = None,
    start: CameraPolicy | None = None,
    resume: bool = False,
    sources: Sequence[str] = (),
    names: Mapping[str, str] | None = None,
    on_iteration: Callable[[dict[str, float]], bool | None] | None = None,
    on_student: Callable[[CameraPolicy], object] | None = None,
) -> CameraPolicy:
    """Teaches a camera student on maps; see `gigalane.teach.distill.distill`.

    Args:
        maps: where to drive; worlds share them out in turn.
        world: the worlds.
        teacher: who knows the state: the self-taught driver, a coach, or "autopilot".
        rig: the student's cameras.
        settings: how to teach.
        run_directory: where the run is kept.
        eyes: sizes of the student; what it inherits has the teacher's.
        start: a student that has been taught already, whose weights and sizes a new run begins
            with: then it inherits nothing.
        resume: go on from its newest state.
        sources: how the maps were named; kept in the run's folder.
        names: what else to keep there: how who teaches was named, and who was begun with.
        on_iteration: told the figures of each iteration; returning True ends the lessons.
        on_student: shown the student before its first lesson.

    Raises:
        SettingsError: the teacher does not fit the worlds, or the settings not the maps.
        PolicyError: see `distill`.
        BackboneError: the student is to begin with a backbone that is not there.
        SimulationError: a number left all bounds; a recording of it lies in the run's folder.
    """
    if not resume:
        refuse_begun(Path(run_directory))
    sizes = _sizes(teacher, start.settings if start is not None else eyes or CameraSettings())
    simulator = Simulator(
        compile_maps(maps),
        replace(world, action=_action_of(teacher, world, sizes)),
        seed=settings.seed,
        threads=settings.threads or None,
    )
    inner = VectorWorld(simulator, Guard(simulator, maps, run_directory))
    camera_world = CameraWorld(_shown(teacher, inner, maps), rig, maps, settings.appearance)
    knowing = _teacher(teacher, simulator)
    if start is not None:
        _refuse_unlike(start, camera_world.layout, knowing.action_space, sizes)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        student = CameraPolicy(camera_world.layout, knowing.action_space, sizes)
    if start is not None:
        student.load_state_dict(start.state_dict())
    elif not resume:
        student.open_eyes()
    check_weights(settings.losses, knowing, student)
    if on_student is not None:
        on_student(student)
    if not resume:
        facts = {
            **(names or {}),
            "maps": list(sources) or [road_map.name for road_map in maps],
            "world": asdict(world),
            "student": asdict(sizes),
            "rig": asdict(rig),
        }
        Path(run_directory).mkdir(parents=True, exist_ok=True)
        with replacing(Path(run_directory) / WORLDS_FILE) as beside:
            beside.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    return distill(
        camera_world,
        knowing,
        student,
        settings,
        run_directory,
        resume,
        on_iteration,
        inherits=start is None,
    )


def _sizes(teacher: Knowing, sizes: CameraSettings) -> CameraSettings:
    """Sizes of a student: what it inherits, or is to match, is as wide as the teacher's."""
    if isinstance(teacher, EntityPolicy):
        widths = {n: getattr(teacher.settings, n) for n in ("encoder_width", "trunk")}
        return replace(sizes, **widths)
    if isinstance(teacher, CoachPolicy):
        return replace(sizes, trunk=(*sizes.trunk[:-1], teacher.settings.join[-1]))
    return sizes


def _refuse_unlike(
    start: CameraPolicy, layout: CameraLayout, action_space: ActionSpace, sizes: CameraSettings
) -> None:
    """Refuses to begin with a student that its lessons do not fit.

    Raises:
        SettingsError: it looks through other cameras, acts otherwise or is built otherwise.
    """
    if start.layout != layout:
        differ = ", ".join(differences(start.layout, layout))
        raise SettingsError(
            f"start: it looks through {_told(start.layout)}, the worlds show {_told(layout)}, and "
            f"their {differ} differ; give the cameras that it was taught with"
        )
    if start.action_space != action_space:
        raise SettingsError(
            f"start: it acts in {start.action_space.name}, its teacher in {action_space.name}; "
            "give a teacher like its own, or --world.action to an autopilot"
        )
    if start.settings != sizes:
        raise SettingsError(
            f"start: its slots have {start.settings.encoder_width} numbers and its trunk has "
            f"widths {start.settings.trunk}, its teacher asks for {sizes.encoder_width} and "
            f"{sizes.trunk}; give a teacher like its own"
        )


def _told(layout: CameraLayout) -> str:
    """Cameras in words."""
    width, height = layout.rig.size
    return f"{layout.rig.name} ({len(layout.rig.cameras)} x {width} x {height})"


def _action_of(teacher: Knowing, world: SimulatorSettings, sizes: CameraSettings) -> ActionName:
    """The actions that are taken: those of plans, of the teacher, or of the worlds."""
    if sizes.drives == "plans":
        return "acceleration_steering"
    return world.action if isinstance(teacher, str) else teacher.action_space.name


def _shown(
    teacher: Knowing, inner: VectorWorld, maps: Sequence[RoadMap]
) -> VectorWorld | BirdviewWorld:
    """The worlds with what the teacher looks at.

    Raises:
        SettingsError: the teacher was trained on other observations.
    """
    world: VectorWorld | BirdviewWorld = inner
    if isinstance(teacher, CoachPolicy):
        world = BirdviewWorld(inner, teacher.layout.birdview, maps)
    if not isinstance(teacher, str) and teacher.layout != world.layout:
        raise SettingsError(
            f"teacher: it observes {teacher.layout}, the worlds show {world.layout}; use the "
            "observation settings it was trained with"
        )
    return world


def _teacher(teacher: Knowing, simulator: Simulator) -> Teacher:
    """Who answers for it."""
    if isinstance(teacher, EntityPolicy):
        return DriverTeacher(teacher)
    if isinstance(teacher, CoachPolicy):
        return CoachTeacher(teacher)
    return Autopilot(simulator.action_space)

"""Arms of a study in which a camera student is taught, beside those that learn from reward.

What such a run may spend is counted in frames (the study's samples) and in CPU time. Its learning
rate falls to 0 at the end of the budget of frames. A run that was cut off begins anew.
"""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass, field, replace

from gigalane.evals.evaluate import EvaluateSettings
from gigalane.maps.sources import open_maps
from gigalane.policies.camera import CameraPolicy, CameraSettings
from gigalane.render.appearance import UNSEEN_LOOKS, look_named
from gigalane.render.camera import load_rig
from gigalane.sim.settings import SimulatorSettings
from gigalane.studies.marks import Run, Spent
from gigalane.studies.study import Study, Trial, check_name
from gigalane.teach.distill import DistillSettings
from gigalane.teach.teaching import TEACHING_WORLD, open_teacher, teach


@dataclass(frozen=True)
class Lessons:
    """What a student is taught, by whom, where.

    Attributes:
        maps: sources, as `gigalane.maps.sources.open_maps` takes them.
        world: the worlds on them.
        teacher: as `gigalane distill --teacher` takes it.
        rig: the student's cameras: a preset or a file.
        distill: how; frames, seed and threads are the study's to set.
        student: sizes of the student.
    """

    maps: tuple[str, ...] = ("town:1-16",)
    world: SimulatorSettings = TEACHING_WORLD
    teacher: str = "default"
    rig: str = "surround-small"
    distill: DistillSettings = field(default_factory=DistillSettings)
    student: CameraSettings = field(default_factory=CameraSettings)


@dataclass(frozen=True)
class StudentArm:
    """One way of teaching.

    Attributes:
        name: lower case, digits and dashes; also a folder's name.
        about: what is different about it, in a few words.
        lessons: the way.
    """

    name: str
    about: str
    lessons: Lessons = field(default_factory=Lessons)

    def __post_init__(self) -> None:
        """Refuses names that make no folder."""
        check_name(self.name)

    @property
    def stages(self) -> tuple[Lessons, ...]:
        """Where it learns."""
        return (self.lessons,)


def student_trials(episodes: int) -> tuple[Trial, ...]:
    """Procedural towns that nobody learns on, in looks that no lesson draws; dt 0.3 s."""
    looks = look_named("varied", UNSEEN_LOOKS)
    settings = EvaluateSettings(episodes=episodes, agents=24, dt=0.3, seed=7, appearance=looks)
    return (Trial("towns-dt0.3", ("town:9001-9002",), settings),)


def take_lessons(study: Study, arm: StudentArm, run: Run) -> None:
    """Teaches one student and keeps it at the study's marks.

    Args:
        study: whose budget and marks count; its samples are frames.
        arm: the way.
        run: the folder, without marks yet.
    """
    lessons, folder = arm.lessons, run.folder / "lessons"
    shutil.rmtree(folder, ignore_errors=True)
    frames = study.budget.samples or lessons.distill.frames
    students: list[CameraPolicy] = []
    spent, began = [Spent()], 0.0

    def begin(student: CameraPolicy) -> None:
        nonlocal began
        students.append(student)
        began = time.process_time()

    def note(figures: dict[str, float]) -> bool:
        spent.append(Spent(int(figures["samples"]), time.process_time() - began))
        run.keep(students[0], spent[-1], study.budget, study.marks)
        return study.budget.done(spent[-1].samples, spent[-1].cpu_seconds) >= 1.0

    teach(
        open_maps(lessons.maps),
        lessons.world,
        open_teacher(lessons.teacher),
        load_rig(lessons.rig),
        replace(lessons.distill, frames=frames, seed=run.seed, threads=1),
        folder,
        eyes=lessons.student,
        on_student=begin,
        on_iteration=note,
    )
    run.finish(spent[-1])
    for state in folder.glob("state-*"):  # it has served; metrics.jsonl stays
        state.unlink()

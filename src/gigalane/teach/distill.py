"""Teaches a camera policy what a driver knows that is shown the state.

    collect   student and teacher drive, images are kept             (who drives: `method`)
    improve   the teacher says what it would have done at each       (what is learned: `losses`)

*Self-play DAgger* (`dagger`): the student drives every car, in turns with the teacher at first
(Gigapixel, arXiv 2606.19641). *Single-agent DAgger* (`solo`): the student drives one car in each
world, teachers the others. *Cloning* (`cloning`): teachers drive, the student only watches.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from gigalane.acting.futures import RememberedFutures
from gigalane.acting.mixed import Mixed, MixedActor, MixedPlanActor
from gigalane.core.settings import SettingsError
from gigalane.policies.camera import CameraPolicy
from gigalane.render.appearance import VARIED, Appearance
from gigalane.rollout import roll_out
from gigalane.teach.comparison import LossWeights, Saying, agreement, check_weights, compare
from gigalane.teach.frame_pool import FramePool
from gigalane.teach.pool_learner import prepare_policy
from gigalane.teach.pool_lessons import PoolLessons
from gigalane.teach.teachers import DriverTeacher, Teacher
from gigalane.train.run_folder import plain, refuse_begun
from gigalane.train.tally import EpisodeTally
from gigalane.worlds.camera import CameraWorld

Method = Literal["dagger", "solo", "cloning"]


@dataclass(frozen=True)
class DistillSettings:
    """How a student is taught.

    Attributes:
        frames: frames to learn from in all; a frame is what one car sees at one step.
        method: who drives meanwhile.
        mixed: share of the frames during which the teacher's part of the driving falls from
            all to nothing, where the student drives (Gigapixel: 125 M of 150 M).
        losses: what is learned.
        frees_trunk: whether what the student has inherited learns too; otherwise it stays the
            driver's, and only what sees is learned. Students of other teachers inherit nothing.
        seed: of the first weights, the world and the shuffling.
        rollout_steps: steps between two lessons.
        every: of so many frames one is kept; where plans are learned, also every how many steps
            a world's futures are looked up.
        critical: of what the student drives through, only frames are kept at which it and its
            teacher differ by more than this share of the range of what pushes along the road
            (Roach: 0.1); 0 keeps all.
        pool: frames that are remembered.
        recolour: how far the colours of each frame are pushed at random before it is learned
            from, a share (`gigalane.teach.recolour`); 0 leaves them.
        passes: how often a frame is learned from on average.
        minibatch: frames an optimiser step.
        learning_rate: of Adam, falling to 0 along half a cosine.
        threads: threads of the network; 0 is one a core.
        checkpoint_every_s: longest time between two saved states [s].
        appearance: what the worlds look like; drawn anew every `LOOK_STEPS` steps.
    """

    frames: int = 2_000_000
    method: Method = "dagger"
    mixed: float = 0.1
    losses: LossWeights = field(default_factory=LossWeights)
    frees_trunk: bool = True
    seed: int = 0
    rollout_steps: int = 8
    every: int = 1
    critical: float = 0.0
    pool: int = 60_000
    recolour: float = 0.0
    passes: float = 1.0
    minibatch: int = 128
    learning_rate: float = 1e-3
    threads: int = 0
    checkpoint_every_s: float = 60.0
    appearance: Appearance = VARIED

    def __post_init__(self) -> None:
        """Refuses what cannot be learned from."""
        counts = (self.frames, self.rollout_steps, self.every, self.minibatch)
        if min(counts) < 1 or self.pool < self.minibatch:
            raise SettingsError(
                "distill: frames, rollout_steps, every and minibatch must be at least 1 and pool "
                "no smaller than minibatch"
            )
        if not 0 <= self.recolour <= 1:
            raise SettingsError(f"distill: recolour is {self.recolour:g}; give 0 to 1, 0.3 say")
        if not 0 <= self.critical < 1:
            raise SettingsError(f"distill: critical is {self.critical:g}; give 0 to 1, 0.1 say")
        if not 0 <= self.mixed <= 1 or not self.passes > 0 or not self.learning_rate > 0:
            raise SettingsError("distill: mixed must be 0 to 1, passes and learning_rate above 0")
        if min(self.seed, self.threads) < 0:
            raise SettingsError("distill: seed and threads must be 0 or more")

    def teacher_share(self, frames: int) -> float:
        """Share of the rows that the teacher drives after so many frames."""
        if self.method == "cloning":
            return 1.0
        mixed = self.mixed * self.frames
        return max(0.0, 1.0 - frames / mixed) if mixed else 0.0


LOOK_STEPS = 24
"""Steps between two changes of the looks. Nothing of before is seen right after one; but with 64
between them students learned the looks of the hour, and were 0.3 nat worse in others."""
IN_VAIN = 50
"""Roll-outs in a row after which lessons end if no frame of them is kept (chosen)."""
CHANGEABLE = frozenset({"frames", "pool", "threads", "checkpoint_every_s"})
"""Settings that may differ when a run goes on."""


def distill(
    world: CameraWorld,
    teacher: Teacher,
    student: CameraPolicy,
    settings: DistillSettings,
    run_directory: str | os.PathLike[str],
    resume: bool = False,
    on_iteration: Callable[[dict[str, float]], bool | None] | None = None,
    inherits: bool = True,
) -> CameraPolicy:
    """Teaches a student; Ctrl-C finishes the iteration and saves, as in self-play.

    Args:
        world: where both drive.
        teacher: who knows the state.
        student: who learns, in place.
        settings: how.
        run_directory: where the run is kept: settings.json, metrics.jsonl, states, policy.
        resume: go on from the newest whole state there; remembered frames are collected anew.
        on_iteration: told the figures of each iteration; returning True ends the lessons.
        inherits: whether a new run begins with what a self-taught driver does with its slots; a
            student that has been taught already has that of its own.

    Raises:
        PolicyError: there is nothing to go on from, it does not fit, or the directory already
            holds a run and `resume` is not set.
        SettingsError: student and teacher never differ by as much as `critical` asks.
    """
    distiller = Distiller(world, teacher, student, settings, Path(run_directory))
    distiller.resume() if resume else distiller.begin(inherits)
    distiller.run(on_iteration)
    return student


_FIGURES = ("loss", "divergence", "slots", "lane", "agreement", "plan", "plan_chosen")
"""What an optimiser step tells of itself."""


class Distiller(PoolLessons[DistillSettings, FramePool]):
    """Lessons in which a teacher says what it would have done; see `PoolLessons`.

    Attributes:
        teacher: what is learned.
    """

    kind, unit, changeable, told = "distill", "frames", CHANGEABLE, _FIGURES

    def __init__(
        self,
        world: CameraWorld,
        teacher: Teacher,
        student: CameraPolicy,
        settings: DistillSettings,
        run_directory: Path,
    ) -> None:
        """Allocates the pool; touches no file."""
        check_weights(settings.losses, teacher, student)
        if not settings.frees_trunk and not isinstance(teacher, DriverTeacher):
            raise SettingsError(
                f"distill: frees_trunk is off, but a student of a teacher of kind {teacher.name} "
                "inherits nothing and has all to learn; leave it on"
            )
        for policy in (student, getattr(teacher, "policy", student)):
            prepare_policy(policy, settings.threads)
        for part in student.inherited:
            part.requires_grad_(settings.frees_trunk)
        super().__init__(student, settings, run_directory)
        self.world, self.teacher = world, teacher
        self.actor, futures = _seated(world, teacher, student)
        self.pool = FramePool(
            world, self.actor, settings.pool, settings.every, settings.seed + 1, futures,
            settings.critical, settings.recolour,
        )  # fmt: skip
        self.tally = EpisodeTally(world)
        self._in_vain = 0

    def begin(self, inherits: bool = True) -> None:
        """Starts a run in an empty directory; see `distill`."""
        refuse_begun(self.run_directory)
        self.restart(self.settings.seed)
        if inherits and isinstance(self.teacher, DriverTeacher):
            shown = self.world.vector.observation[self.world.active]
            self.student.inherit(self.teacher.policy, shown)
        self.folder.begin(
            {
                "distill": plain(self.settings),
                "rows": self.world.row_count,
                "parameters": sum(p.numel() for p in self.learner.parameters),
                "threads": self.student.threads,
            }
        )

    def restart(self, seed: int) -> None:
        """Has all worlds begin anew."""
        self.world.reset(seed)

    def gather(self) -> int:
        """Lets student and teacher drive for `rollout_steps` steps; now and then looks change."""
        settings = self.settings
        if self.iteration * settings.rollout_steps % LOOK_STEPS < settings.rollout_steps:
            look = replace(settings.appearance, seed=settings.appearance.seed + self.iteration)
            self.world.change_appearance(look)
        self.share = settings.teacher_share(self.samples)
        if settings.method == "solo":
            agents = self.world.vector.simulator.shape[1]
            self.pool.rows = torch.arange(self.world.row_count) % agents == 0
        self.actor.mix(self.share, self.learner.shuffler, self.pool.rows)
        before = self.pool.added
        roll_out(self.world, self.actor, settings.rollout_steps, self.pool, self.tally)
        added = self.pool.added - before
        self._in_vain = 0 if added else self._in_vain + 1
        if self._in_vain == IN_VAIN:
            raise SettingsError(
                f"distill: no frame was kept in {IN_VAIN} roll-outs; critical is "
                f"{settings.critical:g}, give less"
            )
        return added

    def loss(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Mean loss over frames of the pool, and the figures of `_FIGURES`."""
        pool, student = self.pool, self.student
        lesson = self.teacher.explain(pool.shown[rows])
        seen = pool.seen[rows]
        sight = student.see(student.features(seen))
        joined = student.join(sight, seen)
        numbers, value = student.respond(joined)
        plans = student.propose(joined, seen) if student.settings.proposals else None
        said = Saying(student.distribution(numbers), value, joined, sight, plans)
        targets = pool.targets_of(rows)
        parts = compare(lesson, said, pool.lane[rows], student, self.settings.losses, targets)
        with torch.no_grad():
            agrees = agreement(lesson, said.distribution)
            figures = [parts.total, parts.divergence.mean(), parts.slots.mean(),
                       parts.lane.mean(), agrees, parts.plan, parts.chosen]  # fmt: skip
        return parts.total, torch.stack(figures).detach()

    def figures(self) -> dict[str, float]:
        """Closes the iteration: counts it and reads its figures."""
        self.world.check()
        counted = self.tally.read()
        counted.pop("samples")
        figures = super().figures()
        if not self.student.settings.proposals:
            del figures["plan"], figures["plan_chosen"]
        return {**figures, "teacher_share": self.share, **counted}


def _seated(
    world: CameraWorld, teacher: Teacher, student: CameraPolicy
) -> tuple[Mixed, RememberedFutures | None]:
    """Who drives as the student's settings say, and where the teacher would go if it plans."""
    futures = None
    if student.settings.proposals:
        assert isinstance(teacher, DriverTeacher)  # `check_weights` has refused the others
        futures = RememberedFutures(world.vector.simulator, teacher.policy)
        if student.settings.drives == "plans":
            return MixedPlanActor(world, student, teacher, futures), futures
    return MixedActor(student, teacher, world.row_count), futures

"""A student and its teacher at the wheels of one world."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from gigalane.acting.futures import TeacherFutures
from gigalane.acting.plans import PlanActor, Planner, StudentPlanner, TeacherPlanner
from gigalane.policies.camera import CameraPolicy
from gigalane.worlds.camera import CameraWorld
from gigalane.worlds.world import World


class Knowing(Protocol):
    """Who drives by the state."""

    def look(self, world: CameraWorld) -> Tensor:
        """What it looks at of every row."""
        ...

    def act(self, shown: Tensor) -> Tensor:
        """What it would do, for rows of what `look` returned."""
        ...


class Mixed(Protocol):
    """Drives with both.

    Attributes:
        teacher: who knows the state.
        shown: what the teacher looked at when the last actions were chosen.
    """

    teacher: Knowing
    shown: Tensor

    def mix(self, share: float, generator: torch.Generator, pupils: Tensor | None = None) -> None:
        """Says who drives from now on.

        Args:
            share: of what the teacher drives, 0 to 1.
            generator: of the chance.
            pupils: (rows,) bool, rows that may be the student's; all by default.
        """
        ...

    def act(self, world: World) -> Tensor:
        """See `gigalane.rollout.Actor`."""
        ...


class MixedActor:
    """A student drives some rows by what it sees, its teacher the others by the state.

    Attributes:
        student: the camera policy.
        teacher: who knows the state.
        by_teacher: (rows,) bool, which rows the teacher drives.
        shown: what the teacher looked at when the last actions were chosen.
    """

    shown: Tensor

    def __init__(self, student: CameraPolicy, teacher: Knowing, rows: int) -> None:
        """Seats both; at first the student drives everything."""
        self.student, self.teacher = student, teacher
        self.by_teacher = torch.zeros(rows, dtype=torch.bool)

    def mix(self, share: float, generator: torch.Generator, pupils: Tensor | None = None) -> None:
        """Gives that share of the rows to the teacher, until the next call; see `Mixed`."""
        self.by_teacher = drawn(len(self.by_teacher), share, generator, pupils)

    def act(self, world: World) -> Tensor:
        """The most likely action of whoever drives, for every row; any for rows without driver."""
        assert isinstance(world, CameraWorld)
        space = world.action_space
        self.shown = self.teacher.look(world)
        actions = (
            torch.zeros(world.row_count, dtype=torch.int64)
            if space.is_discrete
            else torch.zeros(world.row_count, space.size)
        )
        theirs = (self.by_teacher & world.active).nonzero().squeeze(-1)
        own = (~self.by_teacher & world.active).nonzero().squeeze(-1)
        if len(theirs):
            actions[theirs] = self.teacher.act(self.shown[theirs])
        if len(own):
            actions[own] = self.student.act(world.observation[own], greedy=True)
        return actions


class MixedPlanner:
    """Each plan is a student's or its teacher's, drawn when it is made (Gigapixel).

    Attributes:
        student: plans by what it sees.
        teacher: plans by the state.
    """

    def __init__(self, student: Planner, teacher: Planner) -> None:
        """Seats both; at first the student plans everything."""
        self.student, self.teacher = student, teacher
        self.mix(0.0, torch.Generator())

    def mix(self, share: float, generator: torch.Generator, pupils: Tensor | None = None) -> None:
        """Gives that share of the plans to the teacher; see `Mixed`."""
        self._share, self._generator, self._pupils = share, generator, pupils

    def plan(self, world: World, rows: Tensor) -> Tensor:
        """See `Planner`."""
        by_teacher = drawn(world.row_count, self._share, self._generator, self._pupils)[rows]
        if by_teacher.all():
            return self.teacher.plan(world, rows)
        own = self.student.plan(world, rows[~by_teacher])
        plans = own.new_empty(len(rows), *own.shape[1:])
        plans[~by_teacher] = own
        if by_teacher.any():
            plans[by_teacher] = self.teacher.plan(world, rows[by_teacher])
        return plans


class MixedPlanActor(PlanActor):
    """A student plans for some rows, its teacher for the others; a tracker follows.

    Attributes:
        teacher: who knows the state.
        shown: what the teacher looked at when the last actions were chosen.
    """

    shown: Tensor

    def __init__(
        self, world: CameraWorld, student: CameraPolicy, teacher: Knowing, futures: TeacherFutures
    ) -> None:
        """Seats both.

        Args:
            world: the worlds that will be acted in.
            student: proposes plans.
            teacher: who knows the state.
            futures: what it would do.

        Raises:
            SettingsError: if the worlds take other actions than accelerations and wheel angles.
        """
        self.teacher = teacher
        self._mixed = MixedPlanner(StudentPlanner(student), TeacherPlanner(futures))
        super().__init__(world.vector.simulator, self._mixed)

    def mix(self, share: float, generator: torch.Generator, pupils: Tensor | None = None) -> None:
        """Gives that share of the plans to come to the teacher; see `Mixed`."""
        self._mixed.mix(share, generator, pupils)

    def act(self, world: World) -> Tensor:
        """See `PlanActor.act`."""
        assert isinstance(world, CameraWorld)
        self.shown = self.teacher.look(world)
        return super().act(world)


def drawn(
    rows: int, share: float, generator: torch.Generator, pupils: Tensor | None = None
) -> Tensor:
    """Which rows are the teacher's, (rows,) bool: a share by chance, and all that are no pupils."""
    by_teacher = torch.rand(rows, generator=generator) < share
    return by_teacher if pupils is None else by_teacher | ~pupils

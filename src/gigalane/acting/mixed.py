"""A student and its teacher at the wheels of one world."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

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


class MixedActor:
    """A student drives some rows by what it sees, its teacher the others by the state.

    Attributes:
        student: the camera policy.
        teacher: who knows the state.
        by_teacher: (rows,) bool, which rows the teacher drives; set by whoever mixes.
        shown: what the teacher looked at when the last actions were chosen.
    """

    shown: Tensor

    def __init__(self, student: CameraPolicy, teacher: Knowing, rows: int) -> None:
        """Seats both; at first the student drives everything."""
        self.student, self.teacher = student, teacher
        self.by_teacher = torch.zeros(rows, dtype=torch.bool)

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

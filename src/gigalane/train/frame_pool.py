"""Frames that a student learns from: the latest it or its teacher drove through, in a ring."""

from __future__ import annotations

import torch
from torch import Tensor

from gigalane.acting.mixed import MixedActor
from gigalane.sim.layout import LANE_NUMBERS
from gigalane.worlds.camera import CameraWorld
from gigalane.worlds.world import World


class FramePool:
    """An observer that keeps what rows see and what the simulator would show of them.

    When it is full the newest take the place of the oldest.

    Attributes:
        seen: (capacity, layout.width) uint8, rows of the camera world.
        shown: (capacity, …), what the teacher is asked about.
        lane: (capacity, 5) float32, the numbers of `LANE_NUMBERS`.
        capacity: frames that it holds.
        count: frames that lie in it.
        added: frames that were put in since the start.
        rows: (world rows,) bool, which rows are looked at; None looks at all.
    """

    def __init__(
        self, world: CameraWorld, actor: MixedActor, capacity: int, every: int, seed: int
    ) -> None:
        """Allocates the ring.

        Args:
            world: whose frames it keeps.
            actor: who drives, and knows what its teacher looks at.
            capacity: frames that it holds.
            every: of so many frames one is kept, by chance: frames of one car in a row are
                much alike.
            seed: of that chance.
        """
        # Pages are taken as they are written, so a ring that never fills costs little.
        self.seen = torch.empty(capacity, world.layout.width, dtype=torch.uint8)
        shown = actor.teacher.look(world)
        self.shown = torch.empty(capacity, *shown.shape[1:], dtype=shown.dtype)
        self.lane = torch.empty(capacity, len(LANE_NUMBERS))
        self.actor = actor
        self.capacity, self.every = capacity, every
        self.count = self.added = 0
        self.rows: Tensor | None = None
        self.generator = torch.Generator().manual_seed(seed)
        self._next = 0

    def before(self, step: int, world: World, actions: Tensor) -> None:
        """Keeps what the actions answer to."""
        del step, actions
        assert isinstance(world, CameraWorld)
        chance = torch.rand(world.row_count, generator=self.generator)
        wanted = world.active & world.learn & (chance * self.every < 1.0)
        if self.rows is not None:
            wanted &= self.rows
        rows = wanted.nonzero().squeeze(-1)[: self.capacity]
        places = (self._next + torch.arange(len(rows))) % self.capacity
        self.seen[places] = world.observation[rows]
        self.shown[places] = self.actor.shown[rows]
        self.lane[places] = world.vector.observation[rows][:, LANE_NUMBERS].float()
        self._next = (self._next + len(rows)) % self.capacity
        self.added += len(rows)
        self.count = min(self.capacity, self.count + len(rows))

    def after(self, step: int, world: World) -> None:
        """Nothing to keep."""

"""Frames that a student learns from: the latest it or its teacher drove through, in a ring."""

from __future__ import annotations

import torch
from torch import Tensor

from gigalane.acting.critical import critical
from gigalane.acting.futures import Futures, RememberedFutures, worlds_in_turn
from gigalane.acting.mixed import Mixed, MixedActor
from gigalane.core.settings import SettingsError
from gigalane.networks.plans import PLAN_POSES
from gigalane.sim.layout import LANE_NUMBERS
from gigalane.teach.recolour import draw_tints, recolour
from gigalane.worlds.camera import CameraWorld
from gigalane.worlds.world import World


class FramePool:
    """An observer that keeps what rows see and what the simulator would show of them.

    When it is full the newest take the place of the oldest.

    Attributes:
        seen: (capacity, layout.width) uint8, rows of the camera world.
        shown: (capacity, …), what the teacher is asked about.
        lane: (capacity, 5) float32, the numbers of `LANE_NUMBERS`.
        targets: where the teacher would go from each frame; None where nobody asks.
        capacity: frames that it holds.
        count: frames that lie in it.
        added: frames that were put in since the start.
        rows: (world rows,) bool, which rows are looked at; None looks at all.
    """

    def __init__(
        self,
        world: CameraWorld,
        actor: Mixed,
        capacity: int,
        every: int,
        seed: int,
        futures: RememberedFutures | None = None,
        least_gap: float = 0.0,
        recoloured: float = 0.0,
    ) -> None:
        """Allocates the ring.

        Args:
            world: whose frames it keeps.
            actor: who drives, and knows what its teacher looks at.
            capacity: frames that it holds.
            every: of so many frames one is kept, by chance: frames of one car in a row are
                much alike. Where futures are looked up, worlds take turns instead, because a
                look costs a whole world.
            seed: of that chance.
            futures: what the teacher would do, for students that plan.
            least_gap: of what the student drives through, only frames are kept at which it and
                its teacher differ by more (`gigalane.acting.critical`); 0 keeps all.
            recoloured: how far the colours of each frame are pushed; 0 leaves them.

        Raises:
            SettingsError: there is a gap to look for, but plans are driven by.
        """
        # Pages are taken as they are written, so a ring that never fills costs little.
        self.seen = torch.empty(capacity, world.layout.width, dtype=torch.uint8)
        shown = actor.teacher.look(world)
        self.shown = torch.empty(capacity, *shown.shape[1:], dtype=shown.dtype)
        self.lane = torch.empty(capacity, len(LANE_NUMBERS))
        self.futures, self.targets = futures, None
        if futures is not None:
            false = torch.zeros(capacity, dtype=torch.bool)
            poses = torch.zeros(capacity, PLAN_POSES, 3)
            self.targets = Futures(torch.arange(capacity), poses, false, false.clone())
        if least_gap and not isinstance(actor, MixedActor):
            raise SettingsError("distill: critical compares actions, but the student drives by "
                                "plans; set it to 0, or drives to actions")  # fmt: skip
        self.actor, self.least_gap, self.recoloured = actor, least_gap, recoloured
        self.capacity, self.every = capacity, every
        self.count = self.added = 0
        self.rows: Tensor | None = None
        self.generator = torch.Generator().manual_seed(seed)
        self._next = self._steps = 0

    def before(self, step: int, world: World, actions: Tensor) -> None:
        """Keeps what the actions answer to."""
        del step
        assert isinstance(world, CameraWorld)
        wanted = world.active & world.learn & self._whose_turn(world)
        if self.rows is not None:
            wanted &= self.rows
        rows = wanted.nonzero().squeeze(-1)
        if self.least_gap and isinstance(self.actor, MixedActor):
            rows = rows[critical(self.actor, actions, rows, self.least_gap)]
        rows = rows[: self.capacity]
        places = (self._next + torch.arange(len(rows))) % self.capacity
        seen = world.observation[rows]
        if self.recoloured and len(rows):
            tints = draw_tints(len(rows), self.recoloured, self.generator)
            recolour(seen, world.layout.image_bytes, tints)
        self.seen[places] = seen
        self.shown[places] = self.actor.shown[rows]
        self.lane[places] = world.vector.observation[rows][:, LANE_NUMBERS].float()
        if self.futures is not None and self.targets is not None and len(rows):
            agents = self.futures.simulator.shape[1]
            found = self.futures.look(torch.unique(rows // agents))
            at = torch.searchsorted(found.rows, rows)
            self.targets.poses[places] = found.poses[at]
            self.targets.valid[places] = found.valid[at]
            self.targets.is_turn[places] = found.is_turn[at]
        self._next = (self._next + len(rows)) % self.capacity
        self.added += len(rows)
        self.count = min(self.capacity, self.count + len(rows))

    def after(self, step: int, world: World) -> None:
        """Nothing to keep, and what was foreseen is past."""
        if self.futures is not None:
            self.futures.forget()

    def targets_of(self, places: Tensor) -> Futures | None:
        """Where the teacher would go from some frames; None where nobody asks."""
        if self.targets is None:
            return None
        return Futures(*(kept[places] for kept in vars(self.targets).values()))

    def _whose_turn(self, world: CameraWorld) -> Tensor:
        """(world rows,) bool: one of `every` frames."""
        if self.futures is None:
            chance = torch.rand(world.row_count, generator=self.generator)
            return chance * self.every < 1.0
        worlds, agents = self.futures.simulator.shape
        turn = torch.zeros(worlds, dtype=torch.bool)
        turn[worlds_in_turn(self._steps, self.every, worlds)] = True
        self._steps += 1
        return turn.repeat_interleave(agents)

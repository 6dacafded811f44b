"""A world small enough to reason about: walk on a line to a target that only a token shows."""

from collections.abc import Mapping

import torch
from torch import Tensor

from gigalane.sim.control import ActionSpace
from gigalane.sim.layout import ObservationLayout

TIME_LIMIT = 12


class ToyWorld:
    """Rows walk left, stay or walk right; the target's offset is a road token.

    Reaching the target ends an episode, the time limit cuts it; the row is then inactive for
    one step. Every fourth row is scripted and must not be learned from.
    """

    layout = ObservationLayout(given=4, road=3, partners=2, controls=1)
    action_space = ActionSpace("walk", 3, 1)
    reward_names = ("goal", "time")
    event_names = ("reached_goal", "timed_out")

    def __init__(self, rows: int = 64) -> None:
        self.row_count = rows
        self.generator = torch.Generator()
        self.offset = torch.zeros(rows, dtype=torch.int64)
        self.age = torch.zeros(rows, dtype=torch.int64)
        self.observation = torch.zeros(rows, self.layout.width, dtype=torch.float16)
        self.active, self.learn, self.terminated, self.truncated = (
            torch.zeros(rows, dtype=torch.bool) for _ in range(4)
        )
        self.dt = torch.where(torch.arange(rows) % 2 == 0, 0.3, 0.1)
        self.reward = torch.zeros(rows)
        self.reward_terms = torch.zeros(rows, 2)
        self.events = torch.zeros(rows, dtype=torch.int32)

    def reset(self, seed: int) -> None:
        self.generator.manual_seed(seed)
        self._respawn(torch.ones(self.row_count, dtype=torch.bool))
        for flag in (self.terminated, self.truncated):
            flag.zero_()
        self.active.fill_(True)
        self._show()

    def step(self, actions: Tensor) -> None:
        moved = self.active
        self.offset -= torch.where(moved, actions - 1, 0)
        self.age += moved
        reached = moved & (self.offset == 0)
        late = moved & ~reached & (self.age >= TIME_LIMIT)
        self.reward_terms[:, 0] = reached.float()
        self.reward_terms[:, 1] = -0.05 * moved
        self.reward.copy_(self.reward_terms.sum(-1))
        self.events.copy_(reached + 2 * late)
        self.terminated.copy_(reached)
        self.truncated.copy_(late)
        fresh = ~moved
        self._respawn(fresh)
        self.active.copy_(~(reached | late))
        self._show()

    def state_dict(self) -> dict[str, Tensor]:
        names = ("offset", "age", "observation", "active", "learn", "terminated", "truncated")
        state = {name: getattr(self, name).clone() for name in names}
        return {**state, "generator": self.generator.get_state()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        for name, tensor in state.items():
            if name == "generator":
                self.generator.set_state(tensor)
            else:
                getattr(self, name).copy_(tensor)

    def _respawn(self, rows: Tensor) -> None:
        distance = torch.randint(1, 6, (self.row_count,), generator=self.generator)
        side = torch.randint(0, 2, (self.row_count,), generator=self.generator) * 2 - 1
        self.offset[rows] = (distance * side)[rows]
        self.age[rows] = 0

    def _show(self) -> None:
        self.learn.copy_(self.active & (torch.arange(self.row_count) % 4 != 3))
        self.observation.zero_()
        self.observation[:, 0] = self.age / TIME_LIMIT
        self.observation[:, self.layout.road_start] = self.offset / 5
        self.observation[:, self.layout.road_start + 1] = 1.0

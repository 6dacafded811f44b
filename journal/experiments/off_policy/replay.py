"""A ring of the last steps of all worlds, and the targets of the transitions in it.

Steps are kept whole, as (capacity, rows, …), so the return over the next moments of a row lies
below it in the same column. It is added up once, when the step is old enough that all it can
reach has happened, and is not touched again.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from gigalane.train.advantage import per_step
from gigalane.worlds.world import World

SHORTEST_STEP_S = 0.1
"""Shortest time step of a world that learns [s]; it bounds the steps a return can span."""


class Draw(NamedTuple):
    """Transitions to learn from; every tensor leads with their number n.

    Attributes:
        place: (n,) int64, step * rows + row in the ring.
        observation: (n, width) float16.
        action: (n,) int64.
        dt: (n,) [s], the row's time step.
        gained: (n,), discounted sum of the rewards of the span.
        following: (n, width) float16, the observation at the end of the span.
        carried: (n,), discount of the value of `following`; 0 where the episode terminated.
        weight: (n,), of the transition in the loss; makes up for drawing some more often.
    """

    place: Tensor
    observation: Tensor
    action: Tensor
    dt: Tensor
    gained: Tensor
    following: Tensor
    carried: Tensor
    weight: Tensor


class Replay:
    """An observer that keeps the last steps of a world.

    Attributes:
        capacity: steps kept.
        reach: most steps that a return spans.
        head: steps seen so far.
    """

    def __init__(
        self, world: World, capacity: int, span_s: float, discount: float, priority: float
    ) -> None:
        """Allocates the ring.

        Args:
            world: whose steps.
            capacity: steps kept; must be more than a return spans.
            span_s: time over which rewards are added up before the value takes over [s]; at
                least one step.
            discount: γ of a 0.3 s step.
            priority: exponent of the temporal-difference error by which transitions are drawn
                (Schaul et al. 2016); 0 draws evenly.
        """
        self.capacity, self.span_s = capacity, span_s
        self.discount, self.priority = discount, priority
        self.reach = max(1, round(span_s / SHORTEST_STEP_S))
        if capacity <= self.reach:
            raise ValueError(f"replay: {capacity} steps cannot hold returns over {self.reach}")
        self.rows, self.head = world.row_count, 0

        def room(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
            return torch.zeros(capacity, self.rows, *shape, dtype=dtype)

        self.observation = room(world.layout.width, dtype=torch.float16)
        self.action = room(dtype=torch.int64)
        self.value, self.action_value = room(), room()
        self.dt, self.reward = room(), room()
        flags = [room(dtype=torch.bool) for _ in range(4)]
        self.active, self.learn, self.terminated, self.truncated = flags
        self.gained, self.carried, self.weight = room(), room(), room()
        self.end = room(dtype=torch.int64)

    def before(self, world: World, action: Tensor, value: Tensor, action_value: Tensor) -> None:
        """Keeps what was seen, chosen and thought; the oldest step makes room.

        Args:
            world: before the step.
            action: (rows,) int64.
            value: (rows,), of the state, as the acting network has it.
            action_value: (rows,), of the action in it.
        """
        slot = self.head % self.capacity
        self.weight[slot] = 0.0
        self.observation[slot] = world.observation
        self.action[slot] = action
        self.value[slot], self.action_value[slot] = value, action_value
        self.dt[slot] = world.dt
        self.active[slot] = world.active
        self.learn[slot] = world.active & world.learn
        if self.head >= self.reach:
            self._settle(self.head - self.reach)

    def after(self, world: World) -> None:
        """Keeps what the action brought."""
        slot = self.head % self.capacity
        self.reward[slot] = world.reward
        self.terminated[slot] = world.terminated
        self.truncated[slot] = world.truncated
        self.head += 1

    def _settle(self, step: int) -> None:
        """Adds up the returns of a step, all of whose future within reach has happened.

        The sum of a row ends at the end of its episode or once the span is over. The observation
        after that is the one kept for the next step, also where the episode ended: the world
        shows the state an episode led to for one step in which the row is inactive.
        """
        start = step % self.capacity
        going = self.learn[start].clone()
        gained, elapsed = torch.zeros(self.rows), torch.zeros(self.rows)
        carried = torch.ones(self.rows)
        end = torch.full((self.rows,), start, dtype=torch.int64)
        for ahead in range(self.reach):
            slot = (step + ahead) % self.capacity
            dt = self.dt[slot]
            gained += torch.where(going, carried * self.reward[slot], 0.0)
            factor = per_step(self.discount, dt) * ~self.terminated[slot]
            carried = torch.where(going, carried * factor, carried)
            end = torch.where(going, (step + ahead + 1) % self.capacity, end)
            elapsed += torch.where(going, dt, 0.0)
            over = self.terminated[slot] | self.truncated[slot]
            going = going & ~over & (elapsed < self.span_s - 1e-4)
        self.gained[start], self.carried[start], self.end[start] = gained, carried, end
        bootstrap = self.value.gather(0, end.unsqueeze(0)).squeeze(0)
        error = gained + carried * bootstrap - self.action_value[start]
        self.weight[start] = torch.where(self.learn[start], self._weight_of(error), 0.0)

    def _weight_of(self, error: Tensor) -> Tensor:
        """How often a transition is drawn, beside others."""
        return (error.abs() + 1e-2) ** self.priority

    def draw(self, count: int, compensation: float, generator: torch.Generator) -> Draw:
        """Draws transitions, with replacement.

        Args:
            count: how many.
            compensation: exponent of the weight that makes up for drawing some more often; 1
                makes up for it wholly, 0 not at all.
            generator: where chance comes from.
        """
        total = self.weight.flatten().double().cumsum(0)
        wanted = torch.rand(count, generator=generator, dtype=torch.float64) * total[-1]
        place = torch.searchsorted(total, wanted, right=True).clamp_(max=len(total) - 1)
        after = self.end.flatten()[place] * self.rows + place % self.rows
        mean = total[-1].float() / (self.weight > 0).sum()
        observation = self.observation.flatten(0, 1)
        return Draw(
            place,
            observation.index_select(0, place),
            self.action.flatten()[place],
            self.dt.flatten()[place],
            self.gained.flatten()[place],
            observation.index_select(0, after),
            self.carried.flatten()[place],
            (mean / self.weight.flatten()[place]) ** compensation,
        )

    def reweigh(self, place: Tensor, error: Tensor) -> None:
        """Takes new temporal-difference errors of drawn transitions over."""
        self.weight.view(-1)[place] = self._weight_of(error)

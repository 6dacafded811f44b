"""The interface between whatever acts and whatever answers.

A world is a batch: `row_count` road users, in rows, step together. Arrays are views on the
world's own memory and change in place at each `step`; copy what must be kept.

The protocol of one step, for a row:

1. `observation[row]` shows the present; `active[row]` tells whether a road user drives there.
2. The actor writes an action for every row (rows that are not active ignore theirs).
3. `step` moves the world. `reward`, `terminated` and `truncated` now tell what the action
   brought, and `observation` shows the state it led to, also where an episode ended there.
4. Where an episode ended, the row is inactive during the next step, in which a new road user
   takes its place: the action taken then counts for nothing and must not be learned from.

So the value of `observation` after the step is the right bootstrap for a truncated episode,
with no second observation array.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from torch import Tensor

from gigalane.sim.control import ActionSpace
from gigalane.sim.layout import RowLayout


class World(Protocol):
    """A batch of road users that observe, act and are rewarded."""

    row_count: int
    action_space: ActionSpace

    @property
    def layout(self) -> RowLayout:
        """What a row of `observation` holds."""
        ...

    observation: Tensor
    """(row_count, layout.width): float16, or uint8 where pictures are in it."""
    active: Tensor
    """(row_count,) bool: a road user drives here and its next transition counts."""
    learn: Tensor
    """(row_count,) bool: active, driven by the policy, and fit to be learned from."""
    dt: Tensor
    """(row_count,) float32 [s]: the row's time step."""
    reward: Tensor
    """(row_count,) float32: of the last step; 0 where the row was inactive."""
    terminated: Tensor
    """(row_count,) bool: the last step ended the episode; no value follows."""
    truncated: Tensor
    """(row_count,) bool: the last step ran out of time; the value of what follows counts."""
    reward_terms: Tensor
    """(row_count, terms) float32: the parts of `reward` by name."""
    reward_names: tuple[str, ...]
    events: Tensor
    """(row_count,) int32: bit mask of the facts of the last step."""
    event_names: tuple[str, ...]

    def reset(self, seed: int) -> None:
        """Starts every row anew from `seed`."""
        ...

    def step(self, actions: Tensor) -> None:
        """Moves all rows by one time step.

        Args:
            actions: (row_count,) int64 for a discrete action space, else
                (row_count, action_space.size) float32.
        """
        ...


@runtime_checkable
class ResumableWorld(Protocol):
    """A world that can be saved with its random position and go on exactly there."""

    def state_dict(self) -> dict[str, Tensor]:
        """Everything that changes from step to step, by name."""
        ...

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Goes back to where `state_dict` was taken, observations included."""
        ...


@runtime_checkable
class GuardedWorld(Protocol):
    """A world that notes at each step whether its numbers are sound, for a later look."""

    def check(self) -> None:
        """Raises the world's own error if a number of the steps so far was not."""
        ...


@runtime_checkable
class AdvisedWorld(Protocol):
    """A world with a scripted driver that can be asked for its opinion."""

    def advise(self) -> Tensor:
        """An action for the present of each row.

        Returns:
            (row_count,) int32, -1 where it has no opinion; or (row_count, size) float32, the
            first number below -100 there.
        """
        ...

"""What worlds around another have in common: all that they do not change is the inner world's."""

from __future__ import annotations

from typing import Generic, Protocol, TypeVar

from gigalane.worlds.world import GuardedWorld, ResumableWorld, World


class InnerWorld(World, GuardedWorld, ResumableWorld, Protocol):
    """A world that another can be put around."""


Inner = TypeVar("Inner", bound=InnerWorld)


class WorldAround(Generic[Inner]):
    """All of a `World` but `layout`, `observation` and how it moves: the inner world's own memory.

    Attributes:
        inner: the world in it.
    """

    def __init__(self, inner: Inner) -> None:
        """Shows what the inner world shows."""
        self.inner = inner
        self.row_count, self.action_space = inner.row_count, inner.action_space
        self.reward_names, self.event_names = inner.reward_names, inner.event_names
        self.active, self.learn, self.dt = inner.active, inner.learn, inner.dt
        self.reward, self.reward_terms = inner.reward, inner.reward_terms
        self.terminated, self.truncated = inner.terminated, inner.truncated
        self.events = inner.events

    def check(self) -> None:
        """See `GuardedWorld`."""
        self.inner.check()

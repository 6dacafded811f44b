"""Worlds that go back to shortly before an incident, so that it is met again and again.

Most of what a driver does is easy; what it must learn lies in the seconds before a collision or
a departure from the road, and those are rare. Every second of a world's time its state is kept,
a few deep; when a learning road user has an incident, by chance some world is put back to the
seconds before it: the same world (*resets near incidents*), or the one in which nothing has
happened for longest (*prioritised worlds*: eventful moments take the place of dull ones).

The cut follows the protocol of `gigalane.worlds.world`, so that no value flows across it:

1. The step that brought the incident ends the episodes of everybody else in the world to be put
   back: `truncated`, with the observation of the state they were truly in, whose value counts.
   Nobody is active there.
2. During the next step the world is put back and moves once, everybody repeating the action
   taken last before the kept state. Nothing of it is rewarded or learned from; its observations
   are the first of new episodes.

A world that is put back draws its chances from a new seed (its lights among them), so it does
not repeat itself.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gigalane.core.settings import SettingsError
from gigalane.sim.events import COLLIDED, OFF_ROAD
from gigalane.sim.scene import SceneArrays
from gigalane.worlds.around import WorldAround
from gigalane.worlds.vector import VectorWorld

INCIDENTS = int(COLLIDED) | int(OFF_ROAD)
"""Facts that a world is put back for."""

WRITTEN_ANEW = frozenset(
    (
        *("observation", "reward", "reward_terms", "terminated", "truncated", "events"),
        *("active", "learn", "row_dt", "command", "past_lane", "persona_low", "persona_high"),
    )
)
"""Arrays of a scene that need not be kept: each step writes them before it reads them."""


@dataclass(frozen=True)
class RewindSettings:
    """When worlds go back, and how far; all values are chosen.

    Attributes:
        every_s: time between two kept states of a world [s].
        back_s: how long before the incident the world goes on [s], uniform; the newest state
            that is at least so old.
        chance: share of incidents that put a world back.
        rest_s: time that a world runs undisturbed after it was put back [s]. Without it the
            first hours, in which somebody leaves the road every second, would never pass.
        into: which world is put back: the "same", or the "calmest", that in which nothing has
            happened for longest.
    """

    every_s: float = 1.0
    back_s: tuple[float, float] = (2.0, 5.0)
    chance: float = 0.5
    rest_s: float = 10.0
    into: Literal["same", "calmest"] = "same"

    def __post_init__(self) -> None:
        """Refuses what cannot be done."""
        low, high = self.back_s
        if not (0 < self.every_s <= 60 and 0 < low <= high <= 60):
            raise SettingsError("rewind: every_s and back_s must be above 0 and up to 60 s")
        if not 0 <= self.chance <= 1 or not 0 <= self.rest_s <= 1e6:
            raise SettingsError("rewind: chance must be 0 to 1, rest_s 0 or more")
        if self.into not in ("same", "calmest"):
            raise SettingsError(f"rewind: into is {self.into!r}; choose same or calmest")

    @property
    def depth(self) -> int:
        """States kept of each world: enough that one is as old as `back_s` can ask for."""
        return math.ceil(self.back_s[1] / self.every_s) + 2


class RewindingWorld(WorldAround[VectorWorld]):
    """A `World` around the simulator's; everything it shows is the simulator's own memory.

    Attributes:
        inner: the world that is put back.
        settings: when, and how far.
        rewinds: how often a world was put back since the start.
    """

    def __init__(self, inner: VectorWorld, settings: RewindSettings, seed: int = 0) -> None:
        """Makes room for the kept states.

        Args:
            inner: the worlds; on the CPU.
            settings: when they go back.
            seed: of which incidents count and of the new chances, until `reset` gives another.

        Raises:
            SettingsError: if the worlds are on a GPU.
        """
        if inner.observation.device.type != "cpu":
            raise SettingsError("rewind: keeps states on the CPU only; train with device cpu")
        super().__init__(inner)
        self.settings = settings
        self.layout, self.observation = inner.layout, inner.observation
        worlds = inner.simulator.shape[0]
        self._rows = _state_rows(inner)
        depth = settings.depth
        self._kept = {name: np.zeros((depth, worlds), r.dtype) for name, r in self._rows.items()}
        self._begin(seed)

    def reset(self, seed: int) -> None:
        """Starts every world anew and forgets the kept states."""
        self.inner.reset(seed)
        self._begin(seed)

    def step(self, actions: Tensor) -> None:
        """Moves all rows by one time step; see the module for what happens at a cut."""
        back = np.flatnonzero(self._pending[:, 0] >= 0)
        if len(back):
            actions = self._put_back(back, actions)
        could_learn = self.learn.clone()
        was_active = self.active.clone()
        self.inner.step(actions)
        self._elapsed += self._world_dt
        if len(back):
            self._hide(back)
        self._cut(could_learn, was_active)
        self._keep()
        self._steps += 1

    def state_dict(self) -> dict[str, Tensor]:
        """Everything that changes from step to step, as bytes by name."""
        state = self.inner.state_dict()
        for name, values in self._memory().items():
            state[f"rewind.{name}"] = torch.from_numpy(
                np.frombuffer(values.tobytes(), np.uint8).copy()
            )
        return state

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Goes back to where `state_dict` was taken.

        Raises:
            ValueError: if the state is of worlds of another shape or of other settings.
        """
        mine = {n.removeprefix("rewind."): t for n, t in state.items() if n.startswith("rewind.")}
        self.inner.load_state_dict({n: t for n, t in state.items() if not n.startswith("rewind.")})
        for name, values in self._memory().items():
            saved = mine[name].numpy().tobytes() if name in mine else b""
            if len(saved) != values.nbytes:
                raise ValueError(f"rewind.{name}: {len(saved)} bytes saved, {values.nbytes} needed")
            values[...] = np.frombuffer(saved, values.dtype).reshape(values.shape)

    @property
    def rewinds(self) -> int:
        """How often a world was put back since the start."""
        return int(self._counts[0])

    @property
    def _steps(self) -> int:
        return int(self._counts[1])

    @_steps.setter
    def _steps(self, value: int) -> None:
        self._counts[1] = value

    @property
    def _world_dt(self) -> NDArray[np.float32]:
        """Time step of each world [s], (worlds,), a view."""
        return self.inner.simulator.scene.dt.numpy()

    def _memory(self) -> dict[str, NDArray[np.generic]]:
        """What this world remembers itself, by name."""
        kept = {f"kept.{name}": values for name, values in self._kept.items()}
        return {
            **kept,
            "times": self._times,
            "slot": self._slot,
            "elapsed": self._elapsed,
            "rested": self._rested,
            "eventful": self._eventful,
            "pending": self._pending,
            "counts": self._counts,
        }

    def _begin(self, seed: int) -> None:
        """Forgets everything. Times are of the wrapper's own clocks, which never go back [s]."""
        worlds = self.inner.simulator.shape[0]
        self._times = np.full((self.settings.depth, worlds), -np.inf)  # when a state was kept
        self._slot = np.zeros(worlds, np.int64)  # where the newest state of a world lies
        self._elapsed = np.zeros(worlds)
        self._rested = np.zeros(worlds)  # from when on a world may be put back again
        self._eventful = np.zeros(worlds)  # when something last happened
        self._pending = np.full((worlds, 2), -1, np.int64)  # (world, slot) to go on from
        self._counts = np.array([0, 0, seed], np.int64)  # rewinds, steps, seed
        self._keep()

    def _put_back(self, back: NDArray[np.int64], actions: Tensor) -> Tensor:
        """Puts worlds back before the step; returns the actions to move with."""
        source, slot = self._pending[back].T
        # All sources are read before any of them is written: one may go back itself.
        taken = {name: self._kept[name][slot, source] for name in self._rows}
        for name, values in taken.items():
            self._rows[name][back] = values
        scene = self.inner.simulator.scene
        scene.seed.numpy()[back] = [
            np.random.SeedSequence([*self._counts[[2, 1]], world]).generate_state(1)[0]
            for world in back
        ]
        if self.inner.guard:  # it drives failures again from its own snapshot and knows no cuts
            self.inner.guard.begin()
        actions = actions.clone()
        held = torch.from_numpy(scene.action.numpy()[back])
        of_world = actions.view(*self.inner.simulator.shape, *actions.shape[1:])
        if self.action_space.is_discrete:
            of_world[torch.from_numpy(back)] = held[..., 0].to(actions.dtype)
        else:
            of_world[torch.from_numpy(back)] = held[..., : self.action_space.size]
        self._times[:, back] = -np.inf
        self._pending[back] = -1
        self._rested[back] = self._elapsed[back] + self.settings.rest_s
        self._eventful[back] = self._elapsed[back]
        self._counts[0] += len(back)
        return actions

    def _hide(self, back: NDArray[np.int64]) -> None:
        """The step in which worlds were put back brought nothing to anybody."""
        worlds = torch.from_numpy(back)
        for values in (self.reward, self.reward_terms, self.terminated, self.truncated):
            self._by_world(values)[worlds] = 0
        self._by_world(self.events)[worlds] = 0

    def _cut(self, could_learn: Tensor, was_active: Tensor) -> None:
        """Chooses worlds to put back and ends the episodes that run in them."""
        happened = could_learn & ((self.events & INCIDENTS) != 0)
        incident = self._by_world(happened).any(dim=1).numpy()
        if not incident.any():
            return
        self._eventful[incident] = self._elapsed[incident]
        random = np.random.default_rng(self._counts[[2, 1]])
        for world in np.flatnonzero(incident):
            chance, back_s = random.random(), random.uniform(*self.settings.back_s)
            slot = self._state_before(int(world), back_s)
            target = self._target(int(world))
            if slot < 0 or target < 0 or chance >= self.settings.chance:
                continue
            self._pending[target] = world, slot
            rows = self._by_world(self.active)[target]
            goes_on = rows & self._by_world(was_active)[target]
            self._by_world(self.truncated)[target] |= goes_on
            rows.zero_()
            self._by_world(self.learn)[target].zero_()

    def _state_before(self, world: int, back_s: float) -> int:
        """Slot of the newest state of a world that is at least so old, or -1."""
        times = self._times[:, world]
        old_enough = np.where(times <= self._elapsed[world] - back_s + 1e-6, times, -np.inf)
        slot = int(old_enough.argmax())
        return slot if np.isfinite(old_enough[slot]) else -1

    def _target(self, world: int) -> int:
        """The world to put back for an incident in `world`, or -1."""
        free = (self._pending[:, 0] < 0) & (self._elapsed >= self._rested)
        if self.settings.into == "same":
            return world if free[world] else -1
        free[world] = False
        calm = np.where(free, self._elapsed - self._eventful, -1.0)
        target = int(calm.argmax())
        return target if calm[target] > 0 else -1

    def _keep(self) -> None:
        """Keeps the states of the worlds whose newest one is old; not of those about to go back."""
        worlds = np.arange(len(self._slot))
        newest = self._times[self._slot, worlds]
        is_due = self._elapsed - newest >= self.settings.every_s - 1e-6
        due = np.flatnonzero(is_due & (self._pending[:, 0] < 0))
        if not len(due):
            return
        # A state that somebody is about to go on from must outlive the next step.
        slot = (self._slot[due] + 1) % self.settings.depth
        wanted = {(w, s) for w, s in self._pending.tolist() if w >= 0}
        is_free = np.array([(w, s) not in wanted for w, s in zip(due, slot, strict=True)])
        due, slot = due[is_free], slot[is_free]
        for name, rows in self._rows.items():
            self._kept[name][slot, due] = rows[due]
        self._times[slot, due] = self._elapsed[due]
        self._slot[due] = slot

    def _by_world(self, rows: Tensor) -> Tensor:
        """A view (worlds, agents, …) of an array of rows."""
        return rows.view(*self.inner.simulator.shape, *rows.shape[1:])


def _state_rows(inner: VectorWorld) -> dict[str, NDArray[np.void]]:
    """What must be kept of each world: by name one item of bytes a world, views on its memory."""
    scene = inner.simulator.scene
    worlds = inner.simulator.shape[0]
    rows = {}
    for name in SceneArrays.vars:
        if name not in WRITTEN_ANEW:
            values = getattr(scene, name).numpy()
            flat = values.reshape(worlds, -1).view(np.uint8)
            rows[name] = flat.view(f"V{flat.shape[1]}")[:, 0]
    return rows

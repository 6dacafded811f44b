"""Counts what happened in agent episodes: one row an episode, weighed by nobody."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from gigalane.sim.scene import PEDESTRIAN
from gigalane.worlds.vector import VectorWorld
from gigalane.worlds.world import World

EPISODE = np.dtype(
    [
        ("world", np.int32),
        ("kind", np.int32),  # of the road user, `gigalane.sim.scene.KIND_NAMES`
        ("seconds", np.float32),  # how long it lasted [s]
        ("metres", np.float32),  # distance driven [m]
        ("completion", np.float32),  # share of the route covered, 0 to 1
        ("collided", np.bool_),
        ("hit_pedestrian", np.bool_),  # whether the collision was with one
        ("off_road", np.bool_),
        ("ran_red", np.int32),  # how often
        ("ran_stop", np.int32),  # how often, out-of-turn starts included
        ("wrong_way", np.bool_),
        ("reached_goal", np.bool_),
        ("missed_goal", np.bool_),
        ("timed_out", np.bool_),
    ]
)
"""One agent episode."""


@dataclass
class EpisodeCounter:
    """Watches a roll-out and collects the episodes of vehicles and cyclists that end in it.

    Attributes:
        starts_before_s: only episodes that began before this time of their world count [s];
            every one that counts then had the same time to end in.
        episodes: the records so far.
    """

    world: VectorWorld
    starts_before_s: float = np.inf
    episodes: list[NDArray[np.void]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Starts counting from the world's present state."""
        rows = self.world.row_count
        self._open = np.zeros(rows, EPISODE)
        agents = self.world.simulator.shape[1]
        self._open["world"] = np.arange(rows) // agents
        self._began = np.zeros(rows)
        self._bit = {name: 1 << k for k, name in enumerate(self.world.event_names)}
        self._was_active = self.world.active.numpy().copy()

    def before(self, step: int, world: World, actions: Tensor) -> None:
        """Notes who drives in the step to come."""
        del step, actions
        self._was_active = world.active.numpy().copy()

    def after(self, step: int, world: World) -> None:
        """Adds what the step brought and closes the episodes that ended in it."""
        del step
        scene = self.world.simulator.scene
        body = scene.body.numpy().reshape(-1)
        route = scene.route.numpy().reshape(-1)
        dt, events = world.dt.numpy(), world.events.numpy()
        acted, rows = self._was_active, self._open
        rows["seconds"][acted] += dt[acted]
        rows["metres"][acted] += np.abs(body["speed"] * dt)[acted]
        done = np.clip(route["progress"] / np.maximum(route["length"], 1.0), 0.0, 1.0)
        rows["completion"] = np.where(
            acted, np.maximum(rows["completion"], done), rows["completion"]
        )

        def happened(*names: str) -> NDArray[np.bool_]:
            mask = sum(self._bit[name] for name in names)
            return acted & ((events & mask) != 0)

        rows["ran_red"] += happened("ran_red")
        rows["ran_stop"] += happened("ran_stop", "out_of_turn")
        for name in (
            "collided",
            "hit_pedestrian",
            "off_road",
            "wrong_way",
            "reached_goal",
            "missed_goal",
            "timed_out",
        ):
            rows[name] |= happened(name)
        rows["completion"][rows["reached_goal"]] = 1.0
        ended = acted & (world.terminated.numpy() | world.truncated.numpy())
        self._close(ended, scene.traits.numpy().reshape(-1))

    def _close(self, ended: NDArray[np.bool_], traits: NDArray[np.void]) -> None:
        """Moves ended episodes to the list and opens new ones in their rows."""
        clock = self.world.simulator.scene.clock.numpy() * self.world.simulator.scene.dt.numpy()
        now = np.repeat(clock, self.world.simulator.shape[1])
        counts = ended & (self._began < self.starts_before_s) & (traits["kind"] != PEDESTRIAN)
        self._open["kind"] = traits["kind"]
        self.episodes.append(self._open[counts].copy())
        for name in (EPISODE.names or ())[1:]:
            self._open[name][ended] = 0
        self._began[ended] = now[ended]

    def table(self) -> NDArray[np.void]:
        """All episodes that ended, (n,) records of `EPISODE`."""
        return np.concatenate([np.zeros(0, EPISODE), *self.episodes])

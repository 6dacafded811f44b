"""Stops a simulation whose numbers have left the road, and keeps what led there.

Worlds are deterministic, so nothing heavy is kept while all is well: a snapshot now and then,
and the actions since. When a number is no number any more, or a position lies outside every
map, the steps since the snapshot are driven again and written down as a recording that
`gigalane view` opens.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gigalane.core.settings import RunError
from gigalane.maps.road import RoadMap
from gigalane.sim.recorder import Recorder
from gigalane.sim.scene import ABSENT
from gigalane.sim.simulator import Simulator

FARTHEST = 1.0e6
"""No position lies further from its map's middle than this [m]."""


class SimulationError(RunError):
    """A simulation that cannot go on; the message names the world and the recording of it."""


class Guard:
    """Watches a simulator; call `check` after every step.

    Attributes:
        simulator: what is watched.
    """

    def __init__(
        self,
        simulator: Simulator,
        road_maps: Sequence[RoadMap],
        folder: str | os.PathLike[str] = ".",
        every: int = 64,
    ) -> None:
        """Starts watching.

        Args:
            simulator: what is watched.
            road_maps: its maps, in its order.
            folder: where a recording of a failure goes.
            every: steps between two snapshots.
        """
        self.simulator, self._maps, self._folder = simulator, list(road_maps), Path(folder)
        self._every = every
        self.begin()

    def begin(self) -> None:
        """Starts watching anew, after the simulator was reset or restored."""
        self._actions: list[NDArray[np.float32]] = []
        self._snapshot = self.simulator.snapshot()

    def check(self) -> None:
        """Looks at the step that was just taken.

        Raises:
            SimulationError: if a number is not finite or a position lies nowhere.
        """
        scene = self.simulator.scene
        self._actions.append(scene.action.numpy().copy())
        bad = self._bad_worlds()
        if len(bad):
            raise SimulationError(self._explain(int(bad[0])))
        if len(self._actions) >= self._every:
            self.begin()

    def _bad_worlds(self) -> NDArray[np.int64]:
        """Worlds with a number that is none, or a position outside all maps."""
        scene = self.simulator.scene
        body: Any = scene.body.numpy()
        # A road user whose numbers are none leaves the road at once, so the ended count too.
        there = scene.status.numpy() != ABSENT
        sound = np.isfinite(scene.reward.numpy())
        # Limits would turn an action that is no number into the largest one allowed.
        sound &= np.isfinite(scene.action.numpy()).all(axis=-1)
        for name in ("x", "y", "z", "speed", "heading"):
            sound &= np.abs(body[name]) < FARTHEST
        return np.flatnonzero((there & ~sound).any(axis=1))

    def _explain(self, world: int) -> str:
        """Drives the steps since the snapshot again and keeps them; says where."""
        simulator = self.simulator
        steps = int(simulator.scene.clock.numpy()[world])
        road_map = self._maps[int(simulator.scene.map_index.numpy()[world])]
        self._folder.mkdir(parents=True, exist_ok=True)
        simulator.restore(self._snapshot)
        recorder = Recorder(simulator, road_map, world, f"failure of world {world}")
        recorder.take()
        for actions in self._actions[:-1]:
            simulator.scene.action.assign(actions)
            simulator.step()
            recorder.take()
        path = self._folder / f"failure-world-{world}-step-{steps}.npz"
        recorder.recording().save(path)
        return (
            f"world {world} on {road_map.name}: a number left all bounds at step {steps}; "
            f"the steps before it are in {path}: look at them with gigalane view {path}"
        )

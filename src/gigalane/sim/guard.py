"""Stops a simulation whose numbers have left the road, and keeps what led there.

Worlds are deterministic, so nothing heavy is kept while all is well: a copy of what changes now
and then, and the actions since, all where the simulator's own arrays are. A kernel looks at
every step and notes the first bad one of each world; its notes are read once in a while, so
that nobody waits for a device. When a number is no number any more, or a position lies outside
every map, the steps since the copy are driven again and written down as a recording that
`gigalane view` opens.
"""

# pyright: reportGeneralTypeIssues=false, reportInvalidTypeForm=false, reportCallIssue=false
# pyright: reportOperatorIssue=false, reportReturnType=false, reportArgumentType=false
# pyright: reportAttributeAccessIssue=false, reportIndexIssue=false, reportAssignmentType=false

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import warp as wp

from gigalane.core.kernels import load_kernels
from gigalane.core.settings import RunError
from gigalane.maps.road import RoadMap
from gigalane.sim.recorder import Recorder
from gigalane.sim.scene import ABSENT, SceneArrays
from gigalane.sim.simulator import SHARED, Simulator

FARTHEST = wp.constant(1.0e6)
"""No position lies further from its map's middle than this [m]."""
HISTORY_BYTES = 1 << 28
"""Most memory that actions are kept in; very large batches are copied more often instead."""

_SOUND = 2**31 - 1
"""Noted of a world in which nothing was wrong."""


class SimulationError(RunError):
    """A simulation that cannot go on; the message names the world and the recording of it."""


@wp.kernel(enable_backward=False)
def note_step(
    # settings
    step: int,
    # scene in
    scene: SceneArrays,
    # out
    history_out: wp.array4d(dtype=float),
    first_bad_out: wp.array(dtype=int),
):
    """Keeps the actions of a step and notes the worlds it left in a bad state.

    Args:
        step: of the history.
        scene: the worlds.
        history_out: (steps, worlds, agents, 3) actions.
        first_bad_out: (worlds,) first step after which a number was none, or a position
            outside all maps.
    """
    world, agent = wp.tid()
    sound = wp.isfinite(scene.reward[world, agent])
    # Limits would turn an action that is no number into the largest one allowed.
    for k in range(3):
        action = scene.action[world, agent, k]
        history_out[step, world, agent, k] = action
        sound = sound and wp.isfinite(action)
    body = scene.body[world, agent]
    sound = sound and wp.abs(body.x) < FARTHEST and wp.abs(body.y) < FARTHEST
    sound = sound and wp.abs(body.z) < FARTHEST and wp.abs(body.speed) < FARTHEST
    sound = sound and wp.abs(body.heading) < FARTHEST
    # A road user whose numbers are none leaves the road at once, so the ended count too.
    if scene.status[world, agent] != ABSENT and not sound:
        wp.atomic_min(first_bad_out, world, step)


class Guard:
    """Watches a simulator: `note` after every step, `check` where waiting does no harm.

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
            every: steps between two copies, at most; then it is checked by itself.
        """
        self.simulator, self._maps, self._folder = simulator, list(road_maps), Path(folder)
        scene, device = simulator.scene, simulator.device
        worlds, agents = simulator.shape
        self._every = max(1, min(every, HISTORY_BYTES // (12 * worlds * agents)))
        self._history = wp.zeros((self._every, worlds, agents, 3), dtype=float, device=device)
        self._first_bad = wp.full(worlds, _SOUND, dtype=int, device=device)
        # Observations follow from the rest, and are most of it.
        names = [name for name in SceneArrays.vars if name not in (*SHARED, "observation")]
        self._kept = {name: wp.empty_like(getattr(scene, name)) for name in names}
        load_kernels(note_step, device)
        self._note: Any = wp.launch(
            note_step,
            dim=(worlds, agents),
            inputs=[0, scene, self._history, self._first_bad],
            device=device,
            record_cmd=True,
        )
        self.begin()

    def begin(self) -> None:
        """Starts watching anew, after the simulator was reset or restored.

        Raises:
            SimulationError: as `check`, for what was noted before.
        """
        self.check()
        self._steps = 0
        for name, kept in self._kept.items():
            wp.copy(kept, getattr(self.simulator.scene, name))

    def note(self) -> None:
        """Looks at the step that was just taken.

        Raises:
            SimulationError: as `check`, which is done when the memory is full.
        """
        self._note.set_param_at_index(0, self._steps)
        self._note.launch()
        self._steps += 1
        if self._steps == self._every:
            self.begin()

    def check(self) -> None:
        """Reads what was noted.

        Raises:
            SimulationError: if a number was not finite or a position lay nowhere.
        """
        first_bad = self._first_bad.numpy()
        world, step = int(first_bad.argmin()), int(first_bad.min())
        if step < _SOUND:
            self._first_bad.fill_(_SOUND)  # it is told once
            raise SimulationError(self._explain(world, step))

    def _explain(self, world: int, bad: int) -> str:
        """Drives the steps since the copy again and keeps them; says where.

        Args:
            world: which world.
            bad: step of the history that went wrong.
        """
        simulator = self.simulator
        for name, kept in self._kept.items():
            wp.copy(getattr(simulator.scene, name), kept)
        steps = int(simulator.scene.clock.numpy()[world]) + bad + 1
        road_map = self._maps[int(simulator.scene.map_index.numpy()[world])]
        self._folder.mkdir(parents=True, exist_ok=True)
        recorder = Recorder(simulator, road_map, world, f"failure of world {world}")
        recorder.take()
        for step in range(bad):
            wp.copy(simulator.scene.action, self._history[step])
            simulator.step()
            recorder.take()
        path = self._folder / f"failure-world-{world}-step-{steps}.npz"
        recorder.recording().save(path)
        return (
            f"world {world} on {road_map.name}: a number left all bounds at step {steps}; "
            f"the steps before it are in {path}: look at them with gigalane view {path}"
        )

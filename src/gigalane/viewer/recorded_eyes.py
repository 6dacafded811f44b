"""What the cameras of recorded road users saw, drawn afterwards from the recording.

The renderer draws a `Simulator`'s world. Here is one that never steps: before each picture the
recorded poses, sizes, kinds and brakes are written where the renderer reads them. Lights are a
function of seed and time there; here every stop line is given a programme that shows for ever
what was recorded, one of three that know one colour each.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import warp as wp
from numpy.typing import NDArray

from gigalane.core.settings import SettingsError
from gigalane.maps.arrays import Program
from gigalane.render.appearance import Appearance
from gigalane.render.camera import Rig
from gigalane.render.renderer import CameraRenderer
from gigalane.sim.recording import SEED_SETTING, Recording
from gigalane.sim.scene import ACTIVE, KIND_NAMES
from gigalane.sim.settings import LightSettings, SimulatorSettings
from gigalane.sim.simulator import Simulator
from gigalane.viewer.moment import moment_at


class RecordedEyes:
    """Cameras on road users of a recording.

    Attributes:
        recording: what is looked at.
        rig: the cameras of each road user.
        agents: the slots that are looked from.
    """

    def __init__(
        self,
        recording: Recording,
        rig: Rig,
        agents: Sequence[int],
        *,
        appearance: Appearance | None = None,
        threads: int | None = None,
    ) -> None:
        """Compiles the map and its scenery.

        Args:
            recording: what is looked at.
            rig: the cameras of each road user.
            agents: slots that are looked from.
            appearance: what the world looks like; one fixed clear day by default.
            threads: CPU threads; all cores by default. Images do not depend on it.

        Raises:
            SettingsError: a slot that the recording does not have.
            MapError: the recording's map has no drivable lane.
        """
        for agent in agents:
            if not 0 <= agent < recording.agents:
                raise SettingsError(no_such_slot(recording, agent))
        self.recording, self.rig, self.agents = recording, rig, tuple(agents)
        settings = SimulatorSettings(
            worlds=1, agents=recording.agents, lights=LightSettings.as_mapped()
        )
        simulator = Simulator(recording.road_map, settings, threads=threads, start=False)
        scene: Any = simulator.scene
        scene.seed.fill_(wp.uint32(_seed_of(recording)))
        scene.dt.fill_(recording.dt)
        scene.agent_count.fill_(recording.agents)
        scene.status.fill_(ACTIVE)
        self._origin = simulator.maps[0].origin_map
        self._scene, self._controls = scene, _steady_lights(simulator)
        known = {name: number for number, name in enumerate(KIND_NAMES)}
        self._kind = np.array([known.get(name, 0) for name in recording.kind_names] or [0])
        self._renderer = CameraRenderer(
            simulator, rig, recording.road_map, agents=self.agents, appearance=appearance
        )

    def at(self, time: float) -> NDArray[np.uint8]:
        """What the cameras see at a time.

        Args:
            time: since the first recorded moment [s]; between steps road users are interpolated.

        Returns:
            (agents, cameras, height, width, 3); black where a slot holds nobody.
        """
        self._place(time)
        self._renderer.render()
        return self._renderer.image("rgb")[0].copy()

    def _place(self, time: float) -> None:
        """Writes the world of a moment where the renderer reads it."""
        recording, scene = self.recording, self._scene
        moment = moment_at(recording, time)
        step = moment.step
        size = recording.size[step].astype(np.float64)
        boxes = scene.boxes.numpy()[0]
        bottom = moment.position - self._origin
        bottom[:, 2] -= 0.5 * size[:, 2]
        kind = self._kind[recording.kind[step]]
        boxes[:3] = np.where(moment.shown, bottom.T, 0.0)
        boxes[3] = np.where(moment.shown, np.cos(moment.heading), 1.0)
        boxes[4] = np.where(moment.shown, np.sin(moment.heading), 0.0)
        boxes[5] = recording.speed[step]
        boxes[6], boxes[7] = 0.5 * size[:, 0], 0.5 * size[:, 1]
        boxes[8] = np.where(moment.shown, kind, -1.0)
        traits = scene.traits.numpy()[0]
        for column, name in enumerate(("length", "width", "height")):
            traits[name] = size[:, column]
        traits["kind"] = kind
        scene.body.numpy()[0]["acceleration"] = recording.acceleration[step, :, 0]
        scene.duty.numpy()[0]["episode"] = recording.episode[step]
        scene.clock.fill_(step)
        self._controls["program"] = recording.light_state[step].astype(np.int32) - 1


def no_such_slot(recording: Recording, agent: int) -> str:
    """What to say of a slot that a recording does not have."""
    if not recording.agents:
        return f"agent {agent}: the recording holds no road user"
    return f"agent {agent}: there is no such road user; choose 0 to {recording.agents - 1}"


def _seed_of(recording: Recording) -> int:
    """The seed of the world that was recorded; 0 where it is not known."""
    seed = recording.settings.get(SEED_SETTING, 0)
    return seed & 0xFFFFFFFF if type(seed) is int else 0


def _steady_lights(simulator: Simulator) -> NDArray[np.void]:
    """Gives a simulator three light programmes: for ever green, yellow and red.

    Returns:
        Its stop lines, (lines,): what `program` is set to, they show; -1 shows nothing.
    """
    road: Any = simulator.road
    record: Any = Program
    programs: NDArray[Any] = np.zeros(3, record.numpy_dtype())
    programs["stage_start"], programs["stage_count"] = [0, 1, 2], 1
    road.programs = wp.array(programs, dtype=Program, device="cpu")
    # Durations of green, yellow and red in the only stage of each.
    road.stages = wp.array(np.eye(3, dtype=np.float32), dtype=wp.vec3, device="cpu")
    controls = road.controls.numpy()
    controls["green_stages"] = 1
    return controls

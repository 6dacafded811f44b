"""Writes one world of a running simulator down as a `Recording`."""

# pyright: reportGeneralTypeIssues=false, reportInvalidTypeForm=false, reportCallIssue=false
# pyright: reportOperatorIssue=false, reportReturnType=false, reportArgumentType=false
# pyright: reportAttributeAccessIssue=false, reportIndexIssue=false

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
import warp as wp
from numpy.typing import NDArray

from gigalane.maps.arrays import MapArrays
from gigalane.maps.road import RoadMap
from gigalane.sim.lights import light_state
from gigalane.sim.recording import SEED_SETTING, Recording
from gigalane.sim.scene import (
    ABSENT,
    BOX_CHANNELS,
    DRIVER_NAMES,
    KIND_NAMES,
    SceneArrays,
)
from gigalane.sim.settings import PERSONA_NAMES, Rules
from gigalane.sim.simulator import Simulator

SHOWN_WAYPOINTS = 4
"""Way-points kept of each route: the next three and the goal."""


@wp.kernel(enable_backward=False)
def _light_states(
    rules: Rules,
    world: int,
    first_control: int,
    road: MapArrays,
    scene: SceneArrays,
    state_out: wp.array(dtype=int),
):
    control = wp.tid()
    time = float(scene.clock[world]) * scene.dt[world]
    state_out[control] = light_state(
        rules, road, road.controls[first_control + control], scene.seed[world], time
    )


class Recorder:
    """Takes a moment of one world after another.

    Attributes:
        simulator: what is watched.
        world: which of its worlds.
    """

    def __init__(
        self, simulator: Simulator, road_map: RoadMap, world: int = 0, title: str = ""
    ) -> None:
        """Watches one world.

        Args:
            simulator: what is watched.
            road_map: the map that world runs on.
            world: which world.
            title: one line that tells it from others.
        """
        self.simulator, self.world = simulator, world
        self._road_map, self._title = road_map, title or road_map.name
        self._origin = simulator.maps[simulator.scene.map_index.numpy()[world]].origin_map
        self._moments: list[dict[str, NDArray[Any]]] = []

    def take(self) -> None:
        """Adds the present moment."""
        scene, world = self.simulator.scene, self.world
        body, traits = scene.body.numpy()[world], scene.traits.numpy()[world]
        status = scene.status.numpy()[world]
        seen = scene.boxes.numpy()[world, BOX_CHANNELS - 1] >= 0
        centre_z = body["z"] + 0.5 * traits["height"]
        position = np.stack([body["x"], body["y"], centre_z], axis=1)
        size = np.stack([traits["length"], traits["width"], traits["height"]], axis=1)
        self._moments.append(
            {
                "position_map": (position + self._origin).astype(np.float32),
                "heading": body["heading"].copy(),
                "speed": body["speed"].copy(),
                "acceleration": np.stack([body["acceleration"], body["lateral_acceleration"]], 1),
                "steering": body["steering"].copy(),
                "alive": seen & (status != ABSENT),
                "episode": scene.duty.numpy()[world]["episode"].copy(),
                "size": size,
                "kind": traits["kind"].astype(np.uint8),
                "driver": traits["driver"].astype(np.uint8),
                "events": scene.events.numpy()[world].astype(np.uint32),
                "reward_terms": scene.reward_terms.numpy()[world].copy(),
                "persona": scene.persona.numpy()[world].copy(),
                "waypoints_map": self._waypoints(scene.route.numpy()[world]),
                "light_state": self._lights(),
            }
        )

    def recording(self) -> Recording:
        """Everything taken so far."""
        arrays = {
            name: np.stack([moment[name] for moment in self._moments]) for name in self._moments[0]
        }
        simulator = self.simulator
        return Recording(
            road_map=self._road_map,
            dt=float(simulator.scene.dt.numpy()[self.world]),
            kind_names=KIND_NAMES,
            driver_names=DRIVER_NAMES,
            event_names=simulator.event_names,
            reward_names=simulator.reward_names,
            persona_names=PERSONA_NAMES,
            title=self._title,
            settings=asdict(simulator.settings)
            | {SEED_SETTING: int(simulator.scene.seed.numpy()[self.world])},
            **arrays,
        )

    def _waypoints(self, route: NDArray[np.void]) -> NDArray[np.float32]:
        """The next way-points (agents, SHOWN_WAYPOINTS, 2) [m], map frame; the goal last."""
        points = np.stack([route["waypoint_x"], route["waypoint_y"]], axis=-1)
        points = points + self._origin[:2]
        index = route["waypoint_index"][:, None] + np.arange(SHOWN_WAYPOINTS)
        last = np.maximum(route["waypoint_count"][:, None] - 1, 0)
        shown = np.minimum(index, last)
        shown[:, -1] = last[:, 0]
        chosen = np.take_along_axis(points, shown[..., None], axis=1).astype(np.float32)
        chosen[(index > last) & (np.arange(SHOWN_WAYPOINTS) < SHOWN_WAYPOINTS - 1)] = np.nan
        return chosen

    def _lights(self) -> NDArray[np.uint8]:
        """What the light at each stop line shows (stop lines,)."""
        simulator = self.simulator
        at = int(simulator.scene.map_index.numpy()[self.world])
        count = len(simulator.maps[at].controls)
        if not count:
            return np.zeros(0, np.uint8)
        state = wp.zeros(count, dtype=int, device=simulator.device)
        first = sum(len(m.controls) for m in simulator.maps[:at])
        wp.launch(
            _light_states,
            dim=count,
            device=simulator.device,
            inputs=[simulator.rules, self.world, first, simulator.road, simulator.scene],
            outputs=[state],
        )
        return state.numpy().astype(np.uint8)

"""The public simulator: many worlds of road users, stepped together."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import warp as wp
from numpy.typing import ArrayLike, NDArray

from gigalane.core.kernels import require_device
from gigalane.core.rng import world_seeds
from gigalane.core.settings import SettingsError
from gigalane.maps.compile import CompiledMap, compile_map
from gigalane.maps.road import RoadMap
from gigalane.maps.stack import stack_maps
from gigalane.sim.control import ACTION_SPACES
from gigalane.sim.events import EVENT_NAMES
from gigalane.sim.launches import SlicedLaunches, StagedLaunches, copy_actions
from gigalane.sim.reward import REWARD_NAMES
from gigalane.sim.scene import ENDED, SceneArrays, allocate_scene
from gigalane.sim.settings import SimulatorSettings, rules_of

SHARED = ("persona_low", "persona_high")
"""Arrays of a scene that never change."""


@dataclass(frozen=True)
class Snapshot:
    """Everything that changes in a simulator, at one moment."""

    arrays: dict[str, NDArray[Any]]


class Simulator:
    """Worlds of road users on road maps.

    All arrays are views on the simulator's memory: they change in place at every step. Shapes
    lead with (worlds, agents).

    Attributes:
        settings: the batch's settings.
        maps: the compiled maps, in the order that `scene.map_index` counts.
        layout: the slots of an observation row.
        action_space: how actions are written.
        rules: the settings as kernels read them.
        road: the maps as kernels read them (`gigalane.maps.arrays.MapArrays`).
        scene: every changing array (`gigalane.sim.scene.SceneArrays`).
        reward_names: names of the reward terms.
        event_names: names of the event bits.
    """

    def __init__(
        self,
        maps: Sequence[RoadMap | CompiledMap] | RoadMap | CompiledMap,
        settings: SimulatorSettings | None = None,
        *,
        seed: int = 0,
        device: str = "cpu",
        threads: int | None = None,
        map_of_world: ArrayLike | None = None,
        first_world: int = 0,
        start: bool = True,
    ) -> None:
        """Compiles the maps, allocates the worlds and starts them.

        Args:
            maps: one map, or several that the worlds share out in turn.
            settings: the batch; defaults are for training.
            seed: of everything random.
            device: "cpu" or a CUDA device.
            threads: CPU threads; all cores by default. Results do not depend on it.
            map_of_world: (worlds,) index of each world's map; by default in turn.
            first_world: number of the first world in a larger batch that these are a part of;
                they are then exactly that batch's.
            start: whether to start the worlds; otherwise `reset` or `restore` must follow.

        Raises:
            MapError: if a map has no drivable lane.
            SettingsError: if settings do not fit the maps, or the device is missing.
        """
        on_cpu = require_device(device).is_cpu
        self.settings = settings or SimulatorSettings()
        given = [maps] if isinstance(maps, RoadMap | CompiledMap) else list(maps)
        self.maps = [m if isinstance(m, CompiledMap) else compile_map(m) for m in given]
        if not self.maps:
            raise SettingsError("maps: at least one map is needed")
        self.device = device
        self.road_tokens = self.maps[0].road_tokens.shape[1]
        self.layout = self.settings.layout(self.road_tokens)
        self.action_space = ACTION_SPACES[self.settings.action]
        self.reward_names, self.event_names = REWARD_NAMES, EVENT_NAMES
        self._lane_tokens = _lane_tokens(self.maps)
        self.rules = rules_of(self.settings, self.road_tokens)
        self.road = stack_maps(self.maps, device)
        self.scene: Any = allocate_scene(self.settings, self.layout, device)
        worlds = self.settings.worlds
        if map_of_world is None:
            map_of_world = (first_world + np.arange(worlds)) % len(self.maps)
        of_world = np.asarray(map_of_world, np.int32)
        if of_world.shape != (worlds,) or not np.isin(of_world, np.arange(len(self.maps))).all():
            raise SettingsError(
                f"map_of_world: give each of the {worlds} worlds the index of one of the "
                f"{len(self.maps)} maps"
            )
        self.scene.map_index.assign(of_world)
        self.threads = threads or os.cpu_count() or 1
        self._first_world = first_world
        inputs = (self.rules, self._lane_tokens, self.road, self.scene)
        self._launches = (
            SlicedLaunches(*inputs, self.threads) if on_cpu else StagedLaunches(*inputs)
        )
        if start:
            self.reset(seed)

    @property
    def shape(self) -> tuple[int, int]:
        """(worlds, agents)."""
        return self.settings.worlds, self.settings.agents

    @property
    def observation(self) -> Any:  # noqa: ANN401
        """(worlds, agents, layout.width) float16 Warp array."""
        return self.scene.observation

    def reset(self, seed: int) -> None:
        """Starts all worlds anew.

        Args:
            seed: of everything random; world k draws the same numbers in any batch.
        """
        settings, scene = self.settings, self.scene
        worlds, agents = self.shape
        for name in SceneArrays.vars:
            if name not in (*SHARED, "map_index"):
                getattr(scene, name).zero_()
        seeds = world_seeds(seed, worlds, self._first_world)
        scene.seed.assign(seeds)
        draws = [np.random.default_rng([int(s), 1]) for s in seeds]
        scene.dt.assign(np.array([d.choice(settings.time_steps) for d in draws], np.float32))
        least = settings.agents_least or agents
        counts = np.array([d.integers(least, agents + 1) for d in draws], np.int32)
        scene.agent_count.assign(counts)
        used = np.arange(agents) < counts[:, None]
        scene.status.assign(np.where(used, ENDED, 0).astype(np.int32))
        boxes = np.zeros(scene.boxes.shape, np.float32)
        boxes[:, 8] = -1.0
        scene.boxes.assign(boxes)
        self._launches.start()
        self._check_room()

    def step(self, actions: ArrayLike | None = None) -> None:
        """Moves every world by one of its time steps.

        Args:
            actions: as `write_actions` takes them. None keeps what stands in `scene.action`,
                which a caller may have written in place.
        """
        if actions is not None:
            self.write_actions(actions)
        self._launches.step()

    def write_actions(self, actions: ArrayLike) -> None:
        """Copies actions into `scene.action`.

        Args:
            actions: (worlds, agents) indices of a discrete action space, or
                (worlds, agents, size) numbers of a continuous one: a NumPy array, a list, or an
                array of any library on the simulator's device (DLPack; int64, int32 or
                float32), which is then written in place without the host.

        Raises:
            SettingsError: the shape is another.
        """
        space, scene = self.action_space, self.scene
        on_device = getattr(actions, "__dlpack_device__", lambda: (1, 0))()[0] != 1
        given: Any = wp.from_dlpack(actions) if on_device else np.asarray(actions)
        wanted = self.shape if space.is_discrete else (*self.shape, space.size)
        if tuple(given.shape) != wanted:
            raise SettingsError(f"actions: shape {tuple(given.shape)}; {space.name} needs {wanted}")
        if on_device:
            copy_actions(given.reshape((*self.shape, space.size)), scene)
            return
        target = scene.action.numpy()  # on a CPU this is the array itself
        target[..., : space.size] = given.reshape(*self.shape, space.size)
        if scene.action.device.is_cuda:
            scene.action.assign(target)

    def snapshot(self) -> Snapshot:
        """Copies everything that changes, random position included."""
        return Snapshot(
            {
                name: getattr(self.scene, name).numpy().copy()
                for name in SceneArrays.vars
                if name not in SHARED
            }
        )

    def restore(self, snapshot: Snapshot) -> None:
        """Goes back to a snapshot of this simulator or of one with the same shape."""
        for name, values in snapshot.arrays.items():
            array = getattr(self.scene, name)
            if array.shape != values.shape[: len(array.shape)]:
                raise SettingsError(
                    f"snapshot: {name} has shape {values.shape}, this simulator {array.shape}; "
                    "restore into a simulator with the same settings"
                )
            # Arrays of structs have no assignment from records; their memory is the same.
            array.assign(wp.array(values, dtype=array.dtype, device="cpu"))

    def fork(self, copies: int) -> Simulator:
        """A simulator with `copies` copies of every world, each going on as its original.

        Args:
            copies: how many of each; copy c of world w is world `w * copies + c`.
        """
        worlds = self.settings.worlds * copies
        of_world = np.repeat(np.arange(self.settings.worlds), copies)
        forked = Simulator(
            self.maps,
            replace(self.settings, worlds=worlds),
            device=self.device,
            threads=self.threads,
            map_of_world=self.scene.map_index.numpy()[of_world],
            start=False,
        )
        forked.restore(Snapshot({k: v[of_world] for k, v in self.snapshot().arrays.items()}))
        return forked

    def _check_room(self) -> None:
        """Refuses settings that ask for more road users than the maps hold."""
        status = self.scene.status.numpy()
        missing = int((status == ENDED).sum())
        wanted = int(self.scene.agent_count.numpy().sum())
        if missing > 0.25 * wanted:
            world = int((status == ENDED).sum(axis=1).argmax())
            name = self.maps[self.scene.map_index.numpy()[world]].name
            raise SettingsError(
                f"agents={self.settings.agents}: {missing} of {wanted} road users found no room "
                f"or no route (worst: map {name}); use fewer agents or a larger map"
            )


def _lane_tokens(maps: Sequence[CompiledMap]) -> int:
    """How many of the road tokens are lane points; edge points follow them."""
    counts = [one.road_tokens.shape[1] for one in maps]
    for one in maps:
        tokens = one.road_tokens
        is_edge = (tokens >= 0) & (one.road_points["kind"][tokens.clip(0)] < 0)
        counts += [int(column) for column in np.flatnonzero(is_edge.any(axis=0))[:1]]
    return min(counts)

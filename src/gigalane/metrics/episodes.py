"""Counts what happened in agent episodes: one row an episode, weighed by nobody.

A kernel counts where the worlds are and keeps the episodes that ended; they are read once in a
while, so that counting never waits for a device.
"""

# pyright: reportGeneralTypeIssues=false, reportInvalidTypeForm=false, reportCallIssue=false
# pyright: reportOperatorIssue=false, reportReturnType=false, reportArgumentType=false
# pyright: reportAttributeAccessIssue=false, reportIndexIssue=false, reportAssignmentType=false

from typing import Any

import numpy as np
import warp as wp
from numpy.typing import NDArray
from torch import Tensor

from gigalane.core.kernels import load_kernels
from gigalane.sim.events import (
    EVENT_NAMES,
    OUT_OF_TURN,
    RAN_RED,
    RAN_STOP,
    REACHED_GOAL,
)
from gigalane.sim.scene import PEDESTRIAN, SceneArrays
from gigalane.worlds.vector import VectorWorld, follow_torch
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


_FACTS = (
    "collided",
    "hit_pedestrian",
    "off_road",
    "wrong_way",
    "reached_goal",
    "missed_goal",
    "timed_out",
)
"""Those that an episode has or has not; the others are counted."""

READ_EVERY = 32
"""Steps after which the episodes that ended are read at the latest: room is kept for them."""


@wp.struct
class OpenEpisode:
    """An episode that has not ended, and one that has."""

    began: wp.float64  # time of its world [s]
    step: int  # steps of the counter when it ended
    row: int
    kind: int
    seconds: float
    metres: float
    completion: float
    ran_red: int
    ran_stop: int
    events: int  # bits of those it has had


@wp.kernel(enable_backward=False)
def note_active(
    # scene in
    scene: SceneArrays,
    # out
    acted_out: wp.array2d(dtype=wp.uint8),
):
    """Keeps who acts in the step to come."""
    world, agent = wp.tid()
    acted_out[world, agent] = scene.active[world, agent]


@wp.kernel(enable_backward=False)
def count_step(
    # settings
    starts_before: wp.float64,
    step: int,
    # scene in
    scene: SceneArrays,
    # in
    acted: wp.array2d(dtype=wp.uint8),
    # in, out
    open_episodes: wp.array2d(dtype=OpenEpisode),
    # out
    ended_out: wp.array(dtype=OpenEpisode),
    ended_count: wp.array(dtype=int),
):
    """Adds what a step brought and moves the episodes that ended in it to the list."""
    world, agent = wp.tid()
    if acted[world, agent] == wp.uint8(0):
        return
    episode = open_episodes[world, agent]
    dt = scene.row_dt[world, agent]
    facts = scene.events[world, agent]
    episode.seconds += dt
    episode.metres += wp.abs(scene.body[world, agent].speed * dt)
    progress = scene.route[world, agent].progress
    length = scene.route[world, agent].length
    done = wp.clamp(progress / wp.max(length, 1.0), 0.0, 1.0)
    episode.completion = wp.max(episode.completion, done)
    if (facts & RAN_RED) != 0:
        episode.ran_red += 1
    if (facts & (RAN_STOP | OUT_OF_TURN)) != 0:
        episode.ran_stop += 1
    episode.events = episode.events | facts
    if (episode.events & REACHED_GOAL) != 0:
        episode.completion = 1.0
    if scene.terminated[world, agent] + scene.truncated[world, agent] > wp.uint8(0):
        kind = scene.traits[world, agent].kind
        if episode.began < starts_before and kind != PEDESTRIAN:
            episode.kind = kind
            episode.step = step
            episode.row = world * acted.shape[1] + agent
            ended_out[wp.atomic_add(ended_count, 0, 1)] = episode
        episode = OpenEpisode()
        episode.began = wp.float64(scene.clock[world]) * wp.float64(scene.dt[world])
    open_episodes[world, agent] = episode


class EpisodeCounter:
    """Watches a roll-out and collects the episodes of vehicles and cyclists that end in it.

    Attributes:
        world: what is watched.
        starts_before_s: only episodes that began before this time of their world count [s];
            every one that counts then had the same time to end in.
    """

    def __init__(self, world: VectorWorld, starts_before_s: float = np.inf) -> None:
        """Starts counting from the world's present state."""
        self.world, self.starts_before_s = world, starts_before_s
        scene, device = world.simulator.scene, world.simulator.device
        slots = world.simulator.shape
        follow_torch(device)
        self._open = wp.zeros(slots, dtype=OpenEpisode, device=device)
        # A slot is empty for a step between two episodes, so it ends one in two steps at most.
        room = world.row_count * (READ_EVERY // 2 + 1)
        self._ended = wp.zeros(room, dtype=OpenEpisode, device=device)
        self._count = wp.zeros(1, dtype=int, device=device)
        self._acted = wp.zeros(slots, dtype=wp.uint8, device=device)
        self._read: list[NDArray[np.void]] = []
        self._step = 0
        load_kernels(count_step, device)

        def record(kernel: Any, *inputs: object) -> Any:  # noqa: ANN401
            given = list(inputs)
            return wp.launch(kernel, dim=slots, inputs=given, device=device, record_cmd=True)

        self._before = record(note_active, scene, self._acted)
        self._after = record(
            count_step,
            *(starts_before_s, 0, scene, self._acted, self._open, self._ended, self._count),
        )

    def before(self, step: int, world: World, actions: Tensor) -> None:
        """Notes who drives in the step to come."""
        del step, world, actions
        self._before.launch()

    def after(self, step: int, world: World) -> None:
        """Adds what the step brought and closes the episodes that ended in it."""
        del step, world
        self._after.set_param_at_index(1, self._step)
        self._after.launch()
        self._step += 1
        if self._step % READ_EVERY == 0:
            self._read_ended()

    def _read_ended(self) -> None:
        """Takes the episodes that ended to the host."""
        count = int(self._count.numpy()[0])
        if count:
            ended = self._ended[:count].numpy().copy()
            # Threads of a GPU write in no order.
            self._read.append(ended[np.lexsort((ended["row"], ended["step"]))])
            self._count.zero_()

    def table(self) -> NDArray[np.void]:
        """All episodes that ended, (n,) records of `EPISODE`."""
        self._read_ended()
        ended = np.concatenate(self._read) if self._read else self._ended[:0].numpy()
        table = np.zeros(len(ended), EPISODE)
        table["world"] = ended["row"] // self.world.simulator.shape[1]
        for name in ("kind", "seconds", "metres", "completion", "ran_red", "ran_stop"):
            table[name] = ended[name]
        for name in _FACTS:
            table[name] = (ended["events"] >> EVENT_NAMES.index(name)) & 1
        return table

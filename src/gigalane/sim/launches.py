"""How a step is run: slices of worlds on CPU threads, or stage after stage on a GPU.

Both give the same numbers (see `gigalane.sim.step`). On a GPU the launches of a step are
captured once as a graph, which then goes off as one launch, in whatever stream is the device's
current one; nothing in it waits for the host.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
import warp as wp

from gigalane.core.kernels import load_kernels
from gigalane.sim.step import start_worlds, step_worlds
from gigalane.sim.turns import Team


class Launches(Protocol):
    """Everything that a simulator has kernels do."""

    def start(self) -> None:
        """Fills worlds whose slots are all marked ENDED and shows everyone what is there."""
        ...

    def step(self) -> None:
        """Moves every world by one of its time steps."""
        ...


class SlicedLaunches:
    """All stages of a world at once, worlds shared between threads: for a CPU.

    A launch releases the interpreter, so threads step worlds side by side.
    """

    def __init__(
        self,
        rules: Any,  # noqa: ANN401
        lane_tokens: int,
        road: Any,  # noqa: ANN401
        scene: Any,  # noqa: ANN401
        threads: int,
    ) -> None:
        """Records the launches.

        Args:
            rules: the settings.
            lane_tokens: road tokens that are lane points.
            road: the maps.
            scene: the worlds.
            threads: of the CPU.
        """
        load_kernels(start_worlds)
        worlds, self._threads = scene.status.shape[0], threads

        def record(kernel: Any, dim: int, *share: object) -> Any:  # noqa: ANN401
            inputs = [rules, lane_tokens, *share, road, scene]
            return wp.launch(kernel, dim=dim, inputs=inputs, device="cpu", record_cmd=True)

        slices = slices_of(worlds, threads)
        self._starts = [record(start_worlds, count, first) for first, count in slices]
        # Worlds on one map follow one another: maps in turn would push each other from the cache.
        by_map = np.argsort(scene.map_index.numpy(), kind="stable").astype(np.int32)
        order = self._order = wp.array(by_map, device="cpu")
        self._team = Team(lambda *share: record(step_worlds, 1, *share, order), worlds, threads)

    def start(self) -> None:
        """Starts all worlds."""
        with ThreadPoolExecutor(self._threads) as pool:
            list(pool.map(lambda launch: launch.launch(), self._starts))

    def step(self) -> None:
        """Moves all worlds."""
        self._team.step()


class StagedLaunches:
    """A launch a stage, a thread a road user, captured as one graph: for a GPU.

    It runs on a CPU as well, slowly: so that one can be compared with the other.
    """

    def __init__(
        self,
        rules: Any,  # noqa: ANN401
        lane_tokens: int,
        road: Any,  # noqa: ANN401
        scene: Any,  # noqa: ANN401
    ) -> None:
        """Loads the kernels and captures the graphs; arguments as of `SlicedLaunches`."""
        from gigalane.sim import stages

        self._device = scene.status.device
        load_kernels(stages.observe_stage, self._device, stages.BLOCK)
        # The graphs write here, so it must live as long as they do.
        self._waiting = wp.zeros(scene.status.shape[0], dtype=int, device=self._device)
        recorded = stages.record_stages(rules, lane_tokens, road, scene, self._waiting)
        self._start, self._step = (self._captured(launches) for launches in recorded)

    def start(self) -> None:
        """Starts all worlds."""
        wp.capture_launch(self._start)

    def step(self) -> None:
        """Moves all worlds."""
        wp.capture_launch(self._step)

    def _captured(self, launches: Sequence[wp.Launch]) -> wp.Graph:
        """The launches as a graph."""
        # The default stream, which torch works in, cannot be captured: borrow one that can.
        stream = wp.Stream(self._device) if self._device.is_cuda else None
        with (
            wp.ScopedStream(stream, sync_enter=False),
            wp.ScopedCapture(device=self._device, stream=stream) as capture,
        ):
            for launch in launches:
                launch.launch(stream)
        assert capture.graph is not None
        return capture.graph


def copy_actions(actions: wp.array, scene: Any) -> None:  # noqa: ANN401
    """Writes actions that lie on the simulator's device into `scene.action`.

    Args:
        actions: (worlds, agents, numbers) int64, int32 or float32.
        scene: the worlds.
    """
    from gigalane.sim import stages

    inputs, device = [actions, scene], scene.action.device
    wp.launch(stages.take_actions, actions.shape, inputs, device=device, block_dim=stages.BLOCK)


def slices_of(worlds: int, threads: int) -> list[tuple[int, int]]:
    """(first, count) of the worlds of each launch: a few slices a thread, to even out load."""
    count = 1 if threads == 1 else min(worlds, 4 * threads)
    edges = np.linspace(0, worlds, count + 1).astype(int)
    return [(int(a), int(b - a)) for a, b in pairwise(edges) if b > a]

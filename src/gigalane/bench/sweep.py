"""How the cost of an agent-step grows with worlds, with road users in each, and with maps.

Every number of road users a world is tried on the first number of maps, and the first number of
road users on every number of maps, each over all numbers of worlds. A batch that does not fit
in memory is left out and named.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from gigalane.bench.machine import check_memory, core_count, scene_bytes
from gigalane.bench.simulate import (
    RandomActions,
    figures_of,
    make_simulator,
    observe_driving,
    settings_of,
    time_steps,
)
from gigalane.bench.speed import FORMAT, VERSION, Figure, Stopwatch
from gigalane.bench.workloads import Workload
from gigalane.core.settings import SettingsError
from gigalane.maps.compile import CompiledMap
from gigalane.sim.settings import SimulatorSettings

MOST_AGENTS = 2**20
"""Larger batches are left out: a road user takes about 2 kB."""
MOST_MAPS = 1000
_WARM_UP_STEPS = 40
"""After so many the mix of speeds and of new and old road users changes little."""


@dataclass(frozen=True)
class SweepSettings:
    """What is tried.

    Attributes:
        worlds: numbers of worlds.
        agents: numbers of road users in each; the first is also tried on every number of maps.
        maps: numbers of maps (procedural towns); the first is also tried with every number of
            road users.
        repeats: of each batch.
        measured: agent-steps of one repeat.
    """

    worlds: tuple[int, ...] = (32, 128, 512, 2048, 8192, 32_768)
    agents: tuple[int, ...] = (32, 8, 64)
    maps: tuple[int, ...] = (1, 10, 100)
    repeats: int = 3
    measured: int = 300_000

    def __post_init__(self) -> None:
        """Refuses what cannot be tried."""
        for name in ("worlds", "agents", "maps"):
            values = getattr(self, name)
            if not values or min(values) < 1:
                raise SettingsError(f"sweep: {name}={values}: give numbers of 1 or more")
        if max(self.maps) > MOST_MAPS:
            raise SettingsError(f"sweep: maps={max(self.maps)}: at most {MOST_MAPS}")
        if self.repeats < 1 or self.measured < 1:
            raise SettingsError("sweep: repeats and measured must be at least 1")

    def batches(self) -> list[tuple[int, int, int]]:
        """(maps, road users a world, worlds), in the order they are tried."""
        curves = [(self.maps[0], agents) for agents in self.agents]
        curves += [(maps, self.agents[0]) for maps in self.maps[1:]]
        return [
            (*curve, worlds)
            for curve in dict.fromkeys(curves)
            for worlds in sorted(set(self.worlds))
            if worlds * curve[1] <= MOST_AGENTS
        ]


@dataclass(frozen=True)
class Point:
    """One batch.

    Attributes:
        maps: how many.
        agents: road users in each world.
        worlds: how many.
        cost: time computed per agent-step.
        rate: agent-steps per second by the clock on the wall.
        active_share: share of slots in which someone drives.
    """

    maps: int
    agents: int
    worlds: int
    cost: Figure
    rate: Figure
    active_share: float

    @property
    def total(self) -> int:
        """Road users in the batch."""
        return self.worlds * self.agents

    def as_json(self) -> dict[str, Any]:
        """As programs read it."""
        return {
            "maps": self.maps,
            "agents": self.agents,
            "worlds": self.worlds,
            "total_agents": self.total,
            "cpu_ns_per_agent_step": self.cost.as_json(),
            "agent_steps_per_s": self.rate.as_json(),
            "active_share": round(self.active_share, 4),
        }


@dataclass(frozen=True)
class Sweep:
    """What a sweep found.

    Attributes:
        points: every batch that was measured.
        left_out: batches that were not, one sentence each.
        settings: what was chosen.
        facts: device, machine, peak memory and load of others, as a measurement has them.
    """

    points: list[Point]
    left_out: list[str]
    settings: dict[str, Any]
    facts: dict[str, Any]

    def as_json(self) -> dict[str, Any]:
        """As the command writes it."""
        machine = asdict(self.facts["machine"])
        return {
            "format": f"{FORMAT}-sweep",
            "version": VERSION,
            **self.facts,
            "machine": machine,
            "settings": self.settings,
            "points": [point.as_json() for point in self.points],
            "left_out": self.left_out,
        }


def sweep(
    settings: SweepSettings,
    *,
    device: str = "cpu",
    threads: int = 0,
    tell: Callable[[str], object] = lambda line: None,
) -> Sweep:
    """Measures every batch of the sweep that fits in memory.

    Args:
        settings: what is tried.
        device: where.
        threads: CPU threads; 0 is one a core.
        tell: told a line after each batch.

    Raises:
        SettingsError: if no batch fits, or the maps are too small for their road users.
        RunError: if road users do not drive.
    """
    threads = threads or core_count()
    fitting, left_out = _fitting(settings, device)
    town_count = max(maps for maps, _, _ in fitting)
    tell(f"compiling {town_count} towns, about a second each")
    towns = Workload("sweep", "", maps=(f"town:1-{town_count}",)).compiled_maps()
    watch = Stopwatch(device)
    points = []
    for maps, agents, worlds in fitting:
        began = time.perf_counter()
        workload = _workload(maps, agents, worlds, settings)
        point = _measure(workload, towns[:maps], watch, threads, settings.repeats)
        points.append(point)
        tell(
            f"{point.total:9,} road users = {worlds:6,} x {agents:3}, {maps:3} maps: "
            f"{point.cost.value:7,.0f} ns ({time.perf_counter() - began:.0f} s)"
        )
    example = _workload(*fitting[0], settings)
    chosen = {**asdict(settings), "threads": threads, "first": settings_of(example)}
    return Sweep(points, left_out, chosen, {"threads": threads, **watch.facts()})


def _fitting(settings: SweepSettings, device: str) -> tuple[list[tuple[int, int, int]], list[str]]:
    """Batches that fit in memory, and a sentence for each that does not.

    Raises:
        SettingsError: if none does.
    """
    fitting, left_out = [], []
    for batch in settings.batches():
        maps, agents, worlds = batch
        workload = _workload(*batch, settings)
        try:
            name = f"{worlds} worlds of {agents} on {maps} maps"
            check_memory(name, scene_bytes(workload.world, None), device)
            fitting.append(batch)
        except SettingsError as error:
            left_out.append(str(error))
    if not fitting:
        raise SettingsError(left_out[0] if left_out else f"sweep: at most {MOST_AGENTS} agents")
    return fitting, left_out


def _workload(maps: int, agents: int, worlds: int, settings: SweepSettings) -> Workload:
    """One batch as a workload."""
    return Workload(
        f"sweep-{worlds}x{agents}-{maps}",
        "one batch of a sweep",
        maps=(f"town:1-{maps}",),
        world=SimulatorSettings(worlds=worlds, agents=agents),
        warm_up=_WARM_UP_STEPS * worlds * agents,
        measured=settings.measured,
    )


def _measure(
    workload: Workload, maps: Sequence[CompiledMap], watch: Stopwatch, threads: int, repeats: int
) -> Point:
    """Times one batch and looks at its driving."""
    simulator = make_simulator(workload, watch.device, threads, maps)
    actions = RandomActions(simulator)
    figures = figures_of(workload, time_steps(workload, actions, watch, repeats))
    driving = observe_driving(actions)
    driving.check(workload.name)
    return Point(
        len(maps),
        workload.world.agents,
        workload.world.worlds,
        figures["cpu_ns_per_agent_step"],
        figures["agent_steps_per_s"],
        driving.active_share,
    )

"""How fast it is: workloads as data, medians over repeats, the outcome checked in each.

A speed that was bought by breaking the driving does not count, so every workload ends by
looking at what it made: road users that still drive, rewards and losses that are numbers.
"""

from __future__ import annotations

import contextlib
import platform
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch

from gigalane.core.settings import RunError, SettingsError
from gigalane.maps.sources import open_maps
from gigalane.networks.chunks import one_torch_thread
from gigalane.policies.entity import EntityPolicy
from gigalane.sim.settings import SimulatorSettings
from gigalane.sim.simulator import Simulator
from gigalane.train.selfplay import self_play
from gigalane.train.trainer import TrainSettings


@dataclass(frozen=True)
class Workload:
    """What a benchmark runs.

    Attributes:
        description: one line.
        maps: sources, as the command line writes them.
        world: the batch.
    """

    description: str
    maps: tuple[str, ...] = ("town:1-4",)
    world: SimulatorSettings = field(default_factory=SimulatorSettings)


WORKLOADS = {
    "small": Workload("1,024 road users: 32 worlds of 32 on four procedural towns"),
    "large": Workload(
        "16,384 road users: 512 worlds of 32 on four procedural towns",
        world=SimulatorSettings(worlds=512, agents=32),
    ),
    "training": Workload(
        "2,560 road users: 64 worlds of 40 on sixteen procedural towns",
        maps=("town:1-16",),
        world=SimulatorSettings(worlds=64, agents=40),
    ),
}
"""By name; each benchmark has its own default."""


@dataclass(frozen=True)
class Speed:
    """A measured rate: median, spread and what it was measured on."""

    name: str
    rate: float
    low: float
    high: float
    settings: dict[str, Any]
    threads: int
    device: str

    def as_json(self) -> dict[str, Any]:
        """As the command prints it."""
        return {
            self.name: round(self.rate, 1),
            "low": round(self.low, 1),
            "high": round(self.high, 1),
            "device": self.device,
            "threads": self.threads,
            "machine": f"{platform.machine()} {platform.system()}",
            "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
            "settings": self.settings,
        }


def workload_named(name: str) -> Workload:
    """A workload by its name.

    Raises:
        SettingsError: if there is none.
    """
    if name not in WORKLOADS:
        raise SettingsError(f"workload {name!r}: there are {', '.join(WORKLOADS)}")
    return WORKLOADS[name]


def bench_simulator(name: str, threads: int, repeats: int = 7) -> Speed:
    """Agent-steps a second with all stages on, random actions, observations written."""
    workload = workload_named(name)
    simulator = Simulator(open_maps(workload.maps), workload.world, threads=threads)
    random = np.random.default_rng(0)
    for _ in range(30):
        simulator.write_actions(random.integers(0, 12, simulator.shape))
        simulator.step()
    steps = max(5, round(400_000 / (simulator.shape[0] * simulator.shape[1])))

    def run() -> float:
        began = time.perf_counter()
        for _ in range(steps):
            simulator.step()
        return steps * simulator.shape[0] * simulator.shape[1] / (time.perf_counter() - began)

    rates = [run() for _ in range(repeats)]
    active = float(simulator.scene.active.numpy().mean())
    rewards = simulator.scene.reward.numpy()
    if active < 0.5 or not np.isfinite(rewards).all():
        raise RunError(f"workload {name}: the road users do not drive any more")
    return _speed("agent_steps_per_s", rates, name, workload, threads, repeats=repeats)


def bench_training(name: str, threads: int, iterations: int = 12) -> Speed:
    """Samples a second end to end: simulated, acted on and offered to PPO."""
    workload = workload_named(name)
    settings = TrainSettings(samples=10**12, threads=threads)
    rates: list[float] = []
    kept: list[float] = []

    def watch(figures: dict[str, float]) -> bool:
        rates.append(figures["samples_per_s"])
        kept.append(figures["kept_fraction"])
        return len(rates) >= iterations

    # Progress is for people; standard output is for the figures.
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(sys.stderr):
        policy = self_play(
            open_maps(workload.maps), workload.world, settings, folder, on_iteration=watch
        )
    extra = {
        "parameters": sum(p.numel() for p in policy.parameters()),
        "kept_fraction": round(statistics.median(kept[2:]), 3),
        "train": asdict(settings),
    }
    return _speed("samples_per_s", rates[2:], name, workload, threads, **extra)


def bench_latency(threads: int, repeats: int = 200) -> dict[str, Any]:
    """Time the default network takes to decide for one car [ms]."""
    simulator = Simulator(open_maps(("town:1",)), SimulatorSettings(worlds=1, agents=1))
    policy = EntityPolicy(simulator.layout, simulator.action_space)
    policy.threads = threads
    row = torch.from_numpy(simulator.observation.numpy().reshape(1, -1).copy())
    took = []
    with one_torch_thread():
        for _ in range(repeats + 20):
            began = time.perf_counter()
            policy.act(row, greedy=True)
            took.append((time.perf_counter() - began) * 1e3)
    took = sorted(took[20:])
    return {
        "latency_ms": round(statistics.median(took), 3),
        "p95_ms": round(took[int(0.95 * len(took))], 3),
        "device": "cpu",
        "threads": threads,
        "settings": {"parameters": sum(p.numel() for p in policy.parameters())},
    }


def _speed(
    name: str,
    rates: list[float],
    workload_name: str,
    workload: Workload,
    threads: int,
    **extra: object,
) -> Speed:
    """The median of repeats with what it was measured on."""
    settings = {
        "workload": workload_name,
        "description": workload.description,
        "maps": list(workload.maps),
        "world": asdict(workload.world),
        **extra,
    }
    return Speed(name, statistics.median(rates), min(rates), max(rates), settings, threads, "cpu")


BENCHMARKS: dict[str, tuple[Callable[..., Any], str]] = {
    "sim": (bench_simulator, "small"),
    "train": (bench_training, "training"),
}
"""By name: the benchmark and its default workload."""

"""How fast a policy learns: samples a second, end to end.

A sample is an agent-step that was simulated, acted on and offered to PPO. Everything between
two iterations counts, reports and saved states included.
"""

from __future__ import annotations

import contextlib
import math
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from itertools import pairwise

from gigalane.bench.machine import check_memory, core_count, scene_bytes
from gigalane.bench.simulate import settings_of
from gigalane.bench.speed import Figure, Measurement, Stopwatch, Timed, require
from gigalane.bench.workloads import Workload
from gigalane.core.trace import Recording, recording
from gigalane.maps.compile import CompileSettings
from gigalane.maps.sources import open_maps
from gigalane.train.selfplay import self_play
from gigalane.train.trainer import TrainSettings

REPEATS = 10
WARM_UP = 2
"""Iterations before the clock starts."""
_NETWORK_BYTES = 400 * 2**20
"""What torch, its threads and the activations of a chunk take, rounded up."""


class _Iterations:
    """Looks at the clocks after every iteration."""

    def __init__(self, repeats: int, stages: Recording | None) -> None:
        self.repeats, self.stages = repeats, stages
        self.figures: list[dict[str, float]] = []
        self.clocks: list[tuple[float, float]] = []

    def __call__(self, figures: dict[str, float]) -> bool:
        """Told by the trainer; True ends it."""
        self.figures.append(figures)
        self.clocks.append((time.perf_counter(), time.process_time()))
        if self.stages and len(self.figures) == WARM_UP:
            self.stages.clear()
        return len(self.figures) >= WARM_UP + self.repeats

    def timed(self) -> list[Timed]:
        """Every iteration after the warm-up."""
        clocks = self.clocks[WARM_UP - 1 :]
        return [Timed(now[0] - before[0], now[1] - before[1]) for before, now in pairwise(clocks)]

    def samples(self) -> list[int]:
        """Samples of every iteration after the warm-up."""
        counts = [int(figures["samples"]) for figures in self.figures[WARM_UP - 1 :]]
        return [now - before for before, now in pairwise(counts)]

    def column(self, name: str) -> list[float]:
        """A figure of the trainer, of every iteration after the warm-up, where it is a number."""
        numbers = [figures.get(name, math.nan) for figures in self.figures[WARM_UP:]]
        return [number for number in numbers if not math.isnan(number)]


def bench_training(
    workload: Workload,
    *,
    device: str = "cpu",
    threads: int = 0,
    repeats: int = 0,
    traced: bool = False,
) -> Measurement:
    """Measures samples a second.

    Args:
        workload: worlds and learner.
        device: where.
        threads: CPU threads of the simulator and the network; 0 is one a core.
        repeats: iterations that are measured; 0 is the usual number.
        traced: also tell where the time went, as a tree.

    Raises:
        SettingsError: if maps are missing or memory does not suffice.
        RunError: if nothing is learned from, or the road users do not drive.
        FloatingPointError: if a loss is not a number.
    """
    threads, repeats = threads or core_count(), repeats or REPEATS
    settings = replace(workload.train, threads=threads)
    check_memory(f"workload {workload.name}", _bytes(workload), device)
    sources = workload.sources()
    watch = Stopwatch(device)
    with _recorded(traced) as stages, tempfile.TemporaryDirectory() as folder:
        iterations = _Iterations(repeats, stages)
        # Progress is for people; standard output is for the figures.
        with contextlib.redirect_stdout(sys.stderr):
            policy = self_play(
                open_maps(sources),
                workload.world,
                settings,
                folder,
                on_iteration=iterations,
                compile_settings=workload.compile,
                device=device,
            )
    parameters = sum(one.numel() for one in policy.parameters())
    outcome = _outcome(iterations, workload, settings)
    return Measurement(
        "train",
        _figures(iterations),
        outcome,
        {**settings_of(workload), "train": asdict(settings)},
        threads=threads,
        repeats=repeats,
        stages=stages.tree() if stages else [],
        note="stages: time inside the training loop, warm-up left out" if stages else "",
        beside={
            "kept_fraction": round(statistics.median(iterations.column("kept_fraction")), 3),
            "epochs": settings.ppo.epochs,
            "parameters": parameters,
        },
        **watch.facts(),
    )


@contextlib.contextmanager
def _recorded(traced: bool) -> Iterator[Recording | None]:
    """A recording where one is wanted."""
    if traced:
        with recording() as stages:
            yield stages
    else:
        yield None


def _figures(iterations: _Iterations) -> dict[str, Figure]:
    """Rate by the clock on the wall, and cost in time computed."""
    pairs = list(zip(iterations.samples(), iterations.timed(), strict=True))
    rates = [count / one.wall_s for count, one in pairs]
    costs = [one.cpu_s / max(count, 1) * 1e6 for count, one in pairs]
    return {
        "samples_per_s": Figure.of(rates, "1/s", more_is_better=True),
        "cpu_us_per_sample": Figure.of(costs, "us", more_is_better=False),
    }


def _outcome(
    iterations: _Iterations, workload: Workload, settings: TrainSettings
) -> dict[str, float]:
    """What the learner did, checked.

    Raises:
        RunError: says what is wrong.
    """
    what = f"workload {workload.name}"
    offered = workload.agents * settings.rollout_steps
    found = {"sampled_share": statistics.fmean(iterations.samples()) / offered}
    require(found["sampled_share"] > 0.3, what, f"{found['sampled_share']:.0%} of the slots learn")
    # The forward term is its weight times the share of time spent faster than 2.5 m/s.
    weight = statistics.fmean(workload.world.persona.forward)
    found["moving_share"] = statistics.fmean(iterations.column("reward/forward")) / weight
    for name in ("policy_loss", "value_loss", "entropy", "kl", "gradient_norm", "reward_per_s"):
        found[name] = statistics.fmean(iterations.column(name) or [math.nan])
    for name, value in found.items():
        require(math.isfinite(value), what, f"{name} is {value}")
    require(found["moving_share"] > 0.1, what, f"{found['moving_share']:.0%} of the time is driven")
    require(found["gradient_norm"] > 0, what, "the gradient is 0")
    require(found["kl"] > 0, what, "the policy does not move")
    return found


def _bytes(workload: Workload) -> int:
    """Memory that worlds, a roll-out and the network take [bytes]."""
    tokens = (workload.compile or CompileSettings()).tokens.count
    row = 2 * workload.world.layout(tokens).width + 48  # float16 row, and a dozen numbers beside
    rollout = workload.train.rollout_steps * workload.agents * row
    return scene_bytes(workload.world, workload.compile) + rollout + _NETWORK_BYTES

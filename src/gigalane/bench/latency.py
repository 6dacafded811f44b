"""How long one decision takes: the network, one car, from its observation row to its action."""

from __future__ import annotations

import statistics
import time
from dataclasses import asdict

import torch
from torch import Tensor

from gigalane.bench.machine import core_count
from gigalane.bench.simulate import RandomActions, make_simulator, settings_of
from gigalane.bench.speed import Figure, Measurement, Stopwatch, require
from gigalane.bench.workloads import Workload
from gigalane.core.settings import SettingsError
from gigalane.networks.chunks import one_torch_thread
from gigalane.policies.entity import EntityPolicy

REPEATS = 9
CALLS = 60
"""Decisions of one repeat, each for another car."""
_LATE = 95
"""Percentile that is told beside the median."""


def bench_latency(
    workload: Workload, *, device: str = "cpu", threads: int = 0, repeats: int = 0
) -> Measurement:
    """Measures the time of a decision.

    Rows come from worlds that have driven for a while; each is decided for alone. The network
    is untrained: how long it takes does not depend on what it has learned.

    Args:
        workload: where rows come from, and the sizes of the network.
        device: where.
        threads: CPU threads of the network; 0 is one a core.
        repeats: how often; 0 is the usual number.

    Raises:
        SettingsError: if maps are missing or memory does not suffice.
        RunError: if a row's decision alone is not its decision in the batch.
    """
    if device != "cpu":
        raise SettingsError(f"device {device!r}: bench latency runs on cpu; leave out --device")
    threads, repeats = threads or core_count(), repeats or REPEATS
    simulator = make_simulator(workload, device, threads)
    actions = RandomActions(simulator)
    for _ in range(20):
        actions.step(simulator.step)
    torch.manual_seed(workload.train.seed)
    policy = EntityPolicy(simulator.layout, simulator.action_space, workload.train.policy)
    policy.threads = threads
    seen = simulator.observation.numpy()
    rows = torch.from_numpy(seen[simulator.scene.active.numpy().astype(bool)].copy())
    require(len(rows) > 0, f"workload {workload.name}", "nobody drives")
    rows = rows[torch.arange(CALLS) % len(rows)]
    watch = Stopwatch(device)
    with one_torch_thread():
        same = _decides_alone_as_in_a_batch(policy, rows)
        require(same, f"workload {workload.name}", "a row decides alone as it does not in a batch")
        _time_calls(policy, rows)
        took = [_time_calls(policy, rows) for _ in range(repeats)]
    late = [statistics.quantiles(one, n=100)[_LATE - 1] for one, _ in took]
    figures = {
        "latency_ms": Figure.of(
            [statistics.median(one) for one, _ in took], "ms", more_is_better=False
        ),
        f"p{_LATE}_ms": Figure.of(late, "ms", more_is_better=False),
        "cpu_ms_per_decision": Figure.of([cpu for _, cpu in took], "ms", more_is_better=False),
    }
    return Measurement(
        "latency",
        figures,
        {"same_as_in_a_batch": float(same), "rows": float(len(rows))},
        {
            **settings_of(workload, simulator),
            "policy": asdict(workload.train.policy),
            "calls": CALLS,
        },
        threads=threads,
        repeats=repeats,
        beside={"parameters": sum(one.numel() for one in policy.parameters())},
        **watch.facts(),
    )


def _decides_alone_as_in_a_batch(policy: EntityPolicy, rows: Tensor) -> bool:
    """Whether the batch makes no difference to any row's most likely action."""
    together = policy.act(rows, greedy=True)
    alone = torch.cat([policy.act(row[None], greedy=True) for row in rows])
    return bool(torch.equal(together, alone))


def _time_calls(policy: EntityPolicy, rows: Tensor) -> tuple[list[float], float]:
    """Milliseconds of each decision, and mean milliseconds computed."""
    took = []
    cpu = time.process_time()
    for row in rows:
        began = time.perf_counter()
        policy.act(row[None], greedy=True)
        took.append((time.perf_counter() - began) * 1e3)
    return took, (time.process_time() - cpu) * 1e3 / len(rows)

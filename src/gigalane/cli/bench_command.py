"""gigalane bench: how fast it is."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass

import tyro

from gigalane.bench import BENCHMARKS, WORKLOADS, bench_latency
from gigalane.cli.errors import InputError, parse


@dataclass(frozen=True)
class Bench:
    """Measures speed: medians over repeats, with the settings beside them.

    sim: agent-steps a second. train: samples a second end to end. latency: time of one
    decision. Workloads: small, large, training.
    """

    what: tyro.conf.Positional[str]
    """sim, train or latency."""
    workload: str | None = None
    """What to run; `--workload list` shows them."""
    device: str = "cpu"
    """Only "cpu" for now."""
    threads: int = 0
    """CPU threads; 0 is one a core."""
    json: bool = False
    """Print JSON."""


def run(words: Sequence[str]) -> int:
    """Runs `gigalane bench`."""
    command = parse(Bench, words, "bench")
    if command.workload == "list":
        for name, workload in WORKLOADS.items():
            print(f"{name:10} {workload.description}")
        return 0
    if command.device != "cpu":
        raise InputError(f"device {command.device!r}: this machine has none; use cpu")
    threads = command.threads or len(os.sched_getaffinity(0))
    if command.what == "latency":
        found = bench_latency(threads)
    elif command.what in BENCHMARKS:
        benchmark, default = BENCHMARKS[command.what]
        found = benchmark(command.workload or default, threads).as_json()
    else:
        raise InputError(f"bench {command.what!r}: there are sim, train, latency")
    if command.json:
        print(json.dumps(found, indent=2))
        return 0
    for name, value in found.items():
        if name != "settings":
            print(f"{name:18} {value:,}" if isinstance(value, int | float) else
                  f"{name:18} {value}")
    if "description" in found["settings"]:
        print(f"{'workload':18} {found['settings']['description']}")
    return 0

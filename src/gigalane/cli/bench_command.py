"""gigalane bench: how fast it is."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import tyro

from gigalane.cli.arguments import parse
from gigalane.cli.errors import InputError


@dataclass(frozen=True)
class Bench:
    """Measures speed: medians over repeats, with the settings beside them.

    WHAT can be measured:
      sim      agent-steps a second, all stages on, observations written
      train    samples a second end to end: simulated, acted on and learned from
      latency  time of one decision

    Examples:
      gigalane bench sim
      gigalane bench sim --workload large --json
      gigalane bench sim --workload list
    """

    what: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="WHAT")]
    """sim, train or latency."""
    workload: Annotated[str | None, tyro.conf.arg(metavar="NAME")] = None
    """What to run; `--workload list` shows them."""
    device: Annotated[str, tyro.conf.arg(metavar="NAME")] = "cpu"
    """Where it runs; only "cpu" so far."""
    threads: int = 0
    """CPU threads; 0 is one a core."""
    json: bool = False
    """Print JSON."""


KINDS = ("sim", "train", "latency")


def run(words: Sequence[str]) -> int:
    """Runs `gigalane bench`."""
    command = parse(Bench, words, "bench")
    if command.what not in KINDS:
        raise InputError(f"bench {command.what!r}: there are {', '.join(KINDS)}")
    if command.device != "cpu":
        raise InputError(f"device {command.device!r}: bench runs on cpu only; leave out --device")
    if not 0 <= command.threads <= 1024:
        raise InputError(f"--threads is {command.threads}; give 1 to 1024, or 0 for one a core")
    from gigalane.bench import BENCHMARKS, WORKLOADS, bench_latency

    if command.workload == "list":
        for name, workload in WORKLOADS.items():
            print(f"{name:10} {workload.description}")
        return 0
    threads = command.threads or _cores()
    if command.what == "latency":
        if command.workload:
            raise InputError("bench latency: it has one workload; leave out --workload")
        found = bench_latency(threads)
    else:
        benchmark, default = BENCHMARKS[command.what]
        found = benchmark(command.workload or default, threads).as_json()
    if command.json:
        print(json.dumps(found, indent=2))
        return 0
    for name, value in found.items():
        if name != "settings":
            print(
                f"{name:18} {value:,}" if isinstance(value, int | float) else f"{name:18} {value}"
            )
    if "description" in found["settings"]:
        print(f"{'workload':18} {found['settings']['description']}")
    return 0


def _cores() -> int:
    """Cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1

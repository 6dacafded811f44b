"""The record of a measurement: figures with their spread, and all they depend on."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from gigalane.bench.machine import Machine, OtherLoad, peak_memory_mb, this_machine, wait_for
from gigalane.core.settings import RunError
from gigalane.core.trace import Stage

FORMAT = "gigalane-bench"
VERSION = 2


@dataclass(frozen=True)
class Figure:
    """A number measured several times.

    Attributes:
        value: median of the repeats.
        low: lowest repeat.
        high: highest repeat.
        unit: of all three.
        more_is_better: whether a larger number is the better one.
    """

    value: float
    low: float
    high: float
    unit: str
    more_is_better: bool

    @classmethod
    def of(cls, repeats: Sequence[float], unit: str, *, more_is_better: bool) -> Figure:
        """The median of repeats, and how far they spread."""
        return cls(statistics.median(repeats), min(repeats), max(repeats), unit, more_is_better)

    def as_json(self) -> dict[str, Any]:
        """As programs read it."""
        numbers = {name: _short(getattr(self, name)) for name in ("value", "low", "high")}
        return {**numbers, "unit": self.unit, "more_is_better": self.more_is_better}


@dataclass(frozen=True)
class Timed:
    """One repeat.

    Attributes:
        wall_s: time that passed [s].
        cpu_s: time that all threads of this process computed [s]; a busy machine hardly
            changes it.
    """

    wall_s: float
    cpu_s: float


@dataclass(frozen=True)
class Measurement:
    """What a benchmark found.

    Attributes:
        benchmark: sim, train or latency.
        figures: by name; the first is the benchmark's own.
        outcome: what was seen of the driving, by name.
        settings: everything the figures depend on that was chosen.
        device: where it ran.
        threads: CPU threads.
        repeats: repeats behind each figure.
        machine: what it ran on.
        other_load: cores that other processes kept busy meanwhile, NaN where nobody tells.
        peak_memory_mb: most memory held by the process [MB].
        stages: where the time went, where that was asked for.
        note: what must be known to read `stages`.
        beside: numbers that stand beside a rate, such as the parameters of a network.
    """

    benchmark: str
    figures: dict[str, Figure]
    outcome: dict[str, float]
    settings: dict[str, Any]
    device: str
    threads: int
    repeats: int
    machine: Machine
    other_load: float
    peak_memory_mb: int
    stages: list[Stage] = field(default_factory=list)
    note: str = ""
    beside: dict[str, float] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """As the command prints it: the benchmark's own figure first, by its name."""
        name, first = next(iter(self.figures.items()))
        found = {
            "format": FORMAT,
            "version": VERSION,
            "benchmark": self.benchmark,
            **{other: _short(figure.value) for other, figure in self.figures.items()},
            "low": _short(first.low),
            "high": _short(first.high),
            "first": name,
            **self.beside,
            "device": self.device,
            "threads": self.threads,
            "repeats": self.repeats,
            "peak_memory_mb": self.peak_memory_mb,
            "other_load_cores": None if math.isnan(self.other_load) else self.other_load,
            "machine": asdict(self.machine),
            "outcome": {key: _short(value) for key, value in self.outcome.items()},
            "figures": {key: figure.as_json() for key, figure in self.figures.items()},
            "settings": self.settings,
        }
        if self.stages:
            found["stages"] = [stage.as_json() for stage in self.stages]
            found["stages_note"] = self.note
        return found


class Stopwatch:
    """Times repeats on a device and remembers how busy the machine was."""

    def __init__(self, device: str) -> None:
        """Begins to watch the machine."""
        self.device, self._others = device, OtherLoad()

    def time(self, work: Callable[[], object]) -> Timed:
        """Runs something once, to its end on the device."""
        wait_for(self.device)
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        wait_for(self.device)
        return Timed(time.perf_counter() - wall, time.process_time() - cpu)

    def facts(self) -> dict[str, Any]:
        """What `Measurement` says of the machine."""
        return {
            "device": self.device,
            "machine": this_machine(self.device),
            "other_load": self._others.cores(),
            "peak_memory_mb": peak_memory_mb(),
        }


def require(holds: bool, what: str, reason: str) -> None:
    """Ends a benchmark whose outcome shows that its speed means nothing.

    Raises:
        RunError: if it does not hold.
    """
    if not holds:
        raise RunError(f"{what}: {reason}; its speed means nothing")


def _short(number: float) -> float:
    """Six digits: more is noise."""
    return float(f"{number:.6g}") if math.isfinite(number) else number

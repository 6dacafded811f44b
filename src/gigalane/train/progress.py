"""Shows and keeps the figures of a run: terminal, `metrics.jsonl`, TensorBoard.

One flat dictionary of figures an iteration goes to all three, under the same names.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.table import Table
from torch.utils.tensorboard import SummaryWriter

METRICS_FILE = "metrics.jsonl"
PLAIN_INTERVAL_S = 10.0
"""Time between lines where the output is not a terminal [s]."""


class Progress:
    """Reports the figures of each iteration; a context manager."""

    def __init__(
        self, run_directory: Path, samples: int, iteration: int = 0, console: Console | None = None
    ) -> None:
        """Opens the run's files.

        Args:
            run_directory: where the files lie.
            samples: samples the run will have in the end.
            iteration: iterations done; what the files hold of later ones is dropped.
            console: where to show; None is standard output.
        """
        self.samples, self.console = samples, console or Console(highlight=False)
        metrics = run_directory / METRICS_FILE
        kept = keep_iterations(metrics, iteration)
        self._metrics = metrics.open("a", encoding="utf-8")
        self._board = SummaryWriter(str(run_directory), purge_step=kept + 1)
        self._live: Live | None = None
        self._last_line = -math.inf

    def __enter__(self) -> Self:
        """Takes over the terminal, if there is one."""
        if self.console.is_terminal:
            self._live = Live(console=self.console, refresh_per_second=4).__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Hands the terminal back and closes the files."""
        if self._live:
            self._live.__exit__(kind, error, trace)
        self._metrics.close()
        self._board.close()

    def report(self, figures: Mapping[str, float]) -> None:
        """Shows and keeps the figures of one iteration.

        Args:
            figures: must have "iteration" and "samples"; others are shown if present.
        """
        # JSON has no NaN; null says that there was nothing to count.
        line = {name: value if math.isfinite(value) else None for name, value in figures.items()}
        self._metrics.write(json.dumps(line) + "\n")
        self._metrics.flush()
        for name, value in figures.items():
            if math.isfinite(value):
                self._board.add_scalar(name, value, int(figures["samples"]))
        if self._live:
            self._live.update(table_of(figures, self.samples))
        elif time.monotonic() - self._last_line >= PLAIN_INTERVAL_S:
            self._last_line = time.monotonic()
            self.console.print(line_of(figures, self.samples), soft_wrap=True)


class NoProgress:
    """Stands where `Progress` would in a process that reports nothing."""

    def __init__(self, run_directory: Path, samples: int, iteration: int = 0) -> None:
        """Takes what `Progress` takes and opens no file."""

    def __enter__(self) -> Self:
        """Does nothing."""
        return self

    def __exit__(self, *details: object) -> None:
        """Does nothing."""

    def report(self, figures: Mapping[str, float]) -> None:
        """Shows nothing."""


def keep_iterations(metrics: Path, iteration: int) -> int:
    """Drops lines of `metrics` that are cut off or of later iterations.

    Args:
        metrics: a `metrics.jsonl`; may be missing.
        iteration: the last iteration to keep.

    Returns:
        Samples at the last line kept, 0 if there is none.
    """
    if not metrics.is_file():
        return 0
    kept: list[str] = []
    samples = 0
    for line in metrics.read_text(encoding="utf-8").splitlines():
        try:
            figures = json.loads(line)
        except json.JSONDecodeError:
            continue  # the process was killed while it wrote this line
        if figures["iteration"] <= iteration:
            kept.append(line + "\n")
            samples = int(figures["samples"])
    beside = metrics.with_suffix(".part")
    beside.write_text("".join(kept), encoding="utf-8")
    os.replace(beside, metrics)
    return samples


def line_of(figures: Mapping[str, float], samples: int) -> str:
    """The figures people look at, in one line."""
    return " | ".join(f"{name} {text}" for name, text in _texts(figures, samples, short=True))


def table_of(figures: Mapping[str, float], samples: int) -> Table:
    """The figures people look at, as a table for a terminal."""
    table = Table.grid(padding=(0, 3))
    for _ in range(2):
        table.add_column(justify="left", style="dim")
        table.add_column(justify="right", min_width=12)
    pairs = _texts(figures, samples, short=False)
    half = -(-len(pairs) // 2)
    for left, right in zip(pairs[:half], [*pairs[half:], ("", "")], strict=False):
        table.add_row(*left, *right)
    return table


def _texts(figures: Mapping[str, float], samples: int, *, short: bool) -> list[tuple[str, str]]:
    """Name and text of each figure to show; `short` leaves out the reward by term."""
    done = figures["samples"]
    rate = figures.get("samples_per_s", math.nan)
    pairs = [
        ("iteration", f"{figures['iteration']:.0f}"),
        ("samples", f"{done:,.0f} of {samples:,} ({done / max(samples, 1):.0%})"),
        ("samples/s", _number(rate, ",.0f")),
        ("ETA", _duration(max(0, samples - done) / rate if rate > 0 else math.nan)),
    ]
    for name, value in figures.items():
        if name.startswith("rate/"):
            pairs.append((name.removeprefix("rate/").replace("_", " "), _number(value, ".1%")))
    pairs.append(("kept", _number(figures.get("kept_fraction", math.nan), ".0%")))
    if "seconds/communicate" in figures:
        duration = figures["seconds/collect"] + figures["seconds/learn"]
        share = figures["seconds/communicate"] / duration
        pairs.append(("communicating", _number(share, ".1%")))
    pairs.append(("reward/s", _number(figures.get("reward_per_s", math.nan), ".3f")))
    if not short:
        terms = [name for name in figures if name.startswith("reward/")]
        pairs += [(name.replace("_", " "), _number(figures[name], ".4f")) for name in terms]
        learned = ("entropy", "kl", "explained_variance", "learning_rate")
        found = [(name, figures.get(name, math.nan)) for name in learned]
        pairs += [(name.replace("_", " "), _number(value, ".3g")) for name, value in found]
    return pairs


def _number(value: float, form: str) -> str:
    """`value` in a format, or a dash where there is none."""
    return format(value, form) if math.isfinite(value) else "–"


def _duration(seconds: float) -> str:
    """Hours, minutes and seconds."""
    if not math.isfinite(seconds):
        return "–"
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"

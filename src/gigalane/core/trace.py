"""Where time goes, as a tree of named stages; free unless someone records.

A stage is marked where it happens, either as `with trace("act"):` or as `@traced("estimate")`
above a function. While nobody records, a mark costs one look at a variable and keeps nothing.

    with recording() as stages:
        run()
    print(table(stages.tree()))

Times are the host's: on a GPU, whose launches return before they are done, a stage is as long
as its work only where the marked code waits for the device.
"""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, ParamSpec, TypeVar

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


class _Nothing:
    """The stage that is entered while nobody records."""

    __slots__ = ()

    def __enter__(self) -> None:
        """Does nothing."""

    def __exit__(self, *error: object) -> None:
        """Does nothing."""


_NOTHING = _Nothing()
_recording: Recording | None = None
_turn = threading.Lock()  # one recording at a time


@dataclass(frozen=True)
class Stage:
    """What was recorded of one stage.

    Attributes:
        path: names from the outermost stage down to this one.
        calls: how often it was entered.
        total_s: time spent in it by the clock on the wall, stages inside included [s]. Stages
            that threads run side by side add up to more than the time that passed.
        cpu_s: time that all threads of the process computed meanwhile [s]. More than `total_s`
            where threads share the work, less where it waits or a busy machine keeps it waiting.
        share: part of the time of all outermost stages together.
        mean_s: time of one call [s].
    """

    path: tuple[str, ...]
    calls: int
    total_s: float
    cpu_s: float
    share: float
    mean_s: float

    def as_json(self) -> dict[str, Any]:
        """As programs read it; times in microseconds."""
        return {
            "path": "/".join(self.path),
            "calls": self.calls,
            "total_us": round(self.total_s * 1e6, 1),
            "cpu_us": round(self.cpu_s * 1e6, 1),
            "share": round(self.share, 4),
            "mean_us": round(self.mean_s * 1e6, 3),
        }


class Recording:
    """Counts and times by stage, from any number of threads."""

    def __init__(self) -> None:
        """Starts with nothing, in the thread that records."""
        self._lock = threading.Lock()
        self._local = threading.local()
        # What the recording thread is in: work it hands to other threads belongs there.
        self._open: list[tuple[str, ...]] = [()]
        self._local.open = self._open
        self._sums: dict[tuple[str, ...], list[float]] = {}

    def enter(self, name: str) -> tuple[str, ...]:
        """Opens a stage inside the one this thread is in, and returns its path."""
        opened = getattr(self._local, "open", None)
        if opened is None:
            opened = self._local.open = []
        outer = opened[-1] if opened else self._open[-1]
        path = (*outer, name)
        opened.append(path)
        with self._lock:
            self._sums.setdefault(path, [0, 0.0, 0.0])  # stages are listed in the order they begin
        return path

    def leave(self, path: tuple[str, ...], wall_s: float, cpu_s: float) -> None:
        """Closes the stage this thread is in."""
        self._local.open.pop()
        with self._lock:
            sums = self._sums.setdefault(path, [0, 0.0, 0.0])
            sums[0] += 1
            sums[1] += wall_s
            sums[2] += cpu_s

    def clear(self) -> None:
        """Forgets what was recorded so far, as after a warm-up."""
        with self._lock:
            self._sums.clear()

    def tree(self) -> list[Stage]:
        """Every stage that has ended, each followed by the stages inside it."""
        with self._lock:
            sums = {path: tuple(one) for path, one in self._sums.items() if one[0]}
        whole = sum(one[1] for path, one in sums.items() if len(path) == 1)
        begun = {path: place for place, path in enumerate(sums)}

        def place(path: tuple[str, ...]) -> list[int]:
            return [begun.get(path[: depth + 1], len(begun)) for depth in range(len(path))]

        return [
            Stage(path, int(calls), wall, cpu, wall / whole if whole else 0.0, wall / calls)
            for path, (calls, wall, cpu) in sorted(sums.items(), key=lambda item: place(item[0]))
        ]


class _Span:
    """One call of a stage while someone records."""

    __slots__ = ("_cpu", "_name", "_path", "_recording", "_wall")

    def __init__(self, recording: Recording, name: str) -> None:
        self._recording, self._name = recording, name

    def __enter__(self) -> None:
        """Looks at the clock."""
        self._path = self._recording.enter(self._name)
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        place: TracebackType | None,
    ) -> None:
        """Looks at the clock again; a stage that raises counts as one that ended."""
        wall_s, cpu_s = time.perf_counter() - self._wall, time.process_time() - self._cpu
        self._recording.leave(self._path, wall_s, cpu_s)


def trace(name: str) -> _Nothing | _Span:
    """Marks the body of a `with` statement as a stage.

    Args:
        name: what happens in it, one word of the field.
    """
    recording = _recording
    return _NOTHING if recording is None else _Span(recording, name)


def traced(
    name: str,
) -> Callable[[Callable[Parameters, Result]], Callable[Parameters, Result]]:
    """Marks a whole function as a stage, with `@traced("estimate")` above it.

    Args:
        name: what it does, one word of the field.
    """

    def mark(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
        @functools.wraps(function)
        def marked(*given: Parameters.args, **named: Parameters.kwargs) -> Result:
            with trace(name):
                return function(*given, **named)

        return marked

    return mark


@contextmanager
def recording() -> Iterator[Recording]:
    """Records stages of all threads while its body runs.

    Yields:
        What is recorded; read it with `Recording.tree`.

    Raises:
        RuntimeError: someone records already.
    """
    global _recording
    if not _turn.acquire(blocking=False):
        raise RuntimeError("stages are being recorded already; end that recording first")
    _recording = Recording()
    try:
        yield _recording
    finally:
        _recording = None
        _turn.release()


def table(stages: list[Stage]) -> str:
    """A tree of stages as text: name, calls, total, CPU, share and mean, a line each."""
    names = ["  " * (len(stage.path) - 1) + stage.path[-1] for stage in stages]
    width = max([len("stage"), *map(len, names)])
    head = f"{'calls':>9}  {'total s':>9}  {'cpu s':>9}  {'share':>6}  {'mean us':>12}"
    lines = [f"{'stage':{width}}  {head}"]
    lines += [
        f"{name:{width}}  {stage.calls:9,}  {stage.total_s:9.3f}  {stage.cpu_s:9.3f}  "
        f"{stage.share:6.1%}  {stage.mean_s * 1e6:12,.1f}"
        for name, stage in zip(names, stages, strict=True)
    ]
    return "\n".join(lines)

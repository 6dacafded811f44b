"""How CPU threads share the worlds of a step without waiting for one another.

Each worker has a range of worlds of its own, which so stay in the cache of its core; who is
done early takes the next world of another's range. A claim is one atomic addition. A worker
that finds nothing left looks again for a moment before it goes to sleep, because the next step
usually comes at once, and waking a thread takes as long as stepping many road users.

The counters lie one a cache line: how many worlds are finished, then the next world of each
range.
"""

# pyright: reportGeneralTypeIssues=false, reportInvalidTypeForm=false, reportCallIssue=false
# pyright: reportOperatorIssue=false, reportReturnType=false, reportArgumentType=false
# pyright: reportAttributeAccessIssue=false, reportIndexIssue=false

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

import warp as wp

LINE = 16
"""Numbers of a cache line: counters that lie closer slow each other down."""
PATIENCE = 4000
"""Looks at the counters before a worker goes to sleep: about 0.1 ms (chosen)."""


@wp.func_native("""
#if !defined(__CUDA_ARCH__)
    __atomic_store_n(turns.data, 0, __ATOMIC_RELAXED);
    for (int range = 0; range < workers; range++)
        __atomic_store_n(
            turns.data + 16 * (range + 1), (int)((long long)worlds * range / workers),
            __ATOMIC_RELEASE);
#endif
""")
def open_turns(turns: wp.array(dtype=int), workers: int, worlds: int):
    """Begins a step: every world waits to be claimed."""
    ...


@wp.func_native("""
#if defined(__CUDA_ARCH__)
    return -1;
#else
    int looks = 0;
    do {
        for (int k = 0; k < workers; k++) {
            const int range = worker + k < workers ? worker + k : worker + k - workers;
            const int end = (int)((long long)worlds * (range + 1) / workers);
            int* next = turns.data + 16 * (range + 1);
            // Looking first keeps the counters from growing while nobody has work.
            if (__atomic_load_n(next, __ATOMIC_RELAXED) < end) {
                const int world = __atomic_fetch_add(next, 1, __ATOMIC_ACQ_REL);
                if (world < end) return world;
            }
        }
        if (worker == 0 && __atomic_load_n(turns.data, __ATOMIC_ACQUIRE) >= worlds) return -1;
#if defined(__x86_64__)
        __builtin_ia32_pause();
#elif defined(__aarch64__)
        __asm__ volatile("yield");
#endif
    } while (++looks < patience);
    return -1;
#endif
""")
def take_turn(
    turns: wp.array(dtype=int), worker: int, workers: int, worlds: int, patience: int
) -> int:
    """The next world for a worker, or -1.

    Args:
        turns: the counters.
        worker: who asks; 0 leads, and is done when every world is finished.
        workers: how many there are.
        worlds: of the batch.
        patience: looks before giving up.
    """
    ...


@wp.func_native("""
#if !defined(__CUDA_ARCH__)
    __atomic_fetch_add(turns.data, 1, __ATOMIC_ACQ_REL);
#endif
""")
def end_turn(turns: wp.array(dtype=int)):
    """Notes that a world is finished."""
    ...


class _Helper:
    """A thread that takes turns until it finds none, then sleeps until it is woken."""

    def __init__(self, work: wp.Launch) -> None:
        """Starts the thread.

        Args:
            work: launch in which a worker takes turns.
        """
        self.work, self.asleep = work, True
        self._calls: SimpleQueue[bool] = SimpleQueue()
        threading.Thread(target=self._run, name="gigalane worlds", daemon=True).start()

    def _run(self) -> None:
        while self._calls.get():
            self.work.launch()
            self.asleep = True

    def wake(self) -> None:
        """Lets a sleeping thread look for turns again."""
        if self.asleep:
            self.asleep = False
            self._calls.put(True)

    def stop(self) -> None:
        """Ends the thread, at the latest when it next falls asleep."""
        self._calls.put(False)


class Team:
    """Workers that share the worlds of every step: the calling thread and helpers."""

    def __init__(self, record: Callable[..., wp.Launch], worlds: int, threads: int) -> None:
        """Records the launches; helpers start with the first step.

        Args:
            record: `record(worker, workers, patience, turns)` gives the launch of a worker.
            worlds: of the batch.
            threads: workers at most; no more than there are worlds.
        """
        workers = min(threads, worlds)
        self._worlds = worlds
        self._turns = wp.full((workers + 1) * LINE, worlds, dtype=int, device="cpu")
        self._finished = self._turns.numpy()
        parts = [record(worker, workers, PATIENCE, self._turns) for worker in range(workers)]
        self._lead, self._parts = parts[0], parts[1:]
        self._helpers: list[_Helper] = []

    def step(self) -> None:
        """Has every world stepped once."""
        if len(self._helpers) < len(self._parts):
            self._helpers = [_Helper(work) for work in self._parts]
            weakref.finalize(self, _stop, self._helpers)
        for helper in self._helpers:
            helper.wake()
        self._lead.launch()
        # A helper that the system put aside in the middle of a world is worth a wait.
        while self._finished[0] < self._worlds:
            time.sleep(0)


def _stop(helpers: list[Any]) -> None:
    for helper in helpers:
        helper.stop()

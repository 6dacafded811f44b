"""Rows in chunks of a fixed size, shared among threads.

A matrix product rounds differently when its shape changes, so a network that sees 100 rows at
once and one that sees 1,000 disagree in the last bit. Here the network always sees the same
number of rows; the work is shared among threads chunk by chunk, never inside one. So neither
the batch size nor the number of threads changes a number, and the activations of a chunk stay
in a core's own cache.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

Result = TypeVar("Result")

_pools: dict[int, ThreadPoolExecutor] = {}
_pools_lock = threading.Lock()


def run_chunks(task: Callable[[int], Result], count: int, threads: int) -> list[Result]:
    """Runs `task(chunk)` for every chunk and returns the results in order.

    Args:
        task: called with the index of a chunk; must write only what belongs to that chunk.
        count: number of chunks.
        threads: threads that share them; 1 runs them here, one after the other.

    Returns:
        `count` results in the order of the chunks, whatever thread made them.

    Raises:
        Exception: the first that a task raised.
    """
    # torch must not share one chunk among threads of its own, whichever way the chunk is run:
    # the sum over a weight's gradient would then depend on how many there are.
    if threads == 1 or count == 1:
        with one_torch_thread():
            return [task(chunk) for chunk in range(count)]
    return list(_pool(threads).map(task, range(count)))


@contextmanager
def one_torch_thread() -> Iterator[None]:
    """Keeps torch from sharing an operation among threads of its own.

    Put it around a whole loop: each time the number changes, torch makes its threads anew, which
    takes longer than a small network takes to decide.
    """
    before = torch.get_num_threads()
    if before > 1:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        if before > 1:
            torch.set_num_threads(before)


def _pool(threads: int) -> ThreadPoolExecutor:
    """The pool of that many threads, made once; each gives torch a single thread."""
    with _pools_lock:
        if threads not in _pools:
            _pools[threads] = ThreadPoolExecutor(
                threads, "gigalane-network", initializer=torch.set_num_threads, initargs=(1,)
            )
        return _pools[threads]

"""Starts Warp without its greetings, and says so when kernels must be compiled first.

Compiled kernels stay in Warp's cache, so only the first run on a machine, or after a change of
a kernel, has to wait. Who wants to be told listens to the logger "gigalane".
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import warp as wp

COMPILING = "compiling the simulator's kernels, once: 10 to 30 s"
"""Told before the first kernels of a process that are not in the cache."""

_DRIVERS = {"linux": "libcuda.so.1", "win32": "nvcuda.dll"}
"""The GPU driver's library, where Warp looks for one."""

_log = logging.getLogger("gigalane")
_lock = threading.RLock()  # compiling is not safe in several threads at once
_started = _told = False


def start_kernels() -> None:
    """Starts Warp; does nothing the second time."""
    global _started
    with _lock:
        if not _started:
            with _driver_may_be_missing():
                wp.init()
            _started = True


def load_kernels(kernel: Any, device: str = "cpu") -> None:  # noqa: ANN401
    """Loads a kernel and all others of its file, compiling them where the cache has none.

    Args:
        kernel: one of them, a `wp.Kernel`.
        device: where they will run.
    """
    global _told
    start_kernels()
    with _lock:
        if not (_told or _is_cached(kernel.module, device)):
            _log.info(COMPILING)
            _told = True
        wp.load_module(kernel.module, device=device)


def _is_cached(module: wp.Module, device: str) -> bool:
    """Whether a compiled form lies in Warp's cache."""
    block = 1 if wp.get_device(device).is_cpu else None  # CPU launches have blocks of one thread
    return Path(str(wp.config.kernel_cache_dir), module.get_module_identifier(block)).is_dir()


@contextlib.contextmanager
def _driver_may_be_missing() -> Iterator[None]:
    """Keeps Warp's native code from complaining on stderr that a machine has no GPU.

    The complaint has no switch and comes from C, so the file descriptor is turned away while
    Warp starts; only where there is no driver, so that one that fails is still heard.
    """
    try:
        kept = None if _has_driver() else os.dup(2)
    except OSError:  # there is no stderr to keep clean
        kept = None
    if kept is None:
        yield
        return
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def _has_driver() -> bool:
    """Whether the GPU driver's library can be loaded."""
    try:
        ctypes.CDLL(_DRIVERS[sys.platform])
    except (KeyError, OSError):
        return False
    return True

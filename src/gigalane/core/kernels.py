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

from gigalane.core.settings import SettingsError

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


def require_device(name: str) -> wp.Device:
    """The device of that name: "cpu", "cuda", or "cuda:1" and so on.

    Raises:
        SettingsError: this machine has none.
    """
    start_kernels()
    try:
        if name == "cuda" and not wp.is_cuda_available():  # Warp would complain on stderr as well
            raise ValueError(name)
        return wp.get_device(name)
    except (ValueError, RuntimeError):  # an unknown name; a driver that finds no GPU
        there = " and ".join(str(device) for device in wp.get_devices())
        raise SettingsError(f"device {name!r}: this machine has only {there}") from None


def load_kernels(
    kernel: Any,  # noqa: ANN401
    device: str | wp.Device = "cpu",
    block: int | None = None,
) -> None:
    """Loads a kernel and all others of its file, compiling them where the cache has none.

    Args:
        kernel: one of them, a `wp.Kernel`.
        device: where they will run.
        block: threads of a block they will be launched with on a GPU.
    """
    global _told
    start_kernels()
    if wp.get_device(device).is_cpu:
        block = 1  # whatever a launch asks for
    with _lock:
        if not (_told or _is_cached(kernel.module, block)):
            _log.info(COMPILING)
            _told = True
        wp.load_module(kernel.module, device=device, block_dim=block)


def _is_cached(module: wp.Module, block: int | None) -> bool:
    """Whether a compiled form lies in Warp's cache."""
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

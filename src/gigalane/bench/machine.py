"""The machine that figures were measured on: what it is, what it has, how busy others keep it."""

from __future__ import annotations

import contextlib
import math
import os
import platform
import resource
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import warp as wp

from gigalane.core.kernels import start_kernels
from gigalane.core.settings import SettingsError
from gigalane.maps.compile_settings import CompileSettings
from gigalane.sim.scene import SceneArrays, allocate_scene
from gigalane.sim.settings import SimulatorSettings

_PROCESSORS = Path("/proc/cpuinfo")
_MEMORY = Path("/proc/meminfo")
_TIMES = Path("/proc/stat")
_LIMIT = Path("/sys/fs/cgroup/memory.max")
_USED = Path("/sys/fs/cgroup/memory.current")
_SHARE = 0.9
"""Part of the free memory that a workload may ask for; the rest is for what is not counted."""


@dataclass(frozen=True)
class Machine:
    """What a figure was measured on.

    Attributes:
        processor: model name of the CPU.
        cores: CPU cores that this process may use.
        accelerator: name of the GPU that ran it, or an empty string.
        system: operating system and architecture.
        python: version.
        warp: version.
        torch: version.
    """

    processor: str
    cores: int
    accelerator: str
    system: str
    python: str
    warp: str
    torch: str


def this_machine(device: str = "cpu") -> Machine:
    """The machine this runs on, with the accelerator that `device` names."""
    start_kernels()
    return Machine(
        processor=_processor(),
        cores=core_count(),
        accelerator="" if device == "cpu" else wp.get_device(device).name,
        system=f"{platform.system()} {platform.machine()}",
        python=platform.python_version(),
        warp=wp.config.version,
        torch=torch.__version__,
    )


def core_count() -> int:
    """CPU cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def wait_for(device: str) -> None:
    """Waits until a device has done all it was asked for; a CPU always has."""
    if device != "cpu":
        wp.synchronize_device(device)


def peak_memory_mb() -> int:
    """Most memory this process has held so far [MB of 2^20 bytes]."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (2**20 if sys.platform == "darwin" else 2**10))


def scene_bytes(world: SimulatorSettings, compiling: CompileSettings | None) -> int:
    """Memory that the changing arrays of a batch take [bytes], without allocating them."""
    tokens = (compiling or CompileSettings()).tokens.count
    one: Any = allocate_scene(replace(world, worlds=1), world.layout(tokens), "cpu")
    return world.worlds * sum(getattr(one, name).capacity for name in SceneArrays.vars)


def check_memory(what: str, needed: int, device: str = "cpu") -> None:
    """Refuses work that does not fit in the memory that is free now.

    Args:
        what: asks for it.
        needed: how much [bytes].
        device: where.

    Raises:
        SettingsError: if it does not fit; says how much is needed and how much is free.
    """
    free = free_memory(device)
    if needed > _SHARE * free:
        raise SettingsError(
            f"{what}: needs about {needed / 1e9:.1f} GB of memory and {device} has "
            f"{free / 1e9:.1f} GB free; use fewer worlds or agents"
        )


def free_memory(device: str = "cpu") -> int:
    """Memory that can still be had on a device [bytes]; a huge number where nobody tells."""
    if device != "cpu":
        return int(wp.get_device(device).free_memory)
    free = [sys.maxsize]
    with contextlib.suppress(OSError, StopIteration, ValueError, IndexError):
        lines = _MEMORY.read_text().splitlines()
        line = next(line for line in lines if line.startswith("MemAvailable:"))
        free.append(int(line.split()[1]) * 1024)
    with contextlib.suppress(OSError, ValueError):  # a container's limit; "max" is none
        free.append(int(_LIMIT.read_text()) - int(_USED.read_text()))
    return min(free)


class OtherLoad:
    """Cores that other processes kept busy since this was made, NaN where nobody tells."""

    def __init__(self) -> None:
        """Looks at the clocks."""
        self._began = self._look()

    def cores(self) -> float:
        """Mean number of cores that others were using."""
        began, now = self._began, self._look()
        passed = now[0] - began[0]
        busy, ours = now[1] - began[1], now[2] - began[2]
        if passed <= 0 or math.isnan(busy):
            return math.nan
        return round(max(0.0, busy - ours) / passed, 2)

    @staticmethod
    def _look() -> tuple[float, float, float]:
        """Time, CPU seconds of all processes, CPU seconds of this one."""
        busy = math.nan
        with contextlib.suppress(OSError, ValueError, IndexError):
            # user nice system idle iowait irq softirq steal, in ticks (man 5 proc)
            ticks = [int(word) for word in _TIMES.read_text().splitlines()[0].split()[1:9]]
            busy = (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK")
        return time.perf_counter(), busy, time.process_time()


def _processor() -> str:
    """The CPU's model name."""
    with contextlib.suppress(OSError, StopIteration, IndexError):
        lines = _PROCESSORS.read_text().splitlines()
        named = next(line for line in lines if line.startswith("model name"))
        return named.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()

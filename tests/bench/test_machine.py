import sys
import time

import numpy as np
import pytest
import warp as wp

from gigalane.bench import machine
from gigalane.core.settings import SettingsError
from gigalane.sim.scene import SceneArrays
from gigalane.sim.settings import SimulatorSettings
from gigalane.sim.simulator import Simulator


def test_memory_of_worlds_is_foretold_to_the_byte(ring):
    world = SimulatorSettings(worlds=7, agents=5)
    simulator = Simulator(ring, world, threads=1)
    arrays = [getattr(simulator.scene, name) for name in SceneArrays.vars]
    shared = sum(one.capacity for one in arrays if one.shape[0] != 7)
    held = sum(one.capacity for one in arrays) - shared
    assert machine.scene_bytes(world, None) == held + 7 * shared


def test_foretelling_a_million_allocates_no_million():
    before = machine.peak_memory_mb()
    needed = machine.scene_bytes(SimulatorSettings(worlds=32_768, agents=32), None)
    assert needed > 1e9
    assert machine.peak_memory_mb() - before < 100


def test_too_little_memory_is_refused_before_it_is_asked_for(monkeypatch):
    monkeypatch.setattr(machine, "free_memory", lambda device: 10**9)
    machine.check_memory("workload a", 800_000_000)
    with pytest.raises(SettingsError) as refusal:
        machine.check_memory("workload b", 2_500_000_000)
    assert str(refusal.value) == (
        "workload b: needs about 2.5 GB of memory and cpu has 1.0 GB free; "
        "use fewer worlds or agents"
    )


def test_free_memory_is_the_least_of_machine_and_container(monkeypatch, tmp_path):
    meminfo, limit, used = (tmp_path / name for name in ("meminfo", "max", "current"))
    meminfo.write_text("MemTotal: 9 kB\nMemAvailable:    4096 kB\n")
    for name, path in (("_MEMORY", meminfo), ("_LIMIT", limit), ("_USED", used)):
        monkeypatch.setattr(machine, name, path)
    assert machine.free_memory() == 4096 * 1024
    used.write_text("1000\n")
    limit.write_text("max\n")
    assert machine.free_memory() == 4096 * 1024
    limit.write_text("5000\n")
    assert machine.free_memory() == 4000
    meminfo.unlink()
    limit.unlink()
    assert machine.free_memory() == sys.maxsize


def test_machine_is_told_by_name_and_version(monkeypatch, tmp_path):
    info = tmp_path / "cpuinfo"
    info.write_text("processor\t: 0\nmodel name\t: Fast CPU 9\n")
    monkeypatch.setattr(machine, "_PROCESSORS", info)
    told = machine.this_machine()
    assert told.processor == "Fast CPU 9"
    assert told.cores >= 1
    assert told.warp == wp.config.version
    assert told.accelerator == ""
    info.unlink()
    assert machine.this_machine().processor


def test_load_of_others_is_what_is_busy_less_our_own(monkeypatch, tmp_path):
    stat = tmp_path / "stat"
    monkeypatch.setattr(machine, "_TIMES", stat)
    clocks = iter([(100.0, 5.0), (110.0, 9.0)])
    monkeypatch.setattr(machine.os, "sysconf", lambda name: 100)
    now: list[float] = []

    class Clocks:
        perf_counter = staticmethod(lambda: now.append(next(clocks)) or now[-1][0])
        process_time = staticmethod(lambda: now[-1][1])

    monkeypatch.setattr(machine, "time", Clocks)
    #                   user nice system idle iowait irq softirq steal
    stat.write_text("cpu  1000   0    500  9000   200   0       0     0 0 0\n")
    others = machine.OtherLoad()
    stat.write_text("cpu  2000   0    700  9100   300   0       0    50 0 0\n")
    # Busy 12.5 s in 10 s, 4 s of them ours.
    assert others.cores() == pytest.approx(0.85)


def test_load_of_others_is_no_number_where_nobody_tells(monkeypatch, tmp_path):
    monkeypatch.setattr(machine, "_TIMES", tmp_path / "stat")
    others = machine.OtherLoad()
    time.sleep(0.001)
    assert np.isnan(others.cores())

import json
from dataclasses import replace

import pytest

from gigalane import bench, load_map
from gigalane.sim.settings import SimulatorSettings


@pytest.fixture
def tiny(ring, monkeypatch) -> str:
    """The name of a workload that takes a moment."""
    world = SimulatorSettings(worlds=4, agents=6)
    workload = bench.Workload("24 road users on a ring", maps=(str(ring),), world=world)
    monkeypatch.setitem(bench.WORKLOADS, "tiny", workload)
    settings = bench.TrainSettings
    monkeypatch.setattr(
        bench, "TrainSettings", lambda **given: replace(settings(**given), rollout_steps=4)
    )
    return "tiny"


def test_workloads_are_listed(gigalane):
    answer = gigalane("bench", "sim", "--workload", "list")
    assert answer.code == 0
    assert [line.split()[0] for line in answer.out.splitlines()] == list(bench.WORKLOADS)


@pytest.mark.parametrize(
    ("what", "figure"), [("sim", "agent_steps_per_s"), ("train", "samples_per_s")]
)
def test_speeds_are_printed_as_json_and_nothing_else(gigalane, tiny, what, figure):
    answer = gigalane("bench", what, "--workload", tiny, "--threads", "1", "--json")
    assert answer.code == 0
    found = json.loads(answer.out)
    assert 0 < found["low"] <= found[figure] <= found["high"]
    assert found["device"] == "cpu"
    assert found["threads"] == 1
    assert found["settings"]["workload"] == "tiny"
    assert found["settings"]["world"]["agents"] == 6


def test_latency_is_printed_for_people_and_programs(gigalane, monkeypatch, ring):
    monkeypatch.setattr(bench, "open_maps", lambda sources: [load_map(ring)])
    found = json.loads(gigalane("bench", "latency", "--threads", "1", "--json").out)
    assert 0 < found["latency_ms"] <= found["p95_ms"]
    assert found["settings"]["parameters"] > 100_000
    assert "latency_ms" in gigalane("bench", "latency", "--threads", "1").out


def test_benchmark_whose_road_users_stopped_driving_fails_in_a_line(gigalane, tiny, monkeypatch):
    def stopped(self, actions=None):
        self.scene.active.zero_()

    monkeypatch.setattr(bench.Simulator, "step", stopped)
    answer = gigalane("bench", "sim", "--workload", tiny)
    assert answer.code == 1
    assert answer.err == "gigalane: workload tiny: the road users do not drive any more\n"

import json
from dataclasses import replace

import pytest

from gigalane.bench.workloads import WORKLOADS, Workload
from gigalane.cli.main import main
from gigalane.policies.entity import EntitySettings
from gigalane.sim.settings import SimulatorSettings
from gigalane.sim.simulator import Simulator
from gigalane.train.trainer import TrainSettings


@pytest.fixture
def tiny(ring, monkeypatch) -> str:
    """The name of a workload that takes a moment."""
    world = SimulatorSettings(worlds=4, agents=6)
    network = EntitySettings(encoder_width=8, trunk=(8,))
    train = TrainSettings(samples=10**9, rollout_steps=4, policy=network)
    workload = Workload("tiny", "24 road users on a ring", (str(ring),), world, None, train)
    monkeypatch.setitem(WORKLOADS, "tiny", replace(workload, warm_up=48, measured=240))
    return "tiny"


def test_workloads_are_listed(gigalane):
    answer = gigalane("bench", "sim", "--workload", "list")
    assert answer.code == 0
    assert [line.split()[0] for line in answer.out.splitlines()] == list(WORKLOADS)


@pytest.mark.parametrize(
    ("what", "figure"),
    [
        ("sim", "agent_steps_per_s"),
        ("train", "samples_per_s"),
        ("latency", "latency_ms"),
    ],
)
def test_speeds_are_printed_as_json_and_nothing_else(gigalane, tiny, folder, what, figure):
    words = ("--workload", tiny, "--threads", "1", "--repeats", "2", "--json", "-o", "a.json")
    answer = gigalane("bench", what, *words)
    assert answer.code == 0
    found = json.loads(answer.out)
    assert 0 < found["low"] <= found[figure] <= found["high"]
    assert found["device"] == "cpu"
    assert found["threads"] == 1
    assert found["settings"]["workload"] == "tiny"
    assert found["settings"]["world"]["agents"] == 6
    assert json.loads((folder / "a.json").read_text()) == found


def test_measurement_for_people_names_the_figure_its_spread_and_the_stages(gigalane, tiny):
    words = ("--workload", tiny, "--threads", "1", "--repeats", "2", "--trace")
    answer = gigalane("bench", "sim", *words)
    assert answer.code == 0
    assert "agent steps per s " in answer.out
    assert " to " in answer.out.splitlines()[0]
    assert "24 road users on a ring" in answer.out
    assert "fused" in answer.out
    assert "\n  observe " in answer.out


def test_benchmark_whose_road_users_stopped_driving_fails_in_a_line(gigalane, tiny, monkeypatch):
    def stopped(self, actions=None):
        self.scene.active.zero_()

    monkeypatch.setattr(Simulator, "step", stopped)
    answer = gigalane("bench", "sim", "--workload", tiny)
    assert answer.code == 1
    assert answer.out == ""
    assert answer.err == (
        "gigalane: workload tiny: only 0% of the slots drive; its speed means nothing\n"
    )


@pytest.fixture
def measured(folder):
    """Writes a measurement of some speed; gives the file's name."""

    def write(name: str, rate: float) -> str:
        spread = {"value": rate, "low": 0.9 * rate, "high": 1.1 * rate}
        figure = {**spread, "unit": "1/s", "more_is_better": True}
        found = {"format": "gigalane-bench", "version": 2, "benchmark": "sim", "settings": {}}
        (folder / name).write_text(json.dumps({**found, "figures": {"agent_steps_per_s": figure}}))
        return name

    return write


def test_comparison_fails_only_below_the_ratio_that_is_asked_for(gigalane, measured):
    files = measured("before.json", 100.0), measured("after.json", 80.0)
    answer = gigalane("bench", "compare", *files)
    assert answer.code == 0
    assert "0.800" in answer.out
    assert gigalane("bench", "compare", *files, "--fail-below", "0.79").code == 0
    answer = gigalane("bench", "compare", *files, "--fail-below", "0.81")
    assert answer.code == 1
    assert answer.err == "gigalane: below 0.81: agent_steps_per_s 0.800\n"
    assert "0.800" in answer.out


def test_comparison_is_printed_as_json(gigalane, measured):
    files = measured("before.json", 100.0), measured("after.json", 400.0)
    found = json.loads(gigalane("bench", "compare", *files, "--json").out)
    assert found["figures"]["agent_steps_per_s"]["ratio"] == 4.0
    assert found["figures"]["agent_steps_per_s"]["overlap"] is False


def test_files_that_cannot_be_compared_are_refused(refused, measured, folder):
    whole = measured("whole.json", 1.0)
    (folder / "other.json").write_text("{}")
    assert "other.json: is no measurement" in refused("bench", "compare", whole, "other.json")
    assert "nowhere.json: there is no such file" in refused(
        "bench", "compare", whole, "nowhere.json"
    )
    assert "--fail-below is -1.0" in refused("bench", "compare", whole, whole, "--fail-below", "-1")


@pytest.mark.parametrize("out", ["s.png", "s"])
def test_sweep_writes_a_picture_and_its_numbers(gigalane, folder, tiny, monkeypatch, out):
    maps = WORKLOADS[tiny].compiled_maps()
    monkeypatch.setattr(Workload, "compiled_maps", lambda self: maps)
    monkeypatch.setattr("gigalane.bench.sweep.SweepSettings.measured", 12)
    words = ("--worlds", "2", "3", "--agents", "6", "--maps", "1", "--repeats", "1", "-o", out)
    answer = gigalane("bench", "sweep", *words)
    assert answer.code == 0
    assert answer.out == "s.png\ns.json\n"
    assert (folder / "s.png").read_bytes().startswith(b"\x89PNG")
    points = json.loads((folder / "s.json").read_text())["points"]
    assert [point["total_agents"] for point in points] == [12, 18]


def test_too_little_memory_is_refused(refused, monkeypatch):
    monkeypatch.setattr("gigalane.bench.machine.free_memory", lambda device: 10**9)
    line = refused("bench", "sim", "--workload", "million")
    assert line.startswith("gigalane: workload million: needs about ")
    assert line.endswith("GB of memory and cpu has 1.0 GB free; use fewer worlds or agents")


def test_absent_data_is_refused_with_another_workload(refused, monkeypatch):
    monkeypatch.delenv("GIGALANE_DATA", raising=False)
    assert "GIGALANE_DATA names, which is not set; set it, or use --workload small" in refused(
        "bench", "sim", "--workload", "default"
    )


@pytest.mark.parametrize("what", ["sim", "train", "latency", "sweep"])
def test_absent_device_is_refused_without_a_word_of_the_driver(folder, capfd, what):
    assert main(["bench", what, "--device", "cuda:7"]) == 2
    told = capfd.readouterr()
    assert told.out == ""
    assert told.err.startswith("gigalane: device 'cuda:7': this machine has only cpu")
    assert told.err.count("\n") == 1


def test_files_that_cannot_be_written_are_refused_before_anything_is_measured(
    refused, folder, monkeypatch
):
    monkeypatch.setattr(Workload, "compiled_maps", lambda self: pytest.fail("measured"))
    assert "nowhere/a.json: there is no such file or folder" in refused(
        "bench", "sim", "-o", "nowhere/a.json"
    )
    assert "a.txt: is written as .json" in refused("bench", "sim", "-o", "a.txt")
    assert "a.json: is written as .png" in refused("bench", "sweep", "-o", "a.json")
    (folder / "folder.json").mkdir()
    assert "folder.json: is written as .json" in refused("bench", "sim", "-o", "folder.json")


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (("latency", "--trace"), "has no stages"),
        (("--trace", "compare"), "write it first"),
        (("sim", "--repeats", "-1"), "--repeats is -1"),
        (("sim", "--repeats", "100000"), "--repeats is 100000"),
        (("sweep", "--repeats", "0"), "--repeats is 0"),
        (("sweep", "--worlds", "0"), "worlds=(0,)"),
        (("sweep", "--agents"), "agents=()"),
        (("sweep", "--maps", "2000"), "maps=2000"),
    ],
)
def test_arguments_that_measure_nothing_are_refused(refused, words, part):
    assert part in refused("bench", *words)

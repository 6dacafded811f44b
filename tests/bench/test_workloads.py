import pytest

from gigalane.bench.workloads import WORKLOADS, Workload, workload_named
from gigalane.core.settings import SettingsError
from gigalane.maps.compile import CompileSettings
from gigalane.maps.tokens import TokenSettings
from gigalane.policies.entity import EntityPolicy
from gigalane.sim.control import ACTION_SPACES
from gigalane.sim.settings import SimulatorSettings


@pytest.mark.parametrize(
    ("name", "agents", "maps"),
    [
        ("small", 1024, ("town:1-4",)),
        ("large", 16_384, ("town:1-4",)),
        ("default", 1024, ("$/opendrive/carla/Town01.xodr.gz",)),
        ("peer-puffer", 1024, ("$/opendrive/carla/Town01.xodr.gz",)),
        ("hundred-maps", 3200, ("town:1-100",)),
        ("million", 1_048_576, ("town:1-4",)),
        ("training", 2560, ("town:1-16",)),
        ("train-614k", 2560, ("town:1-16",)),
    ],
)
def test_workloads_are_what_their_descriptions_say(name, agents, maps):
    workload = workload_named(name, WORKLOADS)
    assert workload.agents == agents
    assert workload.maps == maps
    if "as training" not in workload.description:
        assert workload.description.startswith(f"{agents:,} road users: {workload.world.worlds:,} ")


def test_default_workload_is_the_observation_and_the_rules_as_they_come():
    assert WORKLOADS["default"].world == SimulatorSettings(worlds=32, agents=32)
    assert WORKLOADS["default"].compile is None


def test_peers_workload_writes_the_peers_numbers_at_the_peers_time_step():
    workload = WORKLOADS["peer-puffer"]
    assert workload.compile is not None
    layout = workload.world.layout(workload.compile.tokens.count)
    assert (layout.road, layout.partners, layout.width) == (200, 63, 7 + 63 * 7 + 200 * 7)
    assert workload.world.time_steps == (0.1,)
    assert workload.world.action == "acceleration_steering"


def test_network_of_the_peers_size_is_within_one_percent_of_it():
    workload = WORKLOADS["train-614k"]
    layout = workload.world.layout(TokenSettings().count)
    policy = EntityPolicy(layout, ACTION_SPACES["jerk12"], workload.train.policy)
    assert sum(one.numel() for one in policy.parameters()) == pytest.approx(614_000, rel=0.01)
    assert workload.train.ppo == WORKLOADS["training"].train.ppo
    assert workload.world == WORKLOADS["training"].world


def test_unknown_workload_is_refused_with_the_known_ones():
    with pytest.raises(SettingsError, match=r"workload 'huge': there are small, large, default"):
        workload_named("huge", WORKLOADS)


def test_maps_are_found_in_the_data_folder(tmp_path, monkeypatch):
    workload = Workload("named", "", maps=("$/town.xodr", "town:3"))
    monkeypatch.setenv("GIGALANE_DATA", str(tmp_path))
    assert workload.sources() == [f"{tmp_path}/town.xodr", "town:3"]


@pytest.mark.parametrize("folder", ["", "/nowhere/at/all"])
def test_absent_data_is_named_with_a_workload_that_needs_none(monkeypatch, folder):
    monkeypatch.setenv("GIGALANE_DATA", folder)
    with pytest.raises(SettingsError, match=r"workload default: .*GIGALANE_DATA.*small"):
        WORKLOADS["default"].sources()
    assert WORKLOADS["small"].sources() == ["town:1-4"]


def test_steps_make_at_least_the_agent_steps_that_are_asked_for():
    workload = Workload("ten", "", world=SimulatorSettings(worlds=2, agents=5))
    assert [workload.steps(n) for n in (1, 40, 41, 100)] == [3, 4, 5, 10]


def test_maps_are_compiled_as_the_workload_says(tiny):
    from dataclasses import replace

    few = CompileSettings(tokens=TokenSettings(lane_points=5, edge_points=3))
    (coarse,) = replace(tiny, compile=few).compiled_maps()
    assert coarse.road_tokens.shape[1] == 8
    assert tiny.compiled_maps()[0].road_tokens.shape[1] == TokenSettings().count

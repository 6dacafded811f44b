"""The three benchmarks: what they count, and what they refuse to call a speed."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

from gigalane.bench import latency, simulate, training
from gigalane.bench.latency import bench_latency
from gigalane.bench.simulate import RandomActions, bench_simulator, draw_actions, make_simulator
from gigalane.bench.speed import Figure, Measurement, Timed
from gigalane.bench.training import WARM_UP, bench_training
from gigalane.bench.workloads import Workload
from gigalane.core.settings import RunError, SettingsError
from gigalane.policies.entity import EntityPolicy
from gigalane.sim.control import ACTION_SPACES
from gigalane.sim.settings import SimulatorSettings
from gigalane.sim.simulator import Simulator


@pytest.fixture(scope="module")
def simulated(tiny) -> Measurement:
    return bench_simulator(tiny, threads=1, repeats=3, traced=True)


@pytest.fixture(scope="module")
def trained(tiny) -> Measurement:
    return bench_training(tiny, threads=1, repeats=2, traced=True)


def test_median_and_spread_are_those_of_the_repeats():
    figure = Figure.of([3.0, 9.0, 1.0, 4.0], "1/s", more_is_better=True)
    assert (figure.value, figure.low, figure.high) == (3.5, 1.0, 9.0)


def test_rate_is_agent_steps_by_the_wall_and_cost_is_time_computed():
    workload = Workload("ten", "", world=SimulatorSettings(worlds=2, agents=5), measured=100)
    figures = simulate.figures_of(workload, [Timed(2.0, 3.0), Timed(4.0, 1.0), Timed(1.0, 2.0)])
    rate, cost = figures["agent_steps_per_s"], figures["cpu_ns_per_agent_step"]
    assert (rate.value, rate.low, rate.high) == (50.0, 25.0, 100.0)
    assert cost.value == pytest.approx(2.0 / 100 * 1e9)
    assert rate.more_is_better
    assert not cost.more_is_better


def test_simulator_takes_the_steps_it_counts_with_new_actions_in_each(tiny, monkeypatch):
    seen: list[np.ndarray] = []
    step = Simulator.step

    def watched(self, actions=None):
        seen.append(self.scene.action.numpy()[..., 0].copy())
        step(self)

    monkeypatch.setattr(Simulator, "step", watched)
    bench_simulator(tiny, threads=1, repeats=2)
    # 480 and twice 240 agent-steps of 24 road users, then the look at what they do
    assert len(seen) == 20 + 2 * 10 + simulate._OUTCOME_STEPS
    assert all((one != other).any() for one, other in pairwise(seen))
    assert set(np.unique(seen)) == set(range(12))


def test_record_of_a_measurement_has_the_settings_and_the_machine_beside_the_rate(simulated, tiny):
    found = simulated.as_json()
    assert 0 < found["low"] <= found["agent_steps_per_s"] <= found["high"]
    assert found["cpu_ns_per_agent_step"] > 0
    assert (found["device"], found["threads"], found["repeats"]) == ("cpu", 1, 3)
    assert found["settings"]["workload"] == "tiny"
    assert found["settings"]["maps"] == list(tiny.maps)
    assert found["settings"]["world"]["agents"] == 6
    assert found["settings"]["compile"]["tokens"]["lane_points"] == 28
    assert found["machine"]["torch"] == torch.__version__
    assert found["peak_memory_mb"] > 10
    assert found["outcome"]["active_share"] > 0.5
    assert found["outcome"]["speed"] > 0.5


def test_stages_of_the_simulator_are_timed_one_by_one_in_the_order_of_a_step(simulated, tiny):
    stages = simulated.stages
    assert [stage.path for stage in stages] == [
        ("step",),
        *(("step", name) for name in ("vacate", "arrive", "decide", "move")),
        *(("step", name) for name in ("judge", "settle", "observe")),
    ]
    assert {stage.calls for stage in stages} == {tiny.steps(tiny.measured // 4)}
    assert sum(stage.total_s for stage in stages[1:]) <= stages[0].total_s
    assert "fused" in simulated.note
    assert simulated.as_json()["stages"][1]["path"] == "step/vacate"


@pytest.mark.parametrize("name", list(ACTION_SPACES))
def test_random_actions_suit_their_space(name):
    space = ACTION_SPACES[name]
    actions = draw_actions(space, (50, 40), np.random.default_rng(0))
    assert actions.shape == (50, 40, 3)
    if space.is_discrete:
        assert set(np.unique(actions[..., 0])) == set(range(space.choices))
    else:
        spread = actions[..., : space.size].std(axis=(0, 1))
        assert spread == pytest.approx(space.scale, rel=0.1)
    assert not actions[..., space.size :].any()


def test_looking_at_the_driving_agrees_with_the_settings(tiny):
    simulator = make_simulator(tiny, "cpu", 1)
    actions = RandomActions(simulator)
    for _ in range(10):
        actions.step(simulator.step)
    driving = simulate.observe_driving(actions)
    # In a step of at most 0.3 s nobody gets further than at the top speed.
    assert 0 < driving.metres < 0.3 * 40
    assert driving.finite
    driving.check("tiny")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda scene: scene.active.zero_(), "only 0% of the slots drive"),
        (lambda scene: scene.reward.fill_(float("nan")), "is not a number"),
        (lambda scene: scene.observation.zero_(), "only 0% of the rows change"),
    ],
)
def test_broken_driving_is_no_speed(tiny, monkeypatch, change, reason):
    step = Simulator.step

    def broken(self, actions=None):
        step(self)
        change(self.scene)

    monkeypatch.setattr(Simulator, "step", broken)
    with pytest.raises(RunError, match=f"workload tiny: .*{reason}.*means nothing"):
        bench_simulator(tiny, threads=1, repeats=1)


def test_worlds_that_stand_still_are_no_speed(tiny, monkeypatch):
    monkeypatch.setattr(Simulator, "step", lambda self, actions=None: None)
    with pytest.raises(RunError, match=r"move 0\.000 m in a step"):
        bench_simulator(tiny, threads=1, repeats=1)


@pytest.mark.parametrize("bench", [bench_simulator, bench_training, bench_latency])
def test_batch_that_does_not_fit_is_refused_before_maps_are_opened(tiny, monkeypatch, bench):
    from gigalane.bench import machine

    monkeypatch.setattr(machine, "free_memory", lambda device: 20_000)
    monkeypatch.setattr(Workload, "compiled_maps", lambda self: pytest.fail("opened maps"))
    monkeypatch.setattr(training, "open_maps", lambda sources: pytest.fail("opened maps"))
    with pytest.raises(SettingsError, match=r"workload tiny: needs about 0.* use fewer worlds"):
        bench(tiny, threads=1)


def test_training_reports_what_a_rate_means_little_without(trained, tiny):
    found = trained.as_json()
    assert 0 < found["low"] <= found["samples_per_s"] <= found["high"]
    assert 0 < found["kept_fraction"] <= 1
    assert found["epochs"] == tiny.train.ppo.epochs
    layout = tiny.world.layout(48)
    like = EntityPolicy(layout, ACTION_SPACES["jerk12"], tiny.train.policy)
    assert found["parameters"] == sum(one.numel() for one in like.parameters())
    assert found["settings"]["train"]["rollout_steps"] == 4
    assert found["outcome"]["moving_share"] > 0.1
    assert np.isfinite(list(found["outcome"].values())).all()


def test_stages_of_training_are_the_parts_of_an_iteration_without_the_warm_up(trained):
    calls = {"/".join(stage.path): stage.calls for stage in trained.stages}
    assert calls["collect"] == calls["estimate"] == calls["select"] == calls["improve"] == 2
    assert calls["collect/act"] == calls["collect/step"] == 2 * 4
    assert calls["improve/gradient"] == calls["improve/optimiser"] > 0


def test_rate_of_training_is_samples_over_all_the_time_between_two_iterations():
    iterations = training._Iterations(2, None)
    ticks = [(1, 100), (3, 300), (5, 700), (9, 1500)]  # second, samples in all
    assert len(ticks) == WARM_UP + 2
    for second, samples in ticks:
        iterations.figures.append({"samples": samples})
        iterations.clocks.append((second, 2.0 * second))
    figures = training._figures(iterations)
    rate, cost = figures["samples_per_s"], figures["cpu_us_per_sample"]
    assert (rate.low, rate.high) == (200.0, 200.0)
    assert cost.value == pytest.approx(1e4)


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("value_loss", float("inf"), "value_loss is inf"),
        ("reward/forward", 0.0, "0% of the time is driven"),
        ("gradient_norm", 0.0, "the gradient is 0"),
        ("kl", 0.0, "the policy does not move"),
        ("samples", 0, "0% of the slots learn"),
    ],
)
def test_broken_learning_is_no_speed(tiny, name, value, reason):
    sound = {"samples": 0, "policy_loss": 0.1, "value_loss": 0.1, "entropy": 2.0, "kl": 0.01}
    sound |= {"gradient_norm": 0.5, "reward_per_s": -0.4, "reward/forward": 2e-3}
    iterations = training._Iterations(2, None)
    for count in range(WARM_UP + 2):
        iterations.figures.append({**sound, "samples": 96 * count, name: value})
    with pytest.raises(RunError, match=f"workload tiny: {reason}"):
        training._outcome(iterations, tiny, tiny.train)
    for figures in iterations.figures:
        figures[name] = sound[name]
    for count, figures in enumerate(iterations.figures):
        figures["samples"] = 96 * count
    assert training._outcome(iterations, tiny, tiny.train)["sampled_share"] == 1.0


def test_worlds_that_nobody_learns_in_are_no_speed(tiny):
    traffic = replace(tiny.world.traffic, blind=1.0)
    with pytest.raises(RunError, match="workload tiny: 0% of the slots learn"):
        bench_training(
            replace(tiny, world=replace(tiny.world, traffic=traffic)), threads=1, repeats=1
        )


def test_latency_is_that_of_one_row_decided_alone(tiny, monkeypatch):
    rows: list[int] = []
    act = EntityPolicy.act

    def watched(self, observation, generator=None, greedy=False):
        rows.append(len(observation))
        return act(self, observation, generator, greedy)

    monkeypatch.setattr(EntityPolicy, "act", watched)
    found = bench_latency(tiny, threads=1, repeats=2).as_json()
    assert rows[0] == latency.CALLS  # the batch that single decisions are compared with
    assert set(rows[1:]) == {1}
    assert len(rows) == 1 + 4 * latency.CALLS  # compared, warmed up, measured twice
    assert 0 < found["latency_ms"] <= found["p95_ms"]
    assert found["first"] == "latency_ms"
    assert found["outcome"]["same_as_in_a_batch"] == 1


def test_decision_that_depends_on_the_batch_is_no_latency(tiny, monkeypatch):
    act = EntityPolicy.act

    def moody(self, observation, generator=None, greedy=False):
        return act(self, observation, generator, greedy) + (len(observation) == 1)

    monkeypatch.setattr(EntityPolicy, "act", moody)
    with pytest.raises(RunError, match="decides alone as it does not in a batch"):
        bench_latency(tiny, threads=1, repeats=1)

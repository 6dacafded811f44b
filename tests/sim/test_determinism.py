"""Same seed and same actions give the same bits: at any batch size, thread count and detour."""

from dataclasses import replace

import numpy as np
import pytest

from gigalane.core.settings import SettingsError
from gigalane.maps.compile import compile_map
from gigalane.sim.launches import StagedLaunches
from gigalane.sim.scene import SceneArrays
from gigalane.sim.settings import (
    ObservationSettings,
    SimulatorSettings,
    SpawnSettings,
    TrafficSettings,
)
from gigalane.sim.simulator import Simulator
from reference import maps

LIVELY = SimulatorSettings(
    worlds=1,
    agents=12,
    agents_least=6,
    episode_s=8.0,
    spawn=SpawnSettings(cyclists=0.1, pedestrians=0.2, single_track=0.3, delay=2),
    traffic=TrafficSettings(scripted=0.3, blind=0.1, braking=0.2, braking_rate=0.3),
    observation=ObservationSettings(
        lane_dropout=0.3, edge_dropout=0.2, position_noise=0.1, velocity_noise=0.1
    ),
)
"""Everything random at once."""

STEPS = 40


def actions_of(world, step, agents=12):
    return np.random.default_rng([world, step]).integers(0, 12, agents)


def drive(simulator, steps=STEPS, first=0, worlds=None):
    """Steps with actions that depend on nothing but world and step."""
    worlds = np.arange(simulator.shape[0]) if worlds is None else worlds
    for step in range(first, first + steps):
        simulator.step(np.stack([actions_of(int(world), step) for world in worlds]))
    return simulator


def bits(simulator, world):
    """Everything that changes of a world, as bytes by name."""
    return {name: values[world].tobytes() for name, values in simulator.snapshot().arrays.items()}


def assert_same(one, other):
    different = [name for name in one if one[name] != other[name]]
    assert not different, different


@pytest.fixture(scope="module")
def both(ring, tee):
    return [ring, tee]


def test_world_evolves_alike_in_batches_of_any_size(both):
    runs = {
        worlds: drive(Simulator(both, replace(LIVELY, worlds=worlds), seed=9, threads=1))
        for worlds in (1, 3, 64)
    }
    assert_same(bits(runs[1], 0), bits(runs[64], 0))
    for world in range(3):
        assert_same(bits(runs[3], world), bits(runs[64], world))
    # The roll-out was worth comparing: episodes ended and new ones began.
    assert runs[64].scene.duty.numpy()["episode"].max() > 2


def test_threads_do_not_change_a_bit(both):
    runs = [
        drive(Simulator(both, replace(LIVELY, worlds=23), seed=4, threads=threads))
        for threads in (1, 2, 5)
    ]
    for world in range(23):
        assert_same(bits(runs[0], world), bits(runs[1], world))
        assert_same(bits(runs[0], world), bits(runs[2], world))


def test_reset_with_the_same_seed_starts_the_same_run(both):
    simulator = drive(Simulator(both, replace(LIVELY, worlds=5), seed=7))
    first = bits(simulator, slice(None))
    simulator.reset(8)
    assert bits(simulator, slice(None))["body"] != first["body"]
    simulator.reset(7)
    assert_same(bits(drive(simulator), slice(None)), first)


def test_seeds_and_worlds_differ(ring):
    bodies = [
        Simulator(ring, replace(LIVELY, worlds=4), seed=s).scene.body.numpy().copy() for s in (0, 1)
    ]
    flat = [world.tobytes() for run in bodies for world in run]
    assert len(set(flat)) == 8


def test_a_map_gives_the_same_world_alone_and_beside_others(ring, all_way_stop, tee):
    settings = replace(LIVELY, worlds=1)
    alone = drive(Simulator(tee, settings, seed=3))
    beside = drive(Simulator([ring, all_way_stop, tee], settings, seed=3, map_of_world=[2]))
    for name in ("body", "events", "reward", "status", "persona", "observation"):
        one, other = (getattr(run.scene, name).numpy() for run in (alone, beside))
        assert np.array_equal(one, other), name


def test_worlds_do_not_touch_one_another(both):
    simulator = Simulator(both, replace(LIVELY, worlds=8), seed=2)
    start = simulator.snapshot()
    drive(simulator, 20)
    plain = [bits(simulator, world) for world in range(8)]
    simulator.restore(start)
    # World 3 is wrecked: its cars thrown about, its lights on another clock, its actions others.
    scene = simulator.scene
    scene.body.numpy()["x"][3] += 17.0
    scene.clock.numpy()[3] = 555
    scene.dt.numpy()[3] = 0.17
    for step in range(20):
        actions = np.stack([actions_of(world, step) for world in range(8)])
        actions[3] = 0
        simulator.step(actions)
    for world in {0, 1, 2, 4, 5, 6, 7}:
        assert_same(plain[world], bits(simulator, world))
    assert plain[3]["body"] != bits(simulator, 3)["body"]


def test_snapshot_restores_every_bit_random_position_included(both):
    simulator = drive(Simulator(both, replace(LIVELY, worlds=6), seed=5), 15)
    middle = simulator.snapshot()
    names = {name for name in SceneArrays.vars if not name.startswith("persona_")}
    assert set(middle.arrays) == names
    first = bits(drive(simulator, 25, first=15), slice(None))
    drive(simulator, 7, first=99)
    simulator.restore(middle)
    assert_same(bits(drive(simulator, 25, first=15), slice(None)), first)
    # A snapshot is a copy: going on did not change it, and another simulator can take it up.
    other = Simulator(both, replace(LIVELY, worlds=6), seed=77)
    other.restore(middle)
    assert_same(bits(drive(other, 25, first=15), slice(None)), first)


def test_forked_worlds_go_on_as_their_original(both):
    simulator = drive(Simulator(both, replace(LIVELY, worlds=3), seed=6), 12)
    forked = simulator.fork(3)
    assert forked.shape == (9, 12)
    of_world = np.repeat(np.arange(3), 3)
    drive(simulator, 20, first=12)
    drive(forked, 20, first=12, worlds=of_world)
    for copy, world in enumerate(of_world):
        assert_same(bits(forked, copy), bits(simulator, int(world)))


def test_forks_part_when_they_act_differently(ring):
    settings = replace(LIVELY, traffic=TrafficSettings(blind=0.0, braking=0.0))
    simulator = Simulator(ring, settings, seed=6)
    forked = simulator.fork(2)
    actions = np.full((2, 12), 7)
    actions[1, 0] = 11
    for _ in range(5):
        forked.step(actions)
    body = forked.scene.body.numpy()
    assert body[0, 0] != body[1, 0]
    # The original has not moved.
    assert simulator.scene.clock.numpy()[0] == 0


def test_snapshot_of_another_shape_is_refused(ring):
    small = Simulator(ring, replace(LIVELY, worlds=1)).snapshot()
    with pytest.raises(SettingsError, match="restore into a simulator with the same settings"):
        Simulator(ring, replace(LIVELY, worlds=2)).restore(small)


def test_stage_by_stage_launches_give_the_fused_kernels_bits(both):
    # How a GPU runs a step: one launch a stage, one thread a road user.
    settings = replace(LIVELY, worlds=7)
    fused = Simulator(both, settings, seed=12)
    staged = Simulator(both, settings, start=False)
    staged._launches = StagedLaunches(staged.rules, staged._lane_tokens, staged.road, staged.scene)
    staged.reset(12)
    assert_same(bits(fused, slice(None)), bits(staged, slice(None)))
    for step in range(STEPS):
        actions = np.stack([actions_of(world, step) for world in range(7)])
        fused.step(actions)
        staged.step(actions)
    assert_same(bits(fused, slice(None)), bits(staged, slice(None)))


def test_permuted_road_users_fare_as_before(ring):
    # Random draws belong to slots, so everything random after the start is switched off.
    settings = SimulatorSettings(
        worlds=2,
        agents=12,
        respawn=False,
        spawn=SpawnSettings(pedestrians=0.0, delay=2),
        traffic=TrafficSettings(scripted=0.4, blind=0.1, braking=0.0),
    )
    plain, shuffled = (Simulator(ring, settings, seed=31) for _ in range(2))
    order = np.random.default_rng(1).permutation(12)
    arrays = {}
    for name, values in shuffled.snapshot().arrays.items():
        if name == "boxes":
            arrays[name] = values[:, :, order]
        else:
            arrays[name] = values[:, order] if values.ndim > 1 else values
    shuffled.restore(type(shuffled.snapshot())(arrays))
    for step in range(50):
        actions = np.stack([actions_of(world, step) for world in range(2)])
        plain.step(actions)
        shuffled.step(actions[:, order])
        for name in ("body", "place", "events", "reward", "status", "observation", "learn"):
            one = getattr(plain.scene, name).numpy()[:, order]
            assert one.tobytes() == getattr(shuffled.scene, name).numpy().tobytes(), (step, name)
    assert (plain.scene.status.numpy() == 0).any()


def test_first_collisions_are_seen_by_both_whatever_their_order():
    # Six cars into one pile-up: everybody who touches somebody has collided, in one step.
    from reference.stage import PLAIN, Stage

    compiled = compile_map(maps.straight_road())
    stage = Stage(compiled, replace(PLAIN, agents=6, time_steps=(0.3,)))
    for slot, arc in enumerate((100.0, 104.5, 109.0, 113.5, 118.0, 150.0)):
        stage.put("east", arc, slot=slot, speed=10.0 - 2.0 * slot if slot < 5 else 0.0)
    stage.step()
    assert [("collided" in stage.facts(slot)) for slot in range(6)] == [True] * 5 + [False]

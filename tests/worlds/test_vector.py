from dataclasses import replace

import numpy as np
import pytest
import torch

from gigalane.sim.settings import SimulatorSettings
from gigalane.sim.simulator import Simulator
from gigalane.worlds.vector import VectorWorld
from reference.stage import PLAIN

SETTINGS = SimulatorSettings(worlds=3, agents=5)


@pytest.fixture
def world(ring):
    return VectorWorld(Simulator(ring, SETTINGS, seed=1))


def test_rows_are_worlds_and_agents_flattened(world):
    scene = world.simulator.scene
    assert world.row_count == 15
    assert world.observation.shape == (15, world.layout.width)
    assert world.observation.dtype == torch.float16
    for name, array in (
        ("observation", scene.observation),
        ("reward", scene.reward),
        ("events", scene.events),
        ("reward_terms", scene.reward_terms),
        ("dt", scene.row_dt),
    ):
        flat = array.numpy().reshape(15, *array.numpy().shape[2:])
        assert np.array_equal(getattr(world, name).numpy(), flat), name
    for name in ("active", "learn", "terminated", "truncated"):
        assert getattr(world, name).dtype == torch.bool
        assert np.array_equal(
            getattr(world, name).numpy(), getattr(scene, name).numpy().reshape(-1).astype(bool)
        )


def test_views_change_in_place_with_each_step(world):
    views = {name: getattr(world, name) for name in ("observation", "reward", "active", "events")}
    before = world.observation.clone()
    world.step(torch.full((15,), 10))
    assert not torch.equal(world.observation, before)
    for name, view in views.items():
        assert view.data_ptr() == getattr(world, name).data_ptr()


def test_step_does_what_the_simulator_does(ring):
    world = VectorWorld(Simulator(ring, SETTINGS, seed=4))
    simulator = Simulator(ring, SETTINGS, seed=4)
    for step in range(20):
        actions = np.random.default_rng(step).integers(0, 12, (3, 5))
        world.step(torch.from_numpy(actions.reshape(-1)))
        simulator.step(actions)
    assert np.array_equal(
        world.observation.numpy().reshape(3, 5, -1), simulator.scene.observation.numpy()
    )
    assert np.array_equal(world.reward.numpy().reshape(3, 5), simulator.scene.reward.numpy())


def test_continuous_actions_keep_their_columns(ring):
    settings = replace(PLAIN, action="acceleration_steering", time_steps=(0.2,), worlds=2, agents=2)
    world = VectorWorld(Simulator(ring, settings, seed=2))
    actions = torch.tensor([[1.0, 0.05], [1.5, -0.05], [-1.0, 0.0], [0.5, 0.02]])
    world.step(actions)
    body = world.simulator.scene.body.numpy().reshape(-1)
    assert body["acceleration"] == pytest.approx(actions[:, 0].numpy(), abs=1e-6)
    assert body["steering"] == pytest.approx(actions[:, 1].numpy(), abs=1e-6)


def test_state_dict_holds_everything_and_goes_on_to_the_same_numbers(ring):
    world = VectorWorld(Simulator(ring, SETTINGS, seed=5))
    actions = [torch.from_numpy(np.random.default_rng(k).integers(0, 12, 15)) for k in range(30)]
    for action in actions[:10]:
        world.step(action)
    state = world.state_dict()
    assert all(value.dtype == torch.uint8 for value in state.values())
    for action in actions[10:]:
        world.step(action)
    after = (world.observation.clone(), world.reward.clone(), world.events.clone())
    other = VectorWorld(Simulator(ring, SETTINGS, seed=99))
    other.load_state_dict(state)
    for action in actions[10:]:
        other.step(action)
    for one, two in zip(after, (other.observation, other.reward, other.events), strict=True):
        assert torch.equal(one, two)


def test_state_of_another_shape_is_refused(ring):
    state = VectorWorld(Simulator(ring, replace(SETTINGS, worlds=2), seed=5)).state_dict()
    with pytest.raises(ValueError, match="bytes saved"):
        VectorWorld(Simulator(ring, SETTINGS)).load_state_dict(state)


def test_reset_starts_anew_in_the_same_memory(world):
    start, at = world.observation.clone(), world.observation.data_ptr()
    for _ in range(10):
        world.step(torch.full((15,), 8))
    world.reset(1)
    assert torch.equal(world.observation, start)
    assert world.observation.data_ptr() == at


def test_rewards_of_inactive_rows_are_zero(ring):
    world = VectorWorld(Simulator(ring, replace(SETTINGS, time_steps=(0.3,)), seed=7))
    waited = 0
    for _ in range(80):
        inactive = ~world.active.clone()
        world.step(torch.full((15,), 11))
        assert not world.reward[inactive].any()
        assert not (world.terminated | world.truncated)[inactive].any()
        assert not (world.learn & ~world.active).any()
        waited += int(inactive.sum())
    assert waited > 10

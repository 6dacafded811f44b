from dataclasses import replace

import numpy as np
import pytest
import torch

from gigalane.render.appearance import VARIED, Appearance
from gigalane.render.camera import load_rig
from gigalane.render.renderer import CameraRenderer
from gigalane.sim.layout import LANE_NUMBERS
from gigalane.sim.settings import SimulatorSettings
from gigalane.sim.simulator import Simulator
from gigalane.worlds.camera import CameraWorld
from gigalane.worlds.vector import VectorWorld

SETTINGS = SimulatorSettings(worlds=3, agents=5, episode_s=2.0)
RIG = load_rig("front").resized(24, 16)


def make(ring, ring_road, settings=SETTINGS, seed=1, **options) -> CameraWorld:
    inner = VectorWorld(Simulator(ring, settings, seed=seed))
    return CameraWorld(inner, RIG, [ring_road], VARIED, **options)


def actions(step: int, rows: int = 15) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(step).integers(0, 12, rows))


@pytest.mark.parametrize(("dt", "back"), [(0.1, 5), (0.2, 2), (0.25, 2), (0.3, 2), (0.5, 1)])
def test_a_row_is_the_images_of_now_and_of_half_a_second_before(ring, ring_road, dt, back):
    settings = replace(SETTINGS, time_steps=(dt,), episode_s=12 * dt)
    world = make(ring, ring_road, settings)
    simulator = Simulator(ring, settings, seed=1)
    renderer = CameraRenderer(simulator, RIG, [ring_road], appearance=VARIED)
    lives = [[] for _ in range(15)]  # what each road user has seen since it appeared
    was_active = np.zeros(15, bool)
    lengths = set()
    for step in range(30):
        images = renderer.render()["rgb"].reshape(15, 1, 16, 24, 3).copy()
        seen = world.layout.images_of(world.observation).numpy()
        assert np.array_equal(seen[..., :3], images)
        for row, life in enumerate(lives):
            if not was_active[row]:
                life.clear()
            life.append(images[row])
            assert np.array_equal(seen[row, ..., 3:], life[max(0, len(life) - 1 - back)])
            lengths.add(len(life))
        was_active = world.active.numpy().copy()
        world.step(actions(step))
        simulator.step(actions(step).numpy().reshape(3, 5))
    assert max(lengths) > back + 1
    assert 1 in lengths


def test_worlds_of_different_time_steps_look_back_equally_long(ring, ring_road):
    settings = replace(SETTINGS, worlds=8, time_steps=(0.1, 0.25), episode_s=60.0)
    world = make(ring, ring_road, settings)
    seen = [world.layout.images_of(world.observation)[..., :3].clone()]
    stayed = world.active.clone()
    for step in range(7):
        world.step(actions(step, 40))
        stayed &= world.active
        seen.append(world.layout.images_of(world.observation)[..., :3].clone())
    before = world.layout.images_of(world.observation)[..., 3:]
    steps = torch.where(world.dt < 0.2, 5, 2)
    assert set(steps.tolist()) == {5, 2}
    assert stayed.sum() > 10
    for row in stayed.nonzero().squeeze(-1).tolist():
        assert torch.equal(before[row], seen[7 - int(steps[row])][row])


def test_a_row_tells_nothing_that_needs_a_map_unless_it_is_asked_to(ring, ring_road):
    hidden = make(ring, ring_road)
    told = make(ring, ring_road, tells_lane=True)
    shown = hidden.inner.observation[:, : hidden.layout.given].float()
    lane = list(LANE_NUMBERS)
    others = [k for k in range(hidden.layout.given) if k not in LANE_NUMBERS]
    given = hidden.layout.given_of(hidden.observation)
    assert shown[:, lane].any()
    assert not given[:, lane].any()
    assert torch.equal(given[:, others], shown[:, others])
    assert torch.equal(told.layout.given_of(told.observation), shown)


def test_a_saved_world_goes_on_to_the_same_rows(ring, ring_road):
    world = make(ring, ring_road)
    for step in range(4):
        world.step(actions(step))
    state = {name: value.clone() for name, value in world.state_dict().items()}
    other = make(ring, ring_road, seed=9)
    other.load_state_dict(state)
    for step in range(4, 10):
        assert torch.equal(other.observation, world.observation)
        world.step(actions(step))
        other.step(actions(step))


def test_a_state_of_other_cameras_is_refused(ring, ring_road):
    state = make(ring, ring_road).state_dict()
    inner = VectorWorld(Simulator(ring, SETTINGS, seed=1))
    other = CameraWorld(inner, RIG.resized(12, 8), [ring_road])
    with pytest.raises(ValueError, match=r"world/camera.kept: .* saved, .* here"):
        other.load_state_dict(state)


def test_another_appearance_changes_the_images_and_nothing_else(ring, ring_road):
    world = make(ring, ring_road)
    for step in range(3):
        world.step(actions(step))
    before, shown = world.observation.clone(), world.inner.observation.clone()
    world.change_appearance(replace(VARIED, seed=5))
    assert not torch.equal(world.observation, before)
    assert torch.equal(world.inner.observation, shown)
    images = world.layout.images_of(world.observation)
    assert torch.equal(images[..., :3], images[..., 3:])
    world.change_appearance(Appearance())
    plain = world.observation.clone()
    world.change_appearance(Appearance())
    assert torch.equal(world.observation, plain)

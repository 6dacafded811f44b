from dataclasses import replace

import numpy as np
import pytest
import torch

from gigalane.core.settings import SettingsError
from gigalane.render.birdview import BirdviewRenderer, BirdviewSettings
from gigalane.sim.settings import ObservationSettings, SimulatorSettings
from gigalane.sim.simulator import Simulator
from gigalane.worlds.birdview import BirdviewWorld
from gigalane.worlds.vector import VectorWorld

SETTINGS = SimulatorSettings(worlds=3, agents=5, action="acceleration_steering")
SMALL = BirdviewSettings.small()


def make(ring, ring_road, settings=SETTINGS, seed=1, birdview=SMALL) -> BirdviewWorld:
    return BirdviewWorld(VectorWorld(Simulator(ring, settings, seed=seed)), birdview, [ring_road])


def actions(step: int) -> torch.Tensor:
    draw = np.random.default_rng(step)
    return torch.from_numpy(draw.uniform((-2, -0.1), (2, 0.1), (15, 2)).astype(np.float32))


@pytest.mark.parametrize("birdview", [SMALL, BirdviewSettings(pixels=128)])
def test_a_row_is_the_raster_of_every_step_and_what_is_given(ring, ring_road, birdview):
    world = make(ring, ring_road, birdview=birdview)
    simulator = Simulator(ring, SETTINGS, seed=1)
    renderer = BirdviewRenderer(simulator, birdview, [ring_road])
    assert world.observation.shape == (15, world.layout.width)
    for step in range(12):
        rasters = renderer.render().numpy()
        given = simulator.scene.observation.numpy().reshape(15, -1)[:, : world.layout.given]
        own = world.observation.numpy()
        assert own[:, : world.layout.raster_bytes].tobytes() == rasters.tobytes()
        assert own[:, world.layout.raster_bytes :].tobytes() == given.tobytes()
        world.step(actions(step))
        simulator.step(actions(step).numpy().reshape(3, 5, 2))
    assert rasters.any()


def test_a_saved_world_goes_on_to_the_same_pictures_its_past_included(ring, ring_road):
    world = make(ring, ring_road)
    for step in range(15):
        world.step(actions(step))
    state = {name: value.clone() for name, value in world.state_dict().items()}
    wanted = [world.observation.clone()]
    for step in range(15, 22):
        world.step(actions(step))
        wanted.append(world.observation.clone())
    other = make(ring, ring_road, seed=9)
    other.load_state_dict(state)
    assert torch.equal(other.observation, wanted[0])
    for step in range(15, 22):
        other.step(actions(step))
        assert torch.equal(other.observation, wanted[step - 14])
    # Without the past the same scene looks different: others were elsewhere a second ago.
    forgetful = make(ring, ring_road, seed=9)
    forgetful.load_state_dict(state)
    forgetful.renderer.reset()
    forgetful._look()
    assert not torch.equal(forgetful.observation, wanted[0])


def test_a_state_of_another_shape_is_refused(ring, ring_road):
    state = make(ring, ring_road).state_dict()
    other = make(ring, ring_road, replace(SETTINGS, agents=4))
    with pytest.raises(ValueError, match=r"world/birdview\.\w+: \d+ bytes saved, \d+ needed"):
        other.load_state_dict(state)


def test_a_world_that_begins_anew_shows_nothing_of_the_one_before(ring, ring_road):
    world, fresh = make(ring, ring_road), make(ring, ring_road, seed=7)
    for step in range(15):
        world.step(actions(step))
    world.reset(7)
    assert torch.equal(world.observation, fresh.observation)
    for step in range(5):
        world.step(actions(step))
        fresh.step(actions(step))
        assert torch.equal(world.observation, fresh.observation)


def test_who_is_blind_sees_the_road_and_nobody_on_it(ring, ring_road):
    blind = replace(SETTINGS, observation=ObservationSettings(see_partners=False))
    worlds = make(ring, ring_road), make(ring, ring_road, blind)
    for step in range(10):
        for world in worlds:
            world.step(actions(step))
    sees, sees_not = (world.layout.planes(world.observation, torch.uint8) for world in worlds)
    others = [
        bit
        for bit, plane in enumerate(SMALL.planes)
        if plane.channel.startswith(("vehicles", "walkers"))
    ]
    rest = [bit for bit in range(len(SMALL.planes)) if bit not in others]
    assert sees[:, others].any()
    assert not sees_not[:, others].any()
    assert torch.equal(sees[:, rest], sees_not[:, rest])


def test_as_many_maps_are_needed_as_the_simulator_has(ring, ring_road):
    with pytest.raises(SettingsError, match="2 road maps for a simulator on 1"):
        BirdviewWorld(VectorWorld(Simulator(ring, SETTINGS)), SMALL, [ring_road, ring_road])

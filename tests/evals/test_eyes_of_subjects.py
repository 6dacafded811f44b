from dataclasses import replace

import pytest
import torch

from gigalane.core.settings import SettingsError
from gigalane.evals.evaluate import evaluate
from gigalane.evals.eyes import world_for
from gigalane.networks.birdview import BirdviewLayout
from gigalane.networks.camera_rows import CameraLayout
from gigalane.policies.camera import CameraPolicy
from gigalane.policies.coach import CoachPolicy
from gigalane.render.birdview import BirdviewSettings
from gigalane.render.camera import load_rig
from gigalane.sim.control import ACTION_SPACES
from gigalane.sim.settings import ObservationSettings, SimulatorSettings
from gigalane.sim.simulator import Simulator
from gigalane.worlds.birdview import BirdviewWorld
from gigalane.worlds.vector import VectorWorld

SPACE = ACTION_SPACES["acceleration_steering"]


@pytest.fixture(scope="module")
def coach() -> CoachPolicy:
    torch.manual_seed(0)
    return CoachPolicy(BirdviewLayout(BirdviewSettings.small(), 52), SPACE)


@pytest.fixture
def inner(ring) -> VectorWorld:
    settings = SimulatorSettings(worlds=2, agents=3, action="acceleration_steering")
    return VectorWorld(Simulator(ring, settings))


def test_each_driver_gets_what_it_drives_by(ring, ring_road, inner, coach, untrained):
    world = world_for(coach, inner, [ring_road])
    assert isinstance(world, BirdviewWorld)
    assert world.layout == coach.layout
    entities = VectorWorld(Simulator(ring, SimulatorSettings(worlds=2, agents=3)))
    assert world_for(untrained, entities, [ring_road]) is entities
    assert world_for("idm", entities, [ring_road]) is entities


def test_others_cannot_be_hidden_from_cameras(ring, ring_road):
    blind = replace(ObservationSettings(), see_partners=False)
    worlds = SimulatorSettings(worlds=1, agents=2, observation=blind)
    inner = VectorWorld(Simulator(ring, worlds))
    layout = CameraLayout(load_rig("front").resized(12, 8), inner.layout.given)
    with pytest.raises(SettingsError, match="cameras see whoever is there"):
        world_for(CameraPolicy(layout, inner.action_space), inner, [ring_road])


def test_worlds_that_show_something_else_are_refused(ring_road, inner):
    other = CoachPolicy(BirdviewLayout(BirdviewSettings.small(), 51), SPACE)
    with pytest.raises(SettingsError, match="use the observation settings"):
        world_for(other, inner, [ring_road])


def test_a_coach_is_measured_and_the_same_seed_gives_the_same_episodes(ring_road, few, coach):
    settings = replace(few, episodes=12, seconds=3.0)
    first, again = (evaluate("coach", coach, [ring_road], settings) for _ in range(2))
    assert len(first.episodes) >= 12
    assert first.episodes.tobytes() == again.episodes.tobytes()
    assert first.figures["offroad_rate"].value > 0  # nobody has taught it anything

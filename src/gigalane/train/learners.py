"""What can learn by PPO: makes an untaught policy for a world."""

from __future__ import annotations

from collections.abc import Callable

from gigalane.core.settings import SettingsError
from gigalane.networks.birdview import BirdviewLayout
from gigalane.networks.camera_rows import CameraLayout
from gigalane.policies.actor_critic import AnyPolicy
from gigalane.policies.camera import CameraPolicy
from gigalane.policies.coach import CoachPolicy
from gigalane.policies.entity import EntityPolicy
from gigalane.sim.layout import ObservationLayout
from gigalane.train.settings import TrainSettings
from gigalane.worlds.world import World

PolicyFactory = Callable[[World, TrainSettings], AnyPolicy]
"""Makes what learns in a world, with weights from torch's global generator."""


def make_driver(world: World, settings: TrainSettings) -> EntityPolicy:
    """A driver that sees sets of entities."""
    assert isinstance(world.layout, ObservationLayout)
    return EntityPolicy(world.layout, world.action_space, settings.policy)


def make_coach(world: World, settings: TrainSettings) -> CoachPolicy:
    """A coach that sees pictures from above.

    Raises:
        SettingsError: the world's actions or pictures do not suit it.
    """
    assert isinstance(world.layout, BirdviewLayout)
    return CoachPolicy(world.layout, world.action_space, settings.coach)


def make_camera_driver(world: World, settings: TrainSettings) -> CameraPolicy:
    """A driver that looks through cameras and has nobody to learn from.

    Raises:
        SettingsError: it is to propose plans, which no reward speaks of.
        BackboneError: it is to begin with a backbone that is not there.
    """
    assert isinstance(world.layout, CameraLayout)
    if settings.camera.proposals:
        raise SettingsError("camera: proposals need a teacher; leave them out, or use distill")
    driver = CameraPolicy(world.layout, world.action_space, settings.camera)
    driver.open_eyes()
    return driver

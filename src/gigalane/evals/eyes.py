"""What a driver looks with: the world that a subject is measured in."""

from __future__ import annotations

from collections.abc import Sequence

from gigalane.core.settings import SettingsError
from gigalane.maps.road import RoadMap
from gigalane.policies.camera import CameraPolicy
from gigalane.policies.coach import CoachPolicy
from gigalane.policies.policy import Policy
from gigalane.render.appearance import Appearance
from gigalane.sim.settings import ScriptName
from gigalane.worlds.birdview import BirdviewWorld
from gigalane.worlds.camera import CameraWorld
from gigalane.worlds.vector import VectorWorld
from gigalane.worlds.world import World

Subject = Policy | ScriptName
"""Who is evaluated: a policy, or the name of a script."""


def world_for(
    subject: Subject,
    inner: VectorWorld,
    road_maps: Sequence[RoadMap],
    appearance: Appearance | None = None,
) -> World:
    """The simulator as a world that shows its rows what the subject drives by.

    Args:
        subject: who drives.
        inner: the simulator's worlds; what is returned is these, or built around them.
        road_maps: the simulator's maps, in its order.
        appearance: what the worlds look like to cameras; one fixed clear day by default.

    Raises:
        SettingsError: the worlds do not show what the subject was trained on.
    """
    world: World = inner
    if isinstance(subject, CoachPolicy):
        world = BirdviewWorld(inner, subject.layout.birdview, road_maps)
    if isinstance(subject, CameraPolicy):
        if not inner.simulator.settings.observation.see_partners:
            raise SettingsError(
                "policy: cameras see whoever is there; leave --blind (see_partners=False) out"
            )
        layout = subject.layout
        world = CameraWorld(inner, layout.rig, road_maps, appearance, tells_lane=layout.tells_lane)
    if not isinstance(subject, str) and subject.layout != world.layout:
        raise SettingsError(
            f"policy: it observes {subject.layout}, the worlds show {world.layout}; "
            "use the observation settings it was trained with"
        )
    return world

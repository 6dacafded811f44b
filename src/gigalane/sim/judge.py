"""What a step brought: the facts, the reward, and whether the episode is over."""

# pyright: reportGeneralTypeIssues=false, reportInvalidTypeForm=false, reportCallIssue=false
# pyright: reportOperatorIssue=false, reportReturnType=false, reportArgumentType=false
# pyright: reportAttributeAccessIssue=false, reportIndexIssue=false

import warp as wp

from gigalane.maps.arrays import MapArrays
from gigalane.sim.collide import contact_facts
from gigalane.sim.events import (
    COLLIDED,
    MISSED_GOAL,
    OFF_ROAD,
    REACHED_GOAL,
    REACHED_WAYPOINT,
    TIMED_OUT,
    WRONG_WAY,
    goes_wrong_way,
    line_events,
)
from gigalane.sim.goals import distance_to_path
from gigalane.sim.reward import reward_terms
from gigalane.sim.scene import (
    ACTIVE,
    ENDED,
    PEDESTRIAN,
    POLICY,
    REWARD_TERMS,
    SCRIPTED,
    Body,
    RewardVector,
    Route,
    SceneArrays,
)
from gigalane.sim.settings import Rules

GOAL_SPEED = wp.constant(3.0)
"""The goal counts as reached below this speed [m/s] (GIGAFLOW)."""
OVERSHOOT = wp.constant(25.0)
"""Driving this far beyond a target on the route means it was missed [m] (chosen)."""


@wp.func
def target_fact(route: Route, body: Body, radius: float) -> int:
    """Whether the current target was reached or driven past in the last step.

    Args:
        route: way-points and progress.
        body: state after the step.
        radius: distance that counts as reached [m].
    """
    at = route.waypoint_index
    last = at + 1 >= route.waypoint_count
    gap = distance_to_path(body, route.waypoint_x[at], route.waypoint_y[at])
    if gap < radius:
        if not last:
            return REACHED_WAYPOINT
        if wp.abs(body.speed) < GOAL_SPEED:
            return REACHED_GOAL
    if route.progress > route.waypoint_distance[at] + OVERSHOOT and last:
        return MISSED_GOAL
    return 0


@wp.func
def judge(
    rules: Rules,
    road: MapArrays,
    scene: SceneArrays,
    world: int,
    agent: int,
    past_lane: int,
):
    """Writes the facts, reward and end of a step for a road user that moved in it.

    Args:
        rules: the settings.
        road: the maps.
        scene: the worlds.
        world: which world.
        agent: which road user.
        past_lane: its lane before it moved.
    """
    agents = scene.agent_count[world]
    dt = scene.dt[world]
    body = scene.body[world, agent]
    place = scene.place[world, agent]
    traits = scene.traits[world, agent]
    route = scene.route[world, agent]
    duty = scene.duty[world, agent]
    persona = scene.persona[world, agent]
    facts = line_events(rules, road, scene, world, agent, agents, past_lane)
    facts = facts | contact_facts(scene, world, agent, agents, dt)
    if place.off_road == 1:
        facts = facts | OFF_ROAD
    if goes_wrong_way(place, body):
        facts = facts | WRONG_WAY
    scripted_walker = traits.kind == PEDESTRIAN and traits.driver == SCRIPTED
    if not scripted_walker:
        target = target_fact(route, body, persona[0])
        facts = facts | target
        passed = route.progress > route.waypoint_distance[route.waypoint_index] + OVERSHOOT
        if target == REACHED_WAYPOINT or (passed and target == 0):
            route.waypoint_index = wp.min(route.waypoint_index + 1, route.waypoint_count - 1)
            scene.route[world, agent] = route
    over = facts & (COLLIDED | OFF_ROAD | REACHED_GOAL | MISSED_GOAL)
    if over == 0 and duty.age >= rules.episode_s:
        facts = facts | TIMED_OUT
        scene.truncated[world, agent] = wp.uint8(1)
    if over != 0:
        scene.terminated[world, agent] = wp.uint8(1)
    terms = reward_terms(persona, body, place, facts, dt)
    total = float(0.0)
    for k in range(REWARD_TERMS):
        total += terms[k]
    scene.events[world, agent] = facts
    scene.reward_terms[world, agent] = terms
    scene.reward[world, agent] = total


@wp.func
def clear(scene: SceneArrays, world: int, agent: int):
    """Nothing happened to a slot that did not act."""
    scene.events[world, agent] = 0
    scene.reward[world, agent] = 0.0
    scene.reward_terms[world, agent] = RewardVector()
    scene.terminated[world, agent] = wp.uint8(0)
    scene.truncated[world, agent] = wp.uint8(0)


@wp.func
def close(scene: SceneArrays, world: int, agent: int):
    """Ends episodes that are over and says whose next transition counts."""
    status = scene.status[world, agent]
    if scene.terminated[world, agent] + scene.truncated[world, agent] > wp.uint8(0):
        status = ENDED
        scene.status[world, agent] = status
    learns = status == ACTIVE and scene.traits[world, agent].driver == POLICY
    scene.active[world, agent] = wp.uint8(wp.where(status == ACTIVE, 1, 0))
    scene.learn[world, agent] = wp.uint8(wp.where(learns, 1, 0))
    scene.row_dt[world, agent] = scene.dt[world]

"""The facts of a step. Rewards weigh them, metrics count them, the viewer colours them."""

# pyright: reportGeneralTypeIssues=false, reportInvalidTypeForm=false, reportCallIssue=false
# pyright: reportOperatorIssue=false, reportReturnType=false, reportArgumentType=false
# pyright: reportAttributeAccessIssue=false, reportIndexIssue=false

import warp as wp

from gigalane.maps.arrays import RULE_LIGHT, RULE_STOP, Control, MapArrays
from gigalane.sim.lights import RED, light_state
from gigalane.sim.scene import PEDESTRIAN, Body, Duty, Place, SceneArrays, Traits
from gigalane.sim.settings import Rules

COLLIDED = wp.constant(1)
OFF_ROAD = wp.constant(2)
RAN_RED = wp.constant(4)
RAN_STOP = wp.constant(8)
OUT_OF_TURN = wp.constant(16)
WRONG_WAY = wp.constant(32)
REACHED_WAYPOINT = wp.constant(64)
REACHED_GOAL = wp.constant(128)
MISSED_GOAL = wp.constant(256)
TIMED_OUT = wp.constant(512)
HIT_PEDESTRIAN = wp.constant(1024)

EVENT_NAMES: tuple[str, ...] = (
    "collided",
    "off_road",
    "ran_red",
    "ran_stop",
    "out_of_turn",
    "wrong_way",
    "reached_waypoint",
    "reached_goal",
    "missed_goal",
    "timed_out",
    "hit_pedestrian",
)
"""Bit k of an event mask is the k-th name."""

FULL_STOP = wp.constant(0.2)
"""Slower than this is standing [m/s] (chosen)."""
STOP_ZONE = wp.constant(4.0)
"""A full stop counts within this distance before the line [m] (chosen)."""
OVERHANG = wp.constant(0.5)
"""A bumper this far over the line still stands at it [m] (chosen)."""
PASSED = wp.constant(2.5)
"""A line this far behind the bumper is passed, and the stop made at it forgotten [m] (chosen)."""
WRONG_WAY_SPEED = wp.constant(0.5)
"""Slower than this nobody goes the wrong way [m/s] (chosen)."""


@wp.func
def distance_to_line(control: Control, x: float, y: float) -> float:
    """How far a point is before a stop line, along its direction of travel [m]."""
    middle_x = 0.5 * (control.left_x + control.right_x)
    middle_y = 0.5 * (control.left_y + control.right_y)
    return (middle_x - x) * control.cos + (middle_y - y) * control.sin


@wp.func
def crosses(control: Control, x: float, y: float, past_x: float, past_y: float) -> bool:
    """Whether a point moved over a stop line in its direction of travel.

    The line counts half a metre wider on either side than it is painted.
    """
    before = distance_to_line(control, past_x, past_y)
    after = distance_to_line(control, x, y)
    if before <= 0.0 or after > 0.0:
        return False
    share = before / (before - after)
    dx = past_x + share * (x - past_x) - 0.5 * (control.left_x + control.right_x)
    dy = past_y + share * (y - past_y) - 0.5 * (control.left_y + control.right_y)
    half = 0.5 * wp.length(
        wp.vec2(control.left_x - control.right_x, control.left_y - control.right_y)
    )
    return wp.abs(dy * control.cos - dx * control.sin) <= half + 0.5


@wp.func
def others_turn(
    road: MapArrays, scene: SceneArrays, world: int, agent: int, agents: int, control_index: int
) -> bool:
    """Whether somebody who stopped earlier still waits at a stop sign of the same junction."""
    mine = scene.duty[world, agent].stopped_step
    junction = road.controls[control_index].junction
    for other in range(agents):
        if other != agent and scene.boxes[world, 8, other] >= 0.0:
            duty = scene.duty[world, other]
            if duty.stopped_control >= 0 and duty.stopped_control != control_index:
                if road.controls[duty.stopped_control].junction == junction and junction >= 0:
                    waits = wp.abs(scene.boxes[world, 5, other]) < FULL_STOP
                    if waits and duty.stopped_step < mine:
                        return True
    return False


@wp.func
def note_stop(
    road: MapArrays, place: Place, duty: Duty, body: Body, traits: Traits, step: int
) -> Duty:
    """Notes a full stop before a stop sign's line, and forgets it once the line lies behind."""
    noted = duty
    if noted.stopped_control >= 0:
        past_x = body.past_x + 0.5 * traits.length * body.past_cos
        past_y = body.past_y + 0.5 * traits.length * body.past_sin
        if distance_to_line(road.controls[noted.stopped_control], past_x, past_y) < -PASSED:
            noted.stopped_control = -1
    if wp.abs(body.speed) >= FULL_STOP:
        return noted
    lane = road.lanes[place.lane]
    front_x = body.x + 0.5 * traits.length * body.cos
    front_y = body.y + 0.5 * traits.length * body.sin
    for k in range(lane.control_count):
        ahead = road.lane_controls[lane.control_start + k]
        control = road.controls[ahead.control]
        if control.rule == RULE_STOP and noted.stopped_control != ahead.control:
            left = distance_to_line(control, front_x, front_y)
            if left > -OVERHANG and left < STOP_ZONE:
                noted.stopped_control = ahead.control
                noted.stopped_step = step
    return noted


@wp.func
def line_events(
    rules: Rules,
    road: MapArrays,
    scene: SceneArrays,
    world: int,
    agent: int,
    agents: int,
    past_lane: int,
) -> int:
    """Facts about the stop lines that a front bumper moved over in the last step."""
    facts = int(0)
    body = scene.body[world, agent]
    traits = scene.traits[world, agent]
    if traits.kind == PEDESTRIAN or past_lane < 0:
        return facts
    half = 0.5 * traits.length
    x = body.x + half * body.cos
    y = body.y + half * body.sin
    past_x = body.past_x + half * body.past_cos
    past_y = body.past_y + half * body.past_sin
    lane = road.lanes[past_lane]
    for k in range(lane.control_count):
        index = road.lane_controls[lane.control_start + k].control
        control = road.controls[index]
        if wp.abs(control.z - body.z) < 3.0 and crosses(control, x, y, past_x, past_y):
            if control.rule == RULE_LIGHT:
                time = float(scene.clock[world]) * scene.dt[world]
                if light_state(rules, road, control, scene.seed[world], time) == RED:
                    facts = facts | RAN_RED
            elif control.rule == RULE_STOP:
                if scene.duty[world, agent].stopped_control != index:
                    facts = facts | RAN_STOP
                elif others_turn(road, scene, world, agent, agents, index):
                    facts = facts | OUT_OF_TURN
    return facts


@wp.func
def goes_wrong_way(place: Place, body: Body) -> bool:
    """Whether a road user moves against its lane."""
    return place.on_lane == 1 and place.heading_cos < 0.0 and body.speed > WRONG_WAY_SPEED

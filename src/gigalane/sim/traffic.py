"""Scripted road users: vehicles that follow their route, walkers that keep to their way.

Vehicles: the intelligent driver model (Treiber, Hennecke, Helbing 2000) along the route, with
pure pursuit for steering. Whatever stands in the next metres of the route counts as a leader;
red lights, stop signs that are still owed a stop, and the goal count as standing leaders.
"""

# pyright: reportGeneralTypeIssues=false, reportInvalidTypeForm=false, reportCallIssue=false
# pyright: reportOperatorIssue=false, reportReturnType=false, reportArgumentType=false
# pyright: reportAttributeAccessIssue=false, reportIndexIssue=false

import warp as wp

from gigalane.core.rng import stream, unit
from gigalane.maps.arrays import RULE_LIGHT, RULE_STOP, MapArrays
from gigalane.sim.dynamics import BRAKING_LIMIT, SPEED_LIMIT, TURNING_RATE
from gigalane.sim.events import distance_to_line, others_turn
from gigalane.sim.goals import at_arc, on_route
from gigalane.sim.lights import RED, YELLOW, light_state
from gigalane.sim.scene import Body, Route, SceneArrays, Traits
from gigalane.sim.settings import Rules

IDM = wp.constant(0)
CONSTANT_VELOCITY = wp.constant(1)
STATIONARY = wp.constant(2)

LOOK_AHEAD = wp.constant(12)
"""Points of the route that are searched for leaders."""
LOOK_STEP = wp.constant(4.0)
"""Distance between them [m]."""
CURVE_ACCELERATION = wp.constant(2.0)
"""Comfortable lateral acceleration in curves [m/s²] (chosen)."""

_WAIT = wp.constant(501)


@wp.func
def idm_acceleration(
    rules: Rules, speed: float, desired: float, gap: float, leader_speed: float
) -> float:
    """Acceleration of the intelligent driver model [m/s²].

    a (1 - (v / v0)^4 - (s* / s)^2) with s* = s0 + max(0, v T + v dv / (2 sqrt(a b))).

    Args:
        rules: a, b, T and s0.
        speed: v [m/s].
        desired: v0 [m/s].
        gap: s, bumper to bumper [m].
        leader_speed: [m/s].
    """
    ratio = wp.max(speed, 0.0) / wp.max(desired, 0.5)
    closing = speed - leader_speed
    wanted = rules.standstill_gap + wp.max(
        0.0,
        speed * rules.desired_gap
        + speed * closing / (2.0 * wp.sqrt(rules.acceleration * rules.deceleration)),
    )
    share = wanted / wp.max(gap, 0.3)
    free = rules.acceleration * (1.0 - ratio * ratio * ratio * ratio)
    return wp.clamp(free - rules.acceleration * share * share, BRAKING_LIMIT, rules.acceleration)


@wp.func
def pursuit_steering(body: Body, traits: Traits, x: float, y: float) -> float:
    """Wheel angle of pure pursuit towards a point [rad]: tan d = 2 L sin(a) / distance."""
    dx = x - body.x
    dy = y - body.y
    left = dy * body.cos - dx * body.sin
    square = wp.max(dx * dx + dy * dy, 1.0)
    return wp.atan(2.0 * traits.wheelbase * left / square)


@wp.func
def curve_speed(road: MapArrays, route: Route, speed: float) -> float:
    """Speed at which the curves of the next metres can still be met [m/s].

    A curve at distance d allows v with v² = v_curve² + 2 b d, b = 2 m/s².
    """
    allowed = float(100.0)
    for k in range(6):
        distance = float(k) * 5.0
        one = on_route(road, route, route.progress + distance)
        other = on_route(road, route, route.progress + distance + 4.0)
        bend = wp.abs(one[2] * other[3] - one[3] * other[2]) / 4.0
        curve = CURVE_ACCELERATION / wp.max(bend, 1.0e-4)
        allowed = wp.min(allowed, wp.sqrt(curve + 4.0 * wp.max(distance - 2.0, 0.0)))
    return allowed


@wp.func
def leader_acceleration(
    rules: Rules,
    road: MapArrays,
    scene: SceneArrays,
    world: int,
    agent: int,
    agents: int,
    desired: float,
) -> float:
    """The most careful of the accelerations that anyone on the next metres asks for."""
    body = scene.body[world, agent]
    traits = scene.traits[world, agent]
    route = scene.route[world, agent]
    careful = float(100.0)
    reach = LOOK_STEP * float(LOOK_AHEAD)
    for other in range(agents):
        if other != agent and scene.boxes[world, 8, other] >= 0.0:
            x = scene.boxes[world, 0, other]
            y = scene.boxes[world, 1, other]
            dx = x - body.x
            dy = y - body.y
            half_length = scene.boxes[world, 6, other]
            if (
                dx * dx + dy * dy < reach * reach
                and dx * body.cos + dy * body.sin > 0.0
                and wp.abs(scene.boxes[world, 2, other] - body.z) < 3.0
            ):
                cos = scene.boxes[world, 3, other]
                sin = scene.boxes[world, 4, other]
                side = scene.boxes[world, 7, other] + 0.5 * traits.width + 0.2
                found = float(-1.0)
                heading = float(1.0)
                for k in range(LOOK_AHEAD):
                    if found < 0.0:
                        distance = float(k + 1) * LOOK_STEP
                        point = on_route(road, route, route.progress + distance)
                        px = point[0] - x
                        py = point[1] - y
                        along = px * cos + py * sin
                        if (
                            wp.abs(along) < half_length + 0.5 * LOOK_STEP
                            and wp.abs(py * cos - px * sin) < side
                        ):
                            found = distance
                            heading = cos * point[2] + sin * point[3]
                if found > 0.0:
                    gap = wp.length(wp.vec2(dx, dy)) - half_length - 0.5 * traits.length
                    speed = wp.max(scene.boxes[world, 5, other] * heading, 0.0)
                    careful = wp.min(
                        careful, idm_acceleration(rules, body.speed, desired, gap, speed)
                    )
    return careful


@wp.func
def line_acceleration(
    rules: Rules,
    road: MapArrays,
    scene: SceneArrays,
    world: int,
    agent: int,
    agents: int,
    desired: float,
) -> float:
    """The acceleration that the next stop line on the route asks for."""
    body = scene.body[world, agent]
    traits = scene.traits[world, agent]
    route = scene.route[world, agent]
    careful = float(100.0)
    time = float(scene.clock[world]) * scene.dt[world]
    for step in range(4):
        at = route.lane_index + step
        if at < route.lane_count:
            lane = road.lanes[route.lanes[at]]
            for k in range(lane.control_count):
                ahead = road.lane_controls[lane.control_start + k]
                if ahead.distance <= lane.length + 0.5:
                    control = road.controls[ahead.control]
                    front_x = body.x + 0.5 * traits.length * body.cos
                    front_y = body.y + 0.5 * traits.length * body.sin
                    gap = distance_to_line(control, front_x, front_y)
                    if gap > -0.3 and gap < 60.0:
                        stop = int(0)
                        if control.rule == RULE_LIGHT:
                            state = light_state(rules, road, control, scene.seed[world], time)
                            if state == RED:
                                stop = 1
                            # On yellow, who can stop with 3 m/s² does.
                            if state == YELLOW and body.speed * body.speed < 6.0 * gap:
                                stop = 1
                        elif control.rule == RULE_STOP:
                            owed = scene.duty[world, agent].stopped_control != ahead.control
                            if owed:
                                stop = 1
                            elif others_turn(road, scene, world, agent, agents, ahead.control):
                                stop = 1
                        if stop == 1:
                            # The model keeps its standstill gap; half of it is left to the line.
                            room = gap + 0.5 * rules.standstill_gap
                            careful = wp.min(
                                careful, idm_acceleration(rules, body.speed, desired, room, 0.0)
                            )
    return careful


@wp.func
def drive_by_script(
    rules: Rules, road: MapArrays, scene: SceneArrays, world: int, agent: int, agents: int
) -> wp.vec2:
    """Acceleration [m/s²] and wheel angle [rad] of a scripted vehicle."""
    body = scene.body[world, agent]
    if rules.script == STATIONARY:
        return wp.vec2(wp.clamp(-body.speed / scene.dt[world], BRAKING_LIMIT, 0.0), 0.0)
    if rules.script == CONSTANT_VELOCITY:
        return wp.vec2(0.0, 0.0)
    traits = scene.traits[world, agent]
    route = scene.route[world, agent]
    place = scene.place[world, agent]
    ahead = wp.clamp(0.9 * body.speed, 4.0, 15.0)
    point = on_route(road, route, route.progress + ahead)
    steering = pursuit_steering(body, traits, point[0], point[1])
    desired = wp.min(place.speed_limit, 0.95 * SPEED_LIMIT * traits.speed_scale)
    desired = wp.min(desired, curve_speed(road, route, body.speed))
    acceleration = idm_acceleration(
        rules,
        body.speed,
        desired,
        route.length - route.progress + rules.standstill_gap,
        0.0,
    )
    acceleration = wp.min(
        acceleration, leader_acceleration(rules, road, scene, world, agent, agents, desired)
    )
    acceleration = wp.min(
        acceleration, line_acceleration(rules, road, scene, world, agent, agents, desired)
    )
    # A script stops where it stands; it never rolls back.
    return wp.vec2(wp.max(acceleration, -body.speed / scene.dt[world]), steering)


@wp.func
def walk_by_script(
    rules: Rules, road: MapArrays, scene: SceneArrays, world: int, agent: int
) -> wp.vec2:
    """Acceleration [m/s²] and turning command of a scripted walker.

    Walkers go along their pavement or crossing, wait at its end, and come back.
    """
    body = scene.body[world, agent]
    traits = scene.traits[world, agent]
    place = scene.place[world, agent]
    duty = scene.duty[world, agent]
    dt = scene.dt[world]
    lane = road.lanes[place.lane]
    direction = float(duty.walk_direction)
    left = wp.where(duty.walk_direction > 0, lane.length - place.arc, place.arc)
    # Standing still takes v² / (2 * 2 m/s²) and the step under way.
    room = 0.5 * traits.length + 0.25 * body.speed * body.speed + body.speed * dt + 0.1
    if left < room:
        duty.walk_direction = -duty.walk_direction
        random = stream(scene.seed[world], agent, scene.clock[world], _WAIT)
        duty.braking_until = duty.age + 2.0 + 10.0 * unit(random, 0)
        scene.duty[world, agent] = duty
        direction = -direction
    point = at_arc(road, place.lane, place.arc)
    aim = wp.atan2(point[3] * direction, point[2] * direction)
    aim -= direction * wp.clamp(0.5 * place.offset, -0.8, 0.8)
    turn = aim - body.heading
    turn = turn - 6.283185307 * wp.floor((turn + 3.141592654) / 6.283185307)
    steering = wp.clamp(turn / (TURNING_RATE * dt), -1.0, 1.0)
    wanted = SPEED_LIMIT * traits.speed_scale
    if duty.age < duty.braking_until or wp.abs(turn) > 0.6:
        wanted = 0.0
    return wp.vec2(wp.clamp((wanted - body.speed) / dt, -2.0, 2.0), steering)

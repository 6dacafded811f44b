"""What an agent is shown: one row of numbers near 1 in four slots.

`given` (52 numbers; positions in the ego frame, x ahead and y left):
  0-12   lane offset, heading error, lane curvature, speed, speed limit, wheel angle,
         acceleration, lateral acceleration, C_acc, C_thr, C_steer, length, width
  13-24  four way-points: x, y, distance along the route; the goal fills what is left
  25-36  persona, in the order of PERSONA_NAMES, each as a share of its GIGAFLOW range
  37-51  C_vel, dt, kind (4), whether the target is the goal, way-points left, full stop made,
         on the lane's surface, jerk, lateral jerk, delay, friction, lane half width
`road`: x, y, direction cos, sin, half width, kind (+1 lane, -1 edge) of each token.
`partners`: x, y, heading cos, sin, relative velocity x, y, length, width, height difference,
         kind, nearest first.
`controls`: distance to the line, x, y, may go, caution, stop; nearest first.
Tokens that are not there are all zero. `gigalane.sim.observe_flat` has the other format.
"""

# pyright: reportGeneralTypeIssues=false, reportInvalidTypeForm=false, reportCallIssue=false
# pyright: reportOperatorIssue=false, reportReturnType=false, reportArgumentType=false
# pyright: reportAttributeAccessIssue=false, reportIndexIssue=false

import warp as wp

from gigalane.core.rng import stream, unit
from gigalane.maps.arrays import RULE_LIGHT, RULE_STOP, MapArrays, RoadPoint
from gigalane.sim.events import distance_to_line
from gigalane.sim.lights import GREEN, RED, YELLOW, light_state
from gigalane.sim.observe_flat import observe_flat
from gigalane.sim.partners import put_partners
from gigalane.sim.row import POSITION_SCALE, SPEED_SCALE, blank, put, road_tokens
from gigalane.sim.scene import (
    BLIND,
    PEDESTRIAN,
    SceneArrays,
)
from gigalane.sim.settings import Rules

_DROPOUT = wp.constant(601)
_NOISE = wp.constant(602)


@wp.func_native(
    """
    const int tokens = indices.shape[0];
#if defined(__CUDA_ARCH__)
    #define STORE(i, v) row.data[start + (i)] = wp::half(v)
    for (int t = 0; t < tokens; t++) {
        const int p = indices.data[t];
        const auto& q = points.data[p < 0 ? 0 : p];
        const float dx = q.x - x, dy = q.y - y;
        const float there = p < 0 ? 0.0f : 1.0f;
        const int o = 6 * t;
        STORE(o, (dx * cos + dy * sin) * 0.02f * there);
        STORE(o + 1, (dy * cos - dx * sin) * 0.02f * there);
        STORE(o + 2, (q.cos * cos + q.sin * sin) * there);
        STORE(o + 3, (q.sin * cos - q.cos * sin) * there);
        STORE(o + 4, q.half_width * 0.2f * there);
        STORE(o + 5, q.kind * there);
    }
#undef STORE
#else
"""
    + road_tokens(6, (0, 1, 2, 3, 4, 5, 6, 7))
    + "#endif\n"
)
def put_road(
    points: wp.array(dtype=RoadPoint),
    indices: wp.array(dtype=int),
    row: wp.array(dtype=wp.float16),
    start: int,
    x: float,
    y: float,
    cos: float,
    sin: float,
):
    """Writes the road tokens seen from a segment into an agent's row."""
    ...


@wp.func
def drop_road(rules: Rules, row: wp.array(dtype=wp.float16), lane_tokens: int, random: wp.uint32):
    """Blanks a random share of the road tokens."""
    for token in range(rules.road_tokens):
        share = wp.where(token < lane_tokens, rules.lane_dropout, rules.edge_dropout)
        if unit(random, token) < share:
            at = rules.road_start + 6 * token
            blank(row, at, at + 6)


@wp.func
def put_given(
    rules: Rules, scene: SceneArrays, world: int, agent: int, row: wp.array(dtype=wp.float16)
):
    """Writes the `given` slot."""
    body = scene.body[world, agent]
    traits = scene.traits[world, agent]
    place = scene.place[world, agent]
    put(row, 0, place.offset * 0.5)
    put(row, 1, wp.atan2(place.heading_sin, place.heading_cos))
    put(row, 2, place.curvature * 10.0)
    put(row, 3, body.speed * SPEED_SCALE)
    put(row, 4, place.speed_limit * SPEED_SCALE)
    put(row, 5, body.steering * 2.0)
    put(row, 6, body.acceleration * 0.2)
    put(row, 7, body.lateral_acceleration * 0.25)
    put(row, 8, traits.acceleration_scale - 1.0)
    put(row, 9, traits.throttle_scale - 1.0)
    put(row, 10, traits.steering_scale - 1.0)
    put(row, 11, traits.length * 0.2)
    put(row, 12, traits.width * 0.5)
    route = scene.route[world, agent]
    for k in range(4):
        at = wp.min(route.waypoint_index + k, route.waypoint_count - 1)
        dx = route.waypoint_x[at] - body.x
        dy = route.waypoint_y[at] - body.y
        put(row, 13 + 3 * k, (dx * body.cos + dy * body.sin) * POSITION_SCALE)
        put(row, 14 + 3 * k, (dy * body.cos - dx * body.sin) * POSITION_SCALE)
        left = route.waypoint_distance[at] - route.progress
        put(row, 15 + 3 * k, wp.clamp(left, -50.0, 300.0) * POSITION_SCALE)
    persona = scene.persona[world, agent]
    put(row, 25, persona[0] * (1.0 / 12.0))
    put(row, 26, persona[1] * (1.0 / 3.0))
    put(row, 27, persona[2] * (1.0 / 3.0))
    put(row, 28, persona[3] * 10.0)
    put(row, 29, persona[4] * 40.0)
    put(row, 30, persona[5])
    put(row, 31, persona[6] * (1.0 / 7.5e-3))
    put(row, 32, persona[7] * 2.0)
    put(row, 33, persona[8] * (1.0 / 7.5e-3))
    put(row, 34, persona[9])
    put(row, 35, persona[10] * 400.0)
    put(row, 36, persona[11] * 40000.0)
    put(row, 37, traits.speed_scale - 1.0)
    put(row, 38, scene.dt[world] * 4.0)
    for kind in range(4):
        put(row, 39 + kind, wp.where(traits.kind == kind, 1.0, 0.0))
    last = route.waypoint_index + 1 >= route.waypoint_count
    put(row, 43, wp.where(last, 1.0, 0.0))
    put(row, 44, float(route.waypoint_count - route.waypoint_index) * 0.1)
    put(row, 45, wp.where(scene.duty[world, agent].stopped_control >= 0, 1.0, 0.0))
    put(row, 46, float(place.on_lane))
    put(row, 47, body.jerk * 0.1)
    put(row, 48, body.lateral_jerk * 0.1)
    put(row, 49, float(traits.delay))
    put(row, 50, traits.friction)
    put(row, 51, place.half_width * 0.5)


@wp.func
def put_controls(
    rules: Rules,
    road: MapArrays,
    scene: SceneArrays,
    world: int,
    agent: int,
    row: wp.array(dtype=wp.float16),
):
    """Writes the stop lines ahead that mean something to this road user."""
    body = scene.body[world, agent]
    place = scene.place[world, agent]
    traits = scene.traits[world, agent]
    token = int(0)
    if place.lane >= 0 and traits.kind != PEDESTRIAN:
        lane = road.lanes[place.lane]
        time = float(scene.clock[world]) * scene.dt[world]
        front_x = body.x + 0.5 * traits.length * body.cos
        front_y = body.y + 0.5 * traits.length * body.sin
        for k in range(lane.control_count):
            ahead = road.lane_controls[lane.control_start + k]
            left = ahead.distance - place.arc - 0.5 * traits.length
            if token < rules.controls and left > -2.0 and left < rules.control_range:
                control = road.controls[ahead.control]
                go = float(0.0)
                caution = float(0.0)
                stop = float(0.0)
                if control.rule == RULE_LIGHT:
                    state = light_state(rules, road, control, scene.seed[world], time)
                    go = wp.where(state == GREEN, 1.0, 0.0)
                    caution = wp.where(state == YELLOW, 1.0, 0.0)
                    stop = wp.where(state == RED, 1.0, 0.0)
                elif control.rule == RULE_STOP:
                    caution = 1.0
                    made = scene.duty[world, agent].stopped_control == ahead.control
                    stop = wp.where(made, 0.0, 1.0)
                else:
                    caution = 0.5
                if go + caution + stop > 0.0:
                    at = rules.controls_start + 6 * token
                    x = 0.5 * (control.left_x + control.right_x) - body.x
                    y = 0.5 * (control.left_y + control.right_y) - body.y
                    gap = distance_to_line(control, front_x, front_y)
                    put(row, at, wp.where(left < 10.0, gap, left) * POSITION_SCALE)
                    put(row, at + 1, (x * body.cos + y * body.sin) * POSITION_SCALE)
                    put(row, at + 2, (y * body.cos - x * body.sin) * POSITION_SCALE)
                    put(row, at + 3, go)
                    put(row, at + 4, caution)
                    put(row, at + 5, stop)
                    token += 1
    blank(row, rules.controls_start + 6 * token, rules.row_width)


@wp.func
def observe(
    rules: Rules, road: MapArrays, scene: SceneArrays, world: int, agent: int, lane_tokens: int
):
    """Writes an agent's observation row."""
    if rules.flat == 1:
        observe_flat(rules, road, scene, world, agent)
        return
    row = scene.observation[world, agent]
    body = scene.body[world, agent]
    place = scene.place[world, agent]
    put_given(rules, scene, world, agent, row)
    tokens = road.segments[place.segment].tokens
    random = stream(scene.seed[world], agent, scene.clock[world], _DROPOUT)
    if tokens >= 0:
        put_road(
            road.road_points,
            road.road_tokens[tokens],
            row,
            rules.road_start,
            body.x,
            body.y,
            body.cos,
            body.sin,
        )
        if rules.lane_dropout > 0.0 or rules.edge_dropout > 0.0:
            drop_road(rules, row, lane_tokens, random)
    else:
        blank(row, rules.road_start, rules.partners_start)
    agents = scene.agent_count[world]
    sight = rules.partner_range
    if rules.see_partners == 0 or scene.traits[world, agent].driver == BLIND:
        sight = 0.0
    put_partners(
        scene.boxes[world],
        row,
        rules.partners_start,
        rules.partners,
        agents,
        agent,
        body.x,
        body.y,
        body.z,
        body.cos,
        body.sin,
        body.speed,
        sight,
        rules.position_noise,
        rules.velocity_noise,
        stream(scene.seed[world], agent, scene.clock[world], _NOISE),
    )
    put_controls(rules, road, scene, world, agent, row)

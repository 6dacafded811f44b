"""Where road users want to go: a random walk along the lane graph, and way-points on it."""

# pyright: reportGeneralTypeIssues=false, reportInvalidTypeForm=false, reportCallIssue=false
# pyright: reportOperatorIssue=false, reportReturnType=false, reportArgumentType=false
# pyright: reportAttributeAccessIssue=false, reportIndexIssue=false

import warp as wp

from gigalane.core.rng import between, stream, unit
from gigalane.maps.arrays import MapArrays
from gigalane.sim.scene import PEDESTRIAN, ROUTE_LANES, WAYPOINTS, Body, Place, Route
from gigalane.sim.settings import Rules

LANE_CHANGE_LENGTH = wp.constant(40.0)
"""Routes change lane only on lanes this long [m] (chosen)."""
LEAST_ROUTE = wp.constant(20.0)
"""Routes shorter than this are not driven [m] (chosen)."""

_WALK = wp.constant(201)


@wp.func
def at_arc(road: MapArrays, lane_index: int, arc: float) -> wp.vec4:
    """Point of a lane's centreline: x, y [m], cos, sin of the lane there.

    Args:
        road: the maps.
        lane_index: which lane.
        arc: along it [m]; beyond its ends the last segment is prolonged.
    """
    lane = road.lanes[lane_index]
    low = lane.first_segment
    high = lane.first_segment + lane.segment_count - 1
    while low < high:
        middle = (low + high + 1) / 2
        if road.segments[middle].arc <= arc:
            low = middle
        else:
            high = middle - 1
    segment = road.segments[low]
    along = arc - segment.arc
    return wp.vec4(
        segment.x + along * segment.cos, segment.y + along * segment.sin, segment.cos, segment.sin
    )


@wp.func
def on_route(road: MapArrays, route: Route, distance: float) -> wp.vec4:
    """Point of a route: x, y [m], cos, sin of the lane there.

    Args:
        road: the maps.
        route: the lanes.
        distance: along the route from its start [m].
    """
    at = wp.min(route.lane_index, wp.max(route.lane_count - 1, 0))
    while at + 1 < route.lane_count:
        if distance < route.offsets[at] + road.lanes[route.lanes[at]].length - 1.0e-3:
            break
        at += 1
    return at_arc(road, route.lanes[at], distance - route.offsets[at])


@wp.func
def plan_route(
    rules: Rules, road: MapArrays, place: Place, kind: int, seed: wp.uint32, agent: int, step: int
) -> Route:
    """Draws a route from a place: lanes, goal and way-points.

    Args:
        rules: distances and chances.
        road: the maps.
        place: where it begins.
        kind: of the road user; walkers stay on their lane.
        seed: of the world.
        agent: slot.
        step: of the world's clock.

    Returns:
        The route; `length` is below LEAST_ROUTE where the graph ends too soon.
    """
    random = stream(seed, agent, step, _WALK)
    wanted = between(random, 0, rules.goal_distance)
    route = Route()
    lane = place.lane
    route.lanes[0] = lane
    route.offsets[0] = -place.arc
    count = int(1)
    total = road.lanes[lane].length - place.arc
    changed = int(0)
    while total < wanted and count < ROUTE_LANES and kind != PEDESTRIAN:
        record = road.lanes[lane]
        beside = int(-1)
        if changed == 0 and record.length >= LANE_CHANGE_LENGTH:
            if unit(random, 4 * count + 1) < rules.lane_change:
                beside = record.left
                if beside < 0 or (record.right >= 0 and unit(random, 4 * count + 2) < 0.5):
                    beside = record.right
        if beside >= 0:
            # Both lanes end abreast of each other, so distances are aligned there.
            route.lanes[count] = beside
            route.offsets[count] = total - road.lanes[beside].length
            lane = beside
            count += 1
            changed = 1
        elif record.successor_count > 0:
            pick = int(unit(random, 4 * count + 3) * float(record.successor_count))
            pick = wp.min(pick, record.successor_count - 1)
            lane = road.lane_links[record.successor_start + pick]
            route.lanes[count] = lane
            route.offsets[count] = total
            total += road.lanes[lane].length
            count += 1
            changed = 0
        else:
            wanted = total
    route.lane_count = count
    route.length = wp.min(wanted, total - 1.0)
    spacing = between(random, 4 * ROUTE_LANES + 1, rules.waypoint_spacing)
    spacing = wp.max(spacing, route.length / (float(WAYPOINTS) - 1.0))
    waypoints = int(0)
    while waypoints < WAYPOINTS:
        distance = wp.min(float(waypoints + 1) * spacing, route.length)
        # A last stretch of less than half a spacing belongs to the goal.
        if route.length - distance < 0.5 * spacing:
            distance = route.length
        point = on_route(road, route, distance)
        route.waypoint_x[waypoints] = point[0]
        route.waypoint_y[waypoints] = point[1]
        route.waypoint_distance[waypoints] = distance
        waypoints += 1
        if distance >= route.length:
            break
    route.waypoint_count = waypoints
    return route


@wp.func
def follow_route(route: Route, place: Place) -> Route:
    """Notes how far along the route a place is; off the route the last progress stands."""
    followed = route
    for ahead in range(4):
        at = route.lane_index + ahead
        if at < route.lane_count:
            if route.lanes[at] == place.lane:
                followed.lane_index = at
                followed.progress = place.arc + route.offsets[at]
                return followed
    return followed


@wp.func
def distance_to_path(body: Body, x: float, y: float) -> float:
    """Distance of a point from the straight path of the last step [m]."""
    step_x = body.x - body.past_x
    step_y = body.y - body.past_y
    span = step_x * step_x + step_y * step_y
    share = float(1.0)
    if span > 1.0e-8:
        share = wp.clamp(((x - body.past_x) * step_x + (y - body.past_y) * step_y) / span, 0.0, 1.0)
    return wp.length(wp.vec2(body.past_x + share * step_x - x, body.past_y + share * step_y - y))

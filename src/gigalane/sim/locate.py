"""Where a road user is on the road: its lane, its place along it, and whether it has left it.

The lane stays continuous through junctions, where lanes overlap: first the lane on the route
is kept, then the lane that best continues the last one and fits the heading, then the nearest.
"""

# pyright: reportGeneralTypeIssues=false, reportInvalidTypeForm=false, reportCallIssue=false
# pyright: reportOperatorIssue=false, reportReturnType=false, reportArgumentType=false
# pyright: reportAttributeAccessIssue=false, reportIndexIssue=false

import warp as wp

from gigalane.maps.arrays import (
    BIDIRECTIONAL,
    DRIVABLE,
    ROUTABLE,
    WALKABLE,
    MapArrays,
    MapRecord,
    Segment,
    cell_of,
    contains,
)
from gigalane.sim.footprint import stands_on
from gigalane.sim.scene import PEDESTRIAN, Body, Place, Route, Traits

LEVEL_HEIGHT = wp.constant(3.0)
"""Surfaces further than this above or below belong to another level [m] (chosen)."""
ROUTE_WINDOW = wp.constant(4)
"""Lanes of the route, from the current one on, that count as being on it (chosen)."""


@wp.func
def route_position(route: Route, lane: int) -> int:
    """Index on the route of a lane at hand, or -1 where it is not on it."""
    for step in range(ROUTE_WINDOW):
        index = route.lane_index + step
        if index < route.lane_count:
            if route.lanes[index] == lane:
                return index
    return -1


@wp.func
def surface_of(kind: int) -> int:
    """Surface flags that a kind of road user may be on."""
    if kind == PEDESTRIAN:
        return WALKABLE | DRIVABLE
    return DRIVABLE


@wp.func
def lane_surface_of(kind: int) -> int:
    """Surface flags of the lanes a kind of road user belongs to."""
    if kind == PEDESTRIAN:
        return WALKABLE
    return ROUTABLE


@wp.func
def follow(road: MapArrays, route: Route, start: int, x: float, y: float) -> int:
    """Walks from a segment along its lane, and on along the route, to the one abreast of a point.

    Args:
        road: the maps.
        route: decides which lane follows at the end of one.
        start: segment to walk from.
        x: [m].
        y: [m].
    """
    here = start
    for _ in range(12):
        segment = road.segments[here]
        along = (x - segment.x) * segment.cos + (y - segment.y) * segment.sin
        lane = road.lanes[segment.lane]
        if along > segment.length:
            if here + 1 < lane.first_segment + lane.segment_count:
                here += 1
            else:
                following = int(-1)
                at = route_position(route, segment.lane)
                for k in range(lane.successor_count):
                    candidate = road.lane_links[lane.successor_start + k]
                    if following < 0:
                        following = candidate
                    if at >= 0 and at + 1 < route.lane_count:
                        if route.lanes[at + 1] == candidate:
                            following = candidate
                if following < 0:
                    return here
                here = road.lanes[following].first_segment
        elif along < 0.0 and here > lane.first_segment:
            here -= 1
        else:
            return here
    return here


@wp.func
def stand(road: MapArrays, at: int, body: Body) -> Place:
    """Place of a body relative to a segment."""
    segment = road.segments[at]
    dx = body.x - segment.x
    dy = body.y - segment.y
    along = dx * segment.cos + dy * segment.sin
    share = wp.clamp(along / segment.length, 0.0, 1.0)
    place = Place()
    place.lane = segment.lane
    place.segment = at
    place.arc = segment.arc + along
    place.offset = dy * segment.cos - dx * segment.sin
    place.heading_cos = body.cos * segment.cos + body.sin * segment.sin
    place.heading_sin = body.sin * segment.cos - body.cos * segment.sin
    place.curvature = segment.curvature
    place.speed_limit = road.lanes[segment.lane].speed_limit
    place.half_width = (
        segment.half_width_start + (segment.half_width_end - segment.half_width_start) * share
    )
    if (segment.flags & BIDIRECTIONAL) != 0 and place.heading_cos < 0.0:
        place.heading_cos = -place.heading_cos
        place.heading_sin = -place.heading_sin
    return place


@wp.func
def height_at(segment: Segment, x: float, y: float) -> float:
    """Height of a segment's surface abreast of a point [m]."""
    along = (x - segment.x) * segment.cos + (y - segment.y) * segment.sin
    return segment.z + segment.slope * along


@wp.func
def search(
    road: MapArrays, record: MapRecord, route: Route, before: Place, body: Body, flags: int
) -> int:
    """The segment, of those a point lies on, that best continues its story; -1 where none.

    Args:
        road: the maps.
        record: the map to search.
        route: lanes on it are preferred to all others.
        before: the last place.
        body: the point and its heading.
        flags: surface flags a lane must have one of.
    """
    best = int(-1)
    best_score = float(-1.0e30)
    cell = cell_of(record, body.x, body.y)
    if cell < 0:
        return -1
    for entry in range(road.cell_offsets[cell], road.cell_offsets[cell + 1]):
        candidate = road.cell_segments[entry]
        segment = road.segments[candidate]
        if (segment.flags & flags) != 0 and segment.lane >= 0:
            if contains(segment, body.x, body.y):
                if wp.abs(height_at(segment, body.x, body.y) - body.z) < LEVEL_HEIGHT:
                    offset = (body.y - segment.y) * segment.cos - (body.x - segment.x) * segment.sin
                    aligned = body.cos * segment.cos + body.sin * segment.sin
                    if (segment.flags & BIDIRECTIONAL) != 0:
                        aligned = wp.abs(aligned)
                    score = aligned - 0.1 * wp.abs(offset)
                    if segment.lane == before.lane:
                        score += 0.5
                    if route_position(route, segment.lane) >= 0:
                        score += 4.0
                    if score > best_score:
                        best_score = score
                        best = candidate
    return best


@wp.func
def leaves_road(road: MapArrays, record: MapRecord, at: int, body: Body, traits: Traits) -> bool:
    """Whether a corner of the box lies off every surface its kind may be on."""
    inside = stands_on(
        road.segments,
        road.cell_offsets,
        road.cell_segments,
        record.grid_x,
        record.grid_y,
        record.columns,
        record.rows,
        record.cell_start,
        at,
        surface_of(traits.kind),
        LEVEL_HEIGHT,
        body.x,
        body.y,
        body.z,
        body.cos,
        body.sin,
        traits.length,
        traits.width,
    )
    return inside == 0


@wp.func
def locate(
    road: MapArrays, record: MapRecord, route: Route, before: Place, body: Body, traits: Traits
) -> Place:
    """Place of a road user after a move.

    Args:
        road: the maps.
        record: its map.
        route: where it wants to go.
        before: its place before the move.
        body: its state after the move, `z` still that of the last step.
        traits: its size and kind.
    """
    at = follow(road, route, before.segment, body.x, body.y)
    on_lane = int(0)
    segment = road.segments[at]
    if contains(segment, body.x, body.y):
        on_lane = 1
    if on_lane == 0 or route_position(route, segment.lane) < 0:
        found = search(road, record, route, before, body, lane_surface_of(traits.kind))
        if found >= 0:
            at = found
            on_lane = 1
    place = stand(road, at, body)
    place.on_lane = on_lane
    if leaves_road(road, record, at, body, traits):
        place.off_road = 1
    return place

"""The part of the bird's-eye raster that is road: surface, paint, lights and route.

Roads that cross at different heights are told apart by how far above or below the ego something
lies: a bridge lies further from it than any road climbs on the way there.
"""

# pyright: reportGeneralTypeIssues=false, reportInvalidTypeForm=false, reportCallIssue=false
# pyright: reportOperatorIssue=false, reportReturnType=false, reportArgumentType=false
# pyright: reportAttributeAccessIssue=false, reportIndexIssue=false

import warp as wp

from gigalane.maps.arrays import RULE_LIGHT, Control, MapArrays, Segment
from gigalane.render.birdview_fill import View, fill
from gigalane.render.birdview_map import TILE, BirdviewArrays, Mark
from gigalane.sim.lights import GREEN, RED, YELLOW, light_state
from gigalane.sim.scene import SceneArrays
from gigalane.sim.settings import Rules

LEVEL = wp.constant(2.5)
"""Things this far above or below the ego are on its road [m] (chosen: half a bridge)."""
GRADE = wp.constant(0.08)
"""How much further for each metre away (chosen: roads seldom climb more steeply)."""

Planes = wp.types.vector(length=8, dtype=int)
Times = wp.types.vector(length=8, dtype=float)


@wp.struct
class Canvas:
    """The settings of a raster as kernels read them; planes are -1 where not drawn."""

    pixels: int
    narrow: int
    planes: int
    scale: float  # [pixels/m]
    behind: float  # of the ego [m]
    road: int
    route: int
    solid: int
    broken: int
    vehicles: Planes  # for each time
    walkers: Planes
    stop: Planes
    caution: Planes
    go: Planes
    times: Times  # how long ago [s]
    time_count: int
    route_length: float  # [m]
    route_half: float  # half of its width [m]
    mark_half: float
    line_half: float


@wp.func
def is_level(view: View, x: float, y: float, z: float) -> bool:
    """Whether something is on the ego's road and not on a bridge over it or below it."""
    height = wp.abs(z - view.z)
    if height <= LEVEL:
        return True
    return height <= LEVEL + GRADE * wp.length(wp.vec2(x - view.x, y - view.y))


@wp.func
def is_seen(view: View, x: float, y: float, radius: float) -> bool:
    """Whether a circle [m] may touch the raster."""
    dx = x - view.x
    dy = y - view.y
    u = view.column - (dy * view.cos - dx * view.sin) * view.scale
    v = view.row - (dx * view.cos + dy * view.sin) * view.scale
    reach = radius * view.scale
    side = float(view.pixels)
    return u > -reach and u < side + reach and v > -reach and v < side + reach


@wp.func
def draw_box(
    planes: wp.array(dtype=wp.uint64),
    view: View,
    plane: int,
    x: float,
    y: float,
    cos: float,
    sin: float,
    half_length: float,
    half_width: float,
):
    """Draws a rectangle around (x, y) [m] whose length lies along (cos, sin)."""
    ax = half_length * cos
    ay = half_length * sin
    bx = -half_width * sin
    by = half_width * cos
    xs = wp.vec4(x - ax - bx, x + ax - bx, x + ax + bx, x - ax + bx)
    ys = wp.vec4(y - ay - by, y + ay - by, y + ay + by, y - ay + by)
    fill(planes, view, plane, xs, ys)


@wp.func
def draw_mark(planes: wp.array(dtype=wp.uint64), view: View, plane: int, half: float, mark: Mark):
    """Draws a painted line, reaching half its width beyond its ends so that bends close."""
    dx = mark.end_x - mark.start_x
    dy = mark.end_y - mark.start_y
    length = wp.length(wp.vec2(dx, dy))
    if length > 1.0e-4:
        x = 0.5 * (mark.start_x + mark.end_x)
        y = 0.5 * (mark.start_y + mark.end_y)
        along = 0.5 * length + half
        draw_box(planes, view, plane, x, y, dx / length, dy / length, along, half)


@wp.func
def draw_line(
    planes: wp.array(dtype=wp.uint64), view: View, plane: int, half: float, control: Control
):
    """Draws a stop line."""
    ax = half * control.cos
    ay = half * control.sin
    xs = wp.vec4(
        control.left_x - ax, control.right_x - ax, control.right_x + ax, control.left_x + ax
    )
    ys = wp.vec4(
        control.left_y - ay, control.right_y - ay, control.right_y + ay, control.left_y + ay
    )
    fill(planes, view, plane, xs, ys)


@wp.func
def draw_light(
    canvas: Canvas,
    rules: Rules,
    road: MapArrays,
    planes: wp.array(dtype=wp.uint64),
    view: View,
    control: Control,
    seed: wp.uint32,
    dt: float,
    clocks: Planes,
):
    """Draws a light's stop line at each of the times as it was lit then."""
    for time in range(canvas.time_count):
        state = light_state(rules, road, control, seed, float(clocks[time]) * dt)
        plane = int(-1)
        if state == RED:
            plane = canvas.stop[time]
        if state == YELLOW:
            plane = canvas.caution[time]
        if state == GREEN:
            plane = canvas.go[time]
        if plane >= 0:
            draw_line(planes, view, plane, canvas.line_half, control)


@wp.func
def draw_map(
    canvas: Canvas,
    rules: Rules,
    road: MapArrays,
    birdview: BirdviewArrays,
    scene: SceneArrays,
    planes: wp.array(dtype=wp.uint64),
    view: View,
    world: int,
    clocks: Planes,
):
    """Draws the road, its paint and its lights."""
    grid = birdview.grids[scene.map_index[world]]
    half = 0.5 * float(canvas.pixels) / canvas.scale
    # Of the axis-aligned square around the raster.
    reach = half * (wp.abs(view.cos) + wp.abs(view.sin)) + grid.reach
    middle_x = view.x + (half - canvas.behind) * view.cos
    middle_y = view.y + (half - canvas.behind) * view.sin
    first_column = wp.max(int(wp.floor((middle_x - reach - grid.x) / TILE)), 0)
    last_column = wp.min(int(wp.floor((middle_x + reach - grid.x) / TILE)), grid.columns - 1)
    first_row = wp.max(int(wp.floor((middle_y - reach - grid.y) / TILE)), 0)
    last_row = wp.min(int(wp.floor((middle_y + reach - grid.y) / TILE)), grid.rows - 1)
    for row in range(first_row, last_row + 1):
        for column in range(first_column, last_column + 1):
            index = grid.tile + row * grid.columns + column
            tile = birdview.tiles[index]
            if tile.radius >= 0.0 and is_seen(view, tile.x, tile.y, tile.radius):
                after = birdview.tiles[index + 1]
                if canvas.road >= 0:
                    for item in range(tile.area, after.area):
                        area = birdview.areas[item]
                        if is_level(view, area.x, area.y, area.z):
                            fill(planes, view, canvas.road, area.corners_x, area.corners_y)
                if canvas.solid >= 0:
                    for item in range(tile.mark, after.mark):
                        mark = birdview.marks[item]
                        if is_level(view, mark.start_x, mark.start_y, mark.z):
                            plane = wp.where(mark.broken == 1, canvas.broken, canvas.solid)
                            draw_mark(planes, view, plane, canvas.mark_half, mark)
                if canvas.stop[0] >= 0:
                    for item in range(tile.control, after.control):
                        control = road.controls[birdview.controls[item]]
                        if control.rule == RULE_LIGHT:
                            if is_level(view, control.left_x, control.left_y, control.z):
                                seed = scene.seed[world]
                                dt = scene.dt[world]
                                draw_light(
                                    canvas, rules, road, planes, view, control, seed, dt, clocks
                                )


@wp.func
def corner_of(
    segment: Segment, x: float, y: float, normal_x: float, normal_y: float, side: float
) -> wp.vec2:
    """Point `side` [m] to the left of a point of a centreline, along the cross-section there.

    Args:
        segment: where the point lies.
        x: [m], local frame.
        y: [m].
        normal_x: normal of the cross-section; (0, 0) where it has no length.
        normal_y: [m].
        side: [m], negative to the right.
    """
    left_x = normal_y
    left_y = -normal_x
    across = left_y * segment.cos - left_x * segment.sin
    if across < 0.0:
        left_x = -left_x
        left_y = -left_y
        across = -across
    # Where the cross-section is missing or very oblique, at right angles to the way.
    if across < 0.5:
        left_x = -segment.sin
        left_y = segment.cos
    return wp.vec2(x + side * left_x, y + side * left_y)


@wp.func
def draw_stretch(
    planes: wp.array(dtype=wp.uint64),
    view: View,
    plane: int,
    half: float,
    segment: Segment,
    start: float,
    end: float,
):
    """Draws a band along the part of a segment between two shares of its length."""
    ex = segment.x + segment.length * segment.cos
    ey = segment.y + segment.length * segment.sin
    back_x = segment.back_x
    back_y = segment.back_y
    front_x = segment.front_x
    front_y = segment.front_y
    back_left = corner_of(segment, segment.x, segment.y, back_x, back_y, half)
    back_right = corner_of(segment, segment.x, segment.y, back_x, back_y, -half)
    front_left = corner_of(segment, ex, ey, front_x, front_y, half)
    front_right = corner_of(segment, ex, ey, front_x, front_y, -half)
    a = back_right + start * (front_right - back_right)
    b = back_right + end * (front_right - back_right)
    c = back_left + end * (front_left - back_left)
    d = back_left + start * (front_left - back_left)
    fill(planes, view, plane, wp.vec4(a[0], b[0], c[0], d[0]), wp.vec4(a[1], b[1], c[1], d[1]))


@wp.func
def draw_route(
    canvas: Canvas,
    road: MapArrays,
    scene: SceneArrays,
    planes: wp.array(dtype=wp.uint64),
    view: View,
    world: int,
    agent: int,
):
    """Draws the lanes that the route uses from here on; on a change of lane, both."""
    count = scene.route[world, agent].lane_count
    progress = scene.route[world, agent].progress
    most = wp.min(progress + canvas.route_length, scene.route[world, agent].length)
    for at in range(scene.route[world, agent].lane_index, count):
        offset = scene.route[world, agent].offsets[at]
        lane = road.lanes[scene.route[world, agent].lanes[at]]
        if offset < most and offset + lane.length > progress:
            # Cut at most every 5 m, so no more than that many lie before the present one.
            low = lane.first_segment
            high = lane.first_segment + lane.segment_count - 1
            while low < high:
                middle = (low + high + 1) / 2
                if road.segments[middle].arc + offset <= progress:
                    low = middle
                else:
                    high = middle - 1
            for item in range(low, lane.first_segment + lane.segment_count):
                segment = road.segments[item]
                first = offset + segment.arc
                if first >= most:
                    break
                start = wp.clamp((progress - first) / segment.length, 0.0, 1.0)
                end = wp.clamp((most - first) / segment.length, 0.0, 1.0)
                if end > start and is_level(view, segment.x, segment.y, segment.z):
                    draw_stretch(planes, view, canvas.route, canvas.route_half, segment, start, end)

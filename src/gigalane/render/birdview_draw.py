"""A bird's-eye raster as a whole: road, others and stop signs, and the kernels that draw it.

On a CPU a thread draws raster after raster; on a GPU a thread draws one row of pixels. Both call
the same function, which draws the rows it is asked for.
"""

# pyright: reportGeneralTypeIssues=false, reportInvalidTypeForm=false, reportCallIssue=false
# pyright: reportOperatorIssue=false, reportReturnType=false, reportArgumentType=false
# pyright: reportAttributeAccessIssue=false, reportIndexIssue=false, reportAssignmentType=false

import warp as wp

from gigalane.maps.arrays import RULE_STOP, MapArrays
from gigalane.render.birdview_fill import HEADER, View, clear, pack
from gigalane.render.birdview_history import History, clock_before
from gigalane.render.birdview_map import BirdviewArrays
from gigalane.render.birdview_road import (
    Canvas,
    Planes,
    draw_box,
    draw_line,
    draw_map,
    draw_route,
    is_level,
    is_seen,
)
from gigalane.sim.events import OVERHANG, distance_to_line
from gigalane.sim.scene import ABSENT, PEDESTRIAN, SceneArrays
from gigalane.sim.settings import Rules


@wp.func
def draw_stops(
    canvas: Canvas,
    road: MapArrays,
    scene: SceneArrays,
    history: History,
    planes: wp.array(dtype=wp.uint64),
    view: View,
    world: int,
    agent: int,
    clocks: Planes,
):
    """Draws the lines of stop signs on the route while the ego still had to stop there."""
    for at in range(scene.route[world, agent].lane_count):
        lane = road.lanes[scene.route[world, agent].lanes[at]]
        for item in range(lane.control_count):
            ahead = road.lane_controls[lane.control_start + item]
            control = road.controls[ahead.control]
            if control.rule == RULE_STOP and ahead.distance <= lane.length + 0.01:
                if is_level(view, control.left_x, control.left_y, control.z):
                    for time in range(canvas.time_count):
                        entry = clocks[time] % history.clock.shape[1]
                        half = history.boxes[world, entry, 6, agent]
                        left = distance_to_line(
                            control,
                            history.boxes[world, entry, 0, agent]
                            + half * history.boxes[world, entry, 3, agent],
                            history.boxes[world, entry, 1, agent]
                            + half * history.boxes[world, entry, 4, agent],
                        )
                        stopped = history.stopped[world, entry, agent] == ahead.control
                        if not stopped and left > -OVERHANG:
                            plane = canvas.stop[time]
                            draw_line(planes, view, plane, canvas.line_half, control)


@wp.func
def draw_others(
    canvas: Canvas,
    history: History,
    planes: wp.array(dtype=wp.uint64),
    view: View,
    world: int,
    agent: int,
    agents: int,
    entry: int,
    vehicles: int,
    walkers: int,
):
    """Draws everybody else as they stood at one time.

    Walkers are drawn twice as long and wide as they are, and at least 0.8 m (Roach).
    """
    for other in range(agents):
        kind = history.boxes[world, entry, 8, other]
        if other != agent and kind >= 0.0:
            x = history.boxes[world, entry, 0, other]
            y = history.boxes[world, entry, 1, other]
            half_length = history.boxes[world, entry, 6, other]
            half_width = history.boxes[world, entry, 7, other]
            plane = vehicles
            if int(kind) == PEDESTRIAN:
                plane = walkers
                half_length = wp.max(2.0 * half_length, 0.4)
                half_width = wp.max(2.0 * half_width, 0.4)
            if plane >= 0 and is_seen(view, x, y, half_length + half_width):
                if is_level(view, x, y, history.boxes[world, entry, 2, other]):
                    cos = history.boxes[world, entry, 3, other]
                    sin = history.boxes[world, entry, 4, other]
                    draw_box(planes, view, plane, x, y, cos, sin, half_length, half_width)


@wp.func
def draw_raster(
    canvas: Canvas,
    rules: Rules,
    road: MapArrays,
    birdview: BirdviewArrays,
    scene: SceneArrays,
    history: History,
    planes: wp.array(dtype=wp.uint64),
    row: int,
    memory: int,
    first: int,
    end: int,
    raster: int,
    out: wp.array(dtype=int),
):
    """Draws some rows of what one road user's raster shows; an empty slot's is empty.

    Args:
        canvas: the settings.
        rules: of the simulator.
        road: its maps.
        birdview: the same, as they are drawn.
        scene: its worlds.
        history: their last steps.
        planes: memory to draw in.
        row: world * agents + agent.
        memory: which part of `planes` is this raster's.
        first: row of pixels.
        end: row after the last.
        raster: where it goes in `out`.
        out: the rasters.
    """
    agents = scene.status.shape[1]
    world = row / agents
    agent = row - world * agents
    body = scene.body[world, agent]
    view = View()
    view.x = body.x
    view.y = body.y
    view.z = body.z
    view.cos = body.cos
    view.sin = body.sin
    view.scale = canvas.scale
    view.column = 0.5 * float(canvas.pixels)
    view.row = float(canvas.pixels) - canvas.behind * canvas.scale
    view.pixels = canvas.pixels
    view.first = first
    view.end = end
    words = canvas.pixels / 64
    view.base = memory * (HEADER + canvas.planes * words * canvas.pixels)
    clear(planes, view, canvas.planes)
    if scene.status[world, agent] != ABSENT:
        clock = scene.clock[world]
        dt = scene.dt[world]
        age = scene.duty[world, agent].age
        clocks = Planes()
        for time in range(canvas.time_count):
            clocks[time] = clock_before(history, world, clock, dt, age, canvas.times[time])
        draw_map(canvas, rules, road, birdview, scene, planes, view, world, clocks)
        if canvas.route >= 0:
            draw_route(canvas, road, scene, planes, view, world, agent)
        if canvas.stop[0] >= 0:
            draw_stops(canvas, road, scene, history, planes, view, world, agent, clocks)
        present = scene.agent_count[world]
        for time in range(canvas.time_count):
            vehicles = canvas.vehicles[time]
            walkers = canvas.walkers[time]
            entry = clocks[time] % history.clock.shape[1]
            if vehicles >= 0 or walkers >= 0:
                draw_others(
                    canvas, history, planes, view, world, agent, present, entry, vehicles, walkers
                )
    pack(planes, view, canvas.planes, canvas.narrow, out, raster)


@wp.kernel(enable_backward=False)
def draw_rasters(
    # share of the work
    first: int,
    count: int,
    memory: int,
    # settings
    canvas: Canvas,
    rules: Rules,
    # map
    road: MapArrays,
    birdview: BirdviewArrays,
    # scene in
    scene: SceneArrays,
    history: History,
    rows_in: wp.array(dtype=int),
    # out
    planes_out: wp.array(dtype=wp.uint64),
    rasters_out: wp.array(dtype=int),
):
    """Rasters one after the other in one thread: for a CPU."""
    for raster in range(first, first + count):
        draw_raster(
            canvas, rules, road, birdview, scene, history, planes_out,
            rows_in[raster], memory, 0, canvas.pixels, raster, rasters_out,
        )  # fmt: skip


@wp.kernel(enable_backward=False)
def draw_rows(
    # settings
    canvas: Canvas,
    rules: Rules,
    # map
    road: MapArrays,
    birdview: BirdviewArrays,
    # scene in
    scene: SceneArrays,
    history: History,
    rows_in: wp.array(dtype=int),
    # out
    planes_out: wp.array(dtype=wp.uint64),
    rasters_out: wp.array(dtype=int),
):
    """A thread a row of pixels, each with a part of the memory of its raster: for a GPU."""
    raster, line = wp.tid()
    draw_raster(
        canvas, rules, road, birdview, scene, history, planes_out,
        rows_in[raster], raster, line, line + 1, raster, rasters_out,
    )  # fmt: skip

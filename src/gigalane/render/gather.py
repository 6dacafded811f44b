"""What lies in view: scenery by grid cells, lights in their state, road users; and its drawing."""

# pyright: reportGeneralTypeIssues=false, reportInvalidTypeForm=false, reportCallIssue=false
# pyright: reportOperatorIssue=false, reportReturnType=false, reportArgumentType=false
# pyright: reportAttributeAccessIssue=false, reportIndexIssue=false

import warp as wp

from gigalane.core.rng import mix
from gigalane.maps.arrays import MapArrays
from gigalane.render.aim import Frustum, may_see
from gigalane.render.bodies import MOST_PARTS, PART_PIXELS, Body3, put_road_user
from gigalane.render.canvas import Canvas, Counts, Reaches
from gigalane.render.classes import CLASS, FIRST_LIT, INSTANCE, MATERIAL
from gigalane.render.rasterize import FOCAL, draw_quads
from gigalane.render.scenery import CELL, LAYER_COUNT, SceneryArrays
from gigalane.sim.lights import light_state
from gigalane.sim.scene import SceneArrays
from gigalane.sim.settings import Rules

COVER = wp.constant(0.98)
"""Paint and surfaces cover what is nearer by less than a fiftieth of the depth: from 1.5 m above
the ground that is 3 cm of height, more than maps have between a road and its marks."""
HIDE = wp.constant(1.0)
DYNAMIC = wp.constant(240)
"""Quadrilaterals of road users and lights that are drawn at once."""
LIGHT_LAYER = wp.constant(5)
OVERHANG = wp.constant(12.0)
"""How far things reach beyond the cell that their middle lies in [m]: half a large house."""

_FIRST_LIT = wp.constant(int(FIRST_LIT))
_LIGHT_CLASS = wp.constant(CLASS["light_off"])
_LIGHT_MATERIAL = wp.constant(int(MATERIAL["light_off"]))
_INSTANCE = wp.constant(INSTANCE)


@wp.func
def gather(
    scenery: SceneryArrays,
    map_index: int,
    reaches: Reaches,
    farthest: float,
    frustum: Frustum,
    ranges: wp.array2d(dtype=int),
) -> Counts:
    """Finds what may be in view.

    Args:
        scenery: the standing world.
        map_index: of the world.
        reaches: how far each layer is drawn [m].
        farthest: of them [m].
        frustum: the view.
        ranges: (layers, two a cell) first and last + 1 of each stretch of quadrilaterals.

    Returns:
        How many stretches each layer has.
    """
    record = scenery.maps[map_index]
    counts = Counts()
    # The box around the pyramid in view, and around the ball within reach.
    low_x = frustum.eye[0] + wp.max(-farthest, farthest * frustum.low[0]) - OVERHANG
    high_x = frustum.eye[0] + wp.min(farthest, farthest * frustum.high[0]) + OVERHANG
    low_y = frustum.eye[1] + wp.max(-farthest, farthest * frustum.low[1]) - OVERHANG
    high_y = frustum.eye[1] + wp.min(farthest, farthest * frustum.high[1]) + OVERHANG
    first_column = wp.max(int(wp.floor((low_x - record.grid_x) / CELL)), 0)
    last_column = wp.min(int(wp.floor((high_x - record.grid_x) / CELL)) + 1, record.columns)
    first_row = wp.max(int(wp.floor((low_y - record.grid_y) / CELL)), 0)
    last_row = wp.min(int(wp.floor((high_y - record.grid_y) / CELL)) + 1, record.rows)
    for row in range(first_row, last_row):
        for column in range(first_column, last_column):
            cell = record.cell_start + row * record.columns + column
            radius = scenery.balls[cell, 3]
            if radius == 0.0:
                continue  # nothing there
            away = wp.vec3(
                scenery.balls[cell, 0] - frustum.eye[0],
                scenery.balls[cell, 1] - frustum.eye[1],
                scenery.balls[cell, 2] - frustum.eye[2],
            )
            if not may_see(frustum, away, radius, farthest):
                continue
            distance = wp.length(away) - radius
            first = scenery.offsets[LAYER_COUNT * cell]
            for layer in range(LAYER_COUNT):
                last = scenery.offsets[LAYER_COUNT * cell + layer + 1]
                count = counts[layer]
                if last > first and distance < reaches[layer]:
                    ranges[layer, 2 * count] = first
                    ranges[layer, 2 * count + 1] = last
                    counts[layer] = count + 1
                first = last
    return counts


@wp.func
def draw_scenery(scenery: SceneryArrays, counts: Counts, canvas: Canvas, worker: int):
    """Draws what has been gathered, all layers but the lights."""
    for layer in range(LIGHT_LAYER):
        keep = wp.where(layer < 3, COVER, HIDE)
        draw_quads(
            canvas.view[worker],
            scenery.quads,
            scenery.looks,
            canvas.ranges[worker, layer],
            counts[layer],
            keep,
            _FIRST_LIT,
            canvas.table[worker],
            canvas.ids[worker],
            canvas.inverse[worker],
        )


@wp.func
def draw_dynamic(canvas: Canvas, worker: int, rows: int):
    """Draws the road users and lights that have been written so far."""
    stretch = canvas.stretch[worker]
    stretch[0] = 0
    stretch[1] = rows
    draw_quads(
        canvas.view[worker],
        canvas.quads[worker],
        canvas.looks[worker],
        stretch,
        1,
        HIDE,
        _FIRST_LIT,
        canvas.table[worker],
        canvas.ids[worker],
        canvas.inverse[worker],
    )


@wp.func
def draw_lights(
    scenery: SceneryArrays,
    road: MapArrays,
    rules: Rules,
    scene: SceneArrays,
    world: int,
    stretches: int,
    frustum: Frustum,
    canvas: Canvas,
    worker: int,
):
    """Draws the faces of traffic lights in the colour they show."""
    time = float(scene.clock[world]) * scene.dt[world]
    quads = canvas.quads[worker]
    looks = canvas.looks[worker]
    rows = int(0)
    for stretch in range(stretches):
        first = canvas.ranges[worker, LIGHT_LAYER, 2 * stretch]
        last = canvas.ranges[worker, LIGHT_LAYER, 2 * stretch + 1]
        for quad in range(first, last):
            away = wp.vec3(
                scenery.quads[quad, 0] - frustum.eye[0],
                scenery.quads[quad, 4] - frustum.eye[1],
                scenery.quads[quad, 8] - frustum.eye[2],
            )
            if may_see(frustum, away, 1.5, 1.0e6):
                if rows == DYNAMIC:
                    draw_dynamic(canvas, worker, rows)
                    rows = int(0)
                control = road.controls[scenery.links[quad]]
                state = light_state(rules, road, control, scene.seed[world], time)
                looks[rows] = _LIGHT_CLASS + state + 256 * (_LIGHT_MATERIAL + state)
                for k in range(12):
                    quads[rows, k] = scenery.quads[quad, k]
                rows += 1
    draw_dynamic(canvas, worker, rows)


@wp.func
def draw_road_users(
    scene: SceneArrays,
    looks_of_world: wp.uint32,
    world: int,
    eye_agent: int,
    reach: float,
    frustum: Frustum,
    canvas: Canvas,
    worker: int,
):
    """Draws every road user but the one that looks."""
    quads = canvas.quads[worker]
    looks = canvas.looks[worker]
    focal = canvas.view[worker, FOCAL]
    rows = int(0)
    for agent in range(scene.agent_count[world]):
        if agent == eye_agent or scene.boxes[world, 8, agent] < 0.0:
            continue
        x = scene.boxes[world, 0, agent]
        y = scene.boxes[world, 1, agent]
        z = scene.boxes[world, 2, agent]
        away = wp.vec3(x - frustum.eye[0], y - frustum.eye[1], z + 1.0 - frustum.eye[2])
        half = scene.boxes[world, 6, agent]
        # Long ones are below 3.2 m high, so that a ball of half their length and 2.5 m holds them.
        if not may_see(frustum, away, half + 2.5, reach):
            continue
        traits = scene.traits[world, agent]
        body = Body3()
        body.x = x
        body.y = y
        body.z = z
        body.cos = scene.boxes[world, 3, agent]
        body.sin = scene.boxes[world, 4, agent]
        body.eye_along = -away[0] * body.cos - away[1] * body.sin
        body.eye_aside = away[0] * body.sin - away[1] * body.cos
        body.eye_above = frustum.eye[2] - z
        has_parts = traits.height * focal > PART_PIXELS * wp.length(away)
        paint = looks_of_world ^ mix(
            wp.uint32(agent) * wp.uint32(977) + wp.uint32(scene.duty[world, agent].episode)
        )
        rows = put_road_user(
            quads,
            looks,
            rows,
            body,
            traits.kind,
            2.0 * half,
            2.0 * scene.boxes[world, 7, agent],
            traits.height,
            scene.body[world, agent].acceleration,
            paint,
            (agent + 1) * _INSTANCE,
            has_parts,
        )
        if rows + MOST_PARTS > DYNAMIC:
            draw_dynamic(canvas, worker, rows)
            rows = int(0)
    draw_dynamic(canvas, worker, rows)

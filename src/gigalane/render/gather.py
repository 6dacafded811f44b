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
from gigalane.render.scenery import CELL, SceneryArrays
from gigalane.render.vectors import MASK_BITS, VECTORS
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
    # The box around the pyramid in view, and around the ball within reach.
    low_x = frustum.eye[0] + wp.max(-farthest, farthest * frustum.low[0]) - OVERHANG
    high_x = frustum.eye[0] + wp.min(farthest, farthest * frustum.high[0]) + OVERHANG
    low_y = frustum.eye[1] + wp.max(-farthest, farthest * frustum.low[1]) - OVERHANG
    high_y = frustum.eye[1] + wp.min(farthest, farthest * frustum.high[1]) + OVERHANG
    first_column = wp.max(int(wp.floor((low_x - record.grid_x) / CELL)), 0)
    last_column = wp.min(int(wp.floor((high_x - record.grid_x) / CELL)) + 1, record.columns)
    first_row = wp.max(int(wp.floor((low_y - record.grid_y) / CELL)), 0)
    last_row = wp.min(int(wp.floor((high_y - record.grid_y) / CELL)) + 1, record.rows)
    counts = Counts()
    for row in range(first_row, last_row):
        cell = record.cell_start + row * record.columns
        counts = gather_row(
            cell + first_column,
            cell + last_column,
            scenery.balls,
            scenery.offsets,
            reaches,
            farthest,
            frustum,
            counts,
            ranges,
        )
    return counts


@wp.func_native(
    VECTORS
    + MASK_BITS
    + """
    const long long stride = balls.shape[1], row = offsets.shape[1], room = ranges.shape[1];
    auto along = [&](const wp::vec3& normal, Vector x, Vector y, Vector z) {
        return normal[0] * x + normal[1] * y + normal[2] * z;
    };
    for (int cell = first; cell < last; cell += LANES) {
        const float* ball = balls.data + cell;
        const Vector x = *(const AnyVector*)ball - frustum.eye[0];
        const Vector y = *(const AnyVector*)(ball + stride) - frustum.eye[1];
        const Vector z = *(const AnyVector*)(ball + 2 * stride) - frustum.eye[2];
        const Vector radius = *(const AnyVector*)(ball + 3 * stride);
        const Vector square = x * x + y * y + z * z, limit = radius + farthest;
        // As `aim.may_see`; a ball without radius holds nothing.
        const Mask seen = (lanes < last - cell) & (radius > 0.0f) & (square < limit * limit)
            & (along(frustum.forward, x, y, z) + radius >= frustum.near)
            & (along(frustum.left, x, y, z) + radius >= 0.0f)
            & (along(frustum.right, x, y, z) + radius >= 0.0f)
            & (along(frustum.top, x, y, z) + radius >= 0.0f)
            & (along(frustum.bottom, x, y, z) + radius >= 0.0f);
        float squares[LANES], radii[LANES];
        *(AnyVector*)squares = square;
        *(AnyVector*)radii = radius;
        for (unsigned waiting = bits_of(seen); waiting; waiting &= waiting - 1) {
            const int q = first_bit(waiting);
            const float distance = sqrtf(squares[q]) - radii[q];
            for (int layer = 0; layer < 6; layer++) {
                const int* offset = offsets.data + layer * row + cell + q;
                if (offset[1] == offset[0] || distance >= reaches[layer]) continue;
                int* range = ranges.data + layer * room + 2 * counts[layer];
                // Neighbours in a row of cells lie end to end.
                if (counts[layer] > 0 && range[-1] == offset[0]) {
                    range[-1] = offset[1];
                } else {
                    range[0] = offset[0];
                    range[1] = offset[1];
                    counts[layer]++;
                }
            }
        }
    }
    return counts;
"""
)
def gather_row(
    first: int,
    last: int,
    balls: wp.array2d(dtype=float),
    offsets: wp.array2d(dtype=int),
    reaches: Reaches,
    farthest: float,
    frustum: Frustum,
    counts: Counts,
    ranges: wp.array2d(dtype=int),
) -> Counts:
    """Adds what may be in view of cells side by side.

    Args:
        first: of the cells.
        last: of them + 1.
        balls: see `SceneryArrays`.
        offsets: see `SceneryArrays`.
        reaches: how far each layer is drawn [m].
        farthest: of them [m].
        frustum: the view.
        counts: stretches of each layer so far.
        ranges: where they are.

    Returns:
        How many stretches each layer has now.
    """
    ...


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
                scenery.quads[0, quad] - frustum.eye[0],
                scenery.quads[4, quad] - frustum.eye[1],
                scenery.quads[8, quad] - frustum.eye[2],
            )
            if may_see(frustum, away, 1.5, 1.0e6):
                if rows == DYNAMIC:
                    draw_dynamic(canvas, worker, rows)
                    rows = int(0)
                control = road.controls[scenery.links[quad]]
                state = light_state(rules, road, control, scene.seed[world], time)
                looks[rows] = _LIGHT_CLASS + state + 256 * (_LIGHT_MATERIAL + state)
                for k in range(12):
                    quads[k, rows] = scenery.quads[k, quad]
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

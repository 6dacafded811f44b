"""What one camera of one road user sees: where it looks from, what lies there, and its image.

A view is drawn by one thread: aim, gather quadrilaterals by grid cells, draw them layer by
layer, draw the road users, fill in ground and sky, write the images that were asked for.
"""

# pyright: reportGeneralTypeIssues=false, reportInvalidTypeForm=false, reportCallIssue=false
# pyright: reportOperatorIssue=false, reportReturnType=false, reportArgumentType=false
# pyright: reportAttributeAccessIssue=false, reportIndexIssue=false

import warp as wp

from gigalane.core.rng import stream
from gigalane.maps.arrays import MapArrays
from gigalane.render.aim import aim, frustum_of
from gigalane.render.appearance import GRAIN, Looks, dress, look_seed, seat
from gigalane.render.canvas import Canvas, Pictures, RigArrays
from gigalane.render.classes import MATERIAL
from gigalane.render.finish import (
    FOG,
    remap,
    sharpen,
    write_classes,
    write_colors,
    write_depths,
    write_instances,
)
from gigalane.render.gather import (
    LIGHT_LAYER,
    draw_lights,
    draw_road_users,
    draw_scenery,
    gather,
)
from gigalane.render.rasterize import (
    AMBIENT,
    BY_CLASS,
    BY_COLOR,
    BY_ENTRY,
    BY_SURFACE,
    DRESSED,
    FIRST_ENTRY,
    GROUND_CLASS,
    GROUND_ENTRY,
    NAMED,
    PALETTE,
    SKY_CLASS,
    SKY_ENTRY,
    SKY_SHADES,
    SUN,
    clear,
    fill_background,
)
from gigalane.render.scenery import SceneryArrays
from gigalane.render.sensor import expose, sensor_of
from gigalane.render.textured import paint
from gigalane.sim.scene import SceneArrays
from gigalane.sim.settings import Rules
from gigalane.sim.turns import end_turn, open_turns, take_turn

_GROUND_MATERIAL = wp.constant(int(MATERIAL["ground"]))


@wp.func
def pack(color: wp.vec3) -> int:
    """A colour as the table has it: 10 bits a part."""
    red = int(wp.clamp(color[0], 0.0, 1.0) * 1023.0)
    green = int(wp.clamp(color[1], 0.0, 1.0) * 1023.0)
    blue = int(wp.clamp(color[2], 0.0, 1.0) * 1023.0)
    return red | (green << 10) | (blue << 20)


@wp.func
def open_table(view: wp.array(dtype=float), table: wp.array(dtype=int), zenith: wp.vec3):
    """Writes the entries of ground and sky."""
    table[0] = FIRST_ENTRY
    shine = view[AMBIENT] + (1.0 - view[AMBIENT]) * wp.max(view[SUN + 2], 0.0)
    at = PALETTE + 3 * _GROUND_MATERIAL
    table[2 * GROUND_ENTRY] = pack(shine * wp.vec3(view[at], view[at + 1], view[at + 2]))
    table[2 * GROUND_ENTRY + 1] = 0
    haze = wp.vec3(view[FOG], view[FOG + 1], view[FOG + 2])
    for shade in range(SKY_SHADES):
        share = float(shade) / 15.0
        table[2 * (SKY_ENTRY + shade)] = pack(haze + share * (2.0 - share) * (zenith - haze))
        table[2 * (SKY_ENTRY + shade) + 1] = 0


@wp.func
def draw_view(
    rig: RigArrays,
    appearance: Looks,
    scenery: SceneryArrays,
    rules: Rules,
    road: MapArrays,
    scene: SceneArrays,
    canvas: Canvas,
    pictures: Pictures,
    worker: int,
    number: int,
):
    """Draws one view.

    Args:
        rig: the cameras.
        appearance: what the world looks like.
        scenery: the standing world.
        rules: how lights vary between worlds.
        road: the maps, for the cycles of lights.
        scene: the worlds.
        canvas: what is drawn on.
        pictures: what the images are written to.
        worker: row of the canvas.
        number: of the view: (world * agents + agent) * cameras + camera.
    """
    cameras = rig.cameras.shape[0]
    chosen = pictures.agents.shape[0]
    camera_index = number % cameras
    agent = pictures.agents[(number // cameras) % chosen]
    world = number // (cameras * chosen)
    view = canvas.view[worker]
    table = canvas.table[worker]
    ids = canvas.ids[worker]
    inverse = canvas.inverse[worker]
    camera = rig.cameras[camera_index]
    world_seed = scene.seed[world]
    is_colored = pictures.rgb.shape[0] > 0
    is_textured = is_colored and appearance.is_textured != 0
    view[NAMED] = BY_CLASS
    if is_textured:
        view[NAMED] = BY_SURFACE
    elif pictures.instance.shape[0] > 0 or (is_colored and pictures.class_id.shape[0] > 0):
        view[NAMED] = BY_ENTRY
    elif is_colored:
        view[NAMED] = BY_COLOR
    table[0] = FIRST_ENTRY
    look = look_seed(appearance, world_seed)
    if is_colored:
        # The view before was mostly one of the same world.
        if table[DRESSED] == 0 or table[DRESSED + 1] != int(look):
            zenith = dress(appearance, world_seed, rig.colors, view)
            open_table(view, table, zenith)
            table[DRESSED] = 1
            table[DRESSED + 1] = int(look)
    else:
        for entry in range(1, FIRST_ENTRY):
            table[2 * entry + 1] = 0
    table[1] = 0
    there = scene.boxes[world, 8, agent] >= 0.0 and agent < scene.agent_count[world]
    pose = wp.vec4(0.0, 0.0, 1.0, 0.0)
    turn = wp.vec3(0.0, 0.0, 0.0)
    if there:
        pose = wp.vec4(
            scene.boxes[world, 0, agent],
            scene.boxes[world, 1, agent],
            scene.boxes[world, 3, agent],
            scene.boxes[world, 4, agent],
        )
        shift = wp.vec3(0.0, 0.0, 0.0)
        if appearance.camera_shift > 0.0:
            shift = appearance.camera_shift * seat(appearance, world_seed, agent, camera_index, 0)
        if appearance.camera_turn > 0.0:
            turn = appearance.camera_turn * seat(appearance, world_seed, agent, camera_index, 3)
        map_index = scene.map_index[world]
        for k in range(camera.face_count):
            face = rig.faces[camera.first_face + k]
            aim(view, camera, face, pose, shift, turn, scene.boxes[world, 2, agent])
            frustum = frustum_of(view)
            clear(inverse, face.start, face.width * face.height)
            counts = gather(
                scenery,
                map_index,
                rig.reaches,
                wp.min(rig.farthest, camera.far),
                frustum,
                canvas.ranges[worker],
            )
            draw_scenery(scenery, counts, canvas, worker)
            draw_lights(
                scenery, road, rules, scene, world, counts[LIGHT_LAYER], frustum, canvas, worker
            )
            draw_road_users(
                scene,
                look,
                world,
                agent,
                wp.min(rig.body_reach, camera.far),
                frustum,
                canvas,
                worker,
            )
            ground = (GROUND_CLASS << 24) | GROUND_ENTRY
            fill_background(view, ground, (SKY_CLASS << 24) | SKY_ENTRY, table, ids, inverse)
    else:
        blank(canvas, worker, rig.pixels)
    grain = stream(look, 64 * agent + camera_index, scene.clock[world], GRAIN)
    start = wp.int64(number) * wp.int64(rig.pixels)
    farthest = 1.0 / camera.far
    # The counter has counted: from here on entry 0 is what pixels outside a lens show, nothing.
    table[0] = 0
    if there and camera.remap_start >= 0:
        lens_ids = canvas.lens_ids[worker]
        lens_inverse = canvas.lens_inverse[worker]
        remap(
            camera.remap_start,
            rig.pixels,
            rig.remap_from,
            rig.remap_ray,
            ids,
            inverse,
            lens_ids,
            lens_inverse,
        )
        write_looks(pictures, view, table, lens_ids, lens_inverse, grain, rig.pixels, start)
        if pictures.depth.shape[0] > 0 or is_textured:
            sharpen(
                camera.remap_start,
                rig.pixels,
                rig.faces[camera.first_face].width,
                rig.remap_from,
                rig.remap_ray,
                inverse,
                lens_inverse,
            )
        if pictures.depth.shape[0] > 0:
            write_depths(lens_inverse, farthest, rig.pixels, start, pictures.depth)
        if is_textured:
            ray = camera_index * rig.pixels
            paint(
                appearance, rig, scene, canvas, worker, world, ray, pose, turn, look, lens_ids,
                lens_inverse,
            )  # fmt: skip
    else:
        write_looks(pictures, view, table, ids, inverse, grain, rig.pixels, start)
        if pictures.depth.shape[0] > 0:
            write_depths(inverse, farthest, rig.pixels, start, pictures.depth)
        if is_textured and there:
            ray = camera_index * rig.pixels
            paint(
                appearance, rig, scene, canvas, worker, world, ray, pose, turn, look, ids, inverse
            )
    if is_textured and there:
        expose(
            sensor_of(appearance, look), canvas.shades[worker], rig.width,
            rig.pixels // rig.width, camera.remap_start < 0, grain, pictures.rgb[number],
        )  # fmt: skip


@wp.func
def blank(canvas: Canvas, worker: int, pixels: int):
    """Makes an image in which there is nothing."""
    for pixel in range(pixels):
        canvas.ids[worker, pixel] = 0
        canvas.inverse[worker, pixel] = 0.0


@wp.func
def write_looks(
    pictures: Pictures,
    view: wp.array(dtype=float),
    table: wp.array(dtype=int),
    ids: wp.array(dtype=int),
    inverse: wp.array(dtype=float),
    grain: wp.uint32,
    pixels: int,
    start: wp.int64,
):
    """Writes the images that are wanted, all but depth."""
    if pictures.class_id.shape[0] > 0:
        write_classes(ids, pixels, start, pictures.class_id)
    if pictures.instance.shape[0] > 0:
        write_instances(table, ids, pixels, start, pictures.instance)
    if pictures.rgb.shape[0] > 0:
        write_colors(view, table, ids, inverse, grain, pixels, start, pictures.rgb)


@wp.kernel(enable_backward=False)
def render_by_turns(
    # settings
    rig: RigArrays,
    appearance: Looks,
    rules: Rules,
    # share of the work
    worker: int,
    workers: int,
    patience: int,
    turns: wp.array(dtype=int),
    # map
    scenery: SceneryArrays,
    road: MapArrays,
    # scene in
    scene: SceneArrays,
    # out
    canvas: Canvas,
    pictures: Pictures,
):
    """One view after the other, as long as there are turns to claim: for a CPU."""
    views = scene.status.shape[0] * pictures.agents.shape[0] * rig.cameras.shape[0]
    if worker == 0:
        open_turns(turns, workers, views)
    turn = take_turn(turns, worker, workers, views, patience)
    while turn >= 0:
        draw_view(rig, appearance, scenery, rules, road, scene, canvas, pictures, worker, turn)
        end_turn(turns)
        turn = take_turn(turns, worker, workers, views, patience)


@wp.kernel(enable_backward=False)
def render_each(
    # settings
    rig: RigArrays,
    appearance: Looks,
    rules: Rules,
    first: int,
    # map
    scenery: SceneryArrays,
    road: MapArrays,
    # scene in
    scene: SceneArrays,
    # out
    canvas: Canvas,
    pictures: Pictures,
):
    """A view a thread: for a GPU."""
    worker = wp.tid()
    draw_view(
        rig, appearance, scenery, rules, road, scene, canvas, pictures, worker, first + worker
    )

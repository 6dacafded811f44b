"""The textured world: the same geometry as the box world, drawn as a real camera might show it.

It is a stand-in of our own making for real images, not a model of any camera or place. After a
view has been drawn, every pixel is painted anew from what it shows (class, surface, depth):
patterns of the place (`gigalane.render.patterns`), the sun with soft shadows below road users and
clouds, a sky. What a camera makes of that light is `gigalane.render.sensor`'s.

Everything follows from (world seed, place), so a picture does not depend on which others are made.
"""

# pyright: reportGeneralTypeIssues=false, reportInvalidTypeForm=false, reportCallIssue=false
# pyright: reportOperatorIssue=false, reportReturnType=false, reportArgumentType=false
# pyright: reportAttributeAccessIssue=false, reportIndexIssue=false

import warp as wp

from gigalane.core.rng import between, mix, stream
from gigalane.render.aim import spin_of, turned
from gigalane.render.appearance import Looks
from gigalane.render.canvas import Canvas, RigArrays
from gigalane.render.classes import CLASS, MATERIAL
from gigalane.render.finish import FOG, FOG_DENSITY
from gigalane.render.gather import DYNAMIC
from gigalane.render.patterns import (
    asphalt,
    clouded,
    front,
    grass,
    lattice,
    leaves,
    noise2,
    slabs,
    smooth,
    tiles,
    wear,
)
from gigalane.render.rasterize import (
    AMBIENT,
    EYE,
    FIRST_ENTRY,
    FOCAL,
    SUN,
    surface_number,
)
from gigalane.sim.scene import SceneArrays

DAY = wp.constant(304)
"""Random stream: the clouds of a world."""
SHADOW_REACH = wp.constant(60.0)
"""From how near road users throw shadows that are drawn [m]; chosen."""

_SKY = wp.constant(CLASS["sky"])
_GROUND = wp.constant(CLASS["ground"])
_ROAD = wp.constant(CLASS["road"])
_SHOULDER = wp.constant(CLASS["shoulder"])
_SIDEWALK = wp.constant(CLASS["sidewalk"])
_MEDIAN = wp.constant(CLASS["median"])
_FIRST_PAINT = wp.constant(CLASS["mark_solid"])
_LAST_PAINT = wp.constant(CLASS["stop_line"])
_KERB = wp.constant(CLASS["kerb"])
_BARRIER = wp.constant(CLASS["barrier"])
_LIGHT_OFF = wp.constant(CLASS["light_off"])
_LIGHT_RED = wp.constant(CLASS["light_red"])
_BUILDING = wp.constant(CLASS["building"])
_TREE = wp.constant(CLASS["tree"])
_CAR = wp.constant(CLASS["car"])
_TRUCK = wp.constant(CLASS["truck"])
_CYCLIST = wp.constant(CLASS["cyclist"])
_PEDESTRIAN = wp.constant(CLASS["pedestrian"])
_GLASS = wp.constant(int(MATERIAL["glass"]))
_TRUNK = wp.constant(int(MATERIAL["trunk"]))
_SKIN = wp.constant(int(MATERIAL["skin"]))
_TYRE = wp.constant(int(MATERIAL["tyre"]))
_ASPHALT = wp.constant(wp.vec3(0.36, 0.36, 0.37))


@wp.struct
class Day:
    """What a world's light is like."""

    seed: wp.uint32
    sun: wp.vec3  # unit vector towards it
    ambient: float
    haze: wp.vec3
    fog: float  # [1/m]
    zenith: wp.vec3
    light: wp.vec3  # colour of the sun's light, about 1
    cover: float  # share of the sky in clouds


@wp.struct
class Surface:
    """Where a quadrilateral lies, so that patterns keep to it."""

    corner: wp.vec3  # its first [m], local frame
    edge: wp.vec2  # direction of the first edge over the ground
    length: float  # of that edge [m]
    flat: float  # 1 where it is level, 0 where it is upright
    material: int


@wp.func
def surface_of(table: wp.array(dtype=int), entry: int) -> Surface:
    """The surface of an entry of a textured view's table."""
    surface = Surface()
    surface.corner = wp.vec3(
        surface_number(table, entry, 0), surface_number(table, entry, 1),
        surface_number(table, entry, 2),
    )  # fmt: skip
    surface.edge = wp.vec2(surface_number(table, entry, 3), surface_number(table, entry, 4))
    surface.length = surface_number(table, entry, 5)
    surface.flat = surface_number(table, entry, 6)
    surface.material = int(surface_number(table, entry, 7))
    return surface


@wp.func
def day_of(looks: Looks, look: wp.uint32, view: wp.array(dtype=float)) -> Day:
    """Draws a world's clouds and gathers its light."""
    draw = stream(look, 0, 0, DAY)
    day = Day()
    day.seed = mix(look)
    day.sun = wp.vec3(view[SUN], view[SUN + 1], view[SUN + 2])
    day.ambient = view[AMBIENT]
    day.haze = wp.vec3(view[FOG], view[FOG + 1], view[FOG + 2])
    day.fog = view[FOG_DENSITY]
    day.cover = between(draw, 0, looks.clouds)
    # A low sun is redder.
    low = 1.0 - smooth(0.1, 0.6, day.sun[2])
    day.light = wp.vec3(1.05 + 0.08 * low, 1.0, 0.93 - 0.18 * low)
    day.zenith = wp.cw_mul(day.haze, wp.vec3(0.38, 0.58, 0.86))
    return day


@wp.func
def sky_color(day: Day, ray: wp.vec3) -> wp.vec3:
    """The sky without clouds: blue above, pale at the horizon, bright around the sun."""
    rise = wp.clamp(ray[2], 0.0, 1.0)
    share = 1.0 - (1.0 - rise) * (1.0 - rise) * (1.0 - rise)
    color = wp.lerp(day.haze, day.zenith, share)
    near = wp.max(wp.dot(ray, day.sun), 0.0)
    glow = near * near
    glow = glow * glow
    glow = glow * glow
    far = glow * glow * glow * glow
    return color + (0.16 * glow + 0.5 * far * far) * day.light


@wp.func
def collect_shadows(
    scene: SceneArrays, world: int, eye: wp.vec3, boxes: wp.array2d(dtype=float)
) -> int:
    """Writes the road users whose shadows may be seen; returns how many.

    Args:
        scene: the worlds.
        world: which.
        eye: of the view [m].
        boxes: (12, …) where to: x, y, z, cos, sin, half length, half width, height.
    """
    count = int(0)
    for agent in range(scene.agent_count[world]):
        if scene.boxes[world, 8, agent] < 0.0 or count >= DYNAMIC:
            continue
        x = scene.boxes[world, 0, agent] - eye[0]
        y = scene.boxes[world, 1, agent] - eye[1]
        if x * x + y * y > SHADOW_REACH * SHADOW_REACH:
            continue
        for k in range(5):
            boxes[k, count] = scene.boxes[world, k, agent]
        boxes[5, count] = scene.boxes[world, 6, agent]
        boxes[6, count] = scene.boxes[world, 7, agent]
        boxes[7, count] = scene.traits[world, agent].height
        count += 1
    return count


@wp.func
def within(start: float, step: float, low: float, high: float) -> wp.vec2:
    """Between which distances along a ray a coordinate lies between two limits."""
    safe = wp.where(wp.abs(step) < 1.0e-4, wp.where(step < 0.0, -1.0e-4, 1.0e-4), step)
    one = (low - start) / safe
    other = (high - start) / safe
    return wp.vec2(wp.min(one, other), wp.max(one, other))


@wp.func
def lit_share(place: wp.vec3, sun: wp.vec3, boxes: wp.array2d(dtype=float), count: int) -> wp.vec2:
    """Shares of the sun's and of the sky's light that boxes leave a place on the ground."""
    sunlight = float(1.0)
    skylight = float(1.0)
    rise = wp.max(sun[2], 0.2)
    for k in range(count):
        dx = place[0] - boxes[0, k]
        dy = place[1] - boxes[1, k]
        height = boxes[7, k]
        reach = boxes[5, k] + 1.5 + height / rise
        if dx * dx + dy * dy > reach * reach:
            continue
        x = dx * boxes[3, k] + dy * boxes[4, k]
        y = dy * boxes[3, k] - dx * boxes[4, k]
        z = place[2] - boxes[2, k]
        along = within(x, sun[0] * boxes[3, k] + sun[1] * boxes[4, k], -boxes[5, k], boxes[5, k])
        aside = within(y, sun[1] * boxes[3, k] - sun[0] * boxes[4, k], -boxes[6, k], boxes[6, k])
        above = within(z, rise, 0.0, height)
        enter = wp.max(wp.max(along[0], aside[0]), wp.max(above[0], 0.0))
        leave = wp.min(wp.min(along[1], aside[1]), above[1])
        # The longer the way through the box, the deeper in the shadow: its edge is soft.
        sunlight *= 1.0 - wp.clamp((leave - enter) / (0.12 + 0.25 * enter), 0.0, 1.0)
        out = wp.length(
            wp.vec2(wp.max(wp.abs(x) - boxes[5, k], 0.0), wp.max(wp.abs(y) - boxes[6, k], 0.0))
        )
        skylight *= 1.0 - 0.6 * wp.max(1.0 - out / 0.7, 0.0)
    return wp.vec2(sunlight, skylight)


@wp.func
def on_ground(class_id: int, base: wp.vec3, place: wp.vec3, pixel: float, day: Day) -> wp.vec3:
    """What lies flat, in the sun."""
    x = place[0]
    y = place[1]
    if class_id == _SIDEWALK:
        return base * slabs(x, y, pixel, 0.6, day.seed)
    is_grown = class_id == _GROUND
    if class_id == _MEDIAN:
        is_grown = True
    if is_grown:
        return wp.cw_mul(base, grass(x, y, pixel, day.seed))
    shade = asphalt(x, y, pixel, day.seed)
    if class_id >= _FIRST_PAINT and class_id <= _LAST_PAINT:
        bare = _ASPHALT * (day.ambient + (1.0 - day.ambient) * day.sun[2]) * shade
        left = wear(x, y, pixel, day.seed + wp.uint32(9))
        return wp.lerp(bare, base * (0.96 + 0.04 * shade), left)
    return base * shade


@wp.func
def on_vehicle(
    base: wp.vec3, surface: Surface, u: float, v: float, ray: wp.vec3, day: Day
) -> wp.vec3:
    """Paint that mirrors sky above and road below, windows, wheels, dirt, a number plate.

    Args:
        base: colour in this light.
        surface: which it is.
        u: along its lower edge [m].
        v: above it [m].
        ray: unit vector from the eye.
        day: the light.
    """
    if surface.material == _GLASS:
        mirrored = sky_color(day, wp.normalize(wp.vec3(ray[0], ray[1], 0.25)))
        return wp.lerp(wp.vec3(0.05, 0.06, 0.07), mirrored, 0.2 + 0.3 * smooth(0.1, 0.6, v))
    if surface.material == _TYRE:
        return base
    if surface.flat > 0.5:
        return wp.lerp(base, day.zenith, 0.28)
    length = surface.length
    color = base * (0.62 + 0.38 * smooth(0.0, 0.45, v))
    color = wp.lerp(color, day.haze, 0.22 * smooth(0.45, 0.62, v))
    if length > 2.6:
        for k in range(2):
            away = u - wp.where(k == 0, 0.19, 0.81) * length
            far = wp.sqrt(away * away + (v - 0.16) * (v - 0.16))
            if far < 0.36:
                color = wp.where(far < 0.2, wp.vec3(0.40, 0.41, 0.43), wp.vec3(0.06, 0.06, 0.065))
        door = wp.abs(u - 0.5 * length)
        if door < 0.015 and v > 0.15:
            color = color * 0.5
    elif length > 1.2:
        if v < 0.16:
            color = wp.vec3(0.10, 0.10, 0.11)
        if wp.abs(u - 0.5 * length) < 0.26 and v > 0.2 and v < 0.32:
            color = wp.vec3(0.85, 0.85, 0.82) * day.haze[1]
    return color


@wp.func
def shaded(
    class_id: int,
    base: wp.vec3,
    surface: Surface,
    place: wp.vec3,
    ray: wp.vec3,
    pixel: float,
    day: Day,
    boxes: wp.array2d(dtype=float),
    count: int,
) -> wp.vec3:
    """Colour of what a pixel shows, before fog.

    Args:
        class_id: what it is.
        base: its colour in the box world.
        surface: the quadrilateral; of the ground and the sky, any.
        place: where it is [m], local frame.
        ray: unit vector from the eye.
        pixel: what the pixel covers [m].
        day: the light.
        boxes: what throws shadows.
        count: of them.
    """
    if class_id <= _LAST_PAINT:
        color = on_ground(class_id, base, place, pixel, day)
        lit = lit_share(place, day.sun, boxes, count)
        drift = noise2(0.013 * place[0], 0.013 * place[1], day.seed + wp.uint32(8))
        sunny = lit[0] * (1.0 - 0.5 * day.cover * smooth(0.45, 0.7, drift))
        direct = (1.0 - day.ambient) * day.sun[2]
        full = day.ambient + direct
        sky_part = wp.vec3(0.93, 0.98, 1.08) * (lit[1] * day.ambient)
        return wp.cw_mul(color, sky_part + day.light * (direct * sunny)) / full
    corner = surface.corner
    u = (place[0] - corner[0]) * surface.edge[0] + (place[1] - corner[1]) * surface.edge[1]
    v = place[2] - corner[2]
    own = mix(day.seed + wp.uint32(int(corner[0] * 7.0)) + wp.uint32(int(corner[1] * 131.0)))
    if class_id == _BUILDING:
        if surface.flat > 0.5:
            return base * tiles(place, pixel, own)
        # Half of what a window mirrors is houses on the other side.
        mirrored = 0.6 * sky_color(day, wp.normalize(wp.vec3(-ray[0], -ray[1], 0.3)))
        return front(base, u, v, pixel, own, mirrored)
    if class_id == _TREE:
        if surface.material == _TRUNK:
            return base * (0.8 + 0.4 * noise2(20.0 * u, 2.0 * v, own))
        return base * leaves(place, pixel, day.seed)
    if class_id >= _CAR and class_id <= _TRUCK:
        return on_vehicle(base, surface, u, v, ray, day)
    if class_id == _PEDESTRIAN and surface.material != _SKIN:
        return base * wp.where(v < 0.8, 0.5, 1.1) * (0.8 + 0.4 * noise2(9.0 * u, 9.0 * v, own))
    if class_id == _CYCLIST:
        return base * (0.7 + 0.6 * noise2(7.0 * u, 7.0 * v, own))
    if class_id >= _LIGHT_OFF and class_id <= _LIGHT_RED:
        # Three lamps above one another, red on top; the one that is lit shines on the others.
        row = wp.clamp(wp.floor(v / 0.4), 0.0, 2.0)
        lit_row = wp.where(
            class_id == _LIGHT_RED, 2.0, wp.where(class_id == _LIGHT_OFF + 1, 0.0, 1.0)
        )
        far = wp.length(wp.vec2(u - 0.3, v - 0.4 * row - 0.2))
        lamp = 1.0 - smooth(0.14, 0.19 + pixel, far)
        bright = wp.where(row == lit_row, 1.0, 0.16)
        return base * (0.30 + wp.max(bright * lamp - 0.15, 0.0))
    if class_id == _BARRIER:
        return base * (0.75 + 0.35 * wp.abs(wp.sin(7.8 * v)))
    if class_id == _KERB:
        return base * (0.9 + 0.2 * lattice(int(wp.floor(u)), 0, 0, own))
    return base * (0.92 + 0.16 * noise2(3.0 * u, 3.0 * v, own))


@wp.func
def paint(
    looks: Looks,
    rig: RigArrays,
    scene: SceneArrays,
    canvas: Canvas,
    worker: int,
    world: int,
    first_ray: int,
    pose: wp.vec4,
    turn: wp.vec3,
    look: wp.uint32,
    ids: wp.array(dtype=int),
    inverse: wp.array(dtype=float),
):
    """Paints a view that has been drawn on a canvas, into `canvas.shades`.

    Args:
        looks: the appearance.
        rig: the cameras.
        scene: the worlds.
        canvas: where it was drawn.
        worker: row of the canvas.
        world: whose view it is.
        first_ray: of the camera in `rig.rays`.
        pose: x, y [m], cos and sin of the heading of the car.
        turn: of the camera from its place as axis times angle [rad], ego frame.
        look: seed of the world's look.
        ids: of the image's pixels.
        inverse: what depth times ray is the point seen with [1/m].
    """
    view = canvas.view[worker]
    table = canvas.table[worker]
    shades = canvas.shades[worker]
    boxes = canvas.quads[worker]  # all that was in there is drawn by now
    day = day_of(looks, look, view)
    eye = wp.vec3(view[EYE], view[EYE + 1], view[EYE + 2])
    count = collect_shadows(scene, world, eye, boxes)
    spin = spin_of(turn)
    for k in range(rig.pixels):
        id = ids[k]
        class_id = id >> 24
        entry = id & 0xFFFFFF
        color = wp.vec3(0.0, 0.0, 0.0)
        if class_id > 0:
            ray = turned(wp.quat_rotate(spin, rig.rays[first_ray + k]), pose)
            along = wp.normalize(ray)
            if class_id == _SKY:
                color = clouded(sky_color(day, along), along, day.cover, day.light, day.seed)
            else:
                depth = 1.0 / wp.max(inverse[k], 1.0e-3)
                place = eye + depth * ray
                packed = table[2 * entry]
                base = wp.vec3(
                    float(packed & 1023), float((packed >> 10) & 1023), float((packed >> 20) & 1023)
                ) * (1.0 / 1023.0)
                pixel = depth / view[FOCAL]
                if class_id <= _LAST_PAINT:  # seen at a glancing angle
                    pixel = pixel * wp.sqrt(1.0 / wp.max(wp.abs(along[2]), 0.01))
                surface = surface_of(table, wp.where(entry < FIRST_ENTRY, FIRST_ENTRY, entry))
                color = shaded(class_id, base, surface, place, along, pixel, day, boxes, count)
                clear = 1.0 / (1.0 + day.fog * depth * 0.125)
                clear = clear * clear
                clear = clear * clear
                clear = clear * clear
                color = day.haze + clear * (color - day.haze)
        for c in range(3):
            shades[3 * k + c] = color[c]

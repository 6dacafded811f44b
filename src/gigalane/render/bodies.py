"""Road users as boxes: what a car, a truck, a cyclist and a walker are made of.

From near they have parts: a cabin with windows on a body, lamps in front, lamps behind that are
lit while braking, a rider on a bicycle, a head on shoulders. From far each is one box of its size.
"""

# pyright: reportGeneralTypeIssues=false, reportInvalidTypeForm=false, reportCallIssue=false
# pyright: reportOperatorIssue=false, reportReturnType=false, reportArgumentType=false
# pyright: reportAttributeAccessIssue=false, reportIndexIssue=false

import warp as wp

from gigalane.core.rng import mix
from gigalane.render.classes import CLASS, MATERIAL, VARIANTS
from gigalane.sim.scene import CAR, CYCLIST, TRUCK

BRAKING = wp.constant(-0.7)
"""Acceleration below which brake lamps are lit [m/s²]: UN R13-H allows none above it."""
PART_PIXELS = wp.constant(4.0)
"""Height on the image from which on a road user has parts [pixels]; chosen."""
MOST_PARTS = wp.constant(12)
"""Quadrilaterals of one road user at most."""

_CLASS_OF = wp.constant(wp.vec4i(*(CLASS[n] for n in ("car", "truck", "cyclist", "pedestrian"))))
_FIRST = wp.constant(wp.vec4i(*(MATERIAL[n] for n in ("car", "truck", "cyclist", "pedestrian"))))
_COUNT = wp.constant(wp.vec4i(*(VARIANTS[n] for n in ("car", "truck", "cyclist", "pedestrian"))))
_GLASS = wp.constant(256 * MATERIAL["glass"])
_TYRE = wp.constant(256 * MATERIAL["tyre"])
_SKIN = wp.constant(256 * MATERIAL["skin"])
_FRONT = wp.constant(CLASS["lamp_front"] + 256 * MATERIAL["lamp_front"])
_REAR = wp.constant(CLASS["lamp_rear"] + 256 * MATERIAL["lamp_rear"])
_BRAKE = wp.constant(CLASS["lamp_brake"] + 256 * MATERIAL["lamp_brake"])


@wp.struct
class Body3:
    """A road user's box and where it is seen from."""

    x: float  # middle of its bottom [m], local frame
    y: float
    z: float
    cos: float
    sin: float
    eye_along: float  # the camera in the box's own frame [m]: forward, left, above its bottom
    eye_aside: float
    eye_above: float


@wp.func
def put_corner(
    quads: wp.array2d(dtype=float),
    row: int,
    k: int,
    body: Body3,
    along: float,
    aside: float,
    above: float,
):
    """Writes a corner given in a box's frame."""
    quads[k, row] = body.x + along * body.cos - aside * body.sin
    quads[4 + k, row] = body.y + along * body.sin + aside * body.cos
    quads[8 + k, row] = body.z + above


@wp.func
def put_across(
    quads: wp.array2d(dtype=float),
    row: int,
    body: Body3,
    along: float,
    right: float,
    left: float,
    low: float,
    high: float,
) -> int:
    """Writes an upright face across the heading; returns the next row."""
    put_corner(quads, row, 0, body, along, right, low)
    put_corner(quads, row, 1, body, along, left, low)
    put_corner(quads, row, 2, body, along, left, high)
    put_corner(quads, row, 3, body, along, right, high)
    return row + 1


@wp.func
def put_box(
    quads: wp.array2d(dtype=float),
    looks: wp.array(dtype=int),
    row: int,
    body: Body3,
    rear: float,
    front: float,
    half_width: float,
    low: float,
    high: float,
    side_look: int,
    top_look: int,
) -> int:
    """Writes those faces of a box that look to the camera; returns the next row."""
    if body.eye_along > front or body.eye_along < rear:
        looks[row] = side_look
        row = put_across(
            quads,
            row,
            body,
            wp.where(body.eye_along > front, front, rear),
            -half_width,
            half_width,
            low,
            high,
        )
    if wp.abs(body.eye_aside) > half_width:
        aside = wp.where(body.eye_aside > 0.0, half_width, -half_width)
        looks[row] = side_look
        put_corner(quads, row, 0, body, rear, aside, low)
        put_corner(quads, row, 1, body, front, aside, low)
        put_corner(quads, row, 2, body, front, aside, high)
        put_corner(quads, row, 3, body, rear, aside, high)
        row += 1
    if body.eye_above > high:
        looks[row] = top_look
        put_corner(quads, row, 0, body, rear, -half_width, high)
        put_corner(quads, row, 1, body, front, -half_width, high)
        put_corner(quads, row, 2, body, front, half_width, high)
        put_corner(quads, row, 3, body, rear, half_width, high)
        row += 1
    return row


@wp.func
def put_lamps(
    quads: wp.array2d(dtype=float),
    looks: wp.array(dtype=int),
    row: int,
    body: Body3,
    half: float,
    half_width: float,
    low: float,
    high: float,
    acceleration: float,
    owner: int,
) -> int:
    """Writes the two lamps on the end that is seen, slightly in front of it."""
    if wp.abs(body.eye_along) > half:
        ahead = body.eye_along > 0.0
        along = wp.where(ahead, half + 0.02, -half - 0.02)
        look = wp.where(ahead, _FRONT, wp.where(acceleration < BRAKING, _BRAKE, _REAR)) + owner
        outer = 0.96 * half_width
        inner = 0.5 * half_width
        looks[row] = look
        row = put_across(quads, row, body, along, inner, outer, low, high)
        looks[row] = look
        row = put_across(quads, row, body, along, -outer, -inner, low, high)
    return row


@wp.func
def put_road_user(
    quads: wp.array2d(dtype=float),
    looks: wp.array(dtype=int),
    row: int,
    body: Body3,
    kind: int,
    length: float,
    width: float,
    height: float,
    acceleration: float,
    paint: wp.uint32,
    owner: int,
    has_parts: bool,
) -> int:
    """Writes what is seen of a road user.

    Args:
        quads: where to.
        looks: class, material and instance of each.
        row: first free row.
        body: its box and the camera.
        kind: CAR, TRUCK, CYCLIST or PEDESTRIAN.
        length: [m]
        width: [m]
        height: [m]
        acceleration: along its heading [m/s²].
        paint: random number that its colour follows from.
        owner: instance id * 65536.
        has_parts: whether it is near enough for them.

    Returns:
        The next free row.
    """
    half = 0.5 * length
    half_width = 0.5 * width
    name = _CLASS_OF[kind] + owner
    look = name + 256 * (_FIRST[kind] + int(mix(paint) % wp.uint32(_COUNT[kind])))
    if not has_parts:
        return put_box(quads, looks, row, body, -half, half, half_width, 0.0, height, look, look)
    if kind == CAR:
        waist = 0.58 * height
        row = put_box(quads, looks, row, body, -half, half, half_width, 0.15, waist, look, look)
        row = put_box(
            quads,
            looks,
            row,
            body,
            -0.42 * length,
            0.22 * length,
            0.86 * half_width,
            waist,
            height,
            name + _GLASS,
            look,
        )
        row = put_lamps(
            quads,
            looks,
            row,
            body,
            half,
            half_width,
            0.36 * height,
            0.52 * height,
            acceleration,
            owner,
        )
    elif kind == TRUCK:
        row = put_box(
            quads, looks, row, body, -half, 0.24 * length, half_width, 0.35, height, look, look
        )
        row = put_box(
            quads,
            looks,
            row,
            body,
            0.28 * length,
            half,
            0.94 * half_width,
            0.35,
            0.78 * height,
            name + 256 * _FIRST[kind],
            name + 256 * _FIRST[kind],
        )
        if body.eye_along > half:
            looks[row] = name + _GLASS
            row = put_across(
                quads,
                row,
                body,
                half + 0.02,
                -0.8 * half_width,
                0.8 * half_width,
                0.48 * height,
                0.72 * height,
            )
        row = put_lamps(quads, looks, row, body, half, half_width, 0.55, 0.85, acceleration, owner)
    elif kind == CYCLIST:
        row = put_box(
            quads,
            looks,
            row,
            body,
            -half,
            half,
            0.12,
            0.0,
            0.42 * height,
            name + _TYRE,
            name + _TYRE,
        )
        row = put_box(
            quads,
            looks,
            row,
            body,
            -0.22 * length,
            0.16 * length,
            0.85 * half_width,
            0.42 * height,
            0.86 * height,
            look,
            look,
        )
        row = put_box(
            quads,
            looks,
            row,
            body,
            -0.04 * length,
            0.12 * length,
            0.12,
            0.86 * height,
            height,
            name + _SKIN,
            name + _SKIN,
        )
    else:
        shoulders = 0.84 * height
        row = put_box(
            quads, looks, row, body, -0.8 * half, 0.8 * half, half_width, 0.0, shoulders, look, look
        )
        row = put_box(
            quads,
            looks,
            row,
            body,
            -0.12,
            0.12,
            0.12,
            shoulders,
            height,
            name + _SKIN,
            name + _SKIN,
        )
    return row

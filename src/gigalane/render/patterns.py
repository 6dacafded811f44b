"""What surfaces look like from near: asphalt, grass, bricks, windows, leaves, clouds.

A pattern is a number or a colour of a place in the world and a seed; nothing else enters, so a
wall looks the same from everywhere, at any time, in any batch. Patterns are sums of value noise
(random numbers on a lattice, blended between; K. Perlin, 1985). One that is finer than a pixel
fades to its mean: without that, images would shimmer.
"""

# pyright: reportGeneralTypeIssues=false, reportInvalidTypeForm=false, reportCallIssue=false
# pyright: reportOperatorIssue=false, reportReturnType=false, reportArgumentType=false
# pyright: reportAttributeAccessIssue=false, reportIndexIssue=false

import warp as wp

from gigalane.core.rng import mix

FLOOR_HEIGHT = wp.constant(3.1)
"""[m]; chosen, a common height of dwellings."""
BAY = wp.constant(2.6)
"""From one window to the next [m]; chosen."""

_X = wp.constant(wp.uint32(0x8DA6B343))
_Y = wp.constant(wp.uint32(0xD8163841))
_Z = wp.constant(wp.uint32(0xCB1AB31F))


@wp.func
def lattice(x: int, y: int, z: int, seed: wp.uint32) -> float:
    """Random number of a lattice point, uniform in [0, 1)."""
    key = wp.uint32(x) * _X + wp.uint32(y) * _Y
    bits = mix(seed + key + wp.uint32(z) * _Z)
    return float(bits >> wp.uint32(8)) * (1.0 / 16777216.0)


@wp.func
def smooth(low: float, high: float, value: float) -> float:
    """0 below `low`, 1 above `high`, a cubic between."""
    t = wp.clamp((value - low) / (high - low), 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


@wp.func
def noise2(x: float, y: float, seed: wp.uint32) -> float:
    """Value noise with a lattice of 1, 0 to 1."""
    column = wp.floor(x)
    row = wp.floor(y)
    a = x - column
    b = y - row
    a = a * a * (3.0 - 2.0 * a)
    b = b * b * (3.0 - 2.0 * b)
    i = int(column)
    j = int(row)
    low = wp.lerp(lattice(i, j, 0, seed), lattice(i + 1, j, 0, seed), a)
    high = wp.lerp(lattice(i, j + 1, 0, seed), lattice(i + 1, j + 1, 0, seed), a)
    return wp.lerp(low, high, b)


@wp.func
def noise3(place: wp.vec3, seed: wp.uint32) -> float:
    """Value noise in space with a lattice of 1, 0 to 1."""
    level = wp.floor(place[2])
    c = place[2] - level
    c = c * c * (3.0 - 2.0 * c)
    k = wp.uint32(int(level)) * _Z
    low = noise2(place[0], place[1], seed + k)
    high = noise2(place[0], place[1], seed + k + _Z)
    return wp.lerp(low, high, c)


@wp.func
def ripple(x: float, y: float, size: float, pixel: float, seed: wp.uint32) -> float:
    """Value noise with a lattice of `size` [m], -1 to 1, faded where a pixel covers much of it.

    Args:
        x: [m]
        y: [m]
        size: of the lattice [m].
        pixel: what a pixel covers [m].
        seed: of the pattern.
    """
    strength = wp.clamp(1.5 - 1.5 * pixel / size, 0.0, 1.0)
    if strength <= 0.0:
        return 0.0
    return strength * (2.0 * noise2(x / size, y / size, seed) - 1.0)


@wp.func
def asphalt(x: float, y: float, pixel: float, seed: wp.uint32) -> float:
    """Brightness of a road as a factor: grain, blotches, mended patches, cracks."""
    shade = 1.0 + 0.10 * ripple(x, y, 0.05, pixel, seed) + 0.07 * ripple(x, y, 0.6, pixel, seed)
    shade += 0.14 * ripple(x, y, 4.0, pixel, seed) + 0.10 * ripple(x, y, 17.0, pixel, seed)
    # One place in nine was mended, with darker asphalt, in a rectangle of its own.
    across = wp.floor(x / 5.0)
    along = wp.floor(y / 5.0)
    column = int(across)
    row = int(along)
    if lattice(column, row, 7, seed) < 0.11:
        wide = 0.3 + 0.6 * lattice(column, row, 8, seed)
        high = 0.3 + 0.6 * lattice(column, row, 9, seed)
        if x / 5.0 - across < wide and y / 5.0 - along < high:
            shade *= 0.80
    crack = wp.abs(noise2(0.35 * x, 0.35 * y, seed + wp.uint32(5)) - 0.5)
    crack += 0.02 * ripple(x, y, 0.3, pixel, seed)
    width = 0.004 + 0.1 * pixel
    if crack < width and noise2(0.06 * x, 0.06 * y, seed + wp.uint32(6)) > 0.55:
        shade *= 1.0 - 0.35 * wp.min(1.0, 0.006 / width)
    return shade


@wp.func
def wear(x: float, y: float, pixel: float, seed: wp.uint32) -> float:
    """Share of the paint that is left of a mark on the road."""
    worn = 0.5 + 0.3 * ripple(x, y, 0.18, pixel, seed) + 0.45 * ripple(x, y, 2.5, pixel, seed)
    return 0.5 + 0.5 * smooth(0.05, 0.45, worn)


@wp.func
def grass(x: float, y: float, pixel: float, seed: wp.uint32) -> wp.vec3:
    """Colour of bare ground as factors: blades, tufts, dry and earthy places."""
    shade = 1.0 + 0.28 * ripple(x, y, 0.12, pixel, seed) + 0.22 * ripple(x, y, 0.7, pixel, seed)
    shade += 0.16 * ripple(x, y, 5.0, pixel, seed)
    dry = smooth(0.45, 0.8, noise2(0.045 * x, 0.045 * y, seed + wp.uint32(3)))
    dry += 0.4 * ripple(x, y, 1.7, pixel, seed + wp.uint32(4)) * dry
    green = wp.vec3(0.92, 0.96, 0.80)
    return shade * wp.lerp(green, wp.vec3(1.22, 1.02, 0.90), wp.clamp(dry, 0.0, 1.0))


@wp.func
def slabs(x: float, y: float, pixel: float, size: float, seed: wp.uint32) -> float:
    """Brightness of a pavement as a factor: slabs with dark joints, each of its own shade."""
    column = wp.floor(x / size)
    row = wp.floor(y / size)
    own = lattice(int(column), int(row), 1, seed) - 0.5
    fade = wp.clamp(1.5 - 1.5 * pixel / size, 0.0, 1.0)
    edge_x = wp.abs(x / size - column - 0.5)
    edge_y = wp.abs(y / size - row - 0.5)
    joint = smooth(0.46 - 0.5 * pixel / size, 0.49, wp.max(edge_x, edge_y))
    shade = 1.0 + fade * (0.16 * own - 0.25 * joint)
    return shade + 0.08 * ripple(x, y, 0.08, pixel, seed) + 0.10 * ripple(x, y, 2.2, pixel, seed)


@wp.func
def leaves(place: wp.vec3, pixel: float, seed: wp.uint32) -> float:
    """Brightness of a crown as a factor: twigs with gaps between them."""
    shade = 0.55 + 0.9 * noise3(place * 1.1, seed)
    fade = wp.clamp(1.5 - 4.0 * pixel, 0.0, 1.0)
    shade += fade * 0.9 * (noise3(place * 4.5, seed + wp.uint32(1)) - 0.5)
    return wp.max(shade, 0.15)


@wp.func
def front(base: wp.vec3, u: float, v: float, pixel: float, own: wp.uint32, sky: wp.vec3) -> wp.vec3:
    """Colour of a house front: plaster or bricks, rows of windows, a plinth, streaks of rain.

    Args:
        base: colour of the wall in this light.
        u: along the wall [m].
        v: above its foot [m].
        pixel: what a pixel covers [m].
        own: seed of the wall.
        sky: what windows mirror.
    """
    color = base * (
        1.0 + 0.12 * ripple(u, v, 1.6, pixel, own) + 0.10 * ripple(u, v, 0.25, pixel, own)
    )
    streak = ripple(4.0 * u, 0.35 * v, 1.0, pixel, own + wp.uint32(2))
    color = color * (1.0 - 0.10 * wp.max(streak, 0.0))
    if lattice(1, 2, 3, own) < 0.5:
        row = wp.floor(v / 0.25)
        brick = u / 0.5 + 0.5 * (row - 2.0 * wp.floor(0.5 * row))
        fade = wp.clamp(1.5 - 6.0 * pixel, 0.0, 1.0)
        tone = lattice(int(wp.floor(brick)), int(row), 4, own) - 0.5
        seam = smooth(0.38, 0.48, wp.max(wp.abs(brick - wp.floor(brick) - 0.5),
                                         wp.abs(v / 0.25 - row - 0.5)))  # fmt: skip
        color = color * (1.0 + fade * (0.3 * tone + 0.22 * seam))
    floor_number = wp.floor(v / FLOOR_HEIGHT)
    bay = wp.floor(u / BAY)
    x = u / BAY - bay
    y = v / FLOOR_HEIGHT - floor_number
    half = 0.20 + 0.12 * lattice(2, 3, 4, own)
    top = 0.78
    bottom = wp.where(lattice(3, 4, 5, own) < 0.4, 0.18, 0.32)
    inside_x = half - wp.abs(x - 0.5)
    inside_y = wp.min(top - y, y - bottom)
    frame = 0.045
    if inside_x > 0.0 and inside_y > 0.0:
        pane = lattice(int(bay), int(floor_number), 6, own)
        # Panes mirror the sky, less so the lower one looks; some have curtains.
        glass = wp.lerp(wp.vec3(0.07, 0.08, 0.10), sky, 0.15 + 0.45 * pane * y)
        if pane > 0.72:
            glass = wp.lerp(glass, wp.vec3(0.72, 0.68, 0.6), 0.5)
        is_frame = inside_x < frame or inside_y < 0.7 * frame or wp.abs(x - 0.5) < 0.4 * frame
        rim = wp.where(lattice(4, 5, 6, own) < 0.6, 1.0, 0.0)
        shown = wp.where(is_frame, wp.lerp(0.45 * base, wp.vec3(0.82, 0.82, 0.8), rim), glass)
        blend = wp.clamp(1.6 - 1.1 * pixel, 0.35, 1.0)
        color = wp.lerp(color, shown, blend)
    elif inside_x > -0.03 and y < bottom and y > bottom - 0.04:
        color = color * 0.72  # shadow below the sill
    if v < 0.5:
        color = color * 0.72
    return color * (0.82 + 0.18 * smooth(0.0, 1.2, v))


@wp.func
def tiles(place: wp.vec3, pixel: float, seed: wp.uint32) -> float:
    """Brightness of a roof as a factor."""
    rows = 0.5 + 0.5 * wp.sin(18.0 * (place[0] + place[1]))
    fade = wp.clamp(1.5 - 6.0 * pixel, 0.0, 1.0)
    return 0.92 + fade * 0.16 * (rows - 0.5) + 0.14 * ripple(place[0], place[1], 0.9, pixel, seed)


@wp.func
def clouded(sky: wp.vec3, ray: wp.vec3, cover: float, light: wp.vec3, seed: wp.uint32) -> wp.vec3:
    """The sky in a direction: clouds on a plane above, and a skyline.

    Args:
        sky: colour without clouds.
        ray: unit vector.
        cover: share of the sky that clouds take, about.
        light: colour of a cloud in the sun.
        seed: of today's clouds.
    """
    rise = wp.max(ray[2], 0.0)
    x = 2.2 * ray[0] / (rise + 0.12)
    y = 2.2 * ray[1] / (rise + 0.12)
    heap = 0.5 * noise2(x, y, seed) + 0.27 * noise2(2.1 * x, 2.1 * y, seed + wp.uint32(1))
    heap += 0.15 * noise2(4.3 * x, 4.3 * y, seed + wp.uint32(2))
    heap += 0.08 * noise2(8.9 * x, 8.9 * y, seed + wp.uint32(3))
    thick = smooth(0.78 - 0.6 * cover, 1.0 - 0.55 * cover, heap)
    thick *= smooth(0.0, 0.10, rise)
    below = wp.vec3(0.74, 0.76, 0.80) * light[1]
    color = wp.lerp(sky, wp.lerp(light, below, smooth(0.35, 1.0, thick)), 0.9 * thick)
    # Far woods and roofs, up to two degrees high.
    turn = 9.0 * wp.atan2(ray[1], ray[0])
    height = 0.012 + 0.022 * noise2(turn, 0.0, seed) + 0.010 * noise2(7.0 * turn, 3.0, seed)
    hidden = 1.0 - smooth(height - 0.004, height + 0.004, ray[2])
    return wp.lerp(color, wp.cw_mul(sky, wp.vec3(0.50, 0.53, 0.52)), 0.75 * hidden)

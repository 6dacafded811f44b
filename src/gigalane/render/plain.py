"""The inner loops of `gigalane.render.rasterize` in plain Warp, as tests compare them.

They draw the same pixels several times slower; no colours are kept.
"""

# pyright: reportGeneralTypeIssues=false, reportInvalidTypeForm=false, reportCallIssue=false
# pyright: reportOperatorIssue=false, reportReturnType=false, reportArgumentType=false
# pyright: reportAttributeAccessIssue=false, reportIndexIssue=false

import warp as wp

from gigalane.render.rasterize import EYE, HEIGHT, HORIZON, NEAR, ROWS, START, WIDTH

Corners = wp.types.vector(length=8, dtype=float)


@wp.struct
class Outline:
    """A polygon on the screen."""

    u: Corners  # [pixels]
    v: Corners
    count: int
    most: float  # 1/z of its nearest corner [1/m]
    least: float


@wp.func
def corner_of(
    view: wp.array(dtype=float), quads: wp.array2d(dtype=float), quad: int, k: int
) -> wp.vec3:
    """Homogeneous pixel coordinates of a corner."""
    x = quads[k, quad] - view[EYE]
    y = quads[4 + k, quad] - view[EYE + 1]
    z = quads[8 + k, quad] - view[EYE + 2]
    return wp.vec3(
        view[ROWS] * x + view[ROWS + 1] * y + view[ROWS + 2] * z,
        view[ROWS + 3] * x + view[ROWS + 4] * y + view[ROWS + 5] * z,
        view[ROWS + 6] * x + view[ROWS + 7] * y + view[ROWS + 8] * z,
    )


@wp.func
def outline_of(view: wp.array(dtype=float), quads: wp.array2d(dtype=float), quad: int) -> Outline:
    """A quadrilateral on the screen, cut off at the nearest depth."""
    near = view[NEAR]
    outline = Outline()
    outline.least = float(1.0e9)
    for k in range(4):
        here = corner_of(view, quads, quad, k)
        there = corner_of(view, quads, quad, (k + 1) % 4)
        if here[2] > near:
            outline.u[outline.count] = here[0] / here[2]
            outline.v[outline.count] = here[1] / here[2]
            outline.count += 1
            outline.most = wp.max(outline.most, 1.0 / here[2])
            outline.least = wp.min(outline.least, 1.0 / here[2])
        if (here[2] > near) != (there[2] > near):
            cut = here + (near - here[2]) / (there[2] - here[2]) * (there - here)
            outline.u[outline.count] = cut[0] / near
            outline.v[outline.count] = cut[1] / near
            outline.count += 1
            outline.most = 1.0 / near
    return outline


@wp.func
def draw_quads_plainly(
    view: wp.array(dtype=float),
    quads: wp.array2d(dtype=float),
    looks: wp.array(dtype=int),
    ranges: wp.array(dtype=int),
    count: int,
    keep: float,
    ids: wp.array(dtype=int),
    inverse: wp.array(dtype=float),
):
    """As `rasterize.draw_quads`, ids without entries."""
    width = int(view[WIDTH])
    start = int(view[START])
    for stretch in range(count):
        for quad in range(ranges[2 * stretch], ranges[2 * stretch + 1]):
            outline = outline_of(view, quads, quad)
            first = corner_of(view, quads, quad, 0)
            normal = wp.cross(
                corner_of(view, quads, quad, 1) - first, corner_of(view, quads, quad, 2) - first
            )
            volume = wp.dot(normal, first)
            is_hidden = volume > 0.0 and (looks[quad] >> 30) != 0
            if outline.count < 3 or volume == 0.0 or is_hidden:
                continue
            low = float(1.0e9)
            high = float(-1.0e9)
            for k in range(outline.count):
                low = wp.min(low, outline.v[k])
                high = wp.max(high, outline.v[k])
            top = int(wp.ceil(wp.clamp(low, 0.0, view[HEIGHT]) - 0.5))
            bottom = int(wp.ceil(wp.clamp(high, 0.0, view[HEIGHT]) - 0.5))
            for line in range(top, bottom):
                middle = float(line) + 0.5
                left = float(1.0e9)
                right = float(-1.0e9)
                for k in range(outline.count):
                    other = (k + 1) % outline.count
                    a = outline.v[k]
                    b = outline.v[other]
                    if (a <= middle) != (b <= middle):
                        x = outline.u[k] + (middle - a) / (b - a) * (
                            outline.u[other] - outline.u[k]
                        )
                        left = wp.min(left, x)
                        right = wp.max(right, x)
                from_ = int(wp.ceil(wp.clamp(left, 0.0, view[WIDTH]) - 0.5))
                to = int(wp.ceil(wp.clamp(right, 0.0, view[WIDTH]) - 0.5))
                for column in range(from_, to):
                    point = wp.vec3(float(column) + 0.5, middle, 1.0)
                    w = wp.clamp(wp.dot(normal, point) / volume, outline.least, outline.most)
                    pixel = start + line * width + column
                    if w > keep * inverse[pixel]:
                        inverse[pixel] = w
                        ids[pixel] = (looks[quad] & 255) << 24


@wp.func
def fill_background_plainly(
    view: wp.array(dtype=float),
    farthest: float,
    ground: int,
    sky: int,
    ids: wp.array(dtype=int),
    inverse: wp.array(dtype=float),
):
    """As `rasterize.fill_background`, the sky in one shade."""
    width = int(view[WIDTH])
    for line in range(int(view[HEIGHT])):
        for column in range(width):
            pixel = int(view[START]) + line * width + column
            if inverse[pixel] <= 0.0:
                w = (
                    view[HORIZON] * (float(column) + 0.5)
                    + view[HORIZON + 1] * (float(line) + 0.5)
                    + view[HORIZON + 2]
                )
                ids[pixel] = wp.where(w > farthest, ground, sky)
                inverse[pixel] = wp.where(w > farthest, w, 0.0)

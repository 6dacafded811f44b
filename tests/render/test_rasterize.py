"""The native loops against the same in plain Warp, and edges that neighbours share."""

import numpy as np
import pytest
import warp as wp

from gigalane.render.plain import draw_quads_plainly, fill_background_plainly
from gigalane.render.rasterize import FIRST_ENTRY, draw_quads, fill_background
from gigalane.render.scenery import SPARE

WIDTH, HEIGHT = 61, 47  # no whole number of vectors


@wp.kernel(enable_backward=False)
def both(
    keep: float,
    view: wp.array(dtype=float),
    quads: wp.array2d(dtype=float),
    looks: wp.array(dtype=int),
    ranges: wp.array(dtype=int),
    table: wp.array(dtype=int),
    ids: wp.array2d(dtype=int),
    inverse: wp.array2d(dtype=float),
):
    count = ranges.shape[0] / 2
    draw_quads(view, quads, looks, ranges, count, keep, 200, table, ids[0], inverse[0])
    fill_background(view, 7 << 24, 8 << 24, table, ids[0], inverse[0])
    draw_quads_plainly(view, quads, looks, ranges, count, keep, ids[1], inverse[1])
    fill_background_plainly(view, 0.005, 7 << 24, 8 << 24, ids[1], inverse[1])


def level_view():
    """A camera 1.5 m above the ground that looks along +x."""
    view = np.zeros(512, np.float32)
    focal, u, v = 30.0, 0.5 * WIDTH, 0.5 * HEIGHT
    view[2] = 1.5
    view[3:12] = u, -focal, 0.0, v, 0.0, -focal, 1.0, 0.0, 0.0
    view[12:15] = WIDTH, HEIGHT, 0.3
    view[15:19] = 0.0, 1.0 / (focal * 1.5), -v / (focal * 1.5), 0.005
    return view


def draw(quads, looks, keep=1.0, ranges=None):
    """(classes, 1/z) by both, (2, HEIGHT, WIDTH)."""
    pixels = WIDTH * HEIGHT
    table = np.zeros(2 * 8192, np.int32)
    table[0] = FIRST_ENTRY
    ids = wp.zeros((2, pixels + 32), dtype=int, device="cpu")
    inverse = wp.zeros((2, pixels + 32), dtype=float, device="cpu")
    spans = np.array([0, len(quads)] if ranges is None else ranges, np.int32)
    # Whatever lies behind the last one is read, and must not be drawn.
    rows = quads.reshape(-1, 12).astype(np.float32).T
    inputs = [
        keep,
        wp.array(level_view(), dtype=float, device="cpu"),
        wp.array(np.hstack([rows, np.ones((12, SPARE), np.float32)]), dtype=float, device="cpu"),
        wp.array(np.pad(np.asarray(looks, np.int32), (0, SPARE)), dtype=int, device="cpu"),
        wp.array(spans, dtype=int, device="cpu"),
        wp.array(table, dtype=int, device="cpu"),
        ids,
        inverse,
    ]
    wp.launch(both, 1, inputs, device="cpu")
    shape = (2, HEIGHT, WIDTH)
    assert not ids.numpy()[:, pixels:].any()  # nothing is written behind the canvas
    # Shades of the sky are the native loop's only.
    classes = ids.numpy()[:, :pixels].reshape(shape) >> 24
    return classes, inverse.numpy()[:, :pixels].reshape(shape)


def random_quads(rng, count):
    """Flat quadrilaterals of all sizes around the camera, (count, 3, 4) [m]."""
    middle = rng.uniform([-5, -20, -1], [60, 20, 4], (count, 3))
    along, aside = rng.normal(size=(2, count, 3)) * rng.choice([0.1, 0.6, 4.0], (1, count, 1))
    signs = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
    corners = middle[:, None] + signs[:, :1] * along[:, None] + signs[:, 1:] * aside[:, None]
    return corners.transpose(0, 2, 1)


@pytest.mark.parametrize("keep", [1.0, 0.98])
@pytest.mark.parametrize("seed", range(6))
def test_native_loops_draw_what_plain_ones_draw(seed, keep):
    rng = np.random.default_rng(seed)
    quads = random_quads(rng, 60)
    looks = rng.integers(1, 7, 60) + (rng.integers(0, 2, 60) << 30)
    classes, inverse = draw(quads, looks, keep)
    # Only rounding at edges differs: the two follow them in other directions.
    assert (classes[0] != classes[1]).mean() < 2e-3
    same = classes[0] == classes[1]
    close = np.isclose(inverse[0], inverse[1], rtol=1e-3, atol=1e-6)
    assert (same & ~close).mean() < 2e-3
    assert len(np.unique(classes[0])) >= 4


def test_neighbours_share_no_pixel_and_leave_none_out():
    rng = np.random.default_rng(4)
    # A crooked sheet across the view, as a net of 12 x 12 meshes that share their corners.
    y, z = np.meshgrid(np.linspace(-9, 9, 13), np.linspace(-6, 9, 13), indexing="ij")
    sheet = np.stack([np.full_like(y, 7.0), y, z], axis=-1)
    sheet[1:-1, 1:-1, 1:] += rng.uniform(-0.3, 0.3, (11, 11, 2))
    net = np.stack([sheet[:-1, :-1], sheet[1:, :-1], sheet[1:, 1:], sheet[:-1, 1:]], axis=2)
    quads = net.reshape(-1, 4, 3).transpose(0, 2, 1).astype(np.float32)
    count = np.zeros((HEIGHT, WIDTH), int)
    for quad in quads:
        count += draw(quad[None], [1])[0][0] == 1
    assert (count == 1).all()


def test_stretches_that_are_not_asked_for_are_not_drawn():
    quads = random_quads(np.random.default_rng(9), 40)
    some = np.r_[3:9, 20:31]
    whole, _ = draw(quads[some], some + 1)
    parts, _ = draw(quads, np.arange(40) + 1, ranges=[3, 9, 20, 31])
    assert np.array_equal(whole[0], parts[0])


def test_depth_of_a_wall_is_its_distance_along_the_axis():
    wall = np.array([[[8.0, 8, 8, 8], [-30, 30, 30, -30], [-30, -30, 30, 30]]])
    classes, inverse = draw(wall, [3])
    assert (classes == 3).all()
    assert np.allclose(1.0 / inverse, 8.0, rtol=1e-5)


def test_the_ground_begins_below_the_horizon_at_height_over_slope():
    classes, inverse = draw(np.zeros((0, 3, 4)), [])
    middle = HEIGHT // 2  # the horizon runs through the middle of this row
    assert (classes[0, : middle + 1] == 8).all()
    assert (classes[0, middle + 1 :] == 7).all()
    # Row r looks (r + 0.5 - 23.5) / 30 down for each metre ahead; the eye is 1.5 m high.
    assert np.allclose(1.0 / inverse[0, middle + 10], 1.5 * 30.0 / 10.0, rtol=1e-5)

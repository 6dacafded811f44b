"""The native inner loop of `locate` against a plain form of it, one corner after the other."""

import numpy as np
import pytest
import warp as wp

from gigalane.maps.arrays import SEAM, MapArrays, cell_of, reaches
from gigalane.maps.stack import stack_maps
from gigalane.sim.locate import LEVEL_HEIGHT, height_at, leaves_road, surface_of
from gigalane.sim.scene import CAR, PEDESTRIAN, Body, Traits
from reference import probes


@wp.func
def paved(road: MapArrays, at: int, x: float, y: float, z: float, flags: int) -> bool:
    if at >= 0 and (road.segments[at].flags & flags) != 0:  # noqa: SIM102 (`if` guards the index)
        if reaches(road.segments[at], x, y, SEAM):
            return True
    cell = cell_of(road.maps[0], x, y)
    if cell < 0:
        return False
    for entry in range(road.cell_offsets[cell], road.cell_offsets[cell + 1]):
        segment = road.segments[road.cell_segments[entry]]
        near = wp.abs(height_at(segment, x, y) - z) < LEVEL_HEIGHT
        if near and (segment.flags & flags) != 0 and reaches(segment, x, y, SEAM):
            return True
    return False


@wp.kernel(enable_backward=False)
def both_forms(
    road: MapArrays,
    at: wp.array(dtype=int),
    bodies: wp.array(dtype=Body),
    traits: wp.array(dtype=Traits),
    native: wp.array(dtype=int),
    plain: wp.array(dtype=int),
):
    i = wp.tid()
    body = bodies[i]
    size = traits[i]
    native[i] = wp.where(leaves_road(road, road.maps[0], at[i], body, size), 0, 1)
    inside = 0
    for corner in range(4):
        along = wp.where((corner & 1) != 0, 0.5, -0.5) * size.length
        left = wp.where((corner & 2) != 0, 0.5, -0.5) * size.width
        x = body.x + along * body.cos - left * body.sin
        y = body.y + along * body.sin + left * body.cos
        if paved(road, at[i], x, y, body.z, surface_of(size.kind)):
            inside += 1
    plain[i] = inside / 4


def verdicts(compiled, at, body, traits):
    """What both forms say of each row: 1 inside, 0 outside."""
    road = stack_maps([compiled], "cpu")
    given = [
        wp.array(np.int32(at), dtype=int, device="cpu"),
        wp.array(body, dtype=Body, device="cpu"),
        wp.array(traits, dtype=Traits, device="cpu"),
    ]
    out = [wp.zeros(len(at), dtype=int, device="cpu") for _ in range(2)]
    wp.launch(both_forms, len(at), [road, *given, *out], device="cpu")
    return out[0].numpy(), out[1].numpy()


@pytest.mark.parametrize("name", ["ring", "tee", "bridge", "town"])
def test_native_footprints_are_the_plain_ones(name, request):
    compiled = request.getfixturevalue(name)
    rng, count = np.random.default_rng(1), 20_000
    segments = compiled.segments
    at = rng.choice(np.flatnonzero(segments["lane"] >= 0), count)
    piece = segments[at]
    along, aside = rng.uniform(-4, 9, count), rng.normal(0.0, 2.0, count)
    heading = np.arctan2(piece["sin"], piece["cos"]) + rng.normal(0.0, 0.5, count)
    body = probes.records(
        Body,
        count,
        x=piece["x"] + along * piece["cos"] - aside * piece["sin"],
        y=piece["y"] + along * piece["sin"] + aside * piece["cos"],
        z=piece["z"] + along * piece["slope"] + rng.choice([0.0, 0.0, 0.0, 5.0], count),
        cos=np.cos(heading),
        sin=np.sin(heading),
    )
    traits = probes.records(
        Traits,
        count,
        length=rng.uniform(0.5, 12.0, count),
        width=rng.uniform(0.5, 2.6, count),
        kind=rng.choice([CAR, PEDESTRIAN], count),
    )
    # Some know nothing of their segment, some a wrong one.
    at = np.where(rng.random(count) < 0.1, -1, at)
    at = np.where(rng.random(count) < 0.1, rng.integers(0, len(segments), count), at)
    native, plain = verdicts(compiled, at, body, traits)
    assert np.array_equal(native, plain)
    assert 0.1 < native.mean() < 0.9


def test_a_box_without_a_position_or_off_the_map_stands_on_nothing(ring):
    body = probes.records(Body, 3, cos=1.0, x=[np.nan, 1e7, -1e7], y=[0.0, 0.0, np.nan])
    traits = probes.records(Traits, 3, length=4.0, width=2.0, kind=CAR)
    native, plain = verdicts(ring, [-1, -1, 5], body, traits)
    assert native.tolist() == plain.tolist() == [0, 0, 0]

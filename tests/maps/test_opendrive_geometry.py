"""Reference lines, profiles and lane edges against closed forms and plain integration."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opendrive_text import cubic, geometry, lane, read, road, section

QUICK = settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def reference(road_map, lane_id="1:0:-1"):
    """The road's reference line: the left edge of its first right lane."""
    return road_map.lane_by_id[lane_id].left_boundary


def arc_lengths(line):
    return np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(line[:, :2], axis=0), axis=1))])


def headings(line):
    steps = np.diff(line[:, :2], axis=0)
    return np.unwrap(np.arctan2(steps[:, 1], steps[:, 0]))


def test_a_straight_road_is_two_lanes_that_pass_each_other_on_the_right(tmp_path):
    plan = geometry(x=10.0, y=20.0, hdg=math.pi / 2, length=50.0)
    road_map = read(tmp_path, road(plan=plan, length=50.0))
    north, south = road_map.lane_by_id["1:0:-1"], road_map.lane_by_id["1:0:1"]
    np.testing.assert_allclose(north.centerline[[0, -1], :2], [[11.75, 20], [11.75, 70]], atol=1e-9)
    np.testing.assert_allclose(south.centerline[[0, -1], :2], [[8.25, 70], [8.25, 20]], atol=1e-9)
    np.testing.assert_allclose(north.left_boundary[:, 0], 10.0)
    np.testing.assert_allclose(south.left_boundary[:, 0], 10.0, atol=1e-12)


@QUICK
@given(curvature=st.floats(-0.1, 0.1).filter(lambda k: abs(k) > 1e-3), length=st.floats(5, 60))
def test_every_edge_of_an_arc_lies_on_its_circle(tmp_path, curvature, length):
    shape = f'<arc curvature="{curvature}"/>'
    road_map = read(tmp_path, road(plan=geometry(length=length, shape=shape), length=length))
    centre = np.array([0.0, 1.0 / curvature])
    for lane_, offsets in (("1:0:-1", (0.0, -3.5)), ("1:0:1", (0.0, 3.5))):
        lane_ = road_map.lane_by_id[lane_]
        for edge, t in zip((lane_.left_boundary, lane_.right_boundary), offsets, strict=True):
            radius = np.linalg.norm(edge[:, :2] - centre, axis=1)
            np.testing.assert_allclose(radius, abs(1.0 / curvature - t), atol=1e-9)
    assert headings(reference(road_map))[-1] == pytest.approx(curvature * length, abs=0.01)


@QUICK
@given(
    start=st.floats(-0.1, 0.1),
    end=st.floats(-0.1, 0.1),
    length=st.floats(5, 120),
    hdg=st.floats(-3, 3),
)
def test_a_spiral_is_where_plain_integration_puts_it(tmp_path, start, end, length, hdg):
    shape = f'<spiral curvStart="{start}" curvEnd="{end}"/>'
    plan = geometry(x=5.0, y=-3.0, hdg=hdg, length=length, shape=shape)
    line = reference(read(tmp_path, road(plan=plan, length=length)))
    s = np.linspace(0.0, length, 400_001)
    heading = hdg + start * s + (end - start) * s**2 / (2.0 * length)
    step = length / (len(s) - 1)
    x = (
        5.0
        + np.concatenate([[0.0], np.cumsum((np.cos(heading[1:]) + np.cos(heading[:-1])) / 2)])
        * step
    )
    y = (
        -3.0
        + np.concatenate([[0.0], np.cumsum((np.sin(heading[1:]) + np.sin(heading[:-1])) / 2)])
        * step
    )
    # The lane's vertices are at even s between record ends, so their s is known.
    at = np.linspace(0.0, length, len(line))
    np.testing.assert_allclose(line[:, 0], np.interp(at, s, x), atol=1e-6)
    np.testing.assert_allclose(line[:, 1], np.interp(at, s, y), atol=1e-6)


U = (0.0, 20.0, 30.0, -9.0)
V = (0.0, 0.0, 12.0, -3.0)


def param_poly(coefficients_u, coefficients_v, attributes):
    names = [f"{p}{axis}" for axis in "UV" for p in "abcd"]
    values = (*coefficients_u, *coefficients_v)
    pairs = " ".join(f'{n}="{v!r}"' for n, v in zip(names, values, strict=True))
    return f"<paramPoly3 {pairs} {attributes}/>"


def curve_length(u, v, last):
    p = np.linspace(0.0, last, 200_001)
    return float(np.hypot(np.diff(np.polyval(u[::-1], p)), np.diff(np.polyval(v[::-1], p))).sum())


def test_a_parametric_cubic_is_the_same_curve_in_both_parameter_ranges(tmp_path):
    length = curve_length(U, V, 1.0)
    scaled_u = [c / length**k for k, c in enumerate(U)]
    scaled_v = [c / length**k for k, c in enumerate(V)]
    lines = []
    for u, v, attributes in (
        (U, V, 'pRange="normalized"'),
        (scaled_u, scaled_v, 'pRange="arcLength"'),
        (U, V, ""),
    ):
        plan = geometry(length=length, shape=param_poly(u, v, attributes))
        lines.append(reference(read(tmp_path, road(plan=plan, length=length))))
    np.testing.assert_allclose(lines[1], lines[0], atol=1e-6)
    np.testing.assert_array_equal(lines[2], lines[0])
    np.testing.assert_allclose(lines[0][-1, :2], [41.0, 9.0], atol=1e-6)


def test_a_parametric_cubic_is_laid_out_by_arc_length_not_by_parameter(tmp_path):
    """A record that begins half-way along s must change the lane half-way along the curve."""
    length = curve_length(U, V, 1.0)
    shape = param_poly(U, V, 'pRange="normalized"')
    later = section(lane(1), lane(-1), s=length / 2)
    plan = geometry(length=length, shape=shape)
    lanes = section(lane(1), lane(-1)) + later
    line = reference(read(tmp_path, road(plan=plan, sections=lanes, length=length)))
    p = np.linspace(0.0, 1.0, 200_001)
    curve = np.stack([np.polyval(U[::-1], p), np.polyval(V[::-1], p)], axis=1)
    middle = curve[np.searchsorted(arc_lengths(curve), length / 2)]
    np.testing.assert_allclose(line[-1, :2], middle, atol=1e-3)
    assert np.linalg.norm(middle - curve[100_000]) > 0.5, "half the parameter is another place"


@QUICK
@given(b=st.floats(-0.3, 0.3), c=st.floats(-0.01, 0.01), d=st.floats(-2e-4, 2e-4))
def test_a_poly3_runs_along_its_polynomial_for_its_arc_length(tmp_path, b, c, d):
    shape = f'<poly3 a="0" b="{b}" c="{c}" d="{d}"/>'
    line = reference(read(tmp_path, road(plan=geometry(length=40.0, shape=shape), length=40.0)))
    u, v = line[:, 0], line[:, 1]
    np.testing.assert_allclose(v, u * (b + u * (c + u * d)), atol=1e-6)
    fine = np.linspace(0.0, u[-1], 100_001)
    curve = fine * (b + fine * (c + fine * d))
    assert np.hypot(np.diff(fine), np.diff(curve)).sum() == pytest.approx(40.0, abs=1e-4)


@QUICK
@given(x=st.floats(-1e4, 1e4), y=st.floats(-1e4, 1e4), turn=st.floats(-math.pi, math.pi))
def test_moving_and_turning_the_road_moves_and_turns_every_lane(tmp_path, x, y, turn):
    shape = '<spiral curvStart="0.0" curvEnd="0.05"/>'
    rising = cubic("elevation", a=2.0, b=0.05)
    rolled = cubic("superelevation", a=0.1)
    here, there = (
        read(tmp_path, road(plan=plan, length=40.0, elevation=rising, superelevation=rolled))
        for plan in (
            geometry(length=40.0, shape=shape),
            geometry(x=x, y=y, hdg=turn, length=40.0, shape=shape),
        )
    )
    cosine, sine = math.cos(turn), math.sin(turn)
    rotation = np.array([[cosine, -sine, 0.0], [sine, cosine, 0.0], [0.0, 0.0, 1.0]])
    for before, after in zip(here.lanes, there.lanes, strict=True):
        moved = before.centerline @ rotation.T + [x, y, 0.0]
        np.testing.assert_allclose(after.centerline, moved, atol=1e-6)


def test_zero_length_geometry_changes_nothing(tmp_path):
    pieces = geometry(length=30.0) + geometry(s=30.0, x=30.0, length=20.0)
    empty = geometry(s=30.0, x=30.0, hdg=1.0, length=0.0, shape='<arc curvature="9"/>')
    plain = read(tmp_path, road(plan=pieces, length=50.0))
    spiked = read(tmp_path, road(plan=pieces + empty, length=50.0))
    for before, after in zip(plain.lanes, spiked.lanes, strict=True):
        np.testing.assert_array_equal(after.centerline, before.centerline)


def test_elevation_is_the_height_of_the_reference_line(tmp_path):
    profile = cubic("elevation", a=1.0, b=0.02) + cubic("elevation", s=50.0, a=2.0, c=0.001)
    line = reference(read(tmp_path, road(elevation=profile)))
    x = line[:, 0]
    expected = np.where(x < 50.0, 1.0 + 0.02 * x, 2.0 + 0.001 * (x - 50.0) ** 2)
    np.testing.assert_allclose(line[:, 2], expected, atol=1e-9)
    assert np.any(x == 50.0), "a vertex stands where the record changes"


def test_superelevation_lifts_the_left_and_keeps_the_width(tmp_path):
    roll = 0.1
    road_map = read(tmp_path, road(superelevation=cubic("superelevation", a=roll)))
    left = road_map.lane_by_id["1:0:1"].right_boundary[0]
    right = road_map.lane_by_id["1:0:-1"].right_boundary[0]
    assert left[2] == pytest.approx(3.5 * math.sin(roll))
    assert right[2] == pytest.approx(-3.5 * math.sin(roll))
    assert right[1] == pytest.approx(-3.5 * math.cos(roll))


def test_a_level_lane_keeps_the_height_of_its_inner_edge(tmp_path):
    level = lane(-2, width=2.0, type="sidewalk").replace('level="false"', 'level="true"')
    lanes = section(lane(-1), level)
    road_map = read(tmp_path, road(sections=lanes, superelevation=cubic("superelevation", a=0.1)))
    pavement = road_map.lane_by_id["1:0:-2"]
    np.testing.assert_allclose(pavement.right_boundary[:, 2], pavement.left_boundary[:, 2])
    assert np.linalg.norm(pavement.right_boundary[0] - pavement.left_boundary[0]) == pytest.approx(
        2
    )


def test_superelevation_rolls_about_the_sloping_tangent(tmp_path):
    """On a slope the surface normal leans back, so the lifted edge does too."""
    road_map = read(
        tmp_path,
        road(elevation=cubic("elevation", b=1.0), superelevation=cubic("superelevation", a=0.2)),
    )
    lane_ = road_map.lane_by_id["1:0:1"]
    across = lane_.right_boundary[0] - lane_.left_boundary[0]  # 3.5 m to the left of the road
    tangent = np.array([1.0, 0.0, 1.0]) / math.sqrt(2.0)
    assert across @ tangent == pytest.approx(0.0, abs=1e-9)
    assert np.linalg.norm(across) == pytest.approx(3.5)


def test_lane_offset_and_width_polynomials_shape_the_edges(tmp_path):
    width = cubic("width", a=3.0, b=0.01) + cubic("width", s=40.0, a=3.4, c=0.0005)
    lanes = section(lane(-1, width=width), lane(1))
    offset = cubic("laneOffset", a=0.5) + cubic("laneOffset", s=60.0, a=0.5, d=1e-5)
    road_map = read(tmp_path, road(sections=lanes, offset=offset))
    lane_ = road_map.lane_by_id["1:0:-1"]
    x = lane_.left_boundary[:, 0]
    inner = 0.5 + np.where(x > 60.0, 1e-5 * (x - 60.0) ** 3, 0.0)
    wide = np.where(x < 40.0, 3.0 + 0.01 * x, 3.4 + 0.0005 * (x - 40.0) ** 2)
    np.testing.assert_allclose(lane_.left_boundary[:, 1], inner, atol=1e-9)
    np.testing.assert_allclose(lane_.right_boundary[:, 1], inner - wide, atol=1e-9)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_border_says_what_a_width_would(tmp_path, sign):
    border = cubic("border", a=-3.0 * sign, b=-0.01 * sign)
    outer = cubic("border", a=-4.0 * sign, b=-0.01 * sign)
    by_border = section(lane(-1, width=border), lane(-2, width=outer))
    by_width = section(lane(-1, width=cubic("width", a=3.0, b=0.01)), lane(-2, width=1.0))
    one, other = (read(tmp_path, road(sections=text)) for text in (by_border, by_width))
    for left, right in zip(one.lanes, other.lanes, strict=True):
        np.testing.assert_allclose(left.centerline, right.centerline, atol=1e-9)


def test_cross_sections_are_close_enough_to_interpolate(tmp_path):
    shape = '<arc curvature="0.2"/>'
    plan = geometry(length=20.0) + geometry(s=20.0, x=20.0, length=7.0, shape=shape)
    # Ten metres from 3.5 to 4.5 m; straight at both ends, so that the edge has no kink.
    taper = cubic("width", a=3.5) + cubic("width", s=5.0, a=3.5, c=0.03, d=-0.002)
    taper += cubic("width", s=15.0, a=4.5)
    lanes = section(lane(-1, width=taper), lane(1, width=3.0))
    for lane_ in read(tmp_path, road(plan=plan, sections=lanes, length=27.0)).lanes:
        for line in (lane_.left_boundary, lane_.centerline, lane_.right_boundary):
            assert np.diff(arc_lengths(line)).max() <= 2.0 + 1e-9
            assert np.abs(np.diff(headings(line))).max() <= math.radians(1.0)
        assert len(lane_.centerline) == len(lane_.left_boundary) == len(lane_.right_boundary)


def test_a_crest_is_followed_to_a_centimetre(tmp_path):
    bend = 0.05  # second derivative 0.1 1/m: a hump of 10 m radius
    line = reference(read(tmp_path, road(elevation=cubic("elevation", c=-bend), length=20.0)))
    middle = (line[1:] + line[:-1]) / 2.0
    assert np.abs(middle[:, 2] + bend * middle[:, 0] ** 2).max() <= 0.01

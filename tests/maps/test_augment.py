"""Affine copies stay valid maps and change exactly what they should."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from gigalane.maps.augment import AffineRanges, AffineSettings, augment, draw_affine
from gigalane.maps.check import CheckSettings, check_road_map, errors
from gigalane.maps.generate import TINY_TOWN, generate_town
from gigalane.maps.road import MarkType, RoadMap, RoadMark
from gigalane.maps.store import road_map_to_arrays

MIRROR = AffineSettings(mirror=True)


@pytest.fixture(scope="module")
def town() -> RoadMap:
    return generate_town(7)


def area(lane) -> float:
    outline = np.concatenate([lane.left_boundary, lane.right_boundary[::-1]])
    return shapely.Polygon(outline[:, :2]).area


def fingerprint(road_map: RoadMap) -> dict[str, bytes]:
    return {key: array.tobytes() for key, array in road_map_to_arrays(road_map).items()}


def test_mirroring_twice_changes_nothing(town):
    assert fingerprint(augment(augment(town, MIRROR), MIRROR)) == fingerprint(town)


def test_mirroring_exchanges_left_and_right(town):
    mirrored = augment(town, MIRROR)
    assert mirrored.left_hand_traffic != town.left_hand_traffic
    for before, after in zip(town.lanes, mirrored.lanes, strict=True):
        assert after.left_neighbor == before.right_neighbor
        assert np.array_equal(after.left_boundary, before.right_boundary * [1, -1, 1])
        assert after.left_marks == before.right_marks
        assert after.successors == before.successors


@settings(max_examples=12, deadline=None)
@given(scale=st.floats(0.9, 1.15), shear=st.floats(-0.1, 0.1), mirror=st.booleans())
def test_a_copy_satisfies_the_invariants_of_its_original(scale, shear, mirror):
    tiny = generate_town(5, TINY_TOWN)
    copy = augment(tiny, AffineSettings(scale, shear, mirror))
    # Scaled lanes may be narrower than a generator makes them, and joints stay joints.
    tolerances = CheckSettings(joint_gap_m=0.01, joint_turn_deg=1.5, beside_gap_m=0.06)
    assert [str(finding) for finding in check_road_map(copy, tolerances)] == []


@settings(max_examples=12, deadline=None)
@given(scale=st.floats(0.5, 2.0), shear=st.floats(-0.5, 0.5), mirror=st.booleans())
def test_areas_grow_by_the_square_of_the_scale(scale, shear, mirror):
    tiny = generate_town(5, TINY_TOWN)
    copy = augment(tiny, AffineSettings(scale, shear, mirror))
    for before, after in zip(tiny.lanes[:6], copy.lanes[:6], strict=True):
        assert area(after) == pytest.approx(scale**2 * area(before), rel=1e-9)


def test_scaling_alone_scales_lengths_and_keeps_headings_and_heights(town):
    copy = augment(town, AffineSettings(scale=1.1))
    for before, after in zip(town.lanes, copy.lanes, strict=True):
        assert after.length == pytest.approx(1.1 * before.length)
        assert np.array_equal(after.centerline[:, 2], before.centerline[:, 2])
        assert after.speed_limit == before.speed_limit
    for before, after in zip(town.signals, copy.signals, strict=True):
        assert np.isclose(np.exp(1j * before.heading), np.exp(1j * after.heading))


def test_shear_moves_points_sideways_by_their_y(town):
    copy = augment(town, AffineSettings(shear=0.1))
    for before, after in zip(town.boundaries, copy.boundaries, strict=True):
        moved = after.polyline - before.polyline
        assert np.allclose(moved[:, 0], 0.1 * before.polyline[:, 1])
        assert np.allclose(moved[:, 1:], 0.0)


def test_marks_keep_their_place_on_the_boundary(town):
    lane = max(town.lanes, key=lambda lane: lane.length)
    middle = len(lane.left_boundary) // 2
    steps = np.linalg.norm(np.diff(lane.left_boundary[:, :2], axis=0), axis=1)
    mark = RoadMark(0.0, float(steps[:middle].sum()), MarkType.SOLID_BROKEN, "white")
    marked = replace(town, lanes=(replace(lane, left_marks=(mark,)),))
    for affine in (AffineSettings(1.1, 0.1), AffineSettings(0.9, -0.1, True)):
        copy = augment(marked, affine).lanes[0]
        line = copy.right_boundary if affine.mirror else copy.left_boundary
        moved = (copy.right_marks if affine.mirror else copy.left_marks)[0]
        steps = np.linalg.norm(np.diff(line[:, :2], axis=0), axis=1)
        assert moved.end == pytest.approx(steps[:middle].sum())
        assert (moved.start, moved.type) == (0.0, MarkType.SOLID_BROKEN)


def test_stop_lines_begin_at_the_drivers_left_in_a_mirror_too(town):
    for before, after in zip(town.stop_lines, augment(town, MIRROR).stop_lines, strict=True):
        assert np.array_equal(after.polyline, before.polyline[::-1] * [1, -1, 1])


def test_the_identity_returns_the_map_and_others_drop_its_geographic_reference(town):
    placed = replace(town, geo_reference="+proj=tmerc")
    assert augment(placed, AffineSettings()) is placed
    assert augment(placed, MIRROR).geo_reference is None


def test_a_seed_draws_a_transformation_within_its_ranges():
    drawn = [draw_affine(seed) for seed in range(200)]
    assert draw_affine(3) == draw_affine(3)
    assert len(set(drawn)) == 200
    ranges = AffineRanges()
    assert all(ranges.scale[0] <= d.scale <= ranges.scale[1] for d in drawn)
    assert all(abs(d.shear) <= ranges.shear for d in drawn)
    assert 60 < sum(d.mirror for d in drawn) < 140


def test_a_seed_may_stand_for_its_transformation(town):
    assert fingerprint(augment(town, 3)) == fingerprint(augment(town, draw_affine(3)))


@pytest.mark.parametrize("wrong", [{"scale": 0.1}, {"scale": float("nan")}, {"shear": 0.9}])
def test_transformations_that_leave_no_usable_road_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        AffineSettings(**wrong)


@pytest.mark.data
@pytest.mark.skipif("GIGALANE_DATA" not in os.environ, reason="GIGALANE_DATA is not set")
def test_a_mirrored_carla_town_satisfies_the_invariants():
    from gigalane import load_map

    folder = Path(os.environ["GIGALANE_DATA"]) / "opendrive" / "carla"
    copy = augment(load_map(folder / "Town02.xodr.gz"), AffineSettings(1.1, 0.05, True))
    assert [str(finding) for finding in errors(check_road_map(copy))] == []

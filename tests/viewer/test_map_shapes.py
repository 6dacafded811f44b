"""What is drawn of a map: its surfaces, lines and levels."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import shapely
import synthetic_world

from gigalane.maps.road import MarkType, RoadMap, RoadMark
from gigalane.viewer.lane_under import LaneFinder
from gigalane.viewer.map_levels import Decks
from gigalane.viewer.map_shapes import map_shapes


def areas(shapes, role, level=0):
    polygons = [shapely.Polygon(s.rings[0], s.rings[1:]) for s in shapes
                if s.role == role and s.is_area and s.level == level]  # fmt: skip
    return shapely.union_all(polygons)


def lines(shapes, prefix, level=None):
    return [s for s in shapes if s.role.startswith(prefix) and not s.is_area
            and level in (None, s.level)]  # fmt: skip


def test_the_road_surface_is_the_union_of_the_drivable_lanes(crossroads):
    drawn = areas(map_shapes(crossroads), "road")
    lanes = shapely.union_all(
        [
            shapely.make_valid(
                shapely.Polygon(
                    np.concatenate([ln.left_boundary[:, :2], ln.right_boundary[::-1, :2]])
                )
            )
            for ln in crossroads.lanes
            if ln.is_drivable
        ]
    )
    assert drawn.symmetric_difference(lanes).area < 0.002 * lanes.area


def test_the_whole_road_is_one_surface_without_seams(crossroads):
    shapes = map_shapes(crossroads)
    roads = [s for s in shapes if s.role == "road"]
    assert areas(shapes, "road").geom_type == "Polygon"
    assert all(len(s.rings) == 1 for s in roads)


def test_a_line_that_two_lanes_share_is_drawn_once(crossroads):
    drawn = lines(map_shapes(crossroads), "mark")
    total = sum(shapely.LineString(s.rings[0]).length for s in drawn)
    arm = synthetic_world.FAR - synthetic_world.NEAR
    # For each of four arms: the double line (two), two dividers, two edge lines.
    assert total == pytest.approx(4 * 6 * arm, rel=1e-3)


def test_pieces_of_one_mark_are_joined_so_that_dashes_go_on():
    road_map = synthetic_world.bridge(height=0.0)
    pieces = tuple(RoadMark(s, s + 1.0, MarkType.BROKEN) for s in np.arange(0.0, 100.0))
    lane = replace(road_map.lanes[0], left_marks=pieces, right_marks=())
    drawn = lines(map_shapes(RoadMap("m", (lane,))), "mark")
    assert len(drawn) == 1
    assert shapely.LineString(drawn[0].rings[0]).length == pytest.approx(100.0)


def test_a_map_without_marks_still_tells_lanes_apart(crossroads):
    bare = tuple(replace(ln, left_marks=(), right_marks=()) for ln in crossroads.lanes)
    drawn = lines(map_shapes(replace(crossroads, lanes=bare)), "mark")
    assert len(drawn) == 8  # one divider each way on each of four arms
    assert all(s.dash for s in drawn)


def test_every_stop_line_and_its_light_know_their_number(crossroads):
    shapes = map_shapes(crossroads)
    for role in ("stop_line", "signal"):
        assert sorted(s.index for s in shapes if s.role == role) == [0, 1, 2, 3]
    line = next(s for s in shapes if s.role == "stop_line" and s.index == 2)
    assert np.array_equal(line.rings[0], crossroads.stop_lines[2].polyline[:, :2])


def test_zebra_bars_lie_across_the_walking_direction_and_inside(crossroads):
    bars = [s for s in map_shapes(crossroads) if s.role == "crossing"]
    outlines = shapely.union_all([shapely.Polygon(c.outline[:, :2]) for c in crossroads.crossings])
    painted = shapely.union_all([shapely.Polygon(s.rings[0]) for s in bars])
    assert painted.difference(outlines.buffer(1e-6)).area == pytest.approx(0.0)
    assert painted.area == pytest.approx(outlines.area / 2, rel=1e-6)
    east = next(s for s in bars if s.rings[0][:, 0].min() > synthetic_world.NEAR)
    wide, high = np.ptp(east.rings[0], axis=0)
    assert wide > high  # on the eastern arm cars drive along x, so bars do


def test_turn_arrows_show_the_ways_on(crossroads):
    arrows = [s.rings[0] for s in map_shapes(crossroads) if s.role == "arrow"]
    # The inner eastern lane drives west; it may turn left (south) or go straight.
    here = [a for a in arrows if 25 < a[:, 0].mean() < 33 and 0 < a[:, 1].mean() < 3.5]
    inner = np.concatenate(here)
    assert inner[:, 1].min() < 1.75 - 0.8
    assert inner[:, 1].max() < 1.75 + 0.6


def test_a_flat_map_has_one_level(crossroads):
    decks = Decks(crossroads.lanes)
    assert not decks
    assert {s.level for s in map_shapes(crossroads)} == {0}


def test_a_road_above_another_is_a_second_level_where_it_crosses():
    road_map = synthetic_world.bridge(height=6.0)
    decks = Decks(road_map.lanes)
    assert decks.rows[1].any() and not decks.rows[0].any()
    deck = areas(map_shapes(road_map, decks), "road", level=1)
    crossing = shapely.box(-1.75, -1.75, 1.75, 1.75)
    assert crossing.within(deck.buffer(0.01))
    assert deck.bounds[3] < 30.0  # but not all of the upper road
    points = np.array(
        [[0, 0, 6.0], [0, 0, 0.0], [0, 0, 6.75], [0, 0, 0.75], [50, 0, 0], [0, 55, 6]]
    )
    assert decks.levels(points).tolist() == [1, 0, 1, 0, 0, 0]


def test_a_road_little_above_another_is_on_the_same_level():
    assert not Decks(synthetic_world.bridge(height=1.0).lanes)


def test_lines_on_a_deck_have_no_gap_where_the_deck_ends():
    shapes = map_shapes(synthetic_world.bridge(height=6.0))
    upper = [s.rings[0] for s in lines(shapes, "mark") if abs(s.rings[0][0, 0] + 1.75) < 0.01]
    assert {s.level for s in lines(shapes, "mark")} == {0, 1}
    spans = sorted((r[:, 1].min(), r[:, 1].max()) for r in upper)
    for (_, end), (start, _) in pairwise(spans):
        assert start < end


def test_points_that_are_not_numbers_are_on_the_ground():
    decks = Decks(synthetic_world.bridge(height=6.0).lanes)
    assert decks.levels(np.full((3, 3), np.nan)).tolist() == [0, 0, 0]


def test_the_lane_under_a_road_user_fits_its_height_and_heading(crossroads):
    finder = LaneFinder(synthetic_world.bridge(height=6.0).lanes)
    points = np.array([[0, 0, 0.5], [0, 0, 6.5], [0, 30, 6.0], [30, 30, 0.0]])
    assert finder.lane_at(points, np.array([0.0, 0.0, 1.6, 0.0])).tolist() == [0, 1, 1, -1]

    finder = LaneFinder(crossroads.lanes)
    middle, names = np.zeros((2, 3)), [ln.id for ln in crossroads.lanes]
    middle[:, 1] = [1.75, -1.75]
    found = finder.lane_at(middle, np.array([np.pi, 0.0]))  # westbound from arm 0, eastbound
    assert [names[k] for k in found] == ["j00-20", "j20-00"]


def test_the_lane_under_every_point_of_a_centreline_is_that_lane(crossroads):
    finder = LaneFinder(crossroads.lanes)
    for index, lane in enumerate(crossroads.lanes):
        if not lane.is_drivable or lane.is_junction:
            continue
        step = lane.centerline[10] - lane.centerline[9]
        heading = np.full(1, np.arctan2(step[1], step[0]))
        assert finder.lane_at(lane.centerline[10:11], heading).tolist() == [index]

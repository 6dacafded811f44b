"""What stands and lies in the world: where it is, and that cells hold what they should."""

import numpy as np
import pytest
import shapely

from gigalane.maps.compile import compile_map
from gigalane.maps.generate import TINY_TOWN, generate_town
from gigalane.maps.road import MarkType, RoadMap, RoadMark
from gigalane.render.classes import CLASS
from gigalane.render.ground import painted_quads
from gigalane.render.roadside import RoadsideSettings
from gigalane.render.scenery import CELL, LAYERS, compile_scenery
from reference.maps import line, make_lane


@pytest.fixture(scope="module")
def town_and_scenery():
    town = generate_town(3, TINY_TOWN)
    return town, compile_scenery(town, compile_map(town))


def corners_of(scenery):
    return scenery.quads.reshape(-1, 3, 4).transpose(0, 2, 1)


def classes_of(scenery):
    return scenery.looks & 255


def layers_of(scenery):
    return np.repeat(np.arange(len(scenery.offsets) - 1) % len(LAYERS), np.diff(scenery.offsets))


def test_every_quadrilateral_lies_in_the_ball_of_its_cell(town_and_scenery):
    _, scenery = town_and_scenery
    cell = np.repeat(np.arange(len(scenery.offsets) - 1) // len(LAYERS), np.diff(scenery.offsets))
    ball = scenery.balls[cell]
    away = np.linalg.norm(corners_of(scenery) - ball[:, None, :3], axis=2)
    assert (away <= ball[:, 3:]).all()
    middle = corners_of(scenery).mean(axis=1)[:, :2]
    column, row = np.floor((middle - scenery.grid) / CELL).astype(int).T
    assert np.array_equal(row * scenery.columns + column, cell)


def test_nothing_is_built_on_a_road(town_and_scenery):
    _, scenery = town_and_scenery
    corners, classes = corners_of(scenery), classes_of(scenery)
    flat = shapely.union_all(
        shapely.make_valid(shapely.polygons(corners[layers_of(scenery) <= 1][..., :2]))
    )
    # A roof is the plan of its house; walls and crowns are where their lower edges are.
    built = corners[(layers_of(scenery) == 4) & (classes == CLASS["building"])]
    assert len(built) > 50
    outlines = shapely.convex_hull(shapely.multipoints(built[..., :2]))
    assert not shapely.intersects(outlines, flat).any()
    trees = corners[(layers_of(scenery) == 3) & (classes == CLASS["tree"])].mean(axis=1)
    assert not shapely.intersects_xy(flat, trees[:, 0], trees[:, 1]).any()


def test_roads_cover_what_the_simulator_drives_on(town_and_scenery):
    town, scenery = town_and_scenery
    corners = corners_of(scenery)
    road = shapely.union_all(
        shapely.make_valid(shapely.polygons(corners[classes_of(scenery) == CLASS["road"]][..., :2]))
    )
    origin = compile_map(town).origin_map
    middle = np.concatenate([lane.centerline for lane in town.routable_lanes]) - origin
    held = shapely.intersects_xy(road.buffer(0.05), middle[:, 0], middle[:, 1])
    assert held.all()


def test_houses_differ_by_seed_and_not_by_call(tee_road, tee):
    same = [compile_scenery(tee_road, tee) for _ in range(2)]
    other = compile_scenery(tee_road, tee, RoadsideSettings(seed=1))
    assert np.array_equal(same[0].quads, same[1].quads)
    assert same[0].quads.shape != other.quads.shape or not np.array_equal(
        same[0].quads, other.quads
    )
    bare = compile_scenery(tee_road, tee, RoadsideSettings(buildings=0.0, trees=0.0))
    assert not np.isin(classes_of(bare), [CLASS["building"], CLASS["tree"]]).any()


def marked(mark_type, color="white"):
    mark = RoadMark(0.0, 45.0, mark_type, color, 0.2)
    lane = make_lane("a", line((0.0, 0.0), (60.0, 0.0)), left_marks=(mark,))
    return painted_quads(RoadMap("m", (lane,)), np.zeros(3))


def painted_length(quads):
    return np.ptp(quads.corners[..., 0], axis=1).sum()


def test_a_solid_line_is_painted_all_along():
    quads = marked(MarkType.SOLID)
    assert painted_length(quads) == pytest.approx(45.0)
    assert np.ptp(quads.corners[..., 1]) == pytest.approx(0.2)
    assert (quads.looks & 255 == CLASS["mark_solid"]).all()


def test_a_broken_line_is_three_metres_of_paint_and_six_of_gap():
    quads = marked(MarkType.BROKEN, "yellow")
    starts = np.sort(quads.corners[..., 0].min(axis=1))
    assert starts == pytest.approx([0.0, 9.0, 18.0, 27.0, 36.0])
    assert painted_length(quads) == pytest.approx(15.0)
    assert (quads.looks & 255 == CLASS["mark_yellow_broken"]).all()


def test_a_double_line_keeps_its_two_patterns_apart():
    quads = marked(MarkType.SOLID_BROKEN)
    solid = quads.looks & 255 == CLASS["mark_solid"]
    # Solid on the left of the lane's left edge, which is at 1.75, broken on its right.
    assert quads.corners[solid][..., 1].min() == pytest.approx(1.85)
    assert quads.corners[~solid][..., 1].max() == pytest.approx(1.65)
    assert (quads.looks[~solid] & 255 == CLASS["mark_broken"]).all()


def test_every_light_has_a_face_and_shows_its_own_stop_line(tee_road, tee_scenery):
    faces = layers_of(tee_scenery) == LAYERS.index("light")
    lights = [k for k, one in enumerate(tee_road.stop_lines) if one.rule == "light"]
    assert set(tee_scenery.links[faces].tolist()) == set(lights)
    assert (tee_scenery.links[~faces] == -1).all()


def test_who_waits_at_a_stop_line_has_a_light_ahead(tee_road, tee, tee_scenery):
    corners = corners_of(tee_scenery)
    for link, stop_line in enumerate(tee_road.stop_lines):
        if stop_line.rule != "light":
            continue
        left, right = stop_line.polyline - tee.origin_map
        across = (right - left)[:2] / np.linalg.norm((right - left)[:2])
        onward = np.array([-across[1], across[0]])
        eye = (left + right)[:2] / 2 - 2.0 * onward
        away = corners[tee_scenery.links == link].mean(axis=1)[:, :2] - eye
        bearing = np.abs(np.arctan2(away @ across, away @ onward))
        assert (bearing[away @ onward > 8.0] < 0.5).any()

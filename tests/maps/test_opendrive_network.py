"""Links, neighbours, traffic sides, speeds, marks and edges of small hand-written networks."""

from __future__ import annotations

import math
import os
from pathlib import Path

import numpy as np
import pytest
from opendrive_text import cubic, geometry, lane, link, read, road, section

from gigalane import MapError, load_map
from gigalane.maps.road import BoundaryType, LaneType, MarkType

DATA = os.environ.get("GIGALANE_DATA")


def two_roads(first_end="", second_start="", **second):
    """Two straight roads end to end along x, joined lane by lane."""
    both = section(lane(1, before=1, after=1), lane(-1, before=-1, after=-1))
    return (
        road(id="a", sections=both, after=first_end or link("successor", "b", "start")),
        road(
            id="b",
            plan=geometry(x=100.0),
            sections=both,
            before=second_start or link("predecessor", "a", "end"),
            **second,
        ),
    )


def check_links(road_map):
    by_id = road_map.lane_by_id
    for lane_ in road_map.lanes:
        for other in lane_.successors:
            assert lane_.id in by_id[other].predecessors
        for other in lane_.predecessors:
            assert lane_.id in by_id[other].successors


def test_lanes_of_joined_roads_continue_in_the_direction_of_travel(tmp_path):
    road_map = read(tmp_path, *two_roads())
    by_id = road_map.lane_by_id
    assert by_id["a:0:-1"].successors == ("b:0:-1",)
    assert by_id["b:0:-1"].predecessors == ("a:0:-1",)
    assert by_id["b:0:1"].successors == ("a:0:1",)
    assert by_id["a:0:1"].successors == ()
    check_links(road_map)


def test_one_road_naming_the_other_is_enough(tmp_path):
    road_map = read(tmp_path, *two_roads(second_start=" "))
    assert road_map.lane_by_id["b:0:-1"].predecessors == ("a:0:-1",)


def test_roads_that_meet_end_to_end_swap_sides(tmp_path):
    both = section(lane(1, before=-1, after=-1), lane(-1, before=1, after=1))
    facing = road(
        id="b",
        plan=geometry(x=200.0, hdg=math.pi),
        sections=both,
        after=link("successor", "a", "end"),
    )
    first = road(id="a", sections=both, after=link("successor", "b", "end"))
    by_id = read(tmp_path, first, facing).lane_by_id
    assert by_id["a:0:-1"].successors == ("b:0:1",)
    assert by_id["b:0:-1"].successors == ("a:0:1",)


def test_links_between_lanes_that_lie_apart_are_left_out_with_a_warning(tmp_path):
    first, _ = two_roads()
    far = road(
        id="b",
        plan=geometry(x=120.0),
        sections=section(lane(1, before=1), lane(-1, before=-1)),
        before=link("predecessor", "a", "end"),
    )
    road_map = read(tmp_path, first, far)
    assert road_map.lane_by_id["a:0:-1"].successors == ()
    assert any("do not meet" in warning for warning in road_map.warnings)


def test_sections_are_linked_and_a_section_without_length_is_bridged(tmp_path):
    lanes = (
        section(lane(-1, after=-2), lane(1, after=1))
        + section(
            lane(-2, before=-1, after=-1), lane(-1, width=0.0), lane(1, before=1, after=1), s=50
        )
        + section(lane(-1, before=-2), lane(1, before=1), s=50.0)
    )
    road_map = read(tmp_path, road(sections=lanes))
    assert set(road_map.lane_by_id) == {"1:0:-1", "1:0:1", "1:2:-1", "1:2:1"}
    assert road_map.lane_by_id["1:0:-1"].successors == ("1:2:-1",)
    assert road_map.lane_by_id["1:2:1"].successors == ("1:0:1",)


def test_a_lane_without_width_is_left_out_and_its_neighbours_meet(tmp_path):
    road_map = read(tmp_path, road(sections=section(lane(-1), lane(-2, width=0.0), lane(-3))))
    by_id = road_map.lane_by_id
    assert set(by_id) == {"1:0:-1", "1:0:-3"}
    assert by_id["1:0:-1"].right_neighbor == "1:0:-3"


def test_neighbours_run_the_same_way(tmp_path):
    lanes = section(lane(2), lane(1), lane(-1), lane(-2, type="bus"), lane(-3, type="sidewalk"))
    by_id = read(tmp_path, road(sections=lanes)).lane_by_id
    beside = {
        name[4:]: (lane_.left_neighbor, lane_.right_neighbor) for name, lane_ in by_id.items()
    }
    assert beside == {
        "2": ("1:0:1", None),
        "1": (None, "1:0:2"),
        "-1": (None, "1:0:-2"),
        "-2": ("1:0:-1", "1:0:-3"),
        "-3": ("1:0:-2", None),
    }


def test_a_single_sided_section_does_not_cut_the_other_side(tmp_path):
    lanes = section(lane(1), lane(-1, after=-1)) + section(
        lane(-1, before=-1), lane(-2), s=40.0, attributes='singleSide="true"'
    )
    by_id = read(tmp_path, road(sections=lanes)).lane_by_id
    assert by_id["1:0:1"].length == pytest.approx(100.0)
    assert by_id["1:0:-1"].length == pytest.approx(40.0)
    assert by_id["1:0:-1"].successors == ("1:1:-1",)


def junction_parts(contact="start", ids=("west", "east", "turn")):
    """A road, a connecting road through junction "J", and a road on: along x."""
    west, east, turn = ids
    both = section(lane(1), lane(-1))
    return (
        road(id=west, sections=both, after=link("successor", "J", type="junction")),
        road(
            id=turn,
            plan=geometry(x=100.0, length=20.0),
            length=20.0,
            junction="J",
            sections=section(lane(-1, before=-1, after=-1)),
            before=link("predecessor", west, "end"),
            after=link("successor", east, "start"),
        ),
        road(
            id=east,
            plan=geometry(x=120.0),
            sections=both,
            before=link("predecessor", "J", type="junction"),
        ),
        f'<junction id="J" name=""><connection id="0" incomingRoad="{west}" '
        f'connectingRoad="{turn}" contactPoint="{contact}"><laneLink from="-1" to="-1"/>'
        "</connection></junction>",
    )


def test_a_junction_leads_from_its_incoming_to_its_outgoing_road(tmp_path):
    road_map = read(tmp_path, *junction_parts())
    inside = road_map.lane_by_id["turn:0:-1"]
    assert inside.predecessors == ("west:0:-1",)
    assert inside.successors == ("east:0:-1",)
    assert inside.is_junction and inside.junction == "J"
    assert not road_map.lane_by_id["west:0:-1"].is_junction
    check_links(road_map)


def test_a_connection_links_even_where_the_lanes_say_nothing(tmp_path):
    west, turn, east, junction = junction_parts()
    mute = turn.replace('<predecessor id="-1"/>', "")
    road_map = read(tmp_path, west, mute, east, junction)
    assert road_map.lane_by_id["turn:0:-1"].predecessors == ("west:0:-1",)


def test_a_direct_junction_joins_roads_without_a_connecting_road(tmp_path):
    both = section(lane(-1), lane(-2))
    ramp = section(lane(-1))
    road_map = read(
        tmp_path,
        road(id="in", sections=both, after=link("successor", "J", type="junction")),
        road(
            id="out",
            plan=geometry(x=100.0),
            sections=section(lane(-1)),
            before=link("predecessor", "J", type="junction"),
        ),
        road(
            id="ramp",
            plan=geometry(x=100.0, y=-3.5, shape='<arc curvature="-0.01"/>'),
            sections=ramp,
            before=link("predecessor", "J", type="junction"),
        ),
        '<junction id="J" type="direct" name=""><connection id="0" incomingRoad="in" '
        'linkedRoad="out" contactPoint="start"><laneLink from="-1" to="-1"/></connection>'
        '<connection id="1" incomingRoad="in" linkedRoad="ramp" contactPoint="start">'
        '<laneLink from="-2" to="-1"/></connection></junction>',
    )
    by_id = road_map.lane_by_id
    assert by_id["in:0:-1"].successors == ("out:0:-1",)
    assert by_id["in:0:-2"].successors == ("ramp:0:-1",)
    assert not any(lane_.is_junction for lane_ in road_map.lanes)


def test_left_hand_traffic_is_the_mirror_image_of_right_hand_traffic(tmp_path):
    spiral = '<spiral curvStart="0" curvEnd="{}"/>'
    right = read(
        tmp_path,
        road(
            plan=geometry(shape=spiral.format(0.02)),
            sections=section(lane(1, width=3.0), lane(-1), lane(-2, type="shoulder")),
        ),
    )
    left = read(
        tmp_path,
        road(
            plan=geometry(shape=spiral.format(-0.02)),
            sections=section(lane(-1, width=3.0), lane(1), lane(2, type="shoulder")),
            attributes='rule="LHT"',
        ),
    )
    assert left.left_hand_traffic and not right.left_hand_traffic
    for name, mirrored in (("-1", "1"), ("1", "-1"), ("-2", "2")):
        one, other = right.lane_by_id[f"1:0:{name}"], left.lane_by_id[f"1:0:{mirrored}"]
        flip = np.array([1.0, -1.0, 1.0])
        np.testing.assert_allclose(one.centerline * flip, other.centerline, atol=1e-9)
        np.testing.assert_allclose(one.left_boundary * flip, other.right_boundary, atol=1e-9)
    assert left.lane_by_id["1:0:1"].left_neighbor == "1:0:2"


def test_a_reversed_lane_runs_against_its_side(tmp_path):
    lanes = section(lane(-1), lane(-2, attributes='direction="reversed"'))
    by_id = read(tmp_path, road(sections=lanes)).lane_by_id
    assert by_id["1:0:-2"].centerline[0, 0] == pytest.approx(100.0)
    assert by_id["1:0:-1"].right_neighbor is None


@pytest.mark.parametrize(
    ("spelling", "type_"),
    [
        ("biking", LaneType.BICYCLE),
        ("walking", LaneType.SIDEWALK),
        ("mwyEntry", LaneType.ENTRY),
        ("offRamp", LaneType.OFF_RAMP),
        ("connectingRamp", LaneType.CONNECTING_RAMP),
        ("hoverboard", LaneType.NONE),
    ],
)
def test_lane_types_of_every_version_are_understood(tmp_path, spelling, type_):
    road_map = read(tmp_path, road(sections=section(lane(-1), lane(-2, type=spelling))))
    assert road_map.lane_by_id["1:0:-2"].type is type_
    assert bool(road_map.warnings) == (type_ is LaneType.NONE)


@pytest.mark.parametrize(
    ("attributes", "limit"),
    [
        ('max="36" unit="km/h"', 10.0),
        ('max="25" unit="mph"', 11.176),
        ('max="13.9" unit="m/s"', 13.9),
        ('max="13.9"', 13.9),
        ('max="no limit"', None),
        ('max="undefined" unit="km/h"', None),
    ],
)
def test_speed_limits_are_metres_a_second(tmp_path, attributes, limit):
    kind = f'<type s="0" type="town"><speed {attributes}/></type>'
    own = lane(-2, extra='<speed sOffset="0" max="18" unit="km/h"/>')
    by_id = read(tmp_path, road(sections=section(lane(-1), own), extra=kind)).lane_by_id
    assert by_id["1:0:-1"].speed_limit == (None if limit is None else pytest.approx(limit))
    assert by_id["1:0:-2"].speed_limit == pytest.approx(5.0)


def mark(s, type_, color="white"):
    return f'<roadMark sOffset="{s}" type="{type_}" color="{color}" width="0.15"/>'


def test_marks_run_in_the_direction_of_travel_and_name_lines_from_the_driver_s_left(tmp_path):
    centre = lane(0, extra=mark(0, "solid broken", "yellow"))
    outer = mark(0, "solid") + mark(30, "none") + mark(60, "broken")
    lanes = section(centre, lane(1, extra=outer), lane(-1, extra=outer))
    by_id = read(tmp_path, road(sections=lanes)).lane_by_id
    forward, back = by_id["1:0:-1"], by_id["1:0:1"]
    assert [(m.type, m.start, m.end) for m in forward.right_marks] == [
        (MarkType.SOLID, 0.0, pytest.approx(30.0)),
        (MarkType.BROKEN, pytest.approx(60.0), pytest.approx(100.0)),
    ]
    assert [(m.type, m.start, m.end) for m in back.right_marks] == [
        (MarkType.BROKEN, 0.0, pytest.approx(40.0)),
        (MarkType.SOLID, pytest.approx(70.0), pytest.approx(100.0)),
    ]
    assert [m.type for m in forward.left_marks] == [MarkType.SOLID_BROKEN]
    assert [m.type for m in back.left_marks] == [MarkType.BROKEN_SOLID]
    assert forward.left_marks[0].color == "yellow"
    assert forward.left_marks[0].width == 0.15


def test_road_edges_are_the_outer_edges_of_the_drivable_lanes(tmp_path):
    kerb = lane(-1, extra=mark(0, "curb"))
    lanes = section(lane(1), kerb, lane(-2, type="sidewalk"), lane(-3, type="bicycle", width=2.0))
    edges = read(tmp_path, road(sections=lanes)).boundaries
    assert [round(float(edge.polyline[0, 1]), 6) for edge in edges] == [3.5, -3.5, -7.0, -9.0]
    assert [edge.type for edge in edges] == [
        BoundaryType.ROAD_EDGE,
        BoundaryType.CURB,
        BoundaryType.ROAD_EDGE,
        BoundaryType.ROAD_EDGE,
    ]


def test_a_lane_that_opens_from_nothing_keeps_its_shape(tmp_path):
    opening = lane(-2, width=cubic("width", a=0.0, b=0.035))
    lane_ = read(tmp_path, road(sections=section(lane(-1), opening))).lane_by_id["1:0:-2"]
    wide = np.linalg.norm(lane_.left_boundary - lane_.right_boundary, axis=1)
    np.testing.assert_allclose(wide, 0.035 * lane_.left_boundary[:, 0], atol=1e-9)


@pytest.mark.data
@pytest.mark.skipif(not DATA, reason="GIGALANE_DATA is not set")
@pytest.mark.parametrize("folder", ["esmini", "asam", "smarts"])
def test_every_sample_file_becomes_a_consistent_map(folder):
    files = sorted((Path(DATA or "") / "opendrive" / folder).glob("*.xodr"))
    assert files
    for file in files:
        try:
            road_map = load_map(file)
        except MapError:
            assert file.name == "many_invalid.xodr"
            continue
        check_links(road_map)
        assert road_map.routable_lanes, file.name
        by_id = road_map.lane_by_id
        assert len(by_id) == len(road_map.lanes)
        for lane_ in road_map.lanes:
            shape = lane_.centerline.shape
            assert lane_.left_boundary.shape == lane_.right_boundary.shape == shape
            assert shape[0] >= 2 and np.isfinite(lane_.centerline).all()
            if lane_.left_neighbor is not None:
                beside = by_id[lane_.left_neighbor]
                assert beside.right_neighbor == lane_.id
                np.testing.assert_allclose(beside.right_boundary, lane_.left_boundary, atol=1e-9)


@pytest.mark.data
@pytest.mark.skipif(not DATA, reason="GIGALANE_DATA is not set")
def test_the_left_hand_twin_of_a_sample_runs_the_other_way_everywhere():
    folder = Path(DATA or "") / "opendrive" / "esmini"
    right = load_map(folder / "route_strategy_test_road.xodr")
    left = load_map(folder / "route_strategy_test_road_LHT.xodr")
    assert left.left_hand_traffic and not right.left_hand_traffic
    assert set(left.lane_by_id) == set(right.lane_by_id)
    for name, one in right.lane_by_id.items():
        other = left.lane_by_id[name]
        np.testing.assert_allclose(one.centerline[::-1], other.centerline, atol=1e-9)
        assert set(one.successors) == set(other.predecessors)

"""Lights, signs, stop lines and crossings of a small junction, in both dialects of direction."""

from __future__ import annotations

import math

import numpy as np
import pytest
from opendrive_text import geometry, lane, link, read, road, section

from gigalane.maps.road import SignalType, StopRule


def signal(id, type="1000001", s=98.0, t=-5.0, orientation="+", lanes="", attributes="") -> str:
    dynamic = "yes" if type == "1000001" else "no"
    return (
        f'<signal id="{id}" s="{s}" t="{t}" zOffset="3" type="{type}" subtype="-1" name="" '
        f'dynamic="{dynamic}" country="OpenDRIVE" orientation="{orientation}" {attributes}>'
        f"{lanes}</signal>"
    )


def reference(id, s=0.0, orientation="+", lanes="") -> str:
    start = f'<signalReference id="{id}" s="{s}" t="0" orientation="{orientation}">'
    return f"{start}{lanes}</signalReference>"


def validity(first, last) -> str:
    return f'<validity fromLane="{first}" toLane="{last}"/>'


def crossroads(
    tmp_path, west="", east="", through="", back="", objects="", controllers="", junction=""
):
    """Two roads along x that meet in junction "J" at x = 100 to 120, one lane each way.

    `west` and `east` are signals on the roads, `through` and `back` on the connecting roads
    that lead east and west.
    """

    def signals(text):
        return f"<signals>{text}</signals>" if text else ""

    both = section(lane(1), lane(-1))
    one_way = section(lane(-1, before=-1, after=-1))
    return read(
        tmp_path,
        road(
            id="west",
            sections=both,
            after=link("successor", "J", type="junction"),
            extra=f"<objects>{objects}</objects>{signals(west)}",
        ),
        road(
            id="east",
            plan=geometry(x=120.0),
            sections=both,
            before=link("predecessor", "J", type="junction"),
            extra=signals(east),
        ),
        road(
            id="through",
            plan=geometry(x=100.0, length=20.0),
            length=20.0,
            junction="J",
            sections=one_way,
            before=link("predecessor", "west", "end"),
            after=link("successor", "east", "start"),
            extra=signals(through),
        ),
        road(
            id="back",
            plan=geometry(x=120.0, hdg=math.pi, length=20.0),
            length=20.0,
            junction="J",
            sections=section(lane(-1, before=1, after=1)),
            before=link("predecessor", "east", "start"),
            after=link("successor", "west", "end"),
            extra=signals(back),
        ),
        controllers,
        f'<junction id="J" name="">{junction}'
        '<connection id="0" incomingRoad="west" connectingRoad="through" contactPoint="start">'
        '<laneLink from="-1" to="-1"/></connection>'
        '<connection id="1" incomingRoad="east" connectingRoad="back" contactPoint="start">'
        '<laneLink from="1" to="-1"/></connection></junction>',
    )


def test_a_light_before_a_junction_holds_back_the_lanes_of_its_direction(tmp_path):
    road_map = crossroads(tmp_path, west=signal("L"))
    (light,) = road_map.signals
    assert light.type is SignalType.TRAFFIC_LIGHT
    assert light.lanes == ("west:0:-1",)
    np.testing.assert_allclose(light.position, [98.0, -5.0, 3.0], atol=1e-9)
    assert abs(light.heading) == pytest.approx(math.pi), "it looks at traffic that comes along s"
    (line,) = road_map.stop_lines
    assert (line.rule, line.lanes, line.signals, line.junction) == (
        StopRule.LIGHT,
        ("west:0:-1",),
        ("L",),
        "J",
    )
    np.testing.assert_allclose(line.polyline, [[100, 0, 0], [100, -3.5, 0]], atol=1e-9)


def test_a_light_far_from_any_junction_holds_back_no_junction(tmp_path):
    road_map = crossroads(tmp_path, west=signal("L", s=20.0))
    assert road_map.stop_lines == ()
    assert road_map.signals[0].lanes == ("west:0:-1",)


def test_a_light_on_a_connecting_road_holds_back_the_lanes_that_lead_into_it(tmp_path):
    light = signal("L", s=1.0, lanes=validity(-1, -1))
    (line,) = crossroads(tmp_path, back=light).stop_lines
    assert line.lanes == ("east:0:1",)
    np.testing.assert_allclose(line.polyline, [[120, 0, 0], [120, 3.5, 0]], atol=1e-9)


def test_a_light_valid_for_no_lane_speaks_through_its_references(tmp_path):
    light = signal("L", s=2.0, orientation="-", lanes=validity(0, 0))
    road_map = crossroads(
        tmp_path, east=light, through=reference("L", orientation="-", lanes=validity(-1, -1))
    )
    assert road_map.signals[0].lanes == ("west:0:-1",)


def test_orientations_written_the_other_way_round_are_noticed(tmp_path):
    """The reference names a lane that runs along s and says "-", as RoadRunner does."""
    road_map = crossroads(
        tmp_path,
        west=signal("L", orientation="-", lanes=validity(0, 0))
        + signal("S", "206", orientation="-"),
        through=reference("L", orientation="-", lanes=validity(-1, -1)),
    )
    light, sign = road_map.signals
    assert light.lanes == sign.lanes == ("west:0:-1",)
    assert abs(light.heading) == pytest.approx(math.pi)


@pytest.mark.parametrize(("type_", "rule"), [("206", StopRule.STOP), ("205", StopRule.YIELD)])
def test_stop_and_yield_signs_make_stop_lines_of_their_kind(tmp_path, type_, rule):
    (line,) = crossroads(tmp_path, west=signal("S", type_)).stop_lines
    assert line.rule is rule


def test_a_light_beside_a_sign_rules(tmp_path):
    (line,) = crossroads(tmp_path, west=signal("S", "206") + signal("L")).stop_lines
    assert (line.rule, line.signals) == (StopRule.LIGHT, ("L",))


@pytest.mark.parametrize(
    ("attributes", "speed"),
    [
        ('value="50"', 50 / 3.6),
        ('value="30" unit="mph"', 13.4112),
        ('value="-1" ', None),
    ],
)
def test_a_speed_sign_carries_its_limit(tmp_path, attributes, speed):
    road_map = crossroads(tmp_path, west=signal("V", "274", s=40.0, attributes=attributes))
    (sign,) = road_map.signals
    assert sign.type is SignalType.SPEED_LIMIT
    assert sign.value == (None if speed is None else pytest.approx(speed))
    assert sign.lanes == ("west:0:-1",)


def test_each_controller_of_a_junction_has_its_turn_in_order(tmp_path):
    controllers = "".join(
        f'<controller id="{c}" name=""><control signalId="{s}" type=""/></controller>'
        for c, s in (("c1", "W"), ("c2", "E"))
    )
    road_map = crossroads(
        tmp_path,
        west=signal("W"),
        east=signal("E", s=2.0, t=5.0, orientation="-"),
        controllers=controllers,
        junction='<controller id="c1" sequence="1"/><controller id="c2" sequence="0"/>',
    )
    assert {s.id: s.group for s in road_map.signals} == {"W": "c1", "E": "c2"}
    (program,) = road_map.signal_programs
    assert program.id == "J"
    assert [stage.green_groups for stage in program.stages] == [("c2",), ("c1",)]


def test_lights_without_controllers_are_grouped_by_approach(tmp_path):
    road_map = crossroads(
        tmp_path,
        west=signal("W1") + signal("W2", t=5.0),
        east=signal("E", s=2.0, t=5.0, orientation="-"),
    )
    groups = {s.id: s.group for s in road_map.signals}
    assert groups["W1"] == groups["W2"] != groups["E"]
    (program,) = road_map.signal_programs
    assert [stage.green_groups for stage in program.stages] == [(groups["W1"],), (groups["E"],)]


def stop_line_object(s, t=-1.75) -> str:
    corners = "".join(f'<cornerLocal u="0" v="{v}" z="0"/>' for v in (-1.75, 1.75))
    return (
        f'<object id="9" name="StopLine" s="{s}" t="{t}" zOffset="0" hdg="0" type="-1" '
        f'length="0" width="3.5"><outline>{corners}</outline></object>'
    )


@pytest.mark.parametrize(("s", "x"), [(95.0, 95.0), (60.0, 100.0), (99.999, 99.999)])
def test_a_painted_stop_line_is_used_where_it_is_near_the_junction(tmp_path, s, x):
    (line,) = crossroads(tmp_path, west=signal("L"), objects=stop_line_object(s)).stop_lines
    np.testing.assert_allclose(line.polyline, [[x, 0, 0], [x, -3.5, 0]], atol=1e-6)


def test_a_stop_line_of_the_other_lane_is_not_used(tmp_path):
    (line,) = crossroads(
        tmp_path, west=signal("L"), objects=stop_line_object(95.0, t=1.75)
    ).stop_lines
    assert line.polyline[0, 0] == pytest.approx(100.0)


def test_sign_294_is_a_stop_line_and_no_signal(tmp_path):
    road_map = crossroads(tmp_path, west=signal("L") + signal("P", "294", s=94.0, t=0.0))
    assert [s.id for s in road_map.signals] == ["L"]
    assert road_map.stop_lines[0].polyline[0, 0] == pytest.approx(94.0)


def crosswalk(corners, attributes='s="90" t="0" hdg="0"') -> str:
    return (
        f'<object id="X" type="crosswalk" name="" zOffset="0" {attributes}>'
        f"<outlines><outline>{corners}</outline></outlines></object>"
    )


@pytest.mark.parametrize(
    "object_",
    [
        crosswalk(
            "".join(
                f'<cornerLocal u="{u}" v="{v}" z="0"/>'
                for u, v in ((-2, -4), (2, -4), (2, 4), (-2, 4), (-2, -4))
            )
        ),
        crosswalk(
            "".join(
                f'<cornerLocal u="{u}" v="{v}" z="0"/>'
                for u, v in ((-4, 2), (-4, -2), (4, -2), (4, 2))
            ),
            f's="90" t="0" hdg="{math.pi / 2}"',
        ),
        crosswalk(
            "".join(
                f'<cornerRoad s="{s}" t="{t}" dz="0" height="0"/>'
                for s, t in ((88, -4), (92, -4), (92, 4), (88, 4))
            )
        ),
        '<object id="X" type="crosswalk" name="" s="90" t="0" hdg="0" length="4" width="8"/>',
    ],
    ids=["local", "turned", "road", "box"],
)
def test_a_crossing_has_the_corners_of_its_outline(tmp_path, object_):
    (crossing,) = crossroads(tmp_path, objects=object_).crossings
    corners = sorted(map(tuple, np.round(crossing.outline[:, :2], 6)))
    assert corners == [(88.0, -4.0), (88.0, 4.0), (92.0, -4.0), (92.0, 4.0)]


def test_signs_that_share_an_id_are_all_kept(tmp_path):
    road_map = crossroads(
        tmp_path, west=signal("0", "999", s=10.0) + signal("0", "999", s=20.0) + signal("0", "999")
    )
    assert len({s.id for s in road_map.signals}) == 3


def test_a_broken_signal_costs_a_warning_not_the_road(tmp_path):
    road_map = crossroads(tmp_path, west=signal("L", s="nan") + signal("M"))
    assert [s.id for s in road_map.signals] == ["M"]
    assert any('signal "L"' in warning for warning in road_map.warnings)

"""Each kind of defect, planted in a map without any, is found and named."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gigalane.maps.check import (
    TIGHT,
    CheckSettings,
    Severity,
    check_road_map,
    errors,
    reachable_share,
    strong_components,
)
from gigalane.maps.generate import TownSettings, generate_town
from gigalane.maps.road import (
    Boundary,
    BoundaryType,
    Crossing,
    Lane,
    LaneType,
    RoadMap,
    SignalStage,
    SignalType,
    StopRule,
)

TWO_LANES = TownSettings(signal_share=1.0, roundabout_share=0.0, arterials=3, variety=0.0)


@pytest.fixture(scope="module")
def town() -> RoadMap:
    found = generate_town(5, TWO_LANES)
    assert found.signal_programs
    assert any(lane.right_neighbor for lane in found.lanes)
    return found


def changed(town: RoadMap, lane: Lane, **fields) -> RoadMap:
    """The town with one lane changed."""
    lanes = (replace(lane, **fields) if other is lane else other for other in town.lanes)
    return replace(town, lanes=tuple(lanes))


def road_lane(town: RoadMap) -> Lane:
    """A lane outside junctions that has a neighbor on its right and goes on."""
    return next(
        lane
        for lane in town.lanes
        if lane.right_neighbor and lane.successors and not lane.is_junction and lane.length > 15
    )


def signalled(town: RoadMap, type_: SignalType):
    return next(signal for signal in town.signals if signal.type is type_)


# ----------------------------------------------------------------- planted defects
def shifted(lane: Lane, by) -> dict:
    by = np.asarray(by, dtype=float)
    return {
        "centerline": lane.centerline + by,
        "left_boundary": lane.left_boundary + by,
        "right_boundary": lane.right_boundary + by,
    }


def stretched(lane: Lane, factor: float) -> dict:
    center = lane.centerline
    return {
        "left_boundary": center + factor * (lane.left_boundary - center),
        "right_boundary": center + factor * (lane.right_boundary - center),
    }


def twice_defined(town):
    return replace(town, lanes=(*town.lanes, town.lanes[0]))


def unknown_successor(town):
    return changed(town, road_lane(town), successors=("nowhere",))


def unknown_neighbor(town):
    return changed(town, road_lane(town), left_neighbor="nowhere")


def unknown_lane_of_a_signal(town):
    signals = (replace(town.signals[0], lanes=("nowhere",)), *town.signals[1:])
    return replace(town, signals=signals)


def unknown_signal_of_a_stop_line(town):
    lines = (replace(town.stop_lines[0], signals=("nowhere",)), *town.stop_lines[1:])
    return replace(town, stop_lines=lines)


def one_way_successor(town):
    lane = road_lane(town)
    return changed(town, town.lane_by_id[lane.successors[0]], predecessors=())


def one_way_predecessor(town):
    return changed(town, road_lane(town), successors=())


def gap_at_the_end(town):
    lane = road_lane(town)
    step = lane.centerline[-1] - lane.centerline[-2]
    return changed(town, lane, **shifted(lane, 0.6 * step / np.linalg.norm(step)))


def step_in_height(town):
    lane = road_lane(town)
    return changed(town, lane, **shifted(lane, [0, 0, 0.6]))


def kink_at_the_end(town):
    lane = road_lane(town)
    center = lane.centerline.copy()
    # The last chord turned by 20 degrees about its end.
    angle, chord = np.deg2rad(20.0), center[-2:, :2] - center[-1, :2]
    center[-2, :2] += chord[0] @ (
        np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]) - np.eye(2)
    )
    return changed(town, lane, centerline=center)


def one_sided_neighbor(town):
    lane = road_lane(town)
    return changed(town, town.lane_by_id[lane.right_neighbor], left_neighbor=None)


def neighbor_far_away(town):
    lane = road_lane(town)
    far = max(
        town.routable_lanes,
        key=lambda other: np.linalg.norm(other.centerline[0] - lane.centerline[0]),
    )
    return changed(changed(town, lane, left_neighbor=far.id), far, right_neighbor=lane.id)


def neighbor_that_runs_back(town):
    lane = town.lane_by_id[road_lane(town).right_neighbor]
    flipped = {
        "centerline": lane.centerline[::-1],
        "left_boundary": lane.left_boundary[::-1],
        "right_boundary": lane.right_boundary[::-1],
    }
    return changed(town, lane, **flipped)


def uneven_lengths(town):
    lane = road_lane(town)
    return changed(town, lane, left_boundary=lane.left_boundary[:-1])


def single_point(town):
    lane = road_lane(town)
    return changed(
        town,
        lane,
        centerline=lane.centerline[:1],
        left_boundary=lane.left_boundary[:1],
        right_boundary=lane.right_boundary[:1],
    )


def not_a_number(town):
    lane = road_lane(town)
    center = lane.centerline.copy()
    center[1, 2] = np.nan
    return changed(town, lane, centerline=center)


def no_length(town):
    lane = road_lane(town)
    return changed(town, lane, centerline=np.repeat(lane.centerline[:1], len(lane.centerline), 0))


def too_narrow(town):
    lane = road_lane(town)
    return changed(town, lane, **stretched(lane, 0.3))


def too_wide(town):
    lane = road_lane(town)
    return changed(town, lane, **stretched(lane, 3.0))


def exchanged_sides(town):
    lane = road_lane(town)
    return changed(town, lane, left_boundary=lane.right_boundary, right_boundary=lane.left_boundary)


def lane_on_a_lane(town):
    lane = road_lane(town)
    alone = {"successors": (), "predecessors": (), "left_neighbor": None, "right_neighbor": None}
    return replace(town, lanes=(*town.lanes, replace(lane, id="copy", **alone)))


def stop_line_elsewhere(town):
    line = town.stop_lines[0]
    moved = replace(line, polyline=line.polyline + np.array([40.0, 40.0, 0.0]))
    return replace(town, stop_lines=(moved, *town.stop_lines[1:]))


def stop_line_from_right_to_left(town):
    line = town.stop_lines[0]
    turned = replace(line, polyline=line.polyline[::-1])
    return replace(town, stop_lines=(turned, *town.stop_lines[1:]))


def stop_line_along_the_lane(town):
    line = town.stop_lines[0]
    along = town.lane_by_id[line.lanes[0]].centerline
    turned = replace(line, polyline=along[[0, -1]])
    return replace(town, stop_lines=(turned, *town.stop_lines[1:]))


def light_that_no_programme_names(town):
    return replace(town, signal_programs=())


def light_without_a_group(town):
    light = signalled(town, SignalType.TRAFFIC_LIGHT)
    signals = (replace(s, group=None) if s is light else s for s in town.signals)
    return replace(town, signals=tuple(signals))


def line_that_waits_for_no_light(town):
    line = next(line for line in town.stop_lines if line.rule is StopRule.LIGHT)
    lines = (replace(other, signals=()) if other is line else other for other in town.stop_lines)
    return replace(town, stop_lines=tuple(lines))


def programme_without_stages(town):
    programs = (replace(town.signal_programs[0], stages=()), *town.signal_programs[1:])
    return replace(town, signal_programs=programs)


def stage_without_green(town):
    program = town.signal_programs[0]
    stages = (replace(program.stages[0], green=0.0), *program.stages[1:])
    return replace(
        town, signal_programs=(replace(program, stages=stages), *town.signal_programs[1:])
    )


def no_road(town):
    lanes = (
        replace(lane, type=LaneType.SIDEWALK) if lane.is_routable else lane for lane in town.lanes
    )
    return replace(town, lanes=tuple(lanes))


def broken_boundary(town):
    bad = Boundary("bad", BoundaryType.CURB, np.full((3, 3), np.inf))
    return replace(town, boundaries=(*town.boundaries, bad))


def broken_crossing(town):
    return replace(town, crossings=(*town.crossings, Crossing("bad", np.zeros((2, 3)))))


DEFECTS: dict[Callable[[RoadMap], RoadMap], str] = {
    twice_defined: "is defined 2 times",
    unknown_successor: "names successor nowhere, which does not exist",
    unknown_neighbor: "names left neighbor nowhere, which does not exist",
    unknown_lane_of_a_signal: "names lane nowhere, which does not exist",
    unknown_signal_of_a_stop_line: "names signal nowhere, which does not exist",
    one_way_successor: "does not name it back",
    one_way_predecessor: "does not name it back",
    gap_at_the_end: "from where its successor",
    step_in_height: "from where its successor",
    kink_at_the_end: "degrees into its successor",
    one_sided_neighbor: "which names None",
    neighbor_far_away: "m from its left neighbor",
    neighbor_that_runs_back: "runs against its",
    uneven_lengths: "polylines of different lengths",
    single_point: "not at least two points",
    not_a_number: "not finite",
    no_length: "is only 0.000 m long",
    too_narrow: "m wide",
    too_wide: "m wide",
    exchanged_sides: "boundary on the other side",
    lane_on_a_lane: "of its length",
    stop_line_elsewhere: "does not lie across lane",
    stop_line_from_right_to_left: "does not run from left to right",
    stop_line_along_the_lane: "does not run from left to right",
    light_that_no_programme_names: "never gets green",
    light_without_a_group: "is a light without a group",
    line_that_waits_for_no_light: "waits for a light but names none",
    programme_without_stages: "has no stage",
    stage_without_green: "without green time",
    no_road: "has no lane that a car may drive on",
    broken_boundary: "is no finite line",
    broken_crossing: "is no finite outline",
}


def test_the_map_the_defects_are_planted_in_has_none(town):
    assert check_road_map(town, TIGHT) == []


@pytest.mark.parametrize("plant", DEFECTS, ids=lambda plant: plant.__name__)
def test_a_planted_defect_is_found_as_an_error(town, plant):
    # Tolerances for imported maps: what they let pass would pass everywhere.
    found = errors(check_road_map(plant(town)))
    assert any(DEFECTS[plant] in finding.message for finding in found), [str(f) for f in found]


@pytest.mark.parametrize("plant", [gap_at_the_end, too_narrow, exchanged_sides, kink_at_the_end])
def test_a_finding_names_the_lane(town, plant):
    subject = f"lane {road_lane(town).id}"
    assert subject in {finding.subject for finding in check_road_map(plant(town))}


def test_tolerances_decide_what_is_an_error(town):
    loose = CheckSettings(joint_gap_m=2.0, beside_gap_m=2.0)
    assert errors(check_road_map(gap_at_the_end(town)))
    assert not errors(check_road_map(gap_at_the_end(town), loose))


def test_a_lane_that_begins_in_a_point_is_a_warning_only(town):
    lane = road_lane(town)
    left = lane.left_boundary.copy()
    left[0] = lane.right_boundary[0]
    found = check_road_map(changed(town, lane, left_boundary=left))
    assert any("m wide" in f.message and f.severity is Severity.WARNING for f in found)
    assert not any("m wide" in f.message for f in errors(found))


def test_a_group_without_a_signal_is_a_warning(town):
    program = town.signal_programs[0]
    stages = (*program.stages, SignalStage(("ghost",)))
    programs = (replace(program, stages=stages), *town.signal_programs[1:])
    found = check_road_map(replace(town, signal_programs=programs))
    assert [f.subject for f in found] == ["signal group ghost"]
    assert not errors(found)


def test_lanes_may_cross_on_a_bridge(town):
    flying = lane_on_a_lane(town)
    copy = flying.lanes[-1]
    raised = changed(flying, copy, **shifted(copy, [0, 0, 6.0]))
    assert not errors(check_road_map(raised))


# ----------------------------------------------------------------- routes
def straight(id_: str, x: float, **fields) -> Lane:
    line = np.array([[x, 0.0, 0.0], [x + 10.0, 0.0, 0.0]])
    aside = np.array([0.0, 1.75, 0.0])
    return Lane(id_, LaneType.DRIVING, line, line + aside, line - aside, **fields)


def test_a_dead_end_is_listed_and_lowers_the_reachable_share():
    lanes = (
        straight("a", 0.0, successors=("b",)),
        straight("b", 10.0, predecessors=("a",)),
    )
    found = check_road_map(RoadMap("row", lanes))
    assert not errors(found)
    assert {str(f) for f in found} == {
        "warning: map row has 50.0% of its routable length in its largest connected part",
        "warning: lane b is a dead end",
    }


def test_a_lane_change_leads_out_of_a_lane_that_ends():
    aside = np.array([0.0, 3.5, 0.0])
    kept = straight("kept", 0.0, successors=("on",), left_neighbor="ends")
    ends = straight("ends", 0.0, right_neighbor="kept")
    ends = replace(ends, **shifted(ends, aside))
    on = straight("on", 10.0, predecessors=("kept",))
    found = check_road_map(RoadMap("drop", (kept, ends, on)))
    assert not errors(found)
    assert "lane ends" not in {f.subject for f in found}


@settings(max_examples=60, deadline=None)
@given(
    edges=st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=24),
)
def test_components_agree_with_the_transitive_closure(edges):
    reach = np.eye(8, dtype=bool)
    for a, b in edges:
        reach[a, b] = True
    for middle in range(8):
        reach |= reach[:, middle, None] & reach[None, middle]
    onward = {str(a): [str(b) for x, b in edges if x == a] for a in range(8)}
    expected = {frozenset(np.flatnonzero(reach[a] & reach[:, a])) for a in range(8)}
    assert {frozenset(map(int, part)) for part in strong_components(onward)} == expected


def test_a_long_chain_does_not_exhaust_the_stack():
    count = 20_000
    onward = {str(k): [str((k + 1) % count)] for k in range(count)}
    assert len(strong_components(onward)) == 1


# ----------------------------------------------------------------- real maps
@pytest.mark.data
@pytest.mark.skipif("GIGALANE_DATA" not in os.environ, reason="GIGALANE_DATA is not set")
@pytest.mark.parametrize("town_name", ["Town01", "Town02"])
def test_carla_towns_satisfy_the_invariants(town_name):
    from gigalane import load_map

    folder = Path(os.environ["GIGALANE_DATA"]) / "opendrive" / "carla"
    road_map = load_map(folder / f"{town_name}.xodr.gz")
    assert [str(finding) for finding in errors(check_road_map(road_map))] == []
    assert reachable_share(road_map) == pytest.approx(1.0)

"""Procedural towns are valid, varied and repeatable."""

from collections import Counter
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from gigalane.maps.check import TIGHT, check_road_map, errors, reachable_share
from gigalane.maps.generate import TINY_TOWN, TownSettings, generate_town
from gigalane.maps.generate.curves import arc, connect, direction, spline, straight
from gigalane.maps.road import Lane, LaneType, MapError, RoadMap, SignalType, StopRule
from gigalane.maps.store import road_map_to_arrays

SOME_SEEDS = range(12)


@pytest.fixture(scope="module")
def towns() -> list[RoadMap]:
    return [generate_town(seed) for seed in SOME_SEEDS]


def fingerprint(road_map: RoadMap) -> dict[str, bytes]:
    return {key: array.tobytes() for key, array in road_map_to_arrays(road_map).items()}


def junction_kinds(road_map: RoadMap) -> Counter:
    junctions = {lane.junction for lane in road_map.lanes if lane.junction}
    return Counter(name.rstrip("0123456789") for name in junctions)


def surface(lane: Lane) -> shapely.Geometry:
    left, right = lane.left_boundary[:, :2], lane.right_boundary[:, :2]
    quads = np.stack([left[:-1], left[1:], right[1:], right[:-1]], axis=1)
    return shapely.union_all(shapely.make_valid(shapely.polygons(quads)))


def radii(line: np.ndarray) -> np.ndarray:
    """Radius of the circle through each three consecutive points of a line [m]."""
    a, b, c = line[:-2, :2], line[1:-1, :2], line[2:, :2]
    sides = [np.linalg.norm(p - q, axis=1) for p, q in ((a, b), (b, c), (a, c))]
    ab, ac = b - a, c - a
    twice_area = np.abs(ab[:, 0] * ac[:, 1] - ab[:, 1] * ac[:, 0])
    return sides[0] * sides[1] * sides[2] / np.maximum(2.0 * twice_area, 1e-9)


# ----------------------------------------------------------------- every town
@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 10**9))
def test_a_town_satisfies_every_invariant_tightly(seed):
    town = generate_town(seed)
    assert [str(finding) for finding in check_road_map(town, TIGHT)] == []
    assert reachable_share(town) == pytest.approx(1.0)


@settings(max_examples=10, deadline=None)
@given(
    seed=st.integers(0, 10**9),
    shares=st.tuples(*[st.sampled_from([0.0, 0.5, 1.0])] * 6),
    lanes=st.integers(1, 4),
    left=st.booleans(),
)
def test_small_towns_of_any_taste_satisfy_every_invariant_tightly(seed, shares, lanes, left):
    names = ["roundabout", "signal", "stop", "parking", "crossing", "lane_change"]
    chosen = {f"{name}_share": share for name, share in zip(names, shares, strict=True)}
    taste = replace(
        TINY_TOWN, maximum_lanes=lanes, arterials=2, left_hand_traffic=left, variety=0.0, **chosen
    )
    town = generate_town(seed, taste)
    assert [str(finding) for finding in check_road_map(town, TIGHT)] == []
    assert town.left_hand_traffic == left
    if chosen["roundabout_share"] == 0.0:
        assert junction_kinds(town)["roundabout"] == 0
    if chosen["crossing_share"] == 0.0 and chosen["parking_share"] == 1.0:
        assert not town.crossings


def test_the_same_seed_gives_the_same_town():
    for seed in (3, 4):
        assert fingerprint(generate_town(seed)) == fingerprint(generate_town(seed))


def test_different_seeds_give_different_towns(towns):
    shapes = [tuple(np.round(town.extent.ravel(), 1)) for town in towns]
    assert len(set(shapes)) == len(shapes)
    assert len({len(town.lanes) for town in towns}) > len(towns) // 2


def test_no_turn_is_tighter_than_a_car_can_drive(towns):
    for town in towns:
        for lane in town.routable_lanes:
            if len(lane.centerline) > 2:
                assert radii(lane.centerline).min() > 5.8, lane.id


def test_lanes_of_different_roads_do_not_overlap_outside_junctions(towns):
    for town in towns[:4]:
        roads: dict[str, list[shapely.Geometry]] = {}
        for lane in town.lanes:
            if not lane.is_junction and lane.type is not LaneType.SIDEWALK:
                roads.setdefault(lane.id.split(".")[0], []).append(surface(lane))
        surfaces = [shapely.union_all(parts) for parts in roads.values()]
        for first, second in combinations(surfaces, 2):
            assert first.intersection(second).area < 0.5


def test_the_lanes_of_one_road_do_not_overlap_either(towns):
    for lane in towns[0].routable_lanes:
        right = towns[0].lane_by_id.get(lane.right_neighbor or "")
        if right is not None and not lane.is_junction:
            assert surface(lane).intersection(surface(right)).area < 0.02 * lane.length


def test_boundary_points_of_consecutive_lanes_coincide(towns):
    for town in towns[:4]:
        for lane in town.routable_lanes:
            for id_ in lane.successors:
                following = town.lane_by_id[id_]
                # Where roundabout lanes merge the widths are equal too.
                assert np.allclose(lane.left_boundary[-1], following.left_boundary[0], atol=1e-6)
                assert np.allclose(lane.right_boundary[-1], following.right_boundary[0], atol=1e-6)


def test_only_dead_ends_lead_back_into_the_road_they_end(towns):
    loops = 0
    for town in towns:
        for lane in town.routable_lanes:
            for before in lane.predecessors:
                for after in lane.successors:
                    ends = {before.split(".")[0], after.split(".")[0]}
                    opposite = "forward" in before and "backward" in after
                    opposite |= "backward" in before and "forward" in after
                    if len(ends) == 1 and opposite:
                        assert lane.junction is not None
                        assert lane.junction.startswith("turnaround")
                        loops += 1
    assert loops


def test_the_surface_of_a_town_is_one_piece_without_cracks(towns):
    for town in towns[:4]:
        whole = shapely.union_all([surface(lane) for lane in town.lanes if lane.is_drivable])
        whole = whole.buffer(0.02)
        assert len(shapely.get_parts(whole)) == 1
        holes = [shapely.Polygon(ring).area for ring in shapely.get_parts(whole)[0].interiors]
        # Blocks, roundabout islands and medians are large; slivers would be cracks in the road.
        assert sum(area for area in holes if area < 20.0) < 0.001 * whole.area


def test_kerbs_lie_at_the_edge_of_the_surface(towns):
    town = towns[0]
    whole = shapely.union_all([surface(lane) for lane in town.lanes if lane.is_drivable])
    inner = whole.buffer(-0.6)
    kerbs = [shapely.LineString(boundary.polyline[:, :2]) for boundary in town.boundaries]
    length = sum(line.length for line in kerbs)
    crossing = sum(line.intersection(inner).length for line in kerbs)
    assert crossing < 0.02 * length


# ----------------------------------------------------------------- lights and signs
def test_traffic_that_obeys_the_lights_never_meets(towns):
    checked = 0
    for town in towns:
        lanes_of_group: dict[str, list[Lane]] = {}
        for signal in town.signals:
            if signal.group is not None:
                for id_ in signal.lanes:
                    onward = [town.lane_by_id[s] for s in town.lane_by_id[id_].successors]
                    lanes_of_group.setdefault(signal.group, []).extend(onward)
        for program in town.signal_programs:
            for stage in program.stages:
                for first, second in combinations(stage.green_groups, 2):
                    for a in lanes_of_group[first]:
                        for b in lanes_of_group[second]:
                            lines = [shapely.LineString(x.centerline[:, :2]) for x in (a, b)]
                            assert not lines[0].intersects(lines[1]), (a.id, b.id)
                            checked += 1
    assert checked


def test_every_light_gets_green_and_every_lit_lane_has_a_line(towns):
    for town in towns:
        lined = {id_ for line in town.stop_lines for id_ in line.lanes}
        for signal in town.signals:
            if signal.type in (SignalType.TRAFFIC_LIGHT, SignalType.STOP, SignalType.YIELD):
                assert set(signal.lanes) <= lined
            if signal.type is SignalType.TRAFFIC_LIGHT:
                stages = [s for p in town.signal_programs for s in p.stages]
                assert any(signal.group in stage.green_groups for stage in stages)


def test_signals_face_the_traffic_they_govern(towns):
    for town in towns[:4]:
        for signal in town.signals:
            for id_ in signal.lanes:
                lane = town.lane_by_id[id_].centerline
                at = -2 if signal.type is not SignalType.SPEED_LIMIT else 0
                travel = lane[at + 1, :2] - lane[at, :2]
                facing = np.array([np.cos(signal.heading), np.sin(signal.heading)])
                assert facing @ travel < -0.9 * np.linalg.norm(travel)


# ----------------------------------------------------------------- variety and settings
def test_towns_between_them_have_everything(towns):
    kinds, lane_types, rules, limits, lanes_abreast = Counter(), set(), set(), set(), set()
    one_way = crossings = ramps = 0
    for town in towns:
        kinds += junction_kinds(town)
        lane_types |= {lane.type for lane in town.lanes}
        rules |= {line.rule for line in town.stop_lines}
        limits |= {round(3.6 * (lane.speed_limit or 0)) for lane in town.routable_lanes}
        crossings += len(town.crossings)
        road_lanes = Counter(
            lane.id.rstrip("0123456789") for lane in town.routable_lanes if not lane.is_junction
        )
        lanes_abreast |= set(road_lanes.values())
        roads = {lane.id.split(".")[0] for lane in town.routable_lanes if not lane.is_junction}
        backs = {lane.id.split(".")[0] for lane in town.lanes if ".backward" in lane.id}
        one_way += len(roads - backs)
    ramps = kinds["ramp"]
    assert min(kinds[k] for k in ("junction", "roundabout", "taper", "turnaround", "ramp")) >= 1
    assert rules == set(StopRule)
    assert {1, 2, 3} <= lanes_abreast
    assert {
        LaneType.DRIVING,
        LaneType.PARKING,
        LaneType.SIDEWALK,
        LaneType.SHOULDER,
        LaneType.MEDIAN,
    } <= lane_types
    assert limits <= set(range(20, 101, 10))
    assert len(limits) >= 4
    assert one_way > ramps
    assert crossings


def test_arms_of_junctions_differ_in_number_and_angle(towns):
    arms = Counter()
    for town in towns:
        incoming: dict[str, set[str]] = {}
        for lane in town.routable_lanes:
            if lane.junction and lane.junction.startswith("junction"):
                incoming.setdefault(lane.junction, set()).update(
                    before.split(".")[0] for before in lane.predecessors
                )
        arms += Counter(len(roads) for roads in incoming.values())
    assert arms[3] >= 3
    assert arms[4] >= 3


def test_a_town_fits_its_size_and_its_hills(towns):
    for town in towns:
        size = (town.extent[1] - town.extent[0])[:2]
        assert (size > 150.0).all()
        assert (size < TownSettings().size_m + 40.0).all()
        assert town.extent[1, 2] - town.extent[0, 2] <= TownSettings().hill_height_m
        for lane in town.routable_lanes:
            step = np.diff(lane.centerline, axis=0)
            assert np.abs(step[:, 2]).max() <= 0.12 * np.linalg.norm(step[:, :2], axis=1).max()
    flat = generate_town(0, replace(TINY_TOWN, hill_height_m=0.0))
    assert flat.extent[0, 2] == flat.extent[1, 2] == 0.0


def test_left_hand_traffic_is_the_mirror_image():
    right = generate_town(11)
    left = generate_town(11, TownSettings(left_hand_traffic=True))
    assert left.left_hand_traffic
    assert not right.left_hand_traffic
    for a, b in zip(right.lanes, left.lanes, strict=True):
        assert np.array_equal(a.left_boundary * [1, -1, 1], b.right_boundary)
        assert a.left_neighbor == b.right_neighbor


def test_true_dead_ends_strand_routes_only_where_they_are_asked_for():
    stranded = generate_town(
        2, replace(TINY_TOWN, true_dead_end_share=1.0, minimum_junctions=1, variety=0.0)
    )
    found = check_road_map(stranded, TIGHT)
    assert not errors(found)
    assert any("dead end" in finding.message for finding in found)
    assert junction_kinds(stranded)["turnaround"] == 0


def test_a_tiny_town_is_tiny():
    kilometres = []
    for seed in range(6):
        tiny = generate_town(seed, TINY_TOWN)
        kinds = junction_kinds(tiny)
        assert 1 <= kinds["junction"] + kinds["roundabout"] <= 2
        kilometres.append(tiny.lane_kilometres)
    assert 0.4 < min(kilometres) <= max(kilometres) < 2.0


def test_settings_that_no_town_can_meet_are_refused():
    for wrong in (
        {"stop_share": 1.5},
        {"maximum_lanes": 5},
        {"spacing_m": 10.0},
        {"size_m": 50.0},
        {"minimum_junctions": 9, "maximum_junctions": 8},
        {"hill_height_m": 100.0},
        {"variety": -0.1},
    ):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            TownSettings(**wrong)
    crowded = replace(TINY_TOWN, minimum_junctions=90, maximum_junctions=100)
    with pytest.raises(MapError, match="no town was found"):
        generate_town(0, crowded)


# ----------------------------------------------------------------- curves
@settings(max_examples=40, deadline=None)
@given(
    turn=st.floats(-2.6, 2.6),
    ahead=st.floats(8.0, 30.0),
    behind=st.floats(8.0, 30.0),
    heading=st.floats(-4.0, 4.0),
)
def test_a_connection_ends_where_and_as_it_should(turn, ahead, behind, heading):
    start = np.array([3.0, -2.0])
    corner = start + ahead * direction(heading)
    end = corner + behind * direction(heading + turn)
    curve = connect(start, heading, end, heading + turn)
    assert curve is not None
    assert np.allclose(curve.points[0], start)
    assert np.allclose(curve.points[-1], end, atol=1e-6)
    assert np.isclose(curve.headings[-1] - curve.headings[0], turn, atol=1e-6)
    # Headings belong to the points: chords point the way the tangents say.
    chords = np.diff(curve.points, axis=0)
    middle = 0.5 * (curve.headings[1:] + curve.headings[:-1])
    across = chords[:, 0] * np.sin(middle) - chords[:, 1] * np.cos(middle)
    assert np.abs(across).max() < 1e-3


def test_a_spline_passes_through_its_ends_along_its_first_and_last_legs():
    control = np.array([[0, 0], [5, 0], [10, 0], [40, 30], [60, 60], [60, 65], [60, 70]], float)
    curve = spline(control)
    assert np.allclose(curve.points[[0, -1]], control[[0, -1]])
    assert np.allclose(curve.headings[[0, -1]], [0.0, np.pi / 2])
    assert np.abs(curve.curvature[[0, -1]]).max() < 2e-3
    # Half the sum of a B-spline's control points' moments: straight controls give a straight line.
    line = spline(np.linspace([0, 0], [30, 40], 7))
    assert np.allclose(line.points @ [4, -3], 0.0, atol=1e-9)
    assert np.isclose(line.length, 50.0)


def test_the_polyline_of_a_curve_stays_within_its_sagitta():
    for radius in (7.0, 20.0, 80.0):
        curve = arc(np.zeros(2), radius, 0.0, 1.5)
        points, _ = curve.at(curve.knots(0.0, curve.length, sagitta=0.02))
        middles = 0.5 * (points[1:] + points[:-1])
        assert radius - np.linalg.norm(middles, axis=1).min() < 0.021
    assert len(straight(np.zeros(2), 0.0, 40.0).knots(0.0, 40.0)) <= 8

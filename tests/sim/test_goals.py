from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import shapely

from gigalane.maps.stack import stack_maps
from gigalane.sim.scene import CAR, PEDESTRIAN, Place
from gigalane.sim.settings import SimulatorSettings, SpawnSettings, rules_of
from reference import probes

NO_CHANGE = SpawnSettings(lane_change=0.0)


def routes_from(compiled, spawn, count, seed, lane=None, kind=CAR):
    """Places drawn along the map and the routes planned from them."""
    rng = np.random.default_rng(seed)
    segments = compiled.segments
    choice = np.flatnonzero(segments["tokens"] >= 0)
    if lane is not None:
        first = int(compiled.lanes[lane]["first_segment"])
        choice = np.arange(first, first + int(compiled.lanes[lane]["segment_count"]))
    at = rng.choice(choice, count)
    piece = segments[at]
    place = probes.records(
        Place,
        count,
        lane=piece["lane"],
        segment=at,
        arc=piece["arc"] + rng.random(count) * piece["length"],
    )
    rules = rules_of(SimulatorSettings(spawn=spawn), compiled.road_tokens.shape[1])
    return place, probes.planned(
        rules, stack_maps([compiled], "cpu"), place, kind, rng.integers(0, 2**32, count)
    )


def lanes_of(route):
    return route["lanes"][: route["lane_count"]].tolist()


def successors(compiled, lane):
    record = compiled.lanes[lane]
    start, count = record["successor_start"], record["successor_count"]
    return compiled.lane_links[start : start + count].tolist()


def test_routes_follow_the_lane_graph(ring, tee):
    for compiled, spawn in ((ring, replace(NO_CHANGE, lane_change=0.5)), (tee, SpawnSettings())):
        changes = 0
        for place, route in zip(*routes_from(compiled, spawn, 200, 1), strict=True):
            lanes = lanes_of(route)
            assert lanes[0] == place["lane"]
            for here, following in pairwise(lanes):
                record = compiled.lanes[here]
                beside = following in (record["left"], record["right"])
                assert beside or following in successors(compiled, here)
                changes += beside
        assert (changes > 0) == (compiled is ring)


def test_way_points_and_goal_lie_at_their_distance_along_the_route(ring_road, ring):
    places, routes = routes_from(ring, NO_CHANGE, 120, 2)
    for place, route in zip(places, routes, strict=True):
        centres = [ring_road.lane_by_id[ring.lane_ids[i]].centerline for i in lanes_of(route)]
        line = shapely.LineString(np.concatenate(centres)[:, :2] - ring.origin_map[:2])
        count = int(route["waypoint_count"])
        assert route["waypoint_distance"][count - 1] == route["length"]
        for k in range(count):
            point = shapely.Point(route["waypoint_x"][k], route["waypoint_y"][k])
            expected = line.interpolate(float(place["arc"]) + float(route["waypoint_distance"][k]))
            # Chords are shorter than the curve by some centimetres in a hundred metres.
            assert point.distance(expected) < 0.6
            assert point.distance(line) < 0.03


def test_goals_are_100_to_300_metres_ahead_where_the_road_does_not_end(ring):
    _, routes = routes_from(ring, NO_CHANGE, 1500, 3)
    length = np.sort(routes["length"])
    assert length[0] >= 100.0 and length[-1] <= 300.0
    # Uniform: Kolmogorov-Smirnov.
    gap = np.abs((length - 100.0) / 200.0 - (np.arange(1500) + 0.5) / 1500).max()
    assert gap < 1.95 / np.sqrt(1500)


def test_routes_end_where_the_graph_ends(tee):
    places, routes = routes_from(tee, NO_CHANGE, 300, 4)
    for place, route in zip(places, routes, strict=True):
        lanes = lanes_of(route)
        total = sum(float(tee.lanes[i]["length"]) for i in lanes) - float(place["arc"])
        assert route["length"] <= total - 1.0 + 1e-2
        if not successors(tee, lanes[-1]):
            assert route["length"] <= 300.0
        else:
            assert route["length"] >= 100.0


def test_way_points_are_evenly_spaced_and_the_goal_closes_them(ring):
    _, routes = routes_from(ring, NO_CHANGE, 300, 5)
    for route in routes:
        count = int(route["waypoint_count"])
        distance = route["waypoint_distance"][:count]
        steps = np.diff(np.concatenate([[0.0], distance]))
        assert 1 <= count <= 12
        if count > 1:
            np.testing.assert_allclose(steps[:-1], steps[0], rtol=1e-4)
            assert 25.0 <= steps[0] <= 60.0
            assert 0.5 * steps[0] <= steps[-1] + 1e-3 and steps[-1] <= 1.5 * steps[0] + 1e-3


def test_offsets_turn_lane_arcs_into_distances_along_the_route(ring):
    places, routes = routes_from(ring, replace(NO_CHANGE, lane_change=0.6), 100, 6)
    for place, route in zip(places, routes, strict=True):
        lanes, offsets = lanes_of(route), route["offsets"]
        assert offsets[0] == pytest.approx(-float(place["arc"]))
        for k, (here, following) in enumerate(pairwise(lanes)):
            end = float(offsets[k] + ring.lanes[here]["length"])
            if following in successors(ring, here):
                assert offsets[k + 1] == pytest.approx(end, abs=1e-2)
            else:
                # Neighbours end abreast of each other.
                assert offsets[k + 1] + ring.lanes[following]["length"] == pytest.approx(
                    end, abs=1e-2
                )


def test_lane_changes_come_as_often_as_asked(ring):
    for chance in (0.0, 0.3, 1.0):
        outer = ring.lane_ids.index("outer:0")
        _, routes = routes_from(ring, replace(NO_CHANGE, lane_change=chance), 2000, 7, lane=outer)
        inner = ring.lane_ids.index("inner:0")
        longer = routes["lane_count"] > 1
        changed = (routes["lanes"][:, 1] == inner)[longer]
        assert changed.mean() == pytest.approx(chance, abs=0.04)


def test_all_turns_of_a_junction_are_taken_alike(all_way_stop):
    start = all_way_stop.lane_ids.index("in:0")
    _, routes = routes_from(all_way_stop, NO_CHANGE, 3000, 8, lane=start)
    turns = routes["lanes"][routes["lane_count"] > 1, 1]
    share = np.array([np.mean(turns == s) for s in successors(all_way_stop, start)])
    np.testing.assert_allclose(share, 1.0 / 3.0, atol=0.035)


def test_walkers_keep_to_their_way(ring):
    lane = ring.lane_ids.index("walk:2")
    places, routes = routes_from(ring, NO_CHANGE, 50, 9, lane=lane, kind=PEDESTRIAN)
    assert (routes["lane_count"] == 1).all()
    assert (routes["lanes"][:, 0] == lane).all()
    left = ring.lanes[lane]["length"] - places["arc"]
    assert (routes["length"] <= np.maximum(left, 0.0) + 1e-3).all()

import numpy as np
import pytest
import shapely

from gigalane.maps.compile import compile_map
from gigalane.maps.stack import stack_maps
from gigalane.sim.scene import CAR, PEDESTRIAN, Body, Place, Route, Traits
from gigalane.sim.settings import SimulatorSettings, SpawnSettings
from gigalane.sim.simulator import Simulator
from reference import maps, probes
from reference.road import BruteForce, corners_of, drivable_surface, lane_surface
from reference.stage import PLAIN, Stage


def scattered(compiled, count, seed, aside=2.0, turn=0.8):
    """Poses near random segments, with the place each came from."""
    rng = np.random.default_rng(seed)
    segments = compiled.segments
    routable = np.flatnonzero(segments["tokens"] >= 0)
    at = rng.choice(routable, count)
    piece = segments[at]
    along, offset = rng.uniform(-3, 7, count), rng.normal(0.0, aside, count)
    heading = np.arctan2(piece["sin"], piece["cos"]) + rng.normal(0.0, turn, count)
    body = probes.records(
        Body,
        count,
        heading=heading,
        cos=np.cos(heading),
        sin=np.sin(heading),
        x=piece["x"] + along * piece["cos"] - offset * piece["sin"],
        y=piece["y"] + along * piece["sin"] + offset * piece["cos"],
        z=piece["z"] + along * piece["slope"] + rng.normal(0.0, 0.3, count),
    )
    before = probes.records(Place, count, lane=piece["lane"], segment=at)
    route = probes.records(Route, count)
    for k in range(count):
        # A route of up to four lanes from here on, or from anywhere else.
        lane = int(piece["lane"][k]) if rng.random() < 0.7 else int(rng.choice(piece["lane"]))
        lanes = [lane]
        while len(lanes) < rng.integers(1, 5):
            record = compiled.lanes[lanes[-1]]
            if not record["successor_count"]:
                break
            pick = record["successor_start"] + rng.integers(record["successor_count"])
            lanes.append(int(compiled.lane_links[pick]))
        route["lanes"][k, : len(lanes)], route["lane_count"][k] = lanes, len(lanes)
    traits = probes.records(Traits, count, length=0.0, width=0.0, kind=CAR)
    return body, before, route, traits


def assert_lanes_are_the_brute_force_choice(compiled, body, before, route, traits, found):
    brute, checked, off_lane = BruteForce(compiled), 0, 0
    for k in range(len(body)):
        x, y = float(body["x"][k]), float(body["y"][k])
        if brute.is_near_an_edge(x, y):
            continue
        start, count = int(route["lane_index"][k]), int(route["lane_count"][k])
        window = set(route["lanes"][k][start : min(start + 4, count)].tolist())
        lane, close = brute.lane(body[k], int(before["lane"][k]), window, int(traits["kind"][k]))
        if close:
            continue
        assert (lane >= 0) == bool(found["on_lane"][k]), (k, lane, found[k])
        if lane >= 0:
            assert found["lane"][k] == lane, (k, lane, found[k])
        off_lane += lane < 0
        checked += 1
    return checked, off_lane


@pytest.mark.parametrize("name", ["ring", "tee", "all_way_stop"])
def test_lane_is_that_of_the_brute_force_search(name, request):
    compiled = request.getfixturevalue(name)
    cases = scattered(compiled, 700, seed=len(name))
    found = probes.located(stack_maps([compiled], "cpu"), cases[2], cases[1], cases[0], cases[3])
    checked, off_lane = assert_lanes_are_the_brute_force_choice(compiled, *cases, found)
    assert checked > 550 and off_lane > 20


def test_place_along_and_across_the_lane_is_that_of_its_centreline(ring_road, ring):
    body, before, route, traits = scattered(ring, 400, seed=3, aside=0.7, turn=0.3)
    found = probes.located(stack_maps([ring], "cpu"), route, before, body, traits)
    checked = 0
    for row, place in zip(body, found, strict=True):
        if not place["on_lane"]:
            continue
        lane = ring_road.lane_by_id[ring.lane_ids[place["lane"]]]
        centre = shapely.LineString(lane.centerline[:, :2] - ring.origin_map[:2])
        point = shapely.Point(row["x"], row["y"])
        # A quadrilateral's own axis stands in for the curve: 2 cm aside, and along it what the
        # difference of headings makes of the offset.
        assert abs(place["offset"]) == pytest.approx(centre.distance(point), abs=0.04)
        assert place["arc"] == pytest.approx(centre.project(point), abs=0.45)
        ahead = centre.interpolate(centre.project(point) + 0.5)
        behind = centre.interpolate(max(centre.project(point) - 0.5, 0.0))
        tangent = np.arctan2(ahead.y - behind.y, ahead.x - behind.x)
        turn = np.arctan2(place["heading_sin"], place["heading_cos"])
        assert np.cos(row["heading"] - tangent - turn) > np.cos(0.12)
        left = np.array([-np.sin(tangent), np.cos(tangent)])
        nearest = centre.interpolate(centre.project(point))
        side = left @ [row["x"] - nearest.x, row["y"] - nearest.y]
        if abs(side) > 0.05:
            assert np.sign(side) == np.sign(place["offset"])
        assert place["speed_limit"] == pytest.approx(lane.speed_limit)
        assert place["half_width"] == pytest.approx(1.75, abs=0.05)
        checked += 1
    assert checked > 300


def test_route_is_kept_where_the_lanes_of_a_junction_overlap(all_way_stop):
    # Drive each of the twelve turns through the overlapping lanes, 0.3 m off the centreline.
    for k in range(4):
        for j in {0, 1, 2, 3} - {k}:
            stage = Stage(all_way_stop, PLAIN)
            names = [f"in:{k}", f"turn:{k}:{j}", f"out:{j}"]
            stage.put(names[0], 115.0, route=names)
            road = stage.simulator.road
            place, route = stage.place[0, :1].copy(), stage.route[0, :1].copy()
            seen, body = [], stage.body[0, :1].copy()
            start = float(all_way_stop.lanes[stage.lane(names[0])]["length"])
            across = float(all_way_stop.lanes[stage.lane(names[1])]["length"])
            for distance in np.arange(115.0, start + across + 20.0, 1.3):
                if distance < start:
                    at = names[0], distance
                elif distance < start + across:
                    at = names[1], distance - start
                else:
                    at = names[2], distance - start - across
                x, y, z, heading, _ = stage.pose(*at, offset=0.3)
                body["x"], body["y"], body["z"] = x, y, z
                body["cos"], body["sin"] = np.cos(heading), np.sin(heading)
                place = probes.located(road, route, place, body, stage.traits[0, :1])
                assert place["on_lane"][0] == 1 and place["off_road"][0] == 0
                if not seen or seen[-1] != place["lane"][0]:
                    seen.append(int(place["lane"][0]))
            assert [all_way_stop.lane_ids[i] for i in seen] == names


def test_driver_off_its_route_is_on_the_lane_that_fits_its_heading(tee):
    # Where in:0 ends two turns begin; without a route the heading decides as they part.
    body = probes.records(Body, 2)
    place = probes.records(Place, 2)
    stage = Stage(tee, PLAIN)
    for k, name in enumerate(("turn:0:1", "turn:0:2")):
        length = float(tee.lanes[stage.lane(name)]["length"])
        x, y, z, heading, segment = stage.pose(name, 0.45 * length)
        body[k] = tuple(0.0 for _ in body.dtype.names)
        for field, value in dict(x=x, y=y, z=z, cos=np.cos(heading), sin=np.sin(heading)).items():
            body[field][k] = value
        place["lane"][k], place["segment"][k] = stage.lane("in:0"), segment
    place["segment"] = int(tee.lanes[stage.lane("in:0")]["first_segment"])
    traits = probes.records(Traits, 2)
    found = probes.located(stage.simulator.road, probes.records(Route, 2), place, body, traits)
    assert [tee.lane_ids[i] for i in found["lane"]] == ["turn:0:1", "turn:0:2"]


def assert_off_road_where_a_corner_left_the_surface(surface, compiled, body, traits, found):
    solid, wide = surface.buffer(-0.02), surface.buffer(0.06 + 0.05)
    counts = {0: 0, 1: 0}
    for row, size, place in zip(body, traits, found, strict=True):
        corners = shapely.points(
            corners_of(row["x"], row["y"], row["heading"], size["length"], size["width"])
        )
        if shapely.contains(solid, corners).all():
            expected = 0
        elif not shapely.contains(wide, corners).all():
            expected = 1
        else:
            continue
        counts[expected] += 1
        assert place["off_road"] == expected
    return counts


@pytest.mark.parametrize("name", ["ring", "tee", "all_way_stop"])
def test_off_road_is_a_corner_beyond_the_drivable_surface(name, request):
    compiled = request.getfixturevalue(name)
    road_map = {"ring": maps.ring, "tee": maps.tee, "all_way_stop": maps.all_way_stop}[name]()
    body, before, route, traits = scattered(compiled, 1500, seed=9, turn=0.3, aside=1.2)
    rng = np.random.default_rng(2)
    traits["length"], traits["width"] = rng.uniform(1, 7, 1500), rng.uniform(0.5, 2.5, 1500)
    found = probes.located(stack_maps([compiled], "cpu"), route, before, body, traits)
    surface = drivable_surface(road_map, compiled.origin_map)
    # Slits and small holes inside the junction are road.
    surface = surface.buffer(0.5, join_style="mitre").buffer(-0.5, join_style="mitre")
    surface = shapely.union_all(
        [
            shapely.Polygon(part.exterior) if name != "ring" else part
            for part in shapely.get_parts(surface)
        ]
    )
    counts = assert_off_road_where_a_corner_left_the_surface(surface, compiled, body, traits, found)
    assert min(counts.values()) > 150


def test_cars_are_off_road_on_the_pavement_and_walkers_are_not(ring_road, ring):
    stage = Stage(ring, PLAIN)
    stage.put("walk:1", 20.0, kind="pedestrian", size=(0.5, 0.5))
    stage.put("walk:1", 40.0, slot=1, kind="car", size=(0.5, 0.5))
    found = probes.located(
        stage.simulator.road,
        stage.route[0, :2],
        stage.place[0, :2],
        stage.body[0, :2],
        stage.traits[0, :2],
    )
    assert found["off_road"].tolist() == [0, 1]
    assert found["lane"][0] == stage.lane("walk:1")
    surface = lane_surface(ring_road.lane_by_id["walk:1"], ring.origin_map)
    assert surface.contains(shapely.Point(stage.body["x"][0, 0], stage.body["y"][0, 0]))


def test_walkers_may_go_both_ways_along_a_pavement(ring):
    stage = Stage(ring, PLAIN)
    stage.put("walk:1", 20.0, kind="pedestrian", size=(0.5, 0.5), heading_error=np.pi)
    found = probes.located(
        stage.simulator.road,
        stage.route[0, :1],
        stage.place[0, :1],
        stage.body[0, :1],
        stage.traits[0, :1],
    )
    assert found["heading_cos"][0] == pytest.approx(1.0, abs=1e-3)


def test_height_decides_between_a_bridge_and_the_road_below(bridge):
    stage = Stage(bridge, PLAIN)
    before = probes.records(Place, 4, lane=0, segment=0)
    body = probes.records(
        Body,
        4,
        cos=np.cos(np.pi / 4),
        sin=np.sin(np.pi / 4),
        x=0.0,
        y=0.0,
        z=np.array([0.0, 6.0, 1.4, 4.4]) - bridge.origin_map[2],
    )
    traits = probes.records(Traits, 4, length=1.0, width=1.0)
    found = probes.located(stage.simulator.road, probes.records(Route, 4), before, body, traits)
    assert [bridge.lane_ids[i] for i in found["lane"]] == ["under", "over", "under", "over"]
    assert (found["off_road"] == 0).all()
    # Beside the lower road only the bridge is paved: seen from below that is off-road.
    body["y"] = 10.0
    found = probes.located(stage.simulator.road, probes.records(Route, 4), before, body, traits)
    assert found["off_road"].tolist() == [1, 0, 1, 0]


def test_road_user_takes_the_height_of_its_lane():
    ramp = maps.make_lane("ramp", maps.line((0, 0, 0), (200, 0, 10)))
    stage = Stage(compile_map(maps.RoadMap("ramp", (ramp,))), PLAIN)
    stage.put("ramp", 20.0, speed=15.0)
    stage.step(times=40)
    x = float(stage.body["x"][0, 0]) + stage.map.origin_map[0]
    z = float(stage.body["z"][0, 0]) + stage.map.origin_map[2]
    assert x > 70.0
    assert z == pytest.approx(x / 20.0, abs=1e-3)


@pytest.mark.data
def test_places_along_a_drive_through_a_real_town_are_the_brute_force_choice(town):
    settings = SimulatorSettings(
        worlds=1,
        agents=96,
        time_steps=(0.3,),
        respawn=True,
        spawn=SpawnSettings(cyclists=0.2, pedestrians=0.0, lane_change=0.3),
    )
    simulator = Simulator(town, settings, seed=4)
    scene, rng = simulator.scene, np.random.default_rng(0)
    checked = off_lane = 0
    for _ in range(14):
        before = scene.place.numpy()[0].copy()
        route = scene.route.numpy()[0].copy()
        acting = scene.active.numpy()[0].astype(bool)
        z = scene.body.numpy()["z"][0].copy()
        simulator.step(rng.choice([4, 6, 7, 8, 10], (1, 96)))
        body = scene.body.numpy()[0].copy()
        body["z"] = z
        more = assert_lanes_are_the_brute_force_choice(
            town,
            body[acting],
            before[acting],
            route[acting],
            scene.traits.numpy()[0][acting],
            scene.place.numpy()[0][acting],
        )
        checked, off_lane = checked + more[0], off_lane + more[1]
    assert checked > 800


def test_pedestrians_lane_is_a_pavement_or_crossing(tee):
    body, before, _, traits = scattered(tee, 60, seed=1)
    crossing = tee.lane_ids.index("crossing:zebra")
    first = int(tee.lanes[crossing]["first_segment"])
    piece = tee.segments[first]
    body["x"], body["y"] = piece["x"] + piece["cos"], piece["y"] + piece["sin"]
    body["z"] = piece["z"]
    traits["kind"] = PEDESTRIAN
    nowhere = probes.records(Route, 60)
    found = probes.located(stack_maps([tee], "cpu"), nowhere, before, body, traits)
    assert (found["lane"] == crossing).all()

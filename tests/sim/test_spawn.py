from dataclasses import replace

import numpy as np
import pytest
import shapely

from gigalane.sim.scene import BLIND, BRAKER, CAR, CYCLIST, PEDESTRIAN, POLICY, SCRIPTED, TRUCK
from gigalane.sim.settings import (
    PERSONA_NAMES,
    PersonaSettings,
    SimulatorSettings,
    SpawnSettings,
    TrafficSettings,
)
from gigalane.sim.simulator import Simulator
from reference.road import corners_of, drivable_surface, lane_surface
from reference.stage import PLAIN

CROWD = SimulatorSettings(worlds=48, agents=14)


@pytest.fixture(scope="module")
def crowd(ring):
    """Many worlds of the ring road as they start."""
    return Simulator(ring, CROWD, seed=21)


def boxes_of(simulator, world):
    """Polygons, rows of bodies and traits of everybody in a world."""
    scene = simulator.scene
    there = scene.status.numpy()[world] == 1
    body, traits = scene.body.numpy()[world][there], scene.traits.numpy()[world][there]
    corners = np.stack(
        [
            corners_of(b["x"], b["y"], b["heading"], t["length"], t["width"])
            for b, t in zip(body, traits, strict=True)
        ]
    )
    return corners, body, traits


def test_nobody_appears_on_top_of_another_or_within_half_a_metre(crowd):
    for world in range(CROWD.worlds):
        corners, body, _ = boxes_of(crowd, world)
        polygons = shapely.polygons(corners)
        for k in range(len(body)):
            near = shapely.distance(polygons[k], np.delete(polygons, k))
            assert near.min() > 0.5


def test_everybody_appears_on_a_surface_of_their_own_kind(crowd, ring_road, ring):
    road = drivable_surface(ring_road, ring.origin_map).buffer(0.07)
    walk = shapely.union_all(
        [
            lane_surface(lane, ring.origin_map)
            for lane in ring_road.lanes
            if lane.id.startswith("walk")
        ]
    ).buffer(0.07)
    for world in range(CROWD.worlds):
        corners, _, traits = boxes_of(crowd, world)
        for box, size in zip(corners, traits, strict=True):
            surface = shapely.union(road, walk) if size["kind"] == PEDESTRIAN else road
            assert shapely.contains(surface, shapely.points(box)).all()


def test_vehicles_face_along_their_lane_on_its_centreline(crowd, ring_road, ring):
    scene = crowd.scene
    body, place = scene.body.numpy().reshape(-1), scene.place.numpy().reshape(-1)
    kind = scene.traits.numpy().reshape(-1)["kind"]
    there = (scene.status.numpy().reshape(-1) == 1) & (kind != PEDESTRIAN)
    for row, at in zip(body[there][:150], place[there][:150], strict=True):
        lane = ring_road.lane_by_id[ring.lane_ids[at["lane"]]]
        centre = shapely.LineString(lane.centerline[:, :2] - ring.origin_map[:2])
        point = shapely.Point(row["x"], row["y"])
        assert centre.distance(point) < 0.03
        arc = centre.project(point)
        one, other = centre.interpolate(max(arc - 1.0, 0.0)), centre.interpolate(arc + 1.0)
        ahead = np.arctan2(other.y - one.y, other.x - one.x)
        assert np.cos(row["heading"] - ahead) > np.cos(0.1)
    assert (place["on_lane"][there] == 1).all() and (place["off_road"][there] == 0).all()


def test_speeds_fit_the_lane_the_curve_and_the_vehicle(crowd):
    scene = crowd.scene
    there = scene.status.numpy() == 1
    body, place = scene.body.numpy()[there], scene.place.numpy()[there]
    traits = scene.traits.numpy()[there]
    fits = np.minimum(place["speed_limit"], 20.0 * traits["speed_scale"])
    fits = np.minimum(fits, np.sqrt(2.5 / np.maximum(np.abs(place["curvature"]), 1e-4)))
    assert (body["speed"] >= 0.0).all()
    assert (body["speed"] <= 0.9 * fits + 1e-4).all()
    share = body["speed"] / fits
    assert share.max() > 0.8 and share.min() < 0.1


def test_a_newcomer_can_stop_behind_the_vehicle_ahead(straight):
    settings = replace(
        PLAIN,
        worlds=200,
        agents=4,
        spawn=SpawnSettings(cyclists=0.0, pedestrians=0.0, speed_share=(0.5, 0.9)),
    )
    scene = Simulator(straight, settings, seed=5).scene
    pairs = 0
    for world in range(200):
        there = scene.status.numpy()[world] == 1
        body, traits = scene.body.numpy()[world][there], scene.traits.numpy()[world][there]
        lane = scene.place.numpy()["lane"][world][there]
        arc = scene.place.numpy()["arc"][world][there]
        for k in np.unique(lane):
            order = np.argsort(arc[lane == k])
            s, v = arc[lane == k][order], body["speed"][lane == k][order]
            half = 0.5 * traits["length"][lane == k][order]
            gap = np.diff(s) - half[1:] - half[:-1]
            stopping = v[:-1] ** 2 / (2.0 * 4.0) + 0.5 * v[:-1]
            assert (gap > stopping - 1e-3).all()
            pairs += len(gap)
    assert pairs > 200


def test_places_are_spread_evenly_along_the_lanes(ring):
    settings = replace(PLAIN, worlds=1500, agents=1)
    scene = Simulator(ring, settings, seed=2).scene
    lane, arc = scene.place.numpy()["lane"][:, 0], scene.place.numpy()["arc"][:, 0]
    routable = np.flatnonzero(ring.lanes["flags"] & 2)
    length = ring.lanes["length"][routable]
    start = np.concatenate([[0.0], np.cumsum(length)])
    position = np.sort(start[np.searchsorted(routable, lane)] + arc) / start[-1]
    gap = np.abs(position - (np.arange(1500) + 0.5) / 1500).max()
    assert gap < 1.95 / np.sqrt(1500)


def test_nobody_appears_in_a_junction_or_across_a_stop_line(tee):
    settings = replace(PLAIN, worlds=300, agents=3)
    scene = Simulator(tee, settings, seed=3).scene
    there = scene.status.numpy() == 1
    place, traits = scene.place.numpy()[there], scene.traits.numpy()[there]
    assert (tee.lanes["junction"][place["lane"]] < 0).all()
    inward = np.array([tee.lane_ids[i].startswith("in") for i in place["lane"]])
    bumper = place["arc"][inward] + 0.5 * traits["length"][inward]
    assert bumper.max() < 120.0
    # And no faster than lets them stop before it.
    speed = scene.body.numpy()[there]["speed"][inward]
    assert (speed**2 / (2.0 * 4.0) <= np.maximum(120.0 - bumper, 0.0) + 1e-3).all()


def test_shares_of_kinds_drivers_and_models_are_the_settings(ring, straight):
    spawn = SpawnSettings(truck_share=0.3, cyclists=0.2, pedestrians=0.1, single_track=0.4)
    traffic = TrafficSettings(scripted=0.3, blind=0.2, braking=0.25, scripted_pedestrians=0.6)
    settings = SimulatorSettings(worlds=700, agents=5, spawn=spawn, traffic=traffic)
    for compiled, walkers in ((ring, 0.1), (straight, 0.0)):
        scene = Simulator(compiled, settings, seed=1).scene
        traits = scene.traits.numpy()[scene.status.numpy() == 1]
        kind, driver = traits["kind"], traits["driver"]
        assert np.mean(kind == PEDESTRIAN) == pytest.approx(walkers, abs=0.02)
        assert np.mean(kind == CYCLIST) == pytest.approx(0.2, abs=0.03)
        vehicle = (kind == CAR) | (kind == TRUCK)
        # Trucks find room a little less often.
        assert np.mean(kind[vehicle] == TRUCK) == pytest.approx(0.3, abs=0.035)
        assert np.mean(traits["model"][vehicle] == 1) == pytest.approx(0.4, abs=0.03)
        wheels = kind != PEDESTRIAN
        assert np.mean(driver[wheels] == SCRIPTED) == pytest.approx(0.3, abs=0.03)
        ours = driver[wheels & (driver != SCRIPTED)]
        assert np.mean(ours == BLIND) == pytest.approx(0.2, abs=0.03)
        assert np.mean(ours == BRAKER) == pytest.approx(0.25, abs=0.03)
        assert np.mean(ours == POLICY) == pytest.approx(0.55, abs=0.04)
        if walkers:
            scripted = driver[kind == PEDESTRIAN] == SCRIPTED
            assert np.mean(scripted) == pytest.approx(0.6, abs=0.08)


def test_a_slot_keeps_its_driver_whoever_lasts_longer(ring):
    traffic = TrafficSettings(scripted=0.5, blind=0.2, braking=0.2)
    settings = SimulatorSettings(worlds=40, agents=5, time_steps=(0.3,), traffic=traffic)
    simulator = Simulator(ring, settings, seed=3)
    is_vehicle = simulator.scene.traits.numpy()["kind"] != PEDESTRIAN
    drivers = simulator.scene.traits.numpy()["driver"].copy()
    for _ in range(100):
        simulator.step(np.full((40, 5), 8))
    traits, episode = simulator.scene.traits.numpy(), simulator.scene.duty.numpy()["episode"]
    again = is_vehicle & (traits["kind"] != PEDESTRIAN) & (episode > 1)
    assert again.sum() > 50
    np.testing.assert_array_equal(traits["driver"][again], drivers[again])


def test_sizes_and_abilities_are_drawn_from_their_ranges(ring):
    settings = SimulatorSettings(worlds=500, agents=5, spawn=SpawnSettings(delay=3))
    scene = Simulator(ring, settings, seed=8).scene
    there = scene.status.numpy() == 1
    traits = scene.traits.numpy()[there]
    spawn = settings.spawn
    for kind, length, width in (
        (CAR, spawn.car_length, spawn.car_width),
        (TRUCK, spawn.truck_length, spawn.truck_width),
    ):
        rows = traits[traits["kind"] == kind]
        for name, limits in (("length", length), ("width", width)):
            assert limits[0] <= rows[name].min() and rows[name].max() <= limits[1] + 1e-6
            assert np.ptp(rows[name]) > 0.9 * (limits[1] - limits[0])
    np.testing.assert_allclose(traits["wheelbase"], 0.6 * traits["length"], rtol=1e-6)
    assert (traits["friction"] >= 0.6).all() and (traits["friction"] <= 1.0).all()
    assert np.bincount(traits["delay"], minlength=4) / len(traits) == pytest.approx(0.25, abs=0.05)
    slow = traits[traits["kind"] == PEDESTRIAN]["speed_scale"] * 20.0
    assert slow.min() >= 0.8 and slow.max() <= 2.0


def test_multipliers_are_below_one_half_the_time(ring):
    settings = SimulatorSettings(
        worlds=700, agents=4, spawn=SpawnSettings(cyclists=0.0, pedestrians=0.0)
    )
    scene = Simulator(ring, settings, seed=9).scene
    traits = scene.traits.numpy()[scene.status.numpy() == 1]
    for name, a in (
        ("throttle_scale", 1.25),
        ("steering_scale", 1.25),
        ("acceleration_scale", 1.5),
        ("speed_scale", 1.5),
    ):
        values = traits[name]
        assert 1.0 / a <= values.min() and values.max() <= a
        assert np.mean(values < 1.0) == pytest.approx(0.5, abs=0.03)
        # Uniform on either side.
        assert values[values < 1.0].mean() == pytest.approx(0.5 * (1.0 + 1.0 / a), abs=0.01)
        assert values[values > 1.0].mean() == pytest.approx(0.5 * (1.0 + a), abs=0.02)
    pairs = np.corrcoef(
        np.stack(
            [
                traits[n]
                for n in (
                    "throttle_scale",
                    "steering_scale",
                    "acceleration_scale",
                    "speed_scale",
                    "length",
                )
            ]
        )
    )
    assert np.abs(pairs - np.eye(5)).max() < 0.08


def test_personas_are_drawn_from_the_papers_ranges(crowd):
    scene = crowd.scene
    persona = scene.persona.numpy()[scene.status.numpy() == 1]
    for k, name in enumerate(PERSONA_NAMES):
        low, high = getattr(PersonaSettings(), name)
        values = persona[:, k]
        assert low - 1e-7 <= values.min() and values.max() <= high + 1e-6
        if high > low:
            assert values.mean() == pytest.approx(0.5 * (low + high), abs=0.06 * (high - low))
    assert PersonaSettings().goal_radius == (2.0, 12.0)


def test_strict_personas_are_all_alike(ring):
    settings = replace(CROWD, worlds=3, persona=PersonaSettings.strict())
    scene = Simulator(ring, settings).scene
    persona = scene.persona.numpy()[scene.status.numpy() == 1]
    assert (persona == persona[0]).all()
    assert persona[0, 1] == 3.0


def test_worlds_draw_how_many_they_hold_and_their_time_step(ring):
    settings = SimulatorSettings(worlds=300, agents=9, agents_least=2)
    scene = Simulator(ring, settings, seed=4).scene
    counts = scene.agent_count.numpy()
    assert set(counts.tolist()) == set(range(2, 10))
    used = np.arange(9) < counts[:, None]
    assert (scene.status.numpy()[~used] == 0).all()
    assert not scene.active.numpy()[~used].any() and not scene.learn.numpy()[~used].any()
    dt = scene.dt.numpy()
    assert set(np.round(dt.astype(float), 6).tolist()) == {0.1, 0.2, 0.25, 0.3}
    for one in (0.1, 0.2, 0.25, 0.3):
        assert np.mean(np.isclose(dt, one)) == pytest.approx(0.25, abs=0.09)
    assert np.array_equal(scene.row_dt.numpy()[used], np.repeat(dt, 9).reshape(-1, 9)[used])


def test_respawned_road_users_meet_the_same_rules(ring):
    # Everybody brakes the lane's bounds by steering hard: episodes end fast, newcomers follow.
    settings = replace(
        CROWD,
        worlds=12,
        agents=10,
        time_steps=(0.3,),
        traffic=TrafficSettings(blind=0.0, braking=0.0),
    )
    simulator = Simulator(ring, settings, seed=6)
    scene = simulator.scene
    episodes = scene.duty.numpy()["episode"].copy()
    newcomers = 0
    for _ in range(60):
        was = scene.status.numpy().copy()
        simulator.step(np.full((12, 10), 11))
        arrived = (was == 2) & (scene.status.numpy() == 1)
        for world in np.flatnonzero(arrived.any(axis=1)):
            corners, _, _ = boxes_of(simulator, world)
            polygons = shapely.polygons(corners)
            there = np.flatnonzero(scene.status.numpy()[world] == 1)
            for agent in np.flatnonzero(arrived[world]):
                k = int(np.flatnonzero(there == agent)[0])
                assert shapely.distance(polygons[k], np.delete(polygons, k)).min() > 0.0
                assert scene.duty.numpy()["age"][world, agent] == 0.0
                assert scene.duty.numpy()["episode"][world, agent] == episodes[world, agent] + 1
                newcomers += 1
        episodes = scene.duty.numpy()["episode"].copy()
    assert newcomers > 100

"""Scripted drivers, walkers and the policy's bad drivers."""

from dataclasses import replace

import numpy as np
import pytest

from gigalane.maps.compile import compile_map
from gigalane.sim.lights import RED, YELLOW
from gigalane.sim.scene import BLIND, BRAKER, SCRIPTED, Body, Traits
from gigalane.sim.settings import SimulatorSettings, TrafficSettings, rules_of
from reference import dynamics as twin
from reference import maps, probes
from reference.stage import KEEP, PLAIN, Stage

SCRIPTS = replace(
    PLAIN, time_steps=(0.2,), traffic=TrafficSettings(scripted=1.0, blind=0.0, braking=0.0)
)


def test_idm_acceleration_is_treibers_formula():
    traffic = TrafficSettings(
        desired_gap=1.4, standstill_gap=2.5, acceleration=1.2, deceleration=2.2
    )
    rng = np.random.default_rng(0)
    speed, desired = rng.uniform(0, 20, 300), rng.uniform(3, 20, 300)
    gap, leader = rng.uniform(0.5, 80, 300), rng.uniform(0, 20, 300)
    found = probes.idm(
        rules_of(SimulatorSettings(traffic=traffic), 48), speed, desired, gap, leader
    )
    wanted = 2.5 + np.maximum(
        0.0, 1.4 * speed + speed * (speed - leader) / (2.0 * np.sqrt(1.2 * 2.2))
    )
    expected = 1.2 * (1.0 - (speed / desired) ** 4 - (wanted / gap) ** 2)
    np.testing.assert_allclose(found, np.clip(expected, -5.0, 1.2), rtol=1e-4, atol=1e-4)


def test_pure_pursuit_steers_an_arc_through_its_point():
    rng = np.random.default_rng(1)
    length = rng.uniform(2.0, 4.0, 50)
    heading = rng.uniform(-3, 3, 50)
    ahead, left = rng.uniform(4, 15, 50), rng.uniform(-3, 3, 50)
    cos, sin = np.cos(heading), np.sin(heading)
    point = np.column_stack([ahead * cos - left * sin, ahead * sin + left * cos])
    wheel = probes.pursuit(
        probes.records(Body, 50, cos=cos, sin=sin),
        probes.records(Traits, 50, wheelbase=length),
        point,
    )
    # The circle tangent to the heading at the origin and through the point has this curvature.
    curvature = np.tan(wheel) / length
    for k in range(50):
        distance = np.hypot(ahead[k], left[k])
        turn = 2.0 * np.arcsin(0.5 * distance * abs(curvature[k]))
        motion = twin.bicycle(
            twin.Motion(speed=1.0, steering=float(wheel[k])),
            twin.Car(wheelbase=float(length[k])),
            0.0,
            float(wheel[k]),
            turn / abs(curvature[k]),
        )
        assert np.hypot(motion.x - ahead[k], motion.y - left[k]) < 1e-3


def test_idm_driver_keeps_its_lane_and_the_speed_limit(ring):
    stage = Stage(ring, SCRIPTS).put(
        "inner:0", 5.0, speed=3.0, driver=SCRIPTED, route=[f"inner:{k % 5}" for k in range(5)]
    )
    offset, speed = [], []
    for _ in range(150):
        stage.step()
        assert stage.facts() <= {"reached_waypoint"}
        offset.append(stage.place["offset"][0, 0])
        speed.append(stage.body["speed"][0, 0])
    assert np.abs(offset).max() < 0.6
    assert 12.0 < max(speed) <= 14.0 + 1e-3


def test_idm_driver_stops_behind_a_standing_car(straight):
    stage = Stage(straight, SCRIPTS).put("east", 20.0, speed=13.0, driver=SCRIPTED)
    stage.put("east", 150.0, slot=1, driver=0)
    gaps = []
    for _ in range(200):
        stage.step()
        assert stage.facts(0) == set()
        gaps.append(stage.place["arc"][0, 1] - stage.place["arc"][0, 0] - 4.0)
    assert stage.body["speed"][0, 0] < 0.1
    # The standstill gap is 2 m.
    assert 1.5 < gaps[-1] < 4.0


def test_idm_driver_follows_a_slower_leader_at_its_time_gap(straight):
    stage = Stage(straight, SCRIPTS).put("east", 20.0, speed=12.0, driver=SCRIPTED)
    stage.put("east", 60.0, slot=1, speed=6.0)
    stage.step(times=150)
    gap = stage.place["arc"][0, 1] - stage.place["arc"][0, 0] - 4.0
    assert stage.body["speed"][0, 0] == pytest.approx(6.0, abs=0.1)
    # Equilibrium of the model: (s0 + v T) / sqrt(1 - (v / v0)^4), v0 = 50 km/h.
    assert gap == pytest.approx((2.0 + 9.0) / np.sqrt(1.0 - (6.0 / 13.89) ** 4), abs=0.5)


def test_idm_driver_waits_at_red_and_goes_on_green(tee):
    stage = Stage(tee, SCRIPTS).put(
        "in:0", 40.0, speed=10.0, driver=SCRIPTED, route=["in:0", "turn:0:1", "out:1"]
    )
    steps = np.arange(300)
    shown = probes.light_states(
        stage.simulator.rules,
        stage.simulator.road,
        np.zeros(300),
        np.full(300, stage.seed[0]),
        0.2 * steps,
    )
    # It comes to the line after some 8 s; red, just begun, lasts 17 s.
    stage.clock[0] = int(np.flatnonzero((shown[1:] == RED) & (shown[:-1] == YELLOW))[0])
    seen, stood = set(), False
    for _ in range(400):
        stage.step()
        seen |= stage.facts()
        stood |= stage.body["speed"][0, 0] < 0.05 and stage.place["arc"][0, 0] > 110.0
        if stage.map.lane_ids[stage.place["lane"][0, 0]] == "out:1":
            break
    assert not seen & {"ran_red", "collided", "off_road"}
    assert stage.map.lane_ids[stage.place["lane"][0, 0]] == "out:1"
    assert stood


def test_idm_drivers_take_turns_at_an_all_way_stop(all_way_stop):
    stage = Stage(all_way_stop, SCRIPTS)
    for arm in range(4):
        across = (arm + 2) % 4
        stage.put(
            f"in:{arm}",
            60.0 + 7.0 * arm,
            slot=arm,
            speed=6.0,
            driver=SCRIPTED,
            route=[f"in:{arm}", f"turn:{arm}:{across}", f"out:{across}"],
        )
    order, seen = [], set()
    for _ in range(500):
        stage.step()
        for arm in range(4):
            seen |= stage.facts(arm)
            name = stage.map.lane_ids[stage.place["lane"][0, arm]]
            if name.startswith("turn") and arm not in order:
                order.append(arm)
    # Who starts nearer comes first.
    assert order == [3, 2, 1, 0]
    assert not seen & {"ran_stop", "out_of_turn", "off_road"}


def test_constant_velocity_and_stationary_scripts_do_what_they_say(straight):
    for script in ("constant_velocity", "stationary"):
        settings = replace(SCRIPTS, traffic=replace(SCRIPTS.traffic, script=script))
        stage = Stage(straight, settings).put(
            "east", 20.0, speed=7.0, driver=SCRIPTED, acceleration=1.0
        )
        start = float(stage.body["x"][0, 0])
        stage.step(times=20)
        if script == "constant_velocity":
            assert stage.body["speed"][0, 0] == pytest.approx(7.0)
            assert stage.body["x"][0, 0] - start == pytest.approx(7.0 * 4.0, rel=1e-4)
        else:
            assert stage.body["speed"][0, 0] == 0.0
            # 5 m/s² from 7 m/s: 4.9 m and what the last, shorter step adds.
            assert stage.body["x"][0, 0] - start == pytest.approx(4.9, abs=0.3)


def test_scripted_walker_goes_to_the_end_waits_and_comes_back(tee):
    stage = Stage(tee, replace(PLAIN, time_steps=(0.25,)))
    stage.put("crossing:zebra", 1.0, kind="pedestrian", driver=SCRIPTED, size=(0.5, 0.5))
    stage.traits["speed_scale"][0, 0] = 1.2 / 20.0
    arc, speed, heading = [], [], []
    for _ in range(240):
        stage.step()
        assert "off_road" not in stage.facts()
        arc.append(float(stage.place["arc"][0, 0]))
        speed.append(float(stage.body["speed"][0, 0]))
        heading.append(float(stage.body["heading"][0, 0]))
    assert 8.0 < max(arc) < 9.1
    assert max(speed) == pytest.approx(1.2, abs=1e-3)
    turned = int(np.argmax(arc))
    # It stands for 2 to 12 seconds, then goes back the other way to where it began.
    standing = np.array(speed[turned:]) < 0.05
    assert 2.0 <= 0.25 * standing[:60].sum() <= 13.5
    assert min(arc[turned:]) < 1.0
    assert max(abs(stage.place["offset"][0, 0]), 0.0) < 0.5


def test_policy_walks_a_pedestrian_by_the_same_actions(ring):
    stage = Stage(ring, replace(PLAIN, time_steps=(0.2,)))
    stage.put("walk:1", 30.0, kind="pedestrian", size=(0.5, 0.5))
    stage.traits["speed_scale"][0, 0] = 1.5 / 20.0
    actions = np.full((1, 4), KEEP)
    actions[0, 0] = 10  # accelerate
    stage.step(actions, times=30)
    assert stage.body["speed"][0, 0] == pytest.approx(1.5)
    before = float(stage.body["heading"][0, 0])
    actions[0, 0] = 8  # turn left
    stage.step(actions, times=2)
    assert 0.1 < stage.body["heading"][0, 0] - before < 0.4
    assert stage.learn[0, 0] == 1


def test_blind_drivers_see_nobody_and_are_not_learned_from(straight):
    stage = Stage(straight).put("east", 50.0, driver=BLIND).put("east", 70.0, slot=1).step()
    layout = stage.simulator.layout
    partners = slice(layout.partners_start, layout.controls_start)
    assert not stage.observation[0, 0, partners].any()
    assert stage.observation[0, 1, partners].any()
    assert stage.learn[0].tolist() == [0, 1, 0, 0]
    assert stage.active[0].tolist() == [1, 1, 0, 0]


@pytest.mark.parametrize("action", ["jerk12", "jerk", "acceleration_steering", "delta_pose"])
def test_sudden_braking_brings_a_car_to_a_stand_and_no_further(straight, action):
    settings = replace(
        PLAIN,
        time_steps=(0.3,),
        action=action,
        traffic=TrafficSettings(blind=0.0, braking=1.0, braking_rate=1e9, braking_time=2.0),
    )
    stage = Stage(straight, settings).put("east", 50.0, speed=8.0, driver=BRAKER)
    stage.put("west", 50.0, slot=1, speed=8.0)
    speed = []
    for _ in range(12):
        stage.step()
        speed.append(float(stage.body["speed"][0, 0]))
    # 1.5 m/s less in each step of 0.3 s.
    assert speed[:5] == pytest.approx([6.5, 5.0, 3.5, 2.0, 0.5], abs=1e-4)
    assert speed[5:] == [0.0] * 7
    assert stage.learn[0].tolist()[:2] == [0, 1]
    # A car with another driver goes on.
    assert stage.body["speed"][0, 1] == pytest.approx(0.0 if action == "delta_pose" else 8.0)


def test_sudden_brakings_come_and_go_at_their_rate(ring):
    settings = replace(
        PLAIN,
        worlds=400,
        agents=1,
        time_steps=(0.2,),
        traffic=TrafficSettings(blind=0.0, braking=1.0, braking_rate=0.1, braking_time=1.5),
    )
    stage = Stage(ring, settings)
    for world in range(400):
        stage.put("inner:0", 20.0, world=world, driver=BRAKER)
    starts, until = 0, np.zeros(400)
    for _ in range(50):
        stage.step()
        now = stage.duty["braking_until"][:, 0].copy()
        starts += int((now > until + 1e-6).sum())
        until = now
    # 400 worlds for 10 s at 0.1 a second: 400 brakings.
    assert starts == pytest.approx(400, abs=4 * np.sqrt(400))


def test_scripted_drivers_ignore_actions(straight):
    rows = []
    for action in (0, 11):
        stage = Stage(straight, SCRIPTS).put("east", 50.0, speed=5.0, driver=SCRIPTED)
        stage.step(np.full((1, 4), action), times=5)
        rows.append(stage.body[0, 0].copy())
        assert stage.learn[0, 0] == 0 and stage.active[0, 0] == 1
    assert rows[0] == rows[1]


def test_idm_driver_slows_down_for_a_bend():
    turn = np.linspace(0.0, np.pi / 2, 40)
    bend = np.column_stack([150 + 12 * np.sin(turn), 12 * (1 - np.cos(turn))])
    lanes = (
        maps.make_lane("first", maps.line((0, 0), (150, 0)), successors=("bend",)),
        maps.make_lane("bend", bend, successors=("last",), predecessors=("first",)),
        maps.make_lane("last", maps.line(bend[-1], bend[-1] + [0, 150]), predecessors=("bend",)),
    )
    stage = Stage(compile_map(maps.RoadMap("bend", lanes)), SCRIPTS)
    stage.put("first", 40.0, speed=13.0, driver=SCRIPTED)
    through = []
    for _ in range(170):
        stage.step()
        assert "off_road" not in stage.facts()
        if stage.map.lane_ids[stage.place["lane"][0, 0]] == "bend":
            through.append(float(stage.body["speed"][0, 0]))
    # 2 m/s² at 12 m radius: 4.9 m/s, which the model nears from above.
    assert through and max(through) < 7.5 and 3.5 < min(through) < 5.3

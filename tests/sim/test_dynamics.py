import numpy as np
import pytest

from gigalane.sim.scene import KINEMATIC, SINGLE_TRACK, UNICYCLE, Body, Traits
from reference import dynamics as twin
from reference import probes
from reference.dynamics import Car, Motion

RNG = np.random.default_rng(1)
MOTION = (
    "x",
    "y",
    "heading",
    "speed",
    "acceleration",
    "lateral_acceleration",
    "steering",
    "side_speed",
    "yaw_rate",
)


def rows_of(motions, cars, model=KINEMATIC):
    """Struct rows of twins' states."""
    body = probes.records(
        Body, len(motions), **{name: [getattr(m, name) for m in motions] for name in MOTION}
    )
    body["cos"], body["sin"] = np.cos(body["heading"]), np.sin(body["heading"])
    traits = probes.records(
        Traits,
        len(cars),
        model=model,
        **{name: [getattr(c, name) for c in cars] for name in Car.__dataclass_fields__},
    )
    return body, traits


def assert_same_motion(body, motions, position=2e-5, other=2e-5):
    for name in MOTION:
        expected = np.array([getattr(m, name) for m in motions])
        gap = body[name] - expected
        if name == "heading":
            gap = np.angle(np.exp(1j * gap))
        bound = position * 1.0 if name in ("x", "y") else other
        bound = bound * (1.0 + np.abs(expected))
        assert (np.abs(gap) <= bound).all(), (name, np.abs(gap / bound).max())


def random_cars(count):
    return [
        Car(*row)
        for row in RNG.uniform(
            [1.0, 0.8, 0.8, 0.67, 0.67, 0.5], [4.2, 1.25, 1.25, 1.5, 1.5, 1.0], (count, 6)
        )
    ]


def random_motions(count, least=-2.0, **fixed):
    columns = RNG.uniform(
        [-50, -50, -3.1, least, -5, -4, -0.55], [50, 50, 3.1, 20, 2.5, 4, 0.55], (count, 7)
    )
    return [Motion(*row, **fixed) for row in columns]


def test_jerk_bicycle_follows_the_papers_steps():
    cars, motions = random_cars(400), random_motions(400)
    jerk = np.column_stack([RNG.choice([-15, -4, 0, 4], 400), RNG.choice([-4, 0, 4], 400)])
    dt = RNG.choice([0.1, 0.2, 0.25, 0.3], 400)
    body, traits = rows_of(motions, cars)
    after = probes.drive_by_jerk(body, traits, jerk, dt)
    # dt and the state reach the kernel as float32; the twin starts from the same values.
    dt = np.float64(np.float32(dt))
    start = [Motion(*(float(row[n]) for n in MOTION)) for row in body]
    same_cars = [Car(*(float(row[n]) for n in Car.__dataclass_fields__)) for row in traits]
    expected = [
        twin.bicycle_by_jerk(m, c, *map(float, j), float(t))
        for m, c, j, t in zip(start, same_cars, jerk, dt, strict=True)
    ]
    # Where 1/v² amplifies rounding of a tiny speed the steering rate limit decides anyway.
    assert_same_motion(after, expected)


def test_jerk_bicycle_stays_with_its_twin_for_a_minute():
    car, motion = Car(wheelbase=2.6, throttle_scale=1.25, speed_scale=0.8), Motion(speed=6.0)
    body, traits = rows_of([motion], [car])
    for step in range(300):
        # Spells of each action, so that limits, standstill and reverse are all visited.
        jerk = [(-15, -4, 0, 4, 4)[step // 7 % 5], (-4, 0, 4, 0)[step // 11 % 4]]
        body = probes.drive_by_jerk(body, traits, [jerk], [0.2])
        motion = twin.bicycle_by_jerk(motion, car, *jerk, float(np.float32(0.2)))
    assert_same_motion(body, [motion], position=2e-3, other=5e-4)


def test_steering_and_acceleration_limits_are_the_papers():
    strong = [Car(acceleration_scale=1.5, speed_scale=1.5)] * 4
    start = [Motion(speed=s) for s in (29.9, 29.9, -1.9, 10.0)]
    jerk = [(4, 0), (4, 4), (-15, 0), (-15, -4)]
    body, traits = rows_of(start, strong)
    for _ in range(60):
        body = probes.drive_by_jerk(body, traits, jerk, [0.3] * 4)
    assert body["speed"].tolist() == [30.0, 30.0, -2.0, -2.0]
    np.testing.assert_allclose(body["acceleration"], [3.75, 3.75, -5.0, -5.0], rtol=1e-6)
    # 4 m/s² at 30 m/s.
    assert body["lateral_acceleration"][1] == pytest.approx(4.0, abs=1e-4)
    # At walking pace that would take more than the largest wheel angle.
    assert body["steering"][3] == pytest.approx(-0.55, abs=1e-6)


def test_wheels_turn_at_most_0_6_rad_per_second():
    body, traits = rows_of([Motion(speed=2.0)] * 2, [Car()] * 2)
    after = probes.move(body, traits, [(0.0, 0.5), (0.0, -0.05)], [0.1, 0.1])
    np.testing.assert_allclose(after["steering"], [0.06, -0.05], atol=1e-7)


def test_acceleration_passes_through_exactly_zero():
    body, traits = rows_of([Motion(speed=8.0, acceleration=1.0, lateral_acceleration=0.6)], [Car()])
    after = probes.drive_by_jerk(body, traits, [(-15, -4)], [0.2])
    assert after["acceleration"][0] == 0.0
    # A lateral acceleration that flips sign asks for straight wheels.
    assert after["steering"][0] == 0.0


def test_braking_car_stops_at_exactly_zero_speed():
    body, traits = rows_of([Motion(speed=0.4, acceleration=-4.0)], [Car()])
    after = probes.drive_by_jerk(body, traits, [(0, 0)], [0.3])
    assert after["speed"][0] == 0.0
    # From 0.4 m/s to a stand within the step, 0.06 m by the trapezoid.
    assert after["x"][0] == pytest.approx(0.5 * 0.4 * 0.3, rel=1e-6)


def test_short_arcs_and_straight_lines_agree_across_the_series_switch():
    # The kernel changes from a series to sin and cos at a turn of 0.05 rad.
    wheels = np.linspace(-0.2, 0.2, 401)
    motions = [Motion(speed=9.0, steering=w, acceleration=0.0) for w in wheels]
    body, traits = rows_of(motions, [Car()] * len(wheels))
    after = probes.move(body, traits, np.column_stack([np.zeros(401), wheels]), [0.3] * 401)
    start = [Motion(speed=9.0, steering=float(w)) for w in body["steering"]]
    expected = [twin.bicycle(m, Car(), 0.0, m.steering, float(np.float32(0.3))) for m in start]
    assert_same_motion(after, expected, position=3e-6, other=3e-6)


def test_unicycle_equals_its_twin():
    cars, motions = random_cars(100), random_motions(100)
    command = RNG.uniform([-3, -1], [2, 1], (100, 2))
    body, traits = rows_of(motions, cars, UNICYCLE)
    after = probes.move(body, traits, command, [0.25] * 100)
    expected = [
        twin.unicycle(m, c, *map(float, u), 0.25)
        for m, c, u in zip(motions, cars, command, strict=True)
    ]
    assert_same_motion(after, expected)


def test_single_track_converges_to_a_fine_runge_kutta_solution():
    cars = random_cars(30)
    motions = [
        Motion(
            x=m.x,
            y=m.y,
            heading=m.heading,
            speed=abs(m.speed) + 4.0,
            steering=0.15 * m.steering,
            side_speed=0.1 * m.acceleration,
            yaw_rate=0.05 * m.lateral_acceleration,
        )
        for m in random_motions(30)
    ]
    cars = [Car(c.wheelbase, 1.0, 1.0, 1.0, 1.5, c.friction) for c in cars]
    command = RNG.uniform([-4, -0.1], [2, 0.1], (30, 2))
    body, traits = rows_of(motions, cars, SINGLE_TRACK)
    after = probes.move(body, traits, command, [0.1] * 30)
    expected = [
        twin.single_track(m, c, *map(float, u), 0.1, steps=200)
        for m, c, u in zip(motions, cars, command, strict=True)
    ]
    # First order in steps of 20 ms: errors of a few per cent of what changes in the step.
    for name, bound in (
        ("x", 0.03),
        ("y", 0.03),
        ("heading", 0.02),
        ("speed", 0.05),
        ("side_speed", 0.15),
        ("yaw_rate", 0.15),
    ):
        gap = after[name] - np.array([getattr(m, name) for m in expected])
        if name == "heading":
            gap = np.angle(np.exp(1j * gap))
        assert np.abs(gap).max() < bound, (name, np.abs(gap).max())


def test_single_track_tyres_cannot_exceed_the_friction_limit():
    for friction in (0.3, 0.9):
        body, traits = rows_of(
            [Motion(speed=18.0)], [Car(friction=friction, speed_scale=1.5)], SINGLE_TRACK
        )
        largest = 0.0
        for _ in range(40):
            body = probes.move(body, traits, [(0.0, 0.3)], [0.1])
            largest = max(largest, float(np.abs(body["lateral_acceleration"][0])))
        limit = friction * 9.81
        assert largest <= limit * 1.001
        assert largest > 0.8 * limit


def test_single_track_turns_like_the_kinematic_bicycle_when_slow_and_gentle():
    motions = [Motion(speed=4.0, steering=0.05)] * 2
    body, traits = rows_of(motions, [Car(friction=1.0)] * 2, [SINGLE_TRACK, KINEMATIC])
    for _ in range(40):
        body = probes.move(body, traits, [(0.0, 0.05)] * 2, [0.1] * 2)
    assert body["yaw_rate"][0] == pytest.approx(body["yaw_rate"][1], rel=0.05)


def test_road_user_notes_the_pose_it_left_and_the_jerk_it_felt():
    motions = random_motions(50, least=4.0)
    body, traits = rows_of(motions, random_cars(50))
    after = probes.move(body, traits, RNG.uniform([-5, -0.5], [2.5, 0.5], (50, 2)), [0.2] * 50)
    assert np.array_equal(after["past_x"], body["x"])
    assert np.array_equal(after["past_sin"], body["sin"])
    np.testing.assert_allclose(
        after["jerk"], (after["acceleration"] - body["acceleration"]) / 0.2, rtol=1e-4, atol=1e-4
    )
    gap = after["lateral_acceleration"] - body["lateral_acceleration"]
    np.testing.assert_allclose(after["lateral_jerk"], gap / 0.2, rtol=1e-4, atol=1e-3)


def test_displacement_is_limited_to_what_could_be_driven():
    body, traits = rows_of([Motion(x=1.0, y=2.0, heading=0.5 * np.pi, speed=10.0)] * 4, [Car()] * 4)
    moved = probes.displaced(
        body,
        traits,
        [(1.0, 0.2, 0.1), (9.0, 0.0, 0.0), (-1.0, 0.0, 0.0), (1.0, 3.0, -2.0)],
        [0.1] * 4,
    )
    # 1 m ahead is north here, left is west; 20 m/s and 2 m/s backwards; half as far aside as
    # ahead; 1 rad/s.
    np.testing.assert_allclose(moved["y"], [3.0, 4.0, 1.8, 3.0], atol=1e-6)
    np.testing.assert_allclose(moved["x"], [0.8, 1.0, 1.0, 0.5], atol=1e-6)
    np.testing.assert_allclose(moved["speed"], [10.0, 20.0, -2.0, 10.0], rtol=1e-5)
    np.testing.assert_allclose(moved["heading"] - 0.5 * np.pi, [0.1, 0.0, 0.0, -0.1], atol=1e-6)
    np.testing.assert_allclose(moved["acceleration"], [0.0, 100.0, -120.0, 0.0], atol=1e-3)


def test_heading_stays_within_half_a_turn():
    body, traits = rows_of([Motion(heading=3.1, speed=5.0, steering=0.4)], [Car()])
    for _ in range(30):
        body = probes.move(body, traits, [(0.0, 0.4)], [0.3])
        assert -np.pi - 1e-6 <= body["heading"][0] <= np.pi + 1e-6
        assert body["cos"][0] ** 2 + body["sin"][0] ** 2 == pytest.approx(1.0, abs=1e-6)


def test_replaying_jerks_inferred_from_a_motion_gives_the_same_motion():
    car, dt = Car(wheelbase=2.9), 0.2
    rng = np.random.default_rng(5)
    # A gentle drive: no limit is met, no sign flips, so that the jerks can be told from states.
    motion = Motion(
        speed=9.0,
        acceleration=0.3,
        lateral_acceleration=0.4,
        steering=float(np.arctan(0.4 / 81.0 * 2.9)),
    )
    states = [motion]
    for _ in range(40):
        jerk = rng.uniform(-0.3, 0.3) - 0.4 * (states[-1].acceleration - 0.3)
        side = rng.uniform(-0.2, 0.2) - 0.4 * (states[-1].lateral_acceleration - 0.5)
        states.append(twin.bicycle_by_jerk(states[-1], car, jerk, side, dt))
    assert min(min(s.acceleration, s.lateral_acceleration) for s in states[1:]) > 0.0
    speed = np.array([s.speed for s in states])
    heading = np.array([s.heading for s in states])
    place = np.array([(s.x, s.y) for s in states])
    # From positions, headings and speeds alone. Longitudinal: v' = v + (a + a') dt / 2.
    a = [states[0].acceleration]
    for k in range(40):
        a.append(2.0 * (speed[k + 1] - speed[k]) / dt - a[-1])
    # Lateral: curvature is turn over arc length; the chord is 2 sin(turn / 2) / curvature long.
    turn = np.diff(heading)
    chord = np.linalg.norm(np.diff(place, axis=0), axis=1)
    lateral = speed[1:] ** 2 * 2.0 * np.sin(0.5 * turn) / chord
    lateral = np.concatenate([[states[0].lateral_acceleration], lateral])
    body, traits = rows_of([motion], [car])
    for k in range(40):
        jerk = [(a[k + 1] - a[k]) / dt, (lateral[k + 1] - lateral[k]) / dt]
        body = probes.drive_by_jerk(body, traits, [jerk], [dt])
        assert body["x"][0] == pytest.approx(place[k + 1, 0], abs=2e-3)
        assert body["y"][0] == pytest.approx(place[k + 1, 1], abs=2e-3)
        assert body["speed"][0] == pytest.approx(speed[k + 1], abs=1e-3)

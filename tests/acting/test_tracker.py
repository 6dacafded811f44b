"""The tracker against float64 matrices, against results worked by hand, and on the road."""

import math

import numpy as np
import pytest
import torch

from gigalane.acting.tracker import KNOTS, Motion, TrackerSettings, pose_at, reference_of, track
from reference.dynamics import Car, bicycle
from reference.dynamics import Motion as CarMotion

SETTINGS = TrackerSettings()
TIMES = 0.5 * np.arange(KNOTS)


def circle(curvature, speed):
    """Poses of a circle through the origin, driven at a constant speed, (1, KNOTS, 3)."""
    turn = curvature * speed * TIMES
    if curvature == 0.0:
        poses = np.stack((speed * TIMES, 0 * TIMES, 0 * TIMES), -1)
    else:
        poses = np.stack((np.sin(turn), 1.0 - np.cos(turn), turn * curvature), -1) / curvature
    return torch.from_numpy(poses).float()[None]


def column(*values):
    return tuple(torch.tensor([float(value)]) for value in values)


def motion(x, y, yaw, speed, steering, wheelbase):
    return Motion(torch.tensor([[x, y, yaw]]).float(), *column(speed, steering, wheelbase))


def command(reference, time, where):
    acceleration, rate = track(reference, *column(time), where)
    return float(acceleration), float(rate)


def wandering_plan(seed):
    """A drivable plan of changing speed and curvature, and its speed at the start."""
    random = np.random.default_rng(seed)
    speed, yaw, position = random.uniform(2, 15), 0.0, np.zeros(2)
    start, poses = speed, [(0.0, 0.0, 0.0)]
    for _ in range(KNOTS - 1):
        acceleration, curvature = random.uniform(-1.5, 1.5), random.uniform(-0.05, 0.05)
        for _ in range(500):
            speed = max(0.0, speed + acceleration * 0.001)
            yaw += curvature * speed * 0.001
            position = position + speed * 0.001 * np.array([np.cos(yaw), np.sin(yaw)])
        poses.append((*position, yaw))
    return torch.tensor(np.array(poses)).float()[None], start


@pytest.mark.parametrize("seed", range(4))
def test_fitted_speeds_and_curvatures_solve_their_least_squares(seed):
    poses, start = wandering_plan(seed)
    reference = reference_of(poses, *column(start))
    x, y, yaw = poses[0].double().numpy().T
    turn = np.diff(yaw)
    # The length of an arc from its chord.
    chord = np.hypot(np.diff(x), np.diff(y))
    way = chord * np.where(abs(turn) > 1e-9, 0.5 * turn / np.sin(0.5 * turn + 1e-300), 1.0)
    means = 0.5 * (np.eye(KNOTS - 1, KNOTS) + np.eye(KNOTS - 1, KNOTS, 1))
    second = np.diff(np.eye(KNOTS), 2, axis=0) / 0.25
    rows = np.concatenate((np.eye(1, KNOTS), 0.5 * means, 1e-2 * second))
    wanted = np.concatenate(([start], way, np.zeros(len(second))))
    speeds = np.linalg.lstsq(rows, wanted, rcond=None)[0]
    assert np.allclose(reference.speeds[0], speeds, atol=2e-3)
    change = np.diff(np.eye(KNOTS), axis=0) / 0.5
    rows = np.concatenate((way[:, None] * means, 1e-1 * change, 1e-5 * np.eye(1, KNOTS)))
    wanted = np.concatenate((turn, np.zeros(KNOTS)))
    curvatures = np.linalg.lstsq(rows, wanted, rcond=None)[0]
    assert np.allclose(reference.curvatures[0], curvatures, atol=2e-4)


def regulator(reference, time, where):
    """Both regulators as matrices in float64: one step of the Riccati recursion over the horizon.

    With x(T) = A x + B u + c and the cost x(T)' Q x(T) + R u², the gain of the last step is
    (R + B' Q B)^-1 B' Q.
    """
    between = lambda values, t: np.interp(t, TIMES, values[0].double().numpy())  # noqa: E731
    speed, steering = float(where.speed), float(where.steering)
    wheelbase, dt = float(where.wheelbase), 0.1
    error = speed - between(reference.speeds, time + 1.0)
    acceleration = -1.0 / (1.0 + 1.0 * 10.0 * 1.0) * 1.0 * 10.0 * error
    aim = pose_at(reference, *column(time))[0].double().numpy()
    x, y, yaw = where.pose[0].double().numpy() - aim
    along, left = x * np.cos(aim[2]) + y * np.sin(aim[2]), y * np.cos(aim[2]) - x * np.sin(aim[2])
    bend, along = between(reference.curvatures, time), np.clip(along, -3.0, 3.0)
    state = np.array([left - 0.5 * bend * along**2, yaw - bend * along, steering])
    slope = (1.0 + np.tan(steering) ** 2) / wheelbase
    kept = np.tan(steering) / wheelbase - slope * steering  # tangent, linear about `steering`
    matrix, by_input, offset = np.eye(3), np.zeros(3), np.zeros(3)
    for step in range(10):
        v = speed + acceleration * step * dt
        one = np.eye(3) + dt * np.array([[0, v, 0], [0, 0, v * slope], [0, 0, 0]])
        drift = v * (kept - between(reference.curvatures, time + step * dt)) * dt
        matrix, by_input = one @ matrix, one @ by_input + [0, 0, dt]
        offset = one @ offset + [0, drift, 0]
    weights = np.diag([1.0, 10.0, 0.0])
    gain = by_input @ weights / (1.0 + by_input @ weights @ by_input)
    return acceleration, -gain @ (matrix @ state + offset)


@pytest.mark.parametrize("seed", range(8))
def test_commands_are_those_of_the_matrix_solution(seed):
    random = np.random.default_rng(seed)
    poses, start = wandering_plan(seed + 50)
    reference = reference_of(poses, *column(start))
    time = random.uniform(0.0, 2.5)
    x, y, yaw = pose_at(reference, *column(time))[0].tolist()
    where = motion(
        x + random.normal(0, 0.5),
        y + random.normal(0, 0.5),
        yaw + random.normal(0, 0.1),
        random.uniform(1.0, 12.0),
        random.uniform(-0.4, 0.4),
        random.uniform(1.0, 4.0),
    )
    assert np.allclose(command(reference, time, where), regulator(reference, time, where), 1e-3)


def test_a_car_on_its_plan_is_left_alone():
    reference = reference_of(circle(0.0, 8.0), *column(8.0))
    assert np.allclose(command(reference, 0.5, motion(4.0, 0, 0, 8.0, 0, 2.7)), 0.0, atol=1e-5)
    # On a circle: the wheel is already where tan(delta) = L kappa.
    bent = reference_of(circle(0.1, 6.0), *column(6.0))
    x, y, yaw = pose_at(bent, *column(0.5))[0].tolist()
    held = command(bent, 0.5, motion(x, y, yaw, 6.0, math.atan(0.27), 2.7))
    assert np.allclose(held, 0.0, atol=5e-3)


def test_speed_and_side_are_corrected_by_hand():
    reference = reference_of(circle(0.0, 10.0), *column(10.0))
    # 1 m/s too slow: a = 10 / 11. Nothing to steer for.
    acceleration, rate = command(reference, 0.0, motion(0, 0, 0, 9.0, 0, 2.7))
    assert abs(acceleration - 10.0 / 11.0) < 1e-4 and abs(rate) < 1e-5
    # Half a metre to the left, wheelbase 1, speed 10: a rate of 1 makes the wheel angle
    # k dt after k steps of 0.1 s, the heading 10 * 0.1² * (0 + 1 + .. + 9) = 4.5 and the side
    # 10 * 0.1 * (heading after 0 .. 9 steps) = 0.1 * (0+0+1+3+6+10+15+21+28+36) = 12.
    _, rate = command(reference, 0.0, motion(0, 0.5, 0, 10.0, 0, 1.0))
    assert abs(rate + 12.0 * 0.5 / (12.0**2 + 10 * 4.5**2 + 1.0)) < 1e-5


def test_a_car_that_may_stand_is_brought_to_rest():
    reference = reference_of(circle(0.0, 0.0), *column(0.1))
    acceleration, rate = command(reference, 1.0, motion(0, 0.3, 0, 0.15, 0.1, 2.7))
    speed_then = float(reference.speeds[0, 4])
    assert abs(acceleration + 0.5 * (0.15 - speed_then)) < 1e-6 and rate == 0.0


@pytest.mark.parametrize("dt", [0.1, 0.25, 0.3])
@pytest.mark.parametrize("curvature", [0.0, 1 / 40, -1 / 10])
def test_lines_and_circles_are_held_to_centimetres(curvature, dt):
    """A car set beside a line or circle finds to it; plans are renewed every half second."""
    speed, car = 6.0, Car(wheelbase=2.7)
    state = CarMotion(x=0.0, y=0.4, heading=0.05, speed=5.0)
    began, age = 0.0, math.inf
    offsets = []
    for step in range(round(12.0 / dt)):
        now = step * dt
        if age > 0.5 - 1e-6:
            began, age = now, 0.0
            turn = curvature * speed * began
            times = began + TIMES
            around = curvature * speed * times
            if curvature:
                line = np.stack(
                    (np.sin(around) / curvature, (1 - np.cos(around)) / curvature, around), -1
                )
            else:
                line = np.stack((speed * times, 0 * times, 0 * times), -1)
            assert math.isclose(line[0, 2], turn, abs_tol=1e-9)
            plan = reference_of(torch.from_numpy(line).float()[None], *column(state.speed))
        where = motion(state.x, state.y, state.heading, state.speed, state.steering, car.wheelbase)
        acceleration, rate = command(plan, age, where)
        state = bicycle(state, car, acceleration, state.steering + rate * dt, dt)
        age += dt
        if curvature:
            offsets.append(math.hypot(state.x, state.y - 1 / curvature) - 1 / abs(curvature))
        else:
            offsets.append(state.y)
    assert np.abs(offsets[-round(4.0 / dt) :]).max() < 0.03
    assert abs(state.speed - speed) < 0.05


def test_a_row_is_tracked_the_same_in_any_batch():
    plans = [wandering_plan(seed) for seed in range(37)]
    poses = torch.cat([plan for plan, _ in plans])
    speed = torch.tensor([start for _, start in plans]).float()
    random = torch.Generator().manual_seed(0)
    where = Motion(
        torch.randn(37, 3, generator=random),
        speed + torch.randn(37, generator=random),
        0.2 * torch.randn(37, generator=random),
        1.0 + torch.rand(37, generator=random),
    )
    time = 2.0 * torch.rand(37, generator=random)
    together = track(reference_of(poses, speed), time, where)
    for row in (0, 5, 36):
        one = slice(row, row + 1)
        alone = track(
            reference_of(poses[one], speed[one]), time[one], Motion(*(v[one] for v in where))
        )
        assert all(torch.equal(a[one], b) for a, b in zip(together, alone, strict=True))

"""From a plan to the pedals and the wheel: a linear-quadratic regulator, one a row.

The tracker of the field's planning benchmarks (nuPlan, NAVSIM). First a plan is made smooth:
least squares give the speeds and curvatures at its poses. Then two regulators, each of which
assumes one constant input over the next second:

    speed       v(T) = v + T a                     min  Q (v(T) - v_ref(T))² + R a²
    steering    e' = v psi                         min  q_e e(T)² + q_psi psi(T)² + r u²
                psi' = v (tan(delta) / L - kappa_ref)
                delta' = u

with lateral error e, heading error psi, wheel angle delta and steering rate u. Two things differ
from nuPlan: the tangent is taken as linear about the present wheel angle, and the errors of a car
that is ahead of its plan or behind it are taken beside the plan's curve, not beside the point it
should have reached. So a steady curve is tracked without error.
Every operation is of single numbers: a row's command does not depend on how many rows there are.

Poses are those of the point that the kinematic model moves along its heading, in any one frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gigalane.acting.poses import along_arc, distance_share, seen_from, wrapped
from gigalane.networks.plans import PLAN_INTERVAL_S, PLAN_POSES

KNOTS = PLAN_POSES + 1
"""Moments of a reference: the start and every pose of the plan."""
ALONG_MOST = 3.0
"""How far ahead of its plan or behind it a car is compared with the plan's curve [m] (chosen)."""


@dataclass(frozen=True)
class TrackerSettings:
    """Weights of the tracker; values without a remark are nuPlan's.

    Attributes:
        steps: steps of the horizon.
        step_s: their length [s].
        speed_weight: Q of the speed error.
        acceleration_weight: R of the acceleration.
        lateral_weight: q_e of the lateral error.
        heading_weight: q_psi of the heading error.
        steering_rate_weight: r of the steering rate.
        jerk_penalty: on jerks in the fit of speeds.
        curvature_rate_penalty: on rates in the fit of curvatures.
        curvature_penalty: on the first curvature.
        stop_speed: where the car and its reference are both slower, it is brought to rest [m/s].
        stop_gain: braking there, for each m/s too fast [1/s].
    """

    steps: int = 10
    step_s: float = 0.1
    speed_weight: float = 10.0
    acceleration_weight: float = 1.0
    lateral_weight: float = 1.0
    heading_weight: float = 10.0
    steering_rate_weight: float = 1.0
    jerk_penalty: float = 1e-4
    curvature_rate_penalty: float = 1e-2
    curvature_penalty: float = 1e-10
    stop_speed: float = 0.2
    stop_gain: float = 0.5

    @property
    def horizon_s(self) -> float:
        """How far the regulators look ahead [s]."""
        return self.steps * self.step_s


class Reference(NamedTuple):
    """A plan made smooth, at the start and at each of its poses.

    Attributes:
        poses: (rows, KNOTS, 3) x [m], y [m], yaw [rad].
        speeds: (rows, KNOTS) [m/s].
        curvatures: (rows, KNOTS) [1/m], positive to the left.
    """

    poses: Tensor
    speeds: Tensor
    curvatures: Tensor


class Motion(NamedTuple):
    """What a car knows of its own motion.

    Attributes:
        pose: (rows, 3) in the frame of the reference.
        speed: (rows,) along the heading [m/s].
        steering: (rows,) wheel angle, positive left [rad].
        wheelbase: (rows,) [m].
    """

    pose: Tensor
    speed: Tensor
    steering: Tensor
    wheelbase: Tensor


def reference_of(
    poses: Tensor, speed: Tensor, settings: TrackerSettings | None = None
) -> Reference:
    """Speeds and curvatures of a plan.

    Args:
        poses: (rows, KNOTS, 3): the pose at the start, then those of the plan.
        speed: (rows,) at the start [m/s].
        settings: penalties of the fits.

    Returns:
        The reference; its poses are the given ones.
    """
    settings = settings or TrackerSettings()
    turn = wrapped(poses[:, 1:, 2] - poses[:, :-1, 2])
    middle = poses[:, :-1, 2] + 0.5 * turn
    step = poses[:, 1:, :2] - poses[:, :-1, :2]
    chord = step[..., 0] * middle.cos() + step[..., 1] * middle.sin()
    distance = chord / torch.sinc(turn / (2 * torch.pi))  # along the arc, negative backwards
    speeds = _fit_speeds(distance, speed, settings)
    return Reference(poses, speeds, _fit_curvatures(distance, turn, settings))


def track(
    reference: Reference, time: Tensor, motion: Motion, settings: TrackerSettings | None = None
) -> tuple[Tensor, Tensor]:
    """What to do now to follow a reference.

    Args:
        reference: what to follow.
        time: (rows,) time since its start [s]; beyond its end it stands still as it ended.
        motion: of each car.
        settings: weights.

    Returns:
        Acceleration [m/s²] and steering rate [rad/s], (rows,) each, without limits.
    """
    settings = settings or TrackerSettings()
    speed_then = _between_knots(reference.speeds, time + settings.horizon_s)
    too_fast = motion.speed - speed_then
    horizon = settings.horizon_s
    gain = horizon * settings.speed_weight
    acceleration = -gain / (horizon * gain + settings.acceleration_weight) * too_fast
    stands = (motion.speed.abs() <= settings.stop_speed) & (speed_then.abs() <= settings.stop_speed)
    acceleration = torch.where(stands, -settings.stop_gain * too_fast, acceleration)
    rate = _steering_rate(reference, time, motion, acceleration, settings)
    return acceleration, torch.where(stands, 0.0, rate)


def pose_at(reference: Reference, time: Tensor) -> Tensor:
    """Where a reference is at a time.

    Args:
        reference: what to follow.
        time: (rows,) since its start [s].

    Returns:
        (rows, 3) pose.
    """
    knot, share = _knot(time)
    speed, speed_next = _pick(reference.speeds, knot), _pick(reference.speeds, knot + 1)
    covered = distance_share(speed, speed_next, share)
    each = torch.arange(len(time), device=time.device)
    return along_arc(reference.poses[each, knot], reference.poses[each, knot + 1], covered)


def _steering_rate(
    reference: Reference,
    time: Tensor,
    motion: Motion,
    acceleration: Tensor,
    settings: TrackerSettings,
) -> Tensor:
    """The constant steering rate that is best at the end of the horizon, (rows,) [rad/s]."""
    aim = pose_at(reference, time)
    ahead, lateral, heading = seen_from(aim, motion.pose).unbind(-1)
    # A car that is early or late is compared with where the plan's circle of curvature leads.
    bend = _between_knots(reference.curvatures, time)
    ahead = ahead.clamp(-ALONG_MOST, ALONG_MOST)
    lateral = lateral - 0.5 * bend * ahead * ahead
    heading = heading - bend * ahead
    tangent = motion.steering.tan()
    slope = (1.0 + tangent * tangent) / motion.wheelbase
    curvature = tangent / motion.wheelbase
    # What a rate of 1 adds to lateral error, heading error and wheel angle so far.
    by_rate = torch.zeros_like(lateral), torch.zeros_like(lateral), 0.0
    dt = settings.step_s
    for step in range(settings.steps):
        speed = motion.speed + acceleration * (step * dt)
        bend = _between_knots(reference.curvatures, time + step * dt)
        lateral, heading = (
            lateral + dt * speed * heading,
            heading + dt * speed * (curvature - bend),
        )
        by_rate = (
            by_rate[0] + dt * speed * by_rate[1],
            by_rate[1] + dt * speed * slope * by_rate[2],
            by_rate[2] + dt,
        )
    pull = (
        settings.lateral_weight * by_rate[0] * lateral
        + settings.heading_weight * by_rate[1] * heading
    )
    weight = (
        settings.lateral_weight * by_rate[0] ** 2
        + settings.heading_weight * by_rate[1] ** 2
        + settings.steering_rate_weight
    )
    return -pull / weight


def _fit_speeds(distance: Tensor, speed: Tensor, settings: TrackerSettings) -> Tensor:
    """Speeds at the knots: smooth, and such that constant acceleration covers the distances.

    Args:
        distance: (rows, PLAN_POSES) along the way from knot to knot [m].
        speed: (rows,) at the start [m/s].
        settings: the penalty.

    Returns:
        (rows, KNOTS) [m/s].
    """
    matrix = torch.from_numpy(speed_fit(settings.jerk_penalty)).to(distance)
    speeds = speed[:, None] * matrix[:, 0]
    for number in range(PLAN_POSES):
        speeds = speeds + distance[:, number, None] * matrix[:, number + 1]
    return speeds


@cache
def speed_fit(jerk_penalty: float) -> NDArray[np.float64]:
    """The linear map from (speed at the start, distances) to the speeds at the knots.

    It solves the least squares of: the speed at the start; each distance as the mean of two
    speeds times the interval; and the jerks, weighed by the square root of the penalty.

    Args:
        jerk_penalty: see `TrackerSettings`.

    Returns:
        (KNOTS, KNOTS).
    """
    start = np.eye(1, KNOTS)
    ways = 0.5 * PLAN_INTERVAL_S * (np.eye(PLAN_POSES, KNOTS) + np.eye(PLAN_POSES, KNOTS, 1))
    jerks = np.diff(np.eye(KNOTS), 2, axis=0) / PLAN_INTERVAL_S**2
    seen = np.concatenate((start, ways))
    squares = seen.T @ seen + jerk_penalty * jerks.T @ jerks
    return np.linalg.solve(squares, seen.T).astype(np.float64)


def _fit_curvatures(distance: Tensor, turn: Tensor, settings: TrackerSettings) -> Tensor:
    """Curvatures at the knots: smooth, and such that the distances turn as far as they do.

    Args:
        distance: (rows, PLAN_POSES) [m].
        turn: (rows, PLAN_POSES) [rad].
        settings: the penalties.

    Returns:
        (rows, KNOTS) [1/m].
    """
    # Normal equations of turn = distance times the mean of two curvatures: tridiagonal.
    change = settings.curvature_rate_penalty / PLAN_INTERVAL_S**2
    half = 0.5 * distance
    diagonal: list[Tensor] = []
    beside: list[Tensor] = []
    given: list[Tensor] = []
    for knot in range(KNOTS):
        square = torch.zeros_like(half[:, 0])
        pull = torch.zeros_like(square)
        if knot == 0:
            square = square + settings.curvature_penalty
        for number in (knot - 1, knot):
            if 0 <= number < PLAN_POSES:
                square = square + half[:, number] ** 2 + change
                pull = pull + half[:, number] * turn[:, number]
        if knot < PLAN_POSES:
            beside.append(half[:, knot] ** 2 - change)
        diagonal.append(square)
        given.append(pull)
    for knot in range(1, KNOTS):
        factor = beside[knot - 1] / diagonal[knot - 1]
        diagonal[knot] = diagonal[knot] - factor * beside[knot - 1]
        given[knot] = given[knot] - factor * given[knot - 1]
    curvatures = [given[-1] / diagonal[-1]]
    for knot in range(PLAN_POSES - 1, -1, -1):
        left = given[knot] - beside[knot] * curvatures[0]
        curvatures.insert(0, left / diagonal[knot])
    return torch.stack(curvatures, -1)


def _knot(time: Tensor) -> tuple[Tensor, Tensor]:
    """Index of the last knot before a time, and the share of the way to the next in time."""
    steps = (time / PLAN_INTERVAL_S).clamp(0.0, PLAN_POSES)
    knot = steps.floor().clamp(max=PLAN_POSES - 1)
    return knot.long(), steps - knot


def _pick(values: Tensor, knot: Tensor) -> Tensor:
    """One value of each row: (rows, KNOTS) and (rows,) to (rows,)."""
    return values.gather(1, knot[:, None]).squeeze(1)


def _between_knots(values: Tensor, time: Tensor) -> Tensor:
    """Values of the knots, linear in time between them, (rows,)."""
    knot, share = _knot(time)
    return torch.lerp(_pick(values, knot), _pick(values, knot + 1), share)

"""Plain float64 twins of the motion models, step by step as the paper lists them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True)
class Car:
    """Abilities of a road user; fields as in `gigalane.sim.scene.Traits`."""

    wheelbase: float = 2.7
    throttle_scale: float = 1.0
    steering_scale: float = 1.0
    acceleration_scale: float = 1.0
    speed_scale: float = 1.0
    friction: float = 0.9


@dataclass(frozen=True)
class Motion:
    """State of a road user; fields as in `gigalane.sim.scene.Body`."""

    x: float = 0.0
    y: float = 0.0
    heading: float = 0.0
    speed: float = 0.0
    acceleration: float = 0.0
    lateral_acceleration: float = 0.0
    steering: float = 0.0
    side_speed: float = 0.0
    yaw_rate: float = 0.0


def unless_flipped(before: float, after: float) -> float:
    """Zero where the sign changes."""
    return 0.0 if np.sign(before) * np.sign(after) < 0 else after


def next_speed(motion: Motion, car: Car, acceleration: float, dt: float) -> float:
    """Trapezoid of both accelerations, no sign flip, within [-2, 20 C_vel] m/s."""
    speed = unless_flipped(
        motion.speed, motion.speed + 0.5 * (motion.acceleration + acceleration) * dt
    )
    return float(np.clip(speed, -2.0, 20.0 * car.speed_scale))


def bicycle_by_jerk(
    motion: Motion, car: Car, jerk: float, lateral_jerk: float, dt: float
) -> Motion:
    """GIGAFLOW's seven steps (arXiv 2502.03349, appendix)."""
    # 1 and 2: integrate the jerks; a sign flip stops at zero.
    a_lon = unless_flipped(
        motion.acceleration, motion.acceleration + car.throttle_scale * jerk * dt
    )
    a_lat = unless_flipped(
        motion.lateral_acceleration,
        motion.lateral_acceleration + car.steering_scale * lateral_jerk * dt,
    )
    # 3: limits.
    a_lon = float(np.clip(a_lon, -5.0, 2.5 * car.acceleration_scale))
    a_lat = float(np.clip(a_lat, -4.0, 4.0))
    # 4: speed.
    speed = next_speed(motion, car, a_lon, dt)
    # 5: the wheel angle that such a lateral acceleration takes.
    wanted = np.arctan(a_lat / max(speed**2, 1e-5) * car.wheelbase)
    return bicycle(motion, car, a_lon, wanted, dt)


def bicycle(motion: Motion, car: Car, acceleration: float, steering: float, dt: float) -> Motion:
    """Steps 6 and 7: steer at a limited rate, advance along an arc."""
    speed = next_speed(motion, car, acceleration, dt)
    wheel = motion.steering + np.clip(steering - motion.steering, -0.6 * dt, 0.6 * dt)
    wheel = float(np.clip(wheel, -0.55, 0.55))
    curvature = np.tan(wheel) / car.wheelbase
    distance = 0.5 * (motion.speed + speed) * dt
    turn = distance * curvature
    if abs(turn) < 1e-12:
        forward, left = distance, 0.0
    else:
        forward, left = np.sin(turn) / curvature, (1.0 - np.cos(turn)) / curvature
    cos, sin = np.cos(motion.heading), np.sin(motion.heading)
    return Motion(
        motion.x + forward * cos - left * sin,
        motion.y + forward * sin + left * cos,
        motion.heading + turn,
        speed,
        acceleration,
        speed**2 * curvature,
        wheel,
        0.0,
        speed * curvature,
    )


def unicycle(motion: Motion, car: Car, acceleration: float, steering: float, dt: float) -> Motion:
    """A walker goes straight on, then turns by 3 rad/s for each radian of steering."""
    speed = next_speed(motion, car, acceleration, dt)
    distance, rate = 0.5 * (motion.speed + speed) * dt, 3.0 * steering
    return Motion(
        motion.x + distance * np.cos(motion.heading),
        motion.y + distance * np.sin(motion.heading),
        motion.heading + rate * dt,
        speed,
        acceleration,
        speed * rate,
        steering,
        0.0,
        rate,
    )


def single_track(
    motion: Motion, car: Car, acceleration: float, steering: float, dt: float, steps: int = 2000
) -> Motion:
    """Dynamic bicycle by fine fourth-order Runge-Kutta steps.

    Mass 1; axles half a wheelbase from the centre, half the weight on each; tyre force
    F = g(drive) tanh(10 slip / mu) with g what the friction ellipse leaves.
    """
    wheel = motion.steering + np.clip(steering - motion.steering, -0.6 * dt, 0.6 * dt)
    wheel = float(np.clip(wheel, -0.55, 0.55))
    arm, limit = 0.5 * car.wheelbase, car.friction * 9.81
    drive = float(np.clip(acceleration, -0.95 * limit, 0.95 * limit))
    grip = 0.5 * np.sqrt(limit**2 - drive**2)

    def rates(state):
        _, _, heading, speed, side, yaw = state
        front = grip * np.tanh(10.0 / car.friction * (wheel - np.arctan2(side + arm * yaw, speed)))
        rear = grip * np.tanh(10.0 / car.friction * -np.arctan2(side - arm * yaw, speed))
        return np.array(
            [
                speed * np.cos(heading) - side * np.sin(heading),
                speed * np.sin(heading) + side * np.cos(heading),
                yaw,
                drive - front * np.sin(wheel) + side * yaw,
                front * np.cos(wheel) + rear - speed * yaw,
                arm * (front * np.cos(wheel) - rear) / (1.1 * arm**2),
            ]
        )

    state = np.array(
        [motion.x, motion.y, motion.heading, motion.speed, motion.side_speed, motion.yaw_rate]
    )
    h = dt / steps
    for _ in range(steps):
        one = rates(state)
        two = rates(state + 0.5 * h * one)
        three = rates(state + 0.5 * h * two)
        four = rates(state + h * three)
        state = state + h / 6.0 * (one + 2.0 * two + 2.0 * three + four)
    x, y, heading, speed, side, yaw = state
    return replace(
        motion,
        x=x,
        y=y,
        heading=heading,
        speed=float(np.clip(speed, -2.0, 20.0 * car.speed_scale)),
        side_speed=side,
        yaw_rate=yaw,
        steering=wheel,
        acceleration=drive,
    )

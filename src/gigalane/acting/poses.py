"""Poses in the plane: frames, points of a car, and what lies between two moments.

A pose is three numbers in the last axis: x [m], y [m], yaw [rad, counter-clockwise]. The
simulator's pose is that of the middle of the box, which is also the point that its kinematic
model moves along the heading. Plans tell of the middle of the rear axle instead, as the field's
benchmarks do: half a wheelbase behind (`gigalane.sim.dynamics`: both axles lie half a wheelbase
from the middle). Both are points of one rigid box, so one pose follows exactly from the other.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def wrapped(angle: Tensor) -> Tensor:
    """The same angle within [-pi, pi] [rad]; exact for one that already is."""
    return angle - math.tau * torch.round(angle / math.tau)


def seen_from(frame: Tensor, pose: Tensor) -> Tensor:
    """A pose in the frame of another.

    Args:
        frame: (…, 3) pose of the frame's origin; broadcasts.
        pose: (…, 3) in the coordinates that `frame` is given in.

    Returns:
        (…, 3) the pose as seen from the frame.
    """
    x, y, yaw = (pose - frame).unbind(-1)
    cos, sin = frame[..., 2].cos(), frame[..., 2].sin()
    return torch.stack((x * cos + y * sin, y * cos - x * sin, wrapped(yaw)), -1)


def point_ahead(pose: Tensor, distance: Tensor) -> Tensor:
    """Pose of another point on the middle line of the same body.

    Args:
        pose: (…, 3).
        distance: (…,) how far ahead of the pose's point it lies, negative behind [m].

    Returns:
        (…, 3) in the same frame.
    """
    x, y, yaw = pose.unbind(-1)
    return torch.stack((x + distance * yaw.cos(), y + distance * yaw.sin(), yaw), -1)


def distance_share(speed_start: Tensor, speed_end: Tensor, time_share: Tensor) -> Tensor:
    """Share of the way that is covered after a share of the time, at constant acceleration.

    Args:
        speed_start: [m/s].
        speed_end: [m/s].
        time_share: 0 to 1.

    Returns:
        0 to 1; the share of the time where the way is nil.
    """
    total = speed_start + speed_end
    gained = (speed_end - speed_start) * time_share
    covered = time_share * (2.0 * speed_start + gained)
    moves = total.abs() > 1e-3
    return torch.where(moves, covered / torch.where(moves, total, 1.0), time_share).clamp(0.0, 1.0)


def along_arc(start: Tensor, end: Tensor, share: Tensor) -> Tensor:
    """The pose after a share of the arc that leads from one pose to another.

    The simulator moves along arcs of constant curvature within a step, so this is where a road
    user was between two of them, to rounding.

    Args:
        start: (…, 3).
        end: (…, 3).
        share: (…,) of the arc, 0 to 1.

    Returns:
        (…, 3); `start` at 0, `end` at 1.
    """
    turn = wrapped(end[..., 2] - start[..., 2])
    # A chord over the share s of an arc is sin(s turn / 2) / sin(turn / 2) times the whole chord,
    # and lies (s - 1) turn / 2 from its direction; sinc keeps the quotient sound near 0.
    half = turn / math.tau
    length = share * torch.sinc(share * half) / torch.sinc(half)
    angle = 0.5 * (share - 1.0) * turn
    x, y = (end - start)[..., :2].unbind(-1)
    cos, sin = length * angle.cos(), length * angle.sin()
    return torch.stack(
        (
            start[..., 0] + x * cos - y * sin,
            start[..., 1] + x * sin + y * cos,
            wrapped(start[..., 2] + share * turn),
        ),
        -1,
    )

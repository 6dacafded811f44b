"""Frames at which a student would go much faster or slower than its teacher (Roach).

Zhang et al. 2021 (arXiv 2108.08265) keep, of what students drove through, the frames at which
both accelerations differ by more than a tenth of their range: what a student does well already
teaches it little.
"""

from __future__ import annotations

import torch
from torch import Tensor

from gigalane.acting.mixed import MixedActor
from gigalane.sim.control import JERK_CHOICES, LATERAL_JERK_CHOICES, ActionSpace
from gigalane.sim.dynamics import ACCELERATION_LIMIT, BRAKING_LIMIT

_JERKS = JERK_CHOICES[-1] - JERK_CHOICES[0]
LONGITUDINAL_RANGE = {
    "jerk12": _JERKS,
    "jerk": _JERKS,
    "acceleration_steering": float(ACCELERATION_LIMIT) - float(BRAKING_LIMIT),
    "delta_pose": 4.0,
}
"""How far the first number of an action reaches: of jerks [m/s³] and accelerations [m/s²] what the
simulator executes, of steps forward [m] about twice the usual one (chosen)."""


def longitudinal_gap(space: ActionSpace, one: Tensor, other: Tensor) -> Tensor:
    """How differently two actions push along the road.

    Args:
        space: what the actions mean.
        one: (rows,) int64 or (rows, size) float32.
        other: the same.

    Returns:
        (rows,) float32, shares of the range: 0 is the same, 1 full braking against full power.
    """
    pushes = []
    for action in (one, other):
        if space.is_discrete:
            pushes.append(torch.tensor(JERK_CHOICES)[action // len(LATERAL_JERK_CHOICES)])
        else:
            pushes.append(action[:, 0])
    gap = (pushes[0] - pushes[1]).abs() / LONGITUDINAL_RANGE[space.name]
    return gap.clamp(max=1.0)


def critical(actor: MixedActor, actions: Tensor, rows: Tensor, least: float) -> Tensor:
    """Which rows teach something: those that the teacher drives, and those it would drive else.

    Args:
        actor: who chose the actions.
        actions: (world rows, …), what it chose.
        rows: (rows,) int64, which rows are asked about.
        least: gap above which a frame counts.

    Returns:
        (rows,) bool.
    """
    asked = actor.teacher.act(actor.shown[rows])
    gap = longitudinal_gap(actor.student.action_space, actions[rows], asked)
    return actor.by_teacher[rows] | (gap > least)

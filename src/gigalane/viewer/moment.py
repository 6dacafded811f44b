"""Where everyone in a recording is at any time, between its steps interpolated."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gigalane.sim.recording import Recording

SAME = 1e-3
"""Times that differ by less than this share of a step are the same: steps are stored as float32."""


@dataclass(frozen=True, eq=False)
class Moment:
    """All slots of a recording at one time.

    Attributes:
        step: the last recorded moment that is not later.
        position: centres of the boxes, (A, 3) float64 [m], map frame.
        heading: counter-clockwise from +x, (A,) float64 [rad].
        shown: whether the slot holds a road user at a finite place, (A,) bool.
    """

    step: int
    position: NDArray[np.float64]
    heading: NDArray[np.float64]
    shown: NDArray[np.bool_]


def step_at(recording: Recording, time: float) -> int:
    """The last recorded moment that is not later than a time [s]."""
    return max(0, min(int(time / recording.dt + SAME), recording.steps - 1))


def moment_at(recording: Recording, time: float) -> Moment:
    """Everyone at a time [s] after the first moment.

    Road users go straight from step to step and turn the short way round; one whose drive ends
    stays where it was until the next step.
    """
    step = step_at(recording, time)
    after = min(step + 1, recording.steps - 1)
    share = min(max(time / recording.dt - step, 0.0), 1.0)
    share = 0.0 if share < SAME else share
    position = recording.position_map[step].astype(np.float64)
    heading = recording.heading[step].astype(np.float64)
    shown = recording.alive[step] & np.isfinite(position).all(axis=1) & np.isfinite(heading)
    goes_on = shown & recording.alive[after]
    goes_on &= recording.episode[after] == recording.episode[step]
    goes_on &= np.isfinite(recording.position_map[after]).all(axis=1)
    goes_on &= np.isfinite(recording.heading[after])
    gain = np.where(goes_on, share, 0.0)
    there = np.where(goes_on[:, None], recording.position_map[after], position)
    turn = np.where(goes_on, recording.heading[after], heading) - heading
    turn -= 2 * np.pi * np.rint(turn / (2 * np.pi))
    return Moment(step, position + gain[:, None] * (there - position), heading + gain * turn, shown)

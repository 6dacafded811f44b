"""Distances along lines of points, and parts of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]
"""(N, 2) or (N, 3) [m]."""


def arc_lengths(points: Points) -> NDArray[np.float64]:
    """Distance along a polyline in the ground plane at each of its points, (N,) [m]."""
    steps = np.linalg.norm(np.diff(points[:, :2], axis=0), axis=1)
    return np.concatenate([[0.0], np.cumsum(steps)])


def section(points: Points, start: float, end: float) -> Points:
    """The part of a polyline between two arc lengths.

    Args:
        points: (N, D) [m].
        start: arc length where it begins [m]; clamped to the line.
        end: arc length where it ends [m]; clamped to the line.

    Returns:
        (M, D) [m]; empty where nothing is left.
    """
    along = arc_lengths(points)
    start, end = max(start, 0.0), min(end, along[-1])
    if not end - start > 1e-6:
        return points[:0]
    inside = points[(along > start) & (along < end)]
    ends = np.stack([np.interp([start, end], along, axis) for axis in points.T], axis=1)
    return np.concatenate([ends[:1], inside, ends[1:]])

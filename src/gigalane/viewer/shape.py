"""One thing to draw on a map, and small helpers on the polylines it is made of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gigalane.maps.polyline import arc_lengths

Points = NDArray[np.float64]
"""(N, 2) or (N, 3) [m], map frame."""


@dataclass(frozen=True, slots=True, eq=False)
class MapShape:
    """One filled area or stroked line in plan view.

    Attributes:
        role: what it is; a key of `Palette.map_colors`.
        rings: polylines (N, 2) [m], map frame; of an area the outline first and then its holes,
            the first point not repeated at the end.
        is_area: filled or stroked.
        width: stroke width [m]; 0 for areas.
        dash: lengths of paint and gap [m], or empty for a continuous line.
        level: 0 on the ground, 1 where the road passes over another one.
        index: the stop line in `RoadMap.stop_lines` that this is, or whose light it is, or -1.
    """

    role: str
    rings: tuple[Points, ...]
    is_area: bool
    width: float = 0.0
    dash: tuple[float, ...] = ()
    level: int = 0
    index: int = -1


def offset(points: Points, distance: float) -> Points:
    """A polyline moved to its left.

    Args:
        points: (N, D) [m].
        distance: how far to the left [m]; negative to the right.

    Returns:
        (N, D) [m].
    """
    tangent = np.gradient(points[:, :2], axis=0)
    tangent /= np.maximum(np.linalg.norm(tangent, axis=1, keepdims=True), 1e-9)
    moved = points.copy()
    moved[:, 0] -= distance * tangent[:, 1]
    moved[:, 1] += distance * tangent[:, 0]
    return moved


def pose_at(points: Points, distance: float) -> tuple[NDArray[np.float64], float]:
    """Where a polyline is after some distance, and where it heads.

    Args:
        points: (N, D) [m].
        distance: arc length [m]; clamped to the line.

    Returns:
        position: (D,) [m].
        heading: counter-clockwise from +x [rad].
    """
    along = arc_lengths(points)
    position = np.array([np.interp(distance, along, axis) for axis in points.T])
    row = int(np.clip(np.searchsorted(along, distance), 1, len(points) - 1))
    direction = points[row, :2] - points[row - 1, :2]
    return position, float(np.arctan2(direction[1], direction[0]))


def placed(points: Points, position: NDArray[np.float64], heading: float) -> Points:
    """Points of a figure around the origin that faces +x, put somewhere on the map, (N, 2) [m]."""
    cosine, sine = np.cos(heading), np.sin(heading)
    return points @ np.array([[cosine, sine], [-sine, cosine]]) + position[:2]

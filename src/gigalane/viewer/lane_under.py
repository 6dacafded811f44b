"""Finds the lane a road user drives on, so that a picture can tell its name and speed limit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import shapely
from numpy.typing import NDArray

from gigalane.maps.road import Lane
from gigalane.viewer.shape import Points

HEADING_WEIGHT = 1.0
"""How many metres of height a radian of heading weighs; chosen: roads that cross lie 5 m apart
and headings differ by 3.1 at most, so on a bridge height decides, and where lanes overlap on one
level, as in a junction, heading does."""


class LaneFinder:
    """Looks up lanes by position and heading."""

    def __init__(self, lanes: Sequence[Lane]) -> None:
        """Indexes every piece of the drivable lanes."""
        drivable = [k for k, lane in enumerate(lanes) if lane.is_drivable]
        corners, self._lane, direction = [], [], []
        for index in drivable:
            lane = lanes[index]
            left, right = lane.left_boundary, lane.right_boundary
            corners.append(np.stack([left[:-1], right[:-1], right[1:], left[1:]], axis=1))
            ahead = np.diff(lane.centerline[:, :2], axis=0)
            direction.append(np.arctan2(ahead[:, 1], ahead[:, 0]))
            self._lane.append(np.full(len(ahead), index))
        if not drivable:
            self._tree = None
            return
        joined = np.concatenate(corners)
        self._lane = np.concatenate(self._lane)
        self._direction = np.concatenate(direction)
        self._height = joined[..., 2].mean(axis=1)
        hulls = shapely.convex_hull(shapely.multipoints(joined[..., :2]))
        self._tree = shapely.STRtree(np.asarray(hulls))

    def lane_at(self, points: Points, heading: NDArray[np.floating]) -> NDArray[np.int32]:
        """The lane under each point; where several are, the one that fits best.

        Args:
            points: on the road surface or little above it, (N, 3) [m], map frame.
            heading: of the road user, (N,) [rad].

        Returns:
            Index of the lane, or -1 off the road, (N,).
        """
        found = np.full(len(points), -1, np.int32)
        finite = np.flatnonzero(np.isfinite(points).all(axis=1) & np.isfinite(heading))
        if self._tree is None or not len(finite):
            return found
        point, piece = self._tree.query(shapely.points(points[finite, :2]), "intersects")
        point = finite[point]
        turn = np.abs((self._direction[piece] - heading[point] + np.pi) % (2 * np.pi) - np.pi)
        cost = HEADING_WEIGHT * turn + np.abs(self._height[piece] - points[point, 2])
        order = np.argsort(-cost, kind="stable")  # the best comes last and stays
        found[point[order]] = self._lane[piece[order]]
        return found

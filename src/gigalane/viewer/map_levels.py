"""Finds where one road passes over another, so that a picture can draw the upper one on top."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
import shapely
from numpy.typing import NDArray

from gigalane.maps.polyline import arc_lengths
from gigalane.maps.road import Lane
from gigalane.viewer.shape import Points

DECK_CLEARANCE = 2.5
"""Height between two surfaces above which one passes over the other [m]. Chosen: lower than any
bridge that a car fits under, more than banking and grading do to neighbouring lanes."""
DECK_REACH = 12.0
"""How far a deck goes on along its lane past the road it crosses [m]; chosen to hide the seam."""
DECK_MARGIN = 0.6
"""How far beside a deck's surface its edge lines and barriers may stand [m]."""


class Decks:
    """The upper surfaces of a map, as strips of lanes.

    Attributes:
        rows: for each lane the quadrilaterals that lie on a deck, (N - 1,) bool; quadrilateral k
            spans rows k and k + 1 of the lane's boundaries.
    """

    def __init__(self, lanes: Sequence[Lane]) -> None:
        """Compares the height of every two pieces of lane that overlap in plan."""
        self.rows = [np.zeros(len(lane.centerline) - 1, bool) for lane in lanes]
        heights = [lane.centerline[:, 2] for lane in lanes]
        everything = np.concatenate(heights) if heights else np.zeros(1)
        self._tree: shapely.STRtree | None = None
        self._height = np.zeros(0)
        if np.ptp(everything) < DECK_CLEARANCE:
            return
        quads, height, lane_of, row_of = _quadrilaterals(lanes)
        upper, lower = shapely.STRtree(quads).query(quads)
        above = height[upper] - height[lower] > DECK_CLEARANCE
        upper, lower = upper[above], lower[above]
        upper = np.unique(upper[shapely.area(shapely.intersection(quads[upper], quads[lower])) > 0])
        for lane, row in zip(lane_of[upper].tolist(), row_of[upper].tolist(), strict=True):
            along = arc_lengths(lanes[lane].centerline)
            after = along[1:] > along[row] - DECK_REACH
            before = along[:-1] < along[row + 1] + DECK_REACH
            self.rows[lane] |= after & before
        chosen = np.concatenate(self.rows)
        if not chosen.any():
            return
        self._tree = shapely.STRtree(quads[chosen])
        self._height = height[chosen]

    def __bool__(self) -> bool:
        """Whether there is any deck."""
        return len(self._height) > 0

    def levels(self, points: Points) -> NDArray[np.uint8]:
        """Which level points are on.

        Args:
            points: (N, 3) [m], map frame; on a surface, or the middle of a box that stands on it.

        Returns:
            1 on a deck, 0 elsewhere, underneath it included, (N,).
        """
        levels = np.zeros(len(points), np.uint8)
        if self._tree is None or not len(points):
            return levels
        # Most lines of a map are far below any deck: spare them the search.
        finite = np.flatnonzero(
            np.isfinite(points).all(axis=1)
            & (points[:, 2] > self._height.min() - DECK_CLEARANCE / 2)
        )
        if not len(finite):
            return levels
        index, quad = self._tree.query(
            shapely.points(points[finite, :2]), predicate="dwithin", distance=DECK_MARGIN
        )
        index = finite[index]
        height = points[index, 2] - self._height[quad]
        on_deck = (height > -DECK_CLEARANCE / 2) & (height < DECK_CLEARANCE)
        levels[index[on_deck]] = 1
        return levels

    def runs(self, points: Points) -> Iterator[tuple[Points, int]]:
        """Cuts a polyline where it changes level.

        Args:
            points: (N, 3) [m], map frame.

        Yields:
            Consecutive pieces, each with its level. They overlap by the segment on each side of
            the one where the level changes: a deck may end anywhere near it.
        """
        levels = self.levels(points)
        cuts = [0, *np.flatnonzero(np.diff(levels)) + 1, len(points)]
        for start, end in pairwise(cuts):
            level = int(levels[start])
            piece = points[max(start - 2, 0) : end + 2]
            if len(piece) > 1:
                yield piece, level


def _quadrilaterals(
    lanes: Sequence[Lane],
) -> tuple[NDArray[np.object_], NDArray[np.float64], NDArray[np.intp], NDArray[np.intp]]:
    """Every piece of every lane: its outline, mean height [m], lane and row."""
    corners = [
        np.stack([ln.left_boundary[:-1], ln.right_boundary[:-1],
                  ln.right_boundary[1:], ln.left_boundary[1:]], axis=1)
        for ln in lanes
    ]  # fmt: skip
    height = np.concatenate([c[..., 2].mean(axis=1) for c in corners])
    lane_of = np.repeat(np.arange(len(lanes)), [len(c) for c in corners])
    row_of = np.concatenate([np.arange(len(c)) for c in corners])
    hulls = shapely.convex_hull(shapely.multipoints(np.concatenate(corners)[..., :2]))
    return np.asarray(hulls), height, lane_of, row_of

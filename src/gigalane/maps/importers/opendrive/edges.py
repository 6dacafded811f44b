"""Where the drivable surface of a road ends: the outer edges of its drivable lanes.

Only roads outside junctions have edges that one road decides. Inside a junction the lanes of
many roads overlap, and the edge is that of their union, which map compilation draws.
"""

from __future__ import annotations

from itertools import groupby

from gigalane.maps.importers.opendrive.lanes import Key, LanePiece
from gigalane.maps.road import (
    DRIVABLE_LANE_TYPES,
    Boundary,
    BoundaryType,
    MarkType,
    Polyline,
    RoadMark,
)


def road_edges(pieces: dict[Key, LanePiece]) -> list[Boundary]:
    """Both edges of every run of drivable lanes that lie side by side, outside junctions.

    Each edge runs in the direction of travel of the lane that it belongs to.

    Args:
        pieces: lanes in the order of their roads, sections, and from left to right along s.
    """
    found: list[Boundary] = []
    outside = [piece for piece in pieces.values() if piece.junction is None]
    for section, lanes in groupby(outside, key=lambda piece: piece.key[:2]):
        runs = groupby(lanes, key=lambda piece: piece.type in DRIVABLE_LANE_TYPES)
        edges: list[tuple[Polyline, tuple[RoadMark, ...]]] = []
        for drivable, run in runs:
            if drivable:
                members = list(run)
                edges += [_edge(members[0], left_of_s=True), _edge(members[-1], left_of_s=False)]
        for number, (polyline, marks) in enumerate(edges):
            kerb = any(mark.type is MarkType.CURB for mark in marks)
            type_ = BoundaryType.CURB if kerb else BoundaryType.ROAD_EDGE
            found.append(Boundary("edge:{}:{}:{}".format(*section, number), type_, polyline))
    return found


def _edge(piece: LanePiece, left_of_s: bool) -> tuple[Polyline, tuple[RoadMark, ...]]:
    """A lane's edge on one side of the road, and what is painted on it."""
    if left_of_s == piece.forward:
        return piece.left, piece.left_marks
    return piece.right, piece.right_marks

"""Joins lanes end to end: across sections, roads, junctions and direct junctions.

The file joins ends of lanes without regard to traffic; here each joint becomes "a continues in
b" where a's travel ends and b's begins, both of them know of it, and the ends really meet.
Lanes that were left out (no length or no width) are bridged: what they join is joined directly.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from gigalane.maps.importers.opendrive.lanes import Key, LanePiece, Span, spans
from gigalane.maps.importers.opendrive.records import (
    ConnectionRecord,
    Document,
    JunctionRecord,
    RoadRecord,
)

Array = NDArray[np.float64]

End = tuple[Key, str]
"""One end of a lane along s: "start" or "end"."""

MAXIMUM_GAP = 1.0
"""Farthest apart the cross-sections of joined ends may lie [m]."""
MAXIMUM_KINK = np.cos(np.pi / 3.0)
"""Least cosine of the angle between joined lanes: beyond 60 degrees no car follows."""


def join_lanes(
    pieces: dict[Key, LanePiece], document: Document
) -> tuple[dict[Key, tuple[Key, ...]], dict[Key, tuple[Key, ...]]]:
    """Finds what continues in what.

    Args:
        pieces: the lanes that have a surface.
        document: the file; gets warnings.

    Returns:
        Successors and predecessors of each lane in its direction of travel; b is among a's
        successors exactly if a is among b's predecessors.
    """
    joints: dict[End, set[End]] = defaultdict(set)
    for one, other in _joints(document):
        if one != other:
            joints[one].add(other)
            joints[other].add(one)
    _bridge(joints, pieces)
    successors: dict[Key, list[Key]] = {key: [] for key in pieces}
    predecessors: dict[Key, list[Key]] = {key: [] for key in pieces}
    apart = 0
    for key, piece in pieces.items():
        exit_ = "end" if piece.forward else "start"
        for other, entered in sorted(joints[key, exit_]):
            following = pieces[other]
            if (entered == "start") != following.forward:
                continue  # two exits meet: opposing traffic, or a lane that both ways may use
            if not _meet(piece, following):
                apart += 1
                continue
            successors[key].append(other)
            predecessors[other].append(key)
    if apart:
        document.warn("links", f"{apart} joined lanes do not meet; their links are left out")
    return (
        {key: tuple(found) for key, found in successors.items()},
        {key: tuple(sorted(found)) for key, found in predecessors.items()},
    )


def _bridge(joints: dict[End, set[End]], pieces: dict[Key, LanePiece]) -> None:
    """Takes lanes without a surface out of the graph, joining their two sides."""
    absent = {key for key, _ in list(joints) if key not in pieces}
    for key in sorted(absent):
        before = joints.pop((key, "start"), set()) - {(key, "start"), (key, "end")}
        after = joints.pop((key, "end"), set()) - {(key, "start"), (key, "end")}
        for end in before | after:
            joints[end] -= {(key, "start"), (key, "end")}
        for one in before:
            for other in after:
                if one != other:
                    joints[one].add(other)
                    joints[other].add(one)


def _meet(piece: LanePiece, following: LanePiece) -> bool:
    """Whether a lane's last cross-section touches the next one's first, without a sharp kink.

    Touching at a corner is enough: a lane that opens or ends beside the other shares one edge
    with it, and two lanes that run into one are both continued by it.
    """
    ends = piece.left[-1], piece.right[-1]
    begins = following.left[0], following.right[0]
    gap = min(
        *(_distance(point, *begins) for point in ends),
        *(_distance(point, *ends) for point in begins),
    )
    if gap > MAXIMUM_GAP:
        return False
    return float(_direction(piece, -1) @ _direction(following, 0)) >= MAXIMUM_KINK


def _distance(point: Array, one: Array, other: Array) -> float:
    """Distance from a point to the straight between two points [m]."""
    along = other - one
    fraction = (point - one) @ along / max(float(along @ along), 1e-12)
    return float(np.linalg.norm(one + min(max(fraction, 0.0), 1.0) * along - point))


def _direction(piece: LanePiece, row: int) -> Array:
    """Unit direction of travel (2,) at a lane's first (0) or last (-1) cross-section."""
    # Across a lane is steadier than along it, where a piece is centimetres long.
    across = piece.left[row, :2] - piece.right[row, :2]
    width = float(np.linalg.norm(across))
    if width < 0.1:
        center = piece.center[:, :2]
        along = center[1] - center[0] if row == 0 else center[-1] - center[-2]
        return along / max(float(np.linalg.norm(along)), 1e-9)
    return np.array([across[1], -across[0]]) / width


def _joints(document: Document) -> Iterator[tuple[End, End]]:
    """Every pair of lane ends that the file joins."""
    sides = {
        (road.id, side): spans(road, side, float("inf"))
        for road in document.roads.values()
        for side in (1, -1)
    }
    for road in document.roads.values():
        for side in (1, -1):
            yield from _inside_road(road, sides[road.id, side])
            for contact in ("start", "end"):
                yield from _between_roads(road, contact, side, sides)
    for junction in document.junctions.values():
        for connection in junction.connections:
            yield from _through_junction(junction, connection, document.roads, sides)


_Sides = dict[tuple[str, int], list[Span]]


def _inside_road(road: RoadRecord, along: list[Span]) -> Iterator[tuple[End, End]]:
    """Joints between consecutive sections of one side."""
    for before, after in pairwise(along):
        here, there = before.section, after.section
        pairs = {(lane.id, other) for lane in before.lanes for other in lane.successors}
        pairs |= {(other, lane.id) for lane in after.lanes for other in lane.predecessors}
        for lane, other in sorted(pairs):
            if lane in here.lanes and other in there.lanes:
                yield ((road.id, here.index, lane), "end"), ((road.id, there.index, other), "start")


def _between_roads(
    road: RoadRecord, contact: str, side: int, sides: _Sides
) -> Iterator[tuple[End, End]]:
    """Joints from one end of a road to the road that it names there."""
    link = road.predecessor if contact == "start" else road.successor
    along = sides[road.id, side]
    if link is None or link.element_type != "road" or not along:
        return
    span = along[0 if contact == "start" else -1]
    for lane in span.lanes:
        for other in lane.predecessors if contact == "start" else lane.successors:
            here = ((road.id, span.section.index, lane.id), contact)
            for there in _road_end(link.element_id, other, link.contact, sides):
                yield here, there


def _through_junction(
    junction: JunctionRecord,
    connection: ConnectionRecord,
    roads: dict[str, RoadRecord],
    sides: _Sides,
) -> Iterator[tuple[End, End]]:
    """Joints from an incoming road to a connecting road, or in a direct junction to a road."""
    incoming = roads.get(connection.incoming_road)
    connecting = roads.get(connection.connecting_road)
    if incoming is None or connecting is None:
        return
    # The connecting road says which end of the incoming road it touches; in a direct junction,
    # and where it does not say, the incoming road says which of its ends is at the junction.
    link = connecting.predecessor if connection.contact == "start" else connecting.successor
    if link is not None and link.element_type == "road" and link.element_id == incoming.id:
        contact = link.contact
    else:
        contact = _contact_at(incoming, junction.id)
    for lane, other in connection.lane_links:
        for here in _road_end(incoming.id, lane, contact, sides):
            for there in _road_end(connecting.id, other, connection.contact, sides):
                yield here, there


def _contact_at(road: RoadRecord, junction: str) -> str:
    """Which end of a road is joined to a junction; empty where that is none or both."""
    at_start, at_end = (
        link is not None and link.element_type == "junction" and link.element_id == junction
        for link in (road.predecessor, road.successor)
    )
    if at_start == at_end:
        return ""
    return "start" if at_start else "end"


def _road_end(road: str, lane: int, contact: str, sides: _Sides) -> Iterator[End]:
    """A lane at one end of a road; at both ends where the file does not say which.

    A wrong guess does no harm: its ends do not meet, and joints that do not meet are dropped.
    """
    along = sides.get((road, 1 if lane > 0 else -1), [])
    for end in (contact,) if contact in ("start", "end") else ("start", "end"):
        if along:
            section = along[0 if end == "start" else -1].section
            if lane in section.lanes:
                yield (road, section.index, lane), end

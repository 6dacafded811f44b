"""Lines that drivers stop at, and crossings that pedestrians use.

Every lane that a light, stop or yield sign holds back before a junction gets one stop line of
its own, straight across it: where the file paints one shortly before the lane's end (an object
named like CARLA's "StopLine", or sign 294, the German stop line), else across the lane's end.
Lines painted beyond the lane's end, inside the junction, move back to the end, so that a line
always crosses the lanes that lead to it. CARLA's "Stencil_STOP" is the word, not the line.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from gigalane.maps.importers.opendrive.lanes import MAXIMUM_COORDINATE, Key, LanePiece
from gigalane.maps.importers.opendrive.records import ObjectRecord, SignalRecord
from gigalane.maps.importers.opendrive.reference_line import ReferenceLine
from gigalane.maps.importers.opendrive.signals import Governed, Network, lanes_of
from gigalane.maps.road import Crossing, Signal, SignalType, StopLine, StopRule

Array = NDArray[np.float64]

MAXIMUM_SETBACK = 15.0
"""Farthest before the end of a lane that a painted line still guards it [m] (chosen)."""
CROSSING_DEPTH = 4.0
"""How wide a painted crossing without a size is, along the road [m] (chosen)."""

_RULES = {
    SignalType.TRAFFIC_LIGHT: StopRule.LIGHT,
    SignalType.STOP: StopRule.STOP,
    SignalType.YIELD: StopRule.YIELD,
}
"""Strongest first: with a light at hand, signs beside it count only when it is off."""


def place_stop_lines(
    network: Network, signals: list[Signal], governed: dict[str, Governed]
) -> list[StopLine]:
    """One stop line for every lane that is held back before a junction."""
    heeded: dict[Key, list[Signal]] = {}
    junctions: dict[Key, str] = {}
    for signal in signals:
        if signal.type in _RULES:
            for key, junction in governed[signal.id].approaches.items():
                heeded.setdefault(key, []).append(signal)
                junctions.setdefault(key, junction)
    painted, signed = _painted_lines(network), _signed_lines(network)
    found = []
    for key, all_signals in heeded.items():
        type_ = next(t for t in _RULES if any(s.type is t for s in all_signals))
        piece = network.pieces[key]
        found.append(
            StopLine(
                id=f"stop:{piece.id}",
                rule=_RULES[type_],
                polyline=_line_across(piece, painted, signed.get(key)),
                lanes=(piece.id,),
                signals=tuple(s.id for s in all_signals if s.type is type_),
                junction=junctions[key],
            )
        )
    return found


def _painted_lines(network: Network) -> Array:
    """Ends of every stop line that is an object, in plan view, (K, 2, 2) [m]."""
    found = []
    for road in network.document.roads.values():
        line = network.lines[road.id]
        for record in road.objects:
            words = f"{record.name} {record.type} {record.subtype}".lower()
            if "stopline" in words.replace("_", "").replace("-", "").replace(
                "stop line", "stopline"
            ):
                corners = _outline(line, record)[:, :2]
                found.append(_longest_chord(corners))
    return np.array(found).reshape(-1, 2, 2)


def _longest_chord(corners: Array) -> Array:
    """The two corners that lie farthest apart, (2, 2)."""
    apart = np.linalg.norm(corners[:, None] - corners[None], axis=-1)
    return corners[list(np.unravel_index(int(apart.argmax()), apart.shape))]


def _signed_lines(network: Network) -> dict[Key, float]:
    """Where stop lines given as sign 294 lie along the road [m], by the lanes they are for.

    Writers disagree whether its t is an end or the middle of the line, so lanes are told by
    direction and validity alone.
    """
    return {
        piece.key: record.s
        for road in network.document.roads.values()
        for record in road.signals
        if record.type == "294"
        for piece in lanes_of(network, road, record)
    }


def _line_across(piece: LanePiece, painted: Array, signed: float | None) -> Array:
    """Ends of a lane's stop line, the driver's left first, (2, 3) [m]."""
    center = piece.center[:, :2]
    steps = np.linalg.norm(np.diff(center, axis=0), axis=1)
    arc = np.concatenate([[0.0], np.cumsum(steps)])
    lines = [_crossing_of(center, arc, one, other) for one, other in painted]
    if signed is not None:
        order = slice(None) if piece.forward else slice(None, None, -1)
        lines.append(float(np.interp(signed, piece.s[order], arc[order])))
    near = [line for line in lines if line is not None and arc[-1] - line <= MAXIMUM_SETBACK]
    stop = min(near, default=arc[-1])
    row = min(int(np.searchsorted(arc, stop, side="right")) - 1, len(arc) - 2)
    share = (stop - arc[row]) / max(steps[row], 1e-9)
    edges = np.stack([piece.left, piece.right])
    return edges[:, row] + share * (edges[:, row + 1] - edges[:, row])


def _crossing_of(center: Array, arc: Array, one: Array, other: Array) -> float | None:
    """Arc length [m] at which a polyline (N, 2) crosses the straight one-other, or None."""
    across = other - one
    normal = np.array([-across[1], across[0]])
    side = (center - one) @ normal
    for row in np.flatnonzero(np.sign(side[:-1]) * np.sign(side[1:]) < 0):
        share = side[row] / (side[row] - side[row + 1])
        point = center[row] + share * (center[row + 1] - center[row])
        along = (point - one) @ across / max(float(across @ across), 1e-12)
        if 0.0 <= along <= 1.0:
            return float(arc[row] + share * (arc[row + 1] - arc[row]))
    return None


def place_crossings(network: Network) -> list[Crossing]:
    """Pedestrian crossings: crosswalk objects, and painted crossings given as signal 1000003."""
    found: dict[str, Crossing] = {}
    for road in network.document.roads.values():
        line = network.lines[road.id]
        outlines = [
            (record.id, _outline(line, record))
            for record in road.objects
            if record.type.lower() == "crosswalk"
        ]
        outlines += [
            (record.id, _painted_crossing(line, record))
            for record in road.signals
            if record.type == "1000003"
        ]
        for identity, outline in outlines:
            name = identity if identity and identity not in found else f"{road.id}:{identity}"
            if len(outline) < 3 or not (np.abs(outline) < MAXIMUM_COORDINATE).all():
                place = f'road "{road.id}", crossing "{identity}"'
                network.document.warn(place, "has no area; left out")
            else:
                found.setdefault(name, Crossing(name, outline))
    return list(found.values())


def _outline(line: ReferenceLine, record: ObjectRecord) -> Array:
    """An object's corners (N, 3) [m], map frame, not closed; a box where it has no outline."""
    if record.corners_road:
        corners = np.array([line.point(s, t, h)[0] for s, t, h in record.corners_road])
    else:
        center, heading = line.point(record.s, record.t, record.z_offset)
        turn = heading + record.heading
        local = np.array(record.corners_local or _box(record))
        cosine, sine = math.cos(turn), math.sin(turn)
        turned = local @ np.array([[cosine, sine, 0.0], [-sine, cosine, 0.0], [0.0, 0.0, 1.0]])
        corners = center + turned
    closed = len(corners) > 1 and np.allclose(corners[0, :2], corners[-1, :2], atol=1e-6)
    return corners[:-1] if closed else corners


def _box(record: ObjectRecord) -> list[tuple[float, float, float]]:
    """Corners of a box from an object's length (along u) and width (along v)."""
    u, v = record.length / 2.0, record.width / 2.0
    return [(-u, -v, 0.0), (u, -v, 0.0), (u, v, 0.0), (-u, v, 0.0)]


def _painted_crossing(line: ReferenceLine, record: SignalRecord) -> Array:
    """A crossing painted across the road around (s, t), (4, 3) [m]; its value is its depth."""
    depth = record.value if record.value is not None and record.value > 0.5 else CROSSING_DEPTH
    half_width = max(record.width, CROSSING_DEPTH) / 2.0
    begin = min(max(record.s - depth / 2.0, 0.0), max(line.length - depth, 0.0))
    corners = [
        (begin, record.t - half_width),
        (begin + depth, record.t - half_width),
        (begin + depth, record.t + half_width),
        (begin, record.t + half_width),
    ]
    return np.array([line.point(s, t)[0] for s, t in corners])

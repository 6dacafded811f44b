"""Cuts a road's lane sections into lanes with sampled edges.

A lane section is a stack of lanes left and right of the centre lane, each with a width (or an
outer border) over s (ASAM OpenDRIVE 1.8 section 11). Here every lane of a section gets the same
cross-sections, close enough together that straight pieces between them stay within a
centimetre of the true edge and turn by less than a degree.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from gigalane.maps.importers.opendrive.marks import marks_along
from gigalane.maps.importers.opendrive.records import (
    Cubics,
    Document,
    LaneRecord,
    RoadRecord,
    SectionRecord,
)
from gigalane.maps.importers.opendrive.reference_line import ReferenceLine
from gigalane.maps.road import LaneType, MapError, RoadMark

Array = NDArray[np.float64]

MAXIMUM_SPACING = 2.0
"""Farthest apart two cross-sections are on the lane farthest out [m]."""
MAXIMUM_TURN = math.radians(0.9)
"""Most that a lane turns between cross-sections [rad]: a vertex at the joint of a straight and
a curve then still shows the heading to half a degree, however a reader averages it."""
MAXIMUM_SAG = 0.01
"""Farthest a chord may pass above or below the road [m]; in plan the turn bounds it tighter."""
MINIMUM_LENGTH = 0.02
"""Shorter lane sections [m] have no usable direction; they are left out and bridged by links."""
MINIMUM_STEP = 0.01
"""Record boundaries closer than this to another [m] get no cross-section of their own."""
MINIMUM_WIDTH = 0.01
"""A lane nowhere wider than this [m] has no surface."""
MAXIMUM_COORDINATE = 1e8
"""Farthest from the origin a lane may lie [m]; projections of the Earth stay below 5e7."""
MAXIMUM_POINTS = 20_000_000
"""Most lane points of a map; the largest CARLA town needs half a million."""

_LANE_TYPES = {type_.value.replace("_", "").lower(): type_ for type_ in LaneType} | {
    "biking": LaneType.BICYCLE,
    "walking": LaneType.SIDEWALK,
    "mwyentry": LaneType.ENTRY,
    "mwyexit": LaneType.EXIT,
    "tram": LaneType.RAIL,
    "taxi": LaneType.BUS,
    "hov": LaneType.DRIVING,
    "shared": LaneType.DRIVING,
    "sliplane": LaneType.DRIVING,
    "roadworks": LaneType.RESTRICTED,
    "special1": LaneType.SPECIAL,
    "special2": LaneType.SPECIAL,
    "special3": LaneType.SPECIAL,
}
"""The spellings of 1.4 to 1.8 (section 11.8.1), lower case, beside `LaneType`'s own."""

Key = tuple[str, int, int]
"""A lane in the file: road id, index of the lane section, lane id."""


@dataclass(slots=True, eq=False)
class LanePiece:
    """A lane of one section, sampled; the lines run in the direction of travel.

    Attributes:
        key: which lane of the file it is.
        type: what it is for.
        forward: whether travel runs along the road's s.
        s: s of each cross-section in the order of the lines [m], shape (N,).
        left: driver's left edge, (N, 3) [m], map frame.
        right: driver's right edge, (N, 3) [m], map frame.
        left_neighbor: the lane beside it on the left that runs the same way, or None.
        right_neighbor: likewise on the right.
        left_marks: painted stretches of the left edge.
        right_marks: painted stretches of the right edge.
        speed_limit: [m/s], or None.
        junction: id of the junction it lies in, or None.
    """

    key: Key
    type: LaneType
    forward: bool
    s: Array
    left: Array
    right: Array
    left_marks: tuple[RoadMark, ...]
    right_marks: tuple[RoadMark, ...]
    speed_limit: float | None
    junction: str | None
    left_neighbor: Key | None = None
    right_neighbor: Key | None = None

    @property
    def id(self) -> str:
        """The lane's id in the map: "road:section:lane"."""
        return "{}:{}:{}".format(*self.key)

    @property
    def center(self) -> Array:
        """Midline, (N, 3) [m], map frame."""
        return (self.left + self.right) * 0.5


@dataclass(frozen=True, slots=True)
class Span:
    """A lane section on one side of the road, and the stretch of s it is valid for [m]."""

    section: SectionRecord
    side: int
    start: float
    end: float

    @property
    def lanes(self) -> list[LaneRecord]:
        """Its lanes from the centre outwards; ids need not be without gaps."""
        records = self.section.lanes.values()
        return sorted((r for r in records if r.id * self.side > 0), key=lambda r: abs(r.id))


def spans(road: RoadRecord, side: int, end: float) -> list[Span]:
    """The lane sections of one side (+1 left, -1 right), in order of s.

    A section marked `singleSide` that has no lane on this side does not interrupt it.
    """
    sections = [
        section
        for section in road.sections
        if not section.single_side or any(lane * side > 0 for lane in section.lanes)
    ]
    ends = [section.s for section in sections[1:]] + [end]
    return [
        Span(section, side, max(section.s, 0.0), min(stop, end))
        for section, stop in zip(sections, ends, strict=True)
    ]


def travels_forward(road: RoadRecord, lane: LaneRecord) -> bool:
    """Whether traffic on a lane runs along s: right lanes where traffic keeps right (10.2)."""
    forward = (lane.id < 0) != road.left_hand_traffic
    return forward != (lane.direction == "reversed")


def lane_type(record: LaneRecord, document: Document, place: str) -> LaneType:
    """The lane's type; unknown ones become NONE with a warning."""
    found = _LANE_TYPES.get(record.type.strip().replace("_", "").lower())
    if found is None:
        document.warn(place, f"lane type {record.type[:40]!r} is unknown; taken as none")
        return LaneType.NONE
    if found is LaneType.DRIVING and record.direction == "both":
        return LaneType.BIDIRECTIONAL
    return found


def sample_road(
    road: RoadRecord, line: ReferenceLine, document: Document, budget: int
) -> Iterator[LanePiece]:
    """Every lane of a road that has a surface.

    Args:
        road: the road.
        line: its reference line.
        document: gets warnings.
        budget: how many lane points may still be made.

    Raises:
        MapError: the numbers make a lane that is not finite, or more points than the budget.
    """
    for side in (1, -1):
        for span in spans(road, side, line.length):
            if span.end - span.start < MINIMUM_LENGTH or not span.lanes:
                continue
            pieces = _sample_span(road, line, span, document, budget)
            budget -= sum(3 * len(piece.s) for piece in pieces)
            yield from pieces


def _sample_span(
    road: RoadRecord, line: ReferenceLine, span: Span, document: Document, budget: int
) -> list[LanePiece]:
    """The lanes of one side of one section."""
    place = f'road "{road.id}", lane section {span.section.index}'
    edges = _Edges(road, span)
    s, within = _stations(line, edges, span, document.file, place, budget)
    origin, across, up, _ = line.frame(s, within)
    offset, height = edges.offsets(s, within, line.superelevation)
    points = origin + offset[..., None] * across + height[..., None] * up
    if not (np.abs(points) < MAXIMUM_COORDINATE).all():  # also catches what is not a number
        raise MapError(document.file, place, "runs off to infinity; check its numbers")
    return _pieces(road, span, s, points, document, place)


class _Edges:
    """Lateral positions of the edges of a span's lanes, from the centre outwards."""

    def __init__(self, road: RoadRecord, span: Span) -> None:
        self.road, self.span, self.lanes = road, span, span.lanes

    @property
    def profiles(self) -> list[Cubics]:
        """Every polynomial over the offset from the section's start that shapes an edge."""
        return [p for lane in self.lanes for p in (lane.width or lane.border,) if p is not None]

    def offsets(self, s: Array, within: Array, superelevation: Cubics) -> tuple[Array, Array]:
        """Edge positions t [m] and heights above the rolled plane [m], both (lanes + 1, N)."""
        d, inside = s - self.span.section.s, within - self.span.section.s
        centre = self.road.lane_offset.value(s, within)
        offsets, heights = [centre], [np.zeros_like(centre)]
        for lane in self.lanes:
            if lane.width is not None:
                width = np.maximum(lane.width.value(d, inside), 0.0)
            elif lane.border is not None:
                # A border counts from the centre lane and may be written without its sign.
                reach = np.abs(lane.border.value(d, inside))
                width = np.maximum(reach - self.span.side * (offsets[-1] - centre), 0.0)
            else:
                width = np.zeros_like(centre)
            step, rise = self.span.side * width, np.zeros_like(centre)
            if lane.level:  # keeps the height of its inner edge: undoes the roll over its width
                roll = superelevation.value(s, within)
                step, rise = step * np.cos(roll), -step * np.sin(roll)
            offsets.append(offsets[-1] + step)
            heights.append(heights[-1] + rise)
        return np.stack(offsets), np.stack(heights)

    def motion(self, s: Array) -> tuple[Array, Array, Array]:
        """How the edges move at most: |t| [m], sum of |slopes|, sum of |second derivatives|."""
        d = s - self.span.section.s
        reach = np.abs(self.road.lane_offset.value(s))
        slope = np.abs(self.road.lane_offset.slope(s))
        bend = np.abs(self.road.lane_offset.bend(s))
        for profile in self.profiles:
            reach = reach + np.abs(profile.value(d))
            slope = slope + np.abs(profile.slope(d))
            bend = bend + np.abs(profile.bend(d))
        return reach, slope, bend


def _stations(
    line: ReferenceLine, edges: _Edges, span: Span, file: str, place: str, budget: int
) -> tuple[Array, Array]:
    """Where to cut cross-sections [m], and for each a place inside the records to use there."""
    breaks = _breaks(line, edges, span)
    begin, length = breaks[:-1], np.diff(breaks)
    # Curvature and second derivatives are linear between breaks, or nearly, so their extremes
    # are at the ends; the samples stay inside so that no neighbouring record answers.
    s = begin[:, None] + length[:, None] * np.array([1e-6, 0.25, 0.5, 0.75, 1.0 - 1e-6])
    shape = s.shape
    curvature = np.abs(line.plan(s.ravel()).curvature.reshape(shape))
    reach, slope, bend = edges.motion(s)
    roll_bend = np.abs(line.superelevation.bend(s)) * reach
    sag_bend = np.abs(line.elevation.bend(s)) + roll_bend
    stretch = np.hypot(1.0 + curvature * reach, slope)
    rate = np.maximum(stretch / MAXIMUM_SPACING, (curvature + bend) / MAXIMUM_TURN)
    rate = np.maximum(rate, np.sqrt(sag_bend / (8.0 * MAXIMUM_SAG))).max(axis=1)
    # No finer than the least step, so that a kink costs points, not the map.
    count = np.maximum(np.ceil(np.minimum(rate * length, length / MINIMUM_STEP)), 1.0)
    if not count.sum() * 3 * len(edges.lanes) <= budget:
        raise MapError(file, place, "asks for more points than any map needs; check its numbers")
    steps = count.astype(np.int64)
    piece = np.repeat(np.arange(len(steps)), steps)
    order = np.arange(len(piece)) - np.repeat(np.cumsum(steps) - steps, steps)
    s = begin[piece] + order * (length / steps)[piece]
    # A vertex on a record boundary starts the later record; the last one ends the span's own.
    nudge = 1e-7
    return np.append(s, span.end), np.append(s + nudge, span.end - nudge)


def _breaks(line: ReferenceLine, edges: _Edges, span: Span) -> Array:
    """Ends of the span and every record boundary inside it, ascending, none too close."""
    starts = [line.starts, line.hints, line.elevation.start, line.superelevation.start]
    starts.append(edges.road.lane_offset.start)
    starts += [profile.start + span.section.s for profile in edges.profiles]
    inner = np.unique(np.concatenate(starts))
    inner = inner[(inner > span.start + MINIMUM_STEP) & (inner < span.end - MINIMUM_STEP)]
    kept = [span.start]
    for s in inner.tolist():
        if s - kept[-1] > MINIMUM_STEP:
            kept.append(s)
    return np.array([*kept, span.end])


def _pieces(
    road: RoadRecord, span: Span, s: Array, points: Array, document: Document, place: str
) -> list[LanePiece]:
    """Turns edge lines (lanes + 1, N, 3) along s into lanes in their direction of travel."""
    widths = np.linalg.norm(np.diff(points, axis=0), axis=-1).max(axis=1)
    centre = span.section.lanes.get(0)
    records = span.lanes
    pieces: list[LanePiece] = []
    for index, record in enumerate(records):
        if widths[index] < MINIMUM_WIDTH:
            continue
        forward = travels_forward(road, record)
        inner_record = records[index - 1] if index else centre
        # With the centre lane behind it, a lane's inner edge is on its left when side and
        # direction disagree: right lanes driven along s, left lanes driven against it.
        inner_is_left = (span.side < 0) == forward
        order = slice(None) if forward else slice(None, None, -1)
        inner = points[index][order].copy()
        outer = points[index + 1][order].copy()
        inner_marks = marks_along(inner_record, span, s[order], inner, forward)
        outer_marks = marks_along(record, span, s[order], outer, forward)
        left, right = (inner, outer) if inner_is_left else (outer, inner)
        marks = (inner_marks, outer_marks) if inner_is_left else (outer_marks, inner_marks)
        pieces.append(
            LanePiece(
                key=(road.id, span.section.index, record.id),
                type=lane_type(record, document, f"{place}, lane {record.id}"),
                forward=forward,
                s=s[order],
                left=left,
                right=right,
                left_marks=marks[0],
                right_marks=marks[1],
                speed_limit=_speed_limit(road, record, span),
                junction=road.junction,
            )
        )
    _join_neighbors(pieces, span.side)
    return pieces


def _join_neighbors(pieces: list[LanePiece], side: int) -> None:
    """Tells lanes that lie side by side and run the same way about each other."""
    for inner, outer in pairwise(pieces):
        if inner.forward != outer.forward:
            continue
        if (side < 0) == inner.forward:
            inner.right_neighbor, outer.left_neighbor = outer.key, inner.key
        else:
            inner.left_neighbor, outer.right_neighbor = outer.key, inner.key


def _speed_limit(road: RoadRecord, record: LaneRecord, span: Span) -> float | None:
    """The lane's own limit where it has one, else the road's, at the middle of the span."""
    middle = (span.start + span.end) / 2.0
    own = [r.limit for r in record.speeds if r.s <= middle - span.section.s]
    if own and own[-1] is not None:
        return own[-1]
    general = [r.limit for r in road.speeds if r.s <= middle]
    return general[-1] if general else None

"""What is painted on a road or stands beside it: marks, arrows, crossings, stop lines, signs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import shapely

from gigalane.maps.paint import DASH, LINES, SHORT_DASH, STOP_LINE_WIDTH, zebra_bars
from gigalane.maps.polyline import section
from gigalane.maps.road import (
    BoundaryType,
    Lane,
    MarkType,
    RoadMap,
    RoadMark,
    SignalType,
    StopRule,
)
from gigalane.viewer.map_levels import Decks
from gigalane.viewer.shape import MapShape, Points, offset, placed, pose_at

NARROW = 1.8
"""Lanes narrower than this have no arrows [m]; they are opening or closing."""
JOINT = 0.1
"""Marks this close end to end are one line [m]."""
TURN = np.radians(25.0)
"""Change of heading over a junction lane from which on it is a turn; chosen."""


def boundary_lines(road_map: RoadMap, decks: Decks) -> Iterator[MapShape]:
    """Where the drivable surface ends."""
    look = {
        BoundaryType.ROAD_EDGE: ("edge", 0.12),
        BoundaryType.CURB: ("curb", 0.16),
        BoundaryType.BARRIER: ("barrier", 0.3),
    }
    for boundary in road_map.boundaries:
        role, width = look[boundary.type]
        for piece, level in decks.runs(boundary.polyline):
            yield MapShape(role, (piece[:, :2],), False, width, level=level)


def painted_lines(road_map: RoadMap, decks: Decks) -> Iterator[MapShape]:
    """Painted lines between lanes; one that two lanes share is drawn once.

    Where the source has no marks at all, lanes are told apart by broken lines between
    neighbours that run the same way.
    """
    seen: set[tuple[float, ...]] = set()
    has_marks = any(lane.left_marks or lane.right_marks for lane in road_map.lanes)
    for lane in road_map.lanes:
        if not lane.is_drivable:
            continue  # a line at the edge of the road is the road's
        sides = ((lane.left_boundary, lane.left_marks), (lane.right_boundary, lane.right_marks))
        if not has_marks and lane.left_neighbor and lane.is_routable:
            sides = ((lane.left_boundary, (RoadMark(0.0, np.inf, MarkType.BROKEN),)),)
        for line, marks in sides:
            for mark in _joined(marks):
                painted = section(line, mark.start, mark.end)
                key = _place(painted)
                if mark.type is MarkType.NONE or not len(painted) or key in seen:
                    continue
                seen.add(key)
                for piece, level in decks.runs(painted):
                    yield from _mark_shapes(piece, mark, level)


def _joined(marks: tuple[RoadMark, ...]) -> Iterator[RoadMark]:
    """Marks with those of one look that follow one another made one, so that dashes go on."""
    last: RoadMark | None = None
    for mark in marks:
        if last is not None and abs(mark.start - last.end) < JOINT and _look(mark) == _look(last):
            last = replace(last, end=mark.end)
            continue
        if last is not None:
            yield last
        last = mark
    if last is not None:
        yield last


def _look(mark: RoadMark) -> tuple[MarkType, str, float]:
    return mark.type, mark.color, mark.width


def _place(line: Points) -> tuple[float, ...]:
    """Equal for a line and its reverse: the sides of neighbouring lanes."""
    if not len(line):
        return ()
    ends = sorted([tuple(np.round(line[0], 1)), tuple(np.round(line[-1], 1))])
    return (*ends[0], *ends[1])


def _mark_shapes(line: Points, mark: RoadMark, level: int) -> Iterator[MapShape]:
    role = "curb" if mark.type is MarkType.CURB else f"mark_{mark.color}"
    if role not in ("curb", "mark_yellow", "mark_blue", "mark_red"):
        role = "mark_white"
    dashes = LINES.get(mark.type, (False,))  # a kerb is one line
    for place, is_broken in enumerate(dashes):
        # Two lines of a double mark stand one line's width apart.
        left = (len(dashes) - 1 - 2 * place) * mark.width
        moved = offset(line, left) if left else line
        yield MapShape(role, (moved[:, :2],), False, mark.width, DASH if is_broken else (), level)


def crossing_bars(road_map: RoadMap, decks: Decks) -> Iterator[MapShape]:
    """Zebra bars of every crossing: across the walking direction, the longer side."""
    for crossing in road_map.crossings:
        level = int(decks.levels(crossing.outline).max())
        for bar in zebra_bars(crossing.outline[:, :2]):
            for part in shapely.get_parts(bar):
                if isinstance(part, shapely.Polygon) and part.area > 0.01:
                    ring = shapely.get_coordinates(part.exterior)[:-1]
                    yield MapShape("crossing", (ring,), True, level=level)


def stop_line_shapes(road_map: RoadMap, decks: Decks) -> Iterator[MapShape]:
    """One line for each stop line; yield lines are broken."""
    for index, line in enumerate(road_map.stop_lines):
        dash = SHORT_DASH if line.rule is StopRule.YIELD else ()
        level = int(decks.levels(line.polyline).max())
        yield MapShape(
            "stop_line", (line.polyline[:, :2],), False, STOP_LINE_WIDTH, dash, level, index
        )


def sign_shapes(road_map: RoadMap, decks: Decks) -> Iterator[MapShape]:
    """A small figure where each light, stop sign and yield sign stands."""
    figures = {
        SignalType.TRAFFIC_LIGHT: ("signal", _regular(12, 0.55, 0.0)),
        SignalType.STOP: ("sign_stop", _regular(8, 0.8, np.pi / 8)),
        SignalType.YIELD: ("sign_yield", _regular(3, 0.9, -np.pi / 2)),
    }
    line_of = {s: index for index, line in enumerate(road_map.stop_lines) for s in line.signals}
    for signal in road_map.signals:
        if signal.type in figures:
            role, figure = figures[signal.type]
            level = int(decks.levels(signal.position[None])[0])
            yield MapShape(role, (figure + signal.position[:2],), True, level=level,
                           index=line_of.get(signal.id, -1))  # fmt: skip


def _regular(corners: int, radius: float, first: float) -> Points:
    """A regular polygon around the origin, its first corner at angle `first` [rad]."""
    angle = first + 2 * np.pi * np.arange(corners) / corners
    return radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)


def direction_arrows(road_map: RoadMap, decks: Decks) -> Iterator[MapShape]:
    """Arrows along lanes: which way traffic runs and, before a junction, where it may turn."""
    stops = {name: line.polyline for line in road_map.stop_lines for name in line.lanes}
    for lane in road_map.routable_lanes:
        if lane.is_junction or lane.length < 14.0:
            continue
        end = lane.length
        if lane.id in stops:  # an arrow stands before the line, not on it
            away = np.linalg.norm(lane.centerline[-1] - stops[lane.id].mean(axis=0))
            end -= min(float(away), 20.0)
        # Long roads repeat a straight arrow; those near the junction's arrow would crowd it.
        places = [(s, {0}) for s in np.arange(9.0, end - 40.0, 60.0)]
        if end > 12.0:
            places.append((end - 6.0, _turns(road_map, lane) or {0}))
        for distance, directions in places:
            position, heading = pose_at(lane.centerline, distance)
            left, _ = pose_at(lane.left_boundary, distance)
            right, _ = pose_at(lane.right_boundary, distance)
            width = float(np.linalg.norm((left - right)[:2]))
            if width < NARROW:
                continue
            size = min(width / 3.5, 1.1)
            level = int(decks.levels(position[None])[0])
            for part in _arrow(directions):
                yield MapShape("arrow", (placed(part * size, position, heading),), True,
                               level=level)  # fmt: skip


def _turns(road_map: RoadMap, lane: Lane) -> set[int]:
    """Ways on through the junction ahead: 1 left, 0 straight, -1 right."""
    turns = set()
    for name in lane.successors:
        onward = road_map.lane_by_id.get(name)
        if onward is not None and onward.is_junction and onward.is_routable:
            _, begin = pose_at(onward.centerline, 0.0)
            _, end = pose_at(onward.centerline, np.inf)
            change = (end - begin + np.pi) % (2 * np.pi) - np.pi
            turns.add(0 if abs(change) < TURN else int(np.sign(change)))
    return turns


def _arrow(directions: set[int]) -> Iterator[Points]:
    """Parts of an arrow 4 m long that faces +x, around its middle."""
    half = 0.11
    head = np.array([[0.9, 0.0], [0.0, 0.42], [0.0, -0.42]])
    shaft_end = 1.0 if 0 in directions else 0.55
    yield np.array([[-2.0, half], [shaft_end, half], [shaft_end, -half], [-2.0, -half]])
    if 0 in directions:
        yield head + np.array([1.0, 0.0])
    for side in sorted(directions - {0}):
        arm = np.array([[0.55, -half], [0.55, 0.75], [0.33, 0.75], [0.33, -half]])
        yield arm * [1.0, side]
        tip = np.array([[0.44, 1.35], [0.9, 0.7], [-0.02, 0.7]])
        yield tip * [1.0, side]

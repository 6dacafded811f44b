"""What lies flat: the surfaces of lanes, the lines painted on them, crossings, stop lines.

Each lane becomes as few quadrilaterals as keep its shape; junctions get the same filling
between their lanes that the simulator drives on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import shapely

from gigalane.maps.compile import CompiledMap
from gigalane.maps.paint import DASH, LINES, SHORT_DASH, STOP_LINE_WIDTH, zebra_bars
from gigalane.maps.polyline import arc_lengths, section
from gigalane.maps.road import Lane, LaneType, MarkType, RoadMap, RoadMark, StopRule
from gigalane.maps.surface import corners_of
from gigalane.render.classes import look_of
from gigalane.render.quads import (
    Floats,
    Quads,
    join,
    make_quads,
    sideways,
    strip,
    thinned,
)

LONGEST = 16.0
"""A piece of surface at most [m]; chosen: a bounded grid cell keeps a bounded reach."""
SURFACE_ERROR = 0.06
"""How far a lane's edge may be from its piece's [m]; chosen, half a painted line."""
PAINT_ERROR = 0.03
"""The same for painted lines [m]: a quarter of their width."""

_BESIDE = {
    LaneType.SIDEWALK: "sidewalk",
    LaneType.CURB: "sidewalk",
    LaneType.MEDIAN: "median",
    LaneType.BORDER: "median",
    LaneType.RESTRICTED: "median",
    LaneType.RAIL: "median",
}
"""Class of the lanes that no car drives on; other types show the bare ground."""

"""For each painted pattern its lines from left to right, and whether each is broken."""


def surface_quads(road_map: RoadMap, origin: Floats) -> Quads:
    """What lies beside the road, and road that no route uses: pavements, medians, shoulders.

    Args:
        road_map: the roads.
        origin: of the local frame [m], map frame.
    """
    parts = []
    for lane in road_map.lanes:
        name = "shoulder" if lane.is_drivable else _BESIDE.get(lane.type)
        if name and not lane.is_routable:
            pieces = _pieces(lane.left_boundary, lane.right_boundary, origin)
            parts.append(make_quads(pieces, look_of(name)))
    return join(parts)


def road_quads(road_map: RoadMap, compiled: CompiledMap) -> Quads:
    """The lanes that routes use, and what fills the junctions between them.

    Args:
        road_map: the roads.
        compiled: the same map as the simulator has it.
    """
    parts = [
        make_quads(_pieces(left, right, compiled.origin_map), look_of("road"))
        for left, right in _carriageways(road_map.routable_lanes)
    ]
    filling = compiled.segments[compiled.segments["lane"] < 0]
    if len(filling):
        flat = corners_of(filling)
        height = np.broadcast_to(filling["z"][:, None, None], (*flat.shape[:2], 1))
        parts.append(make_quads(np.concatenate([flat, height], axis=2), look_of("road")))
    return join(parts)


def _carriageways(lanes: Sequence[Lane]) -> Iterator[tuple[Floats, Floats]]:
    """Left and right edge of lanes side by side that share their edges, as one strip each."""
    by_right: dict[bytes, list[int]] = {}
    for number, lane in enumerate(lanes):
        by_right.setdefault(_key(lane.right_boundary), []).append(number)
        by_right.setdefault(_key(lane.left_boundary[::-1]), []).append(-number - 1)
    taken: set[int] = set()
    for number, lane in enumerate(lanes):
        if number in taken:
            continue
        taken.add(number)
        left = _widened(lane.left_boundary, lanes, by_right, taken)
        right = _widened(lane.right_boundary[::-1], lanes, by_right, taken)[::-1]
        yield left, right


def _widened(
    edge: Floats, lanes: Sequence[Lane], by_right: dict[bytes, list[int]], taken: set[int]
) -> Floats:
    """The left edge of the last lane that joins on the left, one after the other."""
    while True:
        beside = [k for k in by_right.get(_key(edge), []) if (k if k >= 0 else -k - 1) not in taken]
        if not beside:
            return edge
        lane = lanes[beside[0] if beside[0] >= 0 else -beside[0] - 1]
        taken.add(beside[0] if beside[0] >= 0 else -beside[0] - 1)
        # One that runs the other way has its left edge here: its right edge is the far one.
        edge = lane.left_boundary if beside[0] >= 0 else lane.right_boundary[::-1]


def _key(line: Floats) -> bytes:
    """Equal for lines whose points are the same to a centimetre."""
    return np.round(line * 100.0).astype(np.int64).tobytes()


def _pieces(left: Floats, right: Floats, origin: Floats) -> Floats:
    left, right = left - origin, right - origin
    rows = thinned([left, right], LONGEST, SURFACE_ERROR)
    return strip(left[rows], right[rows])


def painted_quads(road_map: RoadMap, origin: Floats) -> Quads:
    """Lane marks, crossings and stop lines.

    Args:
        road_map: the roads.
        origin: of the local frame [m], map frame.
    """
    return join([*_marks(road_map, origin), *_crossings(road_map, origin),
                 *_stop_lines(road_map, origin)])  # fmt: skip


def _marks(road_map: RoadMap, origin: Floats) -> Iterator[Quads]:
    """Lane marks; one that two lanes share is painted once.

    Where the source has no marks at all, broken lines tell neighbours apart that run the same
    way, and a solid yellow line those that run against each other is left out.
    """
    seen: set[tuple[float, ...]] = set()
    has_marks = any(lane.left_marks or lane.right_marks for lane in road_map.lanes)
    for lane in road_map.lanes:
        if not lane.is_drivable:
            continue  # a line at the edge of the road is the road's
        sides = [(lane.left_boundary, lane.left_marks), (lane.right_boundary, lane.right_marks)]
        if not has_marks and lane.left_neighbor and lane.is_routable:
            sides = [(lane.left_boundary, (RoadMark(0.0, np.inf, MarkType.BROKEN),))]
        for line, marks in sides:
            for mark in marks:
                painted = section(line, mark.start, mark.end)
                if mark.type not in LINES or not len(painted):
                    continue  # kerbs stand, they are not painted
                ends = sorted(tuple(np.round(painted[k], 1).tolist()) for k in (0, -1))
                key = (*ends[0], *ends[1])
                if key not in seen:
                    seen.add(key)
                    yield from _mark(painted - origin, mark)


def _mark(line: Floats, mark: RoadMark) -> Iterator[Quads]:
    lines = LINES[mark.type]
    aside = sideways(line)
    for place, is_broken in enumerate(lines):
        # Two lines of a double mark stand one line's width apart.
        middle = (len(lines) - 1 - 2 * place) * mark.width
        stretches = [line + middle * aside]
        if is_broken:
            stretches = _dashes(stretches[0], DASH)
        for stretch in stretches:
            rows = stretch[thinned([stretch], LONGEST, PAINT_ERROR)]
            half = 0.5 * mark.width * sideways(rows)
            yield make_quads(strip(rows + half, rows - half), look_of(_mark_class(mark, is_broken)))


def _mark_class(mark: RoadMark, is_broken: bool) -> str:
    pattern = "broken" if is_broken else "solid"
    if mark.color in ("yellow", "orange"):
        return f"mark_yellow_{pattern}"
    return f"mark_{pattern}" if mark.color in ("white", "standard", "") else "mark_other"


def _dashes(line: Floats, dash: tuple[float, float]) -> list[Floats]:
    paint, gap = dash
    starts = np.arange(0.0, arc_lengths(line)[-1], paint + gap)
    return [piece for start in starts if len(piece := section(line, start, start + paint)) > 1]


def _crossings(road_map: RoadMap, origin: Floats) -> Iterator[Quads]:
    """Zebra bars: across the walking direction, which is the longer side of the outline."""
    for crossing in road_map.crossings:
        ring = crossing.outline - origin
        for bar in zebra_bars(ring[:, :2]):
            area = shapely.convex_hull(bar)
            if isinstance(area, shapely.Polygon) and area.area > 0.01:
                flat = shapely.get_coordinates(area.exterior)[:-1]
                yield make_quads(_fan(_on_plane(flat, ring)), look_of("crossing"))


def _on_plane(flat: Floats, ring: Floats) -> Floats:
    """Points (N, 2) with the height of the plane that fits a ring (M, 3) best, (N, 3) [m]."""
    known = np.column_stack([ring[:, :2], np.ones(len(ring))])
    plane = np.linalg.lstsq(known, ring[:, 2], rcond=None)[0]
    return np.column_stack([flat, np.column_stack([flat, np.ones(len(flat))]) @ plane])


def _fan(ring: Floats) -> Floats:
    """A convex ring (N, 3) as quadrilaterals around its first corner."""
    quads = [
        np.stack([ring[0], ring[k], ring[k + 1], ring[min(k + 2, len(ring) - 1)]])
        for k in range(1, len(ring) - 1, 2)
    ]
    return np.stack(quads)


def _stop_lines(road_map: RoadMap, origin: Floats) -> Iterator[Quads]:
    for line in road_map.stop_lines:
        left, right = line.polyline[0] - origin, line.polyline[-1] - origin
        across = right - left
        length = float(np.linalg.norm(across[:2]))
        if length < 0.1:
            continue
        # The front edge is the line itself: who stops before it has not touched the paint's end.
        back = STOP_LINE_WIDTH * np.array([across[1], -across[0], 0.0]) / length
        ends = np.stack([left, right])
        parts = _dashes(ends, SHORT_DASH) if line.rule is StopRule.YIELD else [ends]
        for part in parts:
            yield make_quads(strip(part, part + back), look_of("stop_line"))

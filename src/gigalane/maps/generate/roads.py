"""Lanes, kerbs, parking and sidewalks along one street.

A street's cross-section is measured from its reference line: lanes of the two directions on
either side of a median, or all lanes of a one-way street astride it. Where the number of lanes
changes, a taper joins the two cross-sections: every lane keeps its full width, an added lane
leaves the outermost one and a dropped lane runs into it, so no lane is ever too narrow to drive.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from gigalane.maps.generate import settings as kinds
from gigalane.maps.generate.curves import Curve, direction
from gigalane.maps.generate.draft import Draft, LaneDraft, Mark, Points, beside, blend
from gigalane.maps.generate.layout import (
    TAPER_LENGTH,
    TAPER_MARGIN,
    Layout,
    Pose,
    outward_curb,
)
from gigalane.maps.generate.streets import (
    SIDEWALK_WIDTH,
    VERGE_WIDTH,
    NodeKind,
    Street,
)
from gigalane.maps.road import BoundaryType, LaneType, MarkType, SignalType

STRIP_MARGIN = (8.0, 14.0)
"""Length without parking after a junction and before one [m] (chosen)."""
SHORTEST_STRIP = 14.0
"""Shortest parking lane worth building [m]."""
SPEED_SIGN_HEIGHT = 2.2
"""Height of signs above the ground [m]."""


@dataclass(eq=False)
class Arm:
    """One end of a street, as a junction sees it.

    Attributes:
        street: the street.
        end: 0 at its start, 1 at its end.
        pose: where it ends; its heading leads away from the junction.
        incoming: lanes that end here, driver's left first.
        outgoing: lanes that begin here, driver's left first.
        walks: sidewalks on the (left, right) as seen looking away from the junction. The left
            one leads to the junction, the right one away from it.
        walk_offsets: distance from kerb to sidewalk on the (left, right) [m].
    """

    street: Street
    end: int
    pose: Pose
    incoming: list[LaneDraft]
    outgoing: list[LaneDraft]
    walks: tuple[LaneDraft | None, LaneDraft | None]
    walk_offsets: tuple[float, float]

    def curb(self, side: str) -> Points:
        """The kerb's last point on a side as seen looking away from the junction (2,) [m]."""
        offset = outward_curb(self.street, self.end, side)
        sideways = direction(self.pose.heading + np.pi / 2)
        return self.pose.position + (offset if side == "left" else -offset) * sideways


@dataclass(eq=False)
class Road:
    """A built street: its sections' lanes by direction, and what stands beside them."""

    street: Street
    curve: Curve
    sections: list[tuple[float, float]]
    forward: list[list[LaneDraft]] = field(default_factory=list)
    backward: list[list[LaneDraft]] = field(default_factory=list)
    walks: dict[str, LaneDraft | None] = field(default_factory=dict)

    def arm(self, end: int, pose: Pose) -> Arm:
        """One of its ends as a junction sees it."""
        sections = (self.forward[-end], self.backward[-end])
        sides = ("left", "right") if end == 0 else ("right", "left")
        walks = (self.walks[sides[0]], self.walks[sides[1]])
        offsets = tuple(_walk_offset(self.street, side) for side in sides)
        outgoing, incoming = sections if end == 0 else sections[::-1]
        return Arm(self.street, end, pose, incoming, outgoing, walks, (offsets[0], offsets[1]))


def _walk_offset(street: Street, side: str) -> float:
    strip = street.strip(side)
    return VERGE_WIDTH + (strip.width if strip else 0.0)


def build_road(rng: Generator, draft: Draft, layout: Layout, street: Street) -> Road:
    """Draws a street's lanes and everything beside them into the draft."""
    curve = layout.curves[street.index]
    road = Road(street, curve, _sections(rng, street, curve.length))
    speed = posted_speed(street, curve)
    for number, (start, end) in enumerate(road.sections):
        _lanes(draft, road, number, start, end, speed)
    if len(road.sections) == 2:
        _taper(draft, road, 0, speed)
        if not street.is_one_way:
            _taper(draft, road, 1, speed)
    for side in ("right", "left"):
        strips = _strips(draft, road, side)
        _curb(draft, road, side, strips)
        road.walks[side] = _sidewalk(draft, road, side)
    _median(draft, road)
    _speed_signs(draft, road, speed)
    _crossing_between(rng, draft, layout, road)
    return road


def posted_speed(street: Street, curve: Curve) -> float:
    """The limit [m/s]: what its class allows, lowered to a step of 10 km/h that bends allow."""
    safe = 3.6 * np.sqrt(kinds.BEND_ACCELERATION * curve.tightest_radius)
    return max(20.0, 10.0 * np.floor(min(street.speed_kmh, safe) / 10.0 + 1e-9)) / 3.6


def _sections(rng: Generator, street: Street, length: float) -> list[tuple[float, float]]:
    """One section, or the two on either side of a taper: (start, end) [m]."""
    changed = max(abs(a - b) for a, b in zip(*street.lanes, strict=True))
    if not changed:
        return [(0.0, length)]
    most = length - 2 * TAPER_MARGIN
    taper = min(1.5 * TAPER_LENGTH * changed, most)
    start = TAPER_MARGIN + rng.uniform(0.2, 0.8) * (most - taper)
    return [(0.0, start), (start + taper, length)]


def _edges(street: Street, section: int, way: int, lane: int) -> tuple[float, float]:
    """Offsets of a lane's driver's left and right edge from the reference line [m]."""
    width = street.lane_width
    count = street.lanes[_end_of(street, section)][way]
    inner = -0.5 * count * width if street.is_one_way else 0.5 * street.median
    left, right = inner + lane * width, inner + (lane + 1) * width
    return (-left, -right) if way == 0 else (left, right)


def _end_of(street: Street, section: int) -> int:
    return 0 if section == 0 else 1


def _ribbon(
    curve: Curve,
    stations: NDArray[np.float64],
    left: float | NDArray[np.float64],
    right: float | NDArray[np.float64],
    way: int,
) -> tuple[Points, Points, Points, NDArray[np.float64]]:
    """Midline, left and right edge and headings of a strip between two offsets, as driven."""
    left_points, right_points = curve.beside(stations, left), curve.beside(stations, right)
    _, headings = curve.at(stations)
    center = 0.5 * (left_points + right_points)
    if way == 1:
        return center[::-1].copy(), left_points[::-1], right_points[::-1], headings[::-1] + np.pi
    return center, left_points, right_points, headings


def _lanes(draft: Draft, road: Road, number: int, start: float, end: float, speed: float) -> None:
    """The driving lanes of one section."""
    street = road.street
    stations = road.curve.knots(start, end)
    for way, rows in ((0, road.forward), (1, road.backward)):
        lanes: list[LaneDraft] = []
        count = street.lanes[_end_of(street, number)][way]
        for index in range(count):
            ribbon = _ribbon(road.curve, stations, *_edges(street, number, way, index), way)
            name = "forward" if way == 0 else "backward"
            left_mark, right_mark = _marks(street, index, count)
            lane = LaneDraft(
                f"road{street.index}.{number}.{name}{index}",
                LaneType.DRIVING,
                *ribbon,
                speed=speed,
                left_mark=left_mark,
                right_mark=right_mark,
            )
            lanes.append(draft.lane(lane))
        for left, right in pairwise(lanes):
            beside(left, right)
        rows.append(lanes)


def _marks(street: Street, index: int, count: int) -> tuple[Mark, Mark]:
    """Paint on the left and right edge of one of `count` lanes that run the same way."""
    between: Mark = (MarkType.BROKEN, "white")
    if street.kind is kinds.LIVING_STREET:
        return (MarkType.NONE, "white"), (MarkType.NONE, "white")
    center: Mark = (MarkType.SOLID, "white" if street.is_one_way else "yellow")
    if not street.is_one_way and not street.median:
        narrow = count == 1 and street.kind in (kinds.RESIDENTIAL, kinds.COUNTRY_ROAD)
        center = (MarkType.BROKEN if narrow else MarkType.SOLID_SOLID, "yellow")
    outer: Mark = (MarkType.SOLID, "white")
    if street.kind is kinds.RESIDENTIAL:
        outer = (MarkType.NONE, "white")
    return center if index == 0 else between, outer if index == count - 1 else between


def _taper(draft: Draft, road: Road, way: int, speed: float) -> None:
    """Joins two sections whose lanes may differ in number, in one direction."""
    street = road.street
    start, end = road.sections[0][1], road.sections[1][0]
    rows = (road.forward, road.backward)[way]
    counts = [len(rows[0]), len(rows[1])]
    both, most = min(counts), max(counts)
    pieces = max(2, int(np.ceil((end - start) / 3.0)))
    stations = np.union1d(road.curve.knots(start, end), np.linspace(start, end, pieces + 1))
    share = blend((stations - start) / (end - start))
    through: dict[int, LaneDraft] = {}
    for lane in range(most):
        here = [min(lane, count - 1) for count in counts]
        edges = [_edges(street, section, way, here[section]) for section in (0, 1)]
        left, right = ((1 - share) * a + share * b for a, b in zip(*edges, strict=True))
        draft_lane = LaneDraft(
            f"taper{street.index}.{'forward' if way == 0 else 'backward'}{lane}",
            LaneType.DRIVING,
            *_ribbon(road.curve, stations, left, right, way),
            speed=speed,
            junction=f"taper{street.index}",
        )
        draft.lane(draft_lane)
        before, after = rows[way][here[way]], rows[1 - way][here[1 - way]]
        before.successors.append(draft_lane)
        draft_lane.successors.append(after)
        if lane < both:
            through[lane] = draft_lane
    for lane in range(both - 1):
        beside(through[lane], through[lane + 1])


# --------------------------------------------------------------------- beside the lanes
def _curb_offsets(road: Road, side: str, stations: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distance from the reference line to the outer lane's edge along the street (K,) [m]."""
    start, end = road.street.curb(0, side), road.street.curb(1, side)
    if len(road.sections) == 1:
        return np.full(len(stations), start)
    low, high = road.sections[0][1], road.sections[1][0]
    return start + (end - start) * blend((stations - low) / (high - low))


def _strips(draft: Draft, road: Road, side: str) -> list[tuple[float, float]]:
    """Parking, shoulder or bicycle lanes on a side; returns where they stand [m]."""
    strip = road.street.strip(side)
    if strip is None:
        return []
    # On the side where traffic runs backward, the junction ahead is at the street's start.
    ahead_first = side == "left" and not road.street.is_one_way
    margins = STRIP_MARGIN[::-1] if ahead_first else STRIP_MARGIN
    found = []
    for number, (start, end) in enumerate(road.sections):
        low, high = start + margins[0], end - margins[1]
        if high - low < SHORTEST_STRIP:
            continue
        inner = road.street.curb(_end_of(road.street, number), side)
        outer = inner + strip.width
        # The lanes' own stations, so that the strip's inner edge is the outer lane's edge.
        stations = road.curve.knots(start, end)
        stations = np.array([low, *stations[(stations > low) & (stations < high)], high])
        if side == "right":
            ribbon = _ribbon(road.curve, stations, -inner, -outer, 0)
        elif road.street.is_one_way:
            ribbon = _ribbon(road.curve, stations, outer, inner, 0)
        else:
            ribbon = _ribbon(road.curve, stations, inner, outer, 1)
        id_ = f"road{road.street.index}.{number}.{side}_{strip.type.value}"
        draft.lane(LaneDraft(id_, strip.type, *ribbon))
        found.append((low, high))
    return found


def _curb(draft: Draft, road: Road, side: str, strips: list[tuple[float, float]]) -> None:
    """The kerb along a side; it steps out around parking lanes at 45 degrees."""
    strip = road.street.strip(side)
    width = strip.width if strip else 0.0
    stations = road.curve.knots(0.0, road.curve.length)
    extra = [np.linspace(road.sections[0][1], road.sections[-1][0], 14)]
    corners = [np.array([low - width, low, high, high + width]) for low, high in strips]
    stations = np.unique(np.concatenate([stations, *extra, *corners]))
    stations = stations[(stations >= 0) & (stations <= road.curve.length)]
    offsets = _curb_offsets(road, side, stations)
    for low, high in strips:
        offsets = offsets + np.interp(
            stations, [low - width, low, high, high + width], [0.0, width, width, 0.0]
        )
    type_ = BoundaryType.CURB if road.street.kind.built_up else BoundaryType.ROAD_EDGE
    draft.boundary(road.curve.beside(stations, offsets if side == "left" else -offsets), type_)


def _sidewalk(draft: Draft, road: Road, side: str) -> LaneDraft | None:
    if not road.street.sidewalks[0 if side == "right" else 1]:
        return None
    stations = road.curve.knots(0.0, road.curve.length)
    if len(road.sections) == 2:
        extra = np.linspace(road.sections[0][1], road.sections[1][0], 14)
        stations = np.union1d(stations, extra)
    inner = _curb_offsets(road, side, stations) + _walk_offset(road.street, side)
    outer = inner + SIDEWALK_WIDTH
    ribbon = (
        _ribbon(road.curve, stations, -inner, -outer, 0)
        if side == "right"
        else _ribbon(road.curve, stations, inner, outer, 1)
    )
    id_ = f"road{road.street.index}.{side}_sidewalk"
    return draft.lane(LaneDraft(id_, LaneType.SIDEWALK, *ribbon))


def _median(draft: Draft, road: Road) -> None:
    """The strip between the two directions: a lane of its own and an island's outline."""
    half = 0.5 * road.street.median
    if not half:
        return
    stations = road.curve.knots(0.0, road.curve.length)
    ribbon = _ribbon(road.curve, stations, half, -half, 0)
    draft.lane(LaneDraft(f"road{road.street.index}.median", LaneType.MEDIAN, *ribbon))
    outline = np.concatenate([ribbon[1], ribbon[2][::-1], ribbon[1][:1]])
    draft.boundary(outline, BoundaryType.CURB)


def _speed_signs(draft: Draft, road: Road, speed: float) -> None:
    """A limit sign where each direction begins."""
    for lanes, at in ((road.forward[0], 0), (road.backward[-1], 1)):
        if not lanes or road.street.kind is kinds.RAMP:
            continue
        outer = lanes[-1]
        share = min(5.0, 0.3 * road.curve.length)
        heading = float(outer.headings[0])
        side = "right" if at == 0 else "left"
        aside = direction(heading - np.pi / 2)
        where = outer.right[0] + share * direction(heading)
        where = where + (0.6 + road.street.beside_curb(side)) * aside
        facing = heading + np.pi
        draft.signal(
            SignalType.SPEED_LIMIT, where, facing, list(lanes), SPEED_SIGN_HEIGHT, value=speed
        )


def _crossing_between(rng: Generator, draft: Draft, layout: Layout, road: Road) -> None:
    """A crossing half way along some long streets with sidewalks on both sides."""
    ends = [layout.scheme.nodes[road.street.path[-end]] for end in (0, 1)]
    calm = all(node.kind is not NodeKind.RAMP for node in ends)
    start, end = max(road.sections, key=lambda section: section[1] - section[0])
    bare = all(road.street.strip(side) is None for side in ("left", "right"))
    if not (all(road.street.sidewalks) and calm and bare) or end - start < 60.0:
        return
    if rng.random() < 0.5:
        return
    middle = start + (end - start) * rng.uniform(0.4, 0.6)
    stations = np.array([middle - 1.6, middle + 1.6])
    left = road.curve.beside(stations, _curb_offsets(road, "left", stations))
    right = road.curve.beside(stations, -_curb_offsets(road, "right", stations))
    draft.crossings.append(np.concatenate([left, right[::-1]]))

"""Where streets run: directions and room at each node, and a curve for each street.

At a node, arms that nearly continue each other are made to do so exactly and the others are
spread, then each arm is cut back far enough that kerbs between neighbouring arms can be rounded.
The cut ends are the poses that street curves connect. A street that comes out too short, too
tight or too close to another is asked to give way (fewer lanes, nothing beside them), and is
banned from the plan when it has nothing left to give.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from gigalane.maps.generate import settings as kinds
from gigalane.maps.generate.curves import Curve, connect, direction, left_of, spline, wrap
from gigalane.maps.generate.settings import TownSettings
from gigalane.maps.generate.streets import Control, Node, NodeKind, Scheme, Street, harmonise

WIDEST_SNAP = np.deg2rad(42.0)
"""Arms are made to continue each other if they do so within this angle [rad]."""
SMALLEST_GAP = np.deg2rad(62.0)
"""Angle kept between neighbouring arms [rad]; sharper corners need huge junctions."""
CROSSING_DEPTH = 5.0
"""Straight length an arm gets for its crossing [m]."""
SHORTEST_STREET = 12.0
"""Least length of a street between the junctions at its ends [m]."""
SHAPES = ((0.17, 0.0), (0.1, 0.0), (0.12, 0.2), (0.06, 0.0), (0.08, 0.3))
"""Shapes tried for a street, liveliest first: see `_control` for the two numbers."""
TAPER_LENGTH = 28.0
"""Length over which one lane is added or dropped [m]."""
TAPER_MARGIN = 12.0
"""Least length of a street before and after a taper [m]."""
RAMP_LENGTH = 24.0
"""Distance from a ramp's node to the ends of the main road's arms [m]."""
RAMP_ANGLE = np.deg2rad(9.0)
"""Angle at which a ramp leaves or joins [rad]."""
RAMP_GAP = 1.4
"""Distance between a ramp's edge and the main road's where the ramp begins [m]."""
TURNAROUND_RADIUS = 8.0
"""Radius of the loop at a dead end, along its middle [m]."""


@dataclass(frozen=True, eq=False)
class Pose:
    """The end of a street: position (2,) [m] and the direction away from the node [rad]."""

    position: NDArray[np.float64]
    heading: float


@dataclass(eq=False)
class Ring:
    """A roundabout: radius of the ring lane's middle and of the curves onto it [m]."""

    radius: float
    entry_radius: float


@dataclass(eq=False)
class Layout:
    """Curves and poses of a scheme.

    Attributes:
        scheme: what was laid out.
        poses: of each street's ends, by (street, end).
        curves: each street's reference line from its first pose to its last.
        rings: the roundabouts' sizes, by node.
        room: radius of the disc that each node takes [m].
    """

    scheme: Scheme
    poses: dict[tuple[int, int], Pose] = field(default_factory=dict)
    curves: dict[int, Curve] = field(default_factory=dict)
    rings: dict[int, Ring] = field(default_factory=dict)
    room: dict[int, float] = field(default_factory=dict)

    def position(self, node: int) -> NDArray[np.float64]:
        """Where a node lies (2,) [m]."""
        return self.scheme.plan.positions[node]


def lay_out(rng: Generator, scheme: Scheme, settings: TownSettings) -> Layout | list[Street]:
    """Lays a scheme out, squeezing streets until everything fits.

    Returns:
        The layout, or streets that cannot be built at all.
    """
    wiggle = rng.uniform(-1.0, 1.0, len(scheme.streets)) * settings.curviness
    for _ in range(40):
        layout = Layout(scheme)
        for node in scheme.nodes.values():
            _place_arms(layout, node)
        failures = _draw_curves(layout, wiggle) or _conflicts(layout)
        if not failures:
            return layout
        impossible, asked = [], set()
        for culprits in failures:
            # What one failure's streets give may solve the next; ask a street once a round.
            if asked.isdisjoint(street.index for street in culprits):
                asked.update(street.index for street in culprits)
                wiggle[[street.index for street in culprits]] *= 0.5
                # Not any(...): every culprit must be asked.
                if not sum([street.give_way() for street in culprits]):
                    impossible.append(culprits[0])
        if impossible:
            return impossible
        harmonise(scheme)
    return [scheme.streets[0]]


# --------------------------------------------------------------------- arms
def _place_arms(layout: Layout, node: Node) -> None:
    """Sets the poses of all street ends at a node and the room it takes."""
    scheme, center = layout.scheme, layout.position(node.index)
    ends = scheme.ends_at(node.index)
    headings = np.array([scheme.leaving(street, end) for street, end in ends])
    if node.kind is NodeKind.RAMP:
        main = [k for k, (street, _) in enumerate(ends) if street.index != node.ramp]
        headings[main] = _spread(headings[main], snap=True)
    elif len(ends) >= 3:
        headings = _spread(headings, snap=node.kind is not NodeKind.ROUNDABOUT)
    order = np.argsort(headings % (2 * np.pi))
    ends, headings = [ends[k] for k in order], headings[order]
    if node.kind is NodeKind.RAMP and not _has_straight_road(node, ends, headings):
        node.kind, node.control, node.ramp = NodeKind.JUNCTION, Control.MINOR_YIELD, None
    if node.kind is NodeKind.RAMP:
        _place_ramp(layout, node, ends, headings)
        return
    if node.kind is NodeKind.DEAD_END:
        cuts = np.zeros(1)
    elif node.kind is NodeKind.TURNAROUND:
        cuts = np.array([turnaround_cut(ends[0][0])])
    else:
        cuts = _cuts(ends, headings, node)
        if node.kind is NodeKind.ROUNDABOUT:
            ring = _ring(ends, headings)
            if ring is None:
                node.kind, node.control = NodeKind.JUNCTION, Control.MINOR_YIELD
            else:
                layout.rings[node.index] = ring
                cuts = np.maximum(cuts, _ring_cuts(ends, ring, node))
    for (street, end), heading, cut in zip(ends, headings, cuts, strict=True):
        position = center + cut * direction(heading)
        layout.poses[street.index, end] = Pose(position, float(heading))
    layout.room[node.index] = float(cuts.max())


def _spread(headings: NDArray[np.float64], snap: bool) -> NDArray[np.float64]:
    """Makes arms continue each other where they nearly do, and keeps the others apart."""
    headings = headings.copy()
    count = len(headings)
    pairs = []
    if snap:
        bends = sorted(
            (abs(wrap(headings[a] - headings[b] - np.pi)), a, b)
            for a in range(count) for b in range(a)
        )  # fmt: skip
        for bend, a, b in bends:
            if bend < WIDEST_SNAP and all(a not in pair and b not in pair for pair in pairs):
                pairs.append((a, b))
    for _ in range(60):
        before = headings.copy()
        order = np.argsort(headings % (2 * np.pi))
        for k in range(count):
            first, second = order[k], order[(k + 1) % count]
            missing = SMALLEST_GAP - (headings[second] - headings[first]) % (2 * np.pi)
            if missing > 0:
                headings[first] -= 0.55 * missing
                headings[second] += 0.55 * missing
        for a, b in pairs:
            bend = wrap(float(headings[a] - headings[b] - np.pi))
            headings[a] -= 0.5 * bend
            headings[b] += 0.5 * bend
        if np.abs(headings - before).max() < 1e-9:
            break
    return headings


def outward_curb(street: Street, end: int, side: str) -> float:
    """Distance to the kerb on a side, as seen looking away from the node [m]."""
    return street.curb(end, _street_side(end, side))


def _street_side(end: int, side: str) -> str:
    """The street's own side that lies on a side as seen looking away from the node."""
    return side if end == 0 else {"left": "right", "right": "left"}[side]


def corner_radius(first: Street, second: Street) -> float:
    """Radius the kerb between two arms is rounded with, before clothoids tighten it [m]."""
    small = {kinds.LIVING_STREET, kinds.RESIDENTIAL}
    return 7.0 if first.kind in small and second.kind in small else 9.0


def _cuts(
    ends: list[tuple[Street, int]], headings: NDArray[np.float64], node: Node
) -> NDArray[np.float64]:
    """How far from the node each arm ends [m], arms in counter-clockwise order."""
    cuts = np.full(len(ends), 7.0)
    for k, (street, end) in enumerate(ends):
        following = (k + 1) % len(ends)
        other, other_end = ends[following]
        gap = (headings[following] - headings[k]) % (2 * np.pi)
        if gap > np.deg2rad(165.0):
            continue
        curbs = (outward_curb(street, end, "left"), outward_curb(other, other_end, "right"))
        edges = (
            curbs[0] + street.beside_curb(_street_side(end, "left")),
            curbs[1] + other.beside_curb(_street_side(other_end, "right")),
        )
        rounding = corner_radius(street, other) / np.tan(0.5 * gap)
        # The corner of two lines at distances w1 and w2 beside rays that open by an angle.
        for index, (own, far), extra in (
            (k, curbs, rounding), (k, edges, 1.5),
            (following, curbs[::-1], rounding), (following, edges[::-1], 1.5),
        ):  # fmt: skip
            corner = (far + own * np.cos(gap)) / np.sin(gap)
            cuts[index] = max(cuts[index], corner + extra)
    crossings = [street.index in node.crossings for street, _ in ends]
    return cuts + CROSSING_DEPTH * np.array(crossings)


def lane_offset(street: Street, end: int) -> float:
    """Distance from the reference line to the middle of the lane next to it [m]."""
    return 0.0 if street.is_one_way else 0.5 * (street.median + street.lane_width)


def ring_angle(street: Street, end: int, ring: Ring) -> tuple[float, float]:
    """Where the curve between an arm and the ring lies.

    The curve is an arc of radius R that touches the arm's lane, at distance e beside the arm,
    and from outside the ring of radius r: its centre is r + R from the ring's and e + R beside
    the arm.

    Returns:
        Distance along the arm at which the arc begins [m]; angle around the ring between the arm
        and the point where the arc touches [rad].
    """
    side = lane_offset(street, end) + ring.entry_radius
    along = np.sqrt((ring.radius + ring.entry_radius) ** 2 - side**2)
    return float(along), float(np.arctan2(side, along))


def _ring(ends: list[tuple[Street, int]], headings: NDArray[np.float64]) -> Ring | None:
    """The smallest roundabout with room between an entry and the next exit."""
    gaps = (np.roll(headings, -1) - headings) % (2 * np.pi)
    for radius in (13.0, 15.0, 17.0, 19.0):
        for entry_radius in (14.0, 11.0, 9.0):
            ring = Ring(radius, entry_radius)
            angles = np.array([ring_angle(street, end, ring)[1] for street, end in ends])
            if (gaps - angles - np.roll(angles, -1)).min() * radius > 2.5:
                return ring
    return None


def _ring_cuts(ends: list[tuple[Street, int]], ring: Ring, node: Node) -> NDArray[np.float64]:
    extra = [1.0 + CROSSING_DEPTH * (street.index in node.crossings) for street, _ in ends]
    reach = [ring_angle(street, end, ring)[0] for street, end in ends]
    return np.array(reach) + np.array(extra)


def turnaround_cut(street: Street) -> float:
    """Distance from the middle of a dead end's loop to where its street ends [m].

    The loop is an arc to the right, the loop proper to the left and an arc to the right again,
    all of one radius R: the arcs' centres are 2 R apart and e + R beside the street.
    """
    side = lane_offset(street, 0) + TURNAROUND_RADIUS
    return float(np.sqrt(4 * TURNAROUND_RADIUS**2 - side**2)) + 0.5


def _has_straight_road(
    node: Node, ends: list[tuple[Street, int]], headings: NDArray[np.float64]
) -> bool:
    """Whether the two arms beside a ramp continue each other exactly."""
    main = [heading for (s, _), heading in zip(ends, headings, strict=True) if s.index != node.ramp]
    return len(main) == 2 and abs(wrap(float(main[0] - main[1] - np.pi))) < 1e-4


def _place_ramp(
    layout: Layout,
    node: Node,
    ends: list[tuple[Street, int]],
    headings: NDArray[np.float64],
) -> None:
    """The main road runs straight through; the ramp begins beside one of its arms."""
    center = layout.position(node.index)
    ramp = next(k for k, (street, _) in enumerate(ends) if street.index == node.ramp)
    for k, (street, end) in enumerate(ends):
        if k != ramp:
            position = center + RAMP_LENGTH * direction(headings[k])
            layout.poses[street.index, end] = Pose(position, float(headings[k]))
    street, end = ends[ramp]
    # Traffic in the main road's direction `travel` has the ramp on its right.
    main = [k for k in range(3) if k != ramp]
    ahead = next(k for k in main if wrap(headings[ramp] - headings[k]) < 0)
    behind = next(k for k in main if k != ahead)
    travel = headings[ahead]
    beside, beside_end = ends[ahead if end == 0 else behind]
    side = "right" if end == 0 else "left"
    offset = outward_curb(beside, beside_end, side)
    offset += beside.beside_curb(_street_side(beside_end, side)) + RAMP_GAP
    offset += 0.5 * street.lane_width
    along = RAMP_LENGTH if end == 0 else -RAMP_LENGTH
    position = center + along * direction(travel) - offset * left_of(travel)
    heading = travel - RAMP_ANGLE if end == 0 else travel + np.pi + RAMP_ANGLE
    layout.poses[street.index, end] = Pose(position, float(heading))
    layout.room[node.index] = RAMP_LENGTH


# --------------------------------------------------------------------- curves
def _draw_curves(layout: Layout, wiggle: NDArray[np.float64]) -> list[list[Street]]:
    """Draws every street's curve; returns for each failure the streets that take part in it."""
    failures = []
    for street in layout.scheme.streets:
        curve = _curve(layout, street, float(wiggle[street.index]))
        if curve is None:
            failures.append(_around(layout, street))
            continue
        changed = max(abs(a - b) for a, b in zip(*street.lanes, strict=True))
        if changed and curve.length < 2 * TAPER_MARGIN + TAPER_LENGTH * changed:
            failures.append([street])
        layout.curves[street.index] = curve
    return failures


def _curve(layout: Layout, street: Street, wiggle: float) -> Curve | None:
    """The liveliest curve that is not too tight, or None where the street has too little room."""
    first, last = layout.poses[street.index, 0], layout.poses[street.index, 1]
    along = float(np.dot(last.position - first.position, direction(first.heading)))
    if len(street.path) == 2 and street.kind is not kinds.RAMP and along < SHORTEST_STREET:
        return None
    needed = max(street.reach("left"), street.reach("right")) + 6.0
    best: Curve | None = None
    for share, spread in SHAPES:
        curve = spline(_control(layout, street, share, spread, wiggle))
        if best is None or curve.tightest_radius > best.tightest_radius:
            best = curve
        if best.tightest_radius >= max(needed, street.kind.bend_radius_m):
            break
    if best is None or best.tightest_radius < needed:
        # One corner with clothoids ignores the plan's bends but wastes no room.
        best = connect(first.position, first.heading, last.position, last.heading + np.pi)
    if best is None or best.tightest_radius < needed or best.length < SHORTEST_STREET:
        return None
    return best


def _around(layout: Layout, street: Street) -> list[Street]:
    """A street and those that meet it: each of them may leave it too little room."""
    found = [street]
    for node in (street.path[0], street.path[-1]):
        found += [other for other, _ in layout.scheme.ends_at(node) if other is not street]
    return found


def _control(
    layout: Layout, street: Street, share: float, spread: float, wiggle: float
) -> NDArray[np.float64]:
    """Control points: a straight start, the bends of the plan, a straight end.

    Args:
        layout: has the poses at both ends.
        street: whose curve is wanted.
        share: length of the two steps that stay straight at an end, as part of the first leg.
        spread: how far a bend's control point is drawn apart along the street, as part of its
            shorter leg; wider bends are gentler.
        wiggle: how far a street without bends swings out in its middle, -1 to 1.
    """
    first, last = layout.poses[street.index, 0], layout.poses[street.index, 1]
    corners = [layout.position(point) for point in street.path[1:-1]]
    stops = [first.position, *corners, last.position]
    legs = np.linalg.norm(np.diff(stops, axis=0), axis=1)
    start = [first.position + k * share * legs[0] * direction(first.heading) for k in range(3)]
    end = [last.position + k * share * legs[-1] * direction(last.heading) for k in range(3)]
    bends = []
    for k, corner in enumerate(corners):
        along = stops[k + 2] - stops[k]
        step = spread * min(legs[k], legs[k + 1]) * along / np.linalg.norm(along)
        bends += [corner - step, corner + step] if spread else [corner]
    if not corners and legs[0] > 70.0:
        chord = last.position - first.position
        middle = 0.5 * (start[2] + end[2])
        swing = 0.15 * wiggle * min(1.0, 30.0 / street.kind.bend_radius_m)
        bends = [middle + swing * np.array([-chord[1], chord[0]])]
    return np.array([*start, *bends, *reversed(end)])


# --------------------------------------------------------------------- conflicts
def _conflicts(layout: Layout) -> list[list[Street]]:
    """Pairs of streets that overlap, and streets that overlap a node with those that end there."""
    streets = layout.scheme.streets
    curves = layout.curves
    lines = {s.index: _outline(s, curves[s.index]) for s in streets}
    boxes = {index: (line.min(axis=0), line.max(axis=0)) for index, line in lines.items()}
    found = []
    for a, first in enumerate(streets):
        low, high = boxes[first.index]
        for second in streets[a + 1 :]:
            other_low, other_high = boxes[second.index]
            if (low > other_high + 3.0).any() or (other_low > high + 3.0).any():
                continue
            if _overlap(lines[first.index], second, curves[second.index]) or _overlap(
                lines[second.index], first, curves[first.index]
            ):
                found.append([first, second])
        points = curves[first.index].points[::10]
        reach = max(first.reach("left"), first.reach("right"))
        for node, room in layout.room.items():
            if node not in (first.path[0], first.path[-1]):
                near = np.linalg.norm(points - layout.position(node), axis=1).min()
                if near < reach + _node_reach(layout, node, room):
                    found.append([first, *(s for s, _ in layout.scheme.ends_at(node))])
    return found


def _node_reach(layout: Layout, node: int, room: float) -> float:
    kind = layout.scheme.nodes[node].kind
    if kind is NodeKind.TURNAROUND:
        return TURNAROUND_RADIUS + 3.5
    if kind is NodeKind.ROUNDABOUT:
        return layout.rings[node].radius + 5.0
    return 0.75 * room


def _outline(street: Street, curve: Curve) -> NDArray[np.float64]:
    """Points along both outer edges of a street."""
    stations = np.linspace(0.0, curve.length, max(4, int(curve.length / 3.0)))
    sides = [curve.beside(stations, street.reach("left")),
             curve.beside(stations, -street.reach("right"))]  # fmt: skip
    return np.concatenate(sides)


def _overlap(points: NDArray[np.float64], street: Street, curve: Curve) -> bool:
    """Whether any point lies on a street."""
    stations = np.linspace(0.0, curve.length, max(4, int(curve.length / 2.0)))
    middle, headings = curve.at(stations)
    reach = max(street.reach("left"), street.reach("right")) + 2.0
    low, high = middle.min(axis=0) - reach, middle.max(axis=0) + reach
    points = points[((points > low) & (points < high)).all(axis=1)]
    away = points[:, None] - middle[None]
    along = np.abs((away * direction(headings)).sum(axis=2))
    aside = (away * left_of(headings)).sum(axis=2)
    inside = (aside < street.reach("left") + 0.4) & (aside > -street.reach("right") - 0.4)
    return bool((inside & (along < 1.5)).any())

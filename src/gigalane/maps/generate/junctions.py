"""Junctions: connecting lanes for every permitted turn, rounded corners, crossings.

Which lane may turn where follows the usual practice: left turns from the leftmost lane into the
leftmost, right turns from the rightmost into the rightmost, straight on from all lanes that the
road ahead can take, and no U-turns. Ramps are junctions too, with one arm at a small angle.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from gigalane.maps.generate.curves import Curve, connect, direction, left_of, wrap
from gigalane.maps.generate.draft import (
    Draft,
    LaneDraft,
    Points,
    blend,
    pin_end,
    pin_start,
    swept_lane,
)
from gigalane.maps.generate.layout import CROSSING_DEPTH
from gigalane.maps.generate.roads import Arm
from gigalane.maps.generate.streets import SIDEWALK_WIDTH, Node, NodeKind
from gigalane.maps.road import LaneType

TURN_WIDTH = 3.5
"""Least width of a connecting lane away from its ends [m]."""
TIGHTEST_TURN = 6.0
"""Smallest radius of a connecting lane's midline [m]; cars manage about 5.5 m."""
STRAIGHT_ON = np.deg2rad(35.0)
"""Directions that differ by less count as straight on [rad]."""


class NotBuildable(Exception):  # noqa: N818  (a signal to try another town, not an error)
    """A town whose parts cannot be joined within the limits."""


@dataclass(frozen=True, eq=False)
class Turn:
    """One permitted movement of one lane.

    Attributes:
        arm: number of the arm it comes from.
        lane: number of the incoming lane, from the left.
        connector: its connecting lane.
        angle: how far it turns, positive to the left [rad].
    """

    arm: int
    lane: int
    connector: LaneDraft
    angle: float


def build_junction(rng: Generator, draft: Draft, node: Node, arms: list[Arm]) -> list[Turn]:
    """Draws a junction.

    Args:
        rng: the source of randomness.
        draft: takes the lanes, kerbs and crossings.
        node: what to build.
        arms: the street ends, counter-clockwise by direction.

    Returns:
        Every movement, for the controls.

    Raises:
        NotBuildable: a lane would lead nowhere, or a turn would be too tight.
    """
    turns: list[Turn] = []
    for number, arm in enumerate(arms):
        if arm.incoming:
            turns += _turns_from(rng, draft, node, arms, number)
    for number in range(len(arms)):
        following = (number + 1) % len(arms)
        _corner(draft, node, (number, arms[number]), (following, arms[following]), turns)
    _pave(draft, node, arms, turns)
    if node.kind is not NodeKind.RAMP:
        _pave_corners(draft, node, arms, turns)
    for arm in arms:
        if arm.street.index in node.crossings:
            draw_crossing(draft, arm)
    return turns


def draw_crossing(draft: Draft, arm: Arm) -> None:
    """Outlines the crossing between an arm's end and the junction proper."""
    outward = direction(arm.pose.heading)
    ends = [arm.curb("left"), arm.curb("right")]
    draft.crossings.append(
        np.array(
            [
                ends[0] - 1.0 * outward,
                ends[0] - (CROSSING_DEPTH - 0.8) * outward,
                ends[1] - (CROSSING_DEPTH - 0.8) * outward,
                ends[1] - 1.0 * outward,
            ]
        )
    )


# --------------------------------------------------------------------- which lane turns where
def _turns_from(
    rng: Generator, draft: Draft, node: Node, arms: list[Arm], number: int
) -> list[Turn]:
    arm = arms[number]
    exits = []
    for other, candidate in enumerate(arms):
        if other == number or not candidate.outgoing:
            continue
        angle = wrap(candidate.pose.heading - arm.pose.heading - np.pi)
        if _permitted(node, arm, candidate, angle):
            exits.append((other, angle))
    if not exits:
        raise NotBuildable(f"junction{node.index} has an arm that leads nowhere")
    is_ramp = node.kind is NodeKind.RAMP and arm.street.index == node.ramp
    turns = []
    for lane, other, target in _assignment(rng, arms, number, exits, is_ramp):
        angle = next(angle for exit_, angle in exits if exit_ == other)
        connector = _connector(node, arm, lane, arms[other], target)
        if connector is None:
            raise NotBuildable(f"junction{node.index} has a turn that is too tight")
        draft.lane(connector)
        turns.append(Turn(number, lane, connector, angle))
    return turns


def _permitted(node: Node, arm: Arm, candidate: Arm, angle: float) -> bool:
    """At a ramp only gentle movements exist: along the main road, and on or off the ramp."""
    return node.kind is not NodeKind.RAMP or abs(angle) < np.deg2rad(40.0)


def _assignment(
    rng: Generator, arms: list[Arm], number: int, exits: list[tuple[int, float]], is_ramp: bool
) -> list[tuple[int, int, int]]:
    """(incoming lane, exit arm, outgoing lane) for every permitted movement of an arm.

    A ramp joins the outermost lane, whatever lies straight ahead of it.
    """
    count = len(arms[number].incoming)
    room = {other: len(arms[other].outgoing) for other, _ in exits}
    straight = min(exits, key=lambda item: abs(item[1]))
    ahead = straight[0] if abs(straight[1]) < STRAIGHT_ON else None
    lefts = [o for o, angle in exits if o != ahead and angle > 0]
    rights = [o for o, angle in exits if o != ahead and angle <= 0]
    found: list[tuple[int, int, int]] = []
    first, last = 0, count - 1
    if ahead is not None:
        extra = max(0, count - room[ahead])
        if lefts and count >= 2 and (extra or rng.random() < 0.4):
            first, extra = 1, max(0, extra - 1)
        if rights and extra and last > first:
            last -= 1
        lanes = list(range(first, last + 1))
        if is_ramp:
            return [(lane, ahead, room[ahead] - 1) for lane in lanes]
        found += [(lane, ahead, target) for lane, target in _straight(arms, number, lanes, ahead)]
        found += [(0, other, 0) for other in lefts]
        found += [(count - 1, other, room[other] - 1) for other in rights]
        return found
    split = count // 2 if lefts and rights else (count if lefts else 0)
    for other in lefts:
        lanes = range(max(1, split))
        found += [(lane, other, min(lane, room[other] - 1)) for lane in lanes]
    for other in rights:
        lanes = range(min(split, count - 1), count)
        found += [(lane, other, max(0, room[other] - (count - lane))) for lane in lanes]
    return found


def _straight(arms: list[Arm], number: int, lanes: list[int], ahead: int) -> list[tuple[int, int]]:
    """Pairs of lanes straight on, shifted sideways as little as possible."""
    targets = len(arms[ahead].outgoing)
    sideways = left_of(arms[number].pose.heading + np.pi)
    here = [float(np.dot(arms[number].incoming[lane].center[-1], sideways)) for lane in lanes]
    there = [float(np.dot(lane.center[0], sideways)) for lane in arms[ahead].outgoing]
    options = range(max(1, targets - len(lanes) + 1))

    def shift(first: int) -> float:
        return sum(abs(here[k] - there[min(first + k, targets - 1)]) for k in range(len(lanes)))

    first = min(options, key=shift)
    return [(lane, min(first + k, targets - 1)) for k, lane in enumerate(lanes)]


def _connector(node: Node, arm: Arm, lane: int, other: Arm, target: int) -> LaneDraft | None:
    """The connecting lane from one arm's lane to another's, or None where it is too tight."""
    source, sink = arm.incoming[lane], other.outgoing[target]
    straights = [CROSSING_DEPTH if a.street.index in node.crossings else 0.0 for a in (arm, other)]
    heading = arm.pose.heading + np.pi
    curve = connect(
        source.center[-1], heading, sink.center[0], other.pose.heading, straights[0], straights[1]
    )
    if curve is None or curve.tightest_radius < TIGHTEST_TURN:
        return None
    widths = (source.end_width(), TURN_WIDTH, sink.start_width())
    speeds = [speed for speed in (source.speed, sink.speed) if speed is not None]
    connector = swept_lane(
        curve,
        widths,
        f"{node_name(node)}.{source.id}.{sink.id}",
        LaneType.DRIVING,
        speed=min(speeds, default=None),
        junction=node_name(node),
        successors=[sink],
    )
    pin_start(connector, source.center[-1], source.left[-1], source.right[-1])
    pin_end(connector, sink.center[0], sink.left[0], sink.right[0])
    source.successors.append(connector)
    return connector


def node_name(node: Node) -> str:
    """The junction's id in the map."""
    return f"{node.kind.value}{node.index}"


# --------------------------------------------------------------------- corners
def _corner(
    draft: Draft,
    node: Node,
    first: tuple[int, Arm],
    second: tuple[int, Arm],
    turns: list[Turn],
) -> None:
    """The kerb from one arm to the next counter-clockwise, and the sidewalk behind it."""
    (number, arm), (_, other) = first, second
    start, end = arm.curb("left"), other.curb("right")
    gap = (other.pose.heading - arm.pose.heading) % (2 * np.pi)
    if node.kind is NodeKind.RAMP and min(gap, 2 * np.pi - gap) < np.deg2rad(30.0):
        _gore(draft, arm, other)
        return
    points, headings = _corner_line(node, number, arm, other, turns, start, end)
    draft.boundary(points)
    walks = (arm.walks[0], other.walks[1])
    if walks[0] is None or walks[1] is None:
        return
    steps = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    share = blend(steps / max(steps[-1], 1e-9))
    inner = arm.walk_offsets[0] + share * (other.walk_offsets[1] - arm.walk_offsets[0])
    outward = -left_of(headings)
    left = points + inner[:, None] * outward
    right = points + (inner + SIDEWALK_WIDTH)[:, None] * outward
    center = 0.5 * (left + right)
    walk = LaneDraft(
        f"{node_name(node)}.sidewalk{number}",
        LaneType.SIDEWALK,
        center,
        left,
        right,
        headings,
        junction=node_name(node),
    )
    pin_start(walk, walks[0].center[-1], walks[0].left[-1], walks[0].right[-1])
    pin_end(walk, walks[1].center[0], walks[1].left[0], walks[1].right[0])
    draft.lane(walk)
    walks[0].successors.append(walk)
    walk.successors.append(walks[1])


def _corner_line(
    node: Node, number: int, arm: Arm, other: Arm, turns: list[Turn], start: Points, end: Points
) -> tuple[Points, Points]:
    """The kerb's points and headings: the outer edge of the turn beside it where there is one."""
    for turn in turns:
        lane = turn.connector
        if turn.arm != number or lane.successors[0] not in other.outgoing:
            continue
        if np.allclose(lane.right[0], start) and np.allclose(lane.right[-1], end):
            return lane.right, lane.headings
    straights = [CROSSING_DEPTH if a.street.index in node.crossings else 0.0 for a in (arm, other)]
    heading = arm.pose.heading + np.pi
    curve = connect(start, heading, end, other.pose.heading, *straights)
    if curve is None:
        curve = Curve(np.stack([start, end]), np.array([heading, other.pose.heading]))
        return curve.points, curve.headings
    return curve.at(curve.knots(0.0, curve.length))


def _gore(draft: Draft, arm: Arm, other: Arm) -> None:
    """Closes the wedge between a ramp and the main road with a blunt nose."""
    draft.boundary(np.stack([arm.curb("left"), other.curb("right")]))


# --------------------------------------------------------------------- surface between lanes
def _pave(draft: Draft, node: Node, arms: list[Arm], turns: list[Turn]) -> None:
    """Covers the surface that no connecting lane covers with shoulders no route uses.

    Arms that roughly continue each other share a strip from kerb to kerb; any other arm's
    surface reaches on to the middle of the junction.
    """
    bends = sorted(
        (abs(wrap(arms[b].pose.heading - arms[a].pose.heading - np.pi)), a, b)
        for b in range(len(arms)) for a in range(b)
    )  # fmt: skip
    alone = set(range(len(arms)))
    for bend, a, b in bends:
        if bend < np.deg2rad(80.0) and {a, b} <= alone:
            alone -= {a, b}
            right = _edge_between(node, arms, a, b, turns)
            left = _edge_between(node, arms, b, a, turns)[::-1]
            _shoulder(draft, node, f"surface{a}", left, right)
    for number in sorted(alone):
        arm = arms[number]
        ends = np.stack([arm.curb("right"), arm.curb("left")])
        inward = -direction(arm.pose.heading)
        if node.kind is NodeKind.RAMP:
            _pave_ramp(draft, node, arms, number, turns)
            continue
        reach = max(float(np.dot(ends[0] - _middle(arms), -inward)), 1.0)
        left, right = (np.stack([end, end + reach * inward]) for end in ends)
        _shoulder(draft, node, f"surface{number}", left, right)


def _pave_corners(draft: Draft, node: Node, arms: list[Arm], turns: list[Turn]) -> None:
    """Covers rounded corners where no lane turns around them, or one too narrow to fill them."""
    for number, arm in enumerate(arms):
        other = arms[(number + 1) % len(arms)]
        if (other.pose.heading - arm.pose.heading) % (2 * np.pi) > np.deg2rad(150.0):
            continue
        start, end = arm.curb("left"), other.curb("right")
        curb, _ = _corner_line(node, number, arm, other, turns, start, end)
        inward = -direction(np.array([arm.pose.heading, other.pose.heading]))
        tip = start + np.linalg.solve(inward.T * [1.0, -1.0], end - start)[0] * inward[0]
        turned = any(turn.connector.right is curb for turn in turns)
        depth = float(np.linalg.norm(curb - tip, axis=1).min())
        if not turned or depth > 0.5 * (arm.street.lane_width + other.street.lane_width):
            _shoulder(draft, node, f"corner{number}", np.stack([start, tip, end]), curb)


def _middle(arms: list[Arm]) -> Points:
    """The point the arms' directions meet in, in the least-squares sense (2,) [m]."""
    normals = left_of(np.array([arm.pose.heading for arm in arms]))
    positions = np.array([arm.pose.position for arm in arms])
    return np.linalg.lstsq(normals, (normals * positions).sum(axis=1), rcond=None)[0]


def _edge_between(node: Node, arms: list[Arm], a: int, b: int, turns: list[Turn]) -> Points:
    """The edge on the right of the way in from arm a and out by arm b."""
    line = _corner_line(
        node, a, arms[a], arms[b], turns, arms[a].curb("left"), arms[b].curb("right")
    )
    return line[0]


def _shoulder(draft: Draft, node: Node, name: str, left: Points, right: Points) -> None:
    """A strip of surface between two lines, resampled to the same number of points."""
    lengths = [np.linalg.norm(np.diff(line, axis=0), axis=1).sum() for line in (left, right)]
    straight = len(left) == 2 and len(right) == 2
    shares = np.linspace(0.0, 1.0, 2 if straight else max(2, int(max(lengths) / 1.5)))
    left, right = (_at_shares(line, shares) for line in (left, right))
    center = 0.5 * (left + right)
    step = np.diff(center, axis=0)
    headings = np.arctan2(step[:, 1], step[:, 0])
    draft.lane(
        LaneDraft(
            f"{node_name(node)}.{name}",
            LaneType.SHOULDER,
            center,
            left,
            right,
            np.append(headings, headings[-1]),
            junction=node_name(node),
        )
    )


def _at_shares(line: Points, shares: Points) -> Points:
    """Points at shares of a polyline's length."""
    along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])
    stations = shares * along[-1]
    return np.stack([np.interp(stations, along, line[:, k]) for k in (0, 1)], axis=1)


def _pave_ramp(draft: Draft, node: Node, arms: list[Arm], number: int, turns: list[Turn]) -> None:
    """Covers the wedge between the main road's edge and the lane onto or off the ramp."""
    ramp = arms[number]
    lanes = [*ramp.incoming, *ramp.outgoing]
    connector = next(
        turn.connector
        for turn in turns
        if turn.arm == number or turn.connector.successors[0] in lanes
    )
    # The main road's edge on the ramp's side runs straight between its two arms.
    before, after = arms[number - 2], arms[number - 1]
    ends = np.stack([before.curb("left"), after.curb("right")])
    if ramp.incoming:
        ends = ends[::-1]
    along = (ends[1] - ends[0]) / np.linalg.norm(ends[1] - ends[0])
    away = (connector.left - ends[0]) @ np.array([along[1], -along[0]])
    keep = np.abs(away) > 0.05
    keep &= away * np.sign(away[np.argmax(np.abs(away))]) > 0
    if keep.sum() >= 2:
        edge = connector.left[keep]
        foot = ends[0] + ((edge - ends[0]) @ along)[:, None] * along
        _shoulder(draft, node, f"surface{number}", foot, edge)

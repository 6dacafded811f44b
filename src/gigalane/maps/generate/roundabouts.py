"""Roundabouts, and the loops at dead ends, which are roundabouts with one arm.

The ring is one lane, driven counter-clockwise. An arm's entry is a straight and an arc that
touches the ring from outside; its exit is the mirror image.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from gigalane.maps.generate.controls import draw_sign
from gigalane.maps.generate.curves import Curve, arc, direction, joined, left_of, straight
from gigalane.maps.generate.draft import (
    Draft,
    LaneDraft,
    Points,
    pin_end,
    pin_start,
    swept_lane,
)
from gigalane.maps.generate.junctions import NotBuildable, draw_crossing, node_name
from gigalane.maps.generate.layout import TURNAROUND_RADIUS, Ring, lane_offset, ring_angle
from gigalane.maps.generate.roads import Arm
from gigalane.maps.generate.streets import SIDEWALK_WIDTH, Node
from gigalane.maps.road import LaneType, StopRule

RING_WIDTH = 4.6
"""Width of the ring's lane and of a dead end's loop [m] (chosen; wide enough for trucks)."""
RING_SPEED = 30.0 / 3.6
"""Limit on the ring [m/s]."""


@dataclass(eq=False)
class _Gate:
    """Where an arm's entry or exit touches the ring."""

    angle: float
    arm: Arm
    lane: LaneDraft
    is_entry: bool


def build_roundabout(draft: Draft, node: Node, center: Points, ring: Ring, arms: list[Arm]) -> None:
    """Draws a roundabout.

    Args:
        draft: takes everything.
        node: what to build.
        center: its middle (2,) [m].
        ring: its size.
        arms: the street ends, counter-clockwise by direction.
    """
    gates: list[_Gate] = []
    for arm in arms:
        gates += _gates(draft, node, center, ring, arm)
    gates.sort(key=lambda gate: gate.angle % (2 * np.pi))
    pieces = _ring_lanes(draft, node, center, ring, gates)
    for gate, before, after in zip(gates, [pieces[-1], *pieces[:-1]], pieces, strict=True):
        if gate.is_entry:
            gate.lane.successors.append(after)
            pin_end(gate.lane, after.center[0], after.left[0], after.right[0])
        else:
            before.successors.append(gate.lane)
            pin_start(gate.lane, before.center[-1], before.left[-1], before.right[-1])
        before.successors.append(after)
    island = arc(center, ring.radius - 0.5 * RING_WIDTH, 0.0, 2 * np.pi)
    points, _ = island.at(island.knots(0.0, island.length))
    points[-1] = points[0]
    draft.boundary(points)
    for number, arm in enumerate(arms):
        _corner(draft, node, center, ring, (number, arm), arms[(number + 1) % len(arms)], gates)
        _splitter(draft, center, ring, arm, gates)
        if arm.incoming:
            draw_sign(draft, node, arm, StopRule.YIELD)
        if arm.street.index in node.crossings:
            draw_crossing(draft, arm)


def _approach(center: Points, ring: Ring, arm: Arm, is_entry: bool) -> Curve:
    """From an arm's end onto the ring, or from the ring to the arm's end."""
    along, angle = ring_angle(arm.street, arm.end, ring)
    heading = arm.pose.heading
    side = 1.0 if is_entry else -1.0
    offset = lane_offset(arm.street, arm.end) + ring.entry_radius
    pivot = center + along * direction(heading) + side * offset * left_of(heading)
    cut = float(np.dot(arm.pose.position - center, direction(heading)))
    sweep = 0.5 * np.pi - angle
    if is_entry:
        start = arm.incoming[0].center[-1]
        bend = arc(pivot, ring.entry_radius, heading - 0.5 * np.pi, -sweep)
        return joined(straight(start, heading + np.pi, cut - along), bend)
    end = arm.outgoing[0].center[0]
    bend = arc(pivot, ring.entry_radius, heading + 0.5 * np.pi + sweep, -sweep)
    return joined(bend, straight(end - (cut - along) * direction(heading), heading, cut - along))


def _gates(draft: Draft, node: Node, center: Points, ring: Ring, arm: Arm) -> list[_Gate]:
    """Draws an arm's entry and exit lanes, those it has."""
    if len(arm.incoming) > 1 or len(arm.outgoing) > 1:
        raise NotBuildable(f"{node_name(node)} has an arm with two lanes in a direction")
    _, angle = ring_angle(arm.street, arm.end, ring)
    gates = []
    for outer, is_entry in ((arm.outgoing, False), (arm.incoming, True)):
        if not outer:
            continue
        curve = _approach(center, ring, arm, is_entry)
        width = outer[0].end_width()
        widths = (width, 0.0, RING_WIDTH) if is_entry else (RING_WIDTH, 0.0, width)
        name = f"{node_name(node)}.{'entry' if is_entry else 'exit'}{arm.street.index}"
        lane = swept_lane(
            curve,
            widths,
            name,
            LaneType.DRIVING,
            speed=min(outer[0].speed or RING_SPEED, RING_SPEED),
            junction=node_name(node),
        )
        draft.lane(lane)
        if is_entry:
            outer[0].successors.append(lane)
            pin_start(lane, outer[0].center[-1], outer[0].left[-1], outer[0].right[-1])
        else:
            lane.successors.append(outer[0])
            pin_end(lane, outer[0].center[0], outer[0].left[0], outer[0].right[0])
        touch = arm.pose.heading + (angle if is_entry else -angle)
        gates.append(_Gate(touch, arm, lane, is_entry))
    return gates


def _ring_lanes(
    draft: Draft, node: Node, center: Points, ring: Ring, gates: list[_Gate]
) -> list[LaneDraft]:
    """The ring's lanes from each gate to the next."""
    pieces = []
    angles = [gate.angle % (2 * np.pi) for gate in gates]
    for number, (start, end) in enumerate(pairwise([*angles, angles[0] + 2 * np.pi])):
        curve = arc(center, ring.radius, start, end - start)
        piece = swept_lane(
            curve,
            (RING_WIDTH, RING_WIDTH, RING_WIDTH),
            f"{node_name(node)}.ring{number}",
            LaneType.DRIVING,
            speed=RING_SPEED,
            junction=node_name(node),
        )
        pieces.append(draft.lane(piece))
    for before, after in pairwise([*pieces, pieces[0]]):
        pin_end(before, after.center[0], after.left[0], after.right[0])
    return pieces


# --------------------------------------------------------------------- kerbs
def _side_line(arm: Arm, gates: list[_Gate], is_left: bool) -> Points:
    """The outer edge between an arm's kerb and the ring, from the arm inwards."""
    own = {gate.is_entry: gate.lane for gate in gates if gate.arm is arm}
    if is_left:
        return own[True].right if True in own else own[False].left[::-1]
    return own[False].right[::-1] if False in own else own[True].left


def _outside(points: Points, center: Points, radius: float) -> Points:
    """The points of a line that lie outside a circle around the centre."""
    return points[np.linalg.norm(points - center, axis=1) > radius]


def _ring_edge(center: Points, radius: float, start: float, end: float) -> Points:
    """Points on a circle from one angle counter-clockwise to another."""
    sweep = (end - start) % (2 * np.pi)
    if sweep > 1.9 * np.pi:  # the end lies a little before the start: there is nothing between
        return np.zeros((0, 2))
    angles = start + np.linspace(0.0, sweep, max(3, int(sweep * radius / 1.5)))
    return center + radius * direction(angles)


def _angle_of(points: NDArray[np.float64], center: Points) -> float:
    return float(np.arctan2(points[1] - center[1], points[0] - center[0]))


def _corner(
    draft: Draft,
    node: Node,
    center: Points,
    ring: Ring,
    first: tuple[int, Arm],
    other: Arm,
    gates: list[_Gate],
) -> None:
    """The kerb between two arms, along the ring's outer edge, and the sidewalk behind it."""
    number, arm = first
    outer = ring.radius + 0.5 * RING_WIDTH
    inward = _outside(_side_line(arm, gates, True), center, outer + 0.05)
    outward = _outside(_side_line(other, gates, False), center, outer + 0.05)[::-1]
    middle = _ring_edge(center, outer, _angle_of(inward[-1], center), _angle_of(outward[0], center))
    points = np.concatenate([inward, middle, outward])
    draft.boundary(points)
    if arm.walks[0] is None or other.walks[1] is None:
        return
    walk = _ring_walk(node, number, arm, other, points)
    draft.lane(walk)
    arm.walks[0].successors.append(walk)
    walk.successors.append(other.walks[1])


def _ring_walk(node: Node, number: int, arm: Arm, other: Arm, kerb: Points) -> LaneDraft:
    """A sidewalk behind the kerb between two arms of a roundabout."""
    along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(kerb, axis=0), axis=1))])
    share = np.linspace(0.0, 1.0, max(4, int(along[-1])))
    kerb = np.stack([np.interp(share * along[-1], along, kerb[:, k]) for k in (0, 1)], axis=1)
    tangents = np.gradient(kerb, axis=0)
    headings = np.unwrap(np.arctan2(tangents[:, 1], tangents[:, 0]))
    # The kerb has small kinks where entry, ring and exit meet; a sidewalk does not.
    headings[2:-2] = np.convolve(headings, np.full(5, 0.2), mode="valid")
    inner = arm.walk_offsets[0] + share * (other.walk_offsets[1] - arm.walk_offsets[0])
    aside = -left_of(headings)
    left = kerb + inner[:, None] * aside
    right = kerb + (inner + SIDEWALK_WIDTH)[:, None] * aside
    walk = LaneDraft(
        f"{node_name(node)}.sidewalk{number}",
        LaneType.SIDEWALK,
        0.5 * (left + right),
        left,
        right,
        headings,
        junction=node_name(node),
    )
    before, after = arm.walks[0], other.walks[1]
    assert before is not None and after is not None
    pin_start(walk, before.center[-1], before.left[-1], before.right[-1])
    pin_end(walk, after.center[0], after.left[0], after.right[0])
    return walk


def _splitter(draft: Draft, center: Points, ring: Ring, arm: Arm, gates: list[_Gate]) -> None:
    """The island between an arm's exit and entry."""
    own = {gate.is_entry: gate.lane for gate in gates if gate.arm is arm}
    if len(own) < 2:
        return
    outer = ring.radius + 0.5 * RING_WIDTH + 0.05
    # Near the street the two lanes touch; the island begins where they have parted.
    aside = left_of(arm.pose.heading)
    exit_edge = _outside(own[False].left, center, outer)
    exit_edge = exit_edge[(exit_edge - center) @ aside < -0.2]
    entry_edge = _outside(own[True].left, center, outer)
    entry_edge = entry_edge[(entry_edge - center) @ aside > 0.2]
    if len(exit_edge) < 2 or len(entry_edge) < 2:
        return
    base = _ring_edge(
        center, outer, _angle_of(exit_edge[0], center), _angle_of(entry_edge[-1], center)
    )
    island = np.concatenate([exit_edge, entry_edge, base[::-1]])
    draft.boundary(np.concatenate([island, island[:1]]))


# --------------------------------------------------------------------- dead ends
def build_turnaround(draft: Draft, node: Node, center: Points, arm: Arm) -> None:
    """Draws the loop that leads from the end of a street back into it."""
    ring = Ring(TURNAROUND_RADIUS, TURNAROUND_RADIUS)
    _, angle = ring_angle(arm.street, arm.end, ring)
    loop = arc(center, ring.radius, arm.pose.heading + angle, 2 * np.pi - 2 * angle)
    curve = joined(_approach(center, ring, arm, True), loop, _approach(center, ring, arm, False))
    source, sink = arm.incoming[0], arm.outgoing[0]
    lane = swept_lane(
        curve,
        (source.end_width(), RING_WIDTH, sink.start_width()),
        f"{node_name(node)}.loop",
        LaneType.DRIVING,
        speed=min(source.speed or RING_SPEED, 20.0 / 3.6),
        junction=node_name(node),
    )
    pin_start(lane, source.center[-1], source.left[-1], source.right[-1])
    pin_end(lane, sink.center[0], sink.left[0], sink.right[0])
    draft.lane(lane)
    source.successors.append(lane)
    lane.successors.append(sink)
    draft.boundary(lane.right)
    draft.boundary(np.concatenate([lane.left, lane.left[:1]]))


def build_dead_end(draft: Draft, arm: Arm) -> None:
    """Draws the kerb across a street that simply ends."""
    draft.boundary(np.stack([arm.curb("left"), arm.curb("right")]))

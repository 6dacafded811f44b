"""Streets and nodes as decided, before any geometry exists.

A `Street` has a class, lanes, a median, parking and sidewalks; a `Node` has a kind and a rule.
`decisions` draws them; `layout` finds room for them and may take lanes away where there is none.
"Forward" is from the street's first point to its last; left and right are as seen that way.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np

from gigalane.maps.generate.plan import Plan
from gigalane.maps.generate.settings import RoadKind
from gigalane.maps.road import LaneType

PARKING_WIDTH = 2.3
SHOULDER_WIDTH = 2.0
BICYCLE_WIDTH = 1.6
RAMP_WIDTH = 3.7
SIDEWALK_WIDTH = 2.0
VERGE_WIDTH = 0.5
"""Widths of ramps and of the strips beside lanes [m] (chosen; usual in road design guides)."""


class NodeKind(StrEnum):
    """What stands where streets end."""

    JUNCTION = "junction"
    ROUNDABOUT = "roundabout"
    RAMP = "ramp"
    TURNAROUND = "turnaround"
    DEAD_END = "dead_end"


class Control(StrEnum):
    """What decides who goes first at a junction."""

    SIGNALS = "signals"
    ALL_STOP = "all_stop"
    MINOR_STOP = "minor_stop"
    MINOR_YIELD = "minor_yield"
    NONE = "none"


@dataclass(eq=False)
class Strip:
    """A lane for something else than traffic along one side of a street.

    Attributes:
        type: parking, shoulder or bicycle.
        width: [m].
    """

    type: LaneType
    width: float


@dataclass(eq=False)
class Street:
    """One street of the plan.

    Attributes:
        index: its number in the plan.
        path: the points it passes.
        kind: its class.
        lanes: (forward, backward) lanes at its start and at its end, [[f, b], [f, b]]; no
            backward lanes at either end make it one-way.
        lane_width: of every lane [m].
        median: gap between the two directions [m].
        right_strip: what stands along the right side, or None.
        left_strip: the same on the left.
        sidewalks: whether it has them, on the (right, left).
        speed_kmh: the limit before bends lower it.
        squeeze: how often `layout` has asked it to take less room.
    """

    index: int
    path: tuple[int, ...]
    kind: RoadKind
    lanes: list[list[int]]
    lane_width: float
    median: float = 0.0
    right_strip: Strip | None = None
    left_strip: Strip | None = None
    sidewalks: tuple[bool, bool] = (False, False)
    speed_kmh: int = 50
    squeeze: int = 0

    @property
    def is_one_way(self) -> bool:
        """Whether traffic only runs forward."""
        return self.lanes[0][1] == 0

    def curb(self, end: int, side: str) -> float:
        """Distance from the reference line to the outer lane's edge at an end (0, 1) [m]."""
        forward, backward = self.lanes[end]
        if self.is_one_way:
            return 0.5 * forward * self.lane_width
        count = forward if side == "right" else backward
        return 0.5 * self.median + count * self.lane_width

    def strip(self, side: str) -> Strip | None:
        """What stands along a side."""
        return self.right_strip if side == "right" else self.left_strip

    def beside_curb(self, side: str) -> float:
        """Width of all that stands outside the outer lane on a side [m]."""
        strip = self.strip(side)
        walk = self.sidewalks[0 if side == "right" else 1]
        return (strip.width if strip else 0.0) + (VERGE_WIDTH + SIDEWALK_WIDTH if walk else 0.3)

    def give_way(self) -> bool:
        """Takes less room, a little more each time; False once there is nothing left to give."""
        self.squeeze += 1
        widest = max(max(ends) for ends in self.lanes)
        if self.squeeze == 1:
            fewest = [min(a, b) for a, b in zip(*self.lanes, strict=True)]
            self.lanes = [fewest.copy(), fewest.copy()]
        elif self.squeeze == 2:
            self.right_strip = self.left_strip = None
            self.median = 0.0
        elif widest > 1:
            self.lanes = [[min(count, widest - 1) for count in ends] for ends in self.lanes]
        elif any(self.sidewalks):
            self.sidewalks = (False, False)
        else:
            return False
        return True

    def reach(self, side: str) -> float:
        """Farthest that anything of it stands from the reference line [m]."""
        return max(self.curb(0, side), self.curb(1, side)) + self.beside_curb(side)


@dataclass(eq=False)
class Node:
    """A place where streets end.

    Attributes:
        index: its point in the plan.
        kind: what is built there.
        control: who goes first, at junctions.
        major: streets that have priority where only the minor ones stop or yield.
        ramp: the street that leaves or joins at an angle, at ramps.
        crossings: streets that pedestrians may cross here.
    """

    index: int
    kind: NodeKind
    control: Control = Control.NONE
    major: tuple[int, ...] = ()
    ramp: int | None = None
    crossings: set[int] = field(default_factory=set)


@dataclass(eq=False)
class Scheme:
    """A plan whose streets and nodes have been decided."""

    plan: Plan
    streets: list[Street]
    nodes: dict[int, Node]

    def ends_at(self, node: int) -> list[tuple[Street, int]]:
        """Streets that end at a node, each with the end (0 start, 1 end) it has there."""
        return [
            (street, end) for street in self.streets for end in (0, 1) if street.path[-end] == node
        ]

    def leaving(self, street: Street, end: int) -> float:
        """Direction in which a street leaves an end towards its next point [rad]."""
        path = street.path if end == 0 else street.path[::-1]
        step = self.plan.positions[path[1]] - self.plan.positions[path[0]]
        return float(np.arctan2(step[1], step[0]))


def all_reachable(scheme: Scheme) -> bool:
    """Whether every direction of every street can be reached from every other one."""
    states = [(street.index, way) for street in scheme.streets
              for way in ((0,) if street.is_one_way else (0, 1))]  # fmt: skip
    leads: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for street in scheme.streets:
        for way in (0, 1):
            if (street.index, way) not in states:
                continue
            node = street.path[-1 if way == 0 else 0]
            leads[street.index, way] = [
                (other.index, end)
                for other, end in scheme.ends_at(node)
                if (other.index, end) in states
                and (other is not street or scheme.nodes[node].kind is NodeKind.TURNAROUND)
            ]
    backs: dict[tuple[int, int], list[tuple[int, int]]] = {state: [] for state in states}
    for state, following in leads.items():
        for other in following:
            backs[other].append(state)
    for links in (leads, backs):
        found, front = {states[0]}, [states[0]]
        while front:
            for other in links[front.pop()]:
                if other not in found:
                    found.add(other)
                    front.append(other)
        if len(found) < len(states):
            return False
    return True


def harmonise(scheme: Scheme) -> None:
    """Lets roads that continue each other differ by one lane at most where they meet."""
    for _ in range(4):
        for node in scheme.nodes.values():
            ends = [(s, e) for s, e in scheme.ends_at(node.index) if s.index in node.major]
            if len(ends) != 2:
                continue
            for (street, end), (other, other_end) in (ends, ends[::-1]):
                # Traffic that runs forward at a street's start continues what runs backward
                # at the other's start, and so on: way in here is way out there.
                for way in (0, 1):
                    there = other.lanes[other_end][way if end != other_end else 1 - way]
                    if there:
                        street.lanes[end][way] = min(street.lanes[end][way], there + 1)

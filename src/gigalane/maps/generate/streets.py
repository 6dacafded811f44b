"""What kind of road each street of a plan becomes, and what rules at each junction.

A `Street` is decided here before any geometry exists: its class, lanes, median, parking,
sidewalks. `layout` then finds room for it and may take lanes away where there is none.
"Forward" is from the street's first point to its last; left and right are as seen that way.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.random import Generator

from gigalane.maps.generate import settings as kinds
from gigalane.maps.generate.curves import direction, left_of, wrap
from gigalane.maps.generate.plan import Plan
from gigalane.maps.generate.settings import RoadKind, TownSettings
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
            (street, end)
            for street in self.streets
            for end in (0, 1)
            if street.path[-end] == node
        ]

    def leaving(self, street: Street, end: int) -> float:
        """Direction in which a street leaves an end towards its next point [rad]."""
        path = street.path if end == 0 else street.path[::-1]
        step = self.plan.positions[path[1]] - self.plan.positions[path[0]]
        return float(np.arctan2(step[1], step[0]))


def decide(rng: Generator, plan: Plan, settings: TownSettings) -> Scheme:
    """Decides every street and node of a plan; the town's own taste is drawn first."""
    settings = _taste(rng, settings)
    main = _main_roads(rng, plan, settings)
    built_up = rng.random() < 0.85
    streets = []
    for index, path in enumerate(plan.streets):
        kind = _kind(rng, plan, index, main, built_up)
        streets.append(_street(rng, index, path, kind, settings))
    scheme = Scheme(plan, streets, {})
    for node in plan.nodes:
        scheme.nodes[node] = _node(rng, scheme, node, settings)
    _fit_ends(scheme)
    _one_ways(rng, scheme, settings)
    _ramps(rng, scheme, settings)
    _lane_changes(rng, scheme, settings)
    harmonise(scheme)
    for node in scheme.nodes.values():
        if node.kind in (NodeKind.JUNCTION, NodeKind.ROUNDABOUT):
            node.crossings = {
                street.index
                for street, _ in scheme.ends_at(node.index)
                if any(street.sidewalks) and rng.random() < settings.crossing_share
            }
    return scheme


def _taste(rng: Generator, settings: TownSettings) -> TownSettings:
    """The settings with each share scaled by this town's own factor."""
    changed = {}
    for name in settings.__dataclass_fields__:
        value = getattr(settings, name)
        if name.endswith("_share") and name not in ("true_dead_end_share", "thinning_share"):
            factor = 1.0 + settings.variety * rng.uniform(-1.0, 1.0)
            changed[name] = float(np.clip(value * factor, 0.0, 1.0)) if value < 1.0 else value
    return TownSettings(**{**{n: getattr(settings, n) for n in settings.__dataclass_fields__},
                           **changed})  # fmt: skip


def _main_roads(rng: Generator, plan: Plan, settings: TownSettings) -> dict[int, RoadKind]:
    """Streets that lie on arterials: smooth long walks through the plan."""
    main: dict[int, RoadKind] = {}
    if settings.maximum_lanes < 2:
        return main
    for _ in range(int(rng.integers(0, settings.arterials + 1))):
        kind = kinds.EXPRESSWAY if rng.random() < 0.35 else kinds.ARTERIAL
        walk = [int(rng.integers(len(plan.streets)))]
        for forwards in (True, False):
            street, node = walk[0], plan.streets[walk[0]][-1 if forwards else 0]
            while (following := _straight_on(plan, street, node)) is not None:
                street, node = following
                if street in walk:
                    break
                walk.append(street)
        # Two or more streets make a road that crosses the town; one alone does not.
        if len(walk) >= 2:
            main.update({street: kind for street in walk if street not in main})
    return main


def _straight_on(plan: Plan, street: int, node: int) -> tuple[int, int] | None:
    """The street that continues one across a node within 40 degrees, and its far node."""
    path = plan.streets[street]
    before = path[-2] if path[-1] == node else path[1]
    arriving = plan.positions[node] - plan.positions[before]
    best, least = None, np.deg2rad(40.0)
    for other, candidate in enumerate(plan.streets):
        if other == street or node not in (candidate[0], candidate[-1]):
            continue
        ordered = candidate if candidate[0] == node else candidate[::-1]
        leaving = plan.positions[ordered[1]] - plan.positions[node]
        turn = abs(wrap(float(np.arctan2(*leaving[::-1]) - np.arctan2(*arriving[::-1]))))
        if turn < least:
            best, least = (other, ordered[-1]), turn
    return best


def _kind(
    rng: Generator, plan: Plan, index: int, main: dict[int, RoadKind], built_up: bool
) -> RoadKind:
    if index in main:
        return main[index]
    ends = [plan.ends_at(end) for end in (plan.streets[index][0], plan.streets[index][-1])]
    if 1 in ends:
        choices = [kinds.LIVING_STREET, kinds.RESIDENTIAL]
        return choices[int(rng.random() < 0.5)]
    if not built_up or (len(plan.streets[index]) > 2 and rng.random() < 0.4):
        return kinds.COUNTRY_ROAD if rng.random() < 0.8 else kinds.COLLECTOR
    draw = rng.random()
    if draw < 0.1:
        return kinds.LIVING_STREET
    return kinds.RESIDENTIAL if draw < 0.65 else kinds.COLLECTOR


def _street(
    rng: Generator, index: int, path: tuple[int, ...], kind: RoadKind, settings: TownSettings
) -> Street:
    """Draws a street of a kind; both directions have the same lanes for now."""
    count = 1
    if kind in (kinds.ARTERIAL, kinds.EXPRESSWAY):
        count = int(rng.choice([2, 2, 3, 3, 4]))
    elif kind is kinds.COLLECTOR:
        count = int(rng.choice([1, 2]))
    count = min(count, settings.maximum_lanes)
    street = Street(
        index=index,
        path=path,
        kind=kind,
        lanes=[[count, count], [count, count]],
        lane_width=float(np.round(rng.uniform(*kind.lane_width_m), 2)),
        median=float(np.round(rng.uniform(1.0, 3.0), 1)) if rng.random() < kind.median_share else 0,
        speed_kmh=10 * int(rng.integers(kind.speeds_kmh[0] // 10, kind.speeds_kmh[1] // 10 + 1)),
    )
    if kind.built_up:
        strips: list[Strip | None] = [None, None]
        if count <= 2 and rng.random() < 0.12:
            strips = [Strip(LaneType.BICYCLE, BICYCLE_WIDTH) for _ in range(2)]
        else:
            strips = [
                Strip(LaneType.PARKING, PARKING_WIDTH)
                if count <= 2 and rng.random() < settings.parking_share
                else None
                for _ in range(2)
            ]
        street.right_strip, street.left_strip = strips
        if rng.random() < settings.sidewalk_share:
            street.sidewalks = (True, True) if rng.random() < 0.8 else (True, False)
    elif rng.random() < kind.shoulder_share:
        street.right_strip = Strip(LaneType.SHOULDER, SHOULDER_WIDTH)
        street.left_strip = Strip(LaneType.SHOULDER, SHOULDER_WIDTH)
    return street


def _node(rng: Generator, scheme: Scheme, index: int, settings: TownSettings) -> Node:
    """Draws what stands at a node."""
    ends = scheme.ends_at(index)
    if len(ends) < 3:
        true_end = rng.random() < settings.true_dead_end_share
        return Node(index, NodeKind.DEAD_END if true_end else NodeKind.TURNAROUND)
    angles = np.sort([scheme.leaving(street, end) % (2 * np.pi) for street, end in ends])
    closest = np.append(np.diff(angles), angles[0] + 2 * np.pi - angles[-1]).min()
    lanes = [max(street.lanes[end]) for street, end in ends]
    fast = any(street.kind is kinds.EXPRESSWAY for street, _ in ends)
    room = closest > np.deg2rad(60.0) and max(lanes) <= 2 and not fast
    if room and rng.random() < settings.roundabout_share:
        return Node(index, NodeKind.ROUNDABOUT, Control.MINOR_YIELD)
    node = Node(index, NodeKind.JUNCTION)
    node.major = _priority(scheme, ends)
    if sum(lanes) > 2 * len(lanes) - 1 or fast or rng.random() < settings.signal_share:
        node.control = Control.SIGNALS
        return node
    draw = rng.random()
    if draw < settings.stop_share:
        node.control = Control.ALL_STOP if rng.random() < 0.4 else Control.MINOR_STOP
    elif draw < settings.stop_share + settings.yield_share:
        node.control = Control.MINOR_YIELD
    return node


def _priority(scheme: Scheme, ends: list[tuple[Street, int]]) -> tuple[int, ...]:
    """The two streets that together make the priority road: wide, fast and straight."""
    best, most = (ends[0][0].index, ends[1][0].index), -np.inf
    for a, (first, first_end) in enumerate(ends):
        for second, second_end in ends[a + 1 :]:
            bend = abs(
                wrap(
                    scheme.leaving(first, first_end) - scheme.leaving(second, second_end) - np.pi
                )
            )
            score = sum(s.speed_kmh + 30 * max(s.lanes[0]) for s in (first, second)) - 60 * bend
            if score > most:
                best, most = (first.index, second.index), score
    return best


def _fit_ends(scheme: Scheme) -> None:
    """One lane a direction where a roundabout or a dead end asks for it."""
    for node in scheme.nodes.values():
        if node.kind in (NodeKind.JUNCTION, NodeKind.RAMP):
            continue
        for street, end in scheme.ends_at(node.index):
            street.lanes[end] = [min(1, count) for count in street.lanes[end]]


def _one_ways(rng: Generator, scheme: Scheme, settings: TownSettings) -> None:
    """Makes streets one-way where everything can still be reached from everywhere."""
    for street in scheme.streets:
        ends = [scheme.nodes[street.path[0]], scheme.nodes[street.path[-1]]]
        blocked = any(node.kind in (NodeKind.TURNAROUND, NodeKind.DEAD_END) for node in ends)
        if blocked or street.kind is kinds.EXPRESSWAY or rng.random() >= settings.one_way_share:
            continue
        count = int(rng.choice([1, 2])) if rng.random() < 0.7 else 3
        count = min(count, settings.maximum_lanes)
        keep = (street.lanes, street.median, street.path)
        ones = [1 if node.kind is NodeKind.ROUNDABOUT else count for node in ends]
        street.lanes, street.median = [[ones[0], 0], [ones[1], 0]], 0.0
        if rng.random() < 0.5:
            street.path = street.path[::-1]
            street.lanes.reverse()
        if not all_reachable(scheme):
            street.lanes, street.median, street.path = keep


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


def _ramps(rng: Generator, scheme: Scheme, settings: TownSettings) -> None:
    """Turns T junctions at wide roads into on-ramps and off-ramps where routes allow it."""
    for node in scheme.nodes.values():
        ends = scheme.ends_at(node.index)
        if node.kind is not NodeKind.JUNCTION or len(ends) != 3:
            continue
        main = [(s, e) for s, e in ends if s.index in node.major]
        side = [(s, e) for s, e in ends if s.index not in node.major]
        if len(main) != 2 or len(side) != 1 or rng.random() >= settings.ramp_share:
            continue
        bend = abs(wrap(scheme.leaving(*main[0]) - scheme.leaving(*main[1]) - np.pi))
        street, end = side[0]
        far = scheme.nodes[street.path[-1 if end == 0 else 0]]
        wide = min(max(s.lanes[e]) for s, e in main) >= 2
        one_ways = any(s.is_one_way for s, _ in main)
        if bend > np.deg2rad(40.0) or not wide or one_ways or far.kind is not NodeKind.JUNCTION:
            continue
        _make_ramp(rng, scheme, node, main[0][0], street, end)


def _make_ramp(
    rng: Generator, scheme: Scheme, node: Node, main: Street, street: Street, end: int
) -> None:
    """Makes one street a one-way ramp, if everything stays reachable."""
    changed = {
        "kind": kinds.RAMP, "lanes": [[1, 0], [1, 0]], "median": 0.0, "right_strip": None,
        "left_strip": None, "sidewalks": (False, False), "lane_width": RAMP_WIDTH,
        "speed_kmh": 10 * int(rng.integers(4, 7)), "path": street.path,
    }  # fmt: skip
    kept = {name: getattr(street, name) for name in changed}
    before = (node.kind, node.control, node.ramp)
    leaves = rng.random() < 0.5
    bend = _ramp_bend(scheme, node, main, street, end, leaves)
    inwards = street.path if end == 0 else street.path[::-1]
    outwards = (inwards[0], len(scheme.plan.positions), *inwards[1:])
    changed["path"] = outwards if leaves else outwards[::-1]
    for name, value in changed.items():
        setattr(street, name, value)
    node.kind, node.control, node.ramp = NodeKind.RAMP, Control.NONE, street.index
    if _ramp_reachable(scheme):
        positions = np.vstack([scheme.plan.positions, bend])
        scheme.plan = Plan(positions, scheme.plan.streets)
        return
    for name, value in kept.items():
        setattr(street, name, value)
    node.kind, node.control, node.ramp = before


def _ramp_bend(
    scheme: Scheme, node: Node, main: Street, street: Street, end: int, leaves: bool
) -> np.ndarray:
    """Where a ramp bends from the main road's direction towards its far end (2,) [m]."""
    here = scheme.plan.positions[node.index]
    main_end = 0 if main.path[0] == node.index else 1
    travel = scheme.leaving(main, main_end)
    if wrap(scheme.leaving(street, end) - travel) > 0:
        travel += np.pi  # the ramp is to the right of its traffic
    path = street.path if end == 0 else street.path[::-1]
    far = scheme.plan.positions[path[1]] - here
    aside = -left_of(travel)
    along = direction(travel if leaves else travel + np.pi)
    reach = max(45.0, 0.6 * float(np.dot(far, along)))
    return here + reach * along + (8.0 + 0.3 * float(np.dot(far, aside))) * aside


def _ramp_reachable(scheme: Scheme) -> bool:
    # A ramp serves one direction of the main road only; requiring that the town stays connected
    # without any ramp is stricter than needed, simple, and always safe.
    ramps = {node.ramp for node in scheme.nodes.values() if node.ramp is not None}
    kept = [street for street in scheme.streets if street.index not in ramps]
    bare = Scheme(scheme.plan, kept, scheme.nodes)
    return all_reachable(bare)


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


def _lane_changes(rng: Generator, scheme: Scheme, settings: TownSettings) -> None:
    """Lets the number of lanes differ between a street's two ends."""
    for street in scheme.streets:
        if street.kind in (kinds.RAMP, kinds.LIVING_STREET):
            continue
        for direction in range(1 if street.is_one_way else 2):
            if rng.random() >= settings.lane_change_share:
                continue
            ends = [scheme.nodes[street.path[0]], scheme.nodes[street.path[-1]]]
            end = int(rng.integers(2))
            if ends[end].kind is NodeKind.JUNCTION and ends[1 - end].kind is not NodeKind.RAMP:
                count = street.lanes[end][direction] + 1
                street.lanes[end][direction] = min(count, settings.maximum_lanes)

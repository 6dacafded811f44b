"""Draws what each street and node of a plan becomes.

The order matters: classes and lanes first, then what stands at nodes, then the changes that must
keep every place reachable from every other (one-way streets, ramps), then lanes that are added
or dropped on the way, then crossings.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import replace

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from gigalane.maps.generate import settings as kinds
from gigalane.maps.generate.curves import direction, left_of, wrap
from gigalane.maps.generate.plan import Plan
from gigalane.maps.generate.settings import RoadKind, TownSettings
from gigalane.maps.generate.streets import (
    BICYCLE_WIDTH,
    PARKING_WIDTH,
    RAMP_WIDTH,
    SHOULDER_WIDTH,
    Control,
    Node,
    NodeKind,
    Scheme,
    Street,
    Strip,
    all_reachable,
    harmonise,
)
from gigalane.maps.road import LaneType


def decide(
    rng: Generator, plan: Plan, settings: TownSettings, without_ramp: Container[int] = ()
) -> Scheme:
    """Decides every street and node of a plan; the town's own taste is drawn first.

    Args:
        rng: the source of randomness.
        plan: where streets and nodes are.
        settings: what the town may look like.
        without_ramp: nodes at which a ramp has proved impossible.
    """
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
    _ramps(rng, scheme, settings, without_ramp)
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
    changed: dict[str, float] = {}
    for name in settings.__dataclass_fields__:
        value = getattr(settings, name)
        # Dead ends that strand a route are a matter of choice, and 0 and 1 mean never and always.
        if name.endswith("_share") and name != "true_dead_end_share" and 0.0 < value < 1.0:
            factor = 1.0 + settings.variety * rng.uniform(-1.0, 1.0)
            changed[name] = float(np.clip(value * factor, 0.0, 1.0))
    return replace(settings, **changed)  # type: ignore[arg-type]


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
                wrap(scheme.leaving(first, first_end) - scheme.leaving(second, second_end) - np.pi)
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


def _ramps(
    rng: Generator, scheme: Scheme, settings: TownSettings, without_ramp: Container[int]
) -> None:
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
        if node.index in without_ramp:
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
) -> NDArray[np.float64]:
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


def _lane_changes(rng: Generator, scheme: Scheme, settings: TownSettings) -> None:
    """Lets the number of lanes differ between a street's two ends."""
    for street in scheme.streets:
        if street.kind in (kinds.RAMP, kinds.LIVING_STREET):
            continue
        for way in range(1 if street.is_one_way else 2):
            if rng.random() >= settings.lane_change_share:
                continue
            ends = [scheme.nodes[street.path[0]], scheme.nodes[street.path[-1]]]
            end = int(rng.integers(2))
            if ends[end].kind is NodeKind.JUNCTION and ends[1 - end].kind is not NodeKind.RAMP:
                count = street.lanes[end][way] + 1
                street.lanes[end][way] = min(count, settings.maximum_lanes)

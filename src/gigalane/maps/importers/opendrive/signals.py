"""Which lanes each light and sign is for, where it stands, and how lights take turns.

OpenDRIVE puts a signal on one road and lets references extend it to others (1.8, section 14).
What a driver needs is another thing: on which lane, before which junction, must I heed it? So:

- A signal or reference on a connecting road is for the lanes that lead into it; one on any
  other road is for the lanes that end at a junction within `APPROACH` metres after it.
- Lanes are those its validity names; where that is nothing or 0 to 0 (CARLA writes this), the
  references speak instead, and without any the lanes of its orientation.
- RoadRunner, which CARLA's towns come from, writes orientations the other way round than the
  standard (section 14.1) and counts every heading offset from the same side. Whether a file
  does is found from the records that say both.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from gigalane.maps.importers.opendrive.lanes import MAXIMUM_COORDINATE, Key, LanePiece
from gigalane.maps.importers.opendrive.records import Document, RoadRecord, SignalRecord
from gigalane.maps.importers.opendrive.reference_line import ReferenceLine
from gigalane.maps.road import (
    ROUTABLE_LANE_TYPES,
    LaneType,
    Signal,
    SignalProgram,
    SignalStage,
    SignalType,
)

APPROACH = 60.0
"""Farthest before a junction that a light or sign still belongs to it [m] (chosen)."""

_LIGHTS = {"1000001", "1000008", "1000009", "1000010", "1000011", "1000012"}
"""Lights for vehicles in the OpenDRIVE catalogue; 1000002 and 1000013 are for pedestrians and
bicycles, 1000003 is a painted crossing."""
_STOPS, _YIELDS, _SPEEDS = {"206", "r1-1"}, {"205", "r1-2"}, {"274", "r2-1"}
"""German catalogue numbers, which CARLA uses for every country, and US ones (MUTCD)."""
PAINTED = {"294", "1000003"}
"""Signals that are paint on the road: stop line, crossing. They are no `Signal` of the map."""

RIGHT_OF_WAY = {SignalType.TRAFFIC_LIGHT, SignalType.STOP, SignalType.YIELD}
"""Signals that a driver stops for."""

_CAR_LANE_TYPES = ROUTABLE_LANE_TYPES | {LaneType.BUS}


@dataclass(eq=False)
class Network:
    """The laid-out roads that signals are placed on.

    Attributes:
        document: the file; gets warnings.
        lines: reference line by road id.
        pieces: lanes that have a surface.
        successors: what each lane continues in.
        predecessors: what continues in each lane.
    """

    document: Document
    lines: dict[str, ReferenceLine]
    pieces: dict[Key, LanePiece]
    successors: dict[Key, tuple[Key, ...]]
    predecessors: dict[Key, tuple[Key, ...]]

    @cached_property
    def by_road(self) -> dict[str, list[LanePiece]]:
        """The lanes of each road."""
        found: dict[str, list[LanePiece]] = {}
        for key, piece in self.pieces.items():
            found.setdefault(key[0], []).append(piece)
        return found

    @cached_property
    def orientation_is_reversed(self) -> bool:
        """Whether the file's "+" means "for traffic against s"."""
        return _orientation_is_reversed(self)


@dataclass(slots=True, eq=False)
class Governed:
    """What a signal is for.

    Attributes:
        lanes: the lanes beside it or its references.
        approaches: lanes that end at a junction where it must be heeded, with that junction.
    """

    lanes: dict[Key, None] = field(default_factory=dict)
    approaches: dict[Key, str] = field(default_factory=dict)


def signal_type(record: SignalRecord) -> SignalType:
    """What a signal tells, by its catalogue number."""
    kind = record.type.strip().lower()
    if kind in _LIGHTS:
        return SignalType.TRAFFIC_LIGHT
    if kind in _STOPS:
        return SignalType.STOP
    if kind in _YIELDS:
        return SignalType.YIELD
    swedish = record.country.lower() in ("se", "swe") and kind + record.subtype[:2] == "c31"
    return SignalType.SPEED_LIMIT if kind in _SPEEDS or swedish else SignalType.OTHER


def place_signals(network: Network) -> tuple[list[Signal], dict[str, Governed]]:
    """Every light and sign of the map, and what each is for, by its id in the map."""
    definitions: dict[str, tuple[RoadRecord, SignalRecord]] = {}
    references: dict[str, list[tuple[RoadRecord, SignalRecord]]] = defaultdict(list)
    for road in network.document.roads.values():
        for record in road.signals:
            if not record.type:
                references[record.id].append((road, record))
            elif record.type not in PAINTED:
                # Some writers give every sign the same id; references then mean the first.
                unique = record.id if record.id not in definitions else f"{road.id}:{record.id}"
                while unique in definitions:
                    unique += "'"
                definitions[unique] = (road, record)
    groups = _controller_of(network.document)
    signals, governed = [], {}
    for identity, (road, record) in definitions.items():
        position, heading = _pose(network, road, record)
        if not (np.abs(position) < MAXIMUM_COORDINATE).all() or not math.isfinite(heading):
            place = f'road "{road.id}", signal "{record.id}"'
            network.document.warn(place, "stands nowhere near the road; left out")
            continue
        found = Governed()
        for where, spoken in references[identity]:
            _extend(found, network, where, spoken)
        if _names_lanes(record) or not references[identity]:
            _extend(found, network, road, record)
        type_ = signal_type(record)
        governed[identity] = found
        lanes = found.approaches if type_ in RIGHT_OF_WAY and found.approaches else found.lanes
        signals.append(
            Signal(
                id=identity,
                type=type_,
                position=position,
                heading=math.remainder(heading, math.tau),
                lanes=tuple(network.pieces[key].id for key in lanes),
                group=groups.get(identity) if type_ is SignalType.TRAFFIC_LIGHT else None,
                value=_speed(record) if type_ is SignalType.SPEED_LIMIT else None,
            )
        )
    return signals, governed


def _names_lanes(record: SignalRecord) -> bool:
    """Whether a record's validity says anything."""
    return any(first != 0 or last != 0 for first, last in record.lanes)


def _extend(found: Governed, network: Network, road: RoadRecord, record: SignalRecord) -> None:
    """Adds the lanes that one record speaks for."""
    for piece in lanes_of(network, road, record):
        found.lanes[piece.key] = None
        found.approaches |= _approaches(network, piece, record.s)


def lanes_of(network: Network, road: RoadRecord, record: SignalRecord) -> list[LanePiece]:
    """The car lanes beside a record that its validity and orientation are for."""
    beside = _lanes_beside(network, road, record)
    if _names_lanes(record):
        beside = [piece for piece in beside if _is_named(piece, record)]
    if record.orientation not in ("+", "-"):
        return beside
    forward = (record.orientation == "+") != network.orientation_is_reversed
    facing = [piece for piece in beside if piece.forward == forward]
    return facing if facing or not _names_lanes(record) else beside


def _is_named(piece: LanePiece, record: SignalRecord) -> bool:
    """Whether a record's validity names a lane."""
    return any(min(pair) <= piece.key[2] <= max(pair) for pair in record.lanes)


def _lanes_beside(network: Network, road: RoadRecord, record: SignalRecord) -> list[LanePiece]:
    """The car lanes of a road at a record's s."""
    line = network.lines.get(road.id)
    if line is None:
        return []
    s = min(max(record.s, 0.0), line.length)
    return [
        piece
        for piece in network.by_road.get(road.id, [])
        if piece.type in _CAR_LANE_TYPES
        and min(piece.s[0], piece.s[-1]) - 0.05 <= s <= max(piece.s[0], piece.s[-1]) + 0.05
    ]


def _approaches(network: Network, piece: LanePiece, s: float) -> dict[Key, str]:
    """The lanes that end at the junction a lane lies in or leads to, with that junction."""
    if piece.junction is not None:
        return _incoming(network, piece, piece.junction)
    ahead = abs(float(piece.s[-1]) - s)
    while ahead <= APPROACH:
        following = [network.pieces[key] for key in network.successors[piece.key]]
        entered = [other.junction for other in following if other.junction is not None]
        if entered:
            return {piece.key: entered[0]}
        same_road = [other for other in following if other.key[0] == piece.key[0]]
        if not same_road:
            return {}
        piece = same_road[0]
        ahead += abs(float(piece.s[-1] - piece.s[0]))
    return {}


def _incoming(network: Network, piece: LanePiece, junction: str) -> dict[Key, str]:
    """The lanes outside a junction from which one inside it is reached."""
    found: dict[Key, str] = {}
    seen, pending = {piece.key}, [piece.key]
    while pending:
        for key in network.predecessors[pending.pop()]:
            if network.pieces[key].junction != junction:
                found[key] = junction
            elif key not in seen:
                seen.add(key)
                pending.append(key)
    return found


def _orientation_is_reversed(network: Network) -> bool:
    """Whether the file's "+" means "for traffic against s": by the records that betray it.

    A record betrays it by naming lanes that run one way, or by standing just before a junction
    to which only one of the two directions leads.
    """
    votes = 0
    for road in network.document.roads.values():
        for record in road.signals:
            if record.orientation not in ("+", "-"):
                continue
            stated = record.orientation == "+"
            beside = _lanes_beside(network, road, record)
            if _names_lanes(record):
                directions = {piece.forward for piece in beside if _is_named(piece, record)}
            elif road.junction is None and signal_type(record) in RIGHT_OF_WAY:
                leading = [piece for piece in beside if _approaches(network, piece, record.s)]
                directions = {piece.forward for piece in leading}
            else:
                continue
            if len(directions) == 1:
                votes += 1 if directions == {not stated} else -1
    return votes > 0


def _pose(network: Network, road: RoadRecord, record: SignalRecord) -> tuple[np.ndarray, float]:
    """Where a signal stands (3,) [m] and which way its face looks [rad]."""
    position, heading = network.lines[road.id].point(record.s, record.t, record.z_offset)
    # A face looks at the traffic it is for, so against the road where it is for traffic along s.
    against = network.orientation_is_reversed or record.orientation != "-"
    if record.orientation not in ("+", "-"):
        directions = {piece.forward for piece in lanes_of(network, road, record)}
        against = directions != {False}
    face = heading + record.heading_offset + (math.pi if against else 0.0)
    return position, face


def _speed(record: SignalRecord) -> float | None:
    """The limit on a speed sign [m/s]; km/h where no unit is given, as sign 274 has it."""
    value = record.value
    if value is None or value <= 0.0:
        try:
            value = float(record.subtype)
        except ValueError:
            return None
        # Before 2017 the German catalogue numbered 10 km/h as 274-51 up to 130 km/h as 274-63.
        value = (value - 50.0) * 10.0 if 50.0 < value <= 63.0 else value
    factor = {"mph": 0.44704, "m/s": 1.0}.get(record.unit.strip().lower(), 1.0 / 3.6)
    return value * factor if 0.0 < value < math.inf else None


def _controller_of(document: Document) -> dict[str, str]:
    """The first controller of each signal."""
    found: dict[str, str] = {}
    for controller in document.controllers.values():
        for signal in controller.signals:
            found.setdefault(signal, controller.id)
    return found


def take_turns(
    signals: list[Signal], governed: dict[str, Governed], document: Document
) -> tuple[list[Signal], list[SignalProgram]]:
    """Gives every light a group and every junction with lights a programme.

    Each controller of a junction has its turn, in the order of the junction's list, as CARLA
    runs its towns. Lights without a controller join those they share a lane with; the rest are
    grouped by the road that they hold back.

    Returns:
        The signals with their groups, and the programmes.
    """
    lights = [s for s in signals if s.type is SignalType.TRAFFIC_LIGHT]
    lane_group = {lane: s.group for s in lights if s.group is not None for lane in s.lanes}
    group_of: dict[str, str] = {}
    junction_groups: dict[str, dict[str, None]] = defaultdict(dict)
    for light in lights:
        approaches = governed[light.id].approaches
        junction = next(iter(approaches.values()), None)
        shared = next((lane_group[lane] for lane in light.lanes if lane in lane_group), None)
        group = light.group or shared
        if group is None:
            group = f"{junction}/{next(iter(approaches))[0]}" if approaches else f"/{light.id}"
        group_of[light.id] = group
        # A light away from any junction still changes: it gets a programme of its own.
        junction_groups[f"/{light.id}" if junction is None else junction][group] = None
    programs, placed = [], set()
    for junction, groups in junction_groups.items():
        record = document.junctions.get(junction)
        order = [c for c in record.controllers if c in groups] if record else []
        order += [group for group in groups if group not in order]
        stages = tuple(SignalStage((group,)) for group in order if group not in placed)
        placed.update(order)
        if stages:
            programs.append(SignalProgram(junction, stages))
    regrouped = [_with_group(signal, group_of.get(signal.id)) for signal in signals]
    return regrouped, programs


def _with_group(signal: Signal, group: str | None) -> Signal:
    """The same signal in a group."""
    return Signal(
        signal.id,
        signal.type,
        signal.position,
        signal.heading,
        signal.lanes,
        group,
        signal.value,
    )

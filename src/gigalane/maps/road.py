"""The road network as people describe it: lanes, boundaries, signals, stop lines, crossings.

Every importer and generator produces a `RoadMap`; everything after it (checks, pictures,
compilation for the simulator) reads only this. Coordinates are metres in the map frame:
x east, y north, z up, right-handed. Lane geometry runs in the direction of travel, whatever
direction the source file stores it in, so "left" and "right" are the driver's.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Polyline = NDArray[np.float64]
"""Points of a line or ring, shape (N, 3) [m], map frame."""


class MapError(ValueError):
    """A road file that cannot be used.

    Attributes:
        file: the file, as the caller named it.
        place: where in the file (a line, an element, an id), or an empty string.
        reason: what is wrong there and, where there is one, the cure.
    """

    def __init__(self, file: str, place: str, reason: str) -> None:
        """Keeps the three parts and joins them into one line."""
        super().__init__(": ".join(part for part in (file, place, reason) if part))
        self.file, self.place, self.reason = file, place, reason


class LaneType(StrEnum):
    """What a lane is for; names follow ASAM OpenDRIVE 1.8 table "lane types" where it has one."""

    NONE = "none"
    DRIVING = "driving"
    BIDIRECTIONAL = "bidirectional"
    ENTRY = "entry"
    EXIT = "exit"
    ON_RAMP = "on_ramp"
    OFF_RAMP = "off_ramp"
    CONNECTING_RAMP = "connecting_ramp"
    BUS = "bus"
    BICYCLE = "bicycle"
    SHOULDER = "shoulder"
    STOP = "stop"
    PARKING = "parking"
    SIDEWALK = "sidewalk"
    BORDER = "border"
    CURB = "curb"
    MEDIAN = "median"
    RESTRICTED = "restricted"
    RAIL = "rail"
    SPECIAL = "special"


ROUTABLE_LANE_TYPES = frozenset(
    {
        LaneType.DRIVING,
        LaneType.BIDIRECTIONAL,
        LaneType.ENTRY,
        LaneType.EXIT,
        LaneType.ON_RAMP,
        LaneType.OFF_RAMP,
        LaneType.CONNECTING_RAMP,
    }
)
"""Lanes a car's route may use."""

DRIVABLE_LANE_TYPES = ROUTABLE_LANE_TYPES | {
    LaneType.BUS,
    LaneType.BICYCLE,
    LaneType.SHOULDER,
    LaneType.STOP,
    LaneType.PARKING,
}
"""Lanes whose surface is road: a wheel on any other type is off-road."""


class MarkType(StrEnum):
    """The pattern of a painted line between two lanes."""

    NONE = "none"
    SOLID = "solid"
    BROKEN = "broken"
    SOLID_SOLID = "solid_solid"
    SOLID_BROKEN = "solid_broken"
    BROKEN_SOLID = "broken_solid"
    BROKEN_BROKEN = "broken_broken"
    CURB = "curb"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class RoadMark:
    """One painted stretch of a lane boundary.

    Attributes:
        start: arc length along the boundary where it begins [m], in driving direction.
        end: arc length where it ends [m].
        type: the pattern.
        color: the paint ("white", "yellow", …), lower case.
        width: the line's width [m].
    """

    start: float
    end: float
    type: MarkType
    color: str = "white"
    width: float = 0.12


@dataclass(frozen=True, slots=True, eq=False)
class Lane:
    """One lane, or one piece of a lane between two of its ends or splits.

    The three polylines have the same number of points, N >= 2: row k of each lies on the same
    cross-section, so consecutive rows span a quadrilateral of road surface.

    Attributes:
        id: unique in the map, stable between imports of the same file.
        type: what it is for.
        centerline: midline, (N, 3) [m], map frame, in driving direction.
        left_boundary: driver's left edge, (N, 3) [m], map frame, in driving direction.
        right_boundary: driver's right edge, (N, 3) [m], map frame, in driving direction.
        successors: ids of lanes that begin where this one ends.
        predecessors: ids of lanes that end where this one begins.
        left_neighbor: id of the lane beside it on the left that runs the same way, or None.
        right_neighbor: id of the lane beside it on the right that runs the same way, or None.
        speed_limit: [m/s], or None where the source does not say.
        is_junction: whether it lies inside a junction.
        junction: id of that junction, or None.
        left_marks: painted stretches of the left boundary.
        right_marks: painted stretches of the right boundary.
    """

    id: str
    type: LaneType
    centerline: Polyline
    left_boundary: Polyline
    right_boundary: Polyline
    successors: tuple[str, ...] = ()
    predecessors: tuple[str, ...] = ()
    left_neighbor: str | None = None
    right_neighbor: str | None = None
    speed_limit: float | None = None
    is_junction: bool = False
    junction: str | None = None
    left_marks: tuple[RoadMark, ...] = ()
    right_marks: tuple[RoadMark, ...] = ()

    @property
    def length(self) -> float:
        """Arc length of the centreline in the ground plane [m]."""
        return float(np.linalg.norm(np.diff(self.centerline[:, :2], axis=0), axis=1).sum())

    @property
    def is_routable(self) -> bool:
        """Whether a car's route may use it."""
        return self.type in ROUTABLE_LANE_TYPES

    @property
    def is_drivable(self) -> bool:
        """Whether its surface counts as road."""
        return self.type in DRIVABLE_LANE_TYPES


class BoundaryType(StrEnum):
    """What stops being road at a boundary."""

    ROAD_EDGE = "road_edge"
    CURB = "curb"
    BARRIER = "barrier"


@dataclass(frozen=True, slots=True, eq=False)
class Boundary:
    """A line where the drivable surface ends; polyline (N, 3) [m], map frame."""

    id: str
    type: BoundaryType
    polyline: Polyline


class SignalType(StrEnum):
    """What a signal or sign tells a driver."""

    TRAFFIC_LIGHT = "traffic_light"
    STOP = "stop"
    YIELD = "yield"
    SPEED_LIMIT = "speed_limit"
    OTHER = "other"


@dataclass(frozen=True, slots=True, eq=False)
class Signal:
    """A traffic light or sign.

    Attributes:
        id: unique among signals.
        type: what it tells.
        position: (3,) [m], map frame.
        heading: direction its face looks, counter-clockwise from +x [rad].
        lanes: ids of the lanes it governs.
        group: id of the signals that switch together with it, or None for signs.
        value: the number on a sign (speed limit in m/s), or None.
    """

    id: str
    type: SignalType
    position: NDArray[np.float64]
    heading: float
    lanes: tuple[str, ...] = ()
    group: str | None = None
    value: float | None = None


@dataclass(frozen=True, slots=True)
class SignalStage:
    """One stage of a programme: its groups get green, then yellow, then all is red.

    Attributes:
        green_groups: ids of the signal groups that may go.
        green: how long they may [s].
        yellow: how long they are warned [s].
        red: how long everyone waits before the next stage [s].
    """

    green_groups: tuple[str, ...]
    green: float = 10.0
    yellow: float = 3.0
    red: float = 2.0


@dataclass(frozen=True, slots=True)
class SignalProgram:
    """The cycle of one junction's lights: its stages, in order, for ever.

    The default durations are CARLA's (green 10 s, yellow 3 s, red 2 s; GIGAFLOW, appendix).
    """

    id: str
    stages: tuple[SignalStage, ...]


class StopRule(StrEnum):
    """Why a driver stops at a stop line."""

    LIGHT = "light"
    STOP = "stop"
    YIELD = "yield"


@dataclass(frozen=True, slots=True, eq=False)
class StopLine:
    """A line that a front bumper may not cross against its rule.

    Attributes:
        id: unique among stop lines.
        rule: a light, a stop sign or a yield sign.
        polyline: its two end points, (2, 3) [m], map frame, driver's left end first.
        lanes: ids of the lanes it crosses, each ending at or shortly after it.
        signals: ids of the lights or signs that apply to it.
        junction: id of the junction it guards, or None.
    """

    id: str
    rule: StopRule
    polyline: Polyline
    lanes: tuple[str, ...] = ()
    signals: tuple[str, ...] = ()
    junction: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Crossing:
    """A pedestrian crossing; outline (N, 3) [m], map frame, not closed."""

    id: str
    outline: Polyline


@dataclass(frozen=True, eq=False)
class RoadMap:
    """A road network in the map frame.

    Attributes:
        name: short name ("Town01").
        lanes: every lane of every type.
        boundaries: where the drivable surface ends.
        signals: lights and signs.
        signal_programs: the cycles of the lights.
        stop_lines: where drivers stop.
        crossings: where pedestrians cross.
        left_hand_traffic: whether traffic keeps left.
        geo_reference: the source's projection string, or None.
        warnings: what the importer repaired or left out, one sentence each.
    """

    name: str
    lanes: tuple[Lane, ...]
    boundaries: tuple[Boundary, ...] = ()
    signals: tuple[Signal, ...] = ()
    signal_programs: tuple[SignalProgram, ...] = ()
    stop_lines: tuple[StopLine, ...] = ()
    crossings: tuple[Crossing, ...] = ()
    left_hand_traffic: bool = False
    geo_reference: str | None = None
    warnings: tuple[str, ...] = field(default=())

    @cached_property
    def lane_by_id(self) -> dict[str, Lane]:
        """Looks a lane up by its id."""
        return {lane.id: lane for lane in self.lanes}

    @property
    def routable_lanes(self) -> tuple[Lane, ...]:
        """The lanes a car's route may use."""
        return tuple(lane for lane in self.lanes if lane.is_routable)

    @property
    def lane_kilometres(self) -> float:
        """Total length of routable lanes [km]."""
        return sum(lane.length for lane in self.routable_lanes) / 1000.0

    @property
    def extent(self) -> NDArray[np.float64]:
        """Corners (2, 3) [m] of the smallest axis-aligned box around all lanes."""
        points = np.concatenate(
            [p for lane in self.lanes for p in (lane.left_boundary, lane.right_boundary)]
        )
        return np.stack([points.min(axis=0), points.max(axis=0)])

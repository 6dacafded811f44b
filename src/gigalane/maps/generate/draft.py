"""A town under construction: lanes that can still be linked, and everything that goes with them.

Everything is drawn in the plane. `finish` lays it over the hills and freezes it as a `RoadMap`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from gigalane.maps.generate.curves import Curve, left_of
from gigalane.maps.road import (
    Boundary,
    BoundaryType,
    Crossing,
    Lane,
    LaneType,
    MarkType,
    RoadMap,
    RoadMark,
    Signal,
    SignalProgram,
    SignalType,
    StopLine,
    StopRule,
)

Points = NDArray[np.float64]
"""Points in the plane, (N, 2) [m]."""

Mark = tuple[MarkType, str]
"""Pattern and colour of a painted line that runs along a whole lane."""

UNMARKED: Mark = (MarkType.NONE, "white")


@dataclass(eq=False)
class LaneDraft:
    """A lane whose links are still open.

    Attributes:
        id: unique in the town.
        type: what it is for.
        center: midline in driving direction (N, 2) [m].
        left: driver's left edge (N, 2) [m].
        right: driver's right edge (N, 2) [m].
        headings: of the midline at its points (N,) [rad].
        speed: limit [m/s], or None.
        junction: id of the junction it lies in, or None.
        successors: lanes that begin where it ends.
        left_neighbor: the lane beside it on the left that runs the same way.
        right_neighbor: the same on the right.
        left_mark: paint on its left edge.
        right_mark: paint on its right edge.
    """

    id: str
    type: LaneType
    center: Points
    left: Points
    right: Points
    headings: NDArray[np.float64]
    speed: float | None = None
    junction: str | None = None
    successors: list[LaneDraft] = field(default_factory=list)
    left_neighbor: LaneDraft | None = None
    right_neighbor: LaneDraft | None = None
    left_mark: Mark = UNMARKED
    right_mark: Mark = UNMARKED

    def end_width(self) -> float:
        """Width where it ends [m]."""
        return float(np.linalg.norm(self.left[-1] - self.right[-1]))

    def start_width(self) -> float:
        """Width where it begins [m]."""
        return float(np.linalg.norm(self.left[0] - self.right[0]))


def beside(left: LaneDraft, right: LaneDraft) -> None:
    """Makes two lanes neighbours."""
    left.right_neighbor, right.left_neighbor = right, left


def blend(share: NDArray[np.float64]) -> NDArray[np.float64]:
    """A smooth step from 0 to 1 without slope or curvature at its ends (6t⁵ - 15t⁴ + 10t³)."""
    t = np.clip(share, 0.0, 1.0)
    return t**3 * (10.0 - 15.0 * t + 6.0 * t**2)


def swept_lane(
    curve: Curve,
    widths: tuple[float, float, float],
    id_: str,
    type_: LaneType,
    **fields: object,
) -> LaneDraft:
    """A lane whose midline is a curve.

    Args:
        curve: its midline.
        widths: at the beginning, least in between and at the end [m].
        id_: its id.
        type_: its type.
        **fields: further fields of `LaneDraft`.
    """
    stations = curve.knots(0.0, curve.length, sagitta=0.015)
    center, headings = curve.at(stations)
    share = stations / curve.length
    ends = widths[0] + (widths[2] - widths[0]) * blend(share)
    plateau = blend(np.minimum(share, 1.0 - share) / 0.3)
    half = 0.5 * (ends + plateau * np.maximum(widths[1] - ends, 0.0))
    sideways = half[:, None] * left_of(headings)
    return LaneDraft(id_, type_, center, center + sideways, center - sideways, headings, **fields)  # type: ignore[arg-type]


def pin_start(lane: LaneDraft, center: Points, left: Points, right: Points) -> None:
    """Moves a lane's first row, by rounding error only, exactly onto another's last row."""
    lane.center[0], lane.left[0], lane.right[0] = center, left, right


def pin_end(lane: LaneDraft, center: Points, left: Points, right: Points) -> None:
    """Moves a lane's last row, by rounding error only, exactly onto another's first row."""
    lane.center[-1], lane.left[-1], lane.right[-1] = center, left, right


@dataclass(eq=False)
class Draft:
    """Everything drawn so far; ids are given here."""

    lanes: list[LaneDraft] = field(default_factory=list)
    boundaries: list[tuple[BoundaryType, Points]] = field(default_factory=list)
    crossings: list[Points] = field(default_factory=list)
    signals: list[tuple[SignalType, Points, float, float, list[LaneDraft], str | None,
                        float | None]] = field(default_factory=list)  # fmt: skip
    programs: list[SignalProgram] = field(default_factory=list)
    stop_lines: list[tuple[StopRule, Points, list[LaneDraft], list[int], str]] = field(
        default_factory=list
    )

    def lane(self, lane: LaneDraft) -> LaneDraft:
        """Adds a lane."""
        self.lanes.append(lane)
        return lane

    def boundary(self, points: Points, type_: BoundaryType = BoundaryType.CURB) -> None:
        """Adds a line where the road's surface ends; very short ones are left out."""
        keep = np.ones(len(points), dtype=bool)
        keep[1:] = np.linalg.norm(np.diff(points, axis=0), axis=1) > 1e-6
        points = points[keep]
        if len(points) >= 2 and np.linalg.norm(np.diff(points, axis=0), axis=1).sum() > 0.05:
            self.boundaries.append((type_, points))

    def signal(
        self,
        type_: SignalType,
        position: Points,
        heading: float,
        lanes: list[LaneDraft],
        height: float,
        group: str | None = None,
        value: float | None = None,
    ) -> int:
        """Adds a light or sign at a height above the ground [m]; returns its number."""
        self.signals.append((type_, position, height, heading, lanes, group, value))
        return len(self.signals) - 1

    def stop_line(
        self, rule: StopRule, lanes: list[LaneDraft], signals: list[int], junction: str
    ) -> None:
        """Adds a stop line across the ends of neighbouring lanes, driver's left lane first."""
        back = 0.4
        left, right = (
            points[-1] - back * (points[-1] - points[-2]) / np.linalg.norm(points[-1] - points[-2])
            for points in (lanes[0].left, lanes[-1].right)
        )
        self.stop_lines.append((rule, np.stack([left, right]), lanes, signals, junction))

    def finish(self, name: str, height: Callable[[Points], NDArray[np.float64]]) -> RoadMap:
        """Freezes the town.

        Args:
            name: of the map.
            height: of the ground at points (N, 2) [m]: (N,) [m].
        """

        def raised(points: Points, above: float = 0.0) -> NDArray[np.float64]:
            points = np.atleast_2d(points)
            return np.column_stack([points, height(points) + above])

        predecessors: dict[str, list[str]] = {lane.id: [] for lane in self.lanes}
        for lane in self.lanes:
            for following in lane.successors:
                predecessors[following.id].append(lane.id)
        frozen = [
            Lane(
                id=lane.id,
                type=lane.type,
                centerline=raised(lane.center),
                left_boundary=raised(lane.left),
                right_boundary=raised(lane.right),
                successors=tuple(following.id for following in lane.successors),
                predecessors=tuple(predecessors[lane.id]),
                left_neighbor=lane.left_neighbor.id if lane.left_neighbor else None,
                right_neighbor=lane.right_neighbor.id if lane.right_neighbor else None,
                speed_limit=None if lane.speed is None else float(lane.speed),
                is_junction=lane.junction is not None,
                junction=lane.junction,
                left_marks=_frozen_mark(lane.left_mark, lane.left),
                right_marks=_frozen_mark(lane.right_mark, lane.right),
            )
            for lane in self.lanes
        ]
        return RoadMap(
            name=name,
            lanes=tuple(frozen),
            boundaries=tuple(
                Boundary(f"boundary{index}", type_, raised(points))
                for index, (type_, points) in enumerate(self.boundaries)
            ),
            signals=tuple(
                Signal(
                    id=f"signal{index}",
                    type=type_,
                    position=raised(position, above)[0],
                    heading=float(heading),
                    lanes=tuple(lane.id for lane in lanes),
                    group=group,
                    value=None if value is None else float(value),
                )
                for index, (type_, position, above, heading, lanes, group, value) in enumerate(
                    self.signals
                )
            ),
            signal_programs=tuple(replace(program) for program in self.programs),
            stop_lines=tuple(
                StopLine(
                    id=f"stop_line{index}",
                    rule=rule,
                    polyline=raised(points),
                    lanes=tuple(lane.id for lane in lanes),
                    signals=tuple(f"signal{number}" for number in signals),
                    junction=junction,
                )
                for index, (rule, points, lanes, signals, junction) in enumerate(self.stop_lines)
            ),
            crossings=tuple(
                Crossing(f"crossing{index}", raised(points))
                for index, points in enumerate(self.crossings)
            ),
        )


def _frozen_mark(mark: Mark, points: Points) -> tuple[RoadMark, ...]:
    type_, color = mark
    if type_ is MarkType.NONE:
        return ()
    length = float(np.linalg.norm(np.diff(points, axis=0), axis=1).sum())
    return (RoadMark(0.0, length, type_, color),)

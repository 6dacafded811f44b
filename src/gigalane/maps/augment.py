"""Affine copies of road maps: scaled, sheared, mirrored.

GIGAFLOW trains on such copies of eight towns (Cusumano-Towner et al. 2025, "Robust Autonomy
Emerges from Self-Play": rescaling, shear and reflections give 128 maps); it does not say over
which ranges, so those here are chosen. The ground plane is transformed about the map's origin;
heights, painted widths and speed limits stay.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from gigalane.maps.polyline import arc_lengths
from gigalane.maps.road import (
    Lane,
    MapError,
    Polyline,
    RoadMap,
    RoadMark,
    Signal,
    StopLine,
)


@dataclass(frozen=True)
class AffineSettings:
    """One affine transformation of the ground plane.

    A point (x, y) goes to scale · (x + shear · y, ± y), the minus where mirrored.

    Attributes:
        scale: factor on all lengths.
        shear: how far x moves per y.
        mirror: whether left and right are exchanged, so that traffic keeps to the other side.
    """

    scale: float = 1.0
    shear: float = 0.0
    mirror: bool = False

    def __post_init__(self) -> None:
        """Refuses transformations that leave no usable road."""
        if not 0.5 <= self.scale <= 2.0:
            raise ValueError(f"scale is {self.scale}; lanes stay usable between 0.5 and 2")
        if not -0.5 <= self.shear <= 0.5:
            raise ValueError(f"shear is {self.shear}; bends stay usable between -0.5 and 0.5")

    @property
    def keeps_lengths(self) -> bool:
        """Whether it changes no distance, so that what is measured along lines stays exact."""
        return self.scale == 1.0 and self.shear == 0.0

    @property
    def matrix(self) -> NDArray[np.float64]:
        """The transformation of (x, y), (2, 2)."""
        side = -1.0 if self.mirror else 1.0
        return self.scale * np.array([[1.0, self.shear], [0.0, side]])


@dataclass(frozen=True)
class AffineRanges:
    """What `draw_affine` draws from (chosen).

    Attributes:
        scale: least and greatest factor; below 0.9 lanes of 3 m become too narrow for trucks.
        shear: greatest amount either way; 0.1 turns right angles by up to 6 degrees.
        mirror_share: share of mirrored copies.
    """

    scale: tuple[float, float] = (0.9, 1.15)
    shear: float = 0.1
    mirror_share: float = 0.5


def draw_affine(seed: int, ranges: AffineRanges | None = None) -> AffineSettings:
    """Draws a transformation; the same seed gives the same one."""
    ranges = ranges or AffineRanges()
    rng = np.random.default_rng(seed)
    return AffineSettings(
        scale=float(rng.uniform(*ranges.scale)),
        shear=float(rng.uniform(-ranges.shear, ranges.shear)),
        mirror=bool(rng.random() < ranges.mirror_share),
    )


def augment(road_map: RoadMap, affine: AffineSettings | int) -> RoadMap:
    """Transforms a map; a mirrored one keeps its lanes valid by exchanging left and right.

    Args:
        road_map: any map.
        affine: the transformation, or a seed to draw it with `draw_affine`.

    Returns:
        A map with the same ids and links. It has no geographic reference unless nothing changed.

    Raises:
        MapError: a coordinate is no longer finite.
    """
    if isinstance(affine, int):
        affine = draw_affine(affine)
    if affine == AffineSettings():
        return road_map
    return replace(
        road_map,
        lanes=tuple(_lane(lane, affine, road_map.name) for lane in road_map.lanes),
        boundaries=tuple(
            replace(boundary, polyline=_points(boundary.polyline, affine))
            for boundary in road_map.boundaries
        ),
        signals=tuple(_signal(signal, affine) for signal in road_map.signals),
        stop_lines=tuple(_stop_line(line, affine) for line in road_map.stop_lines),
        crossings=tuple(
            replace(crossing, outline=_points(crossing.outline, affine))
            for crossing in road_map.crossings
        ),
        left_hand_traffic=road_map.left_hand_traffic != affine.mirror,
        geo_reference=None,
    )


def _points(points: Polyline, affine: AffineSettings) -> Polyline:
    """Transforms (N, 3) points; heights stay."""
    moved = points.copy()
    moved[:, :2] = points[:, :2] @ affine.matrix.T
    return moved


def _lane(lane: Lane, affine: AffineSettings, name: str) -> Lane:
    lines = [
        _points(line, affine) for line in (lane.centerline, lane.left_boundary, lane.right_boundary)
    ]
    if not all(np.isfinite(line).all() for line in lines):
        raise MapError(name, f"lane {lane.id}", "has a coordinate that is not finite")
    center, left, right = lines
    left_marks, right_marks = lane.left_marks, lane.right_marks
    if not affine.keeps_lengths:
        left_marks = _marks(left_marks, lane.left_boundary, left)
        right_marks = _marks(right_marks, lane.right_boundary, right)
    left_neighbor, right_neighbor = lane.left_neighbor, lane.right_neighbor
    if affine.mirror:
        # Marks such as solid_broken are named from the road's middle outwards: they stay.
        left, right = right, left
        left_marks, right_marks = right_marks, left_marks
        left_neighbor, right_neighbor = right_neighbor, left_neighbor
    return replace(
        lane,
        centerline=center,
        left_boundary=left,
        right_boundary=right,
        left_neighbor=left_neighbor,
        right_neighbor=right_neighbor,
        left_marks=left_marks,
        right_marks=right_marks,
    )


def _marks(marks: tuple[RoadMark, ...], before: Polyline, after: Polyline) -> tuple[RoadMark, ...]:
    """Moves the ends of painted stretches with the points of the line they lie on."""
    if not marks:
        return ()
    old, new = arc_lengths(before), arc_lengths(after)
    return tuple(
        replace(
            mark,
            start=float(np.interp(mark.start, old, new)),
            end=float(np.interp(mark.end, old, new)),
        )
        for mark in marks
    )


def _signal(signal: Signal, affine: AffineSettings) -> Signal:
    position = _points(signal.position[None], affine)[0]
    if affine.keeps_lengths:
        heading = -signal.heading if affine.mirror else signal.heading
    else:
        x, y = affine.matrix @ np.array([np.cos(signal.heading), np.sin(signal.heading)])
        heading = float(np.arctan2(y, x))
    return replace(signal, position=position, heading=heading)


def _stop_line(line: StopLine, affine: AffineSettings) -> StopLine:
    polyline = _points(line.polyline, affine)
    # The driver's left end comes first, also where left and right are exchanged.
    return replace(line, polyline=polyline[::-1].copy() if affine.mirror else polyline)

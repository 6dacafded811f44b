"""Plane curves that roads and turning lanes follow.

A `Curve` is sampled densely once and then read by arc length. Roads are clamped cubic B-splines
whose first and last three control points lie on a line, so they begin and end straight and their
curvature is continuous. Turns inside junctions are a straight, a clothoid, an arc, a clothoid
and a straight. All lengths are metres, headings are counter-clockwise from +x in radians.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

STEP = 0.2
"""Distance between the samples of a curve [m]; at a radius of 6 m a chord is off by 0.8 mm."""


END_CHORD = 0.4
"""Length of the first and last chord of a polyline along a curve [m]."""


def direction(heading: float | Array) -> Array:
    """Unit vectors along headings: (…) [rad] to (…, 2)."""
    return np.stack([np.cos(heading), np.sin(heading)], axis=-1)


def left_of(heading: float | Array) -> Array:
    """Unit vectors to the left of headings: (…) [rad] to (…, 2)."""
    return np.stack([-np.sin(heading), np.cos(heading)], axis=-1)


def wrap(angle: float) -> float:
    """The same angle in [-π, π)."""
    return (angle + np.pi) % (2 * np.pi) - np.pi


@dataclass(frozen=True, eq=False)
class Curve:
    """A smooth curve, sampled densely.

    Attributes:
        points: samples, (M, 2) [m].
        headings: tangent at each sample, continuous, (M,) [rad].
    """

    points: Array
    headings: Array

    @cached_property
    def stations(self) -> Array:
        """Arc length of each sample [m]."""
        steps = np.linalg.norm(np.diff(self.points, axis=0), axis=1)
        return np.concatenate([[0.0], np.cumsum(steps)])

    @property
    def length(self) -> float:
        """Arc length [m]."""
        return float(self.stations[-1])

    @cached_property
    def curvature(self) -> Array:
        """Curvature halfway between samples, positive to the left, (M - 1,) [1/m]."""
        return np.diff(self.headings) / np.maximum(np.diff(self.stations), 1e-9)

    @property
    def tightest_radius(self) -> float:
        """Smallest radius of curvature [m]."""
        return 1.0 / max(float(np.abs(self.curvature).max()), 1e-9)

    def at(self, stations: Array) -> tuple[Array, Array]:
        """Points (K, 2) and headings (K,) at arc lengths (K,)."""
        x = np.interp(stations, self.stations, self.points[:, 0])
        y = np.interp(stations, self.stations, self.points[:, 1])
        return np.stack([x, y], axis=1), np.interp(stations, self.stations, self.headings)

    def beside(self, stations: Array, offset: float | Array) -> Array:
        """Points (K, 2) at a lateral offset, positive to the left."""
        points, headings = self.at(stations)
        offsets = np.broadcast_to(np.asarray(offset, dtype=np.float64), stations.shape)
        return points + offsets[:, None] * left_of(headings)

    def knots(self, start: float, end: float, sagitta: float = 0.02, turn: float = 0.1) -> Array:
        """Few stations from start to end that keep the polyline close to the curve.

        Args:
            start: first station [m].
            end: last station [m].
            sagitta: how far a chord may leave the curve [m].
            turn: how much heading a chord may span [rad].

        Returns:
            Increasing stations, at least two, the first and last exactly as given, the next to
            them at `END_CHORD`.
        """
        inside = (self.stations > start) & (self.stations < end)
        stations = np.concatenate([[start], self.stations[inside], [end]])
        bend = np.abs(np.interp(stations, 0.5 * (self.stations[1:] + self.stations[:-1]),
                                self.curvature))  # fmt: skip
        # A chord over a step h leaves a curve of curvature k by k h^2 / 8.
        step = np.minimum(np.sqrt(8.0 * sagitta / np.maximum(bend, 1e-6)),
                          turn / np.maximum(bend, 1e-6))  # fmt: skip
        density = 1.0 / np.clip(step, 0.3, 8.0)
        count = np.concatenate([[0.0], np.cumsum(0.5 * (density[1:] + density[:-1])
                                                 * np.diff(stations))])  # fmt: skip
        pieces = max(1, int(np.ceil(count[-1])))
        chosen = np.interp(np.linspace(0.0, count[-1], pieces + 1), count, stations)
        chosen[0], chosen[-1] = start, end
        # Short first and last chords show the direction at the ends, where curves join.
        tips = np.array([start + END_CHORD, end - END_CHORD])
        return np.union1d(chosen, tips[(tips > start) & (tips < end)])


def joined(*curves: Curve) -> Curve:
    """One curve from several that continue each other."""
    points, headings = [curves[0].points], [curves[0].headings]
    for curve in curves[1:]:
        turns = 2 * np.pi * np.round((headings[-1][-1] - curve.headings[0]) / (2 * np.pi))
        points.append(curve.points[1:])
        headings.append(curve.headings[1:] + turns)
    return Curve(np.concatenate(points), np.concatenate(headings))


def straight(start: Array, heading: float, length: float) -> Curve:
    """A straight line."""
    count = max(2, int(np.ceil(length / STEP)) + 1)
    distances = np.linspace(0.0, length, count)
    return Curve(start + distances[:, None] * direction(heading), np.full(count, heading))


def arc(center: Array, radius: float, start_angle: float, sweep: float) -> Curve:
    """Part of a circle.

    Args:
        center: of the circle (2,) [m].
        radius: of the circle [m].
        start_angle: of the first point, seen from the centre [rad].
        sweep: angle gone around, positive counter-clockwise [rad].
    """
    count = max(3, int(np.ceil(abs(sweep) * radius / STEP)) + 1)
    angles = start_angle + np.linspace(0.0, sweep, count)
    return Curve(center + radius * direction(angles), angles + np.sign(sweep) * np.pi / 2)


def _with_headings(points: Array, tangents: Array) -> Curve:
    return Curve(points, np.unwrap(np.arctan2(tangents[:, 1], tangents[:, 0])))


@lru_cache(maxsize=64)
def _spline_basis(count: int, samples: int) -> tuple[Array, Array]:
    """Values and slopes of the basis of `spline` at evenly spaced parameters, (samples, count)."""
    degree = 3
    inner = np.linspace(0.0, 1.0, count - degree + 1)
    knots = np.concatenate([np.zeros(degree), inner, np.ones(degree)])
    t = np.linspace(0.0, 1.0, samples)
    # The last knot span is closed at 1, all others are open at their upper end.
    basis = [
        ((t >= low) & ((t < high) | ((high == 1.0) & (low < 1.0)))).astype(np.float64)
        for low, high in pairwise(knots)
    ]
    slopes: list[Array] = []
    for order in range(1, degree + 1):
        raised, slopes = [], []
        for index in range(len(basis) - 1):
            left = knots[index + order] - knots[index]
            right = knots[index + order + 1] - knots[index + 1]
            rise, fall = (1.0 / gap if gap else 0.0 for gap in (left, right))
            raised.append(
                (t - knots[index]) * rise * basis[index]
                + (knots[index + order + 1] - t) * fall * basis[index + 1]
            )
            slopes.append(order * (rise * basis[index] - fall * basis[index + 1]))
        basis = raised
    return np.stack(basis, axis=1), np.stack(slopes, axis=1)


def spline(control: Array) -> Curve:
    """A clamped uniform cubic B-spline (de Boor 1978, chapter IX) over control points (K, 2)."""
    length = float(np.linalg.norm(np.diff(control, axis=0), axis=1).sum())
    # A few sizes only, so that their bases are computed once.
    samples = 32
    while samples * STEP < length:
        samples *= 2
    values, slopes = _spline_basis(len(control), samples)
    return _with_headings(values @ control, slopes @ control)


def quintic(start: Array, heading: float, end: Array, end_heading: float, reach: float) -> Curve:
    """A quintic Hermite curve without curvature at its ends; `reach` is its end speed [m]."""
    count = max(8, int(np.ceil(1.2 * np.linalg.norm(end - start) / STEP)))
    t = np.linspace(0.0, 1.0, count)[:, None]
    from_start, to_end = reach * direction(heading), reach * direction(end_heading)
    blend = t**3 * (10 - 15 * t + 6 * t**2)
    points = (
        start + blend * (end - start)
        + (t - 6 * t**3 + 8 * t**4 - 3 * t**5) * from_start
        + (-4 * t**3 + 7 * t**4 - 3 * t**5) * to_end
    )  # fmt: skip
    tangents = (
        30 * t**2 * (1 - t) ** 2 * (end - start)
        + (1 - 18 * t**2 + 32 * t**3 - 15 * t**4) * from_start
        + (-12 * t**2 + 28 * t**3 - 15 * t**4) * to_end
    )
    return _with_headings(points, tangents)


CLOTHOID_SHARE = 0.25
"""Part of a corner's length over which curvature rises, and again falls (chosen)."""


def _corner(start: Array, heading: float, turn: float, tangent: float) -> Curve:
    """A clothoid, an arc and a clothoid between two tangents of equal length."""
    count = max(16, int(np.ceil(2.0 * tangent / STEP)))
    share = np.linspace(0.0, 1.0, count)
    shape = np.clip(np.minimum(share, 1.0 - share) / CLOTHOID_SHARE, 0.0, 1.0)
    risen = np.concatenate([[0.0], np.cumsum(0.5 * (shape[1:] + shape[:-1]))])
    headings = heading + turn * risen / risen[-1]
    middle = 0.5 * (headings[1:] + headings[:-1])
    unit = np.concatenate([[[0.0, 0.0]], np.cumsum(direction(middle), axis=0)])
    # The shape is symmetric, so one scale brings its end onto the second tangent's end.
    end = tangent * (direction(heading) + direction(heading + turn))
    scale = np.dot(end, end) / np.dot(unit[-1], end)
    return Curve(start + scale * unit, headings)


def connect(
    start: Array,
    heading: float,
    end: Array,
    end_heading: float,
    start_straight: float = 0.0,
    end_straight: float = 0.0,
) -> Curve | None:
    """The smoothest curve this module knows from one pose to another.

    Args:
        start: where it begins (2,) [m].
        heading: its direction there [rad].
        end: where it ends (2,) [m].
        end_heading: its direction there [rad].
        start_straight: length that must stay straight at its beginning [m].
        end_straight: length that must stay straight at its end [m].

    Returns:
        The curve, or None where no reasonable one exists.
    """
    first = start + start_straight * direction(heading)
    last = end - end_straight * direction(end_heading)
    turn = wrap(end_heading - heading)
    curve = None
    if 0.2 < abs(turn) < 2.7:
        # Distances from both ends to the corner where their tangents meet.
        ahead, behind = np.linalg.solve(
            np.stack([direction(heading), direction(end_heading)], axis=1), last - first
        )
        if ahead > 0.5 and behind > 0.5:
            tangent = min(ahead, behind)
            corner = _corner(first + (ahead - tangent) * direction(heading), heading, turn, tangent)
            curve = corner
            if ahead > behind + 1e-6:
                curve = joined(straight(first, heading, ahead - tangent), corner)
            elif behind > ahead + 1e-6:
                curve = joined(corner, straight(corner.points[-1], end_heading, behind - tangent))
    if curve is None:
        chord = float(np.linalg.norm(last - first))
        candidates = [
            quintic(first, heading, last, end_heading, chord * reach)
            for reach in (0.8, 1.0, 1.2, 1.5)
        ]
        curve = max(candidates, key=lambda candidate: candidate.tightest_radius)
        if abs(curve.headings[-1] - curve.headings[0]) > abs(turn) + 0.1:
            return None
    if start_straight > 0:
        curve = joined(straight(start, heading, start_straight), curve)
    if end_straight > 0:
        curve = joined(curve, straight(curve.points[-1], end_heading, end_straight))
    return curve

"""The line a road is laid along: plan view, elevation and roll, evaluated at any s.

Shapes are those of ASAM OpenDRIVE 1.8 section 9: line, arc, spiral (clothoid), poly3 and
paramPoly3. Each shape answers in its own frame (u ahead, v to the left of its start) at offsets
`d` from its start; `ReferenceLine` turns that into the map frame.

Curves without a closed form are integrated once into a table with Gauss-Legendre quadrature
(five nodes, exact to degree nine), on steps short enough that the rest is below a micrometre.
poly3 and paramPoly3 are laid out by arc length, whatever the speed of their parameter: s is a
length, and the curve ends where its piece does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from gigalane.maps.importers.opendrive.records import Cubics, Geometry, RoadRecord

Array = NDArray[np.float64]

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(5)
_NODES, _WEIGHTS = (_NODES + 1.0) / 2.0, _WEIGHTS / 2.0  # moved to the interval [0, 1]

MAXIMUM_STEP_TURN = 0.2
"""Most that a clothoid turns in one integration step [rad]."""
MAXIMUM_STEPS = 200_000
"""Most integration steps for one curve; more means absurd numbers, not a road."""


class Pose(NamedTuple):
    """Places along a line in plan view: position [m], heading [rad], curvature [1/m]."""

    x: Array
    y: Array
    heading: Array
    curvature: Array


class _Curve(Protocol):
    """A shape in its own frame: starts at the origin, along +u."""

    def at(self, d: Array) -> Pose:
        """Places at arc lengths `d` [m] from the start."""
        ...


@dataclass(frozen=True)
class _Arc:
    """A circular arc, or a straight line where the curvature is nought."""

    curvature: float

    def at(self, d: Array) -> Pose:
        angle = self.curvature * d
        # chord = d * sinc(angle / 2) in the direction angle / 2: no division by the curvature.
        chord = d * np.sinc(angle / (2.0 * math.pi))
        u, v = chord * np.cos(angle / 2.0), chord * np.sin(angle / 2.0)
        return Pose(u, v, angle, np.full_like(d, self.curvature))


@dataclass(frozen=True)
class _Spiral:
    """A clothoid: curvature goes linearly from one end to the other."""

    start: float
    end: float
    length: float

    def _heading(self, d: Array) -> Array:
        return d * (self.start + d * (self.end - self.start) / (2.0 * self.length))

    @cached_property
    def _table(self) -> tuple[float, Array]:
        """Step [m] and positions (steps + 1, 2) at its multiples."""
        turn = max(abs(self.start), abs(self.end)) * self.length
        steps = _step_count(turn / MAXIMUM_STEP_TURN)
        step = self.length / steps
        d = step * (np.arange(steps)[:, None] + _NODES)
        heading = self._heading(d)
        pieces = step * np.stack([np.cos(heading) @ _WEIGHTS, np.sin(heading) @ _WEIGHTS], axis=1)
        return step, np.concatenate([np.zeros((1, 2)), np.cumsum(pieces, axis=0)])

    def at(self, d: Array) -> Pose:
        step, nodes = self._table
        index = np.clip((d / step).astype(np.int64), 0, len(nodes) - 2)
        begin = index * step
        rest = d - begin
        heading = self._heading(begin[..., None] + rest[..., None] * _NODES)
        u = nodes[index, 0] + rest * (np.cos(heading) @ _WEIGHTS)
        v = nodes[index, 1] + rest * (np.sin(heading) @ _WEIGHTS)
        curvature = self.start + d * (self.end - self.start) / self.length
        return Pose(u, v, self._heading(d), curvature)


@dataclass(frozen=True, eq=False)
class _Cubic:
    """A parametric cubic (u(p), v(p)), laid out by arc length over `length`.

    Attributes:
        u: coefficients of u(p), lowest power first, shape (4,).
        v: likewise of v(p).
        last: the parameter where the curve ends, or None: where the arc length is `length`.
        length: what the file says the curve is long [m].
    """

    u: Array
    v: Array
    last: float | None
    length: float

    def _velocity(self, p: Array) -> tuple[Array, Array]:
        """Derivatives of u and v with respect to the parameter."""
        _, b, c, d = self.u
        _, f, g, h = self.v
        return b + p * (2 * c + p * 3 * d), f + p * (2 * g + p * 3 * h)

    @cached_property
    def _table(self) -> tuple[Array, Array]:
        """Parameters at even steps, and the curve's true arc lengths there [m]."""
        # poly3 has u(p) = p, so p = length is at or past the end; a paramPoly3 names its end.
        last = self.length if self.last is None else self.last
        steps = _step_count(max(self.length / 0.5, 32.0))
        p = np.linspace(0.0, last, steps + 1)
        du, dv = self._velocity(p[:-1, None] + (last / steps) * _NODES)
        pieces = np.hypot(du, dv) @ _WEIGHTS * (last / steps)
        return p, np.concatenate([[0.0], np.cumsum(pieces)])

    def at(self, d: Array) -> Pose:
        parameters, arc = self._table
        if self.last is not None:
            d = d * (arc[-1] / self.length)
        p = np.interp(d, arc, parameters)
        begin = np.clip(np.searchsorted(arc, d, side="right") - 1, 0, len(arc) - 2)
        # One Newton step from linear interpolation solves arc(p) = d inside the table's cell.
        rest = p - parameters[begin]
        du, dv = self._velocity(parameters[begin][..., None] + rest[..., None] * _NODES)
        missing = d - arc[begin] - rest * (np.hypot(du, dv) @ _WEIGHTS)
        speed = np.hypot(*self._velocity(p))
        p = p + np.divide(missing, speed, out=np.zeros_like(p), where=speed > 1e-9)
        return self._pose(np.clip(p, parameters[0], parameters[-1]))

    def _pose(self, p: Array) -> Pose:
        du, dv = self._velocity(p)
        a, b, c, d = self.u
        e, f, g, h = self.v
        ddu, ddv = 2 * c + p * 6 * d, 2 * g + p * 6 * h
        speed = np.hypot(du, dv)
        curvature = np.divide(
            du * ddv - dv * ddu, speed**3, out=np.zeros_like(p), where=speed > 1e-9
        )
        u = a + p * (b + p * (c + p * d))
        v = e + p * (f + p * (g + p * h))
        return Pose(u, v, np.arctan2(dv, du), curvature)


def _step_count(wanted: float) -> int:
    """Steps to integrate in, bounded; a curve that wants more is not a road's."""
    if not wanted <= MAXIMUM_STEPS:  # also catches a result that is not a number
        raise ValueError("a curve winds or reaches too far to be a road")
    return max(math.ceil(wanted), 4)


def _curve(geometry: Geometry) -> _Curve:
    """The shape that a geometry record describes."""
    parameters = geometry.parameters
    if geometry.shape == "line":
        return _Arc(0.0)
    if geometry.shape == "arc":
        _step_count(abs(parameters[0]) * geometry.length / MAXIMUM_STEP_TURN)
        return _Arc(parameters[0])
    if geometry.shape == "spiral":
        return _Spiral(parameters[0], parameters[1], geometry.length)
    if geometry.shape == "poly3":
        return _Cubic(np.array([0.0, 1.0, 0.0, 0.0]), np.array(parameters), None, geometry.length)
    return _Cubic(
        np.array(parameters[:4]), np.array(parameters[4:8]), parameters[8], geometry.length
    )


class ReferenceLine:
    """A road's reference line in the map frame.

    Attributes:
        length: where the road ends [m].
        starts: where each plan-view piece begins [m], shape (K,).
        elevation: height over s [m].
        superelevation: roll over s [rad].
    """

    def __init__(self, road: RoadRecord) -> None:
        """Lays the pieces out; tables are integrated when first asked for."""
        self._geometries = road.geometries
        self._curves = [_curve(geometry) for geometry in road.geometries]
        self.starts = np.array([geometry.s for geometry in road.geometries])
        last = road.geometries[-1]
        drawn = last.s + last.length
        # Writers round; where the two disagree by more, the drawn line is what exists.
        self.length = road.length if abs(road.length - drawn) <= 0.1 else drawn
        self.elevation: Cubics = road.elevation
        self.superelevation: Cubics = road.superelevation

    @property
    def hints(self) -> Array:
        """Places inside polynomial pieces [m] between which their curvature changes little."""
        fractions = np.arange(1, 8) / 8.0
        rows = [
            geometry.s + geometry.length * fractions
            for geometry, curve in zip(self._geometries, self._curves, strict=True)
            if isinstance(curve, _Cubic)
        ]
        return np.concatenate(rows) if rows else np.zeros(0)

    def plan(self, s: Array, within: Array | None = None) -> Pose:
        """Places in plan view.

        Args:
            s: where along the road [m], shape (N,).
            within: a place inside the piece to use for each `s` (see `Cubics.value`).

        Returns:
            Position, heading and curvature in the map frame, each of shape (N,).
        """
        s = np.asarray(s, dtype=np.float64)
        where = s if within is None else within
        piece = np.maximum(np.searchsorted(self.starts, where, side="right") - 1, 0)
        out = Pose(*(np.empty(s.shape) for _ in range(4)))
        for index in np.unique(piece):
            chosen = piece == index
            geometry = self._geometries[index]
            local = self._curves[index].at(s[chosen] - geometry.s)
            cosine, sine = math.cos(geometry.heading), math.sin(geometry.heading)
            out.x[chosen] = geometry.x + cosine * local.x - sine * local.y
            out.y[chosen] = geometry.y + sine * local.x + cosine * local.y
            out.heading[chosen] = geometry.heading + local.heading
            out.curvature[chosen] = local.curvature
        return out

    def frame(self, s: Array, within: Array | None = None) -> tuple[Array, Array, Array, Array]:
        """The road's moving frame: where it is, and the directions of t and h.

        The road surface is rolled by the superelevation about the tangent, which itself is
        pitched by the elevation's slope (section 10.5).

        Returns:
            Origin (N, 3) [m], unit vectors of t (N, 3) and h (N, 3) in the map frame, and the
            heading (N,) [rad].
        """
        pose = self.plan(s, within)
        height = self.elevation.value(s, within)
        pitch = np.arctan(self.elevation.slope(s, within))
        roll = self.superelevation.value(s, within)
        cosine, sine = np.cos(pose.heading), np.sin(pose.heading)
        zero = np.zeros_like(sine)
        left = np.stack([-sine, cosine, zero], axis=-1)
        above = np.stack([-np.sin(pitch) * cosine, -np.sin(pitch) * sine, np.cos(pitch)], axis=-1)
        cosine_roll, sine_roll = np.cos(roll)[:, None], np.sin(roll)[:, None]
        across = cosine_roll * left + sine_roll * above
        up = cosine_roll * above - sine_roll * left
        origin = np.stack([pose.x, pose.y, height], axis=-1)
        return origin, across, up, pose.heading

    def point(self, s: float, t: float, h: float = 0.0) -> tuple[Array, float]:
        """A place given by road coordinates: its position (3,) [m] and the road's heading."""
        origin, across, up, heading = self.frame(np.array([min(max(s, 0.0), self.length)]))
        return origin[0] + t * across[0] + h * up[0], float(heading[0])

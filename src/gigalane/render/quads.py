"""Quadrilaterals in space, and the few ways in which things are made of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Quads:
    """A set of flat quadrilaterals.

    Attributes:
        corners: (N, 4, 3) [m], in a ring. The first three never lie on one line, because they
            decide the plane; the fourth may coincide with the third.
        looks: (N,) class and material, see `gigalane.render.classes.look_of`.
        links: (N,) number of a stop line for lights, else -1.
    """

    corners: Floats
    looks: NDArray[np.int32]
    links: NDArray[np.int32]


def make_quads(corners: ArrayLike, look: ArrayLike, link: int = -1) -> Quads:
    """Quadrilaterals of one look (or a look each); those without area are left out."""
    ring = np.asarray(corners, np.float64).reshape(-1, 4, 3)
    looks = np.broadcast_to(np.asarray(look, np.int32), len(ring))
    ring, keep = _planar_first(ring)
    looks = looks[keep].copy()
    return Quads(ring[keep], looks, np.full(len(looks), link, np.int32))


def _planar_first(ring: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Turns each ring so that its first three corners span most area; and which have any."""
    turned = np.stack([np.roll(ring, -k, axis=1) for k in range(4)])
    spans = np.cross(turned[:, :, 1] - turned[:, :, 0], turned[:, :, 2] - turned[:, :, 0])
    area = np.linalg.norm(spans, axis=2)
    best = area.argmax(axis=0)
    every = np.arange(len(ring))
    return turned[best, every], area[best, every] > 1e-4


def join(parts: Sequence[Quads]) -> Quads:
    """Several sets as one."""
    empty = make_quads(np.zeros((0, 4, 3)), 0)
    parts = [empty, *parts]
    return Quads(
        np.concatenate([part.corners for part in parts]),
        np.concatenate([part.looks for part in parts]),
        np.concatenate([part.links for part in parts]),
    )


def strip(left: Floats, right: Floats) -> Floats:
    """Quadrilaterals between two lines of as many points, (N, 3) → (N - 1, 4, 3) [m]."""
    return np.stack([right[:-1], right[1:], left[1:], left[:-1]], axis=1)


def wall(line: Floats, height: float) -> Floats:
    """Upright quadrilaterals along a line, (N, 3) → (N - 1, 4, 3) [m]."""
    top = line + np.array([0.0, 0.0, height])
    return np.stack([line[:-1], line[1:], top[1:], top[:-1]], axis=1)


def box(middle: ArrayLike, heading: float, size: tuple[float, float, float]) -> Floats:
    """The four walls and the top of a box, (5, 4, 3) [m].

    Args:
        middle: x, y and z of the middle of its bottom [m].
        heading: direction of its length, counter-clockwise from +x [rad].
        size: length, width, height [m].
    """
    length, width, height = size
    along = 0.5 * length * np.array([np.cos(heading), np.sin(heading), 0.0])
    aside = 0.5 * width * np.array([-np.sin(heading), np.cos(heading), 0.0])
    signs = [(-1, -1), (1, -1), (1, 1), (-1, 1)]
    ring = np.array([np.asarray(middle, float) + a * along + b * aside for a, b in signs])
    top = ring + np.array([0.0, 0.0, height])
    walls = wall(np.concatenate([ring, ring[:1]]), height)
    return np.concatenate([walls, top[None]])


def thinned(lines: Sequence[Floats], longest: float, error: float) -> NDArray[np.intp]:
    """Rows to keep of lines that run side by side, so that none leaves its chord by more.

    Args:
        lines: each (N, 3) [m], N the same.
        longest: a piece at most [m].
        error: how far a line may be from the chord of a piece [m].

    Returns:
        Indices of rows, the first and the last among them.
    """
    rows, count = [0], len(lines[0])
    while rows[-1] < count - 1:
        start, end = rows[-1], rows[-1] + 1
        while end + 1 < count and all(_chord_holds(x, start, end + 1, longest, error)
                                      for x in lines):  # fmt: skip
            end += 1
        rows.append(end)
    return np.array(rows)


def _chord_holds(line: Floats, start: int, end: int, longest: float, error: float) -> bool:
    chord = line[end] - line[start]
    length = float(np.linalg.norm(chord))
    if length > longest or length < 1e-6:
        return False
    away = line[start + 1 : end] - line[start]
    off = np.linalg.norm(np.cross(away, chord / length), axis=1)
    return bool(off.max(initial=0.0) <= error)


def sideways(line: Floats) -> Floats:
    """Unit vectors to the left of a line at each of its points, (N, 3)."""
    tangent = np.gradient(line[:, :2], axis=0)
    tangent /= np.maximum(np.linalg.norm(tangent, axis=1, keepdims=True), 1e-9)
    return np.column_stack([-tangent[:, 1], tangent[:, 0], np.zeros(len(line))])

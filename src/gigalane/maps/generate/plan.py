"""The street plan: where junctions lie and which of them a street joins.

Junctions are Poisson-disc samples of the square. Streets are edges of their Gabriel graph
(Gabriel and Sokal 1969: an edge stands if no third point lies in the circle over it), which no
two edges of cross, thinned until no junction has more than four arms or two arms closer than
`CLOSEST_ARMS`. Points with two arms are no junctions: the streets they join become one that bends.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from gigalane.maps.generate.curves import direction
from gigalane.maps.generate.settings import TownSettings

CLOSEST_ARMS = np.deg2rad(52.0)
"""Smallest angle between two arms of a junction as drawn [rad]; `layout` widens it further."""
MARGIN = 26.0
"""Room kept free along the square's border for what stands beside a street [m]."""

Edge = tuple[int, int]


@dataclass(frozen=True, eq=False)
class Plan:
    """Points and the streets between them.

    Attributes:
        positions: of all points, (P, 2) [m].
        streets: for each street the points it passes; the first and last are junctions or dead
            ends, those between are bends.
    """

    positions: NDArray[np.float64]
    streets: tuple[tuple[int, ...], ...]

    def ends_at(self, point: int) -> int:
        """How many street ends meet at a point."""
        return sum((path[0] == point) + (path[-1] == point) for path in self.streets)

    @property
    def nodes(self) -> list[int]:
        """Points where streets end."""
        return sorted({end for path in self.streets for end in (path[0], path[-1])})

    @property
    def junctions(self) -> list[int]:
        """Points where three or more streets end."""
        return [node for node in self.nodes if self.ends_at(node) >= 3]


def draw_plan(rng: Generator, settings: TownSettings, banned: set[Edge]) -> Plan | None:
    """Draws a plan.

    Args:
        rng: the source of randomness.
        settings: what the town may look like.
        banned: edges that earlier tries found impossible to build, left out here.

    Returns:
        The plan, or None where the draw has too few or too many junctions.
    """
    positions = _scatter(rng, settings)
    edges = _gabriel(positions, 2.2 * settings.spacing_m) - banned
    edges = _untangled(positions, edges)
    edges = _thinned(rng, edges, settings.thinning_share)
    edges = _largest_part(edges)
    positions, edges = _with_dead_ends(rng, positions, edges, settings)
    edges = _without_stubs(rng, edges - banned, settings)
    plan = Plan(positions, tuple(_chains(edges)))
    count = len(plan.junctions)
    return plan if settings.minimum_junctions <= count <= settings.maximum_junctions else None


def _scatter(rng: Generator, settings: TownSettings) -> NDArray[np.float64]:
    """Poisson-disc samples by throwing darts, with a spacing that varies over the square."""
    half = 0.5 * settings.size_m - MARGIN
    points = rng.uniform(-half, half, (1, 2))
    spacings = np.array([settings.spacing_m])
    for _ in range(30 * int((settings.size_m / settings.spacing_m) ** 2 + 4)):
        candidate = rng.uniform(-half, half, 2)
        spacing = settings.spacing_m * rng.uniform(1.0, 1.35)
        away = np.hypot(*(points - candidate).T)
        if (away > np.minimum(spacing, spacings)).all():
            points = np.vstack([points, candidate])
            spacings = np.append(spacings, spacing)
    return points


def _gabriel(points: NDArray[np.float64], longest: float) -> set[Edge]:
    squared = np.sum((points[:, None] - points[None]) ** 2, axis=2)
    edges = set()
    for a in range(len(points)):
        for b in range(a + 1, len(points)):
            others = np.delete(squared[a] + squared[b], [a, b])
            if squared[a, b] < longest**2 and (others > squared[a, b]).all():
                edges.add((a, b))
    return edges


def _around(edges: set[Edge], point: int) -> list[int]:
    return sorted(a + b - point for a, b in edges if point in (a, b))


def _edge(a: int, b: int) -> Edge:
    return (min(a, b), max(a, b))


def _untangled(points: NDArray[np.float64], edges: set[Edge]) -> set[Edge]:
    """Drops the longer of two edges that leave a point too close together, and fifth arms."""
    edges = set(edges)
    for point in range(len(points)):
        while True:
            arms = _around(edges, point)
            spokes = points[arms] - points[point]
            order = np.argsort(np.arctan2(spokes[:, 1], spokes[:, 0]))
            arms, spokes = [arms[k] for k in order], spokes[order]
            angles = np.arctan2(spokes[:, 1], spokes[:, 0])
            gaps = (np.roll(angles, -1) - angles) % (2 * np.pi)
            if len(arms) < 2 or (gaps.min() >= CLOSEST_ARMS and len(arms) <= 4):
                break
            first = int(gaps.argmin())
            second = (first + 1) % len(arms)
            lengths = np.linalg.norm(spokes, axis=1)
            longer = first if lengths[first] > lengths[second] else second
            edges.discard(_edge(point, arms[longer]))
    return edges


def _reached(edges: set[Edge], start: int) -> set[int]:
    found, front = {start}, [start]
    while front:
        for neighbor in _around(edges, front.pop()):
            if neighbor not in found:
                found.add(neighbor)
                front.append(neighbor)
    return found


def _thinned(rng: Generator, edges: set[Edge], share: float) -> set[Edge]:
    """Leaves edges out at random where the plan stays in one piece and no end is left bare."""
    edges = set(edges)
    for edge in sorted(edges):
        if rng.random() >= share or min(len(_around(edges, end)) for end in edge) < 3:
            continue
        if edge[1] in _reached(edges - {edge}, edge[0]):
            edges.discard(edge)
    return edges


def _largest_part(edges: set[Edge]) -> set[Edge]:
    best: set[int] = set()
    for point in sorted({end for edge in edges for end in edge}):
        if point not in best:
            part = _reached(edges, point)
            best = max(best, part, key=len)
    return {edge for edge in edges if edge[0] in best}


def _with_dead_ends(
    rng: Generator, points: NDArray[np.float64], edges: set[Edge], settings: TownSettings
) -> tuple[NDArray[np.float64], set[Edge]]:
    """Adds streets that end in the open, into the widest gap between a point's arms."""
    edges, points = set(edges), points.copy()
    half = 0.5 * settings.size_m - MARGIN
    for point in sorted({end for edge in edges for end in edge}):
        arms = _around(edges, point)
        if len(arms) not in (2, 3) or rng.random() >= settings.dead_end_share:
            continue
        spokes = points[arms] - points[point]
        angles = np.sort(np.arctan2(spokes[:, 1], spokes[:, 0]))
        gaps = np.append(np.diff(angles), angles[0] + 2 * np.pi - angles[-1])
        widest = int(gaps.argmax())
        if gaps[widest] < np.deg2rad(130.0):
            continue
        heading = angles[widest] + gaps[widest] * rng.uniform(0.45, 0.55)
        tip = points[point] + rng.uniform(55.0, 85.0) * direction(heading)
        clear = min(_distance(tip, points[a], points[b]) for a, b in edges)
        if np.abs(tip).max() < half and clear > 42.0:
            edges.add((point, len(points)))
            points = np.vstack([points, tip])
    return points, edges


def _distance(
    point: NDArray[np.float64], start: NDArray[np.float64], end: NDArray[np.float64]
) -> float:
    """Distance from a point to a straight segment [m]."""
    along = np.clip(np.dot(point - start, end - start) / np.sum((end - start) ** 2), 0.0, 1.0)
    return float(np.linalg.norm(point - start - along * (end - start)))


def _without_stubs(rng: Generator, edges: set[Edge], settings: TownSettings) -> set[Edge]:
    """Takes back most streets that end in the open by chance rather than by design."""
    edges = set(edges)
    keep = 0.25 + 0.75 * settings.dead_end_share
    kept: set[int] = set()
    while True:
        ends = [end for edge in edges for end in edge]
        tips = [end for end in sorted(set(ends)) if ends.count(end) == 1 and end not in kept]
        if not tips:
            return edges
        if rng.random() < keep:
            kept.add(tips[0])
        else:
            edges.discard(_edge(tips[0], _around(edges, tips[0])[0]))


def _chains(edges: set[Edge]) -> list[tuple[int, ...]]:
    """Joins edges at points with two arms; chains that close on themselves are taken away."""
    while True:
        chains = _joined(edges)
        loops = [path for path in chains if path[0] == path[-1]]
        if not loops:
            return chains
        edges = edges - {_edge(a, b) for path in loops for a, b in pairwise(path)}


def _joined(edges: set[Edge]) -> list[tuple[int, ...]]:
    ends = [end for edge in edges for end in edge]
    chains: list[tuple[int, ...]] = []
    used: set[Edge] = set()
    for start in sorted(set(ends)):
        if ends.count(start) == 2:
            continue
        for following in _around(edges, start):
            if _edge(start, following) in used:
                continue
            path = [start, following]
            used.add(_edge(start, following))
            while ends.count(path[-1]) == 2 and path[-1] != start:
                arms = _around(edges, path[-1])
                path.append(arms[0] if arms[1] == path[-2] else arms[1])
                used.add(_edge(path[-2], path[-1]))
            chains.append(tuple(path))
    return chains

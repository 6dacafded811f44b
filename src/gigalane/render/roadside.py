"""What stands: kerbs and barriers, lights and signs on poles, houses and trees drawn by seed."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.random import Generator

from gigalane.maps.polyline import arc_lengths
from gigalane.maps.road import BoundaryType, RoadMap, Signal, SignalType, StopRule
from gigalane.render.classes import ONE_SIDED, VARIANTS, look_of
from gigalane.render.ground import LONGEST, SURFACE_ERROR
from gigalane.render.quads import Floats, Quads, box, join, make_quads, thinned, wall

KERB_HEIGHT = 0.12
"""[m]; German RASt 06 for built-up streets."""
BARRIER_HEIGHT = 0.8
"""[m]; a common guard rail."""
POLE_WIDTH = 0.16
"""[m]; chosen, somewhat wider than real ones so that pixels hit it."""
LIGHT_SIZE = (0.6, 1.2)
"""Width and height of a light's face, which shows its state all over [m]. Chosen: a real lamp of
0.3 m would be less than a pixel from 20 m on in an image of 96 columns."""
LIGHT_HEIGHT = 4.0
"""Of the lower edge of a light that the map puts at ground level [m]; chosen."""
FAR_SIDE = 14.0
"""A light less than `NEAR_SIDE` beyond its stop line is repeated this far beyond it [m]. Chosen:
who waits at the line must have it in view."""
NEAR_SIDE = 8.0
SIGN_HEIGHT = 2.2
"""Of the middle of a sign that the map puts at ground level [m]; chosen."""
SIGN_SIZE = 0.75
"""[m]; the common size in towns is 0.6 to 0.9."""


@dataclass(frozen=True)
class RoadsideSettings:
    """What is drawn beside roads; every length [m], chosen to look like a small town.

    Attributes:
        seed: of everything random here.
        buildings: mean distance from one house to the next along the road; 0 for none.
        trees: mean distance from one tree to the next; 0 for none.
        building_setback: from the edge of the pavement to the front.
        tree_setback: from the edge of the pavement to the trunk.
    """

    seed: int = 0
    buildings: float = 26.0
    trees: float = 24.0
    building_setback: tuple[float, float] = (4.0, 14.0)
    tree_setback: tuple[float, float] = (1.8, 5.0)


def small_quads(road_map: RoadMap, origin: Floats, paved: Paved) -> Quads:
    """Kerbs, barriers, signs, poles and the backs of traffic lights: nothing seen from far.

    Args:
        road_map: the roads.
        origin: of the local frame [m], map frame.
        paved: where the surfaces are.
    """
    shape = {
        BoundaryType.CURB: ("kerb", KERB_HEIGHT),
        BoundaryType.BARRIER: ("barrier", BARRIER_HEIGHT),
    }
    parts = []
    for boundary in road_map.boundaries:
        if boundary.type in shape:
            name, height = shape[boundary.type]
            line = boundary.polyline - origin
            line = line[thinned([line], LONGEST, SURFACE_ERROR)]
            parts.append(make_quads(wall(line, height), look_of(name)))
    parts += [*_signs(road_map, origin, paved), *_light_backs(road_map, origin, paved)]
    return join(parts)


def light_quads(road_map: RoadMap, origin: Floats) -> Quads:
    """The faces of traffic lights, each with the stop line whose state it shows.

    Args:
        road_map: the roads.
        origin: of the local frame [m], map frame.
    """
    return join(
        [
            make_quads(_plate(place, heading, LIGHT_SIZE), look_of("light_off"), link)
            for place, heading, link in _light_faces(road_map, origin)
        ]
    )


def upright_quads(road_map: RoadMap, paved: Paved, settings: RoadsideSettings) -> Quads:
    """Houses and trees; nothing is built on a surface.

    Args:
        road_map: the roads.
        paved: where the surfaces are.
        settings: what to build.
    """
    name = zlib.crc32(road_map.name.encode())
    rng = np.random.default_rng([settings.seed, name])
    return join([*_houses(rng, paved, settings), *_trees(rng, paved, settings)])


class Paved:
    """The ground that is taken, and how high it is.

    Attributes:
        area: all surfaces as one shape, local frame.
    """

    def __init__(self, ground: Quads) -> None:
        """Joins surfaces."""
        pieces = np.asarray(shapely.make_valid(shapely.polygons(ground.corners[..., :2])))
        self.area = shapely.union_all(shapely.buffer(pieces, 0.05, quad_segs=1))
        self._tree = shapely.STRtree(pieces)
        self._height = ground.corners[..., 2].mean(axis=1)

    def height(self, places: Floats) -> Floats:
        """Of the nearest surface below points (N, 2+) [m]."""
        near = self._tree.nearest(shapely.points(np.atleast_2d(places)[:, :2]))
        return self._height[near]

    def holds(self, place: Floats) -> bool:
        """Whether a point is over a surface."""
        return bool(shapely.intersects_xy(self.area, place[0], place[1]))

    def places_beside(self, rng: Generator, away: float, spacing: float) -> list[Floats]:
        """Points (x, y, heading) along lines that keep a distance [m] from all surfaces."""
        found: list[Floats] = []
        for part in shapely.get_parts(shapely.buffer(self.area, away, quad_segs=2)):
            for ring in (part.exterior, *part.interiors):
                line = shapely.get_coordinates(ring)
                along = arc_lengths(line)
                at = spacing * rng.uniform(0.2, 1.0)
                while at < along[-1]:
                    row = int(np.searchsorted(along, at))
                    x, y = (np.interp(at, along, axis) for axis in line.T)
                    step = line[row] - line[row - 1]
                    found.append(np.array([x, y, np.arctan2(step[1], step[0])]))
                    at += spacing * rng.uniform(0.6, 1.4)
        return found


def _light_faces(road_map: RoadMap, origin: Floats) -> Iterator[tuple[Floats, float, int]]:
    """Middle of each face [m], the direction it looks to, and its stop line."""
    signals = {signal.id: signal for signal in road_map.signals}
    for link, line in enumerate(road_map.stop_lines):
        if line.rule is not StopRule.LIGHT:
            continue
        left, right = line.polyline[0], line.polyline[-1]
        across = (right - left) / max(float(np.linalg.norm(right - left)), 1e-6)
        onward = np.array([-across[1], across[0], 0.0])
        middle = 0.5 * (left + right)
        shown = [signals[name] for name in line.signals if name in signals]
        beyond = [float((signal.position - middle) @ onward) for signal in shown]
        for signal in shown:
            yield _raised(signal.position, middle[2], LIGHT_HEIGHT) - origin, signal.heading, link
        if not any(distance >= NEAR_SIDE for distance in beyond):
            place = middle + FAR_SIDE * onward + [0.0, 0.0, LIGHT_HEIGHT + 0.5 * LIGHT_SIZE[1]]
            yield place - origin, float(np.arctan2(-onward[1], -onward[0])), link


def _raised(position: Floats, ground: float, height: float) -> Floats:
    """Maps that only say where a pole stands give its foot: put the head on top."""
    if position[2] - ground >= 2.0:
        return position
    return np.array([position[0], position[1], ground + height])


def _plate(place: Floats, heading: float, size: tuple[float, float]) -> Floats:
    """An upright rectangle around a point that looks in a direction [rad], (1, 4, 3) [m]."""
    aside = 0.5 * size[0] * np.array([-np.sin(heading), np.cos(heading), 0.0])
    up = np.array([0.0, 0.0, 0.5 * size[1]])
    return np.stack([place - aside - up, place + aside - up, place + aside + up,
                     place - aside + up])[None]  # fmt: skip


def _pole(foot: Floats, top: float) -> Floats:
    """Two upright rectangles that cross, (2, 4, 3) [m]: seen from anywhere, one is broad."""
    height = top - foot[2]
    middle = foot + np.array([0.0, 0.0, 0.5 * height])
    return np.concatenate([_plate(middle, turn, (POLE_WIDTH, height)) for turn in (0.0, np.pi / 2)])


def _light_backs(road_map: RoadMap, origin: Floats, paved: Paved) -> Iterator[Quads]:
    size = (LIGHT_SIZE[0] + 0.24, LIGHT_SIZE[1] + 0.24)
    for place, heading, _ in _light_faces(road_map, origin):
        behind = place - 0.15 * np.array([np.cos(heading), np.sin(heading), 0.0])
        yield make_quads(_plate(behind, heading, size), look_of("pole", "housing"))
        if not paved.holds(place):  # one over the road hangs
            yield make_quads(_pole(_foot(place, paved), behind[2]), look_of("pole"))


def _foot(place: Floats, paved: Paved) -> Floats:
    return np.array([place[0], place[1], float(paved.height(place)[0])])


def _signs(road_map: RoadMap, origin: Floats, paved: Paved) -> Iterator[Quads]:
    names = {
        SignalType.STOP: "sign_stop",
        SignalType.YIELD: "sign_yield",
        SignalType.SPEED_LIMIT: "sign_speed",
    }
    for signal in road_map.signals:
        if signal.type not in names:
            continue
        foot = _foot(signal.position - origin, paved)
        place = _raised(signal.position - origin, foot[2], SIGN_HEIGHT)
        plate = _figure(signal, place)
        yield make_quads(plate, look_of(names[signal.type]))
        yield make_quads(_pole(foot, place[2] - 0.3 * SIGN_SIZE), look_of("pole"))


def _figure(signal: Signal, place: Floats) -> Floats:
    """The outline of a sign as quadrilaterals: octagon, triangle on its tip, square."""
    if signal.type is SignalType.SPEED_LIMIT:
        return _plate(place, signal.heading, (0.8 * SIGN_SIZE, 0.8 * SIGN_SIZE))
    corners, first = (8, np.pi / 8) if signal.type is SignalType.STOP else (3, -np.pi / 2)
    turn = first + 2.0 * np.pi * np.arange(corners) / corners
    aside = np.array([-np.sin(signal.heading), np.cos(signal.heading), 0.0])
    up = np.array([0.0, 0.0, 1.0])
    ring = place + 0.5 * SIGN_SIZE * (np.cos(turn)[:, None] * aside + np.sin(turn)[:, None] * up)
    if corners == 3:
        return np.stack([ring[0], ring[1], ring[2], ring[2]])[None]
    return np.stack([ring[[0, 1, 2, 3]], ring[[0, 3, 4, 7]], ring[[4, 5, 6, 7]]])


def _houses(rng: Generator, paved: Paved, settings: RoadsideSettings) -> list[Quads]:
    if settings.buildings <= 0.0:
        return []
    low, high = settings.building_setback
    places = [
        place
        for away in (low + 5.0, high + 14.0)
        for place in paved.places_beside(rng, away, settings.buildings)
    ]
    sizes = [
        (rng.uniform(8.0, 20.0), rng.uniform(7.0, 12.0), rng.choice([4.0, 6.5, 9.5, 12.5, 18.0]))
        for _ in places
    ]
    looks = rng.integers(0, VARIANTS["building"] * VARIANTS["roof"], len(places))
    plans = np.array(
        [
            shapely.Polygon(box((x, y, 0.0), turn, size)[-1][:, :2])
            for (x, y, turn), size in zip(places, sizes, strict=True)
        ]
    )
    if not len(plans):
        return []
    free = ~shapely.intersects(plans, shapely.buffer(paved.area, low))
    mine, other = shapely.STRtree(plans).query(plans, predicate="dwithin", distance=1.0)
    for one, two in zip(mine.tolist(), other.tolist(), strict=True):
        if two < one and free[one] and free[two]:
            free[one] = False  # the earlier one was there first
    parts = []
    for k in np.flatnonzero(free):
        x, y, turn = places[k]
        z = float(paved.height(places[k])[0])
        faces = box((x, y, z - 0.5), turn, sizes[k])
        parts.append(make_quads(faces[:4], ONE_SIDED + look_of("building", variant=int(looks[k]))))
        parts.append(
            make_quads(faces[4:], ONE_SIDED + look_of("building", "roof", int(looks[k]) // 7))
        )
    return parts


def _trees(rng: Generator, paved: Paved, settings: RoadsideSettings) -> list[Quads]:
    if settings.trees <= 0.0:
        return []
    keep_off = shapely.buffer(paved.area, 0.8)
    shapely.prepare(keep_off)
    parts = []
    low, high = settings.tree_setback
    for x, y, turn in paved.places_beside(rng, 0.5 * (low + high), settings.trees):
        shift = rng.uniform(-0.5, 0.5) * (high - low)
        x, y = x - shift * np.sin(turn), y + shift * np.cos(turn)
        spread, height = rng.uniform(2.0, 4.0), rng.uniform(3.5, 8.0)
        variant = int(rng.integers(0, 3))
        if shapely.intersects_xy(keep_off, x, y):
            continue
        z = float(paved.height(np.array([x, y]))[0])
        foot = np.array([x, y, z])
        parts.append(make_quads(_pole(foot, z + 2.4), look_of("tree", "trunk")))
        crown = box((x, y, z + 2.2), turn, (spread, spread, height - 2.2))
        floor = crown[4:, ::-1] - [0.0, 0.0, height - 2.2]  # it is seen from below
        crown = np.concatenate([crown, floor])
        parts.append(make_quads(crown, ONE_SIDED + look_of("tree", variant=variant)))
    return parts

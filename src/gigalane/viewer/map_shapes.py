"""Turns a road map into what is drawn: areas and lines with a role, in drawing order.

The map picture, the replay page and the film all draw these shapes; each only decides how a
filled area and a stroked line come onto its own canvas.

Surfaces of one role are merged into one outline, so that no hairline shows where lanes meet.
Where a road passes over another, the upper one is a second level, drawn after the first.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

import numpy as np
import shapely
from numpy.typing import NDArray

from gigalane.maps.road import DRIVABLE_LANE_TYPES, ROUTABLE_LANE_TYPES, LaneType, RoadMap
from gigalane.viewer.map_levels import Decks
from gigalane.viewer.map_paint import (
    boundary_lines,
    crossing_bars,
    direction_arrows,
    painted_lines,
    sign_shapes,
    stop_line_shapes,
)
from gigalane.viewer.shape import MapShape

SURFACES: tuple[tuple[str, frozenset[LaneType]], ...] = (
    ("void", frozenset({LaneType.NONE})),
    ("median", frozenset({LaneType.MEDIAN, LaneType.BORDER, LaneType.RESTRICTED})),
    ("sidewalk", frozenset({LaneType.SIDEWALK, LaneType.CURB})),
    ("rail", frozenset({LaneType.RAIL})),
    ("road", DRIVABLE_LANE_TYPES),  # underlies all of the following, so that no gap shows
    ("shoulder", frozenset({LaneType.SHOULDER, LaneType.STOP})),
    ("parking", frozenset({LaneType.PARKING})),
    ("bicycle", frozenset({LaneType.BICYCLE})),
    ("bus", frozenset({LaneType.BUS})),
    ("road", ROUTABLE_LANE_TYPES),  # in junctions over shoulders that reach across them
)
"""Roles of surfaces and the lane types of each, in drawing order."""

SEAM = 0.04
"""Gaps up to twice this between lanes are closed [m]; sources round to about 1 cm."""
TOLERANCE = 0.03
"""Outlines may move this far when points are dropped [m]: a quarter of a painted line."""
SPECK = 0.2
"""Areas and holes smaller than this are left out [m²]."""


def map_shapes(road_map: RoadMap, decks: Decks | None = None) -> tuple[MapShape, ...]:
    """All shapes of a map in drawing order, level 0 before level 1.

    Args:
        road_map: the roads.
        decks: `Decks(road_map.lanes)`, where the caller has it already.

    Returns:
        The shapes; one with the role "stop_line" for each of `road_map.stop_lines`.
    """
    decks = Decks(road_map.lanes) if decks is None else decks
    shapes = chain(
        _surfaces(road_map, decks, level=0),
        _surfaces(road_map, decks, level=1) if decks else (),
        boundary_lines(road_map, decks),
        crossing_bars(road_map, decks),
        painted_lines(road_map, decks),
        direction_arrows(road_map, decks),
        stop_line_shapes(road_map, decks),
        sign_shapes(road_map, decks),
    )
    return tuple(sorted(map(_simplified, shapes), key=lambda shape: shape.level))


def _surfaces(road_map: RoadMap, decks: Decks, level: int) -> Iterator[MapShape]:
    for role, types in SURFACES:
        rings: list[np.ndarray] = []
        for lane, rows in zip(road_map.lanes, decks.rows, strict=True):
            if lane.type in types:
                edges = lane.left_boundary[:, :2], lane.right_boundary[:, :2]
                rings += [
                    np.concatenate([edges[0][start:end], edges[1][start:end][::-1]])
                    for start, end in _strips(rows, level)
                ]
        for polygon in _merged(rings):
            holes = (hole for hole in polygon.interiors if shapely.Polygon(hole).area > SPECK)
            yield MapShape(
                role,
                tuple(shapely.get_coordinates(r)[:-1] for r in (polygon.exterior, *holes)),
                True,
                level=level,
            )


def _strips(deck_rows: np.ndarray, level: int) -> Iterator[tuple[int, int]]:
    """Ranges of rows to fill: all of a lane on the ground, its deck pieces above."""
    if level == 0:
        yield 0, len(deck_rows) + 1
        return
    padded = np.concatenate([[False], deck_rows, [False]]).astype(np.int8)
    starts, ends = np.flatnonzero(np.diff(padded) == 1), np.flatnonzero(np.diff(padded) == -1)
    yield from zip(starts.tolist(), (ends + 1).tolist(), strict=True)


def _merged(rings: list[np.ndarray]) -> Iterator[shapely.Polygon]:
    """The union of lane outlines, with small gaps closed."""
    rings = [ring for ring in rings if np.isfinite(ring).all()]
    if not rings:
        return
    index = np.repeat(np.arange(len(rings)), [len(ring) for ring in rings])
    lines = shapely.linearrings(np.concatenate(rings), indices=index)
    polygons: NDArray[np.object_] = np.asarray(shapely.polygons(lines))
    invalid = ~shapely.is_valid(polygons)
    polygons[invalid] = shapely.make_valid(polygons[invalid], method="structure")
    grown = shapely.buffer(polygons, SEAM, join_style="mitre", mitre_limit=2.0)
    union = shapely.buffer(shapely.union_all(grown), -SEAM, join_style="mitre", mitre_limit=2.0)
    for part in shapely.get_parts(union):
        if isinstance(part, shapely.Polygon) and part.area > SPECK:
            yield part


def _simplified(shape: MapShape) -> MapShape:
    """Drops points that the eye does not miss."""
    rings = []
    for ring in shape.rings:
        if len(ring) < 5:
            rings.append(ring)
            continue
        closed = np.concatenate([ring, ring[:1]]) if shape.is_area else ring
        line = shapely.simplify(shapely.LineString(closed), TOLERANCE)
        points = shapely.get_coordinates(line)
        rings.append(points[:-1] if shape.is_area else points)
    return MapShape(shape.role, tuple(rings), shape.is_area, shape.width, shape.dash,
                    shape.level, shape.index)  # fmt: skip

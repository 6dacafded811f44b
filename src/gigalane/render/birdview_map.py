"""Maps as the bird's-eye raster draws them: areas of road, painted lines, stop lines, by tile.

A map is cut into square tiles. Each item belongs to the tile that its middle lies in, so a view
meets nothing twice; a tile's circle holds all that belongs to it.
"""

# pyright: reportGeneralTypeIssues=false, reportInvalidTypeForm=false, reportCallIssue=false
# pyright: reportOperatorIssue=false, reportReturnType=false, reportArgumentType=false
# pyright: reportAttributeAccessIssue=false, reportIndexIssue=false

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
import warp as wp
from numpy.typing import NDArray

from gigalane.maps.arrays import DRIVABLE, ROUTABLE, SEAM, record_dtype
from gigalane.maps.compile import CompiledMap
from gigalane.maps.road import Lane, MarkType, RoadMap, RoadMark
from gigalane.maps.surface import corners_of

Floats = NDArray[np.float64]

TILE = wp.constant(12.0)
"""Side of a tile [m] (chosen)."""
LONGEST_MARK = 12.0
"""Painted lines are cut into pieces no longer than this [m] (chosen)."""
MARK_ERROR = 0.03
"""How far a piece may leave the line it stands for [m] (chosen)."""
LONGEST_MITRE = 0.15
"""How far the corner of an area may move where its edges move out by `SEAM` [m] (chosen):
without a limit the corner of a sliver would end up far away."""

LONGEST_AREA = 20.0
"""Straight stretches of lane are joined up to this length [m] (chosen)."""
AREA_ERROR = 0.02
"""How far that may move the side of a lane [m] (chosen)."""

BROKEN_TYPES = frozenset({MarkType.BROKEN, MarkType.BROKEN_BROKEN})
BARE_TYPES = frozenset({MarkType.NONE, MarkType.CURB})
"""Types that are no paint."""


@wp.struct
class Area:
    """A quadrilateral of drivable surface; a triangle has one corner twice."""

    corners_x: wp.vec4  # [m], local frame
    corners_y: wp.vec4
    x: float  # middle [m]
    y: float
    z: float
    spare: float  # 0; fills 48 bytes


@wp.struct
class Mark:
    """A straight piece of painted line."""

    start_x: float  # [m], local frame
    start_y: float
    end_x: float
    end_y: float
    z: float
    broken: int  # 1 where one may drive across it


@wp.struct
class TileRecord:
    """What belongs to a tile: a range of each kind, ending where the next tile's begins."""

    x: float  # of the circle around it [m], local frame
    y: float
    radius: float  # [m]; below 0 for an empty tile
    area: int  # first of its areas
    mark: int
    control: int  # into `controls`


@wp.struct
class TileGrid:
    """Where the tiles of one map lie."""

    x: float  # corner of tile (0, 0) [m], local frame
    y: float
    columns: int
    rows: int
    tile: int  # its first tile
    reach: float  # farthest that anything sticks out of its tile [m]


@wp.struct
class BirdviewArrays:
    """Every map of a batch."""

    grids: wp.array(dtype=TileGrid)
    tiles: wp.array(dtype=TileRecord)  # one more than there are, for the last one's end
    areas: wp.array(dtype=Area)
    marks: wp.array(dtype=Mark)
    controls: wp.array(dtype=int)  # indices into `MapArrays.controls`


@dataclass(frozen=True)
class Items:
    """Things of one kind, and the circles that hold them."""

    records: NDArray[Any]
    middle: Floats  # (N, 2) [m], local frame
    radius: Floats  # (N,) [m]


def stack_birdviews(
    maps: Sequence[CompiledMap], road_maps: Sequence[RoadMap] | None, device: str
) -> Any:  # noqa: ANN401
    """All maps of a batch as one `BirdviewArrays`.

    Args:
        maps: compiled maps, in the order of the simulator's.
        road_maps: what they were compiled from, for the paint; None derives it from the lanes.
        device: Warp device name.
    """
    grids, tiles = [], []
    kinds: tuple[list[NDArray[Any]], ...] = ([], [], [])
    firsts, controls = [0, 0, 0], 0
    for index, one in enumerate(maps):
        pieces = _derived_marks(one)
        if road_maps is not None:
            pieces = _painted_marks(road_maps[index], one.origin_map) or pieces
        items = (_areas(one), _marks(pieces), _controls(one, controls))
        grid, of_map, orders = _lay_tiles(items, firsts)
        grid["tile"] = sum(len(part) for part in tiles)
        grids.append(grid)
        tiles.append(of_map)
        for kind, (parts, part, order) in enumerate(zip(kinds, items, orders, strict=True)):
            parts.append(part.records[order])
            firsts[kind] += len(order)
        controls += len(one.controls)
    end = np.zeros(1, record_dtype(TileRecord))
    end["area"], end["mark"], end["control"] = firsts
    arrays = BirdviewArrays()
    arrays.grids = wp.array(np.stack(grids), dtype=TileGrid, device=device)
    arrays.tiles = wp.array(np.concatenate([*tiles, end]), dtype=TileRecord, device=device)
    for name, kind, parts in zip(
        ("areas", "marks", "controls"), (Area, Mark, int), kinds, strict=True
    ):
        setattr(arrays, name, wp.array(np.concatenate(parts), dtype=kind, device=device))
    return arrays


def _lay_tiles(
    items: tuple[Items, ...], firsts: Sequence[int]
) -> tuple[NDArray[np.void], NDArray[np.void], list[NDArray[np.int64]]]:
    """One map's grid and tiles, and the order that its items come to lie in."""
    size = float(TILE)
    every = np.concatenate([part.middle for part in items])
    low = every.min(axis=0) - 1.0
    columns, rows = (np.floor((every.max(axis=0) - low) / size) + 1).astype(int)
    tiles = np.zeros(columns * rows, record_dtype(TileRecord))
    middle_x = low[0] + (np.arange(columns * rows) % columns + 0.5) * size
    middle_y = low[1] + (np.arange(columns * rows) // columns + 0.5) * size
    radius = np.full(columns * rows, -1.0)
    orders = []
    for part, name, first in zip(items, ("area", "mark", "control"), firsts, strict=True):
        column, row = np.floor((part.middle - low) / size).astype(int).T
        tile = row * columns + column
        orders.append(np.argsort(tile, kind="stable"))
        counts = np.bincount(tile, minlength=len(tiles))
        tiles[name] = first + np.concatenate([[0], np.cumsum(counts)[:-1]])
        away = np.hypot(part.middle[:, 0] - middle_x[tile], part.middle[:, 1] - middle_y[tile])
        np.maximum.at(radius, tile, away + part.radius + 0.01)
    tiles["x"], tiles["y"], tiles["radius"] = middle_x, middle_y, radius
    grid = np.zeros((), record_dtype(TileGrid))
    grid["x"], grid["y"], grid["columns"], grid["rows"] = *low, columns, rows
    grid["reach"] = max(float(radius.max()), 0.0)
    return grid, tiles, orders


def _areas(one: CompiledMap) -> Items:
    """The drivable surface, each quadrilateral reaching `SEAM` beyond its edges."""
    segments = one.segments[(one.segments["flags"] & DRIVABLE) > 0]
    corners = corners_of(segments)
    wider = segments.copy()
    for edge in ("back", "front", "left", "right"):
        wider[f"{edge}_bound"] += float(SEAM)
    move = corners_of(wider) - corners
    far = np.linalg.norm(move, axis=-1, keepdims=True)
    corners = corners + move * np.minimum(1.0, LONGEST_MITRE / np.maximum(far, 1e-9))
    z = segments["z"] + 0.5 * segments["length"] * segments["slope"]
    runs = _straight_runs(segments["lane"], corners)
    first, last = runs[:, 0], runs[:, 1]
    # Back corners of the first, front corners of the last.
    corners = np.stack(
        [corners[first, 0], corners[last, 1], corners[last, 2], corners[first, 3]], axis=1
    )
    records = np.zeros(len(corners), record_dtype(Area))
    records["corners_x"], records["corners_y"] = corners[..., 0], corners[..., 1]
    middle = corners.mean(axis=1)
    records["x"], records["y"] = middle.T
    records["z"] = 0.5 * (z[first] + z[last])
    radius = np.linalg.norm(corners - middle[:, None], axis=-1).max(axis=1)
    return Items(records, middle, radius)


def _straight_runs(lane: NDArray[np.int32], corners: Floats) -> NDArray[np.int64]:
    """First and last of the quadrilaterals, (N, 4, 2) [m], that together are nearly one.

    Those of a lane that follow one another, up to `LONGEST_AREA`, as long as no corner between
    them lies further than `AREA_ERROR` from the sides of the whole.
    """
    runs, first = [], 0
    for last in range(1, len(corners) + 1):
        if last == len(corners) or not _is_one(lane[first : last + 1], corners[first : last + 1]):
            runs.append((first, last - 1))
            first = last
    return np.array(runs, np.int64).reshape(-1, 2)


def _is_one(lane: NDArray[np.int32], corners: Floats) -> bool:
    """Whether consecutive quadrilaterals are nearly one."""
    if lane[0] < 0 or lane[0] != lane[-1]:
        return False
    for back, front in ((0, 1), (3, 2)):
        start, end = corners[0, back], corners[-1, front]
        along = end - start
        length = float(np.hypot(along[0], along[1]))
        between = np.concatenate([corners[:-1, front], corners[1:, back]]) - start
        away = np.abs(between[:, 0] * along[1] - between[:, 1] * along[0])
        if length > LONGEST_AREA or away.max() > AREA_ERROR * length:
            return False
    return True


def _controls(one: CompiledMap, first: int) -> Items:
    """The stop lines; `first` is the index of the map's first among all maps'."""
    controls = one.controls
    ends = np.stack(
        [[controls[f"{side}_{axis}"] for axis in ("x", "y")] for side in ("left", "right")]
    ).astype(np.float64)  # (2 ends, 2 axes, N)
    radius = 0.5 * np.linalg.norm(ends[0] - ends[1], axis=0) + 2.0  # as thick as it is drawn
    return Items((first + np.arange(len(controls))).astype(np.int32), ends.mean(axis=0).T, radius)


def _marks(pieces: list[tuple[Floats, bool]]) -> Items:
    """Painted lines, (N, 3) [m] and whether broken, as straight pieces."""
    starts, ends, broken = [], [], []
    for line, is_broken in pieces:
        cut = _cut(line)
        starts.append(cut[:-1])
        ends.append(cut[1:])
        broken += [is_broken] * (len(cut) - 1)
    start = np.concatenate([*starts, np.zeros((0, 3))])
    end = np.concatenate([*ends, np.zeros((0, 3))])
    records = np.zeros(len(start), record_dtype(Mark))
    records["start_x"], records["start_y"] = start[:, :2].T
    records["end_x"], records["end_y"] = end[:, :2].T
    records["z"], records["broken"] = 0.5 * (start[:, 2] + end[:, 2]), broken
    radius = 0.5 * np.linalg.norm((end - start)[:, :2], axis=1) + 2.0  # as thick as it is drawn
    return Items(records, 0.5 * (start + end)[:, :2], radius)


def _cut(line: Floats) -> Floats:
    """A line with as few points as `MARK_ERROR` and `LONGEST_MARK` allow."""
    simple = shapely.simplify(shapely.LineString(line), MARK_ERROR)
    points = shapely.get_coordinates(simple, include_z=True)
    length = np.hypot(*np.diff(points[:, :2], axis=0).T)
    parts = np.maximum(np.ceil(length / LONGEST_MARK), 1.0)
    rows = np.concatenate([[0.0], np.cumsum(parts)])
    wanted = np.arange(rows[-1] + 1.0)
    return np.stack([np.interp(wanted, rows, points[:, axis]) for axis in range(3)], axis=1)


def _painted_marks(road_map: RoadMap, origin_map: Floats) -> list[tuple[Floats, bool]]:
    """What is painted on a road, local frame; a line that two lanes share comes once.

    A double line of which one is solid counts as solid (chosen: one side may not cross it).
    """
    found: dict[tuple[float, ...], tuple[Floats, bool]] = {}
    for lane in road_map.lanes:
        for line, mark in _painted_sides(lane):
            stretch = _stretch(line - origin_map, mark.start, mark.end)
            if mark.type in BARE_TYPES or len(stretch) < 2:
                continue
            ends = sorted([tuple(np.round(stretch[0], 1)), tuple(np.round(stretch[-1], 1))])
            found.setdefault((*ends[0], *ends[1]), (stretch, mark.type in BROKEN_TYPES))
    return list(found.values())


def _painted_sides(lane: Lane) -> Iterator[tuple[Floats, RoadMark]]:
    if lane.is_drivable:  # a line at the edge of the road is the road's
        yield from ((lane.left_boundary, mark) for mark in lane.left_marks)
        yield from ((lane.right_boundary, mark) for mark in lane.right_marks)


def _stretch(line: Floats, start: float, end: float) -> Floats:
    """The part of a line between two arc lengths [m]."""
    arc = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(line[:, :2], axis=0).T))])
    start, end = max(start, 0.0), min(end, float(arc[-1]))
    if end - start < 0.01:
        return line[:0]
    inside = arc[(arc > start + 1e-3) & (arc < end - 1e-3)]
    at = np.concatenate([[start], inside, [end]])
    return np.stack([np.interp(at, arc, line[:, axis]) for axis in range(3)], axis=1)


def _derived_marks(one: CompiledMap) -> list[tuple[Floats, bool]]:
    """Lines as lanes suggest them, for roads without paint or of which only records are left.

    Broken between neighbours that run the same way, solid elsewhere; none in junctions.
    """
    pieces = []
    for lane in one.lanes:
        if not lane["flags"] & ROUTABLE or lane["junction"] >= 0 or not lane["segment_count"]:
            continue
        segments = one.segments[lane["first_segment"] :][: lane["segment_count"]]
        corners = corners_of(segments)
        z = np.append(
            segments["z"], segments["z"][-1] + (segments["slope"] * segments["length"])[-1]
        )
        right = np.concatenate([corners[:, 0], corners[-1:, 1]])
        left = np.concatenate([corners[:, 3], corners[-1:, 2]])
        pieces.append((np.column_stack([right, z]), bool(lane["right"] >= 0)))
        if lane["left"] < 0:  # a neighbour draws it from its own right
            pieces.append((np.column_stack([left, z]), False))
    return pieces

"""The standing world of a road map, as quadrilaterals that cameras gather by grid cells.

Six layers are drawn one after the other. Surfaces, road and paint lie on one another, so a later
one covers an earlier one at the same depth; small things (kerbs, poles, signs), upright ones
(houses, trees) and the faces of traffic lights hide what is behind them.

Coordinates are metres in the map's local frame (see `gigalane.maps.arrays`), z up. Every
quadrilateral belongs to the one cell its middle lies in; a cell's ball holds all of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import warp as wp
from numpy.typing import NDArray

from gigalane.maps.compile import CompiledMap, compile_map
from gigalane.maps.road import RoadMap
from gigalane.render.ground import painted_quads, road_quads, surface_quads
from gigalane.render.quads import Quads, join
from gigalane.render.roadside import (
    Paved,
    RoadsideSettings,
    light_quads,
    small_quads,
    upright_quads,
)

# pyright: reportGeneralTypeIssues=false, reportInvalidTypeForm=false, reportCallIssue=false
# pyright: reportOperatorIssue=false, reportReturnType=false, reportArgumentType=false
# pyright: reportAttributeAccessIssue=false, reportIndexIssue=false

LAYERS = ("surface", "road", "paint", "small", "upright", "light")
LAYER_COUNT = wp.constant(len(LAYERS))
CELL = wp.constant(20.0)
"""Side of a grid cell [m]; chosen: a view asks for about a hundred of them."""
SPARE = 16
"""Rows behind the last one of anything: loops run over whole vectors."""
QUAD = 12
"""Numbers of a quadrilateral: x of its corners, then y, then z."""


@wp.struct
class SceneryRecord:
    """Where one map's cells begin."""

    grid_x: float  # corner of cell (0, 0) [m], local frame
    grid_y: float
    columns: int
    rows: int
    cell_start: int  # of its first cell, into `balls`


@wp.struct
class SceneryArrays:
    """The scenery of every map of a batch, end to end."""

    maps: wp.array(dtype=SceneryRecord)
    # (LAYER_COUNT, cells + 1) first quadrilateral of each cell; the last one's end
    offsets: wp.array2d(dtype=int)
    balls: wp.array2d(dtype=float)  # (4, cells + SPARE) middle and radius of what is in one [m]
    quads: wp.array2d(dtype=float)  # (QUAD, quads + SPARE) [m], layer by layer
    looks: wp.array(dtype=int)  # (quads + SPARE) see `gigalane.render.classes.look_of`
    links: wp.array(dtype=int)  # (quads) of lights: index into `MapArrays.controls`, else -1


@dataclass(frozen=True, eq=False)
class Scenery:
    """One map's standing world; indices count from its own first row.

    Attributes:
        name: of the map.
        grid: corner of cell (0, 0), x and y [m], local frame.
        columns: cells along x.
        rows: cells along y.
        offsets: (cells * layers + 1,) first quadrilateral of each layer of each cell.
        balls: (cells, 4) middle and radius [m].
        quads: (N, 12) x, y and z of the corners [m].
        looks: (N,) class and material.
        links: (N,) stop line of a light, in the order of `RoadMap.stop_lines`, or -1.
        stop_lines: of the map.
    """

    name: str
    grid: tuple[float, float]
    columns: int
    rows: int
    offsets: NDArray[np.int32]
    balls: NDArray[np.float32]
    quads: NDArray[np.float32]
    looks: NDArray[np.int32]
    links: NDArray[np.int32]
    stop_lines: int


def compile_scenery(
    road_map: RoadMap,
    compiled: CompiledMap | None = None,
    roadside: RoadsideSettings | None = None,
) -> Scenery:
    """Builds the standing world of a map.

    Args:
        road_map: the roads.
        compiled: the same map compiled, where the caller has it already.
        roadside: what stands beside the road.

    Returns:
        Its quadrilaterals by layer and cell.

    Raises:
        MapError: if no lane can be driven on.
    """
    compiled = compiled or compile_map(road_map)
    roadside = roadside or RoadsideSettings()
    origin = compiled.origin_map
    surfaces, road = surface_quads(road_map, origin), road_quads(road_map, compiled)
    paved = Paved(join([surfaces, road]))
    layers = [
        surfaces,
        road,
        painted_quads(road_map, origin),
        small_quads(road_map, origin, paved),
        upright_quads(road_map, paved, roadside),
        light_quads(road_map, origin),
    ]
    return lay_out(road_map.name, layers, len(road_map.stop_lines))


def lay_out(name: str, layers: Sequence[Quads], stop_lines: int) -> Scenery:
    """Sorts the quadrilaterals of each layer into cells.

    Args:
        name: of the map.
        layers: quadrilaterals, one set for each of `LAYERS`.
        stop_lines: of the map.
    """
    every = np.concatenate([quads.corners for quads in layers])
    low = np.floor(every[..., :2].reshape(-1, 2).min(axis=0)) if len(every) else np.zeros(2)
    high = every[..., :2].reshape(-1, 2).max(axis=0) if len(every) else np.ones(2)
    columns, rows = (int(n) for n in np.maximum(np.ceil((high - low + 1e-3) / CELL), 1))
    layer = np.repeat(np.arange(len(LAYERS)), [len(quads.corners) for quads in layers])
    column, row = ((every.mean(axis=1)[:, :2] - low) // CELL).astype(np.intp).T
    place = (row * columns + column) * len(LAYERS) + layer
    chosen = np.argsort(place, kind="stable")
    counts = np.bincount(place, minlength=columns * rows * len(LAYERS))
    offsets = np.concatenate([[0], np.cumsum(counts)])
    corners = every[chosen]
    return Scenery(
        name=name,
        grid=(float(low[0]), float(low[1])),
        columns=columns,
        rows=rows,
        offsets=offsets.astype(np.int32),
        balls=_balls(corners, offsets[:: len(LAYERS)]),
        quads=corners.transpose(0, 2, 1).reshape(-1, QUAD).astype(np.float32),
        looks=np.concatenate([quads.looks for quads in layers])[chosen].astype(np.int32),
        links=np.concatenate([quads.links for quads in layers])[chosen].astype(np.int32),
        stop_lines=stop_lines,
    )


def _balls(corners: NDArray[np.float64], offsets: NDArray[np.int64]) -> NDArray[np.float32]:
    """Middle of the box around the quadrilaterals of each cell, and its half diagonal [m]."""
    balls = np.zeros((len(offsets) - 1, 4), np.float32)
    filled = np.flatnonzero(np.diff(offsets))
    if len(filled):
        low = np.minimum.reduceat(corners.min(axis=1), offsets[filled])
        high = np.maximum.reduceat(corners.max(axis=1), offsets[filled])
        balls[filled, :3] = 0.5 * (low + high)
        balls[filled, 3] = 0.5 * np.linalg.norm(high - low, axis=1) + 1e-2
    return balls


def stack_scenery(sceneries: Sequence[Scenery], device: str) -> Any:  # noqa: ANN401
    """The scenery of all maps of a batch as one `SceneryArrays`.

    Args:
        sceneries: in the order that `SceneArrays.map_index` counts.
        device: Warp device name.
    """
    records, cells, stop_lines = [], 0, 0
    layers: list[NDArray[np.intp]] = []
    links: list[NDArray[np.int32]] = []
    for one in sceneries:
        records.append((*one.grid, one.columns, one.rows, cells))
        layers.append(np.diff(one.offsets).reshape(-1, len(LAYERS)))
        links.append(np.where(one.links >= 0, one.links + stop_lines, -1).astype(np.int32))
        cells += len(one.balls)
        stop_lines += one.stop_lines
    # By cells and layers, as each map has them, to by layers and cells.
    counts = np.concatenate(layers)
    layer = np.repeat(np.tile(np.arange(len(LAYERS)), cells), counts.ravel())
    order = np.argsort(layer, kind="stable")
    ends = np.cumsum(counts.T.ravel()).reshape(len(LAYERS), cells)
    offsets = np.column_stack([ends[:, 0] - counts[0], ends]).astype(np.int32)
    spare = np.zeros(SPARE, np.int32)
    quads = np.concatenate([one.quads for one in sceneries])[order]
    looks = np.concatenate([one.looks for one in sceneries])[order]
    arrays = SceneryArrays()
    kind = np.dtype(SceneryRecord.numpy_dtype())
    arrays.maps = wp.array(np.array(records, kind), dtype=SceneryRecord, device=device)
    arrays.offsets = wp.array(offsets, dtype=int, device=device)
    balls = _in_columns(np.concatenate([one.balls for one in sceneries]))
    arrays.balls = wp.array(balls, dtype=float, device=device)
    arrays.quads = wp.array(_in_columns(quads), dtype=float, device=device)
    arrays.looks = wp.array(np.concatenate([looks, spare]), dtype=int, device=device)
    arrays.links = wp.array(np.concatenate(links)[order], dtype=int, device=device)
    return arrays


def _in_columns(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows (N, K) as (K, N + SPARE), the spare ones 0."""
    return np.ascontiguousarray(np.pad(rows, ((0, SPARE), (0, 0))).T)

"""The road as a simulator touches it: quadrilaterals of lane surface, and a grid over them."""

from __future__ import annotations

import numpy as np
import shapely
from numpy.typing import NDArray

from gigalane.maps.arrays import (
    BIDIRECTIONAL,
    CELL_SIZE,
    DRIVABLE,
    ROUTABLE,
    SEAM,
    WALKABLE,
    MapRecord,
    Segment,
    record_dtype,
)
from gigalane.maps.compile_settings import CompileSettings
from gigalane.maps.road import Crossing, Lane, LaneType

Floats = NDArray[np.float64]
Records = NDArray[np.void]


def surface_flags(lane: Lane) -> int:
    """What may be on a lane."""
    if lane.type == LaneType.SIDEWALK:
        return WALKABLE | BIDIRECTIONAL
    flags = DRIVABLE if lane.is_drivable else 0
    flags |= ROUTABLE if lane.is_routable else 0
    return flags | (BIDIRECTIONAL if lane.type == LaneType.BIDIRECTIONAL else 0)


def crossing_lane(crossing: Crossing) -> Lane:
    """A crossing as a lane for walkers, along the longer axis of its outline."""
    outline = crossing.outline
    rectangle = shapely.minimum_rotated_rectangle(shapely.polygons(outline[:, :2]))
    corners = shapely.get_coordinates(rectangle)[:4]
    if len(corners) < 4:
        corners = outline[:1, :2] + np.array([[0, 0], [1, 0], [1, 1], [0, 1]])
    if np.linalg.norm(corners[1] - corners[0]) < np.linalg.norm(corners[2] - corners[1]):
        corners = np.roll(corners, -1, axis=0)
    along = np.linspace(0.0, 1.0, max(2, int(np.linalg.norm(corners[1] - corners[0]) // 4) + 2))
    side_a = corners[0] + (corners[1] - corners[0]) * along[:, None]
    side_b = corners[3] + (corners[2] - corners[3]) * along[:, None]
    heading = side_a[-1] - side_a[0]
    across = side_b[0] - side_a[0]
    left, right = (
        (side_b, side_a) if heading[0] * across[1] > heading[1] * across[0] else (side_a, side_b)
    )
    z = np.full((len(along), 1), outline[:, 2].mean())
    left, right = np.hstack([left, z]), np.hstack([right, z])
    return Lane(f"crossing:{crossing.id}", LaneType.SIDEWALK, (left + right) / 2, left, right)


def cut_lanes(
    lanes: list[Lane], origin_map: Floats, settings: CompileSettings
) -> tuple[Records, NDArray[np.int32]]:
    """Cuts every lane into quadrilaterals; also returns each lane's (first, count)."""
    parts, ranges, first = [], np.zeros((len(lanes), 2), np.int32), 0
    for index, lane in enumerate(lanes):
        lines = _densified(lane, settings.segment_length)
        rows = _choose_cross_sections(lines, settings)
        part = _segments_of(*(line[rows] - origin_map for line in lines))
        part["lane"], part["flags"] = index, surface_flags(lane)
        parts.append(part)
        ranges[index] = first, len(part)
        first += len(part)
    return np.concatenate(parts), ranges


def _densified(lane: Lane, longest: float) -> tuple[Floats, Floats, Floats]:
    """A lane's three lines with cross-sections added where two lie further apart than that."""
    lines = lane.centerline, lane.left_boundary, lane.right_boundary
    step = np.max([np.linalg.norm(np.diff(line[:, :2], axis=0), axis=1) for line in lines], axis=0)
    if step.max() <= longest:
        return lines
    parts = np.maximum(np.ceil(step / longest), 1.0)
    rows = np.concatenate([[0.0], np.cumsum(parts)])
    wanted = np.interp(np.arange(rows[-1] + 1.0), rows, np.arange(len(rows)))
    known = np.arange(len(rows))
    center, left, right = (
        np.stack([np.interp(wanted, known, line[:, axis]) for axis in range(3)], axis=1)
        for line in lines
    )
    return center, left, right


def _choose_cross_sections(
    lines: tuple[Floats, Floats, Floats], settings: CompileSettings
) -> NDArray[np.int64]:
    """Rows of a lane that keep its shape to `chord_error` and pieces to `segment_length`.

    A chord of length L on a curve of curvature k leaves it by L² k / 8.
    """
    need = np.zeros(len(lines[0]) - 1)
    for line in lines:
        step = np.diff(line[:, :2], axis=0)
        length = np.maximum(np.hypot(step[:, 0], step[:, 1]), 1e-9)
        turn = np.zeros(len(length))
        if len(length) > 1:
            heading = np.unwrap(np.arctan2(step[:, 1], step[:, 0]))
            bend = np.abs(np.diff(heading)) / (0.5 * (length[1:] + length[:-1]))
            turn[:-1], turn[1:] = bend, np.maximum(turn[1:], bend)
        chord = np.sqrt(turn / (8.0 * settings.chord_error))
        need = np.maximum(need, length * np.maximum(chord, 1.0 / settings.segment_length))
    reach = np.concatenate([[0.0], np.cumsum(need)])
    rows = [0]
    while rows[-1] < len(need):
        last = int(np.searchsorted(reach, reach[rows[-1]] + 1.0 + 1e-6, side="right")) - 1
        rows.append(max(last, rows[-1] + 1))
    rows = np.array(rows)
    moves = np.linalg.norm(np.diff(lines[0][rows, :2], axis=0), axis=1) > 1e-3
    return rows[np.concatenate([[True], moves])]


def _segments_of(center: Floats, left: Floats, right: Floats) -> Records:
    """Quadrilaterals between consecutive cross-sections, (N, 3) [m] each, local frame."""
    segments = np.zeros(max(len(center) - 1, 0), dtype=record_dtype(Segment))
    if not len(segments):
        return segments
    step = np.diff(center, axis=0)
    length = np.hypot(step[:, 0], step[:, 1])
    segments["x"], segments["y"], segments["z"] = center[:-1].T
    segments["cos"], segments["sin"] = step[:, 0] / length, step[:, 1] / length
    segments["length"], segments["slope"] = length, step[:, 2] / length
    segments["arc"] = np.concatenate([[0.0], np.cumsum(length)[:-1]])
    half_width = 0.5 * np.linalg.norm((left - right)[:, :2], axis=1)
    segments["half_width_start"], segments["half_width_end"] = half_width[:-1], half_width[1:]
    if len(segments) > 1:
        heading = np.unwrap(np.arctan2(step[:, 1], step[:, 0]))
        bend = np.diff(heading) / (0.5 * (length[1:] + length[:-1]))
        vertex = np.concatenate([bend[:1], bend, bend[-1:]])
        segments["curvature"] = 0.5 * (vertex[:-1] + vertex[1:])
    _bound(segments, "right", right[:-1], right[1:])
    _bound(segments, "front", right[1:], left[1:])
    _bound(segments, "left", left[1:], left[:-1])
    _bound(segments, "back", left[:-1], right[:-1])
    return segments


def _bound(segments: Records, edge: str, start: Floats, end: Floats) -> None:
    """Writes the half-plane on the left of each edge start → end, (N, 2+) [m]."""
    step = (end - start)[:, :2]
    length = np.hypot(step[:, 0], step[:, 1])
    # An edge without length (a lane that tapers to a point) bounds nothing.
    scale = np.where(length > 1e-3, 1.0 / np.maximum(length, 1e-3), 0.0)
    normal = np.stack([step[:, 1], -step[:, 0]], axis=1) * scale[:, None]
    segments[f"{edge}_x"], segments[f"{edge}_y"] = normal.T
    segments[f"{edge}_bound"] = (normal * start[:, :2]).sum(axis=1)


def corners_of(segments: Records) -> Floats:
    """Corners (N, 4, 2) [m] back right, front right, front left, back left.

    Where an edge has no length, its neighbours meet in its stead: two corners are then the same.
    """
    ring = ("right", "front", "left", "back")
    edges = np.stack(
        [[segments[f"{edge}_{part}"] for part in ("x", "y", "bound")] for edge in ring]
    ).astype(np.float64)
    has_length = np.abs(edges[:, :2]).sum(axis=1) > 0.5
    every = np.arange(len(segments))
    middle = np.stack(
        [
            segments["x"] + 0.5 * segments["length"] * segments["cos"],
            segments["y"] + 0.5 * segments["length"] * segments["sin"],
        ],
        axis=-1,
    )
    corners = []
    for k in range(4):
        before = np.where(has_length[k - 1], (k - 1) % 4, (k - 2) % 4)
        after = np.where(has_length[k], k, (k + 1) % 4)
        ax, ay, a = edges[before, :, every].T
        bx, by, b = edges[after, :, every].T
        determinant = ax * by - ay * bx
        meets = np.abs(determinant) > 1e-9
        safe = np.where(meets, determinant, 1.0)
        point = np.stack([(a * by - b * ay) / safe, (ax * b - bx * a) / safe], axis=-1)
        corners.append(np.where(meets[:, None], point, middle))
    return np.stack(corners, axis=1)


def surfaces_of(corners: Floats) -> NDArray[np.object_]:
    """Polygons of quadrilaterals given by their corners (N, 4, 2) [m]."""
    return np.asarray(shapely.make_valid(shapely.polygons(corners)))


def fill_junctions(lanes: list[Lane], segments: Records, settings: CompileSettings) -> Records:
    """Surface between the lanes of each junction that belongs to none of them."""
    junction_of_lane = np.array([lane.junction or "" for lane in lanes], dtype=object)
    drivable = (segments["flags"] & DRIVABLE) > 0
    junction = np.where(drivable, junction_of_lane[segments["lane"]], "")
    corners = corners_of(segments)
    triangles = []
    for name in sorted(set(junction) - {""}):
        member = np.flatnonzero(junction == name)
        pieces = shapely.make_valid(shapely.polygons(corners[member]))
        # Without a grid [m] to snap to, nearly touching edges make the union fail; the empty
        # buffer drops the lines that quadrilaterals without area leave behind.
        paved = shapely.union_all(pieces, grid_size=1e-3).buffer(0.0)
        closed = paved.buffer(0.5, join_style="mitre").buffer(-0.5, join_style="mitre")
        rings = [
            shapely.polygons(ring) for part in shapely.get_parts(closed) for ring in part.interiors
        ]
        holes = [ring for ring in rings if ring.area <= settings.largest_hole]
        road = shapely.union_all([closed, *holes], grid_size=1e-3).buffer(0.0)
        gaps = shapely.difference(road, paved, grid_size=1e-3)
        z = float(segments["z"][member].mean())
        for part in shapely.get_parts(shapely.constrained_delaunay_triangles(gaps)):
            triangles += [
                (shapely.get_coordinates(triangle)[:3], z)
                for triangle in shapely.get_parts(part)
                if triangle.area > 1e-3
            ]
    fill = np.zeros(len(triangles), dtype=record_dtype(Segment))
    for row, (points, z) in zip(fill, triangles, strict=True):
        side = points[1:] - points[:1]
        points = points if np.linalg.det(side) > 0 else points[::-1]
        for k, edge in enumerate(("right", "front", "left")):
            _bound(row.reshape(1), edge, points[k : k + 1], np.roll(points, -1, 0)[k : k + 1])
        row["x"], row["y"] = points.mean(axis=0)
        row["z"], row["cos"], row["lane"], row["flags"] = z, 1.0, -1, DRIVABLE
    return fill


def lay_grid(segments: Records) -> tuple[Records, NDArray[np.int32], NDArray[np.int32]]:
    """Lists, for each cell, the segments that touch it."""
    corners = corners_of(segments)
    surface = surfaces_of(corners)
    low = corners.reshape(-1, 2).min(axis=0) - CELL_SIZE
    high = corners.reshape(-1, 2).max(axis=0) + CELL_SIZE
    columns, rows = (np.ceil((high - low) / CELL_SIZE)).astype(int)
    x = low[0] + np.arange(columns) * CELL_SIZE
    y = low[1] + np.arange(rows) * CELL_SIZE
    margin = float(SEAM) + 0.01
    x0, y0 = (grid.ravel() for grid in np.meshgrid(x, y))
    cells = shapely.box(x0 - margin, y0 - margin, x0 + CELL_SIZE + margin, y0 + CELL_SIZE + margin)
    cell, segment = shapely.STRtree(surface).query(cells, predicate="intersects")
    order = np.lexsort((segment, cell))
    offsets = np.concatenate([[0], np.cumsum(np.bincount(cell, minlength=len(cells)))])
    record = np.zeros((), dtype=record_dtype(MapRecord))
    record["grid_x"], record["grid_y"] = low
    record["columns"], record["rows"] = columns, rows
    return record, offsets.astype(np.int32), segment[order].astype(np.int32)

"""From a `RoadMap` to the flat records a simulator reads.

The stages, in order: cut lanes into short quadrilaterals, lay a grid over them, fill the holes
between the lanes of a junction, find where the road ends, choose what a driver at each place
sees of it, and write down the lane graph, the stop lines and the cycles of the lights.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field, fields

import numpy as np
import shapely
from numpy.typing import NDArray

from gigalane.maps.arrays import (
    BIDIRECTIONAL,
    CELL_SIZE,
    DRIVABLE,
    ROUTABLE,
    RULE_LIGHT,
    RULE_STOP,
    RULE_YIELD,
    SEAM,
    WALKABLE,
    Control,
    LaneControl,
    LaneRecord,
    MapRecord,
    Program,
    RoadPoint,
    Segment,
    record_dtype,
)
from gigalane.maps.road import Crossing, Lane, LaneType, MapError, RoadMap, StopRule
from gigalane.maps.tokens import TokenSettings, choose_tokens

Floats = NDArray[np.float64]
Records = NDArray[np.void]


@dataclass(frozen=True)
class CompileSettings:
    """How finely a map is cut and how far a driver sees it.

    Attributes:
        segment_length: longest quadrilateral [m].
        chord_error: how far a curved lane may leave its quadrilaterals [m].
        default_speed_limit: where the source names none [m/s] (50 km/h, the urban limit of the
            Vienna convention's European signatories).
        control_range: how far ahead a lane knows its stop lines [m].
        level_height: surfaces further apart than this in z are different levels [m].
        largest_hole: unpaved holes between a junction's lanes up to this area are road [m²].
        tokens: what a driver sees of the road.
    """

    segment_length: float = 5.0
    chord_error: float = 0.02
    default_speed_limit: float = 50.0 / 3.6
    control_range: float = 80.0
    level_height: float = 3.0
    largest_hole: float = 100.0
    tokens: TokenSettings = field(default_factory=TokenSettings)


@dataclass(frozen=True, eq=False)
class CompiledMap:
    """One map's records; indices count from its own first row. See `gigalane.maps.arrays`."""

    name: str
    origin_map: Floats  # (3,) [m]: local position + origin = position in the map frame
    lane_ids: tuple[str, ...]
    record: Records
    lanes: Records
    lane_links: NDArray[np.int32]
    lane_controls: Records
    controls: Records
    programs: Records
    stages: NDArray[np.float32]
    segments: Records
    cell_offsets: NDArray[np.int32]
    cell_segments: NDArray[np.int32]
    spawn_segments: NDArray[np.int32]
    spawn_lengths: NDArray[np.float32]
    walk_lanes: NDArray[np.int32]
    road_points: Records
    road_tokens: NDArray[np.int32]

    @classmethod
    def array_names(cls) -> list[str]:
        """Names of the fields that are arrays, in order."""
        return [f.name for f in fields(cls) if f.name not in ("name", "lane_ids")]


def compile_map(road_map: RoadMap, settings: CompileSettings | None = None) -> CompiledMap:
    """Compiles a road map for simulation.

    Args:
        road_map: the network.
        settings: how finely to cut it.

    Returns:
        Its flat records.

    Raises:
        MapError: if no lane can be driven on.
    """
    settings = settings or CompileSettings()
    if not road_map.routable_lanes:
        raise MapError(road_map.name, "lanes", "no drivable lane; nothing can be simulated on it")
    origin_map = np.floor(road_map.extent.mean(axis=0))
    lanes = [lane for lane in road_map.lanes if _surface_flags(lane)]
    lanes += [_crossing_lane(crossing) for crossing in road_map.crossings]
    segments, lane_ranges = _cut_lanes(lanes, origin_map, settings)
    segments = np.concatenate([segments, _fill_junctions(lanes, segments, settings)])
    record, cell_offsets, cell_segments = _lay_grid(segments)
    edges = _road_edges(segments, settings)
    points = np.concatenate([_lane_points(segments), edges])
    anchors = np.flatnonzero(segments["flags"] & ROUTABLE)
    segments["tokens"] = -1
    segments["tokens"][anchors] = np.arange(len(anchors))
    tokens = choose_tokens(segments[anchors], points, settings.tokens)
    lane_records, lane_links = _lane_graph(lanes, segments, lane_ranges, settings)
    controls, programs, stages, control_lanes = _controls(road_map, lanes, origin_map)
    lane_controls = _look_ahead(lane_records, lane_links, segments, controls, control_lanes,
                                settings.control_range)
    spawn = np.flatnonzero((segments["flags"] & ROUTABLE)
                           & (lane_records["junction"][segments["lane"]] < 0) * ROUTABLE)
    spawn = spawn if len(spawn) else anchors
    spawn_lengths = np.cumsum(segments["length"][spawn], dtype=np.float64)
    walk_lanes = np.flatnonzero(lane_records["flags"] & WALKABLE)
    record["spawn_count"], record["spawn_length"] = len(spawn), spawn_lengths[-1]
    record["walk_count"] = len(walk_lanes)
    record["light_count"] = int((controls["light"] >= 0).sum())
    return CompiledMap(
        name=road_map.name,
        origin_map=origin_map,
        lane_ids=tuple(lane.id for lane in lanes),
        record=record,
        lanes=lane_records,
        lane_links=lane_links,
        lane_controls=lane_controls,
        controls=controls,
        programs=programs,
        stages=stages,
        segments=segments,
        cell_offsets=cell_offsets,
        cell_segments=cell_segments,
        spawn_segments=spawn.astype(np.int32),
        spawn_lengths=spawn_lengths.astype(np.float32),
        walk_lanes=walk_lanes.astype(np.int32),
        road_points=points,
        road_tokens=tokens,
    )


def _surface_flags(lane: Lane) -> int:
    """What may be on a lane."""
    if lane.type == LaneType.SIDEWALK:
        return WALKABLE | BIDIRECTIONAL
    flags = DRIVABLE if lane.is_drivable else 0
    flags |= ROUTABLE if lane.is_routable else 0
    return flags | (BIDIRECTIONAL if lane.type == LaneType.BIDIRECTIONAL else 0)


def _crossing_lane(crossing: Crossing) -> Lane:
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
    left, right = (side_b, side_a) if heading[0] * across[1] > heading[1] * across[0] else (
        side_a, side_b)
    z = np.full((len(along), 1), outline[:, 2].mean())
    left, right = np.hstack([left, z]), np.hstack([right, z])
    return Lane(f"crossing:{crossing.id}", LaneType.SIDEWALK, (left + right) / 2, left, right)


# ---------------------------------------------------------------------------------- segments


def _cut_lanes(
    lanes: list[Lane], origin_map: Floats, settings: CompileSettings
) -> tuple[Records, NDArray[np.int32]]:
    """Cuts every lane into quadrilaterals; also returns each lane's (first, count)."""
    parts, ranges, first = [], np.zeros((len(lanes), 2), np.int32), 0
    for index, lane in enumerate(lanes):
        lines = _densified(lane, settings.segment_length)
        rows = _choose_cross_sections(lines, settings)
        part = _segments_of(*(line[rows] - origin_map for line in lines))
        part["lane"], part["flags"] = index, _surface_flags(lane)
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


def _corners(segments: Records) -> Floats:
    """Corners (N, 4, 2) [m] back right, front right, front left, back left.

    Where an edge has no length, its neighbours meet in its stead: two corners are then the same.
    """
    ring = ("right", "front", "left", "back")
    edges = np.stack([[segments[f"{edge}_{part}"] for part in ("x", "y", "bound")]
                      for edge in ring]).astype(np.float64)
    has_length = np.abs(edges[:, :2]).sum(axis=1) > 0.5
    every = np.arange(len(segments))
    middle = np.stack([segments["x"] + 0.5 * segments["length"] * segments["cos"],
                       segments["y"] + 0.5 * segments["length"] * segments["sin"]], axis=-1)
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


def _surfaces(corners: Floats) -> NDArray[np.object_]:
    """Polygons of quadrilaterals given by their corners (N, 4, 2) [m]."""
    return np.asarray(shapely.make_valid(shapely.polygons(corners)))


def _fill_junctions(
    lanes: list[Lane], segments: Records, settings: CompileSettings
) -> Records:
    """Surface between the lanes of each junction that belongs to none of them."""
    junction_of_lane = np.array([lane.junction or "" for lane in lanes], dtype=object)
    drivable = (segments["flags"] & DRIVABLE) > 0
    junction = np.where(drivable, junction_of_lane[segments["lane"]], "")
    corners = _corners(segments)
    triangles = []
    for name in sorted(set(junction) - {""}):
        member = np.flatnonzero(junction == name)
        pieces = shapely.make_valid(shapely.polygons(corners[member]))
        # Without a grid [m] to snap to, nearly touching edges make the union fail; the empty
        # buffer drops the lines that quadrilaterals without area leave behind.
        paved = shapely.union_all(pieces, grid_size=1e-3).buffer(0.0)
        closed = paved.buffer(0.5, join_style="mitre").buffer(-0.5, join_style="mitre")
        rings = [shapely.polygons(ring) for part in shapely.get_parts(closed)
                 for ring in part.interiors]
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


# -------------------------------------------------------------------------------------- grid


def _lay_grid(segments: Records) -> tuple[Records, NDArray[np.int32], NDArray[np.int32]]:
    """Lists, for each cell, the segments that touch it."""
    corners = _corners(segments)
    surface = _surfaces(corners)
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


def _road_edges(segments: Records, settings: CompileSettings) -> Records:
    """Points where the drivable surface ends, each with the road on its left.

    A side of a quadrilateral is a road edge where a point 0.25 m beyond it lies on no other
    drivable surface of the same level.
    """
    drivable = segments[(segments["flags"] & DRIVABLE) > 0]
    corners = _corners(drivable)
    sides = {"right": (0, 1), "left": (2, 3)}
    points, directions, heights = [], [], []
    for edge, (start, end) in sides.items():
        lane = drivable["lane"] >= 0
        middle = 0.5 * (corners[:, start] + corners[:, end])
        normal = np.stack([drivable[f"{edge}_x"], drivable[f"{edge}_y"]], axis=1)
        step = corners[:, end] - corners[:, start]
        length = np.linalg.norm(step, axis=1)
        keep = lane & (length > 0.05)
        points.append((middle + 0.25 * normal)[keep])
        directions.append((step / np.maximum(length, 1e-6)[:, None])[keep])
        heights.append((drivable["z"] + 0.5 * drivable["length"] * drivable["slope"])[keep])
    point, direction = np.concatenate(points), np.concatenate(directions)
    height = np.concatenate(heights)
    tree = shapely.STRtree(_surfaces(corners))
    asked, found = tree.query(shapely.points(point), predicate="intersects")
    level = np.abs(drivable["z"][found] - height[asked]) < settings.level_height
    paved = np.bincount(asked[level], minlength=len(point)) > 0
    edges = np.zeros(int((~paved).sum()), dtype=record_dtype(RoadPoint))
    edges["x"], edges["y"] = (point[~paved] - 0.25 * np.stack(
        [direction[~paved][:, 1], -direction[~paved][:, 0]], axis=1)).T
    edges["cos"], edges["sin"] = direction[~paved].T
    edges["kind"] = -1.0
    return edges


def _lane_points(segments: Records) -> Records:
    """The middle of every routable segment."""
    routable = segments[(segments["flags"] & ROUTABLE) > 0]
    points = np.zeros(len(routable), dtype=record_dtype(RoadPoint))
    points["x"] = routable["x"] + 0.5 * routable["length"] * routable["cos"]
    points["y"] = routable["y"] + 0.5 * routable["length"] * routable["sin"]
    points["cos"], points["sin"] = routable["cos"], routable["sin"]
    points["half_width"] = 0.5 * (routable["half_width_start"] + routable["half_width_end"])
    points["kind"] = 1.0
    return points


# ------------------------------------------------------------------------- graph and controls


def _lane_graph(
    lanes: list[Lane],
    segments: Records,
    lane_ranges: NDArray[np.int32],
    settings: CompileSettings,
) -> tuple[Records, NDArray[np.int32]]:
    """Lane records and their links; routable lanes link to routable lanes only."""
    index = {lane.id: k for k, lane in enumerate(lanes)}
    road_lanes = {lane.id: lane for lane in lanes}
    junctions = {name: k for k, name in
                 enumerate(sorted({lane.junction for lane in lanes if lane.junction}))}
    records = np.zeros(len(lanes), dtype=record_dtype(LaneRecord))
    links: list[int] = []

    def linked(lane: Lane, ids: tuple[str, ...]) -> list[int]:
        return [index[i] for i in ids
                if i in index and lanes[index[i]].is_routable == lane.is_routable
                and lane_ranges[index[i], 1] > 0]

    def beside(lane: Lane, other: str | None) -> int:
        return index[other] if lane.is_routable and other in index and (
            lanes[index[other]].is_routable and lane_ranges[index[other], 1] > 0) else -1

    for k, lane in enumerate(lanes):
        first, count = lane_ranges[k]
        successors, predecessors = linked(lane, lane.successors), linked(lane, lane.predecessors)
        end = segments[first + count - 1]
        records[k] = (
            _surface_flags(lane) if count else 0, first, count,
            float(end["arc"] + end["length"]) if count else 0.0,
            _speed_limit(lane, road_lanes, settings),
            junctions[lane.junction] if lane.junction else -1,
            beside(lane, lane.left_neighbor), beside(lane, lane.right_neighbor),
            len(links), len(successors), len(links) + len(successors), len(predecessors), 0, 0,
        )
        links += successors + predecessors
    return records, np.array(links, np.int32)


def _speed_limit(lane: Lane, lanes: dict[str, Lane], settings: CompileSettings) -> float:
    """A lane's limit [m/s]; where the source is silent, that of the lanes it joins.

    Files often name limits on roads and none inside junctions.
    """
    beside = (lanes.get(i) for i in (*lane.predecessors, *lane.successors))
    known = [lane.speed_limit, *(other.speed_limit for other in beside if other)]
    return next((limit for limit in known if limit is not None), settings.default_speed_limit)


def _controls(
    road_map: RoadMap, lanes: list[Lane], origin_map: Floats
) -> tuple[Records, Records, NDArray[np.float32], list[list[int]]]:
    """Stop lines, light programmes, their stages, and the lanes each line crosses."""
    stages, program_rows, place_of_group = [], [], {}
    for number, program in enumerate(road_map.signal_programs):
        program_rows.append((len(stages), len(program.stages), number))
        for k, stage in enumerate(program.stages):
            stages.append((stage.green, stage.yellow, stage.red))
            for group in stage.green_groups:
                known = place_of_group.setdefault(group, [number, 0])
                known[1] |= 1 << min(k, 30)
    programs = np.array(program_rows, dtype=record_dtype(Program))
    group_of_signal = {s.id: s.group for s in road_map.signals}
    index = {lane.id: k for k, lane in enumerate(lanes)}
    junctions = {name: k for k, name in
                 enumerate(sorted({lane.junction for lane in lanes if lane.junction}))}
    rules = {StopRule.LIGHT: RULE_LIGHT, StopRule.STOP: RULE_STOP, StopRule.YIELD: RULE_YIELD}
    controls = np.zeros(len(road_map.stop_lines), dtype=record_dtype(Control))
    control_lanes: list[list[int]] = []
    lights = 0
    for row, line in zip(controls, road_map.stop_lines, strict=True):
        left, right = line.polyline[0] - origin_map, line.polyline[-1] - origin_map
        across = (right - left)[:2] / max(float(np.linalg.norm((right - left)[:2])), 1e-6)
        row["left_x"], row["left_y"], row["z"] = left
        row["right_x"], row["right_y"] = right[:2]
        row["cos"], row["sin"] = -across[1], across[0]
        row["rule"] = rules[line.rule]
        row["program"], row["light"] = -1, -1
        row["junction"] = junctions.get(line.junction or "", -1)
        if line.rule == StopRule.LIGHT:
            groups = [group_of_signal.get(s) for s in line.signals]
            known = [place_of_group[g] for g in groups if g in place_of_group]
            if known:
                row["program"], row["green_stages"] = known[0]
                row["light"], lights = lights, lights + 1
        control_lanes.append([index[i] for i in line.lanes if i in index])
    return controls, programs, np.array(stages, np.float32).reshape(-1, 3), control_lanes


def _look_ahead(
    records: Records,
    links: NDArray[np.int32],
    segments: Records,
    controls: Records,
    control_lanes: list[list[int]],
    control_range: float,
) -> Records:
    """Lists, for each lane, the controls on it and on what follows, nearest first."""
    own: dict[int, list[tuple[int, float]]] = {}
    for number, lanes in enumerate(control_lanes):
        row = controls[number]
        x, y = 0.5 * (row["left_x"] + row["right_x"]), 0.5 * (row["left_y"] + row["right_y"])
        for lane in lanes:
            first, count = records["first_segment"][lane], records["segment_count"][lane]
            piece = segments[first : first + count]
            along = np.clip((x - piece["x"]) * piece["cos"] + (y - piece["y"]) * piece["sin"],
                            0.0, piece["length"])
            gap = np.hypot(x - piece["x"] - along * piece["cos"],
                           y - piece["y"] - along * piece["sin"])
            best = int(gap.argmin())
            own.setdefault(lane, []).append((number, float(piece["arc"][best] + along[best])))
    found: list[tuple[int, float]] = []
    for lane, record in enumerate(records):
        ahead: dict[int, float] = {}
        frontier, left = [(0.0, lane)], set()
        while frontier and own:
            distance, here = heapq.heappop(frontier)
            if here in left:
                continue
            left.add(here)
            for number, offset in own.get(here, []):
                ahead[number] = min(distance + offset, ahead.get(number, np.inf))
            beyond = distance + float(records["length"][here])
            start, count = records["successor_start"][here], records["successor_count"][here]
            for following in links[start : start + count]:
                # Who is about to leave this lane sees that far beyond its end.
                in_sight = beyond - float(record["length"]) < control_range
                if in_sight and int(following) not in left:
                    heapq.heappush(frontier, (beyond, int(following)))
        nearest = sorted(ahead.items(), key=lambda item: item[1])[:8]
        record["control_start"], record["control_count"] = len(found), len(nearest)
        found += nearest
    return np.array(found, dtype=record_dtype(LaneControl))

"""Compiled maps as the simulator reads them: flat records, one launch away from any kernel.

All maps of a batch lie end to end in one set of arrays; `MapRecord` says where each begins.
Nothing here changes while a simulation runs. Coordinates are metres in the *local* frame of a
map: the map frame moved by `CompiledMap.origin_map`, so that float32 keeps millimetres.
"""

# pyright: reportGeneralTypeIssues=false, reportInvalidTypeForm=false, reportCallIssue=false
# pyright: reportOperatorIssue=false, reportReturnType=false, reportArgumentType=false
# pyright: reportAttributeAccessIssue=false, reportIndexIssue=false

from typing import Any

import numpy as np
import warp as wp

DRIVABLE = wp.constant(1)
"""Surface flag: wheels may be here."""
ROUTABLE = wp.constant(2)
"""Surface flag: a car's route may use it."""
WALKABLE = wp.constant(4)
"""Surface flag: feet may be here."""
BIDIRECTIONAL = wp.constant(8)
"""Surface flag: both directions of travel are right."""

RULE_LIGHT = wp.constant(0)
RULE_STOP = wp.constant(1)
RULE_YIELD = wp.constant(2)


@wp.struct
class Segment:
    """A quadrilateral of lane surface, at most 5 m long, between two of its cross-sections."""

    x: float  # start of its centreline [m], local frame
    y: float
    z: float
    cos: float  # direction of travel
    sin: float
    length: float  # [m]
    slope: float  # rise of z per metre travelled
    arc: float  # lane arc length at its start [m]
    half_width_start: float  # [m]
    half_width_end: float  # [m]
    curvature: float  # of the centreline, positive to the left [1/m]
    # The surface is where normal . (x, y) <= bound for all four edges: back, front, left, right.
    back_x: float
    back_y: float
    back_bound: float
    front_x: float
    front_y: float
    front_bound: float
    left_x: float
    left_y: float
    left_bound: float
    right_x: float
    right_y: float
    right_bound: float
    lane: int  # index of its lane, -1 for filled junction surface
    flags: int  # surface flags
    tokens: int  # row of its road tokens, -1 where it has none


@wp.struct
class LaneRecord:
    """One lane."""

    flags: int  # surface flags
    first_segment: int
    segment_count: int
    length: float  # [m]
    speed_limit: float  # [m/s]
    junction: int  # -1 outside junctions
    left: int  # routable lane beside it that runs the same way, or -1
    right: int
    successor_start: int  # into `lane_links`
    successor_count: int
    predecessor_start: int  # into `lane_links`
    predecessor_count: int
    control_start: int  # into `lane_controls`
    control_count: int


@wp.struct
class Control:
    """A stop line and what commands it."""

    left_x: float  # driver's left end [m], local frame
    left_y: float
    right_x: float  # driver's right end [m]
    right_y: float
    cos: float  # direction of travel across it
    sin: float
    z: float  # [m]
    rule: int  # RULE_LIGHT, RULE_STOP or RULE_YIELD
    program: int  # of its light, -1 for signs
    green_stages: int  # bit k: stage k of the programme shows it green
    light: int  # number of its light within its map, -1 for signs
    junction: int  # -1 where unknown


@wp.struct
class LaneControl:
    """A control that a driver on a lane meets ahead, on this lane or a later one."""

    control: int
    distance: float  # along the lanes, from the start of this lane [m]


@wp.struct
class Program:
    """The stages of a junction's lights."""

    stage_start: int  # into `stages`
    stage_count: int
    number: int  # of this programme within its map


@wp.struct
class RoadPoint:
    """A point of lane or road-edge geometry as it is observed."""

    x: float  # [m], local frame
    y: float
    cos: float  # direction: of travel for lanes; for edges with the road on its left
    sin: float
    half_width: float  # of the lane [m]; 0 for edges
    kind: float  # +1 lane, -1 road edge
    length: float  # of the stretch of road it is the middle of [m]
    spare: float  # 0; fills 32 bytes, so that one load fetches a point


@wp.struct
class MapRecord:
    """Where one map's rows begin."""

    grid_x: float  # corner of cell (0, 0) [m], local frame
    grid_y: float
    columns: int
    rows: int
    cell_start: int  # of its first cell, into `cell_offsets`
    spawn_start: int  # into `spawn_segments` and `spawn_lengths`
    spawn_count: int
    spawn_length: float  # total length of routable segments [m]
    walk_start: int  # into `walk_lanes`
    walk_count: int
    light_count: int


@wp.struct
class MapArrays:
    """Every map of a batch."""

    maps: wp.array(dtype=MapRecord)
    lanes: wp.array(dtype=LaneRecord)
    lane_links: wp.array(dtype=int)  # successors and predecessors, as lane indices
    lane_controls: wp.array(dtype=LaneControl)
    controls: wp.array(dtype=Control)
    programs: wp.array(dtype=Program)
    stages: wp.array(dtype=wp.vec3)  # green, yellow, red [s]
    segments: wp.array(dtype=Segment)
    cell_offsets: wp.array(dtype=int)  # CSR over the cells of all maps
    cell_segments: wp.array(dtype=int)
    spawn_segments: wp.array(dtype=int)  # routable segments
    spawn_lengths: wp.array(dtype=float)  # cumulative length up to and with each [m]
    walk_lanes: wp.array(dtype=int)  # lanes pedestrians walk along
    road_points: wp.array(dtype=RoadPoint)
    road_tokens: wp.array2d(dtype=int)  # (token rows, tokens) indices of road points


def record_dtype(struct: Any) -> np.dtype[np.void]:  # noqa: ANN401
    """The NumPy type of a Warp struct's records."""
    return np.dtype(struct.numpy_dtype())


CELL_SIZE = wp.constant(5.0)
"""Side of a grid cell [m]; GIGAFLOW's re-implementations use the same."""
SEAM = wp.constant(0.05)
"""A surface reaches this far beyond its edges [m] (chosen): lanes that lie side by side are cut
into different quadrilaterals, which leaves gaps of up to twice the chord error between them."""


@wp.func
def cell_of(record: MapRecord, x: float, y: float) -> int:
    """Index of the grid cell that holds a point, or -1 outside the map.

    Args:
        record: the map.
        x: [m], local frame.
        y: [m], local frame.
    """
    column = int(wp.floor((x - record.grid_x) / CELL_SIZE))
    row = int(wp.floor((y - record.grid_y) / CELL_SIZE))
    if column < 0 or row < 0 or column >= record.columns or row >= record.rows:
        return -1
    return record.cell_start + row * record.columns + column


@wp.func
def contains(segment: Segment, x: float, y: float) -> bool:
    """Whether a point lies on a segment's surface; edges count as inside, to 1 mm."""
    return reaches(segment, x, y, 1.0e-3)


@wp.func
def reaches(segment: Segment, x: float, y: float, edge: float) -> bool:
    """Whether a point lies on a segment's surface or up to `edge` [m] beyond its edges."""
    return (
        segment.back_x * x + segment.back_y * y <= segment.back_bound + edge
        and segment.front_x * x + segment.front_y * y <= segment.front_bound + edge
        and segment.left_x * x + segment.left_y * y <= segment.left_bound + edge
        and segment.right_x * x + segment.right_y * y <= segment.right_bound + edge
    )

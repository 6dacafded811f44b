"""From a `RoadMap` to the flat records a simulator reads.

The stages, in order: cut lanes into short quadrilaterals, lay a grid over them, fill the holes
between the lanes of a junction, find where the road ends, choose what a driver at each place
sees of it, and write down the lane graph, the stop lines and the cycles of the lights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from gigalane.maps.arrays import ROUTABLE, WALKABLE
from gigalane.maps.compile_settings import CompileSettings
from gigalane.maps.lane_graph import lane_graph, look_ahead, stop_line_controls
from gigalane.maps.road import MapError, RoadMap
from gigalane.maps.road_points import lane_points, road_edges
from gigalane.maps.surface import crossing_lane, cut_lanes, fill_junctions, lay_grid, surface_flags
from gigalane.maps.tokens import choose_tokens

__all__ = ["CompileSettings", "CompiledMap", "compile_map"]

Floats = NDArray[np.float64]
Records = NDArray[np.void]


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


def compile_maps(
    road_maps: Sequence[RoadMap], settings: CompileSettings | None = None
) -> list[CompiledMap]:
    """Compiles maps in their order; one that is there several times is compiled once.

    Raises:
        MapError: if no lane of a map can be driven on.
    """
    distinct = {id(road_map): road_map for road_map in road_maps}
    compiled = {key: compile_map(road_map, settings) for key, road_map in distinct.items()}
    return [compiled[id(road_map)] for road_map in road_maps]


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
    lanes = [lane for lane in road_map.lanes if surface_flags(lane)]
    lanes += [crossing_lane(crossing) for crossing in road_map.crossings]
    segments, lane_ranges = cut_lanes(lanes, origin_map, settings)
    segments = np.concatenate([segments, fill_junctions(lanes, segments, settings)])
    record, cell_offsets, cell_segments = lay_grid(segments)
    edges = road_edges(segments, settings)
    points = np.concatenate([lane_points(segments), edges])
    anchors = np.flatnonzero(segments["flags"] & ROUTABLE)
    segments["tokens"] = -1
    segments["tokens"][anchors] = np.arange(len(anchors))
    tokens = choose_tokens(segments[anchors], points, settings.tokens)
    lane_records, lane_links = lane_graph(lanes, segments, lane_ranges, settings)
    controls, programs, stages, control_lanes = stop_line_controls(road_map, lanes, origin_map)
    lane_controls = look_ahead(
        lane_records, lane_links, segments, controls, control_lanes, settings.control_range
    )
    spawn = np.flatnonzero(
        (segments["flags"] & ROUTABLE) & (lane_records["junction"][segments["lane"]] < 0) * ROUTABLE
    )
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

"""Lays compiled maps end to end, so that worlds on different maps share one launch."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import warp as wp
from numpy.typing import NDArray

from gigalane.maps.arrays import (
    Control,
    LaneControl,
    LaneRecord,
    MapArrays,
    MapRecord,
    Program,
    RoadPoint,
    Segment,
)
from gigalane.maps.compile import CompiledMap

_RECORDS = {
    "lanes": LaneRecord,
    "lane_controls": LaneControl,
    "controls": Control,
    "programs": Program,
    "segments": Segment,
    "road_points": RoadPoint,
}


def stack_maps(maps: Sequence[CompiledMap], device: str) -> Any:  # noqa: ANN401
    """All maps of a batch as one `MapArrays`.

    Args:
        maps: compiled maps; their order is what `SceneArrays.map_index` counts.
        device: Warp device name.

    Raises:
        ValueError: if the maps were compiled for different numbers of road tokens.
    """
    widths = {m.road_tokens.shape[1] for m in maps}
    if len(widths) != 1:
        raise ValueError(f"maps were compiled with {sorted(widths)} road tokens; use one number")
    base = {
        name: 0
        for name in (
            *_RECORDS,
            "lane_links",
            "stages",
            "cells",
            "cell_segments",
            "spawn_segments",
            "walk_lanes",
            "road_tokens",
        )
    }
    parts: dict[str, list[NDArray[Any]]] = {}
    for one in maps:
        for name, rows in _moved(one, base).items():
            parts.setdefault(name, []).append(rows)
        for name in base:
            cells = int(one.record["columns"] * one.record["rows"])
            base[name] += cells if name == "cells" else len(getattr(one, name))
    parts["cell_offsets"].append(np.array([base["cell_segments"]], np.int32))
    arrays = MapArrays()
    arrays.maps = wp.array(np.stack(parts.pop("maps")), dtype=MapRecord, device=device)
    for name, rows in parts.items():
        joined = np.concatenate(rows)
        if name in _RECORDS:
            value = wp.array(joined, dtype=_RECORDS[name], device=device)
        elif name == "stages":
            value = wp.array(joined, dtype=wp.vec3, device=device)
        elif name == "spawn_lengths":
            value = wp.array(joined, dtype=float, device=device)
        elif name == "road_tokens":
            value = wp.array2d(joined, dtype=int, device=device)
        else:
            value = wp.array(joined, dtype=int, device=device)
        setattr(arrays, name, value)
    return arrays


def _moved(one: CompiledMap, base: dict[str, int]) -> dict[str, NDArray[Any]]:
    """One map's arrays with their indices moved behind the maps before it."""
    record = one.record.copy()
    record["cell_start"] = base["cells"]
    record["spawn_start"], record["walk_start"] = base["spawn_segments"], base["walk_lanes"]
    lanes = one.lanes.copy()
    lanes["first_segment"] += base["segments"]
    lanes["successor_start"] += base["lane_links"]
    lanes["predecessor_start"] += base["lane_links"]
    lanes["control_start"] += base["lane_controls"]
    for side in ("left", "right"):
        lanes[side] = _shift(lanes[side], base["lanes"])
    segments = one.segments.copy()
    segments["lane"] = _shift(segments["lane"], base["lanes"])
    segments["tokens"] = _shift(segments["tokens"], base["road_tokens"])
    lane_controls = one.lane_controls.copy()
    lane_controls["control"] += base["controls"]
    controls = one.controls.copy()
    controls["program"] = _shift(controls["program"], base["programs"])
    programs = one.programs.copy()
    programs["stage_start"] += base["stages"]
    # The last offset of a map is the first of the next: cells share one CSR array.
    offsets = one.cell_offsets + base["cell_segments"]
    return {
        "maps": record,
        "lanes": lanes,
        "lane_links": one.lane_links + base["lanes"],
        "lane_controls": lane_controls,
        "controls": controls,
        "programs": programs,
        "stages": one.stages,
        "segments": segments,
        "cell_offsets": offsets[:-1],
        "cell_segments": one.cell_segments + base["segments"],
        "spawn_segments": one.spawn_segments + base["segments"],
        "spawn_lengths": one.spawn_lengths,
        "walk_lanes": one.walk_lanes + base["lanes"],
        "road_points": one.road_points,
        "road_tokens": _shift(one.road_tokens, base["road_points"]),
    }


def _shift(indices: NDArray[Any], base: int) -> NDArray[Any]:
    """Moves indices by a base; -1 stays the mark of nothing."""
    return np.where(indices >= 0, indices + base, -1).astype(np.int32)

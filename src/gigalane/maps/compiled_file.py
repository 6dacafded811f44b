"""Saves a map with its compiled form beside it, and loads the compiled form back at once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gigalane.maps.arrays import (
    Control,
    LaneControl,
    LaneRecord,
    MapRecord,
    Program,
    RoadPoint,
    Segment,
    record_dtype,
)
from gigalane.maps.compile import CompiledMap, compile_map
from gigalane.maps.road import MapError, RoadMap
from gigalane.maps.store import load_arrays, save_road_map

PREFIX = "compiled/"
"""Every key of the compiled form begins with this."""
VERSION = 2

_RECORDS = {
    "record": MapRecord,
    "lanes": LaneRecord,
    "lane_controls": LaneControl,
    "controls": Control,
    "programs": Program,
    "segments": Segment,
    "road_points": RoadPoint,
}


def save_compiled(road_map: RoadMap, path: str | Path) -> None:
    """Saves a road map together with what the simulator needs of it.

    Args:
        road_map: the network; it is compiled here.
        path: the .npz to write or replace.

    Raises:
        MapError: if no lane can be driven on, or the map cannot be stored.
    """
    compiled = compile_map(road_map)
    facts = {"version": VERSION, "name": compiled.name, "lane_ids": compiled.lane_ids}
    extra = {PREFIX + "facts": np.frombuffer(json.dumps(facts).encode(), np.uint8)}
    for name in CompiledMap.array_names():
        values = np.ascontiguousarray(getattr(compiled, name))
        # Records are stored as bytes: their fields are known to the code that reads them.
        stored = np.frombuffer(values.tobytes(), np.uint8) if name in _RECORDS else values
        extra[PREFIX + name] = stored
    save_road_map(road_map, Path(path), extra=extra)


def load_compiled(path: str | Path) -> CompiledMap:
    """Loads the compiled form of a saved map.

    Raises:
        MapError: if the file is damaged, of another version, or holds no compiled map.
    """
    file = str(path)
    arrays = load_arrays(Path(path))
    if PREFIX + "facts" not in arrays:
        raise MapError(file, "", "holds no compiled map; save it with gigalane map import")
    try:
        facts = json.loads(arrays[PREFIX + "facts"].tobytes())
        if facts["version"] != VERSION:
            raise MapError(file, "version", f"{facts['version']} cannot be read; import it again")
        values = {name: _read(arrays[PREFIX + name], name) for name in CompiledMap.array_names()}
        compiled = CompiledMap(
            name=str(facts["name"]), lane_ids=tuple(map(str, facts["lane_ids"])), **values
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, MapError):
            raise
        raise MapError(file, "compiled form", f"is damaged ({error}); import it again") from None
    _check_indices(compiled, file)
    return compiled


def _read(stored: NDArray[Any], name: str) -> NDArray[Any]:
    """An array in the type that the simulator reads."""
    if name not in _RECORDS:
        return stored.copy()
    dtype = record_dtype(_RECORDS[name])
    records = np.frombuffer(stored.tobytes(), dtype).copy()
    return records.reshape(()) if name == "record" else records


def _check_indices(compiled: CompiledMap, file: str) -> None:
    """Refuses indices that point outside: kernels do not look before they read."""
    segments, lanes = len(compiled.segments), len(compiled.lanes)
    links, record = len(compiled.lane_links), compiled.record
    cells = int(record["columns"]) * int(record["rows"])
    offsets = compiled.cell_offsets
    rows = compiled.lanes

    def span(name: str, total: int) -> bool:
        start, count = rows[f"{name}_start"].astype(np.int64), rows[f"{name}_count"]
        return bool((start >= 0).all() and (count >= 0).all() and (start + count <= total).all())

    def within(indices: NDArray[Any], total: int, least: int = 0) -> bool:
        return bool((indices >= least).all() and (indices < total).all())

    first, count = rows["first_segment"].astype(np.int64), rows["segment_count"]
    program = compiled.programs
    sound = {
        "cell_offsets": len(offsets) == cells + 1
        and cells > 0
        and bool((np.diff(offsets) >= 0).all())
        and offsets[0] == 0
        and offsets[-1] == len(compiled.cell_segments),
        "cell_segments": within(compiled.cell_segments, segments),
        "segments": within(compiled.segments["lane"], lanes, -1)
        and within(compiled.segments["tokens"], len(compiled.road_tokens), -1),
        "lanes": bool(
            (first >= 0).all() and (count >= 0).all() and (first + count <= segments).all()
        )
        and span("successor", links)
        and span("predecessor", links)
        and span("control", len(compiled.lane_controls))
        and within(rows["left"], lanes, -1)
        and within(rows["right"], lanes, -1),
        "lane_links": within(compiled.lane_links, lanes),
        "lane_controls": within(compiled.lane_controls["control"], len(compiled.controls)),
        "controls": within(compiled.controls["program"], len(program), -1),
        "programs": bool(
            (program["stage_start"] >= 0).all()
            and (program["stage_count"] >= 0).all()
            and (
                program["stage_start"].astype(np.int64) + program["stage_count"]
                <= len(compiled.stages)
            ).all()
        ),
        "spawn_segments": within(compiled.spawn_segments, segments)
        and len(compiled.spawn_segments) == int(record["spawn_count"]) > 0
        and len(compiled.spawn_lengths) == len(compiled.spawn_segments),
        "walk_lanes": within(compiled.walk_lanes, lanes)
        and len(compiled.walk_lanes) == int(record["walk_count"]),
        "road_tokens": within(compiled.road_tokens, len(compiled.road_points), -1),
    }
    for name, holds in sound.items():
        if not holds:
            raise MapError(file, f"compiled {name}", "points outside the file; import it again")

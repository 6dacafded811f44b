"""Road maps as plain arrays, and as one `.npz` file.

A map becomes a few arrays: all lane points end to end, offsets that cut them, and one JSON
header (as bytes) with everything that is not geometry. The dictionary is self-contained, so a
recording can carry its map along, and a file can carry further arrays beside the map (the
compiled form of the same map).

What is read is taken for hostile: every field is checked for its type, and whatever is wrong
becomes one `MapError` that names file and place.
"""

from __future__ import annotations

import itertools
import json
import math
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from gigalane.maps.npz import Arrays, read_npz, write_npz
from gigalane.maps.road import (
    Boundary,
    BoundaryType,
    Crossing,
    Lane,
    LaneType,
    MapError,
    MarkType,
    RoadMap,
    RoadMark,
    Signal,
    SignalProgram,
    SignalStage,
    SignalType,
    StopLine,
    StopRule,
)

PREFIX = "road_map_"
"""Every key of a map's arrays begins with this; other arrays in the same file must not."""

FORMAT = "gigalane road map"
VERSION = 1
MAXIMUM_HEADER_BYTES = 2**26
"""Largest JSON header [bytes]; a town of 3,000 lanes has about 1 MB."""

_Item = TypeVar("_Item")


# --------------------------------------------------------------------- map to arrays
def road_map_to_arrays(road_map: RoadMap) -> Arrays:
    """Writes a map as arrays.

    Args:
        road_map: any map whose numbers are finite.

    Returns:
        `road_map_header` (bytes, uint8): JSON; `road_map_lane_points` (3, P, 3) [m]: centrelines,
        left and right boundaries of all lanes end to end; `road_map_lane_offsets` (lanes + 1,):
        where each begins in P; the same for `boundary` and `crossing` with points (P, 3).

    Raises:
        MapError: a number is not finite, or a lane's three polylines differ in length.
    """
    lanes = road_map.lanes
    for lane in lanes:
        if not len(lane.centerline) == len(lane.left_boundary) == len(lane.right_boundary):
            raise MapError(road_map.name, f"lane {lane.id}", "its three polylines differ in length")
    center, offsets = _joined([lane.centerline for lane in lanes])
    left, _ = _joined([lane.left_boundary for lane in lanes])
    right, _ = _joined([lane.right_boundary for lane in lanes])
    boundary_points, boundary_offsets = _joined([line.polyline for line in road_map.boundaries])
    crossing_points, crossing_offsets = _joined([c.outline for c in road_map.crossings])
    arrays = {
        "lane_points": np.stack([center, left, right]),
        "lane_offsets": offsets,
        "boundary_points": boundary_points,
        "boundary_offsets": boundary_offsets,
        "crossing_points": crossing_points,
        "crossing_offsets": crossing_offsets,
    }
    for key, array in arrays.items():
        if not np.isfinite(array).all():
            raise MapError(road_map.name, key, "holds a number that is not finite")
    try:
        text = json.dumps(_header(road_map), allow_nan=False, separators=(",", ":"))
        header = text.encode()
    except ValueError as error:
        raise MapError(road_map.name, "header", str(error)) from error
    arrays["header"] = np.frombuffer(header, dtype=np.uint8).copy()
    return {PREFIX + key: array for key, array in arrays.items()}


def _joined(polylines: list[NDArray[np.float64]]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Lays polylines end to end: points (P, 3) float64 and offsets (count + 1,) int64."""
    offsets = np.zeros(len(polylines) + 1, dtype=np.int64)
    np.cumsum([len(line) for line in polylines], out=offsets[1:])
    points = np.concatenate(polylines) if polylines else np.zeros((0, 3))
    return np.ascontiguousarray(points, dtype=np.float64), offsets


def _header(road_map: RoadMap) -> dict[str, Any]:
    """Everything that is not a long polyline; one list a field, in the order of the lanes."""
    lanes = road_map.lanes
    return {
        "format": FORMAT,
        "version": VERSION,
        "name": road_map.name,
        "left_hand_traffic": road_map.left_hand_traffic,
        "geo_reference": road_map.geo_reference,
        "warnings": list(road_map.warnings),
        "lanes": {
            "id": [lane.id for lane in lanes],
            "type": [lane.type.value for lane in lanes],
            "successors": [lane.successors for lane in lanes],
            "predecessors": [lane.predecessors for lane in lanes],
            "left_neighbor": [lane.left_neighbor for lane in lanes],
            "right_neighbor": [lane.right_neighbor for lane in lanes],
            "speed_limit": [_number_or_none(lane.speed_limit) for lane in lanes],
            "is_junction": [bool(lane.is_junction) for lane in lanes],
            "junction": [lane.junction for lane in lanes],
            "left_marks": [[_mark_row(mark) for mark in lane.left_marks] for lane in lanes],
            "right_marks": [[_mark_row(mark) for mark in lane.right_marks] for lane in lanes],
        },
        "boundaries": [[line.id, line.type.value] for line in road_map.boundaries],
        "crossings": [crossing.id for crossing in road_map.crossings],
        "signals": [
            {
                "id": signal.id,
                "type": signal.type.value,
                "position": [float(value) for value in signal.position],
                "heading": float(signal.heading),
                "lanes": signal.lanes,
                "group": signal.group,
                "value": _number_or_none(signal.value),
            }
            for signal in road_map.signals
        ],
        "signal_programs": [
            {
                "id": program.id,
                "stages": [
                    [stage.green_groups, float(stage.green), float(stage.yellow), float(stage.red)]
                    for stage in program.stages
                ],
            }
            for program in road_map.signal_programs
        ],
        "stop_lines": [
            {
                "id": line.id,
                "rule": line.rule.value,
                "polyline": np.asarray(line.polyline, dtype=np.float64).tolist(),
                "lanes": line.lanes,
                "signals": line.signals,
                "junction": line.junction,
            }
            for line in road_map.stop_lines
        ],
    }


def _number_or_none(value: float | None) -> float | None:
    return None if value is None else float(value)


def _mark_row(mark: RoadMark) -> list[Any]:
    return [float(mark.start), float(mark.end), mark.type.value, mark.color, float(mark.width)]


# --------------------------------------------------------------------- arrays to map
def road_map_from_arrays(arrays: Mapping[str, NDArray[Any]], file: str = "road map") -> RoadMap:
    """Reads a map back from its arrays.

    Args:
        arrays: what `road_map_to_arrays` returned; other keys are ignored. Polylines of the map
            are slices of these arrays, not copies.
        file: how error messages name the source.

    Returns:
        The map, equal in every number to the one that was written.

    Raises:
        MapError: an array is missing, of the wrong type or shape, or contradicts another.
    """
    try:
        header = _parsed_header(_array(arrays, "header", np.uint8, (-1,), file), file)
        return _built(header, arrays, file)
    except MapError:
        raise
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError) as error:
        reason = f"is damaged ({type(error).__name__}: {error}); import the map again"
        raise MapError(file, "header", reason) from error


def _array(
    arrays: Mapping[str, NDArray[Any]], key: str, dtype: type, shape: tuple[int, ...], file: str
) -> NDArray[Any]:
    """One array of the map, with its type and shape checked (-1 stands for any length)."""
    array = arrays.get(PREFIX + key)
    if array is None:
        raise MapError(file, PREFIX + key, "is missing; this file holds no road map")
    fits = array.ndim == len(shape) and all(
        want in (-1, have) for want, have in zip(shape, array.shape, strict=True)
    )
    if array.dtype != dtype or not fits:
        raise MapError(file, PREFIX + key, f"is {array.dtype} {array.shape}: not a map's array")
    return array


def _parsed_header(encoded: NDArray[np.uint8], file: str) -> dict[str, Any]:
    """The JSON header as a dictionary, once format and version are known to be ours."""
    if encoded.size > MAXIMUM_HEADER_BYTES:
        raise MapError(file, "header", f"is larger than {MAXIMUM_HEADER_BYTES} bytes")
    try:
        header = json.loads(encoded.tobytes().decode(), parse_constant=_refused_constant)
    except (ValueError, RecursionError) as error:
        raise MapError(file, "header", f"is not valid JSON ({error}); import again") from error
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise MapError(file, "header", f"does not say format {FORMAT!r}; this is no road map")
    if header.get("version") != VERSION:
        found = header.get("version")
        reason = f"has version {found!r}, this reader knows {VERSION}; import the map again"
        raise MapError(file, "header", reason)
    return header


def _refused_constant(name: str) -> float:
    raise ValueError(f"{name} is not a number")


def _built(header: dict[str, Any], arrays: Mapping[str, NDArray[Any]], file: str) -> RoadMap:
    """Checks and assembles the parts."""
    lanes = header["lanes"]
    ids = _texts(lanes["id"])
    "".join(ids).encode()  # a lone surrogate would only fail later, when it is printed
    if len(set(ids)) != len(ids):
        raise MapError(file, "lanes", "two lanes have the same id")
    points = _array(arrays, "lane_points", np.float64, (3, -1, 3), file)
    cuts = _cuts(arrays, "lane", points, len(ids), file)
    columns = zip(
        ids,
        [LaneType(value) for value in lanes["type"]],
        [points[0, start:end] for start, end in cuts],
        [points[1, start:end] for start, end in cuts],
        [points[2, start:end] for start, end in cuts],
        [_texts(row) for row in lanes["successors"]],
        [_texts(row) for row in lanes["predecessors"]],
        _optional(lanes["left_neighbor"], _text),
        _optional(lanes["right_neighbor"], _text),
        _optional(lanes["speed_limit"], _number),
        [_flag(value) for value in lanes["is_junction"]],
        _optional(lanes["junction"], _text),
        [tuple(_mark(row) for row in rows) for rows in lanes["left_marks"]],
        [tuple(_mark(row) for row in rows) for rows in lanes["right_marks"]],
        strict=True,
    )
    boundary_points = _array(arrays, "boundary_points", np.float64, (-1, 3), file)
    boundary_cuts = _cuts(arrays, "boundary", boundary_points, len(header["boundaries"]), file)
    crossing_points = _array(arrays, "crossing_points", np.float64, (-1, 3), file)
    crossing_ids = _texts(header["crossings"])
    crossing_cuts = _cuts(arrays, "crossing", crossing_points, len(crossing_ids), file)
    geo_reference = header["geo_reference"]
    return RoadMap(
        name=_text(header["name"]),
        lanes=tuple(Lane(*row) for row in columns),
        boundaries=tuple(
            Boundary(_text(id_), BoundaryType(type_), boundary_points[start:end])
            for (id_, type_), (start, end) in zip(header["boundaries"], boundary_cuts, strict=True)
        ),
        signals=tuple(_signal(row) for row in header["signals"]),
        signal_programs=tuple(_program(row) for row in header["signal_programs"]),
        stop_lines=tuple(_stop_line(row) for row in header["stop_lines"]),
        crossings=tuple(
            Crossing(id_, crossing_points[start:end])
            for id_, (start, end) in zip(crossing_ids, crossing_cuts, strict=True)
        ),
        left_hand_traffic=_flag(header["left_hand_traffic"]),
        geo_reference=None if geo_reference is None else _text(geo_reference),
        warnings=_texts(header["warnings"]),
    )


def _cuts(
    arrays: Mapping[str, NDArray[Any]], key: str, points: NDArray[Any], count: int, file: str
) -> list[tuple[int, int]]:
    """Start and end of each polyline in the joined points, known to lie inside them."""
    offsets = _array(arrays, f"{key}_offsets", np.int64, (count + 1,), file)
    total = points.shape[-2]
    if offsets[0] != 0 or offsets[-1] != total or (count and np.diff(offsets).min() < 2):
        raise MapError(file, f"{PREFIX}{key}_offsets", "do not cut the points into polylines")
    if not np.isfinite(points).all():
        raise MapError(file, f"{PREFIX}{key}_points", "hold a number that is not finite")
    bounds = offsets.tolist()
    return list(itertools.pairwise(bounds))


def _signal(row: dict[str, Any]) -> Signal:
    return Signal(
        id=_text(row["id"]),
        type=SignalType(row["type"]),
        position=_points([row["position"]])[0],
        heading=_number(row["heading"]),
        lanes=_texts(row["lanes"]),
        group=None if row["group"] is None else _text(row["group"]),
        value=None if row["value"] is None else _number(row["value"]),
    )


def _program(row: dict[str, Any]) -> SignalProgram:
    stages = tuple(
        SignalStage(_texts(groups), _number(green), _number(yellow), _number(red))
        for groups, green, yellow, red in row["stages"]
    )
    return SignalProgram(_text(row["id"]), stages)


def _stop_line(row: dict[str, Any]) -> StopLine:
    polyline = _points(row["polyline"])
    if polyline.shape != (2, 3):
        raise ValueError(f"stop line {row['id']} has {len(polyline)} points, not two")
    return StopLine(
        id=_text(row["id"]),
        rule=StopRule(row["rule"]),
        polyline=polyline,
        lanes=_texts(row["lanes"]),
        signals=_texts(row["signals"]),
        junction=None if row["junction"] is None else _text(row["junction"]),
    )


def _mark(row: list[Any]) -> RoadMark:
    start, end, type_, color, width = row
    return RoadMark(_number(start), _number(end), MarkType(type_), _text(color), _number(width))


def _points(rows: list[list[Any]]) -> NDArray[np.float64]:
    points = np.array([[_number(value) for value in row] for row in rows], dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != 3:
        raise ValueError("a point has not three coordinates")
    return points


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not text")
    return value


def _texts(values: object) -> tuple[str, ...]:
    if not isinstance(values, list) or not all(type(value) is str for value in values):
        raise TypeError("a list of names holds something else")
    return tuple(values)


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise TypeError(f"{value!r} is not a finite number")
    return float(value)


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{value!r} is neither true nor false")
    return value


def _optional(values: Iterable[Any], read: Callable[[Any], _Item]) -> list[_Item | None]:
    return [None if value is None else read(value) for value in values]


# --------------------------------------------------------------------- files
def save_road_map(
    road_map: RoadMap, path: str | os.PathLike[str], extra: Mapping[str, NDArray[Any]] | None = None
) -> None:
    """Writes a map, and arrays that ride along, as one `.npz` file.

    The file appears complete or not at all, and equal maps give equal bytes.

    Args:
        road_map: the map.
        path: the file to write.
        extra: further arrays of booleans, integers or floats, under keys of the caller's choice
            that do not begin with `road_map_`.

    Raises:
        MapError: the map holds numbers that are not finite, an extra key or array cannot be
            stored, or the file cannot be written.
    """
    arrays = road_map_to_arrays(road_map)
    for key in extra or {}:
        if key.startswith(PREFIX):
            raise MapError(str(path), key, f"keys that begin with {PREFIX!r} belong to the map")
    write_npz(path, {**arrays, **(extra or {})})


def load_road_map(path: str | os.PathLike[str]) -> RoadMap:
    """Reads the map from a file that `save_road_map` wrote; arrays beside it are not read.

    Raises:
        MapError: the file is missing, is no such file, or is damaged.
    """
    return road_map_from_arrays(read_npz(path, lambda key: key.startswith(PREFIX)), str(path))


def load_arrays(path: str | os.PathLike[str]) -> Arrays:
    """Reads every array of a stored map's file: the map's own and those that ride along.

    Raises:
        MapError: the file is missing, is no `.npz` file, is damaged, or is larger than 2 GiB.
    """
    return read_npz(path)

"""Names of maps as people write them: files, and `town:SEED` for procedural towns."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from gigalane.maps.arrays import (
    Control,
    LaneControl,
    LaneRecord,
    MapRecord,
    Program,
    RoadPoint,
    Segment,
)
from gigalane.maps.compile import CompiledMap, compile_map
from gigalane.maps.importers.formats import load_map
from gigalane.maps.road import MapError, RoadMap
from gigalane.maps.store import load_arrays, save_road_map

_TOWN = re.compile(r"town:(\d+)(?:-(\d+))?$")
_PREFIX = "compiled/"
_RECORDS = {
    "record": MapRecord,
    "lanes": LaneRecord,
    "lane_controls": LaneControl,
    "controls": Control,
    "programs": Program,
    "segments": Segment,
    "road_points": RoadPoint,
}


def open_map(source: str) -> RoadMap:
    """Opens one map.

    Args:
        source: a road file, or `town:SEED`.

    Raises:
        MapError: if it cannot be used.
    """
    maps = open_maps([source])
    if len(maps) != 1:
        raise MapError(source, "", f"names {len(maps)} maps where one is needed")
    return maps[0]


def open_maps(sources: Sequence[str]) -> list[RoadMap]:
    """Opens maps; `town:A-B` stands for the towns of all seeds from A to B.

    Raises:
        MapError: if one of them cannot be used.
    """
    maps: list[RoadMap] = []
    for source in sources:
        town = _TOWN.match(source)
        if town:
            from gigalane.maps.generate.town import generate_town

            first, last = int(town[1]), int(town[2] or town[1])
            if last < first or last - first >= 1000:
                raise MapError(source, "", "give a range of 1 to 1000 seeds, as in town:1-8")
            maps += [generate_town(seed) for seed in range(first, last + 1)]
        elif source.startswith("town:"):
            raise MapError(source, "", "towns are written town:SEED or town:FIRST-LAST")
        else:
            maps.append(load_map(source))
    return maps


def save_compiled(road_map: RoadMap, path: str | Path) -> None:
    """Saves a road map with what the simulator needs of it, compiled."""
    compiled = compile_map(road_map)
    extra = {}
    for name in CompiledMap.array_names():
        values = np.ascontiguousarray(getattr(compiled, name))
        # Records are stored as plain bytes: their fields are known to the code that reads them.
        is_record = name in _RECORDS
        extra[_PREFIX + name] = (
            np.frombuffer(values.tobytes(), np.uint8) if is_record else values
        )
    extra[_PREFIX + "lane_ids"] = np.array(compiled.lane_ids)
    save_road_map(road_map, Path(path), extra=extra)


def load_compiled(path: str | Path) -> CompiledMap:
    """Loads the compiled half of a saved map.

    Raises:
        MapError: if the file is damaged or holds no compiled map.
    """
    arrays = load_arrays(Path(path))
    if _PREFIX + "record" not in arrays:
        raise MapError(str(path), "", "holds no compiled map; save it with gigalane map import")
    values = {}
    for name in CompiledMap.array_names():
        stored = arrays[_PREFIX + name]
        if name in _RECORDS:
            dtype = np.dtype(_RECORDS[name].numpy_dtype())
            if stored.nbytes % dtype.itemsize:
                raise MapError(str(path), name, "has a damaged length; import the map again")
            stored = np.frombuffer(stored.tobytes(), dtype)
            stored = stored.reshape(()) if name == "record" else stored
        values[name] = stored.copy()
    ids = tuple(str(i) for i in arrays[_PREFIX + "lane_ids"])
    return CompiledMap(name=Path(path).stem, lane_ids=ids, **values)

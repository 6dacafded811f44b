"""Names of maps as people write them: files, and `town:SEED` for procedural towns."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from gigalane.core.settings import SettingsError
from gigalane.maps.importers.formats import load_map
from gigalane.maps.road import MapError, RoadMap

DATA_VARIABLE = "GIGALANE_DATA"
"""Environment variable that names the folder of sample maps."""

_TOWN = re.compile(r"town:(\d+)(?:-(\d+))?$")


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

    A source that is named several times, so that more worlds have it, is opened once.

    Raises:
        MapError: if one of them cannot be used.
    """
    opened = {source: _open(source) for source in dict.fromkeys(sources)}
    return [road_map for source in sources for road_map in opened[source]]


def _open(source: str) -> list[RoadMap]:
    """The maps of one source."""
    town = _TOWN.match(source)
    if town:
        from gigalane.maps.generate.town import generate_town

        first, last = int(town[1]), int(town[2] or town[1])
        if last < first or last - first >= 1000:
            raise MapError(source, "", "give a range of 1 to 1000 seeds, as in town:1-8")
        return [generate_town(seed) for seed in range(first, last + 1)]
    if source.startswith("town:"):
        raise MapError(source, "", "towns are written town:SEED or town:FIRST-LAST")
    return [load_map(source)]


def located(sources: Sequence[str], who: str, cure: str = "set it") -> list[str]:
    """Sources as `open_maps` takes them, where some begin with `$` for the folder of sample maps.

    Args:
        sources: names of maps.
        who: needs them, for the error.
        cure: what to do where there is no such folder.

    Raises:
        SettingsError: if they lie in a folder that is not at hand.
    """
    folder = os.environ.get(DATA_VARIABLE, "")
    needs_folder = any(source.startswith("$") for source in sources)
    if needs_folder and not (folder and Path(folder).is_dir()):
        raise SettingsError(
            f"{who}: its maps lie in the folder that {DATA_VARIABLE} names, which is "
            f"{'not set' if not folder else 'no folder: ' + folder}; {cure}"
        )
    return [folder + name[1:] if name.startswith("$") else name for name in sources]

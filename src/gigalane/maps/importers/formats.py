"""Opens a road file of any known format: the format is what the content says it is.

| content | suffix | reader |
|---|---|---|
| XML with root `OpenDRIVE`, plain or gzip | `.xodr`, `.xodr.gz` (`.xml`, `.xml.gz`) | `opendrive` |
| zip archive of arrays | `.npz` | `gigalane.maps.store` |

A file is opened only when content and suffix agree, so that a wrong name is told apart from a
damaged file.
"""

from __future__ import annotations

import os
from pathlib import Path

from gigalane.maps.importers.opendrive.importer import read_opendrive
from gigalane.maps.road import MapError, RoadMap

GZIP_MAGIC = b"\x1f\x8b"
"""First bytes of a gzip member (RFC 1952, 2.3.1)."""
ZIP_MAGIC = b"PK\x03\x04"
"""First bytes of a zip archive, which an `.npz` is."""

_KNOWN_SUFFIXES = ".xodr, .xodr.gz, .npz"
_OPENDRIVE_SUFFIXES = (".xodr", ".xodr.gz", ".xml", ".xml.gz", ".gz")


def load_map(path: str | os.PathLike[str]) -> RoadMap:
    """Reads a road network, whatever format it is in.

    Args:
        path: an OpenDRIVE file (`.xodr`, `.xodr.gz`) or a saved map (`.npz`).

    Returns:
        The road network in the map frame.

    Raises:
        MapError: the file is missing, of another kind than its suffix says, damaged, or holds
            no lane that a car can drive on.
    """
    name = os.fspath(path)
    file = Path(path)
    try:
        if file.is_dir():
            raise MapError(name, "", f"is a folder; give a road file ({_KNOWN_SUFFIXES})")
        with file.open("rb") as stream:
            head = stream.read(4)
    except FileNotFoundError:
        raise MapError(name, "", "there is no such file; check the path") from None
    except (OSError, ValueError) as error:
        if isinstance(error, MapError):
            raise
        raise MapError(name, "", f"cannot be read ({error})") from error
    if not head:
        raise MapError(name, "", "is empty; write or copy it again")
    suffix = file.name.lower()
    if suffix.endswith(".npz"):
        if head != ZIP_MAGIC:
            raise MapError(name, "", "is named .npz but is not a zip archive of arrays")
        from gigalane.maps.store import load_road_map

        return load_road_map(file)
    if suffix.endswith(_OPENDRIVE_SUFFIXES):
        if head == ZIP_MAGIC:
            raise MapError(name, "", "is a zip archive; unpack it, or name a saved map .npz")
        if suffix.endswith(".gz") and not head.startswith(GZIP_MAGIC):
            raise MapError(name, "", "is named .gz but is not gzip; drop .gz or pack it again")
        return read_opendrive(file)
    raise MapError(name, "", f"has a suffix of no known format; known are {_KNOWN_SUFFIXES}")

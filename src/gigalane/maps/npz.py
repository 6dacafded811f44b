"""Arrays in one `.npz` file, written whole or not at all and read with bounds.

NumPy's own reader trusts the sizes a file claims. Here they are bounded before memory is asked
for, nothing is ever pickled, and whatever is wrong becomes one `MapError`.
"""

from __future__ import annotations

import math
import os
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gigalane.maps.road import MapError

Arrays = dict[str, NDArray[Any]]

MAXIMUM_BYTES = 2**31
"""Largest total size of a file's arrays [bytes]."""
MAXIMUM_ARRAYS = 4096
KINDS = "biuf"
"""NumPy kinds that are stored: booleans, integers, floats."""


def write_npz(path: str | os.PathLike[str], arrays: Mapping[str, NDArray[Any]]) -> None:
    """Writes arrays as one uncompressed `.npz` file; equal arrays give equal bytes.

    It is written beside its place under another name and then moved.

    Raises:
        MapError: an array is not of booleans, integers or floats, or the file cannot be written.
    """
    for key, array in arrays.items():
        if np.asarray(array).dtype.kind not in KINDS:
            raise MapError(str(path), key, "only booleans, integers and floats can be stored")
    target = Path(path)
    temporary = ""
    try:
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        with os.fdopen(handle, "wb") as stream:
            with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
                for key, array in arrays.items():
                    # A ZipInfo of one's own has a fixed date, which keeps the bytes the same.
                    entry = zipfile.ZipInfo(f"{key}.npy")
                    with archive.open(entry, "w", force_zip64=True) as member:
                        # ascontiguousarray alone would make a number an array of one.
                        flat = np.ascontiguousarray(array).reshape(np.shape(array))
                        np.lib.format.write_array(member, flat, allow_pickle=False)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, target)
    except OSError as error:
        raise MapError(str(path), "", f"cannot be written: {error.strerror or error}") from error
    finally:
        if temporary:
            Path(temporary).unlink(missing_ok=True)


def read_npz(
    path: str | os.PathLike[str], wanted: Callable[[str], bool] = lambda key: True
) -> Arrays:
    """Reads the wanted arrays of an `.npz` file.

    Args:
        path: the file.
        wanted: says for each key whether to read it.

    Raises:
        MapError: the file is missing, is no `.npz` file, is damaged, or is larger than 2 GiB.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            _check_entries(entries)
            keys = [entry.filename.removesuffix(".npy") for entry in entries]
            return {
                key: _read_entry(archive, entry)
                for key, entry in zip(keys, entries, strict=True)
                if wanted(key)
            }
    except FileNotFoundError as error:
        raise MapError(str(path), "", "there is no such file; check the path") from error
    except IsADirectoryError as error:
        raise MapError(str(path), "", "is a folder, not a file") from error
    except zipfile.BadZipFile as error:
        reason = f"is not a stored map or is damaged ({error}); import the map again"
        raise MapError(str(path), "", reason) from error
    except (OSError, ValueError, EOFError, RuntimeError, MemoryError, zlib.error) as error:
        # RuntimeError also covers encrypted entries and NotImplementedError (odd compression).
        raise MapError(str(path), "", f"cannot be read: {error}; import the map again") from error


def _check_entries(entries: list[zipfile.ZipInfo]) -> None:
    names = [entry.filename for entry in entries]
    if len(names) > MAXIMUM_ARRAYS or len(set(names)) != len(names):
        raise ValueError("too many arrays, or two of the same name")
    if sum(entry.file_size for entry in entries) > MAXIMUM_BYTES:
        raise ValueError(f"its arrays take more than {MAXIMUM_BYTES} bytes")
    for entry in entries:
        if not entry.filename.endswith(".npy"):
            raise ValueError(f"{entry.filename!r} in it is not an array")
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ValueError(f"{entry.filename!r} in it is compressed in an unknown way")


def _read_entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> NDArray[Any]:
    """One array; its own header must agree with the size of the entry before memory is asked."""
    with archive.open(entry) as member:
        version = np.lib.format.read_magic(member)
        if version == (1, 0):
            shape, _, dtype = np.lib.format.read_array_header_1_0(member)
        elif version == (2, 0):
            shape, _, dtype = np.lib.format.read_array_header_2_0(member)
        else:
            raise ValueError(f"{entry.filename!r} in it has array format {version}")
        if dtype.kind not in KINDS:
            raise ValueError(f"{entry.filename!r} in it holds {dtype}, not numbers")
        if math.prod(shape) * dtype.itemsize != entry.file_size - member.tell():
            raise ValueError(f"{entry.filename!r} in it is cut short")
    with archive.open(entry) as member:
        return np.lib.format.read_array(member, allow_pickle=False)

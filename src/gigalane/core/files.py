"""Files that appear whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Lets a file be written beside its place and moves it there when all went well.

    A reader sees the old file or the new one, never half of it; after an error the old one is
    still there and nothing else is.

    Args:
        path: the file to make or replace; its folder must exist.

    Yields:
        Where to write meanwhile, in the same folder and with the same suffix.

    Raises:
        OSError: the file cannot be written; names the file that was asked for.
    """
    path = Path(path)
    beside = path.with_name(f".{path.stem}.{os.getpid()}.partial{path.suffix}")
    try:
        yield beside
        os.replace(beside, path)
    except OSError as error:
        if error.errno is not None and error.filename in (None, str(beside), beside):
            raise OSError(error.errno, error.strerror, str(path)) from None
        raise
    finally:
        beside.unlink(missing_ok=True)

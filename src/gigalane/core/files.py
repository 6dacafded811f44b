"""Files that appear whole or not at all."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
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
        with suppress(OSError):
            beside.unlink(missing_ok=True)


@contextmanager
def filling(
    folder: str | os.PathLike[str], worth_keeping: Callable[[], bool] = lambda: False
) -> Iterator[Path]:
    """Makes a folder to write into, and takes it away again if that fails.

    A folder that was there before stays. An interrupt counts as failing.

    Args:
        folder: where to write.
        worth_keeping: asked after an error; True keeps what has been written so far.

    Yields:
        The folder.

    Raises:
        OSError: it cannot be made or written to; said before anything is done.
    """
    folder = Path(folder)
    is_new = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OSError(errno.EACCES, os.strerror(errno.EACCES), str(folder))
    try:
        yield folder
    except (Exception, KeyboardInterrupt):
        if is_new and not worth_keeping():
            shutil.rmtree(folder, ignore_errors=True)
        raise

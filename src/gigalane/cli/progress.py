"""A progress bar with the time left."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn


@contextlib.contextmanager
def bar(title: str, *, quiet: bool = False) -> Iterator[Callable[[float], None]]:
    """Shows a bar on stderr while something is done.

    Args:
        title: what is done.
        quiet: show nothing; also where stderr is no terminal.

    Yields:
        A function to be told the share done, 0 to 1.
    """
    console = Console(stderr=True)
    if quiet or not sys.stderr.isatty():
        yield lambda share: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(title, total=1.0)
        yield lambda share: progress.update(task, completed=share)

"""Bad input ends in one line on stderr and exit code 2, never in a traceback."""

from __future__ import annotations

import contextlib
import io
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import tyro

T = TypeVar("T")


class InputError(ValueError):
    """Arguments that cannot be used; the message says which, why and what would do."""


@dataclass
class Outcome:
    """How a command ended."""

    code: int = 0


@contextlib.contextmanager
def one_line_errors() -> Iterator[Outcome]:
    """Turns the errors that bad input raises into one line and an exit code.

    Every error class of this project that means bad input is a `ValueError`; missing and
    unwritable files raise `OSError`. Anything else is a defect and keeps its traceback.
    """
    outcome = Outcome()
    try:
        yield outcome
    except ValueError as error:
        outcome.code = _complain(str(error))
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        outcome.code = _complain(f"{place}{error.strerror or error}")
    except MemoryError:
        outcome.code = _complain("not enough memory; use fewer --worlds or --agents")
    except KeyboardInterrupt:
        print("gigalane: stopped", file=sys.stderr)
        outcome.code = 1


def _complain(message: str) -> int:
    """Prints one line; returns the exit code of bad input."""
    print(f"gigalane: {' '.join(message.split())}", file=sys.stderr)
    return 2


def parse(command: Callable[..., T] | type[T], words: Sequence[str], program: str) -> T:
    """Reads a command line into a settings class.

    Args:
        command: a dataclass.
        words: the arguments.
        program: how the command is called, for its help.

    Returns:
        The filled-in dataclass.

    Raises:
        InputError: if the arguments do not fit.
    """
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            return tyro.cli(command, args=list(words), prog=f"gigalane {program}")
    except SystemExit as leave:
        if leave.code in (0, None):
            raise
        # tyro frames its message; the first lines inside the frame say what is wrong.
        text = re.sub(r"\x1b\[[0-9;]*m", "", complaint.getvalue())
        lines = [line.strip(" │") for line in text.splitlines() if line.startswith("│")]
        first = []
        for line in lines:
            if set(line) <= {"─"}:
                break
            first.append(line)
        reason = " ".join(first) or "the arguments do not fit"
        raise InputError(f"{reason}; see gigalane {program} --help") from None

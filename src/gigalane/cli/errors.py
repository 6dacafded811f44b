"""Bad input ends in one line on stderr and exit code 2, never in a traceback."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from gigalane.core.settings import RunError


class InputError(ValueError):
    """Arguments that cannot be used; the message says which, why and what would do."""


@dataclass
class Outcome:
    """How a command ended: 0 well, 1 failed, 2 bad input."""

    code: int = 0


_CURES = {
    errno.ENOENT: "there is no such file or folder; check the path",
    errno.EACCES: "may not be read or written; choose another place or change its permissions",
    errno.EPERM: "may not be read or written; choose another place or change its permissions",
    errno.EROFS: "lies on a disk that cannot be written; choose another place",
    errno.EISDIR: "is a folder; name a file",
    errno.ENOTDIR: "leads through a file as if it were a folder; check the path",
    errno.EEXIST: "is a file where a folder is needed; name another place",
    errno.ENOSPC: "the disk is full; make room or choose another place",
    errno.ENAMETOOLONG: "the name is too long; choose a shorter one",
}
"""What to tell about the errors of an operating system."""


@contextlib.contextmanager
def one_line_errors() -> Iterator[Outcome]:
    """Turns errors that a person can cure into one line and an exit code.

    Every error class of this project that means bad input is a `ValueError`; missing and
    unwritable files raise `OSError`; a run that cannot go on raises `RunError` or
    `FloatingPointError`. Anything else is a defect and keeps its traceback.
    """
    outcome = Outcome()
    try:
        yield outcome
    except BrokenPipeError:  # whoever reads our output has seen enough, as in `gigalane … | head`
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        outcome.code = 1
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        outcome.code = _complain(place + _CURES.get(error.errno or 0, error.strerror or str(error)))
    except (RunError, FloatingPointError) as error:
        _complain(str(error))
        outcome.code = 1
    except ValueError as error:
        outcome.code = _complain(str(error))
    except MemoryError:
        outcome.code = _complain("not enough memory; ask for fewer worlds, agents or episodes")
    except KeyboardInterrupt:
        _complain("stopped")
        outcome.code = 1


def _complain(message: str) -> int:
    """Prints one line; returns the exit code of bad input."""
    print(f"gigalane: {' '.join(message.split())}", file=sys.stderr)
    return 2

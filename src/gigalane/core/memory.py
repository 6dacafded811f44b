"""Memory that is freed stays with the process, where the C library can be told so."""

from __future__ import annotations

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Numbers of two settings of glibc's `mallopt` (malloc.h)."""
_LARGEST_BLOCK, _MOST_KEPT = 1 << 30, (1 << 31) - 1


def keep_freed_memory() -> bool:
    """Has the C library keep large blocks that are freed, for the next that asks for as much.

    glibc gives them back to the system at once, and takes them anew, page by page, a moment
    later: convolutions, whose activations are large and short-lived, spend a fifth of a lesson
    on that. Costs no more memory than the process has had at its peak.

    Returns:
        Whether there was somebody to tell; other C libraries do as they always do.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:
        return False
    return bool(mallopt(_MMAP_THRESHOLD, _LARGEST_BLOCK) and mallopt(_TRIM_THRESHOLD, _MOST_KEPT))

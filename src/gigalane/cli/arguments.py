"""Reads a command's arguments into its settings class."""

from __future__ import annotations

import contextlib
import functools
import inspect
import io
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar

import tyro

from gigalane.cli.errors import InputError

T = TypeVar("T")


def parse(command: type[T], words: Sequence[str], program: str, default: T | None = None) -> T:
    """Reads a command line into a settings class.

    Args:
        command: a dataclass; its docstring is the command's help.
        words: the arguments.
        program: how the command is called, for its help.
        default: what holds where an argument is not given; by default the class's own.

    Returns:
        The filled-in dataclass.

    Raises:
        InputError: if the arguments do not fit.
    """
    complaint = io.StringIO()
    read = functools.partial(
        tyro.cli,
        command,
        args=list(words),
        prog=f"gigalane {program}",
        description=inspect.getdoc(command),
        config=(tyro.conf.FlagCreatePairsOff,),
    )
    try:
        with contextlib.redirect_stderr(complaint):
            filled = read() if default is None else read(default=default)
    except SystemExit as leave:
        if leave.code in (0, None):
            raise
        reason = _reason(complaint.getvalue())
        raise InputError(f"{reason}; see gigalane {program} --help") from None
    for name, value in _numbers(filled):
        if not math.isfinite(value):
            raise InputError(f"{name} is {value}; give a finite number")
    return filled


def _reason(framed: str) -> str:
    """What tyro complains of, in one line: it frames sections that lines separate."""
    sections: list[list[str]] = [[]]
    for line in re.sub(r"\x1b\[[0-9;]*m", "", framed).splitlines():
        text = line.strip(" │╭╮╰╯")
        if text and set(text) <= set("─-"):
            sections.append([])
        elif text and not text.endswith("───"):
            sections[-1].append(text)
    # Where a terminal draws no frames, the title is a section of its own.
    told = [" ".join(lines) for lines in (sections if "╭" in framed else sections[1:])]
    reason = next(filter(None, told), "the arguments do not fit").rstrip(".")
    hint = re.search(r"Perhaps you meant: *(--\S+)", " ".join(told))
    return f"{reason}; perhaps you meant {hint[1]}" if hint else reason


def _numbers(settings: Any, prefix: str = "--") -> Iterator[tuple[str, float]]:  # noqa: ANN401
    """Every number in a tree of settings, with the option that sets it."""
    for field in fields(settings):
        value = getattr(settings, field.name)
        name = prefix + field.name.replace("_", "-")
        if is_dataclass(value):
            yield from _numbers(value, name + ".")
        else:
            values = value if isinstance(value, tuple) else (value,)
            yield from ((name, each) for each in values if isinstance(each, float))

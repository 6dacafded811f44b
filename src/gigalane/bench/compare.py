"""Two measurements beside each other: how much faster the second is, and whether that is sure."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gigalane.bench.speed import FORMAT, VERSION, Figure
from gigalane.core.settings import SettingsError


@dataclass(frozen=True)
class Compared:
    """One figure of two measurements.

    Attributes:
        name: of the figure.
        first: as the first file has it.
        second: as the second file has it.
    """

    name: str
    first: Figure
    second: Figure

    @property
    def ratio(self) -> float:
        """How many times better the second is; below 1 it is worse."""
        if self.first.more_is_better:
            return self.second.value / self.first.value
        return self.first.value / self.second.value

    @property
    def overlap(self) -> bool:
        """Whether the spreads share a number, so that the difference may be chance."""
        return self.first.low <= self.second.high and self.second.low <= self.first.high

    def as_json(self) -> dict[str, Any]:
        """As programs read it."""
        return {
            "ratio": round(self.ratio, 4),
            "overlap": self.overlap,
            "first": self.first.as_json(),
            "second": self.second.as_json(),
        }


@dataclass(frozen=True)
class Comparison:
    """All figures that two measurements share.

    Attributes:
        figures: by name, in the order of the first file.
        differences: settings and facts of the machine in which they differ, one phrase each.
    """

    figures: list[Compared]
    differences: list[str]

    def slower_than(self, ratio: float) -> list[Compared]:
        """Figures whose ratio lies below one."""
        return [one for one in self.figures if one.ratio < ratio]

    def as_json(self) -> dict[str, Any]:
        """As programs read it."""
        figures = {one.name: one.as_json() for one in self.figures}
        return {"figures": figures, "differences": self.differences}


def compare(first: Path, second: Path) -> Comparison:
    """Compares two files that `gigalane bench` wrote.

    Args:
        first: what was.
        second: what is.

    Raises:
        SettingsError: if a file is not such a file, or they are of different benchmarks.
        OSError: if a file cannot be read.
    """
    one, other = _read(first), _read(second)
    if one["benchmark"] != other["benchmark"]:
        raise SettingsError(
            f"{second}: is of bench {other['benchmark']}, {first} of bench {one['benchmark']}; "
            "compare two of the same"
        )
    before, after = _figures(first, one), _figures(second, other)
    shared = [Compared(name, before[name], after[name]) for name in before if name in after]
    if not shared:
        raise SettingsError(f"{second}: shares no figure with {first}")
    return Comparison(shared, _differences(one, other))


def table(comparison: Comparison, names: Sequence[str] = ("first", "second")) -> str:
    """A comparison as text: a line a figure, then what else differs."""
    head = ("figure", "unit", *names, "ratio", "spreads")
    rows = [
        (
            one.name,
            one.first.unit,
            _told(one.first),
            _told(one.second),
            f"{one.ratio:.3f}",
            "overlap" if one.overlap else "apart",
        )
        for one in comparison.figures
    ]
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    lines = [
        "  ".join(
            cell.ljust(width) if column < 2 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in (head, *rows)
    ]
    if comparison.differences:
        lines.append(f"they differ in {'; '.join(comparison.differences)}")
    return "\n".join(lines)


def _told(figure: Figure) -> str:
    return f"{figure.value:,.6g} ({figure.low:,.6g} to {figure.high:,.6g})"


def _read(path: Path) -> dict[str, Any]:
    """The file's content, as far as a comparison needs it."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise SettingsError(f"{path}: is no JSON ({error}); make it with bench -o") from None
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise SettingsError(f"{path}: is no measurement of gigalane bench; make one with -o")
    if found.get("version") != VERSION:
        raise SettingsError(
            f"{path}: is version {found.get('version')}, this gigalane reads "
            f"{VERSION}; measure anew"
        )
    for name, kind in (("benchmark", str), ("figures", dict), ("settings", dict)):
        if not isinstance(found.get(name), kind):
            raise SettingsError(f"{path}: {name}: is missing or damaged; measure anew")
    return found


def _figures(path: Path, found: Mapping[str, Any]) -> dict[str, Figure]:
    """Its figures by name."""
    figures: dict[str, Figure] = {}
    for name, numbers in found["figures"].items():
        try:
            figure = Figure(**numbers)
            repeats = (figure.value, figure.low, figure.high)
            sound = all(math.isfinite(number) and number > 0 for number in repeats)
            sound &= isinstance(figure.more_is_better, bool) and isinstance(figure.unit, str)
        except TypeError:
            figure, sound = None, False
        if figure is None or not sound:
            raise SettingsError(f"{path}: figures: {name}: is not a median with a spread above 0")
        figures[name] = figure
    return figures


def _differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Where settings, machine or threads differ."""
    keys = ("settings", "machine", "device", "threads", "parameters", "repeats")
    left = _leaves({key: one.get(key) for key in keys})
    right = _leaves({key: other.get(key) for key in keys})
    return [
        f"{name} ({left.get(name)} and {right.get(name)})"
        for name in dict.fromkeys((*left, *right))
        if left.get(name) != right.get(name) and not name.endswith("description")
    ]


def _leaves(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Every plain value of a tree, by its dotted name."""
    leaves: dict[str, Any] = {}
    for name, value in tree.items():
        if isinstance(value, Mapping):
            leaves |= _leaves(value, f"{prefix}{name}.")
        else:
            leaves[prefix + name] = value
    return leaves

"""Shows evaluations beside each other."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from gigalane.evals.evaluate import EvaluateSettings, Evaluation
from gigalane.metrics.summary import Figure

COLUMNS = (
    ("driving_score", "driving score"),
    ("goal_rate", "goal"),
    ("collision_rate", "collision"),
    ("offroad_rate", "off-road"),
    ("red_light_rate", "red light"),
    ("wrong_way_rate", "wrong way"),
    ("km_per_incident", "km per incident"),
)

WIDE = 180
"""Characters from which on a driver's figures fit beside each other."""


def in_words(name: str, figure: Figure) -> str:
    """A figure with its interval, as a table shows it."""
    if figure.unit == "km":
        high = f"{figure.high:.2f}" if figure.high < 1e6 else "∞"
        value = f"{figure.value:.2f}" if figure.value < 1e6 else f"over {figure.low:.2f}"
        return f"{value} ({figure.low:.2f} to {high})"
    if name == "driving_score":
        return f"{figure.value:.3f} ({figure.low:.3f} to {figure.high:.3f})"
    return f"{figure.value:.1%} ({figure.low:.1%} to {figure.high:.1%})"


def traffic_in_words(settings: EvaluateSettings) -> str:
    """How much traffic there is, in words."""
    if settings.agents:
        return f"{settings.agents} agents"
    return f"{settings.density:g} vehicles a lane-km"


def print_table(evaluations: Sequence[Evaluation]) -> None:
    """Prints figures with their 95 % intervals: one row a driver, or a column where it is narrow.

    Args:
        evaluations: one a driver, all run with the same settings.
    """
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=1000)  # programs read lines, not columns
    drivers = []
    for found in evaluations:
        cells = [in_words(name, found.figures[name]) for name, _ in COLUMNS]
        drivers.append([Text(found.name), *cells, str(len(found.episodes))])
    titles = ["driver", *(title for _, title in COLUMNS), "episodes"]
    table = Table(box=None, pad_edge=False, show_header=False)
    rows: list[Sequence[str | Text]] = [titles, *drivers]
    if console.width < WIDE:
        # One figure a row, the interval under its value.
        rows = [[_stacked(cell) for cell in row] for row in zip(*rows, strict=True)]
    for k in range(len(rows[0])):
        table.add_column(justify="right" if k else "left")
    for k, row in enumerate(rows):
        table.add_row(*row, style="bold" if k == 0 else "")
    console.print(table)
    settings = evaluations[0].settings
    console.print(
        f"{', '.join(evaluations[0].maps)}; {settings.seconds:g} s episodes, "
        f"dt {settings.dt:g} s, {traffic_in_words(settings)}, seed {settings.seed}; "
        "95 % intervals resample worlds",
        markup=False,
    )


def _stacked(cell: str | Text) -> str | Text:
    """A figure with its interval on a line of its own."""
    return cell.replace(" (", "\n(") if isinstance(cell, str) else cell

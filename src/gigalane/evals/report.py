"""Shows evaluations beside each other."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from gigalane.evals.evaluate import Evaluation
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


def in_words(name: str, figure: Figure) -> str:
    """A figure with its interval, as a table shows it."""
    if figure.unit == "km":
        high = f"{figure.high:.2f}" if figure.high < 1e6 else "∞"
        value = f"{figure.value:.2f}" if figure.value < 1e6 else f"over {figure.low:.2f}"
        return f"{value} ({figure.low:.2f} to {high})"
    if name == "driving_score":
        return f"{figure.value:.3f} ({figure.low:.3f} to {figure.high:.3f})"
    return f"{figure.value:.1%} ({figure.low:.1%} to {figure.high:.1%})"


def print_table(evaluations: Sequence[Evaluation]) -> None:
    """Prints figures with their 95 % intervals, one row a driver."""
    table = Table(box=None, pad_edge=False)
    table.add_column("driver")
    for _, title in COLUMNS:
        table.add_column(title, justify="right")
    table.add_column("episodes", justify="right")
    for found in evaluations:
        cells = [in_words(name, found.figures[name]) for name, _ in COLUMNS]
        table.add_row(found.name, *cells, str(len(found.episodes)))
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=200)
    console.print(table)
    first = evaluations[0]
    console.print(
        f"{', '.join(first.maps)}; {first.settings.seconds:g} s episodes, "
        f"dt {first.settings.dt:g} s, "
        + (
            f"{first.settings.agents} agents"
            if first.settings.agents
            else f"{first.settings.density:g} vehicles a lane-km"
        )
        + f", seed {first.settings.seed}; 95 % intervals resample worlds"
    )

"""Gathers the learning curve of the shipped driver from the folder of its run.

    python benchmarks/training_curve.py runs/default

Writes `driver/training-curve.json` and the picture beside it. Each point is a mean over the
iterations of 2 % of the run, and says how long the run had taken by then.
"""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path
from typing import Any

from gigalane.studies.curve import Curve, draw_curves

FOLDER = Path(__file__).parent / "driver"
STAGES = ("told", "alone", "again")
KEPT = ("samples_per_s", "kept_fraction", "entropy", "learning_rate", "reward_per_s")
RATES = ("reached_goal", "collided", "off_road", "ran_red", "timed_out")
POINTS = 50
ABOUT = (
    "means over the iterations of 2 % of the recipe's run: drawn actions, drawn personas, "
    "training towns; hours are those of the clock, on a machine that had other work too"
)


def iterations(run: Path) -> list[dict[str, Any]]:
    """All iterations of a run; samples and hours count from the first stage's beginning."""
    found, samples, hours = [], 0.0, 0.0
    for stage in STAGES:
        lines = (run / stage / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
        rows = [json.loads(line) for line in lines]
        for row in rows:
            row["stage"] = stage
            row["samples"] += samples
            row["hours"] = hours + row["elapsed_s"] / 3600
        found += rows
        samples, hours = rows[-1]["samples"], rows[-1]["hours"]
    return found


def points(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Means over equal parts of each stage, at the end of each part."""
    part, found = rows[-1]["samples"] / POINTS, []
    names = [*KEPT, *(f"rate/{name}" for name in RATES)]
    for stage in STAGES:
        of_stage = [row for row in rows if row["stage"] == stage]
        while of_stage:
            end = of_stage[0]["samples"] + part
            here = [row for row in of_stage if row["samples"] <= end] or of_stage[:1]
            of_stage = of_stage[len(here) :]
            last = here[-1]
            point = {"stage": stage, "samples": last["samples"], "hours": round(last["hours"], 4)}
            for name in names:
                values = [row[name] for row in here if name in row]
                point[name] = round(statistics.fmean(values), 5) if values else None
            found.append(point)
    return found


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """Shares of training episodes over samples and over hours."""

    def curves(abscissa: str) -> list[Curve]:
        return [
            Curve(
                name.replace("_", " "),
                tuple((row[abscissa], *3 * (row[f"rate/{name}"],)) for row in rows),
            )
            for name in RATES
        ]

    panels = [
        ("samples [million]", 1e-6, curves("samples")),
        ("hours on two cores", 1.0, curves("hours")),
    ]
    draw_curves(panels, "share of training episodes", "the shipped driver learns", path)


def main() -> None:
    """Writes both files."""
    rows = points(iterations(Path(sys.argv[1])))
    text = json.dumps({"about": ABOUT, "rows": rows}, indent=0)
    (FOLDER / "training-curve.json").write_text(text + "\n", encoding="utf-8")
    draw(rows, FOLDER / "training-curve.png")
    last = rows[-1]
    print(f"{last['samples']:,.0f} samples, {last['hours']:.2f} h; wrote {FOLDER}")


if __name__ == "__main__":
    main()

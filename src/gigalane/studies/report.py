"""What a study found: means over seeds with intervals, differences to the base, curves.

Intervals are 95 % t intervals over seeds: mean ± t · s / √n, with the standard deviation s of
the n seeds' figures. Differences to the base arm are paired by seed, so what a seed does to both
arms cancels. All policies are measured on the same worlds, whose choice the intervals leave out.
"""

from __future__ import annotations

import json
import math
import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from gigalane.core.files import replacing
from gigalane.core.settings import SettingsError
from gigalane.studies.curve import Curve, draw_curves
from gigalane.studies.marks import MARKS_FILE, Run, measured, read_evaluation
from gigalane.studies.study import Study, changes, described

STUDY_FILE, TABLE_FILE, CURVE_FILE = "study.json", "table.md", "curve.png"
FIGURES = {
    "driving_score": "driving score",
    "goal_rate": "goal",
    "collision_rate": "collision",
    "offroad_rate": "off-road",
    "red_light_rate": "red light",
}
"""Figures of the tables; study.json has all of an evaluation."""
SHARES = FIGURES.keys() - {"driving_score"}
"""Those that are told in per cent."""
MEASURE_NAMES = {"samples": "equal samples", "cpu": "equal CPU time"}


def write_report(study: Study, out: Path) -> dict[str, Any]:
    """Writes `study.json`, `table.md` and `curve.png` from the runs that are in the folder.

    Args:
        study: which study.
        out: its folder.

    Returns:
        What study.json holds.
    """
    out.mkdir(parents=True, exist_ok=True)
    facts = summarize(study, read_runs(study, out))
    with replacing(out / STUDY_FILE) as beside:
        beside.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    with replacing(out / TABLE_FILE) as beside:
        beside.write_text(tables(facts), encoding="utf-8")
    if any(curve.points for curve in curves(facts, "samples")):
        with replacing(out / CURVE_FILE) as beside:
            longest = max(run["cpu_seconds"] for run in facts["runs"])
            unit, seconds = ("hours", 3600) if longest > 3600 else ("minutes", 60)
            panels = [
                ("million samples", 1e-6, curves(facts, "samples")),
                (f"CPU {unit}", 1 / seconds, curves(facts, "cpu")),
            ]
            draw_curves(panels, "driving score", f"{study.name}: {study.trials[0].name}", beside)
    return facts


def read_runs(study: Study, out: Path) -> list[dict[str, Any]]:
    """Every run in the folder with its marks and their evaluations; damaged ones are left out."""
    order = {arm.name: k for k, arm in enumerate(study.arms)}
    runs = []
    for path in out.glob(f"runs/*/seed-*/{MARKS_FILE}"):
        try:
            run = Run.read(path.parent)
        except SettingsError:
            continue
        marks = []
        for mark in run.marks:
            found = {
                trial.name: _figures(evaluation)
                for trial in study.trials
                if mark in measured(trial, [mark])
                and (evaluation := read_evaluation(trial, mark, run)) is not None
            }
            facts = {name: getattr(mark, name) for name in ("measure", "share", "samples")}
            marks.append({**facts, "cpu_seconds": mark.cpu_seconds, "evaluations": found})
        runs.append(
            {
                "arm": path.parts[-3],
                "seed": run.seed,
                "complete": run.complete,
                "samples": run.spent.samples,
                "cpu_seconds": run.spent.cpu_seconds,
                "marks": marks,
            }
        )
    return sorted(
        runs, key=lambda run: (order.get(run["arm"], len(order)), run["arm"], run["seed"])
    )


def _figures(evaluation: Mapping[str, Any]) -> dict[str, Any]:
    """{value, low, high} of each figure, and the number of episodes."""
    figures = {k: v for k, v in evaluation.items() if isinstance(v, dict) and "low" in v}
    return {**figures, "episodes": evaluation["episodes"]}


def summarize(study: Study, runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Everything that study.json holds.

    Args:
        study: which study.
        runs: as `read_runs` gives them.
    """
    base = described(study.arms[0])
    arms = {
        arm.name: {
            "about": arm.about,
            "differs_in": [
                place for place in changes(base, described(arm)) if place not in ("name", "about")
            ],
        }
        for arm in study.arms
    }
    for run in runs:
        arms.setdefault(run["arm"], {"about": "learned by a script of its own", "differs_in": []})
    results = {
        measure: {
            trial.name: _results(study, runs, list(arms), measure, trial.name)
            for trial in study.trials
        }
        for measure in study.budget.measures
    }
    return {
        "study": study.name,
        "base": study.arms[0].name,
        "arms": arms,
        "results": results,
        "interval": "95 % t interval over seeds; differences are paired by seed",
        "runs": list(runs),
        "settings": described(study),
        "machine": {
            "cores": os.cpu_count(),
            "system": platform.platform(),
            "python": platform.python_version(),
            "torch": torch.__version__,
        },
    }


def _results(
    study: Study, runs: Sequence[Mapping[str, Any]], arms: list[str], measure: str, trial: str
) -> dict[str, Any]:
    """By arm and figure at the final mark: mean and interval, and the difference to the base."""
    values: dict[str, dict[str, dict[int, float]]] = {arm: {} for arm in arms}
    for run in runs:
        for mark in run["marks"]:
            if (mark["measure"], mark["share"]) == (measure, 1.0) and trial in mark["evaluations"]:
                for name, figure in mark["evaluations"][trial].items():
                    if name != "episodes" and figure["value"] is not None:
                        seeds = values[run["arm"]].setdefault(name, {})
                        seeds[run["seed"]] = figure["value"]
    base = values[study.arms[0].name]
    results: dict[str, Any] = {}
    for arm in arms:
        results[arm] = {}
        for name, seeds in values[arm].items():
            paired = [
                seeds[seed] - base[name][seed] for seed in seeds if seed in base.get(name, ())
            ]
            results[arm][name] = {
                "seeds": {str(seed): seeds[seed] for seed in sorted(seeds)},
                **t_interval(list(seeds.values())),
                "difference": t_interval(paired) if paired and arm != study.arms[0].name else None,
            }
    return results


def t_interval(values: Sequence[float]) -> dict[str, float | None]:
    """Mean of some seeds and its 95 % t interval; a single seed has none.

    Returns:
        {mean, low, high}.
    """
    count = len(values)
    mean = math.fsum(values) / count
    if count < 2:
        return {"mean": mean, "low": None, "high": None}
    variance = math.fsum((value - mean) ** 2 for value in values) / (count - 1)
    half = t_quantile(count - 1) * math.sqrt(variance / count)
    return {"mean": mean, "low": mean - half, "high": mean + half}


def t_quantile(freedom: int, inside: float = 0.95) -> float:
    """Half width that holds a share of Student's t distribution.

    Args:
        freedom: degrees of freedom, 1 or more.
        inside: the share.
    """
    low, high = 0.0, 1e6
    for _ in range(200):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if _t_inside(middle, freedom) < inside else (low, middle)
    return 0.5 * (low + high)


def _t_inside(t: float, freedom: int) -> float:
    """P(|T| < t); Abramowitz and Stegun 26.7.3 and 26.7.4."""
    angle = math.atan(t / math.sqrt(freedom))
    cosine, odd = math.cos(angle), freedom % 2
    term, total = (cosine, 0.0) if odd else (1.0, 0.0)
    for k in range(2 if odd else 1, freedom, 2):
        total += term
        term *= k / (k + 1) * cosine * cosine
    if odd:
        return 2 / math.pi * (angle + math.sin(angle) * total)
    return math.sin(angle) * total


def curves(facts: Mapping[str, Any], axis: str) -> list[Curve]:
    """Driving score against samples or CPU time in the first trial, one curve an arm.

    A point is a mark: the mean over the seeds that reached it, and the lowest and highest.

    Args:
        facts: as `summarize` gives them.
        axis: "samples" or "cpu". Where only the other one was budgeted, its marks serve.
    """
    key = "samples" if axis == "samples" else "cpu_seconds"
    trial = next(iter(next(iter(facts["results"].values()))))
    measure = axis if axis in facts["results"] else next(iter(facts["results"]))
    found: list[Curve] = []
    for arm in facts["arms"]:
        marks: dict[float, list[tuple[float, float]]] = {}
        for run in facts["runs"]:
            for mark in run["marks"] if run["arm"] == arm else ():
                if mark["measure"] == measure and trial in mark["evaluations"]:
                    score = mark["evaluations"][trial]["driving_score"]["value"]
                    marks.setdefault(mark["share"], []).append((mark[key], score))
        points = []
        for share in sorted(marks):
            where, scores = zip(*marks[share], strict=True)
            mean = math.fsum(scores) / len(scores)
            points.append((sum(where) / len(where), mean, min(scores), max(scores)))
        found.append(Curve(arm, tuple(points)))
    return found


def tables(facts: Mapping[str, Any]) -> str:
    """The figures at the end of each budget, as Markdown."""
    text = [f"# {facts['study']}", ""]
    text += ["| arm | what is different | samples | CPU minutes | seeds |", "|---|---|---|---|---|"]
    for arm, told in facts["arms"].items():
        runs = [run for run in facts["runs"] if run["arm"] == arm and run["complete"]]
        mean = [sum(run[key] for run in runs) / max(1, len(runs)) for key in _SPENT]
        spent = f"{mean[0] / 1e6:.2f} M | {mean[1] / 60:.1f}" if runs else "– | –"
        text.append(f"| {arm} | {told['about']} | {spent} | {len(runs)} |")
    for measure, trials in facts["results"].items():
        for trial, results in trials.items():
            text += ["", f"## {trial}, at {MEASURE_NAMES[measure]}", "", *_table(facts, results)]
    seeds = facts["settings"]["seeds"]
    text += [
        "",
        f"Mean over {seeds} seeds (those that are complete) and 95 % t interval over seeds; "
        f"below it the difference to {facts['base']}, paired by seed, bold where its interval "
        "leaves out 0. The choice of the measured worlds, the same for all, is not in the "
        "intervals.",
        "",
    ]
    return "\n".join(text)


_SPENT = ("samples", "cpu_seconds")


def _table(facts: Mapping[str, Any], results: Mapping[str, Any]) -> list[str]:
    """One table: two rows an arm, its figures and the differences to the base."""
    rows = [
        "| arm | " + " | ".join(FIGURES.values()) + " |",
        "|---" * (1 + len(FIGURES)) + "|",
    ]
    for arm in facts["arms"]:
        figures = results[arm]
        cells = [figure_text(figures.get(name), name in SHARES) for name in FIGURES]
        rows.append(f"| {arm} | " + " | ".join(cells) + " |")
        if arm != facts["base"]:
            gaps = {name: (figures.get(name) or {}).get("difference") for name in FIGURES}
            cells = [figure_text(gap, name in SHARES, True) for name, gap in gaps.items()]
            rows.append("| − base | " + " | ".join(cells) + " |")
    return rows


def figure_text(
    figure: Mapping[str, Any] | None, is_share: bool = False, is_difference: bool = False
) -> str:
    """A figure with its interval, as it stands in a table.

    Args:
        figure: as `t_interval` gives it, or without an interval; a dash stands for none.
        is_share: told in per cent.
        is_difference: has a sign, and is bold where its interval leaves out 0.
    """
    if figure is None or figure["mean"] is None:
        return "–"
    scale, digits, unit = (100.0, 1, " %") if is_share else (1.0, 3, "")
    sign = "+" if is_difference else ""

    def number(value: float) -> str:
        return f"{value * scale:{sign}.{digits}f}".replace("-", "−")

    low, high = figure.get("low"), figure.get("high")
    text = number(figure["mean"]) + unit
    if low is None or high is None:
        return text
    text += f" ({number(low)} to {number(high)})"
    is_clear = is_difference and not low <= 0.0 <= high
    return f"**{text}**" if is_clear else text

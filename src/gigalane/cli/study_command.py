"""The command lines of recipes that are studies."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from gigalane.cli.errors import InputError, one_line_errors
from gigalane.core.files import replacing
from gigalane.studies.report import CURVE_FILE, STUDY_FILE, TABLE_FILE
from gigalane.studies.running import run_study
from gigalane.studies.study import Budget, Study, Trial, standard_trials

OPTIONS_FILE = "options.json"


def asked(options: argparse.Namespace) -> dict[str, Any]:
    """What a recipe was asked for, wherever its folder lies."""
    return {name: value for name, value in vars(options).items() if name != "out"}


def keep_options(
    out: Path, options: argparse.Namespace, changeable: Collection[str] = ("seeds",)
) -> None:
    """Notes what a recipe was asked for: its folder is only gone on with alike.

    Args:
        out: folder of the recipe, made if missing.
        options: of the recipe.
        changeable: names of those that may differ when it goes on.

    Raises:
        InputError: the folder was begun with others.
    """
    kept = {name: value for name, value in asked(options).items() if name not in changeable}
    path = out / OPTIONS_FILE
    out.mkdir(parents=True, exist_ok=True)
    if path.is_file():
        before = json.loads(path.read_text(encoding="utf-8"))
        for name, value in kept.items():
            if before.get(name, value) != value:
                option = "--" + name.replace("_", "-")
                raise InputError(
                    f"{out}: was begun with {option} {before[name]}; give the same, or name "
                    "another folder"
                )
    with replacing(path) as beside:
        beside.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")


def study_command(
    build: Callable[[Budget, int, tuple[Trial, ...]], Study],
    about: str,
    budget: Budget,
    words: Sequence[str] | None = None,
) -> int:
    """Runs a study as its command line asks.

    Args:
        build: makes the study from budget, number of seeds and trials.
        about: what it is, in a line.
        budget: where the command line gives none.
        words: the command line; that of the process where left out.

    Returns:
        The exit code: 0 well, 1 a run failed, 2 bad input.
    """
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("out", type=Path, metavar="OUT", help="folder of the study; goes on there")
    parser.add_argument("--seeds", type=int, default=3, help="runs of each arm (%(default)s)")
    parser.add_argument(
        "--samples",
        type=float,
        default=float(budget.samples),
        help="samples of a run; 0 does not count them (%(default)g)",
    )
    parser.add_argument(
        "--cpu-minutes",
        type=float,
        default=budget.cpu_seconds / 60,
        help="CPU time of a run; 0 does not count it (%(default)g)",
    )
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time, a core each")
    parser.add_argument("--only", nargs="+", default=[], metavar="ARM", help="these and the base")
    parser.add_argument("--episodes", type=int, default=400, help="of each trial (%(default)s)")
    options = parser.parse_args(words)
    with one_line_errors() as outcome:
        spend = Budget(int(options.samples), 60 * options.cpu_minutes)
        study = build(spend, options.seeds, standard_trials(options.episodes))
        if options.only:
            study = study.part(options.only)
        run_study(study, options.out, options.jobs)
        files = ", ".join((STUDY_FILE, TABLE_FILE, CURVE_FILE))
        Console(highlight=False).print(f"{options.out}: {files}")
    return outcome.code

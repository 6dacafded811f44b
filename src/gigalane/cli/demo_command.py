"""gigalane demo: the whole job in minutes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console

from gigalane.cli.arguments import parse
from gigalane.core.settings import RunError


@dataclass(frozen=True)
class Demo:
    """Teaches a driver to drive and then to see, on a small town; proves both, and shows them.

    It learns to drive from scratch, a scripted driver advising it at first; then it teaches a
    copy of itself that looks through cameras. Takes about ten minutes on two CPU cores and leaves
    a report and a replay page. Ctrl-C ends a stage early and goes on to the next. Fails
    (exit code 1) if the driver does not clearly beat driving straight on.

    Examples:
      gigalane demo
      gigalane demo --minutes 2 --seed 7 -o seven
    """

    out: Annotated[Path, tyro.conf.arg(aliases=["-o"], metavar="FOLDER")] = Path("demo")
    """Folder to write to."""
    minutes: float = 5.0
    """Longest time to learn to drive [min]; to see it learns half as long."""
    seed: int = 1
    """Of the town and everything random."""


def run(words: Sequence[str]) -> int:
    """Runs `gigalane demo`."""
    command = parse(Demo, words, "demo")
    from gigalane.demo import DemoSettings, beats, run_demo

    settings = DemoSettings(minutes=command.minutes, seed=command.seed)
    found = run_demo(command.out, settings, Console(highlight=False))
    baseline = next(one for one in found if one.name == "constant-velocity")
    if beats(found[0], baseline):
        return 0
    raise RunError(
        f"{command.out}: the driver trained here does not clearly beat driving straight on; "
        "give it more --minutes"
    )

"""gigalane evaluate: who drives how well."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from gigalane.cli.errors import InputError, parse
from gigalane.cli.progress import bar
from gigalane.evals.evaluate import EvaluateSettings, evaluate
from gigalane.evals.report import print_table
from gigalane.evals.suites import SUITES, open_suite
from gigalane.maps.sources import open_maps
from gigalane.policies.shipped import open_subject


@dataclass(frozen=True)
class Evaluate:
    """Drives a policy or a script through worlds it has not seen and counts what happens.

    It drives every vehicle. Rates are shares of agent episodes with 95 % intervals that
    resample worlds; a respawn begins a new episode.
    """

    policy: tyro.conf.Positional[str]
    """A policy file, `default` (the shipped one), or idm, constant-velocity, stationary."""
    suite: str | None = None
    """Named set of maps and density; `--suite list` shows them."""
    map: Annotated[tuple[str, ...], tyro.conf.arg(name="map")] = ()
    """Road files or town:SEED, instead of a suite."""
    episodes: int = 256
    """Agent episodes at least, over all maps."""
    agents: int = 0
    """Road users in each world; 0 derives them from --density."""
    density: float = 0.0
    """Vehicles per lane-kilometre; 0 takes the suite's, or 10."""
    seconds: float = 60.0
    """Time of an episode."""
    dt: float = 0.1
    """Time step [s]."""
    seed: int = 0
    """Of everything random."""
    blind: bool = False
    """Hide other road users from the policy, to see what seeing them is worth."""
    record: int = 0
    """Worlds to record, for `gigalane view`."""
    out: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None
    """Folder for report.json and the recordings; only needed with --record."""
    json: bool = False
    """Print JSON."""


def run(words: Sequence[str]) -> int:
    """Runs `gigalane evaluate`."""
    command = parse(Evaluate, words, "evaluate")
    if command.suite == "list":
        for suite in SUITES.values():
            print(f"{suite.name:24} {suite.description}")
        return 0
    if command.suite and command.map:
        raise InputError("evaluate: give --suite or --map, not both")
    if command.record and not command.out:
        raise InputError("evaluate: --record needs --out, the folder to keep recordings in")
    density = command.density
    if command.map:
        maps = open_maps(command.map)
    else:
        suite, maps = open_suite(command.suite or "procedural")
        density = density or suite.density
    subject = open_subject(command.policy)
    settings = EvaluateSettings(
        episodes=command.episodes,
        agents=command.agents,
        density=density or 10.0,
        seconds=command.seconds,
        dt=command.dt,
        seed=command.seed,
        record=command.record,
    )
    if command.blind:
        settings = settings.without_partners()
    with bar(f"evaluating {command.policy}", quiet=command.json) as tell:
        found = evaluate(command.policy, subject, maps, settings, on_progress=tell)
    if command.out:
        command.out.mkdir(parents=True, exist_ok=True)
        (command.out / "report.json").write_text(json.dumps(found.as_json(), indent=2) + "\n")
        for number, recording in enumerate(found.recordings):
            recording.save(command.out / f"recording-{number}.npz")
    if command.json:
        print(json.dumps(found.as_json(), indent=2))
    else:
        print_table([found])
        if command.out:
            print(f"{command.out}: report.json and {len(found.recordings)} recordings")
    return 0

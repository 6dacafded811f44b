"""gigalane evaluate: who drives how well."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from gigalane.cli.arguments import parse
from gigalane.cli.errors import InputError
from gigalane.cli.progress import bar
from gigalane.core.files import filling, replacing
from gigalane.core.kernels import require_device

if TYPE_CHECKING:
    from gigalane.evals.evaluate import Evaluation


@dataclass(frozen=True)
class Evaluate:
    """Drives a policy or a script through worlds it has not seen and counts what happens.

    It drives every vehicle. Rates are shares of agent episodes with 95 % intervals that
    resample worlds; a respawn begins a new episode.

    Examples:
      gigalane evaluate default
      gigalane evaluate run/policy.safetensors --suite unseen-dense --json
      gigalane evaluate idm --map Town05.xodr.gz --density 5 --record 2 -o found
    """

    policy: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="POLICY")] = "default"
    """A policy file, `default`, `default-camera` or `default-coach` (the shipped ones), or idm,
    constant-velocity, stationary."""
    suite: Annotated[str | None, tyro.conf.arg(metavar="NAME")] = None
    """Named set of maps and density; `--suite list` shows them. Without --map: procedural."""
    map: Annotated[tuple[str, ...], tyro.conf.arg(metavar="MAP [MAP ...]")] = ()
    """Road files or town:SEED, instead of a suite."""
    episodes: int = 256
    """Agent episodes at least, over all maps."""
    agents: Annotated[int | None, tyro.conf.arg(metavar="INT")] = None
    """Road users in each world, instead of --density."""
    density: Annotated[float | None, tyro.conf.arg(metavar="FLOAT")] = None
    """Vehicles per lane-kilometre; by default the suite's, or 10."""
    seconds: float = 60.0
    """Time of an episode [s]."""
    dt: float = 0.1
    """Time step [s], 0.01 to 1."""
    seed: int = 0
    """Of everything random."""
    blind: bool = False
    """Hide other road users from the policy, to see what seeing them is worth."""
    appearance: Annotated[str, tyro.conf.arg(metavar="NAME")] = "plain"
    """What the worlds look like to cameras: plain, varied, dusk, which nobody trains on,
    or textured, a made-up stand-in for real cameras."""
    device: Annotated[str, tyro.conf.arg(metavar="NAME")] = "cpu"
    """Where it runs: cpu, or cuda for a GPU."""
    record: int = 0
    """Worlds to record, for `gigalane view`; needs --out."""
    out: Annotated[Path | None, tyro.conf.arg(aliases=["-o"], metavar="FOLDER")] = None
    """Folder for report.json and the recordings."""
    json: bool = False
    """Print JSON."""


def run(words: Sequence[str]) -> int:
    """Runs `gigalane evaluate`."""
    command = parse(Evaluate, words, "evaluate")
    from gigalane.evals.evaluate import EvaluateSettings, evaluate
    from gigalane.evals.suites import SUITES, open_suite
    from gigalane.maps.sources import open_maps
    from gigalane.policies.shipped import open_subject
    from gigalane.render.appearance import UNSEEN_LOOKS, look_named

    if command.suite == "list":
        for suite in SUITES.values():
            print(f"{suite.name:24} {suite.description}")
        return 0
    _check(command)
    subject = open_subject(command.policy)
    suite = None if command.map else open_suite(command.suite or "procedural")
    usual = suite.density if suite else EvaluateSettings.density
    settings = EvaluateSettings(
        episodes=command.episodes,
        agents=command.agents or 0,
        density=usual if command.density is None else command.density,
        seconds=command.seconds,
        dt=command.dt,
        seed=command.seed,
        record=command.record,
        appearance=look_named(command.appearance, UNSEEN_LOOKS),
    )
    if command.blind:
        settings = settings.without_partners()
    maps = open_maps(suite.sources() if suite else command.map)
    kept = filling(command.out) if command.out else contextlib.nullcontext()
    with kept, bar(f"evaluating {command.policy}", quiet=command.json) as tell:
        found = evaluate(
            command.policy,
            subject,
            maps,
            settings,
            on_progress=tell,
            failures=command.out or ".",
            device=command.device,
        )
        if command.out:
            _keep(found, command.out)
    _tell(found, command)
    return 0


def _check(command: Evaluate) -> None:
    """Refuses arguments that contradict each other."""
    if command.suite and command.map:
        raise InputError("evaluate: give --suite or --map, not both")
    if command.agents is not None and command.density is not None:
        raise InputError("evaluate: give --agents or --density, not both")
    if command.agents is not None and command.agents < 1:
        raise InputError(f"--agents is {command.agents}; at least one road user must drive")
    if command.record and not command.out:
        raise InputError("evaluate: --record needs --out, the folder to keep recordings in")
    require_device(command.device)


def _keep(found: Evaluation, out: Path) -> None:
    """Writes the report and the recordings."""
    for number, recording in enumerate(found.recordings):
        recording.save(out / f"recording-{number}.npz")
    with replacing(out / "report.json") as beside:
        beside.write_text(json.dumps(found.as_json(), indent=2) + "\n", encoding="utf-8")


def _tell(found: Evaluation, command: Evaluate) -> None:
    """Prints the figures."""
    from gigalane.evals.report import print_table

    if command.json:
        print(json.dumps(found.as_json(), indent=2))
        return
    print_table([found])
    if command.out:
        print(f"{command.out}: report.json and {len(found.recordings)} recordings")

"""The whole job in minutes: train a small driver, prove it, and show it."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from gigalane.core.files import replacing
from gigalane.core.settings import SettingsError
from gigalane.evals.evaluate import EvaluateSettings, Evaluation, Subject, evaluate
from gigalane.evals.page import write_report
from gigalane.evals.report import print_table
from gigalane.maps.generate import TownSettings, generate_town
from gigalane.maps.road import RoadMap
from gigalane.policies.checkpoint import load_policy
from gigalane.policies.policy import PolicyError
from gigalane.policies.shipped import load_default
from gigalane.sim.settings import SCRIPT_NAMES, SimulatorSettings, SpawnSettings, TrafficSettings
from gigalane.train.guidance import GuidanceSettings
from gigalane.train.ppo import PPOSettings
from gigalane.train.selfplay import self_play
from gigalane.train.trainer import TrainSettings
from gigalane.viewer.map_picture import draw_map
from gigalane.viewer.replay import write_replay


@dataclass(frozen=True)
class DemoSettings:
    """How long the demonstration takes.

    Attributes:
        minutes: longest time it trains [min].
        samples: samples it trains on at most.
        goal_rate: training ends early once this share of episodes reaches its goal.
        episodes: agent episodes that each driver is judged by at least.
        seed: of the towns and everything random.
    """

    minutes: float = 5.0
    samples: int = 12_000_000
    goal_rate: float = 0.85
    episodes: int = 400
    seed: int = 1

    def __post_init__(self) -> None:
        """Refuses a demonstration without time."""
        if not 0 < self.minutes <= 1440 or self.samples < 1:
            raise SettingsError(f"demo: minutes is {self.minutes:g}; give up to 1440, above 0")
        if not 0 <= self.seed < 2**63:
            raise SettingsError(f"demo: seed is {self.seed}; give 0 or more")


TOWN = TownSettings(size_m=300.0, minimum_junctions=4, maximum_junctions=8)
"""Small, with enough road between junctions to learn steering on."""

WORLD = SimulatorSettings(
    worlds=64,
    agents=24,
    episode_s=60.0,
    spawn=SpawnSettings(pedestrians=0.0, cyclists=0.0, goal_distance=(60.0, 150.0)),
    traffic=TrafficSettings(blind=0.0, braking=0.0),
)
"""A small town with light traffic, so that minutes are enough."""

TRAIN = TrainSettings(
    rollout_steps=32,
    discount=0.99,
    guidance=GuidanceSettings(weight=1.0, samples=2_000_000),
    ppo=PPOSettings(learning_rate=5e-4, epochs=2, minibatch=2048),
)


def run_demo(out: Path, settings: DemoSettings, console: Console) -> list[Evaluation]:
    """Trains, evaluates and shows a driver.

    Args:
        out: folder for the run, the report and the replay; made, and must be new or a demo's.
        settings: how long it may take.
        console: where to tell about it.

    Returns:
        The evaluations in the report.
    """
    began = time.perf_counter()
    town = generate_town(settings.seed, TOWN)
    out.mkdir(parents=True, exist_ok=True)
    run = _free_folder(out)
    draw_map(town, out / "town.png", 1200)
    console.print(
        f"[bold]1  Drive[/bold]  self-play on {town.name}: "
        f"{town.lane_kilometres:.1f} lane-km, at most {settings.minutes:g} min"
    )
    policy_file = _train(town, run, settings)
    console.print("[bold]2  Prove[/bold]  everyone drives the same town, 60 s episodes")
    subjects: list[tuple[str, Subject]] = [("trained here", load_policy(policy_file))]
    try:
        subjects.append(("shipped", load_default()))
    except PolicyError as error:
        console.print(f"  {error}")
    for script in SCRIPT_NAMES:
        subjects.append((script.replace("_", "-"), script))  # noqa: PERF401
    found = []
    for name, subject in subjects:
        evaluation = evaluate(
            name,
            subject,
            [town],
            EvaluateSettings(
                episodes=settings.episodes,
                agents=24,
                dt=0.1,
                seed=settings.seed,
                record=1 if name in ("trained here", "shipped") else 0,
                spawn=WORLD.spawn,
            ),
        )
        found.append(evaluation)
    print_table(found)
    console.print("[bold]3  Look[/bold]")
    write_replay([r for evaluation in found for r in evaluation.recordings], out / "replay.html")
    facts = _facts(found, settings, time.perf_counter() - began)
    with replacing(out / "report.json") as beside:
        beside.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    write_report(
        found,
        out / "report.html",
        title="gigalane demo",
        picture="town.png",
        replay="replay.html",
        curve=run / "metrics.jsonl",
    )
    for file in ("report.html", "replay.html", "report.json"):
        console.print(f"  {out / file}")
    console.print(f"done in {(time.perf_counter() - began) / 60:.1f} min")
    return found


def beats(one: Evaluation, other: Evaluation) -> bool:
    """Whether one clearly drives better: neither intervals of driving score nor of goals meet."""
    return all(
        one.figures[name].low > other.figures[name].high for name in ("driving_score", "goal_rate")
    )


def _train(town: RoadMap, run: Path, settings: DemoSettings) -> Path:
    """Trains until the town is learned, or time or samples run out."""
    deadline = time.perf_counter() + 60.0 * settings.minutes
    recent: list[float] = []

    def enough(figures: dict[str, float]) -> bool:
        recent.append(figures.get("rate/reached_goal", 0.0))
        learned = len(recent) >= 10 and sum(recent[-10:]) / 10 > settings.goal_rate
        return learned or time.perf_counter() > deadline

    train = replace(TRAIN, samples=settings.samples, seed=settings.seed)
    self_play([town], WORLD, train, run, on_iteration=enough)
    return run / "policy.safetensors"


def _free_folder(out: Path) -> Path:
    """A folder for the run that no earlier run lies in."""
    number = 1
    while (out / f"run-{number}").exists():
        number += 1
    return out / f"run-{number}"


def _facts(found: list[Evaluation], settings: DemoSettings, seconds: float) -> dict[str, Any]:
    """What report.json holds."""
    names = [evaluation.name for evaluation in found]
    trained, baseline = found[0], found[names.index("constant-velocity")]
    return {
        "beats_constant_velocity": beats(trained, baseline),
        "seconds": round(seconds, 1),
        "cores": os.cpu_count(),
        "minutes_allowed": settings.minutes,
        "drivers": [evaluation.as_json() for evaluation in found],
    }

"""The whole job in minutes: teach a small driver to drive and to see, prove both, show them."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
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
from gigalane.policies.camera import CameraPolicy
from gigalane.policies.checkpoint import load_policy
from gigalane.policies.entity import EntityPolicy
from gigalane.policies.policy import PolicyError
from gigalane.policies.shipped import load_default, load_default_camera
from gigalane.render.appearance import Appearance
from gigalane.render.camera import load_rig
from gigalane.sim.recording import Recording
from gigalane.sim.settings import SCRIPT_NAMES, SimulatorSettings, SpawnSettings, TrafficSettings
from gigalane.teach.distill import DistillSettings
from gigalane.teach.teaching import TEACHING_WORLD, teach
from gigalane.train.guidance import GuidanceSettings
from gigalane.train.ppo import PPOSettings
from gigalane.train.selfplay import self_play
from gigalane.train.settings import TrainSettings
from gigalane.viewer.eyes import MOST_BYTES, Eyes, busiest_agents, page_rig, take_pictures
from gigalane.viewer.map_picture import draw_map
from gigalane.viewer.recorded_eyes import RecordedEyes
from gigalane.viewer.replay import write_replay


@dataclass(frozen=True)
class DemoSettings:
    """How long the demonstration takes.

    Attributes:
        minutes: longest time it learns to drive [min]; to see it learns half as long.
        samples: samples it trains on at most.
        goal_rate: training ends early once this share of episodes reaches its goal.
        episodes: agent episodes that each driver is judged by at least; a quarter of them for
            those that look through cameras.
        frames: frames that a core learns to see from in a second; sets how many are wanted.
        seed: of the towns and everything random.
    """

    minutes: float = 5.0
    samples: int = 12_000_000
    goal_rate: float = 0.85
    episodes: int = 400
    frames: float = 2000.0
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


SEEING = replace(TEACHING_WORLD, worlds=16, agents=24, spawn=WORLD.spawn)
"""The same traffic for the student that learns to see."""
EYES = "surround-small"
"""Its cameras."""
TEACH = DistillSettings(mixed=0.3, pool=20_000, appearance=Appearance())
"""One town on one clear day, so that minutes are enough."""


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
    driver = _train(town, run / "drive", settings)
    console.print(
        f"[bold]2  See[/bold]  the driver teaches a copy that looks through cameras, at most "
        f"{settings.minutes / 2:g} min"
    )
    student = _teach(town, driver, run / "see", settings)
    console.print("[bold]3  Prove[/bold]  everyone drives the same town, 60 s episodes")
    subjects: list[tuple[str, Subject]] = [("trained here", driver), ("taught to see", student)]
    for name, load in (("shipped", load_default), ("shipped, seeing", load_default_camera)):
        try:
            subjects.append((name, load()))
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
                episodes=_episodes(subject, settings),
                agents=24,
                dt=0.2,
                seed=settings.seed,
                record=0 if isinstance(subject, str) else 1,
                spawn=WORLD.spawn,
            ),
        )
        found.append(evaluation)
    print_table(found)
    console.print("[bold]4  Look[/bold]")
    recordings = [r for evaluation in found for r in evaluation.recordings]
    write_replay(recordings, out / "replay.html", eyes=_pictures(recordings))
    facts = _facts(found, settings, time.perf_counter() - began)
    with replacing(out / "report.json") as beside:
        beside.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    write_report(
        found,
        out / "report.html",
        title="gigalane demo",
        picture="town.png",
        replay="replay.html",
        curve=run / "drive" / "metrics.jsonl",
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


def _train(town: RoadMap, run: Path, settings: DemoSettings) -> EntityPolicy:
    """Trains until the town is learned, or time or samples run out."""
    deadline = time.perf_counter() + 60.0 * settings.minutes
    recent: list[float] = []

    def enough(figures: dict[str, float]) -> bool:
        recent.append(figures.get("rate/reached_goal", 0.0))
        learned = len(recent) >= 10 and sum(recent[-10:]) / 10 > settings.goal_rate
        return learned or time.perf_counter() > deadline

    train = replace(TRAIN, samples=settings.samples, seed=settings.seed)
    self_play([town], WORLD, train, run, on_iteration=enough)
    driver = load_policy(run / "policy.safetensors")
    assert isinstance(driver, EntityPolicy)
    return driver


def _teach(town: RoadMap, driver: EntityPolicy, run: Path, settings: DemoSettings) -> CameraPolicy:
    """Teaches a student of the driver to see, for half the time that driving had."""
    seconds = 30.0 * settings.minutes
    deadline = time.perf_counter() + seconds
    frames = max(1, round(seconds * (os.cpu_count() or 1) * settings.frames))
    teach(
        [town],
        SEEING,
        driver,
        load_rig(EYES),
        replace(TEACH, frames=frames, seed=settings.seed),
        run,
        on_iteration=lambda figures: time.perf_counter() > deadline,
    )
    student = load_policy(run / "policy.safetensors")
    assert isinstance(student, CameraPolicy)
    return student


def _episodes(subject: Subject, settings: DemoSettings) -> int:
    """Agent episodes to judge somebody by; who looks through cameras takes far longer."""
    return settings.episodes // 4 if isinstance(subject, CameraPolicy) else settings.episodes


def _pictures(recordings: Sequence[Recording]) -> list[Eyes]:
    """What a camera on one road user of each recording sees."""
    rig, found = page_rig(load_rig(EYES)), []
    for recording in recordings:
        eyes = RecordedEyes(recording, rig, busiest_agents(recording, 1))
        found.append(take_pictures(eyes, None, MOST_BYTES // len(recordings)))
    return found


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

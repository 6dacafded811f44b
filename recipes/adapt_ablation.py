"""What adaptation needs: everything, without the feature term, with the planner learning too.

    python recipes/adapt_ablation.py OUT [--student FILE] [--seeds 3] [--pairs 20000]
                                     [--look textured] [--episodes 64]

The rows of Gigapixel's ablation (arXiv 2606.19641), on our students and in our made-up look. Each
arm differs from `full` in the one setting it is named after; `before` is the student as it was.
Every arm is measured in the new look and in the one it was taught in, on a town that nobody
learned on, in worlds of the same seeds; intervals are over the runs of different seeds. Runs that
are whole are not repeated, and one that was cut off goes on, with the same options.
"""

import argparse
import json
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from gigalane.cli.errors import InputError, one_line_errors
from gigalane.cli.study_command import asked, keep_options
from gigalane.core.files import replacing
from gigalane.evals.evaluate import EvaluateSettings, evaluate
from gigalane.maps.sources import open_maps
from gigalane.policies.camera import CameraPolicy
from gigalane.policies.checkpoint import load_policy, training_states
from gigalane.policies.shipped import open_subject
from gigalane.render.appearance import UNSEEN_LOOKS, look_named
from gigalane.studies.report import figure_text, t_interval
from gigalane.teach.adapt import AdaptSettings, adapt, frozen
from gigalane.teach.teaching import TEACHING_WORLD
from gigalane.teach.two_looks import drive_in_two_looks

TOWNS = ("town:1-16",)
UNSEEN = ("town:9001",)
KNOWN = "varied"
WORLD = replace(TEACHING_WORLD, worlds=8)
BASE = AdaptSettings(pool=8_000)
ARMS = {
    "full": BASE,
    "no-features": replace(BASE, feature_weight=0.0),
    "planner-too": replace(BASE, frees_planner=True),
}
"""Ways to adapt; the paper's HD scores are 33.2, 18.5 and 15.8 in this order."""


def adapted(folder: Path, settings: AdaptSettings, student: str, look: str) -> CameraPolicy:
    """Runs an arm with one seed, or takes the run that is there."""
    done = folder / "done.json"
    if not done.is_file():
        policy = camera_policy(student)
        target = frozen(policy)
        source = drive_in_two_looks(
            open_maps(TOWNS),
            WORLD,
            policy,
            target,
            (look_named(KNOWN), look_named(look)),
            folder,
            steps=settings.rollout_steps,
            target_share=settings.target_share,
            seed=settings.seed,
        )
        adapt(source, policy, target, settings, folder, resume=bool(training_states(folder)))
        done.write_text(json.dumps(asdict(settings)) + "\n", encoding="utf-8")
    policy = load_policy(folder / "policy.safetensors")
    assert isinstance(policy, CameraPolicy)
    return policy


def camera_policy(name: str) -> CameraPolicy:
    """The student to adapt, as it was."""
    policy = open_subject(name)
    if not isinstance(policy, CameraPolicy):
        raise InputError(f"{name}: does not drive by what it sees; give a camera policy")
    return policy


def scores(policy: CameraPolicy, looks: tuple[str, ...], episodes: int) -> dict[str, float]:
    """Driving score on an unseen town in each look."""
    found = {}
    for look in looks:
        settings = EvaluateSettings(
            episodes=episodes, agents=16, dt=0.3, seed=7, appearance=look_named(look, UNSEEN_LOOKS)
        )
        evaluation = evaluate(look, policy, open_maps(UNSEEN), settings)
        found[look] = evaluation.figures["driving_score"].value
    return found


def main() -> None:
    """Runs what is missing, and writes results.json and results.md."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="folder of the study")
    parser.add_argument("--student", default="default-camera", help="camera policy to adapt")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--pairs", type=int, default=20_000, help="pairs of each run")
    parser.add_argument("--look", default="textured", help="the new appearance")
    parser.add_argument("--episodes", type=int, default=64, help="of each measurement")
    options = parser.parse_args()
    looks = (options.look, KNOWN)
    keep_options(options.out, options, ("seeds", "episodes"))
    measured = {"before": [scores(camera_policy(options.student), looks, options.episodes)]}
    for name, arm in ARMS.items():
        measured[name] = []
        for seed in range(options.seeds):
            settings = replace(arm, seed=seed, pairs=options.pairs)
            folder = options.out / name / f"seed-{seed}"
            policy = adapted(folder, settings, options.student, options.look)
            measured[name].append(scores(policy, looks, options.episodes))
            write(options.out, measured, looks, asked(options))


def write(
    out: Path,
    measured: dict[str, list[dict[str, float]]],
    looks: tuple[str, ...],
    settings: dict[str, Any],
) -> None:
    """Writes what has been measured so far."""
    lines = ["| arm | " + " | ".join(f"score, {look}" for look in looks) + " | seeds |"]
    lines.append("|---" * (len(looks) + 2) + "|")
    for name, runs in measured.items():
        cells = [figure_text(t_interval([run[look] for run in runs])) for look in looks]
        lines.append(f"| {name} | {' | '.join(cells)} | {len(runs)} |")
    with replacing(out / "results.md") as beside:
        beside.write_text("\n".join(lines) + "\n", encoding="utf-8")
    facts = {"settings": settings, "scores": measured}
    with replacing(out / "results.json") as beside:
        beside.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    with one_line_errors() as outcome:
        main()
    sys.exit(outcome.code)

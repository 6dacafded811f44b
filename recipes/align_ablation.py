"""What each part of alignment is worth: TerraTransfer's ablation, on our own backbone.

    python recipes/align_ablation.py runs/studies/align [--seeds 3]

Arms: action only, structure only, both; the rank of the subspace that structure is compared in
(half, 80 % of the energy, double, all); and, not in the paper, the slots as numbers instead
(regression). All learn from the same paired frames for as long; a seed decides first weights and
shuffling. Measured open-loop on frames of towns that are not learned from, and closed-loop by
`gigalane evaluate` on four other towns in drawn looks, beside the teacher.

The lane's five numbers are taught as numbers in every arm: they have units and are no features.
Stops and goes on at any time, with the same options: what has been measured is not measured
again. Writes `table.md` and `align_ablation.json`.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from gigalane.cli.errors import one_line_errors
from gigalane.cli.study_command import asked, keep_options
from gigalane.core.files import replacing
from gigalane.evals.evaluate import EvaluateSettings, evaluate
from gigalane.maps.sources import open_maps
from gigalane.networks.backbones import BackboneSettings
from gigalane.policies.checkpoint import load_policy, training_states
from gigalane.policies.entity import EntityPolicy
from gigalane.policies.shipped import load_default
from gigalane.render.appearance import VARIED
from gigalane.render.camera import load_rig
from gigalane.studies.report import figure_text, t_interval
from gigalane.teach.align import AlignSettings, AlignWeights, align
from gigalane.teach.aligning import UNSEEN_SHARE, prepare
from gigalane.teach.paired_frames import HEADER_FILE, PairedFrames, open_frames
from gigalane.teach.record_frames import RecordSettings, record_frames

TOWNS, UNSEEN_TOWNS, TRIAL_TOWNS = ("town:1-16",), ("town:201-204",), ("town:301-304",)
RESULT_FILE = "result.json"
PAPER = (
    "TerraTransfer on HUGSIM: action .319, structure .307, both .490; k (7, 5) .417, (13, 9) .490, "
    "(26, 18) .484, all 64 .444"
)
OPEN_LOOP = {"unseen/divergence": "KL [nat]", "unseen/agreement": "same action"}
CLOSED_LOOP = {
    "driving_score": "driving score",
    "goal_rate": "goal",
    "collision_rate": "collision",
    "offroad_rate": "off-road",
}
SHARES = {"unseen/agreement", "goal_rate", "collision_rate", "offroad_rate"}
"""Figures that are told in per cent."""


@dataclass(frozen=True)
class Arm:
    """A way to align.

    Attributes:
        name: of its folder.
        about: what is different.
        losses: what is learned.
        rank: factor on k.
        centred: see `AlignSettings`.
    """

    name: str
    about: str
    losses: AlignWeights
    rank: float = 1.0
    centred: bool = False


ARMS = (
    Arm("both", "KL and structure, 80 % of the energy", AlignWeights()),
    Arm("action", "KL only", AlignWeights(structure=0.0)),
    Arm("structure", "structure only", AlignWeights(divergence=0.0)),
    Arm("rank-half", "both, half as many directions", AlignWeights(), 0.5),
    Arm("rank-double", "both, twice as many directions", AlignWeights(), 2.0),
    Arm("rank-full", "both, all directions", AlignWeights(), 64.0),
    Arm("centred", "both, of differences from the mean (ours)", AlignWeights(), centred=True),
    Arm("regression", "KL and slots as numbers (ours)", AlignWeights(structure=0.0, slots=1.0)),
    Arm("regression-only", "slots as numbers only (ours)",
        AlignWeights(divergence=0.0, structure=0.0, slots=1.0)),
)  # fmt: skip


def recorded(
    folder: Path, towns: Sequence[str], count: int, rig: str, seed: int, teacher: EntityPolicy
) -> PairedFrames:
    """Paired frames, recorded where they are not there yet."""
    if not (folder / HEADER_FILE).exists():
        print(f"{folder}: recording {count} frames", flush=True)
        settings = RecordSettings(frames=count, seed=seed)
        return record_frames(open_maps(towns), teacher, load_rig(rig), settings, folder)
    return open_frames(folder)


def measure(
    arm: Arm,
    seed: int,
    folder: Path,
    frames: tuple[PairedFrames, PairedFrames],
    teacher: EntityPolicy,
    options: argparse.Namespace,
) -> dict[str, Any]:
    """Aligns and drives, where that has not been done; returns the figures."""
    result = folder / RESULT_FILE
    if result.exists():
        return json.loads(result.read_text(encoding="utf-8"))
    settings = AlignSettings(
        epochs=options.epochs, seed=seed, losses=arm.losses, rank=arm.rank, centred=arm.centred
    )
    pupil = prepare(*frames, teacher, BackboneSettings(options.backbone), seed)
    told = align(pupil, teacher, settings, folder, resume=bool(training_states(folder)))
    found = drive(arm.name, load_policy(told["policy"]), options)
    facts = {"ranks": told["ranks"], "seconds": told["seconds"], **told["figures"], **found}
    with replacing(result) as beside:
        beside.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    return facts


def drive(name: str, policy: Any, options: argparse.Namespace) -> dict[str, float]:  # noqa: ANN401
    """Closed-loop figures on towns that nobody learned from."""
    settings = EvaluateSettings(
        episodes=options.episodes, seconds=options.seconds, density=5.0,
        appearance=replace(VARIED, seed=77),
    )  # fmt: skip
    found = evaluate(name, policy, open_maps(options.towns), settings)
    return {key: found.figures[key].as_json()["value"] for key in CLOSED_LOOP}


def summarize(results: Mapping[str, Mapping[int, Mapping[str, Any]]]) -> dict[str, Any]:
    """By arm and figure: value of each seed, mean, t interval, difference to `both` by seed."""
    base = results["both"]
    told: dict[str, Any] = {}
    for arm, seeds in results.items():
        told[arm] = {"ranks": {str(s): facts["ranks"] for s, facts in seeds.items()}}
        for key in (*OPEN_LOOP, *CLOSED_LOOP):
            values = {s: facts[key] for s, facts in seeds.items() if facts[key] is not None}
            paired = [values[s] - base[s][key] for s in values if base[s][key] is not None]
            told[arm][key] = {
                "seeds": {str(s): value for s, value in values.items()},
                **(t_interval(list(values.values())) if values else {"mean": None}),
                "difference": t_interval(paired) if paired and arm != "both" else None,
            }
    return told


def table(facts: Mapping[str, Any]) -> str:
    """All arms beside the teacher, as Markdown."""
    names = {**OPEN_LOOP, **CLOSED_LOOP}
    rows = [
        "# Alignment, part by part",
        "",
        "| arm | what | k road, partners, controls | " + " | ".join(names.values()) + " |",
        "|---" * (3 + len(names)) + "|",
    ]
    for arm in ARMS:
        found = facts["arms"].get(arm.name)
        if found is None:
            continue
        ranks = ", ".join(str(k) for k in next(iter(found["ranks"].values())).values())
        cells = " | ".join(figure_text(found[key], key in SHARES) for key in names)
        rows.append(f"| {arm.name} | {arm.about} | {ranks} | {cells} |")
        if arm.name != "both":
            gaps = " | ".join(figure_text(found[key]["difference"], key in SHARES) for key in names)
            rows.append(f"| − both | | | {gaps} |")
    teacher = " | ".join(
        figure_text({"mean": facts["teacher"].get(key)}, key in SHARES) for key in names
    )
    settings = facts["settings"]
    rows += [
        f"| teacher | is shown the state | – | {teacher} |",
        "",
        f"Mean over {settings['seeds']} seeds and 95 % t interval over seeds; below it the "
        "difference to both, paired by seed. The choice of frames and of the worlds driven in, "
        f"the same for all, is not in the intervals. {settings['frames']} frames, "
        f"{settings['epochs']} epochs, backbone {settings['backbone']}, rig {settings['rig']}; "
        f"{settings['episodes']} episodes of {settings['seconds']:g} s on "
        f"{', '.join(settings['towns'])}.",
        "",
        f"{PAPER} (partners, road).",
        "",
    ]
    return "\n".join(rows)


def main() -> None:
    """Runs what is missing and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="folder of the study")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--frames", type=int, default=40_000, help="to learn from")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--backbone", default="own", help="own, random or a folder")
    parser.add_argument("--rig", default="surround")
    parser.add_argument("--episodes", type=int, default=200, help="of each closed-loop figure")
    parser.add_argument("--seconds", type=float, default=60.0, help="of an episode")
    parser.add_argument("--towns", nargs="+", default=list(TRIAL_TOWNS), help="to drive in")
    parser.add_argument("--learn-towns", nargs="+", default=list(TOWNS), help="to learn from")
    parser.add_argument("--arms", nargs="+", default=[arm.name for arm in ARMS])
    options = parser.parse_args()
    keep_options(options.out, options, ("seeds", "arms"))
    teacher = load_default()
    rig, fewer = options.rig, max(10, int(options.frames * UNSEEN_SHARE))
    frames = (
        recorded(options.out / "frames", options.learn_towns, options.frames, rig, 0, teacher),
        recorded(options.out / "unseen", UNSEEN_TOWNS, fewer, rig, 1, teacher),
    )
    place = options.out / "teacher.json"
    if not place.exists():
        place.write_text(json.dumps(drive("teacher", load_default(), options)), encoding="utf-8")
    results: dict[str, dict[int, dict[str, Any]]] = {}
    for seed in range(options.seeds):
        for arm in (arm for arm in ARMS if arm.name in {"both", *options.arms}):
            folder = options.out / "runs" / arm.name / f"seed-{seed}"
            found = measure(arm, seed, folder, frames, teacher, options)
            results.setdefault(arm.name, {})[seed] = found
            print(arm.name, seed, {k: found[k] for k in (*OPEN_LOOP, *CLOSED_LOOP)}, flush=True)
            write(options, results, json.loads(place.read_text(encoding="utf-8")))


def write(
    options: argparse.Namespace,
    results: Mapping[str, Mapping[int, Mapping[str, Any]]],
    teacher: Mapping[str, float],
) -> None:
    """Writes the JSON file and the table of what there is so far."""
    facts = {
        "arms": summarize(results),
        "losses": {arm.name: asdict(arm) for arm in ARMS},
        "teacher": teacher,
        "interval": "95 % t interval over seeds; differences are paired by seed",
        "settings": asked(options),
    }
    with replacing(options.out / "align_ablation.json") as beside:
        beside.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    with replacing(options.out / "table.md") as beside:
        beside.write_text(table(facts), encoding="utf-8")


if __name__ == "__main__":
    with one_line_errors() as outcome:
        main()
    sys.exit(outcome.code)

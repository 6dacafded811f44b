"""Measures a camera student beside its teacher: seen and unseen towns, seen and unseen looks.

    GIGALANE_DATA=… python benchmarks/students.py NAME [STUDENT] [--few]

Writes `students/NAME.json`. Everybody drives every car of the same worlds, from the same seeds, at
0.2 s a step for 60 s. `seen` towns are those of the recipe; `unseen` ones are procedural towns
that nothing is trained on, and CARLA's Town05 and Town10HD. `varied` looks are of the kind that
students are taught in, with other draws; `dusk` looks are of another. The open-loop error is that
of the same student while its teacher drives the same worlds. `--few` takes a quarter of the worlds.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from gigalane.core.files import replacing
from gigalane.evals.evaluate import EvaluateSettings, Evaluation, evaluate
from gigalane.evals.open_loop import open_loop
from gigalane.evals.suites import open_suite
from gigalane.maps.sources import open_maps
from gigalane.policies.camera import CameraPolicy
from gigalane.policies.shipped import load_default, open_subject
from gigalane.render.appearance import UNSEEN_LOOKS, look_named

FOLDER = Path(__file__).parent / "students"
TOWNS = {"seen": ["town:1-4"], "unseen": ["town:9001-9004"]}
CARLA = "unseen-carla"
LOOKS = ("varied", "dusk")
FIGURES = ("driving_score", "goal_rate", "collision_rate", "offroad_rate", "red_light_rate",
           "km_per_incident")  # fmt: skip


def main() -> None:
    """Measures and writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", help="of the file that is written")
    parser.add_argument("student", nargs="?", default="default-camera", help="a policy file")
    parser.add_argument("--few", action="store_true", help="a quarter of the worlds, two towns")
    options = parser.parse_args()
    student, teacher = open_subject(options.student), load_default()
    assert isinstance(student, CameraPolicy)
    towns = {name: open_maps(sources) for name, sources in TOWNS.items()}
    towns[CARLA] = open_maps(open_suite("unseen-dense").sources())
    found: dict[str, Any] = {"student": options.name, "splits": {}}
    for place, maps in towns.items():
        agents = 40 if options.few else 0
        chosen = maps[:2] if options.few else maps
        base = EvaluateSettings(episodes=160 if options.few else 800, dt=0.2, seed=5, agents=agents)
        measured = evaluate("teacher", teacher, chosen, base)
        found["splits"][place] = {"teacher": figures(measured)}
        for look in LOOKS if place != CARLA else LOOKS[:1]:
            settings = replace(base, appearance=look_named(look, UNSEEN_LOOKS))
            measured = evaluate(options.name, student, chosen, settings)
            error = open_loop(student, teacher, chosen, settings)
            row = figures(measured) | {"open_loop": asdict(error)}
            found["splits"][place][look] = row
            score, best = (
                part["driving_score"]["value"] for part in (row, found["splits"][place]["teacher"])
            )
            print(f"{place} {look}: {score:.3f}, {score / best:.0%} of the teacher's {best:.3f}")
    found["settings"] = {"seconds": 60.0, "dt": 0.2, "few": options.few, "looks": UNSEEN_LOOKS}
    FOLDER.mkdir(exist_ok=True)
    with replacing(FOLDER / f"{options.name}.json") as beside:
        beside.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def figures(measured: Evaluation) -> dict[str, Any]:
    """What is kept of an evaluation."""
    whole = measured.as_json()
    return {name: whole[name] for name in (*FIGURES, "episodes", "kilometres", "seconds")}


if __name__ == "__main__":
    main()

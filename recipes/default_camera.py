"""The shipped camera driver: self-play DAgger from the shipped driver, on ninety-nine towns.

    GIGALANE_DATA=… python recipes/default_camera.py runs/camera

The student drives every car through one strip all around; its teacher is the driver that ships.
The first stage has ninety-six procedural towns, a world of 40 each; its learning rate falls to
nothing twice, after 4.2 and after 5.4 million frames. The second goes on from it in 24 more worlds,
CARLA's Town01, Town03 and Town04, and pushes about the shades of every frame. One thread of a busy
machine made 700 to 950 frames a second: two hours for the first stage, an hour and more for the
second; two threads of an idle one make 1,440. What is remembered takes 6 GB. What ships is
RUN/default-camera.safetensors: the weights of the second stage, more careful where they are unsure.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from gigalane.cli.errors import one_line_errors
from gigalane.maps.sources import located, open_maps
from gigalane.policies.camera import CameraPolicy
from gigalane.policies.checkpoint import (
    load_policy,
    read_policy_metadata,
    save_policy,
    training_states,
)
from gigalane.policies.shipped import load_default
from gigalane.render.camera import load_rig
from gigalane.teach.distill import DistillSettings
from gigalane.teach.teaching import TEACHING_WORLD, teach
from gigalane.train.run_folder import POLICY_FILE, learned_from

PROCEDURAL_TOWNS = "town:1-96"
CARLA_TOWNS = 8 * tuple(f"$/opendrive/carla/Town0{k}.xodr.gz" for k in (1, 3, 4))
RIG = "surround"
TOWNS = DistillSettings(frames=4_200_000, rollout_steps=2, pool=100_000, threads=1)
AGAIN = replace(TOWNS, frames=5_400_000)
STREETS = replace(
    TOWNS,
    seed=1,
    frames=3_200_000,
    mixed=0.01,
    learning_rate=5e-4,
    recolour=0.3,
    appearance=replace(TOWNS.appearance, seed=500_000),
)
CAUTION = 0.65
"""Chosen for a student of the first stage, on towns 8003 to 8006; see journal 013 and 014."""


def main() -> None:
    """Teaches, or goes on teaching."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run", type=Path, help="folder of the run; what was stopped there goes on")
    run = parser.parse_args().run
    everywhere = located((PROCEDURAL_TOWNS, *CARLA_TOWNS), "default-camera")
    towns, streets = run / "towns", run / "streets"
    for folder, before, sources, settings in (
        (towns, None, (PROCEDURAL_TOWNS,), TOWNS),
        (towns, None, (PROCEDURAL_TOWNS,), AGAIN),
        (streets, towns, everywhere, STREETS),
    ):
        if learned_from(folder, "frames") < settings.frames:
            lessons(folder, before, sources, settings)
        if learned_from(folder, "frames") < settings.frames:
            return  # stopped
    ship(run)


def lessons(
    folder: Path, before: Path | None, sources: Sequence[str], settings: DistillSettings
) -> None:
    """A stage, in a world a map; it begins with the student of the one before, if any."""
    maps, begun, start = open_maps(sources), bool(training_states(folder)), None
    if before is not None and not begun:
        start = load_policy(before / POLICY_FILE)
        assert isinstance(start, CameraPolicy)
    teach(
        maps,
        replace(TEACHING_WORLD, worlds=len(maps)),
        load_default(),
        load_rig(RIG),
        settings,
        folder,
        start=start,
        resume=begun,
        sources=sources,
        names={"teacher": "default"},
    )


def ship(run: Path) -> None:
    """Writes what ships: the student of the last stage, as careful as it should be."""
    taught = run / "streets" / POLICY_FILE
    policy = load_policy(taught)
    assert isinstance(policy, CameraPolicy)
    policy.settings = replace(policy.settings, caution=CAUTION)
    save_policy(policy, run / "default-camera.safetensors", metadata=read_policy_metadata(taught))


if __name__ == "__main__":
    with one_line_errors() as outcome:
        main()
    sys.exit(outcome.code)

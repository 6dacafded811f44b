"""The shipped camera driver: self-play DAgger from the shipped driver, on ninety-six towns.

    python recipes/default_camera.py runs/camera                              # 4.2 million frames
    python recipes/default_camera.py runs/camera --resume --frames 5400000    # what ships

The student drives every car of 96 worlds of 40 through one strip all around; its teacher is the
driver that ships. One thread of a busy machine made 700 to 950 frames a second of it: 100 minutes
for the first 4.2 million, half an hour for the rest, whose learning rate begins anew at an eighth.
What is remembered takes 6 GB. What ships is RUN/default-camera.safetensors: the same weights, more
careful where they are unsure. How much more was chosen on towns 8001 to 8006, after 4.2 million.
"""

import argparse
from dataclasses import replace
from pathlib import Path

from gigalane.maps.sources import open_maps
from gigalane.policies.checkpoint import load_policy, read_policy_metadata, save_policy
from gigalane.policies.shipped import load_default
from gigalane.render.camera import load_rig
from gigalane.teach.distill import DistillSettings
from gigalane.teach.teaching import TEACHING_WORLD, teach

TOWNS = "town:1-96"
WORLD = replace(TEACHING_WORLD, worlds=96)
RIG = "surround"
SETTINGS = DistillSettings(frames=4_200_000, rollout_steps=2, pool=100_000)
CAUTION = 0.65


def main() -> None:
    """Teaches, or goes on teaching."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run", type=Path, help="folder of the run")
    parser.add_argument("--resume", action="store_true", help="go on with that run")
    parser.add_argument("--frames", type=int, default=SETTINGS.frames, help="to learn from")
    options = parser.parse_args()
    teach(
        open_maps([TOWNS]),
        WORLD,
        load_default(),
        load_rig(RIG),
        replace(SETTINGS, frames=options.frames),
        options.run,
        resume=options.resume,
        sources=(TOWNS,),
        names={"teacher": "default", "rig": RIG},
    )
    ship(options.run)


def ship(run: Path) -> None:
    """Writes what ships: the policy of a run, as careful as it should be."""
    taught = run / "policy.safetensors"
    policy = load_policy(taught)
    policy.settings = replace(policy.settings, caution=CAUTION)
    save_policy(policy, run / "default-camera.safetensors", metadata=read_policy_metadata(taught))


if __name__ == "__main__":
    main()

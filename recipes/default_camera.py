"""The shipped camera driver: self-play DAgger from the shipped driver, on twenty-four towns.

    python recipes/default_camera.py runs/camera [--resume] [--frames 4500000]

The student drives every car of 24 worlds of 40 through one strip all around; its teacher is the
driver that ships. One thread of a busy machine made 800 frames a second of it: 97 minutes in all.
The file that ships remembered 60,000 frames and had its looks drawn every eight roll-outs for the
first 1.5 million frames, and went on as it is written here; what is remembered takes 12 GB.
"""

import argparse
from dataclasses import replace
from pathlib import Path

from gigalane.maps.sources import open_maps
from gigalane.policies.shipped import load_default
from gigalane.render.camera import load_rig
from gigalane.teach.distill import DistillSettings
from gigalane.teach.teaching import TEACHING_WORLD, teach

TOWNS = "town:1-96"
WORLD = replace(TEACHING_WORLD, worlds=96)
RIG = "surround"
SETTINGS = DistillSettings(frames=4_200_000, rollout_steps=2, pool=100_000)


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


if __name__ == "__main__":
    main()

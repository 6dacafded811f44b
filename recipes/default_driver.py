"""The shipped driver: self-play on sixteen procedural towns and CARLA towns 1 to 4.

    GIGALANE_DATA=… python recipes/default_driver.py runs/default [--resume]

Two CPU cores make about 15,000 to 30,000 samples a second of it. The run can be stopped and
resumed at any time; `--samples` sets where the cosine of the learning rate ends.
"""

import argparse
import os
from pathlib import Path

from gigalane.maps.sources import open_maps
from gigalane.sim.settings import SimulatorSettings
from gigalane.train.ppo import PPOSettings
from gigalane.train.selfplay import self_play
from gigalane.train.trainer import TrainSettings

CARLA_TOWNS = tuple(f"opendrive/carla/Town0{k}.xodr.gz" for k in (1, 2, 3, 4))
PROCEDURAL_TOWNS = "town:1-16"
WORLD = SimulatorSettings(worlds=80, agents=40)
TRAIN = TrainSettings(
    samples=100_000_000,
    rollout_steps=24,
    discount=0.99,
    ppo=PPOSettings(learning_rate=5e-4, epochs=2, minibatch=2048),
)


def main() -> None:
    """Trains, or goes on training."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="folder of the run")
    parser.add_argument("--resume", action="store_true", help="go on with that run")
    options = parser.parse_args()
    data = Path(os.environ["GIGALANE_DATA"])
    maps = open_maps([PROCEDURAL_TOWNS, *(str(data / town) for town in CARLA_TOWNS)])
    self_play(maps, WORLD, TRAIN, options.run, resume=options.resume)


if __name__ == "__main__":
    main()

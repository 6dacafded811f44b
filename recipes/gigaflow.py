"""GIGAFLOW's own sizes (arXiv 2502.03349), for a machine with GPUs; far too large for a laptop.

    python recipes/gigaflow.py runs/gigaflow [--resume] [--worlds 4800]

Its batch is 38,400 worlds of 1 to 150 road users on eight GPUs; `--worlds` sets this machine's
share. Constants that the paper does not give are those of the default settings.
"""

import argparse
from pathlib import Path

from gigalane.maps.augment import augment
from gigalane.maps.compile import CompileSettings
from gigalane.maps.sources import open_maps
from gigalane.maps.tokens import TokenSettings
from gigalane.policies.entity import EntitySettings
from gigalane.sim.settings import ObservationSettings, SimulatorSettings, SpawnSettings
from gigalane.train.ppo import PPOSettings
from gigalane.train.selfplay import self_play
from gigalane.train.trainer import TrainSettings

TOWNS = "town:1-16"
VARIANTS = 8
"""Affine variants of each town; the paper has 128 maps in all."""
MAPS = CompileSettings(tokens=TokenSettings.gigaflow())
TRAIN = TrainSettings(
    samples=1_000_000_000_000,
    rollout_steps=128,
    discount=0.999,
    policy=EntitySettings.gigaflow(),
    ppo=PPOSettings(learning_rate=5e-4, epochs=3, minibatch=256_000),
)


def main() -> None:
    """Trains, or goes on training."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="folder of the run")
    parser.add_argument("--worlds", type=int, default=4800, help="worlds on this machine")
    parser.add_argument("--resume", action="store_true", help="go on with that run")
    options = parser.parse_args()
    world = SimulatorSettings(
        worlds=options.worlds,
        agents=150,
        agents_least=1,
        time_steps=(0.3,),
        episode_s=360.0,
        spawn=SpawnSettings(
            car_length=(0.8, 7.0),
            car_width=(0.8, 3.0),
            truck_share=0.0,
            cyclists=0.0,
            pedestrians=0.0,
            goal_distance=(100.0, 600.0),
        ),
        observation=ObservationSettings.gigaflow(),
    )
    maps = [augment(town, seed) for town in open_maps([TOWNS]) for seed in range(VARIANTS)]
    self_play(maps, world, TRAIN, options.run, resume=options.resume, compile_settings=MAPS)


if __name__ == "__main__":
    main()

"""The shipped driver: self-play on sixteen procedural towns and CARLA towns 1 to 4.

    GIGALANE_DATA=… python recipes/default_driver.py runs/default [--resume]

Two stages. The first looks half a minute ahead (discount 0.99 a 0.3 s step), which learns
driving quickly; but to somebody who counts that little of the future a red light costs more
than its penalty. The second looks four minutes ahead and anneals. Two CPU cores make about
20,000 to 35,000 samples a second of it; each stage can be stopped and resumed at any time.
"""

import argparse
import os
from dataclasses import replace
from pathlib import Path

from gigalane.maps.sources import open_maps
from gigalane.policies.checkpoint import load_policy
from gigalane.sim.settings import SimulatorSettings
from gigalane.train.ppo import PPOSettings
from gigalane.train.selfplay import self_play
from gigalane.train.trainer import POLICY_FILE, TrainSettings

CARLA_TOWNS = tuple(f"opendrive/carla/Town0{k}.xodr.gz" for k in (1, 2, 3, 4))
PROCEDURAL_TOWNS = "town:1-16"
WORLD = SimulatorSettings(worlds=80, agents=40)
FIRST = TrainSettings(
    samples=100_000_000,
    rollout_steps=24,
    discount=0.99,
    ppo=PPOSettings(learning_rate=5e-4, epochs=2, minibatch=2048),
)
FIRST_ENDS = 45_000_000
"""Samples after which the first stage hands over, its learning rate still high."""
SECOND = replace(
    FIRST,
    samples=45_000_000,
    discount=0.998,
    ppo=PPOSettings(learning_rate=3e-4, epochs=2, minibatch=2048),
)


def main() -> None:
    """Trains, or goes on training."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="folder of the run")
    parser.add_argument("--resume", action="store_true", help="go on with that run")
    options = parser.parse_args()
    data = Path(os.environ["GIGALANE_DATA"])
    maps = open_maps([PROCEDURAL_TOWNS, *(str(data / town) for town in CARLA_TOWNS)])
    first, second = options.run / "first", options.run / "second"
    goes_on = second.exists()
    if not goes_on:
        self_play(
            maps,
            WORLD,
            FIRST,
            first,
            resume=options.resume,
            on_iteration=lambda figures: figures["samples"] >= FIRST_ENDS,
        )
    self_play(
        maps,
        WORLD,
        SECOND,
        second,
        resume=goes_on,
        start=None if goes_on else load_policy(first / POLICY_FILE),
    )


if __name__ == "__main__":
    main()

"""The shipped driver: told for a while, then alone, by self-play on twenty towns.

    GIGALANE_DATA=… python recipes/default_driver.py runs/default

In the first stage the scripted driver says at every state what it would do, less and less so
until 6 million samples (`gigalane.train.guidance`); the second is reward alone, and the third goes
on from it with a learning rate that starts high once more. Worlds hold 64 road users: about 9 to
a lane-kilometre on the procedural towns, 2 to 10 on CARLA's. Two idle CPU cores make 70,000 to
80,000 samples a second of it. What was stopped goes on when it is run again.
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from gigalane.cli.errors import one_line_errors
from gigalane.maps.sources import located, open_maps
from gigalane.policies.checkpoint import load_policy, training_states
from gigalane.sim.settings import SimulatorSettings
from gigalane.train.guidance import GuidanceSettings
from gigalane.train.ppo import PPOSettings
from gigalane.train.run_folder import POLICY_FILE, learned_from
from gigalane.train.selfplay import self_play
from gigalane.train.trainer import TrainSettings

CARLA_TOWNS = tuple(f"$/opendrive/carla/Town0{k}.xodr.gz" for k in (1, 3, 4))
PROCEDURAL_TOWNS = "town:1-16"
WORLD = SimulatorSettings(worlds=48, agents=64)
TOLD = TrainSettings(
    samples=30_000_000,
    rollout_steps=24,
    discount=0.99,
    guidance=GuidanceSettings(weight=1.0, samples=6_000_000),
    ppo=PPOSettings(learning_rate=5e-4, epochs=2, minibatch=2048, entropy_fades=0.9),
)
TOLD_ENDS = 10_000_000
"""Samples after which the first stage hands over, its learning rate still high."""
ALONE = replace(
    TOLD,
    samples=120_000_000,
    guidance=GuidanceSettings(),
    ppo=replace(TOLD.ppo, entropy_weight=0.003),
)
AGAIN = replace(ALONE, ppo=replace(ALONE.ppo, learning_rate=3e-4, entropy_weight=0.002))
STAGES = {
    "told": (TOLD, TOLD_ENDS),
    "alone": (ALONE, ALONE.samples),
    "again": (AGAIN, AGAIN.samples),
}
"""How each stage learns, and after how many samples of its own the next takes over its policy."""


def main() -> None:
    """Trains, or goes on training."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="folder of the run; what was stopped there goes on")
    run = parser.parse_args().run
    maps = open_maps(located([PROCEDURAL_TOWNS, *CARLA_TOWNS], "default"))
    policy = None
    for name, (settings, end) in STAGES.items():
        folder = run / name
        if learned_from(folder, "samples") < end:
            goes_on = bool(training_states(folder))
            self_play(
                maps,
                WORLD,
                settings,
                folder,
                resume=goes_on,
                start=None if goes_on else policy,
                on_iteration=lambda figures, end=end: figures["samples"] >= end,
            )
            if learned_from(folder, "samples") < end:
                return  # stopped
        policy = load_policy(folder / POLICY_FILE)


if __name__ == "__main__":
    with one_line_errors() as outcome:
        main()
    sys.exit(outcome.code)

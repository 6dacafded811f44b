"""Trains a small driver by self-play and evaluates it on a town it has not seen.

    python examples/05_train_a_driver.py [SAMPLES]

Two million samples take about two minutes on two CPU cores. The folder of the run holds the
policy, the learning curve and the training state, so `self_play(…, resume=True)` goes on.
"""

import sys
import tempfile

from gigalane import SimulatorSettings
from gigalane.evals.evaluate import EvaluateSettings, evaluate
from gigalane.evals.report import print_table
from gigalane.maps.generate import TINY_TOWN, generate_town
from gigalane.train.ppo import PPOSettings
from gigalane.train.selfplay import self_play
from gigalane.train.trainer import TrainSettings


def main(samples: int = 2_000_000, worlds: int = 128, episodes: int = 200) -> None:
    """Trains, evaluates, and compares with a scripted driver."""
    towns = [generate_town(seed, TINY_TOWN) for seed in (1, 2, 3, 4)]
    world = SimulatorSettings(worlds=worlds, agents=10)
    settings = TrainSettings(
        samples=samples, discount=0.98, ppo=PPOSettings(learning_rate=1e-3, epochs=2)
    )
    with tempfile.TemporaryDirectory() as folder:
        policy = self_play(towns, world, settings, folder)

    unseen = [generate_town(99, TINY_TOWN)]
    trial = EvaluateSettings(episodes=episodes, agents=10, seconds=30.0)
    print_table(
        [
            evaluate("trained here", policy, unseen, trial),
            evaluate("idm", "idm", unseen, trial),
        ]
    )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))

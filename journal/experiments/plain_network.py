"""Does the network's own code learn what plain torch learns, sample by sample?

    python journal/experiments/plain_network.py OUT [--seeds 3] [--samples 1.5e6] [--jobs 2]

The arms differ in how the same network is computed: by the kernels of `gigalane.networks`, with
bfloat16 operands where the processor is fast at them, or by plain torch in float32. Both learn
as the shipped driver begins: with the scripted driver's advice.
"""

import sys
from dataclasses import replace
from pathlib import Path

from gigalane.cli.study_command import study_command
from gigalane.networks import dense, sets
from gigalane.sim.settings import SimulatorSettings
from gigalane.train.guidance import GuidanceSettings
from gigalane.train.ppo import PPOSettings
from gigalane.studies.study import FLAT, Arm, Budget, Stage, Study, Trial
from gigalane.train.trainer import Trainer, TrainSettings
from gigalane.worlds.world import World


def plain_torch(world: World, settings: TrainSettings, run_directory: Path) -> Trainer:
    """A trainer whose process computes networks without kernels from now on."""
    sets.fits_kernels = lambda *_: False
    dense.fits_kernels = lambda *_: False
    return Trainer(world, settings, run_directory)


KERNELS = Stage(
    maps=("town:1-16",),
    world=SimulatorSettings(worlds=80, agents=40),
    train=TrainSettings(
        samples=FLAT,
        rollout_steps=24,
        discount=0.99,
        guidance=GuidanceSettings(weight=1.0, samples=6_000_000),
        ppo=PPOSettings(learning_rate=5e-4, epochs=2, minibatch=2048),
    ),
)
PLAIN = replace(KERNELS, train=replace(KERNELS.train, precision="fp32"), learner=plain_torch)
ARMS = (
    Arm("kernels", "the network's own kernels, bfloat16 operands", (KERNELS,)),
    Arm("plain-torch", "the same network in plain torch, float32", (PLAIN,)),
)


def plain_network(budget: Budget, seeds: int, trials: tuple[Trial, ...]) -> Study:
    """The study: unseen towns at 0.3 s."""
    return Study("plain-network", ARMS, budget, seeds, trials[:1], marks=(0.25, 0.5, 0.75, 1.0))


if __name__ == "__main__":
    about = "Does the network's own code learn what plain torch learns?"
    sys.exit(study_command(plain_network, about, Budget(1_500_000)))

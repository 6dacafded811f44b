"""What each part of self-play is worth: the same training with one thing changed.

    python recipes/ablation.py OUT [--seeds 3] [--samples 3e6] [--cpu-minutes 5] [--jobs 2]
                                   [--only ARM …]

Every run goes on until it has spent both budgets, so one run answers at equal samples and at
equal CPU time. A sample is a learner's step: among scripted drivers there are few of them in
each step of the simulator, so the same samples cost several times the CPU time. The learning
rate is constant, because runs end at two places. `gigalane.studies.study` explains the rest.
"""

import sys
from dataclasses import replace

from gigalane.cli.study_command import study_command
from gigalane.sim.settings import PersonaSettings, SimulatorSettings, TrafficSettings
from gigalane.studies.study import FLAT, Arm, Budget, Stage, Study, Trial
from gigalane.train.advantage import FilterSettings
from gigalane.train.ppo import PPOSettings
from gigalane.train.trainer import TrainSettings

LEARNERS = 0.2
"""Share of drivers that learn among scripted ones."""

BASE = Stage(
    maps=("town:1-16",),
    world=SimulatorSettings(worlds=80, agents=40),
    train=TrainSettings(
        samples=FLAT,
        rollout_steps=24,
        discount=0.99,
        ppo=PPOSettings(learning_rate=5e-4, epochs=2, minibatch=2048),
    ),
)
UNFILTERED = replace(BASE.train, filter=FilterSettings(threshold=0.0))
ONE_PERSONA = replace(BASE.world, persona=PersonaSettings.strict())
SCRIPTED = replace(BASE.world, traffic=TrafficSettings(scripted=1.0 - LEARNERS))

ARMS = (
    Arm("base", "self-play as the shipped driver learns", (BASE,)),
    Arm("no-filter", "learns from every transition", (replace(BASE, train=UNFILTERED),)),
    Arm("one-persona", "always the careful persona", (replace(BASE, world=ONE_PERSONA),)),
    Arm(
        "scripted-traffic", "one in five learns, the rest is IDM", (replace(BASE, world=SCRIPTED),)
    ),
    Arm("one-map", "one town instead of sixteen", (replace(BASE, maps=("town:1",)),)),
)


def ablation(budget: Budget, seeds: int, trials: tuple[Trial, ...]) -> Study:
    """The study: unseen towns at 0.3 s at every mark, Town05 at 0.1 s at the end."""
    return Study("ablation", ARMS, budget, seeds, (trials[0], trials[-1]), marks=(0.5, 1.0))


if __name__ == "__main__":
    about = "What each part of self-play is worth."
    sys.exit(study_command(ablation, about, Budget(3_000_000, 300.0)))

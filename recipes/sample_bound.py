"""Can a driver learn from fewer samples? Advice, curricula, resets near incidents, chosen worlds.

    python recipes/sample_bound.py OUT [--seeds 3] [--cpu-minutes 30] [--jobs 2] [--only ARM …]

Everything at equal CPU time. A curriculum is a run in stages: each goes on with the policy and
the optimiser of the one before. Rows of a batch stay 3,200 wherever the number of road users in
a world changes, so the network works on the same number of rows in every arm. Runs that a
script of its own wrote into OUT/runs/NAME/seed-K (`gigalane.studies.study` has the format) are
measured and shown beside these.
"""

import sys
from dataclasses import replace

from gigalane.cli.study_command import study_command
from gigalane.maps.generate import TownSettings
from gigalane.sim.settings import SimulatorSettings
from gigalane.studies.study import FLAT, Arm, Budget, Stage, Study, Trial
from gigalane.train.guidance import GuidanceSettings
from gigalane.train.ppo import PPOSettings
from gigalane.train.trainer import TrainSettings
from gigalane.worlds.rewinding import RewindSettings

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
SMALL_TOWNS = TownSettings(size_m=300.0, minimum_junctions=4, maximum_junctions=8)

ALMOST_ALONE = replace(BASE.world, worlds=400, agents=8)
HALF_AS_DENSE = replace(BASE.world, worlds=160, agents=20)
"""Also as dense in a small town, which has half the road, as `BASE.world` is in a town."""
LONG_STEPS = replace(BASE.world, time_steps=(0.3,))
FAR_SIGHTED = replace(BASE.train, discount=0.998)

DENSITY = (
    replace(BASE, world=ALMOST_ALONE, until=0.2),
    replace(BASE, world=HALF_AS_DENSE, until=0.5),
    BASE,
)
HORIZON = (replace(BASE, until=0.6), replace(BASE, train=FAR_SIGHTED))
TIME_STEP = (replace(BASE, world=LONG_STEPS, until=0.5), BASE)
TOWN_SIZE = (replace(BASE, world=HALF_AS_DENSE, towns=SMALL_TOWNS, until=0.4), BASE)
TOGETHER = (
    replace(BASE, world=replace(ALMOST_ALONE, time_steps=(0.3,)), towns=SMALL_TOWNS, until=0.2),
    replace(BASE, world=replace(HALF_AS_DENSE, time_steps=(0.3,)), until=0.5),
    replace(BASE, until=0.7),
    replace(BASE, train=FAR_SIGHTED),
)
TOLD = replace(BASE.train, guidance=GuidanceSettings(weight=1.0, samples=3_000_000))
NEAR_INCIDENTS = replace(BASE, rewind=RewindSettings(into="same"))
EVENTFUL_WORLDS = replace(BASE, rewind=RewindSettings(into="calmest"))

ARMS = (
    Arm("base", "PPO from scratch, everything from the start", (BASE,)),
    Arm("told", "the scripted driver's advice, fading", (replace(BASE, train=TOLD),)),
    Arm("density", "8, then 20, then 40 road users in a world", DENSITY),
    Arm("horizon", "discount 0.99, then 0.998", HORIZON),
    Arm("time-step", "0.3 s, then all time steps", TIME_STEP),
    Arm("town-size", "small towns, then all", TOWN_SIZE),
    Arm("together", "all four curricula at once", TOGETHER),
    Arm("near-incidents", "worlds go back to before incidents", (NEAR_INCIDENTS,)),
    Arm("eventful-worlds", "calm worlds become others' moments before", (EVENTFUL_WORLDS,)),
)


def sample_bound(budget: Budget, seeds: int, trials: tuple[Trial, ...]) -> Study:
    """The study: unseen towns at 0.3 s at every mark, Town05 at 0.1 s at the end."""
    return Study(
        "sample-bound", ARMS, budget, seeds, (trials[0], trials[-1]), marks=(0.25, 0.5, 1.0)
    )


if __name__ == "__main__":
    about = "Can a driver learn from fewer samples?"
    sys.exit(study_command(sample_bound, about, Budget(cpu_seconds=1800.0)))

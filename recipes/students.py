"""How should a student that looks through cameras be taught? Who drives, and what it is told.

    python recipes/students.py OUT [--seeds 3] [--samples FRAMES] [--jobs 2] [--only ARM …]

Samples are frames: every arm learns from as many. Marks on the way give the scaling curve, of
self-play DAgger against cloning; what is measured is closed-loop, on towns nobody learns on, in
looks that were never drawn in the lessons. The learning rate has fallen to 0 at the end only, so
earlier marks are below what so few frames could give.
"""

import sys
from dataclasses import replace

from gigalane.cli.study_command import study_command
from gigalane.evals.evaluate import EvaluateSettings
from gigalane.render.appearance import look_named
from gigalane.train.comparison import LossWeights
from gigalane.train.distill import DistillSettings
from gigalane.train.study import Budget, Study, Trial
from gigalane.train.study_lessons import Lessons, StudentArm

BASE = Lessons()
UNSEEN_LOOKS = 1_000_000
TOWNS = Trial(
    "towns-dt0.3",
    ("town:9001-9002",),
    EvaluateSettings(
        episodes=200, agents=24, dt=0.3, seed=7, appearance=look_named("varied", UNSEEN_LOOKS)
    ),
)


def taught(**changes: object) -> Lessons:
    """The base with another way of teaching."""
    return replace(BASE, distill=replace(BASE.distill, **changes))


ARMS = (
    StudentArm("dagger", "the student drives every car, its teacher says what it would do", BASE),
    StudentArm("solo", "the student drives one car of each world", taught(method="solo")),
    StudentArm("cloning", "teachers drive", taught(method="cloning")),
    StudentArm("frozen-trunk", "what is inherited stays as it is", taught(frees_trunk=False)),
    StudentArm("action", "told one action only", taught(losses=LossWeights.for_autopilot())),
    StudentArm(
        "no-slots", "told nothing of the slots", taught(losses=replace(LossWeights(), slots=0.0))
    ),
)


def students(budget: Budget, seeds: int, trials: tuple[Trial, ...]) -> Study:
    """The study; it has a trial of its own."""
    episodes = trials[0].settings.episodes
    trial = replace(TOWNS, settings=replace(TOWNS.settings, episodes=episodes))
    return Study("students", ARMS, budget, seeds, (trial,), marks=(0.125, 0.25, 0.5, 1.0))


if __name__ == "__main__":
    about = "How should a student that looks through cameras be taught?"
    sys.exit(study_command(students, about, Budget(samples=DistillSettings.frames // 10)))

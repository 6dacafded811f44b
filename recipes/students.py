"""How should a student that looks through cameras be taught? Who drives, and what it is told.

    python recipes/students.py OUT [--seeds 3] [--samples FRAMES] [--jobs 2] [--only ARM …]

Samples are frames: every arm learns from as many. Marks on the way give the scaling curve, of
self-play DAgger against cloning; what is measured is closed-loop, on towns nobody learns on, in
looks that were never drawn in the lessons. The learning rate has fallen to 0 at the end only, so
earlier marks are below what so few frames could give.
"""

import sys
from dataclasses import replace
from pathlib import Path

from gigalane.cli.study_command import study_command
from gigalane.networks.image_encoder import EyeSettings
from gigalane.policies.camera import CameraSettings
from gigalane.studies.lessons import Lessons, StudentArm, student_trials
from gigalane.studies.study import Arm, Budget, Stage, Study, Trial
from gigalane.teach.comparison import LossWeights
from gigalane.teach.distill import DistillSettings
from gigalane.train.learners import make_camera_driver
from gigalane.train.ppo import PPOSettings
from gigalane.train.settings import TrainSettings
from gigalane.train.trainer import Trainer
from gigalane.worlds.world import World

BASE = Lessons()
POOLED = CameraSettings(eyes=EyeSettings(pooled=192))
PLANNING = CameraSettings(proposals=16, drives="plans")


def taught(**changes: object) -> Lessons:
    """The base with another way of teaching."""
    return replace(BASE, distill=replace(BASE.distill, **changes))


def pixel_trainer(world: World, settings: TrainSettings, run_directory: Path) -> Trainer:
    """PPO of a driver that has nothing but its cameras."""
    return Trainer(world, settings, run_directory, make_policy=make_camera_driver)


PIXELS = Stage(
    maps=BASE.maps,
    world=BASE.world,
    train=TrainSettings(ppo=PPOSettings(minibatch=512)),
    learner=pixel_trainer,
    rig=BASE.rig,
)

ARMS = (
    StudentArm("dagger", "the student drives every car, its teacher says what it would do", BASE),
    StudentArm("solo", "the student drives one car of each world", taught(method="solo")),
    StudentArm("cloning", "teachers drive", taught(method="cloning")),
    Arm("ppo", "nobody teaches: PPO from pixels", (PIXELS,)),
    StudentArm(
        "own-eyes",
        "convolutions begin as the own backbone",
        replace(BASE, student=CameraSettings(eyes=EyeSettings(begins="own"))),
    ),
    StudentArm("pooled", "what any cell sees comes out besides", replace(BASE, student=POOLED)),
    StudentArm("recoloured", "shades of frames are pushed about", taught(recolour=0.3)),
    StudentArm("both", "pooled and recoloured", replace(taught(recolour=0.3), student=POOLED)),
    StudentArm(
        "every-fourth", "one frame of four is learned from, so more is driven", taught(every=4)
    ),
    StudentArm(
        "plans",
        "the same; plans drive, renewed twice a second",
        replace(taught(every=4, losses=LossWeights().with_plans()), student=PLANNING),
    ),
    StudentArm("critical", "only frames at which both would differ", taught(critical=0.1)),
    StudentArm("frozen-trunk", "what is inherited stays as it is", taught(frees_trunk=False)),
    StudentArm("action", "told one action only", taught(losses=LossWeights.for_autopilot())),
    StudentArm(
        "no-slots", "told nothing of the slots", taught(losses=replace(LossWeights(), slots=0.0))
    ),
)


def falling(arm: Arm, budget: Budget) -> Arm:
    """An arm whose learning rate falls to 0 at the end of the budget, as that of students does."""
    train = replace(PIXELS.train, samples=budget.samples or PIXELS.train.samples)
    return replace(arm, stages=(replace(PIXELS, train=train),))


def students(budget: Budget, seeds: int, trials: tuple[Trial, ...]) -> Study:
    """The study; it takes over the number of episodes of the usual trials."""
    own = student_trials(trials[0].settings.episodes)
    arms = tuple(arm if isinstance(arm, StudentArm) else falling(arm, budget) for arm in ARMS)
    return Study("students", arms, budget, seeds, own, marks=(0.25, 0.5, 1.0))


if __name__ == "__main__":
    about = "How should a student that looks through cameras be taught?"
    sys.exit(study_command(students, about, Budget(samples=DistillSettings.frames // 10)))

"""What of a coach should a student be taught? Roach's ablation, one command.

    python recipes/coach_ablation.py OUT [--seeds 3] [--samples FRAMES] [--jobs 2] [--only ARM …]

The coach and the script are asked about the same students: one camera strip, accelerations and
wheel angles, self-play DAgger, as many frames in every arm (the study's samples). L_A is the one
action, L_K the whole distribution, L_F the coach's features, structure the relations between rows
(Zhang et al. 2021, arXiv 2108.08265; structure is TerraTransfer's, arXiv 2606.17386).
"""

import sys
from dataclasses import replace

from gigalane.cli.study_command import study_command
from gigalane.studies.lessons import Lessons, StudentArm, student_trials
from gigalane.studies.study import Budget, Study, Trial
from gigalane.teach.comparison import LossWeights
from gigalane.teach.distill import DistillSettings
from gigalane.teach.teaching import TEACHING_WORLD

WORLD = replace(TEACHING_WORLD, action="acceleration_steering")
NOTHING = LossWeights(divergence=0.0, slots=0.0)
ACTION = replace(NOTHING, action=1.0)
DIVERGENCE = replace(NOTHING, divergence=1.0)


def taught(teacher: str, losses: LossWeights) -> Lessons:
    """A way of teaching."""
    return Lessons(world=WORLD, teacher=teacher, distill=DistillSettings(losses=losses))


ARMS = (
    StudentArm("autopilot-action", "the script's one action", taught("autopilot", ACTION)),
    StudentArm("action", "the coach's one action: L_A", taught("default-coach", ACTION)),
    StudentArm("kl", "all it might do: L_K", taught("default-coach", DIVERGENCE)),
    StudentArm(
        "kl-feature",
        "and its features: L_K + L_F",
        taught("default-coach", replace(DIVERGENCE, feature=0.05)),
    ),
    StudentArm(
        "kl-structure",
        "and relations between rows: L_K + structure",
        taught("default-coach", replace(DIVERGENCE, structure=1.0)),
    ),
)


def coach_ablation(budget: Budget, seeds: int, trials: tuple[Trial, ...]) -> Study:
    """The study; it takes over the number of episodes of the usual trials."""
    own = student_trials(trials[0].settings.episodes)
    return Study("coach-ablation", ARMS, budget, seeds, own, marks=(1.0,))


if __name__ == "__main__":
    about = "What of a coach should a student be taught?"
    sys.exit(study_command(coach_ablation, about, Budget(samples=200_000)))

"""What a student says beside what its teacher says: the weighted sum of losses."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from gigalane.acting.futures import Futures
from gigalane.core.settings import SettingsError
from gigalane.networks.distributions import Beta, Categorical, Distribution
from gigalane.networks.plans import (
    Plans,
    distances,
    row_weights,
    scorer_loss,
    winner_takes_all_loss,
)
from gigalane.policies.camera import CameraPolicy, Sight
from gigalane.teach import losses
from gigalane.teach.teachers import Autopilot, DriverTeacher, Lesson, Teacher


@dataclass(frozen=True)
class LossWeights:
    """How much each loss counts; 0 leaves it out. See `gigalane.teach.losses`.

    Attributes:
        action: the teacher's one action (Roach's L_A).
        divergence: all that the teacher might do (Roach's L_K).
        slots: the driver's road, partners and controls as numbers, each in units of how much
            it usually varies.
        structure: the same as relations between rows (TerraTransfer); of a coach, its features.
        feature: what the teacher made of a row before it decided (Roach's L_F).
        value: the teacher's value (Roach's L_V).
        lane: the five numbers that need a map.
        plan: the proposal that is nearest to where the teacher would go (Gigapixel); of
            students with proposals.
        scorer: which proposal that is.
    """

    action: float = 0.0
    divergence: float = 1.0
    slots: float = 1.0
    structure: float = 0.0
    feature: float = 0.0
    value: float = 0.0
    lane: float = 1.0
    plan: float = 0.0
    scorer: float = 0.0

    @classmethod
    def for_coach(cls) -> LossWeights:
        """Roach's L_K and L_F, and the lane: a coach has no slots."""
        return cls(slots=0.0, feature=0.05)

    @classmethod
    def for_autopilot(cls) -> LossWeights:
        """An autopilot only says what to do."""
        return cls(action=1.0, divergence=0.0, slots=0.0)

    def with_plans(self) -> LossWeights:
        """The same and plans, for students that propose some (weights chosen)."""
        return replace(self, plan=1.0, scorer=0.2)


class Saying(NamedTuple):
    """What a student says of some rows.

    Attributes:
        distribution: over actions.
        value: (rows,) float32.
        features: (rows, width) float32, what its trunk made of them.
        sight: its slots.
        plans: what it proposes, where it does.
    """

    distribution: Distribution
    value: Tensor
    features: Tensor
    sight: Sight
    plans: Plans | None = None


class Parts(NamedTuple):
    """The losses of some rows.

    Attributes:
        total: one number, what is learned from.
        divergence: (rows,) [nat]; where the teacher has no distribution, the action loss.
        slots: (rows,); 0 where the teacher has none.
        lane: (rows,).
        plan: one number, mean distance of the nearest proposal where there is a target; turns
            count five times.
        chosen: one number, mean distance of the plan with the highest score, every target alike.
    """

    total: Tensor
    divergence: Tensor
    slots: Tensor
    lane: Tensor
    plan: Tensor
    chosen: Tensor


def check_weights(weights: LossWeights, teacher: Teacher, student: CameraPolicy) -> None:
    """Refuses losses that a teacher or a student has nothing to say to.

    Raises:
        SettingsError: which one.
    """
    missing: tuple[str, ...] = ()
    if isinstance(teacher, Autopilot):
        missing = ("divergence", "slots", "structure", "feature", "value", "plan", "scorer")
    elif not isinstance(teacher, DriverTeacher):
        missing = ("slots", "plan", "scorer")
    for name in missing:
        if getattr(weights, name):
            raise SettingsError(
                f"losses: {name} is {getattr(weights, name):g}, but a teacher of kind "
                f"{teacher.name} has no {name} to tell; set it to 0"
            )
    plans, proposals = weights.plan or weights.scorer, student.settings.proposals
    if proposals and "plan" in missing:
        raise SettingsError(
            f"losses: the student has {proposals} proposals to learn, but a teacher of kind "
            f"{teacher.name} has no plan to tell; set proposals to 0"
        )
    if plans and not proposals:
        raise SettingsError("losses: plan needs a student with proposals; give it 16, say")
    if proposals and not weights.plan:
        raise SettingsError(
            f"losses: plan is 0, but the student has {proposals} proposals to learn; "
            "set it to 1, or proposals to 0"
        )
    if min(vars(weights).values()) < 0 or not any(vars(weights).values()):
        raise SettingsError("losses: weights must be 0 or more, and one of them more")


def compare(
    lesson: Lesson,
    said: Saying,
    lane: Tensor,
    student: CameraPolicy,
    weights: LossWeights,
    targets: Futures | None = None,
) -> Parts:
    """Weighs what a student says against a lesson.

    Args:
        lesson: what the teacher says of the rows.
        said: what the student says of them, with gradient.
        lane: (rows, 5), the numbers that need a map.
        student: who knows how much its slots vary.
        weights: of the losses.
        targets: where the teacher would go from the rows, for students that plan.
    """
    counts = lesson.counts.float()
    lane_error = _lane_error(lane, said.sight, student)
    nothing = torch.zeros_like(lane_error)
    action = losses.action_loss(lesson.action, said.distribution)
    divergence = action * counts
    if lesson.distribution is not None:
        divergence = losses.divergence_loss(lesson.distribution, said.distribution)
    slots = nothing
    if lesson.slots is not None:
        scaled = zip(student.scaled(lesson.slots), student.scaled(said.sight), strict=True)
        slots = torch.stack([losses.slot_loss(a, b) for a, b in list(scaled)[:3]]).mean(0)
    loss = weights.divergence * divergence + weights.slots * slots + weights.lane * lane_error
    if weights.action:
        loss = loss + weights.action * action * counts
    if weights.feature and lesson.features is not None:
        loss = loss + weights.feature * losses.feature_loss(lesson.features, said.features)
    if weights.value and lesson.value is not None:
        loss = loss + weights.value * losses.value_loss(lesson.value, said.value)
    total = loss.mean()
    if weights.structure:
        total = total + weights.structure * _structure(lesson, said)
    plan = chosen = total.new_zeros(())
    if said.plans is not None and targets is not None:
        weight = row_weights(targets.valid, targets.is_turn)
        plan = winner_takes_all_loss(said.plans.proposals, targets.poses, weight)
        total = total + weights.plan * plan
        total = total + weights.scorer * scorer_loss(said.plans, targets.poses, weight)
        chosen = _chosen_error(said.plans, targets)
    return Parts(total, divergence, slots, lane_error, plan, chosen)


def agreement(lesson: Lesson, ours: Distribution) -> Tensor:
    """Share of the rows in which both would do the same; of numbers, to a tenth of their range."""
    mode = ours.mode()
    if isinstance(ours, Categorical):
        return (mode == lesson.action).float().mean()
    assert isinstance(ours, Beta)
    return ((mode - lesson.action).abs() <= 0.05 * ours.span).all(-1).float().mean()


@torch.no_grad()
def _chosen_error(plans: Plans, targets: Futures) -> Tensor:
    """Mean distance of the plan that would be executed, over rows that have a target."""
    gaps = distances(plans.best()[:, None], targets.poses).squeeze(1)
    return (gaps * targets.valid).sum() / targets.valid.sum().clamp(min=1)


def _lane_error(lane: Tensor, sight: Sight, student: CameraPolicy) -> Tensor:
    scale = student.get_buffer("lane_scale")
    return losses.slot_loss(lane / scale, sight.lane / scale)


def _structure(lesson: Lesson, said: Saying) -> Tensor:
    """Of the slots, where the teacher has them, else of the features."""
    if lesson.slots is not None:
        pairs = list(zip(lesson.slots, said.sight, strict=True))[:3]
    else:
        assert lesson.features is not None
        pairs = [(lesson.features, said.features)]
    return torch.stack([losses.structure_loss(a, b) for a, b in pairs]).sum()

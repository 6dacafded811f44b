"""Adapts a camera student's eyes to another appearance, on paired images (Gigapixel, stage 3).

    collect   the frozen student says what it makes of a scene as it knows it     (two_looks)
    improve   the student learns to make the same of the new images of that scene

    L = feature_weight * ||slots_new - slots_known||² + plan_weight * (KL(known || new)
        + mean |plans_new - plans_known|)

after arXiv 2606.19641, with our students' slots (scaled, so that each number counts alike; the
squared length is divided by how many there are) in the place of its scene tokens, and the
distribution over actions beside the planned trajectories, which not every student has. The planner
(all that follows the slots) stays frozen; only what sees learns. The paper does not tell the
weight; 1 is chosen.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gigalane.core.settings import SettingsError
from gigalane.policies.camera import CameraPolicy
from gigalane.policies.checkpoint import save_policy
from gigalane.teach.pool_learner import prepare_policy
from gigalane.teach.pool_lessons import PoolLessons
from gigalane.teach.two_looks import Answer, PairPool, PairSource, answer
from gigalane.train.run_folder import plain, refuse_begun

TARGET_FILE = "target.safetensors"
"""The student as it was before: what it is to go on seeing."""


@dataclass(frozen=True)
class AdaptSettings:
    """How a student is adapted.

    Attributes:
        pairs: pairs to learn from in all; one that is learned from again counts again where
            they come from a folder.
        feature_weight: of the squared distance of the slots (the paper's lambda).
        plan_weight: of the divergence of the distributions over actions, and of the distance of
            the proposed plans, each from its own, where the student proposes some.
        frees_adapters: whether the linear layers from features to slots learn too.
        frees_planner: whether what follows the slots learns too; the paper finds this harmful.
        target_share: share of the cars that the frozen student drives; the others are driven by
            who adapts, so that it learns in the states that its own mistakes lead to.
        rollout_steps: steps between two lessons.
        pool: pairs that are remembered; those of a folder must all find room.
        passes: how often a pair is learned from on average.
        minibatch: pairs an optimiser step.
        learning_rate: of Adam, falling to 0 along half a cosine.
        seed: of the worlds, who drives, and the shuffling.
        threads: threads of the network; 0 is one a core.
        checkpoint_every_s: longest time between two saved states [s].
    """

    pairs: int = 200_000
    feature_weight: float = 1.0
    plan_weight: float = 1.0
    frees_adapters: bool = True
    frees_planner: bool = False
    target_share: float = 0.5
    rollout_steps: int = 4
    pool: int = 20_000
    passes: float = 1.0
    minibatch: int = 128
    learning_rate: float = 5e-4
    seed: int = 0
    threads: int = 0
    checkpoint_every_s: float = 60.0

    def __post_init__(self) -> None:
        """Refuses what cannot be learned from."""
        if min(self.pairs, self.rollout_steps, self.minibatch) < 1 or self.pool < self.minibatch:
            raise SettingsError(
                "adapt: pairs, rollout_steps and minibatch must be at least 1 and pool no smaller "
                "than minibatch"
            )
        if min(self.feature_weight, self.plan_weight) < 0 or not (
            self.feature_weight + self.plan_weight > 0
        ):
            raise SettingsError(
                "adapt: feature_weight and plan_weight must be 0 or more, and one of them more"
            )
        if not 0 <= self.target_share <= 1 or not (self.passes > 0 and self.learning_rate > 0):
            raise SettingsError(
                "adapt: target_share must be 0 to 1, passes and learning_rate above 0"
            )
        if min(self.seed, self.threads) < 0:
            raise SettingsError("adapt: seed and threads must be 0 or more")


CHANGEABLE = frozenset({"pairs", "threads", "checkpoint_every_s"})
"""Settings that may differ when a run goes on."""


def adapt(
    source: PairSource,
    student: CameraPolicy,
    target: CameraPolicy,
    settings: AdaptSettings,
    run_directory: str | os.PathLike[str],
    resume: bool = False,
    *,
    names: Mapping[str, Any] | None = None,
    on_iteration: Callable[[dict[str, float]], bool | None] | None = None,
) -> CameraPolicy:
    """Adapts a student; Ctrl-C finishes the iteration and saves.

    Args:
        source: where pairs come from.
        student: who learns, in place.
        target: its copy from before, see `frozen`.
        settings: how.
        run_directory: where the run is kept: settings.json, metrics.jsonl, states, policy.
        resume: go on from the newest whole state there; remembered pairs are collected anew.
        names: what else to keep in settings.json.
        on_iteration: told the figures of each iteration; returning True ends the lessons.

    Raises:
        PolicyError: there is nothing to go on from, it does not fit, or the directory already
            holds a run and `resume` is not set.
    """
    adaptation = Adaptation(source, student, target, settings, Path(run_directory))
    adaptation.resume() if resume else adaptation.begin(names or {})
    adaptation.run(on_iteration)
    return student


def frozen(student: CameraPolicy) -> CameraPolicy:
    """A copy of a student that does not learn."""
    copy = deepcopy(student)
    for parameter in copy.parameters():
        parameter.requires_grad_(False)
    return copy


def planner_of(student: CameraPolicy) -> tuple[nn.Module, ...]:
    """Everything that follows the slots."""
    plans = (student.plan_head,) if student.settings.proposals else ()
    return *student.inherited, *plans


_FIGURES = ("loss", "slots", "divergence", "agreement")
"""What an optimiser step tells of itself."""


class Adaptation(PoolLessons[AdaptSettings, PairPool]):
    """Lessons in which a student is held to what it was before; see `PoolLessons`.

    Attributes:
        target: what it was.
    """

    kind, unit, changeable, told = "adapt", "pairs", CHANGEABLE, _FIGURES

    def __init__(
        self,
        source: PairSource,
        student: CameraPolicy,
        target: CameraPolicy,
        settings: AdaptSettings,
        run_directory: Path,
    ) -> None:
        """Chooses what learns and allocates the pool; touches no file."""
        for policy in (student, target):
            prepare_policy(policy, settings.threads)
        student.adapters.requires_grad_(settings.frees_adapters)
        for part in planner_of(student):
            part.requires_grad_(settings.frees_planner)
        # The value follows from the slots but enters no loss here.
        student.value_head.requires_grad_(False)
        if not any(parameter.requires_grad for parameter in student.parameters()):
            raise SettingsError(
                "adapt: nothing learns, because these eyes look through a frozen backbone; set "
                "frees_adapters"
            )
        super().__init__(student, settings, run_directory)
        self.source, self.target = source, target
        self.pool = PairPool(settings.pool, source.layout_width, student)

    def begin(self, names: Mapping[str, Any]) -> None:
        """Starts a run in an empty directory."""
        refuse_begun(self.run_directory)
        self.restart(self.settings.seed)
        save_policy(self.target, self.run_directory / TARGET_FILE, "fp32")
        self.folder.begin({"adapt": plain(self.settings), **names})

    def restart(self, seed: int) -> None:
        """Has the source of pairs begin anew."""
        self.source.begin(seed)

    def gather(self) -> int:
        """Gets new pairs."""
        return self.source.collect(self.pool, self.iteration)

    def loss(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Mean loss over pairs of the pool, and the figures of `_FIGURES`."""
        pool, settings, student = self.pool, self.settings, self.student
        said = answer(student, pool.seen[rows])
        told = Answer(*(part[rows] for part in pool.told))
        features = (said.slots - told.slots).square().mean(1)
        was, now = student.distribution(told.numbers), student.distribution(said.numbers)
        plans = was.kl(now)
        if student.settings.proposals:  # each with its own, so none changes places
            plans = plans + (said.proposals - told.proposals).abs().mean((1, 2, 3))
        loss = (settings.feature_weight * features + settings.plan_weight * plans).mean()
        with torch.no_grad():
            same = now.mode() == was.mode()
            agrees = same.flatten(1).all(1) if same.dim() > 1 else same
            figures = [loss, features.mean(), plans.mean(), agrees.float().mean()]
        return loss, torch.stack(figures).detach()

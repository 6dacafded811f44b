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

import json
import math
import os
import time
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gigalane.core.settings import SettingsError
from gigalane.networks.chunks import one_torch_thread, run_chunks
from gigalane.networks.layers import has_fast_bf16
from gigalane.policies.camera import CameraPolicy
from gigalane.policies.checkpoint import (
    load_training_state,
    save_policy,
    save_training_state,
    training_states,
)
from gigalane.policies.policy import PolicyError
from gigalane.train.progress import Progress
from gigalane.train.ranks import ALONE
from gigalane.train.trainer import POLICY_FILE, SETTINGS_FILE
from gigalane.train.two_looks import Answer, PairPool, PairSource, answer

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
        pool: pairs that are remembered.
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
    progress = Progress(adaptation.run_directory, settings.pairs, adaptation.iteration)
    with one_torch_thread(), ALONE.stop_signals() as stop, progress:
        while adaptation.pairs < settings.pairs:
            adaptation.collect()
            adaptation.improve()
            figures = adaptation.figures()
            progress.report(figures)
            adaptation.save_if_due()
            if (on_iteration is not None and on_iteration(figures)) or stop.is_set():
                break
        adaptation.save()
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


class Adaptation:
    """The parts of an iteration and what lives from one to the next.

    Attributes:
        student: what learns.
        target: what it was before.
        pairs: pairs learned from so far.
        iteration: iterations done.
        elapsed_s: time spent in them [s].
    """

    def __init__(
        self,
        source: PairSource,
        student: CameraPolicy,
        target: CameraPolicy,
        settings: AdaptSettings,
        run_directory: Path,
    ) -> None:
        """Chooses what learns and allocates the pool; touches no file."""
        self.source, self.student, self.target = source, student, target
        self.settings, self.run_directory = settings, run_directory
        precision = "bf16" if has_fast_bf16(torch.device("cpu")) else "fp32"
        for policy in (student, target):
            policy.set_precision(precision)
            policy.threads = settings.threads or torch.get_num_threads()
        student.adapters.requires_grad_(settings.frees_adapters)
        for part in planner_of(student):
            part.requires_grad_(settings.frees_planner)
        # The value follows from the slots but enters no loss here.
        student.value_head.requires_grad_(False)
        self.parameters = [p for p in student.parameters() if p.requires_grad]
        self.optimizer = torch.optim.Adam(self.parameters, settings.learning_rate, eps=1e-6)
        self.shuffler = torch.Generator().manual_seed(settings.seed + 2)
        self.pool = PairPool(settings.pool, source.layout_width, student)
        self.pairs = self.iteration = 0
        self.elapsed_s = 0.0
        self._saved_at = time.monotonic()

    # The parts of an iteration, in order.

    def collect(self) -> None:
        """Gets new pairs."""
        self._started = time.perf_counter()
        self._added = self.source.collect(self.pool, self.iteration)
        self._collected = time.perf_counter()

    def improve(self) -> None:
        """Takes as many optimiser steps as the new pairs are worth."""
        settings = self.settings
        done = min(1.0, self.pairs / settings.pairs)
        self.learning_rate = settings.learning_rate * 0.5 * (1 + math.cos(math.pi * done))
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate
        steps = max(1, round(self._added * settings.passes / settings.minibatch))
        learned = []
        for _ in range(steps if self.pool.count else 0):
            size = min(settings.minibatch, self.pool.count)
            rows = torch.randint(self.pool.count, (size,), generator=self.shuffler)
            learned.append(self._step(rows))
        self._learned = torch.stack(learned).mean(0) if learned else torch.zeros(len(_FIGURES))

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

    def _step(self, rows: Tensor) -> Tensor:
        """One optimiser step on pairs of the pool; returns the figures of it."""
        chunks = rows.split(self.student.gradient_rows)

        def run(number: int) -> tuple[list[Tensor], Tensor]:
            part = chunks[number]
            with torch.enable_grad():  # this setting belongs to each thread
                loss, figures = self.loss(part)
            share = len(part) / len(rows)
            gradients = torch.autograd.grad(loss * share, self.parameters, materialize_grads=True)
            return list(gradients), figures * share

        results = run_chunks(run, len(chunks), self.student.threads)
        total = results[0][0]
        for gradient, _ in results[1:]:  # in order: rounding must not depend on who was first
            torch._foreach_add_(total, gradient)  # pyright: ignore[reportPrivateImportUsage]
        for parameter, gradient in zip(self.parameters, total, strict=True):
            parameter.grad = gradient
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimizer.step()
        return torch.stack([figures for _, figures in results]).sum(0)

    def figures(self) -> dict[str, float]:
        """Closes the iteration: counts it and reads its figures."""
        duration = time.perf_counter() - self._started
        self.iteration += 1
        self.pairs += self._added
        self.elapsed_s += duration
        learned = dict(zip(_FIGURES, self._learned.tolist(), strict=True))
        if not math.isfinite(learned["loss"]):
            raise FloatingPointError(
                f"{self.run_directory}: iteration {self.iteration}: the loss is "
                f"{learned['loss']}; the last saved state is whole: adapt anew with a lower "
                "learning_rate"
            )
        return {
            "iteration": self.iteration,
            "samples": self.pairs,
            "samples_per_s": self._added / duration,
            "elapsed_s": self.elapsed_s,
            "seconds/collect": self._collected - self._started,
            "seconds/learn": duration - (self._collected - self._started),
            "learning_rate": self.learning_rate,
            **learned,
        }

    # Beginning, saving and going on.

    def begin(self, names: Mapping[str, Any]) -> None:
        """Starts a run in an empty directory."""
        if training_states(self.run_directory):
            reason = "already holds a run; resume it, or name another directory"
            raise PolicyError(str(self.run_directory), "", reason)
        self.source.begin(self.settings.seed)
        self.run_directory.mkdir(parents=True, exist_ok=True)
        save_policy(self.target, self.run_directory / TARGET_FILE, "fp32")
        facts = {"adapt": asdict(self.settings), **names}
        text = json.dumps(facts, indent=2) + "\n"
        (self.run_directory / SETTINGS_FILE).write_text(text, encoding="utf-8")

    def resume(self) -> None:
        """Goes on from the newest state that is whole; worlds begin anew."""
        tensors, facts, _ = load_training_state(self.run_directory)
        now = asdict(self.settings)
        changed = [n for n in sorted(now.keys() - CHANGEABLE) if facts["settings"].get(n) != now[n]]
        if changed:
            reason = f"was made with another {', '.join(changed)}; use those of {SETTINGS_FILE}"
            raise PolicyError(str(self.run_directory), "settings", reason)
        weights = {n.removeprefix("policy/"): t for n, t in tensors.items() if n[:7] == "policy/"}
        optimizer = self.optimizer.state_dict()
        for name, tensor in tensors.items():
            if name.startswith("adam/"):
                _, index, moment = name.split("/")
                optimizer["state"].setdefault(int(index), {})[moment] = tensor
        try:
            self.student.load_state_dict(weights)
            self.optimizer.load_state_dict(optimizer)
        except (KeyError, RuntimeError, ValueError) as error:
            reason = f"does not fit this student ({str(error).splitlines()[0]}); use the same"
            raise PolicyError(str(self.run_directory), "state", reason) from error
        self.iteration, self.pairs = facts["iteration"], facts["pairs"]
        self.elapsed_s = facts["elapsed_s"]
        # A seed not used before: repeating the first pairs would teach nothing new.
        self.source.begin(self.settings.seed + self.iteration)
        self.shuffler.manual_seed(self.settings.seed + 2 + self.iteration)

    def save_if_due(self) -> None:
        """Saves if the last time is `checkpoint_every_s` ago."""
        if time.monotonic() - self._saved_at >= self.settings.checkpoint_every_s:
            self.save()

    def save(self) -> None:
        """Writes the state of the lessons, and the student as it is now."""
        tensors = {f"policy/{name}": t for name, t in self.student.state_dict().items()}
        for index, moments in self.optimizer.state_dict()["state"].items():
            tensors |= {f"adam/{index}/{name}": tensor for name, tensor in moments.items()}
        facts = {
            "pairs": self.pairs,
            "elapsed_s": self.elapsed_s,
            "settings": asdict(self.settings),
        }
        save_training_state(self.run_directory, self.iteration, tensors, facts)
        metadata = {"pairs": self.pairs, "adapt": facts["settings"]}
        save_policy(self.student, self.run_directory / POLICY_FILE, metadata=metadata)
        self._saved_at = time.monotonic()


_FIGURES = ("loss", "slots", "divergence", "agreement")
"""What an optimiser step tells of itself."""

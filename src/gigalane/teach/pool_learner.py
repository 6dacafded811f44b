"""Optimiser steps on rows of a pool; a minibatch's chunks are shared among threads."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from gigalane.core.memory import keep_freed_memory
from gigalane.networks.chunks import run_chunks
from gigalane.networks.layers import has_fast_bf16
from gigalane.policies.actor_critic import AnyPolicy
from gigalane.policies.camera import CameraPolicy
from gigalane.train.run_folder import half_cosine

Loss = Callable[[Tensor], tuple[Tensor, Tensor]]
"""Rows of a pool to their mean loss and its figures, each a mean too."""


class PoolLearner:
    """Learns from rows that are drawn by chance.

    Attributes:
        student: what learns.
        parameters: of it, those that want a gradient now.
        optimizer: Adam over them.
        shuffler: where chance comes from.
        learning_rate: of the last steps.
    """

    def __init__(
        self, student: CameraPolicy, learning_rate: float, minibatch: int, passes: float, seed: int
    ) -> None:
        """Makes an optimiser without history.

        Args:
            student: what learns; what of it is frozen must be by now.
            learning_rate: at the beginning; it falls to 0 along half a cosine.
            minibatch: rows an optimiser step.
            passes: how often a row is learned from on average.
            seed: of the shuffling.
        """
        self.student, self.minibatch, self.passes = student, minibatch, passes
        self.learning_rate = self._first_rate = learning_rate
        self.parameters = [p for p in student.parameters() if p.requires_grad]
        self.optimizer = torch.optim.Adam(self.parameters, learning_rate, eps=1e-6)
        self.shuffler = torch.Generator().manual_seed(seed)

    def learn(self, loss: Loss, count: int, added: int, done: float) -> Tensor | None:
        """Takes as many steps as new rows are worth.

        Args:
            loss: of some rows of the pool.
            count: rows in the pool.
            added: of them, new ones.
            done: share of the run that is done.

        Returns:
            The figures' means over the steps; None where the pool is empty.
        """
        self.learning_rate = self._first_rate * half_cosine(done)
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate
        steps = max(1, round(added * self.passes / self.minibatch)) if count else 0
        figures = []
        for _ in range(steps):
            size = min(self.minibatch, count)
            rows = torch.randint(count, (size,), generator=self.shuffler)
            figures.append(self._step(loss, rows))
        return torch.stack(figures).mean(0) if figures else None

    def _step(self, loss: Loss, rows: Tensor) -> Tensor:
        """One optimiser step; returns its figures."""
        chunks = rows.split(self.student.gradient_rows)

        def run(number: int) -> tuple[list[Tensor], Tensor]:
            part = chunks[number]
            with torch.enable_grad():  # this setting belongs to each thread
                part_loss, figures = loss(part)
            share = len(part) / len(rows)
            gradients = torch.autograd.grad(
                part_loss * share, self.parameters, materialize_grads=True
            )
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


def prepare_policy(policy: AnyPolicy, threads: int) -> None:
    """Has a policy compute as fast as this machine can.

    Args:
        policy: any that takes part.
        threads: of its network; 0 is one a core.
    """
    keep_freed_memory()
    policy.set_precision("bf16" if has_fast_bf16(policy.device) else "fp32")
    policy.threads = threads or torch.get_num_threads()

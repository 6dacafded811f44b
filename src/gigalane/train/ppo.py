"""Proximal policy optimisation (Schulman et al. 2017), as self-play uses it.

Departures from the textbook: only transitions that the advantage filter kept are learned from;
values are not clipped (as in GIGAFLOW); a minibatch is made of chunks of a fixed number of rows,
each with its own gradient, added up in order. The last makes the result independent of the
number of threads and keeps a chunk's activations in a core's own cache.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gigalane.core.trace import traced
from gigalane.networks.chunks import run_chunks
from gigalane.policies.actor_critic import AnyPolicy
from gigalane.train.advantage import REFERENCE_STEP
from gigalane.train.exploration import divergence_from_hints
from gigalane.train.guidance import divergence_from_advice
from gigalane.train.ranks import ALONE, Ranks


@dataclass(frozen=True)
class PPOSettings:
    """How the policy learns from a roll-out; values are GIGAFLOW's where no other source is named.

    Attributes:
        learning_rate: of Adam at the start; falls to 0 along half a cosine.
        epochs: times each kept transition is used. GIGAFLOW has 3; 2 learned as much in less
            time.
        minibatch: transitions of one optimiser step. GIGAFLOW has 256,000, from a million
            samples a second; of 2,048, 4,096 and 8,192 the smallest learned most in the first
            two million samples.
        clip: how far the probability ratio may move from 1 before its gradient stops.
        value_weight: weight of ½ (V - return)².
        entropy_weight: weight of the entropy bonus of a 0.3 s step at the start; that of other
            steps is in proportion to their length. What an action gains is, too: with one weight
            for all, short steps are left so undecided that their most likely action is to wait.
        entropy_fades: share of it that is gone at the end, along a straight line; a driver that
            hardly explores any more shows in training what it does when it is asked for its
            best.
        gradient_norm: longest gradient; longer ones are scaled down.
        target_kl: no further epoch starts once the policy has moved this far [nat]; 0 is off.
    """

    learning_rate: float = 5e-4
    epochs: int = 2
    minibatch: int = 2048
    clip: float = 0.2
    value_weight: float = 0.5
    entropy_weight: float = 0.01
    entropy_fades: float = 0.0
    gradient_norm: float = 0.5
    target_kl: float = 0.0

    def __post_init__(self) -> None:
        """Refuses numbers that cannot learn."""
        if self.epochs < 1 or self.minibatch < 1:
            raise ValueError("ppo: epochs and minibatch must be at least 1")
        if self.learning_rate <= 0 or self.clip <= 0 or self.gradient_norm <= 0:
            raise ValueError("ppo: learning_rate, clip and gradient_norm must be above 0")


@dataclass(frozen=True)
class Batch:
    """Transitions of a roll-out, flattened; every tensor leads with their number n.

    Attributes:
        observation: (n, width) as the policy takes it.
        action: (n,) or (n, size).
        log_prob: (n,), of the action when it was chosen.
        advantage: (n,).
        returns: (n,), what the value should have been.
        dt: (n,), time step of the action [s].
        advice: (n,) or (n, size), what the scripted driver would have done, where it was asked.
        guidance: weight of the divergence from it in the loss.
        hints: (n,) what events to come hint at; see `gigalane.train.exploration`.
        exploration: weight of the divergence from the hints' priors in the loss.
    """

    observation: Tensor
    action: Tensor
    log_prob: Tensor
    advantage: Tensor
    returns: Tensor
    dt: Tensor
    advice: Tensor | None = None
    guidance: float = 0.0
    hints: Tensor | None = None
    exploration: float = 0.0


class PPO:
    """Improves a policy from batches of transitions.

    Attributes:
        policy: what learns, in place.
        settings: how.
        ranks: who learns the same; a minibatch is the union of what each brings.
        optimizer: Adam over the policy's parameters.
        entropy_weight: of the present update.
    """

    def __init__(self, policy: AnyPolicy, settings: PPOSettings, ranks: Ranks = ALONE) -> None:
        """Makes an optimiser without history."""
        self.policy, self.settings, self.ranks = policy, settings, ranks
        self.parameters = list(policy.parameters())
        self.entropy_weight = settings.entropy_weight
        self.optimizer = torch.optim.Adam(
            self.parameters, settings.learning_rate, eps=1e-5, fused=True
        )

    def update(
        self,
        batch: Batch,
        kept: Tensor,
        learning_rate: float,
        generator: torch.Generator,
        progress: float = 0.0,
    ) -> dict[str, Tensor]:
        """Takes the epochs over the kept transitions.

        Args:
            batch: the transitions of a roll-out.
            kept: indices of those to learn from, (k,) int64.
            learning_rate: of this update.
            generator: shuffles the transitions.
            progress: share of the training that is done, 0 to 1.

        Returns:
            Means over all optimiser steps, as tensors that have not been read:
            policy_loss, value_loss, entropy [nat], kl [nat] (how far the policy moved),
            clip_fraction, gradient_norm (before scaling). Empty if no rank kept a transition.
        """
        self.entropy_weight = self.settings.entropy_weight * (
            1 - self.settings.entropy_fades * progress
        )
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        mean, deviation, total = self.ranks.mean_and_deviation(batch.advantage[kept])
        if total == 0:
            return {}
        scale = deviation + 1e-8
        means, norms = [], []
        for _ in range(self.settings.epochs):
            epoch_means = []
            minibatches = self._minibatches(kept, generator, total)
            counts = torch.stack([(chunks >= 0).sum() for chunks in minibatches])
            self.ranks.sum_(counts)
            for chunks, count in zip(minibatches, counts, strict=True):
                gradient, statistics = self._gradient(batch, chunks, mean, scale, count)
                norms.append(self._step(gradient))
                epoch_means.append(statistics)
            means += epoch_means
            # Reading the number waits for the device, so it is read only where it is wanted.
            if 0 < self.settings.target_kl < float(torch.stack(epoch_means).mean(0)[3]):
                break
        names = ("policy_loss", "value_loss", "entropy", "kl", "clip_fraction")
        figures = dict(zip(names, torch.stack(means).mean(0), strict=True))
        return figures | {"gradient_norm": torch.stack(norms).mean()}

    def _minibatches(
        self, kept: Tensor, generator: torch.Generator, total: int | None = None
    ) -> list[Tensor]:
        """Shuffles `kept` into minibatches of (chunks, rows) indices; -1 fills the last chunk.

        Of `total` transitions that all ranks kept follows how many there are, the same for all;
        a rank that kept little has nothing in some.
        """
        rows = min(self.policy.gradient_rows, self.settings.minibatch // self.ranks.count)
        order = torch.randperm(len(kept), generator=generator, device=generator.device)
        chunk_count = -(-len(kept) // rows)
        chunks = torch.full((chunk_count * rows,), -1, dtype=torch.int64, device=kept.device)
        chunks[: len(kept)] = kept[order.to(kept.device)]
        minibatch_count = max(1, round((total or len(kept)) / self.settings.minibatch))
        chunks = chunks.view(chunk_count, rows)
        if self.ranks.count == 1:
            return list(chunks.tensor_split(min(minibatch_count, chunk_count)))
        # What a rank has is spread evenly, so that no minibatch is left to the others alone.
        edges = [chunk_count * number // minibatch_count for number in range(1, minibatch_count)]
        return list(chunks.tensor_split(edges))

    @traced("gradient")
    def _gradient(
        self, batch: Batch, chunks: Tensor, mean: Tensor, scale: Tensor, count: Tensor
    ) -> tuple[list[Tensor], Tensor]:
        """Gradient and mean statistics over one minibatch of `count` rows on all ranks."""

        def run(chunk: int) -> tuple[list[Tensor], Tensor]:
            with torch.enable_grad():  # this setting belongs to each thread
                loss, statistics = self._loss(batch, chunks[chunk], mean, scale)
            return list(torch.autograd.grad(loss / count, self.parameters)), statistics / count

        threads = self.policy.threads if self.policy.device.type == "cpu" else 1
        results = run_chunks(run, len(chunks), threads)
        total = results[0][0] if results else [torch.zeros_like(p) for p in self.parameters]
        for gradient, _ in results[1:]:  # in order: rounding must not depend on who was first
            torch._foreach_add_(total, gradient)  # pyright: ignore[reportPrivateImportUsage]
        parts = [statistics for _, statistics in results] or [scale.new_zeros(5)]
        statistics = torch.stack(parts).sum(0)
        *total, statistics = self.ranks.sum(*total, statistics)
        return total, statistics

    def _loss(
        self, batch: Batch, indices: Tensor, mean: Tensor, scale: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Sum of the losses over the rows of a chunk, and the sums of its statistics."""
        settings = self.settings
        weight, rows = (indices >= 0).float(), indices.clamp(min=0)
        distribution, value = self.policy(batch.observation.index_select(0, rows))
        advantage = (batch.advantage[rows] - mean) / scale
        log_ratio = distribution.log_prob(batch.action[rows]) - batch.log_prob[rows]
        ratio = log_ratio.exp()
        clipped = ratio.clamp(1 - settings.clip, 1 + settings.clip)
        policy_loss = -torch.minimum(ratio * advantage, clipped * advantage)
        value_loss = 0.5 * (value - batch.returns[rows]).square()
        entropy = distribution.entropy()
        curiosity = self.entropy_weight * batch.dt[rows] / REFERENCE_STEP
        loss = policy_loss + settings.value_weight * value_loss - curiosity * entropy
        if batch.advice is not None and batch.guidance > 0:
            blame = divergence_from_advice(distribution, batch.advice[rows])
            loss = loss + batch.guidance * blame
        if batch.hints is not None and batch.exploration > 0:
            apart = divergence_from_hints(distribution, batch.hints[rows])
            loss = loss + batch.exploration * apart
        with torch.no_grad():
            kl = ratio - 1 - log_ratio  # never negative, unbiased (Schulman 2020, "k3")
            outside = (ratio != clipped).float()
            parts = torch.stack([policy_loss, value_loss, entropy, kl, outside])
        return (loss * weight).sum(), (parts * weight).sum(-1)

    @traced("optimiser")
    def _step(self, gradient: list[Tensor]) -> Tensor:
        """One optimiser step; returns the length of the gradient before scaling."""
        for parameter, parameter_gradient in zip(self.parameters, gradient, strict=True):
            # A gradient may come transposed or padded in memory, as its product left it; fused
            # Adam reads numbers in the order of memory and would hand them to other weights.
            parameter.grad = parameter_gradient.contiguous()
        norm = torch.nn.utils.clip_grad_norm_(self.parameters, self.settings.gradient_norm)
        self.optimizer.step()
        return norm


def explained_variance(value: Tensor, returns: Tensor, ranks: Ranks = ALONE) -> Tensor:
    """Share of the variance of `returns` that `value` foretold: 1 is all, 0 is none."""
    _, missed, _ = ranks.mean_and_deviation(returns - value)
    _, spread, _ = ranks.mean_and_deviation(returns)
    return 1 - missed.square() / spread.square().clamp(min=1e-12)

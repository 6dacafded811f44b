"""Whether a policy answers a row the same, whoever else is in the batch."""

from collections.abc import Iterable

import torch
from torch import Tensor

from gigalane.networks.distributions import Categorical
from gigalane.policies.actor_critic import AnyPolicy


def answers(policy: AnyPolicy, rows: Tensor) -> list[Tensor]:
    """All numbers that a policy gives for rows: of its distribution, and the value."""
    distribution, value = policy.evaluate(rows)
    if isinstance(distribution, Categorical):
        return [distribution.log_probabilities, value]
    return [distribution.alpha, distribution.beta, value]


def check_rows_apart(policy: AnyPolicy, rows: Tensor, parts: Iterable[tuple[int, int]]) -> None:
    """Asks for all rows on one thread, then for all and for parts of them on two: the same bits.

    Args:
        policy: who is asked.
        rows: what is asked about.
        parts: first row and the one after the last.
    """
    policy.threads = 1
    wanted = answers(policy, rows)
    policy.threads = 2
    for start, stop in ((0, len(rows)), *parts):
        for whole, part in zip(wanted, answers(policy, rows[start:stop]), strict=True):
            assert torch.equal(part, whole[start:stop]), (start, stop)

"""How noisy the gradient is, and what makes it so.

    python variance.py [--policy FILE] [--set NAME=VALUE …]

Drives several horizons of a policy that does not learn and prints, for each: how the gradients by
the actions are spread, how much the largest hundredth of them makes up, and the cosine between
the weight gradients of two halves of the worlds (1 is no noise).
"""

from __future__ import annotations

import argparse

import torch
from torch import Tensor

from gigalane.policies.checkpoint import load_policy
from learner import ShortHorizonLearner, ShortHorizonSettings
from run import changed, open_world, warm_up


def flat(gradients) -> Tensor:
    """All in one row."""
    return torch.cat([g.flatten() for g in gradients])


def report(learner: ShortHorizonLearner) -> None:
    """One horizon."""
    objective = learner.drive()
    half = len(objective) // 2
    actions = learner.actions
    by_action = torch.stack(torch.autograd.grad(objective.sum(), actions, retain_graph=True))
    alive = torch.stack(learner._alive)
    halves = [
        flat(torch.autograd.grad(part.sum(), learner.actor_weights, retain_graph=True))
        for part in (objective[:half], objective[half:])
    ]
    cosine = torch.nn.functional.cosine_similarity(*halves, dim=0)
    given = torch.stack(learner._seen)[..., :2].float()  # lane offset, heading error
    wanted = -(0.1 * given[..., 0] + given[..., 1])
    for k, name in enumerate(("jerk", "lateral")):
        g = by_action[..., k][alive]
        size = g.abs()
        top = size.sort(descending=True).values
        share = top[: len(top) // 100].sum() / top.sum()
        q = [float(size.quantile(p)) for p in (0.5, 0.9, 0.99)]
        line = (
            f"{name}: zero {float((size == 0).float().mean()):.2f}, quantiles 50/90/99 % "
            f"{q[0]:.4f} {q[1]:.4f} {q[2]:.3f}, largest 1 % are {float(share):.2f} of the sum"
        )
        if k:
            clear = (wanted[alive].abs() > 0.1) & (size > 0)
            agree = (torch.sign(g) == torch.sign(wanted[alive]))[clear].float().mean()
            line += f", steers towards the lane {float(agree):.2f}"
        print(line)
    print(
        f"   cosine of halves {float(cosine):.3f}, norms {[round(float(h.norm()), 1) for h in halves]}"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--policy")
    parser.add_argument("--worlds", type=int, default=16)
    parser.add_argument("--set", nargs="*", default=[])
    options = parser.parse_args()
    torch.set_num_threads(1)
    settings = changed(ShortHorizonSettings(), options.set)
    learner = ShortHorizonLearner(open_world(options.worlds, 40, 0), settings)
    if options.policy:
        weights = load_policy(options.policy).state_dict()
        learner.policy.load_state_dict(weights)
        learner.target.load_state_dict(weights)
    warm_up(learner)
    for _ in range(4):
        report(learner)

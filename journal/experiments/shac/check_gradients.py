"""Is the gradient right? Finite differences of the simulator itself, others held.

    python check_gradients.py

Prints (1) the adjoint of one step against central differences of the same kernel, (2) the
gradient of a horizon's smooth reward by one road user's first action against central differences
of the simulator: the world is put back, that action changed, everybody else's actions repeated.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from gigalane.maps.compile import compile_map
from gigalane.maps.sources import open_maps
from gigalane.sim.settings import ObservationSettings, SimulatorSettings
from gigalane.sim.simulator import Simulator
from gigalane.worlds.vector import VectorWorld
from learner import ShortHorizonLearner, ShortHorizonSettings
from motion import WarpStep


def world_of(worlds: int, dt: float = 0.2) -> VectorWorld:
    maps = [compile_map(m) for m in open_maps(["town:1-2"])]
    settings = SimulatorSettings(
        worlds=worlds, agents=40, time_steps=(dt,), action="jerk", observation=ObservationSettings()
    )
    return VectorWorld(Simulator(maps, settings, seed=3, threads=1))


def check_step(learner: ShortHorizonLearner) -> None:
    world, generator = learner.world, torch.Generator().manual_seed(0)
    state, rows = learner.simulated(), world.row_count
    state[:, :3] = 0.1 * torch.randn(rows, 3, generator=generator)
    action = torch.randn(rows, 2, generator=generator)
    traits, dt = learner.traits(), world.dt.clone()
    moving = world.active & world.learn & (state[:, 3] > 2.0)
    cotangent = torch.randn(rows, 7, generator=generator)
    for name, steps in (("state", range(7)), ("action", range(2))):
        s, a = state.clone().requires_grad_(), action.clone().requires_grad_()
        WarpStep.apply(s, a, traits, dt).backward(cotangent)
        grad = s.grad if name == "state" else a.grad
        for column in steps:
            found = []
            for sign in (1.0, -1.0):
                s, a = state.clone(), action.clone()
                (s if name == "state" else a)[:, column] += sign * 2e-3
                found.append((WarpStep.apply(s, a, traits, dt) * cotangent).sum(-1))
            slope = (found[0] - found[1])[moving] / 4e-3
            mine = grad[moving, column]
            error = (slope - mine).abs() / (1.0 + slope.abs())
            print(
                f"step: {name}[{column}] median relative error {error.median():.1e}, "
                f"90 % {error.quantile(0.9):.1e}, rows {len(error)}"
            )


class _Replay:
    """Everybody's action as it was; one row's first one changed, and later ones if it reacts."""

    def __init__(self, learner, driven, row, column, change, closed):
        self.learner, self.driven, self.row = learner, driven, row
        self.column, self.change, self.closed = column, change, closed
        self.act, self.step = learner._act, 0

    def __call__(self, observation, state, noise):
        action, entropy = self.act(observation, state, noise)
        asked = self.driven[self.step].clone()
        if self.closed:
            asked[self.row] = action.detach()[self.row]
        if self.step == 0:
            asked[self.row] = self.driven[0][self.row]
            asked[self.row, self.column] += self.change
        self.step += 1
        return asked, entropy


@torch.no_grad()
def _replayed(learner, noise, driven, row, column, change, closed) -> float:
    """The row's return with its first action changed."""
    learner._act = _Replay(learner, driven, row, column, change, closed)
    try:
        return learner.drive(noise, critic=False)[row]
    finally:
        del learner._act


def check_horizon(learner: ShortHorizonLearner, horizon: int = 6) -> None:
    """Open loop (actions repeated) through motion, observation and reward, and closed loop."""
    world = learner.world
    learner.settings = replace(learner.settings, horizon=horizon, entropy=0.0)
    rows, agents = world.row_count, world.simulator.shape[1]
    noise = 0.5 * torch.randn(horizon, rows, 2, generator=torch.Generator().manual_seed(5))
    start = world.simulator.snapshot()
    with torch.no_grad():  # a head that answers to what it sees
        torch.nn.init.normal_(learner.policy.action_head.weight[:2], std=0.05)
    results = []
    for closed in (False, True):
        through = "all" if closed else "none"
        learner.settings = replace(learner.settings, through=through)
        world.simulator.restore(start)
        whole = learner.drive(noise, critic=False)
        driven = [action.detach().clone() for action in learner.actions]
        grads = torch.autograd.grad(whole.sum(), learner.actions[0])[0]
        alive = torch.stack(learner._alive).all(0) & ~torch.stack(learner._over).any(0)
        moving = alive & (learner.simulated()[:, 3] > 3.0)
        chosen = [int(r) for r in moving.nonzero().squeeze(-1)[:: max(1, int(moving.sum()) // 16)]]
        for row in chosen:
            for column, size in ((0, 0.2), (1, 0.1)):
                ends = []
                for sign in (1.0, -1.0):
                    world.simulator.restore(start)
                    ends.append(_replayed(learner, noise, driven, row, column, sign * size, closed))
                slope = (ends[0] - ends[1]) / (2 * size)
                results.append((closed, column, float(slope), float(grads[row, column])))
    for closed in (False, True):
        for column, name in enumerate(("jerk", "lateral jerk")):
            pairs = np.array([r[2:] for r in results if r[0] == closed and r[1] == column])
            slope, mine = pairs.T
            close = np.abs(slope - mine) <= 0.1 * np.abs(slope) + 2e-3
            print(
                f"horizon {horizon}, {'closed' if closed else 'open'} loop, {name}: correlation "
                f"{np.corrcoef(slope, mine)[0, 1]:.4f}, within 10 %: {close.sum()} of {len(close)}"
            )
            print(
                "   differences", np.round(slope[:8], 4), "\n   gradient   ", np.round(mine[:8], 4)
            )


if __name__ == "__main__":
    torch.set_num_threads(1)
    learner = ShortHorizonLearner(world_of(2), ShortHorizonSettings(seed=1), fast=False)
    torch.manual_seed(0)
    for _ in range(10):
        learner.world.step(torch.randn(learner.world.row_count, 2))
    check_step(learner)
    check_horizon(learner)

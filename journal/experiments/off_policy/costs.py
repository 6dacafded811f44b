"""What a row costs in each part of learning, in CPU time of one thread.

    python journal/experiments/off_policy/costs.py

Least of several repeats, because machines are shared: a forward pass of the policy (acting), a
step of the worlds, a row of PPO's gradient and a row of the off-policy learner's.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from learner import OffPolicyLearner, OffPolicySettings

from gigalane.networks.chunks import one_torch_thread
from gigalane.sim.settings import SimulatorSettings
from gigalane.train.ppo import PPO, Batch, PPOSettings
from gigalane.studies.study import Stage
from gigalane.studies.running import open_world
from gigalane.train.trainer import TrainSettings

REPEATS = 8


def least(part: Callable[[], object], rows: int) -> float:
    """CPU microseconds a row, of the quickest repeat."""
    times = []
    for _ in range(REPEATS):
        began = time.process_time()
        part()
        times.append(time.process_time() - began)
    return 1e6 * min(times) / rows


def main() -> None:
    """Prints the costs."""
    settings = OffPolicySettings(capacity=32)
    stage = Stage(("town:1-2",), SimulatorSettings(worlds=80, agents=40), TrainSettings())
    with tempfile.TemporaryDirectory() as folder:
        world = open_world(stage, Path(folder))
        learner = OffPolicyLearner(world, settings, 0)
        world.reset(0)
        for _ in range(24):
            world.step(learner.drive())
            learner.replay.after(world)
        rows = world.row_count
        count = 4096
        draw = learner.replay.draw(count, 0.4, learner.generator)
        zeros = torch.zeros(count)
        batch = Batch(draw.observation, draw.action, zeros - 2.5, torch.randn(count), zeros, zeros)
        ppo = PPO(learner.policy, PPOSettings(minibatch=2048, epochs=1))
        everything, actions = torch.arange(count), torch.zeros(rows, dtype=torch.int64)
        shuffler = torch.Generator().manual_seed(0)
        parts: dict[str, tuple[Callable[[], object], int]] = {
            "forward": (lambda: learner.policy.evaluate(world.observation), rows),
            "step": (lambda: world.step(actions), rows),
            "gradient, PPO": (lambda: ppo.update(batch, everything, 1e-5, shuffler), count),
            "gradient, off-policy": (lambda: learner._improve(draw), count),
            "draw": (lambda: learner.replay.draw(1024, 0.4, learner.generator), 1024),
        }
        for name, (part, rows_of_part) in parts.items():
            print(f"{name:22s} {least(part, rows_of_part):6.2f} us a row")


if __name__ == "__main__":
    with one_torch_thread():
        main()

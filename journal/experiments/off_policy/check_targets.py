"""Checks the targets of the replay on a case worked by hand, and against a slow twin.

    python journal/experiments/off_policy/check_targets.py

Three rows, discount 0.5 a 0.3 s step, returns over 0.6 s:

- row 0 has steps of 0.3 s, so a return spans two of them: from step 0, 1 + 0.5 · 2 = 2, then
  0.25 of the value of what step 2 shows;
- row 1 has steps of 0.3 s and terminates in step 1 with -3: from step 0, 1 + 0.5 · -3 = -0.5 and
  nothing follows; step 2 is inactive and never drawn; the next episode begins in step 3;
- row 2 has steps of 0.2 s, so a return spans three, γ = 0.5^(2/3) = 0.63; it is truncated in step
  1: from step 0, 1 + 0.63 · 2, then γ² = 0.397 of the value of what step 2 shows, in which the row
  is inactive.
"""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import torch
from learner import choice_weights, quantile_loss
from replay import Replay
from torch import Tensor

WIDTH = 2


def world_of(rows: int) -> Any:  # noqa: ANN401
    """A world without a simulator."""
    return SimpleNamespace(row_count=rows, layout=SimpleNamespace(width=WIDTH))


def feed(replay: Replay, steps: list[dict[str, Tensor]]) -> None:
    """Shows steps to a replay; the observation of step t, row i is (t, i)."""
    rows = replay.rows
    for number, step in enumerate(steps):
        seen = torch.stack([torch.full((rows,), float(number)), torch.arange(rows).float()], 1)
        world: Any = SimpleNamespace(observation=seen.half(), learn=step["active"], **step)
        action = torch.full((rows,), number % 12)
        replay.before(world, action, step["value"], torch.zeros(rows))
        replay.after(world)


def hand_worked() -> None:
    """The case above, and that nothing is drawn that may not be."""
    flag, rewards = torch.tensor, [[1.0, 1.0, 1.0], [2.0, -3.0, 2.0], [4.0, 0.0, 0.0]]
    steps = [
        {
            "active": flag([True, number != 2, number != 2]),
            "dt": torch.tensor([0.3, 0.3, 0.2]),
            "reward": torch.tensor(rewards[min(number, 2)]),
            "terminated": flag([False, number == 1, False]),
            "truncated": flag([False, False, number == 1]),
            "value": torch.zeros(3),
        }
        for number in range(8)
    ]
    replay = Replay(world_of(3), 16, span_s=0.6, discount=0.5, priority=0.0)
    assert replay.reach == 6
    feed(replay, steps)
    gamma = 0.5 ** (2 / 3)
    gained = torch.tensor([2.0, -0.5, 1 + 2 * gamma])
    assert torch.allclose(replay.gained[0], gained), replay.gained[0]
    assert torch.allclose(replay.carried[0], torch.tensor([0.25, 0.0, gamma**2]))
    assert replay.end[0].tolist() == [2, 2, 2]
    assert torch.equal(replay.weight[:2] > 0, torch.ones(2, 3, dtype=torch.bool))
    assert not (replay.weight[2:] > 0).any()  # what follows has not happened yet
    draw = replay.draw(600, 1.0, torch.Generator().manual_seed(0))
    assert set(draw.place.tolist()) == set(range(6))
    assert (draw.following[draw.place // 3 == 0, 0] == 2).all()
    assert torch.equal(draw.following[:, 1], draw.observation[:, 1])
    assert torch.allclose(draw.weight, torch.ones(600))


def slow_return(
    steps: list[dict[str, Tensor]], start: int, row: int, span_s: float, discount: float
) -> tuple[float, float, int]:
    """Rewards of the span, discount of what follows and its step, one addition at a time."""
    seconds = gained = 0.0
    for at in range(start, len(steps)):
        step, dt = steps[at], float(steps[at]["dt"][row])
        gained += discount ** (seconds / 0.3) * float(step["reward"][row])
        seconds += dt
        if step["terminated"][row]:
            return gained, 0.0, at + 1
        if step["truncated"][row] or seconds > span_s - 1e-4:
            return gained, discount ** (seconds / 0.3), at + 1
    raise AssertionError("the steps end within the span")


def against_the_twin() -> None:
    """Random ends and steps, in a ring that goes round three times."""
    generator = torch.Generator().manual_seed(1)
    rows, count, capacity = 40, 100, 32
    dt = torch.tensor([0.1, 0.2, 0.25, 0.3]).repeat(10)
    steps, active = [], torch.ones(rows, dtype=torch.bool)
    for _ in range(count):
        chance = torch.rand(rows, generator=generator)
        ends = [active & (chance < 0.08), active & (chance > 0.92)]
        reward = torch.where(active, torch.randn(rows, generator=generator), 0.0)
        value = torch.randn(rows, generator=generator)
        step = {"active": active, "dt": dt, "reward": reward, "value": value}
        steps.append({**step, "terminated": ends[0], "truncated": ends[1]})
        active = ~(ends[0] | ends[1])
    replay = Replay(world_of(rows), capacity, span_s=1.0, discount=0.9, priority=1.0)
    feed(replay, steps)
    checked = 0
    for start in range(count - capacity, count - replay.reach):
        for row in range(rows):
            slot = start % capacity
            if not steps[start]["active"][row]:
                assert replay.weight[slot, row] == 0
                continue
            gained, carried, end = slow_return(steps, start, row, 1.0, 0.9)
            assert math.isclose(replay.gained[slot, row], gained, abs_tol=1e-5)
            assert math.isclose(replay.carried[slot, row], carried, abs_tol=1e-5)
            assert replay.end[slot, row] == end % capacity
            assert replay.observation[replay.end[slot, row], row, 0] == end
            error = abs(gained + carried * float(steps[end]["value"][row]))
            assert math.isclose(replay.weight[slot, row], error + 0.01, abs_tol=1e-5)
            checked += 1
    assert checked > 500
    draw = replay.draw(200_000, 1.0, torch.Generator().manual_seed(2))
    drawn = torch.bincount(draw.place, minlength=capacity * rows) / len(draw.place)
    wanted = replay.weight.flatten() / replay.weight.sum()
    assert (drawn - wanted).abs().max() < 2e-3
    # Weighed, the drawn transitions stand for all of them evenly.
    even = replay.gained[replay.weight > 0].mean()
    assert abs(float((draw.gained * draw.weight).mean() - even)) < 0.05


def quantiles() -> None:
    """The loss is least where it should be, and greedy and soft weights are what they say.

    With returns even over 0 to 20 the gradient of quantile m is nought where
    m (20 - q - ½) = (1 - m) (q - ½), so q = ½ + 19 m: the Huber part draws 20 m inwards a little.
    """
    predicted = torch.zeros(1, 4, requires_grad=True)
    returns = torch.linspace(0, 20, 2001).unsqueeze(0)
    optimizer = torch.optim.Adam([predicted], 0.2)
    for _ in range(400):
        optimizer.zero_grad()
        quantile_loss(predicted, returns).sum().backward()
        optimizer.step()
    wanted = 0.5 + 19 * torch.tensor([[0.125, 0.375, 0.625, 0.875]])
    assert torch.allclose(predicted.detach(), wanted, atol=0.1)
    advantage = torch.tensor([[1.0, 3.0, 2.0]])
    assert choice_weights(advantage, None).tolist() == [[0.0, 1.0, 0.0]]
    soft = choice_weights(advantage, 1.0)
    assert torch.allclose(soft.log() - soft.log()[:, :1], advantage - 1, atol=1e-6)


if __name__ == "__main__":
    hand_worked()
    against_the_twin()
    quantiles()
    print("targets are right")

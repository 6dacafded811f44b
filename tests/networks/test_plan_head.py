import math

import pytest
import torch
from torch.nn.functional import softmax

from gigalane.networks.chunks import one_torch_thread
from gigalane.networks.plans import (
    PlanHead,
    Plans,
    distances,
    row_weights,
    scorer_loss,
    turns,
    winner_takes_all_loss,
)


@pytest.fixture
def head():
    torch.manual_seed(0)
    return PlanHead(features=12, proposals=4, width=32)


def level(*offsets):
    """Proposals or futures that are the same everywhere: (…, 8, 3)."""
    return torch.tensor(offsets).float()[..., None, None].expand(*torch.tensor(offsets).shape, 8, 3)


def test_a_new_head_about_keeps_its_speed(head):
    plans = head(torch.randn(6, 12), torch.full((6,), 9.0))
    assert plans.proposals.shape == (6, 4, 8, 3) and plans.scores.shape == (6, 4)
    straight = 9.0 * 0.5 * torch.arange(1, 9)
    assert (plans.proposals[..., 0] - straight).abs().max() < 0.15 * 36.0
    assert plans.proposals[..., 2].abs().max() < 0.5


def test_the_plan_to_execute_has_the_highest_score():
    proposals = level([0.0, 1.0, 2.0], [3.0, 4.0, 5.0])
    plans = Plans(proposals, torch.tensor([[0.1, 0.9, 0.2], [2.0, 1.0, -1.0]]))
    assert plans.best()[:, 0, 0].tolist() == [1.0, 3.0]


def test_losses_by_hand():
    proposals, future = level([1.0, -0.5], [2.0, 0.0]), level(0.0, 0.0)
    wanted = torch.tensor([[1.0, 0.5], [2.0, 0.0]])
    assert torch.allclose(distances(proposals, future), wanted, atol=1e-6)
    weight = torch.tensor([0.25, 0.75])
    plain = winner_takes_all_loss(proposals, future, weight, loser_share=0.0)
    assert abs(float(plain) - 0.25 * 0.5) < 1e-6
    mixed = winner_takes_all_loss(proposals, future, weight, loser_share=0.2)
    assert abs(float(mixed) - (0.8 * 0.125 + 0.2 * (0.25 * 0.75 + 0.75 * 1.0))) < 1e-6
    # Shares of the proposals: e^-2 to e^-1 and e^-4 to 1; scores say 1 to 1 and 3 to 1.
    plans = Plans(proposals, torch.tensor([[0.0, 0.0], [math.log(3.0), 0.0]]))
    first = math.log(2.0)
    share = math.exp(-4.0) / (1.0 + math.exp(-4.0))
    second = -(share * math.log(0.75) + (1.0 - share) * math.log(0.25))
    found = scorer_loss(plans, future, weight, nearness=0.5)
    assert abs(float(found) - (0.25 * first + 0.75 * second)) < 1e-6


def test_yaw_is_compared_around_the_circle():
    proposals, future = torch.zeros(1, 1, 8, 3), torch.zeros(1, 8, 3)
    proposals[..., 2], future[..., 2] = 3.1, -3.1
    assert abs(float(distances(proposals, future)) - (2 * math.pi - 6.2) / 3) < 1e-6


def test_only_the_winner_is_pulled():
    proposals = level([1.0, -0.5, 3.0]).unsqueeze(0)[0].clone().requires_grad_()
    winner_takes_all_loss(proposals, level(0.0), torch.ones(1), loser_share=0.0).backward()
    pulled = proposals.grad.abs().sum((-1, -2))
    assert pulled[0, 1] > 0 and pulled[0, 0] == pulled[0, 2] == 0


def test_the_scorer_does_not_move_the_proposals(head):
    plans = head(torch.randn(5, 12), torch.rand(5))
    scorer_loss(plans, torch.randn(5, 8, 3), torch.full((5,), 0.2)).backward()
    assert head.planner.weight.grad is None and head.hidden.weight.grad is None
    assert head.scorer.weight.grad.abs().sum() > 0


def test_rows_without_a_target_have_no_say_and_turns_weigh_five_times():
    valid = torch.tensor([True, False, True, True])
    is_turn = torch.tensor([False, True, True, False])
    weight = row_weights(valid, is_turn)
    assert torch.allclose(weight, torch.tensor([1.0, 0.0, 5.0, 1.0]) / 7.0)
    assert row_weights(torch.zeros(3, dtype=torch.bool), torch.ones(3, dtype=torch.bool)).sum() == 0
    poses = torch.zeros(2, 8, 3)
    poses[1, 5, 2] = -0.5
    assert turns(poses).tolist() == [False, True]


def test_proposals_learn_both_ways_of_a_fork_and_the_scorer_which_is_likelier(head):
    """Left three times in four, right else: one plan in between would be a crash."""
    with one_torch_thread():
        teach_both_ways(head)


def teach_both_ways(head):
    optimizer = torch.optim.Adam(head.parameters(), lr=3e-3)
    generator = torch.Generator().manual_seed(1)
    features, speed = torch.ones(64, 12), torch.full((64,), 5.0)
    time = 0.5 * torch.arange(1, 9)
    left = torch.stack((5.0 * time, 0.4 * time**2, 0.1 * time), -1)
    right = left * torch.tensor([1.0, -1.0, -1.0])
    for _ in range(200):
        is_left = torch.rand(64, generator=generator) < 0.75
        future = torch.where(is_left[:, None, None], left, right)
        weight = row_weights(torch.ones(64, dtype=torch.bool), turns(future))
        plans = head(features, speed)
        loss = winner_takes_all_loss(plans.proposals, future, weight)
        loss = loss + scorer_loss(plans, future, weight)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        plans = head(features[:1], speed[:1])
    assert float(distances(plans.proposals, left[None]).min()) < 0.25
    assert float(distances(plans.proposals, right[None]).min()) < 0.25
    assert float(distances(plans.best()[:, None], left[None])) < 0.25
    chances = softmax(plans.scores, -1)[0]
    leftish = plans.proposals[0, :, -1, 1] > 0
    assert abs(float(chances[leftish].sum()) - 0.75) < 0.1


def test_sizes_that_make_no_head_are_refused():
    with pytest.raises(ValueError, match="plans: features"):
        PlanHead(12, proposals=0)

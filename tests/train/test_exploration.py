import pytest
import torch

from gigalane.networks.distributions import Beta
from gigalane.sim.events import EVENT_NAMES
from gigalane.train.exploration import (
    GO,
    HINTS,
    STOP,
    TURN,
    ExplorationSettings,
    divergence_from_hints,
    hints_before_events,
)

NAMES = ("collided", "timed_out", "off_road", "reached_goal")
COLLIDED, TIMED_OUT, OFF_ROAD, GOAL = 1, 2, 4, 8


def hints(events, ended=None, active=None, dt=0.5, seconds=1.0) -> list[list[int]]:
    """Hints for rows of events over steps, written row by row."""
    events = torch.tensor(events, dtype=torch.int32).t()
    ended = events > 0 if ended is None else torch.tensor(ended).t().bool()
    active = torch.ones_like(ended) if active is None else torch.tensor(active).t().bool()
    steps = torch.full(events.shape, dt)
    return hints_before_events(events, NAMES, ended, active, steps, seconds).t().tolist()


def test_the_seconds_before_an_event_are_told_and_no_others():
    assert hints([[0, 0, 0, COLLIDED, 0, 0]]) == [[0, 0, STOP, STOP, 0, 0]]
    assert hints([[0, 0, 0, TIMED_OUT, 0, 0]], seconds=1.5) == [[0, GO, GO, GO, 0, 0]]
    assert hints([[0, 0, 0, OFF_ROAD]], dt=0.1) == [[TURN] * 4]
    assert hints([[0, 0, 0, GOAL]]) == [[0, 0, 0, 0]]


def test_ten_seconds_are_the_papers_hundred_steps():
    events = [[0] * 149 + [COLLIDED]]
    assert hints(events, dt=0.1, seconds=10.0) == [[0] * 50 + [STOP] * 100]
    assert hints(events, dt=0.25, seconds=10.0) == [[0] * 110 + [STOP] * 40]


def test_an_event_says_nothing_of_the_episode_before_its_own():
    # The first episode ends in a goal, the row is empty for a step, the next one collides.
    found = hints(
        [[0, GOAL, 0, 0, COLLIDED]],
        active=[[1, 1, 0, 1, 1]],
        seconds=100.0,
    )
    assert found == [[0, 0, 0, STOP, STOP]]


def test_of_two_events_the_next_one_counts():
    # A line run over does not end an episode; here off_road stands for such an event.
    found = hints([[0, OFF_ROAD, 0, COLLIDED]], ended=[[0, 0, 0, 1]], seconds=100.0)
    assert found == [[TURN, TURN, STOP, STOP]]
    both = hints([[0, OFF_ROAD | COLLIDED]])
    assert both == [[TURN | STOP, TURN | STOP]]


def test_rows_do_not_mix():
    found = hints([[0, COLLIDED, 0], [0, 0, 0], [0, 0, TIMED_OUT]])
    assert found == [[STOP, STOP, 0], [0, 0, 0], [0, GO, GO]]


def test_every_event_that_hints_is_one_of_the_simulators():
    assert set(HINTS) <= set(EVENT_NAMES)


def numeric_kl(alpha: float, beta: float, other: tuple[float, float]) -> float:
    """KL between two Beta distributions by the midpoint rule."""
    share = (torch.arange(400_000, dtype=torch.float64) + 0.5) / 400_000
    one = torch.distributions.Beta(*torch.tensor((alpha, beta), dtype=torch.float64))
    two = torch.distributions.Beta(*torch.tensor(other, dtype=torch.float64))
    density = one.log_prob(share)
    return float((density.exp() * (density - two.log_prob(share))).mean())


def policy_of(rows: int) -> Beta:
    alpha = torch.tensor([[3.0, 5.0]]).repeat(rows, 1).requires_grad_()
    beta = torch.tensor([[2.0, 4.0]]).repeat(rows, 1).requires_grad_()
    return Beta(alpha, beta, (-5.0, -0.5), (2.5, 0.5))


def test_the_divergence_is_from_the_named_number_to_roachs_prior_over_both_numbers():
    found = divergence_from_hints(policy_of(5), torch.tensor([0, STOP, GO, TURN, STOP | TURN]))
    stop = numeric_kl(3.0, 2.0, (1.0, 2.5))
    go = numeric_kl(3.0, 2.0, (2.5, 1.0))
    turn = numeric_kl(5.0, 4.0, (1.0, 1.0))
    wanted = torch.tensor([0.0, stop / 2, go / 2, turn / 2, (stop + turn) / 2])
    assert torch.allclose(found, wanted, atol=1e-4)


def test_descending_it_brakes_or_goes_or_loosens_the_steering_and_leaves_the_rest():
    for hint, number in ((STOP, 0), (GO, 0), (TURN, 1)):
        alpha = torch.tensor([[3.0, 5.0]], requires_grad=True)
        beta = torch.tensor([[3.0, 5.0]], requires_grad=True)
        before = Beta(alpha, beta)
        divergence_from_hints(before, torch.tensor([hint])).sum().backward()
        assert (alpha.grad[:, 1 - number] == 0).all() and (beta.grad[:, 1 - number] == 0).all()
        after = Beta(alpha - 0.1 * alpha.grad, beta - 0.1 * beta.grad)
        moved = (after.mean() - before.mean())[0, number]
        if hint == TURN:
            assert after.entropy() > before.entropy()
        else:
            assert moved > 0.001 if hint == GO else moved < -0.001


def test_what_cannot_be_is_refused():
    for wrong in ({"weight": -1.0}, {"seconds": 0.0}):
        with pytest.raises(ValueError, match="exploration"):
            ExplorationSettings(**wrong)

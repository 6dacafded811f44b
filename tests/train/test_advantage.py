import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gigalane.train.advantage import (
    AdvantageFilter,
    FilterSettings,
    generalized_advantages,
    per_step,
)

HALF = 0.5  # discount and trace are both a half, so that products are easy by hand


def advantages(reward, value, terminated=(), truncated=(), inactive=()):
    """GAE of one row; the last three name steps."""
    steps = len(reward)
    flags = [
        torch.tensor([[step in chosen] for step in range(steps)])
        for chosen in (terminated, truncated, inactive)
    ]
    factor = torch.full((steps, 1), HALF)
    column = torch.tensor(reward)[:, None], torch.tensor(value)[:, None]
    return generalized_advantages(*column, flags[0], flags[1], ~flags[2], factor, factor)[:, 0]


def test_advantage_without_an_end():
    # δ0 = 1 + 0.5·4 - 2 = 1;  δ1 = 2 + 0.5·8 - 4 = 2
    # A1 = 2;  A0 = 1 + 0.25·2 = 1.5
    found = advantages([1.0, 2.0], [2.0, 4.0, 8.0])
    assert found.tolist() == [1.5, 2.0]


def test_termination_has_no_value_after_it_and_cuts_the_sum():
    # δ0 = 1 - 2 = -1 (nothing follows);  A0 = -1 whatever comes later
    # δ1 = 2 + 4 - 4 = 2
    found = advantages([1.0, 2.0], [2.0, 4.0, 8.0], terminated=[0])
    assert found.tolist() == [-1.0, 2.0]


def test_truncation_keeps_the_value_of_the_state_it_ended_in_and_cuts_the_sum():
    # δ0 = 1 + 0.5·4 - 2 = 1;  A0 = 1, the next episode does not flow back
    found = advantages([1.0, 2.0], [2.0, 4.0, 8.0], truncated=[0])
    assert found.tolist() == [1.0, 2.0]


def test_inactive_step_counts_for_nothing_and_carries_nothing():
    # Step 0 is cut, step 1 is the respawn (its reward of 100 must vanish), step 2 is new:
    # δ0 = 1 + 0.5·4 - 2 = 1;  A1 = 0;  δ2 = 3 + 0.5·2 - 8 = -4
    found = advantages([1.0, 100.0, 3.0], [2.0, 4.0, 8.0, 2.0], truncated=[0], inactive=[1])
    assert found.tolist() == [1.0, 0.0, -4.0]


def test_row_that_vanishes_without_an_end_gets_nothing_from_later():
    found = advantages([1.0, 100.0, 3.0], [2.0, 4.0, 8.0, 2.0], inactive=[1])
    assert found.tolist() == [1.0, 0.0, -4.0]


def test_last_step_uses_the_value_after_the_roll_out():
    assert advantages([1.0], [2.0, 10.0]).tolist() == [4.0]
    assert advantages([1.0], [2.0, 10.0], terminated=[0]).tolist() == [-1.0]
    assert advantages([1.0], [2.0, 10.0], truncated=[0]).tolist() == [4.0]


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_trace_of_one_gives_the_discounted_return_of_each_episode(seed):
    generator = torch.Generator().manual_seed(seed)
    reward, value = torch.randn(12, generator=generator), torch.randn(13, generator=generator)
    end = torch.randint(0, 3, (12,), generator=generator)  # 0 goes on, 1 terminates, 2 cuts
    discount = 0.9
    expected = torch.zeros(12)
    for start in range(12):
        total, weight = 0.0, 1.0
        for step in range(start, 12):
            total += weight * float(reward[step])
            weight *= discount
            if end[step] == 1:
                break
            if end[step] == 2 or step == 11:
                total += weight * float(value[step + 1])
                break
        expected[start] = total - float(value[start])
    found = generalized_advantages(
        reward[:, None],
        value[:, None],
        (end == 1)[:, None],
        (end == 2)[:, None],
        torch.ones(12, 1, dtype=torch.bool),
        torch.full((12, 1), discount),
        torch.ones(12, 1),
    )
    torch.testing.assert_close(found[:, 0], expected, rtol=1e-4, atol=1e-5)


def test_discount_belongs_to_time_not_to_steps():
    factors = per_step(0.9, torch.tensor([0.3, 0.1, 0.6]))
    torch.testing.assert_close(factors, torch.tensor([0.9, 0.9 ** (1 / 3), 0.81]))
    three_short_steps = float(per_step(0.9, torch.tensor([0.1]))) ** 3
    assert three_short_steps == pytest.approx(0.9)


def loose(**changes: float) -> FilterSettings:
    defaults = {"threshold": 0.1, "momentum": 0.25, "keep_share": 0.0, "keep_minimum": 0}
    return FilterSettings(**(defaults | changes))


def select(chooser: AdvantageFilter, advantage: list[float], learn: list[bool] | None = None):
    flags = torch.tensor(learn or [True] * len(advantage))
    return chooser.select(torch.tensor(advantage), flags).tolist()


def test_filter_drops_what_is_small_beside_the_running_maximum():
    chooser = AdvantageFilter(loose())
    # The first maximum is 10, so the threshold is 1.
    assert select(chooser, [10.0, -0.5, 1.0, -2.0, 0.9]) == [0, 2, 3]
    # The running maximum moves a quarter of the way: 0.25·2 + 0.75·10 = 8; threshold 0.8.
    assert select(chooser, [2.0, 0.7, -0.9]) == [0, 2]
    assert chooser.running_max == 8.0


def test_filter_looks_only_at_what_may_be_learned_from():
    chooser = AdvantageFilter(loose())
    assert select(chooser, [1000.0, 10.0, 0.5, 2.0], [False, True, True, False]) == [1]
    assert chooser.running_max == 10.0


def test_filter_never_drops_more_than_its_guards_allow():
    advantage = [10.0, 0.1, 0.4, -0.2, 0.3]
    assert select(AdvantageFilter(loose(keep_share=0.6)), advantage) == [0, 2, 4]
    assert select(AdvantageFilter(loose(keep_minimum=4)), advantage) == [0, 2, 3, 4]
    assert select(AdvantageFilter(loose(keep_minimum=99)), advantage) == [0, 1, 2, 3, 4]


def test_filter_of_threshold_zero_keeps_all_and_of_nothing_gives_nothing():
    assert select(AdvantageFilter(loose(threshold=0.0)), [0.0, 1.0]) == [0, 1]
    chooser = AdvantageFilter(loose())
    assert select(chooser, [1.0, 2.0], [False, False]) == []
    assert chooser.running_max is None


def test_filter_refuses_shares_outside_zero_to_one():
    with pytest.raises(ValueError, match="keep_share must lie between 0 and 1"):
        FilterSettings(keep_share=20)

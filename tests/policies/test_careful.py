from itertools import pairwise

import pytest
import torch

from gigalane.networks.distributions import Categorical
from gigalane.policies.careful import careful_choice

# Jerks along the road are -15, -4, 0, 4 m/s^3, across -4, 0, 4, in this order.
LIKELY = torch.tensor(
    [
        [[0.0, 0.2, 0.0], [0.1, 0.0, 0.0], [0.0, 0.1, 0.2], [0.3, 0.1, 0.0]],
        [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.4, 0.6]],
    ]
)


@pytest.mark.parametrize(
    ("caution", "chosen"),
    [
        (0.05, [9, 11]),
        (0.39, [9, 11]),
        (0.41, [8, 11]),
        (0.65, [8, 11]),
        (0.75, [3, 11]),
        (0.85, [1, 11]),
    ],
)
def test_so_much_probability_is_left_to_greater_jerks(caution, chosen):
    distribution = Categorical(LIKELY.flatten(1).log())
    assert careful_choice(distribution, caution).tolist() == chosen
    assert distribution.mode().tolist() == [9, 11]


def test_more_caution_never_takes_a_greater_jerk():
    generator = torch.Generator().manual_seed(1)
    distribution = Categorical(2.0 * torch.randn(500, 12, generator=generator))
    taken = [careful_choice(distribution, c) // 3 for c in (0.001, 0.2, 0.5, 0.65, 0.9, 0.999)]
    assert all((a >= b).all() for a, b in pairwise(taken))
    assert (taken[0] == 3).float().mean() > 0.9 and (taken[-1] == 0).float().mean() > 0.9

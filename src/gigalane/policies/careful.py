"""Which action one takes that is unsure and would rather be slow than wrong."""

from __future__ import annotations

from torch import Tensor

from gigalane.networks.distributions import Categorical
from gigalane.sim.control import JERK_CHOICES, LATERAL_JERK_CHOICES

_GRID = (len(JERK_CHOICES), len(LATERAL_JERK_CHOICES))


def careful_choice(distribution: Categorical, caution: float) -> Tensor:
    """A quantile of the jerk along the road, and with it the likeliest one across.

    Args:
        distribution: over the twelve pairs of jerks.
        caution: probability that is left to greater jerks at most, 0 to 1; 0.5 is the median.

    Returns:
        (rows,) int64, indices of actions.
    """
    likely = distribution.log_probabilities.exp().unflatten(-1, _GRID)
    below = likely.sum(-1).cumsum(-1)
    # The last sum may round below 1.
    along = (below < (1.0 - caution) * below[:, -1:]).sum(-1)
    across = likely.take_along_dim(along[:, None, None], 1).squeeze(1).argmax(-1)
    return along * _GRID[1] + across

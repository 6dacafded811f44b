"""What a policy has learned, as one vector."""

import torch
from torch import Tensor

from gigalane.policies.actor_critic import AnyPolicy


def weights(policy: AnyPolicy) -> Tensor:
    """All parameters end to end, (count,)."""
    return torch.cat([parameter.detach().flatten() for parameter in policy.parameters()])

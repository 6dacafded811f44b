"""Precisions that policies are tested in."""

import pytest
import torch

from gigalane.networks.layers import has_fast_bf16


@pytest.fixture(params=["fp32", "bf16"])
def fast_precision(request) -> str:
    """What wide products are computed in; bfloat16 only where the processor has it."""
    if request.param == "bf16" and not has_fast_bf16(torch.device("cpu")):
        pytest.skip("this processor only emulates bfloat16")
    return request.param

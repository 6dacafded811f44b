"""Fully connected layers with the initialisation that policy gradients like."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

from gigalane.networks.dense import Layer, apply_layers

Precision = Literal["fp32", "bf16"]
"""What the products of wide layers are computed in; weights themselves are always float32."""

RELU_GAIN = math.sqrt(2.0)
"""Keeps the variance of activations through a ReLU (He et al. 2015)."""


def linear(inputs: int, outputs: int, gain: float = RELU_GAIN) -> nn.Linear:
    """A linear layer with orthogonal weights and zero biases (Saxe et al. 2014).

    Args:
        inputs: numbers in.
        outputs: numbers out.
        gain: scale of the orthogonal weights; 0.01 for a policy head makes the first policy
            nearly uniform.

    Returns:
        The layer, initialised from torch's global generator.
    """
    layer = nn.Linear(inputs, outputs)
    nn.init.orthogonal_(layer.weight, gain)
    nn.init.zeros_(layer.bias)
    return layer


class Trunk(nn.Module):
    """A stack of linear layers, each followed by a ReLU.

    Attributes:
        widths: numbers out of each layer, in order.
        precision: "bf16" computes the products in bfloat16 and hands float32 on.
    """

    def __init__(self, inputs: int, widths: Sequence[int]) -> None:
        """Builds the stack.

        Args:
            inputs: numbers in.
            widths: numbers out of each layer, in order.
        """
        super().__init__()
        self.widths = tuple(widths)
        sizes = [inputs, *widths]
        self.layers = nn.ModuleList(linear(a, b) for a, b in pairwise(sizes))
        self.precision: Precision = "fp32"

    def forward(self, features: Tensor, *heads: nn.Linear) -> Tensor:
        """Maps rows to what the heads say of them, or to features where there is no head.

        Args:
            features: (rows, inputs) float32.
            heads: linear layers side by side after the stack, always in float32: what they give
                is compared between one version of a policy and the next.

        Returns:
            (rows, outputs of all heads) float32; without heads (rows, widths[-1]).
        """
        bf16 = self.precision == "bf16"
        layers = [Layer(layer.weight, layer.bias, bf16, True) for layer in self.layers]  # pyright: ignore[reportArgumentType]
        if heads:
            weight = torch.cat([head.weight for head in heads])
            bias = torch.cat([head.bias for head in heads])
            layers.append(Layer(weight, bias, False, False))
        return apply_layers(features, layers)


def has_fast_bf16(device: torch.device) -> bool:
    """Whether `device` multiplies bfloat16 matrices faster than float32 ones."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    # oneDNN also emulates bfloat16 on processors without the instructions, slowly.
    return device.type == "cpu" and (
        torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    )

"""Fully connected layers, one after the other, as one operation of torch.

`apply_layers` runs kernels whose rows do not depend on each other (see `dense_kernels`) wherever
`fits_kernels`; `apply_layers_plain` says the same in torch, for GPUs and as the test oracle.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import BackwardCFunction, FunctionCtx, once_differentiable
from torch.nn import functional

from gigalane.networks import dense_kernels
from gigalane.networks.native import run_here

PANEL = dense_kernels.PANEL


class Layer(NamedTuple):
    """One fully connected layer.

    Attributes:
        weight: (outputs, inputs) float32.
        bias: (outputs,) float32.
        is_bf16: whether its products are of bfloat16 numbers; sums are float32 all the same.
        rectify: whether a ReLU follows.
    """

    weight: Tensor
    bias: Tensor
    is_bf16: bool
    rectify: bool


def apply_layers(features: Tensor, layers: Sequence[Layer]) -> Tensor:
    """Sends rows through layers.

    Args:
        features: (rows, inputs of the first layer) float32.
        layers: each takes what the one before gives.

    Returns:
        (rows, outputs of the last layer) float32.
    """
    if not fits_kernels(features, layers):
        return apply_layers_plain(features, layers)
    kinds = tuple((layer.is_bf16, layer.rectify) for layer in layers)
    weights = [tensor for layer in layers for tensor in (layer.weight, layer.bias)]
    result = _FusedLayers.apply(features, kinds, *weights)
    return result[:, : layers[-1].weight.shape[0]]  # pyright: ignore[reportIndexIssue]


def apply_layers_plain(features: Tensor, layers: Sequence[Layer]) -> Tensor:
    """The layers in plain torch, their products in bfloat16 by way of autocast."""
    for layer in layers:
        with torch.autocast(features.device.type, torch.bfloat16, enabled=layer.is_bf16):
            given = features if layer.is_bf16 else features.float()
            features = functional.linear(given, layer.weight, layer.bias)
            features = torch.relu(features) if layer.rectify else features
    return features.float()


def fits_kernels(features: Tensor, layers: Sequence[Layer]) -> bool:
    """Whether the kernels can compute these layers; the ends are padded, the middle is not."""
    return (
        features.device.type == "cpu"
        and features.dtype == torch.float32
        and len(features) > 0
        and all(layer.weight.dtype == torch.float32 for layer in layers)
        and all(layer.weight.shape[0] % PANEL == 0 for layer in layers[:-1])
    )


def pack(weight: Tensor, is_bf16: bool, for_gradient: bool = False) -> Tensor:
    """Lays weights out as `dense_kernels.multiply` reads them, with zeros up to whole panels.

    Args:
        weight: (outputs, inputs) float32.
        is_bf16: whether to round to bfloat16.
        for_gradient: whether they will multiply gradients of the outputs instead of inputs.

    Returns:
        (panels of columns, inner, PANEL) operands; inner is a multiple of PANEL too.
    """
    weight = weight.contiguous()
    columns, inner = weight.t().shape if for_gradient else weight.shape
    columns, inner = columns + -columns % PANEL, inner + -inner % PANEL
    operands = torch.bfloat16 if is_bf16 else torch.float32
    packed = torch.empty(columns // PANEL, inner, PANEL, dtype=operands)
    run_here(
        dense_kernels.pack, is_bf16, weight, *weight.shape, for_gradient, inner, columns, packed
    )
    return packed


class _FusedLayers(torch.autograd.Function):
    """The kernels as one differentiable operation; its result is padded to whole panels."""

    @staticmethod
    def forward(
        ctx: FunctionCtx,
        features: Tensor,
        kinds: tuple[tuple[bool, bool], ...],
        *parameters: Tensor,
    ) -> Tensor:
        weights = [weight.detach() for weight in parameters[::2]]
        biases = [_pad_columns(bias.detach()).contiguous() for bias in parameters[1::2]]
        given = _pad_columns(features.detach())
        activations = [given.bfloat16() if kinds[0][0] else given.contiguous()]
        for index, (is_bf16, rectify) in enumerate(kinds):
            is_wide = index + 1 == len(kinds) or not kinds[index + 1][0]
            packed = pack(weights[index], is_bf16)
            activations.append(
                _multiply(activations[-1], packed, is_bf16, is_wide, biases[index], None, rectify)
            )
        ctx.save_for_backward(*activations, *weights)
        ctx.kinds = kinds  # pyright: ignore[reportAttributeAccessIssue]
        ctx.inputs = features.shape[1]  # pyright: ignore[reportAttributeAccessIssue]
        return activations[-1]

    @staticmethod
    @once_differentiable
    def backward(ctx: BackwardCFunction, *grads: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        kinds: tuple[tuple[bool, bool], ...] = ctx.kinds  # pyright: ignore[reportAttributeAccessIssue]
        saved = list(ctx.saved_tensors)
        activations, weights = saved[: len(kinds) + 1], saved[len(kinds) + 1 :]
        grad = grads[0].contiguous()
        if kinds[-1][1]:
            grad = grad * (activations[-1] > 0)
        if kinds[-1][0]:
            grad = grad.bfloat16()
        sums: list[Tensor] = []
        for index in range(len(kinds) - 1, -1, -1):
            is_bf16 = kinds[index][0]
            given = activations[index]
            by_weight, by_bias = _weight_gradient(given, grad, is_bf16)
            outputs, inputs = weights[index].shape
            sums = [by_weight[:outputs, :inputs].contiguous(), by_bias[:outputs], *sums]
            if index or ctx.needs_input_grad[0]:
                is_wide = index == 0 or not kinds[index - 1][0]
                gate = given if index and kinds[index - 1][1] else None
                packed = pack(weights[index], is_bf16, for_gradient=True)
                grad = _multiply(grad, packed, is_bf16, is_wide, None, gate)
        by_features = grad[:, : ctx.inputs] if ctx.needs_input_grad[0] else None  # pyright: ignore[reportAttributeAccessIssue]
        return by_features, None, *sums


def _multiply(
    given: Tensor,
    packed: Tensor,
    is_bf16: bool,
    is_wide: bool,
    bias: Tensor | None,
    gate: Tensor | None,
    rectify: bool = False,
) -> Tensor:
    """One product of `dense_kernels.multiply` in a tensor of its own."""
    rows, inner = given.shape
    columns = len(packed) * PANEL
    result = torch.empty(rows, columns, dtype=torch.float32 if is_wide else torch.bfloat16)
    run_here(
        dense_kernels.multiply,
        is_bf16,
        given,
        rows,
        inner,
        columns,
        packed,
        bias,
        gate,
        rectify,
        is_wide,
        result,
    )
    return result


def _weight_gradient(given: Tensor, grad: Tensor, is_bf16: bool) -> tuple[Tensor, Tensor]:
    """Gradients of a layer's weights and biases, summed over the rows."""
    (rows, columns), outputs = given.shape, grad.shape[1]
    scratch = torch.empty(dense_kernels.BLOCK_ROWS * (columns + outputs), dtype=given.dtype)
    by_weight, by_bias = torch.empty(outputs, columns), torch.empty(outputs)
    run_here(
        dense_kernels.weight_gradient,
        is_bf16,
        given,
        rows,
        columns,
        grad,
        outputs,
        scratch,
        by_weight,
        by_bias,
    )
    return by_weight, by_bias


def _pad_columns(tensor: Tensor) -> Tensor:
    """Zeros after the last axis, up to a whole panel."""
    missing = -tensor.shape[-1] % PANEL
    return functional.pad(tensor, (0, missing)) if missing else tensor

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gigalane.networks.dense import Layer, apply_layers, apply_layers_plain, fits_kernels, pack


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def random_layers(sizes: list[int], is_bf16: bool, head: int = 0, seed: int = 0) -> list[Layer]:
    layers = [
        Layer(draw(b, a, seed=seed + b) / a**0.5, draw(b, seed=seed + a), is_bf16, True)
        for a, b in pairwise(sizes)
    ]
    if head:
        layers.append(Layer(draw(head, sizes[-1]) / 8, draw(head, seed=1), False, False))
    for layer in layers:
        layer.weight.requires_grad_()
        layer.bias.requires_grad_()
    return layers


def gradients(result: torch.Tensor, features: torch.Tensor, layers: list[Layer]):
    direction = draw(*result.shape, seed=9)
    inputs = [features, *(tensor for layer in layers for tensor in (layer.weight, layer.bias))]
    return torch.autograd.grad((result * direction).sum(), inputs)


def on_the_grid(tensor: torch.Tensor) -> torch.Tensor:
    """Rounded to an eighth, which bfloat16 holds exactly below 32."""
    return (tensor.detach() * 8).round() / 8


@settings(max_examples=10, deadline=None)
@given(
    rows=st.sampled_from([1, 5, 6, 255, 300]),
    sizes=st.sampled_from([[52, 64], [256, 64, 32], [10, 16, 48], [7, 80]]),
    head=st.sampled_from([0, 1, 13]),
    seed=st.integers(0, 100),
)
def test_kernels_agree_with_plain_torch_forward_and_backward(rows, sizes, head, seed):
    layers = random_layers(sizes, False, head, seed)
    features = draw(rows, sizes[0], seed=seed).requires_grad_()
    assert fits_kernels(features, layers)
    fused, plain = apply_layers(features, layers), apply_layers_plain(features, layers)
    torch.testing.assert_close(fused, plain, rtol=1e-4, atol=1e-5)
    found, wanted = gradients(fused, features, layers), gradients(plain, features, layers)
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("rows", [1, 300])
def test_bfloat16_products_of_numbers_it_holds_are_exact(rows):
    weight, bias = (
        on_the_grid(draw(32, 64)).requires_grad_(),
        on_the_grid(draw(32)).requires_grad_(),
    )
    features = on_the_grid(draw(rows, 64, seed=3)).requires_grad_()
    layers = [Layer(weight, bias, is_bf16=True, rectify=False)]
    fused = apply_layers(features, layers)
    assert torch.equal(fused, features @ weight.t() + bias)
    direction = on_the_grid(draw(rows, 32, seed=4))
    found = torch.autograd.grad((fused * direction).sum(), [features, weight, bias])
    assert torch.equal(found[0], direction @ weight)
    torch.testing.assert_close(found[1], direction.t() @ features, rtol=1e-6, atol=1e-5)
    torch.testing.assert_close(found[2], direction.sum(0), rtol=1e-6, atol=1e-5)


def test_bfloat16_rounds_operands_and_nothing_else():
    layers = random_layers([256, 64], True)
    features = draw(100, 256, seed=5)
    rounded = features.bfloat16().double(), layers[0].weight.detach().bfloat16().double()
    expected = torch.relu(rounded[0] @ rounded[1].t() + layers[0].bias.detach().double())
    torch.testing.assert_close(apply_layers(features, layers).double(), expected, rtol=0, atol=1e-5)


def test_bfloat16_gradients_of_several_layers_are_close_to_float32_ones():
    features = draw(300, 256, seed=6).requires_grad_()
    found, wanted = (
        gradients(apply_layers(features, layers), features, layers)
        for layers in (random_layers([256, 64, 64], bf16, 13) for bf16 in (True, False))
    )
    for one, other in zip(found, wanted, strict=True):
        assert (one - other).norm() < 0.1 * other.norm()


@pytest.mark.parametrize("is_bf16", [False, True])
def test_a_row_gives_the_same_bits_in_any_batch(is_bf16):
    layers = random_layers([52, 80, 32], is_bf16, 13)
    features = draw(303, 52, seed=7)
    whole = apply_layers(features, layers)
    for start, stop in ((0, 1), (17, 18), (3, 300), (302, 303)):
        assert torch.equal(apply_layers(features[start:stop], layers), whole[start:stop])


@pytest.mark.parametrize("is_bf16", [False, True])
@pytest.mark.parametrize("for_gradient", [False, True])
def test_packed_weights_are_panels_of_columns_with_zeros_after_the_end(is_bf16, for_gradient):
    weight = draw(20, 37)
    operands = weight.bfloat16() if is_bf16 else weight
    product = torch.zeros(48, 32) if for_gradient else torch.zeros(32, 48)
    product = product.to(operands.dtype)  # (columns, inner)
    matrix = operands.t() if for_gradient else operands
    product[: len(matrix), : matrix.shape[1]] = matrix
    step = 2 if is_bf16 else 1
    expected = product.unflatten(0, (-1, 16)).unflatten(2, (-1, step)).transpose(1, 2)
    assert torch.equal(pack(weight, is_bf16, for_gradient).flatten(), expected.flatten())


def test_widths_that_fill_no_panel_fall_back_to_torch():
    layers = random_layers([20, 30, 16], False)
    features = draw(4, 20)
    assert not fits_kernels(features, layers)
    assert torch.equal(apply_layers(features, layers), apply_layers_plain(features, layers))

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gigalane.networks.chunks import run_chunks
from gigalane.networks.sets import SetEncoder, encode_and_pool_plain, fits_kernels


def random_tokens(rows: int, count: int, features: int, empty: float, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randn(rows, count, features, generator=generator)
    tokens[torch.rand(rows, count, generator=generator) < empty] = 0
    return tokens.half()


def random_encoder(features: int, seed: int) -> SetEncoder:
    torch.manual_seed(seed)
    encoder = SetEncoder(features)
    with torch.no_grad():  # biases are 0 at first, which would hide mistakes in them
        encoder.b1.normal_()
        encoder.b2.normal_()
    return encoder


@settings(max_examples=8, deadline=None)
@given(
    count=st.integers(1, 60),
    features=st.sampled_from([1, 6, 10, 16]),
    empty=st.sampled_from([0.0, 0.5, 0.95]),
    seed=st.integers(0, 1000),
)
def test_kernels_agree_with_plain_torch_forward_and_backward(count, features, empty, seed):
    tokens = random_tokens(37, count, features, empty, seed)
    encoder = random_encoder(features, seed)
    assert fits_kernels(tokens, encoder.w1)
    direction = torch.randn(37, 64, generator=torch.Generator().manual_seed(seed))
    fused = encoder(tokens)
    gradient = torch.autograd.grad((fused * direction).sum(), list(encoder.parameters()))
    plain = encode_and_pool_plain(tokens, *encoder.parameters())
    expected = torch.autograd.grad((plain * direction).sum(), list(encoder.parameters()))
    torch.testing.assert_close(fused, plain, rtol=1e-4, atol=1e-5)
    for found, wanted in zip(gradient, expected, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("count", [1, 3, 4, 16, 70])
def test_bfloat16_kernels_round_the_second_layer_and_nothing_else(count):
    tokens = random_tokens(50, count, 6, 0.3, 3)
    encoder = random_encoder(6, 3)
    encoder.precision = "bf16"
    w1, b1, w2, b2 = (parameter.detach() for parameter in encoder.parameters())
    hidden = torch.relu(tokens.double() @ w1.double() + b1.double()).bfloat16().double()
    encoded = torch.relu(hidden @ w2.bfloat16().double() + b2.double())
    present = (tokens != 0).any(-1, keepdim=True)
    expected = torch.where(present, encoded, 0.0).amax(1)
    # A hidden number that lies between two of bfloat16 may round either way: 2^-8 of it.
    torch.testing.assert_close(encoder(tokens).double(), expected, rtol=1e-2, atol=2e-2)
    near = ((encoder(tokens).double() - expected).abs() < 1e-4).float().mean()
    assert near > 0.9


def test_bfloat16_gradient_is_that_of_the_tokens_that_won():
    tokens = random_tokens(200, 16, 10, 0.3, 4)
    encoder = random_encoder(10, 4)
    direction = torch.randn(200, 64, generator=torch.Generator().manual_seed(4))
    gradient = {}
    for precision in ("fp32", "bf16"):
        encoder.precision = precision
        pooled = encoder(tokens)
        gradient[precision] = torch.autograd.grad(
            (pooled * direction).sum(), list(encoder.parameters())
        )
    for exact, rounded in zip(gradient["fp32"], gradient["bf16"], strict=True):
        assert (exact - rounded).norm() < 0.2 * exact.norm()


def test_gradient_does_not_depend_on_how_it_lies_in_memory():
    tokens = random_tokens(20, 16, 10, 0.3, 5)
    encoder = random_encoder(10, 5)
    wide = torch.randn(20, 256, generator=torch.Generator().manual_seed(5))
    parameters = list(encoder.parameters())
    strided = torch.autograd.grad(encoder(tokens), parameters, wide[:, 64:128])
    dense = torch.autograd.grad(encoder(tokens), parameters, wide[:, 64:128].contiguous())
    for one, other in zip(strided, dense, strict=True):
        assert torch.equal(one, other)
        assert one.is_contiguous()


def test_rows_of_a_wider_observation_are_read_in_place():
    observation = torch.randn(9, 100, generator=torch.Generator().manual_seed(0)).half()
    tokens = observation[:, 7 : 7 + 5 * 6].unflatten(1, (5, 6))
    encoder = random_encoder(6, 0)
    assert fits_kernels(tokens, encoder.w1)
    assert torch.equal(encoder(tokens), encoder(tokens.clone()))


def test_set_without_tokens_gives_zeros():
    encoder = random_encoder(6, 0)
    for tokens in (torch.zeros(3, 4, 6).half(), torch.zeros(3, 4, 6)):
        assert torch.all(encoder(tokens) == 0)


def test_order_and_empty_tokens_do_not_matter():
    tokens = random_tokens(20, 16, 10, 0.3, 1)
    encoder = random_encoder(10, 1)
    shuffled = tokens[:, torch.randperm(16, generator=torch.Generator().manual_seed(0))]
    assert torch.equal(encoder(tokens), encoder(shuffled))
    longer = torch.cat([torch.zeros(20, 5, 10).half(), tokens], dim=1)
    assert torch.equal(encoder(tokens), encoder(longer))


def test_a_row_does_not_depend_on_its_neighbours():
    tokens = random_tokens(33, 48, 6, 0.5, 2)
    encoder = random_encoder(6, 2)
    whole = encoder(tokens)
    assert torch.equal(encoder(tokens[13:14]), whole[13:14])


@pytest.mark.parametrize("threads", [1, 2])
def test_chunks_come_back_in_order_and_errors_come_out(threads):
    assert run_chunks(lambda chunk: chunk * chunk, 7, threads) == [k * k for k in range(7)]
    with pytest.raises(ZeroDivisionError):
        run_chunks(lambda chunk: 1 / (chunk - 3), 7, threads)


def test_each_chunk_runs_on_one_torch_thread():
    before = torch.get_num_threads()
    assert set(run_chunks(lambda _: torch.get_num_threads(), 4, 2)) == {1}
    assert set(run_chunks(lambda _: torch.get_num_threads(), 4, 1)) == {1}
    assert torch.get_num_threads() == before

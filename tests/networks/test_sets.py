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

import math

import pytest
import torch

from gigalane.networks.distributions import Gaussian
from gigalane.networks.mixtures import GaussianMixture


def draw(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def mixture(rows: int, components: int, size: int, seed: int, spread: float = 2.0):
    random = draw(seed)
    return GaussianMixture(
        torch.randn(rows, components, generator=random),
        spread * torch.randn(rows, components, size, generator=random),
        0.4 * torch.randn(rows, components, size, generator=random),
    )


def row_of(whole: GaussianMixture, row: int, copies: int) -> GaussianMixture:
    """One row of a mixture, as often as there are points to look at."""
    parts = (whole.log_weights, whole.mean, whole.log_std)
    return GaussianMixture(*(part[row].expand(copies, *part.shape[1:]) for part in parts))


def grid(size: int, step: float) -> tuple[torch.Tensor, float]:
    line = torch.arange(-12.0, 12.0, step)
    axes = torch.meshgrid(*[line] * size, indexing="ij")
    return torch.stack([axis.reshape(-1) for axis in axes], dim=-1), step**size


@pytest.mark.parametrize(("size", "step"), [(1, 0.002), (2, 0.06)])
def test_density_entropy_and_kl_agree_with_numerical_integrals(size, step):
    points, width = grid(size, step)
    first, second = (mixture(6, 3, size, seed) for seed in (1, 2))
    lower, upper = first.entropy_bounds()
    for row in range(6):
        p = row_of(first, row, len(points)).log_prob(points).double()
        q = row_of(second, row, len(points)).log_prob(points).double()
        assert float(p.exp().sum() * width) == pytest.approx(1, abs=1e-3)
        entropy = float(-(p.exp() * p).sum() * width)
        assert float(first.entropy()[row]) == pytest.approx(entropy, abs=0.05)
        assert lower[row] - 1e-3 <= entropy <= upper[row] + 1e-3
        kl = float((p.exp() * (p - q)).sum() * width)
        assert float(first.kl(second)[row]) == pytest.approx(kl, rel=0.05, abs=0.05)


def test_estimates_of_whole_trajectories_agree_with_those_of_many_samples():
    first, second = mixture(1, 6, 16, 3, 0.7), mixture(1, 6, 16, 4, 0.7)
    count = 200_000
    many, others = row_of(first, 0, count), row_of(second, 0, count)
    samples = many.sample(draw())
    p, q = many.log_prob(samples), others.log_prob(samples)
    kl, error = float((p - q).mean()), float((p - q).std()) / math.sqrt(count)
    assert float(first.kl(second)) == pytest.approx(kl, rel=0.05, abs=4 * error)
    assert float(first.entropy()) == pytest.approx(float(-p.mean()), rel=0.02)


def test_one_component_is_a_gaussian():
    random = draw(7)
    numbers = [torch.randn(5, 3, generator=random) for _ in range(4)]
    plain = [Gaussian(numbers[0], numbers[1]), Gaussian(numbers[2], numbers[3])]
    mixed = [
        GaussianMixture(torch.zeros(5, 1), one.mean[:, None], one.log_std[:, None]) for one in plain
    ]
    action = torch.randn(5, 3, generator=random)
    torch.testing.assert_close(mixed[0].log_prob(action), plain[0].log_prob(action))
    torch.testing.assert_close(mixed[0].entropy(), plain[0].entropy(), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(mixed[0].kl(mixed[1]), plain[0].kl(plain[1]), rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(mixed[0].mode(), plain[0].mode())
    for bound in mixed[0].entropy_bounds():
        torch.testing.assert_close(bound, plain[0].entropy(), rtol=1e-4, atol=1e-4)


def test_components_that_are_the_same_count_as_one():
    one = mixture(4, 1, 2, 8)
    logits = torch.log(torch.tensor([0.5, 0.3, 0.2])).expand(4, 3)
    three = GaussianMixture(logits, one.mean.expand(4, 3, 2), one.log_std.expand(4, 3, 2))
    action = torch.randn(4, 2, generator=draw())
    torch.testing.assert_close(three.log_prob(action), one.log_prob(action))
    torch.testing.assert_close(three.entropy(), one.entropy())
    assert three.kl(one).abs().max() < 1e-5


def test_mode_is_denser_than_every_mean_and_is_where_a_search_finds_it():
    points, _ = grid(2, 0.06)
    # Overlapping components, whose mode is no component's mean.
    close = mixture(8, 3, 2, 9, spread=0.8)
    mode = close.mode()
    for row in range(8):
        at_means = row_of(close, row, 3).log_prob(close.mean[row])
        best = row_of(close, row, len(points)).log_prob(points)
        found = row_of(close, row, 1).log_prob(mode[row : row + 1])
        assert found >= at_means.max() - 1e-6
        assert float(found) >= float(best.max()) - 1e-3
    two = GaussianMixture(
        torch.log(torch.tensor([[0.6, 0.4]])), torch.tensor([[[-5.0], [5.0]]]), torch.zeros(1)
    )
    assert two.mode().item() == pytest.approx(-5.0)


def test_samples_come_from_the_components_as_often_as_they_weigh():
    count = 40_000
    two = GaussianMixture(
        torch.log(torch.tensor([0.7, 0.3])).expand(count, 2),
        torch.tensor([[-5.0, 1.0], [5.0, -1.0]]).expand(count, 2, 2),
        torch.log(torch.tensor([[0.5, 0.1], [1.0, 0.2]])),
    )
    samples = two.sample(draw())
    left = samples[:, 0] < 0
    assert float(left.float().mean()) == pytest.approx(0.7, abs=0.01)
    torch.testing.assert_close(samples[left].std(0), torch.tensor([0.5, 0.1]), rtol=0.03, atol=0)
    torch.testing.assert_close(samples[~left].mean(0), torch.tensor([5.0, -1.0]), rtol=0, atol=0.05)
    assert torch.equal(samples, two.sample(draw()))


def test_gradients_agree_with_finite_differences():
    parameters = torch.randn(3, 2 * 5, generator=draw(5))
    action = torch.randn(3, 2, generator=draw(6))

    def make(numbers):
        return GaussianMixture.from_parameters(numbers, 2)

    other = make(parameters.roll(1, 0))
    for quantity in (
        lambda p: make(p).log_prob(action),
        lambda p: make(p).entropy(),
        lambda p: make(p).kl(other),
        lambda p: other.kl(make(p)),
        lambda p: sum(make(p).entropy_bounds()),
    ):
        leaf = parameters.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(quantity(leaf).sum(), leaf)
        for index in range(parameters.shape[-1]):
            move = torch.zeros_like(parameters)
            move[:, index] = 1e-2
            with torch.no_grad():
                rise = (quantity(parameters + move) - quantity(parameters - move)) / 2e-2
            torch.testing.assert_close(gradient[:, index], rise, rtol=0.02, atol=2e-3)


@pytest.mark.parametrize("size", [1e3, -1e3])
def test_it_stays_finite_at_extreme_parameters(size):
    parameters = torch.zeros(2, 15)
    parameters[:, 0], parameters[:, 1] = size, -torch.inf
    parameters[0, 3:9], parameters[1, 9:] = size, size
    parameters.requires_grad_()
    first = GaussianMixture.from_parameters(parameters, 3)
    second = GaussianMixture.from_parameters(torch.zeros(2, 15), 3)
    values = [first.log_prob(torch.zeros(2, 2)), first.entropy(), first.kl(second)]
    values += [second.kl(first), *first.entropy_bounds(), first.mode(), first.sample(draw())]
    assert all(torch.isfinite(v).all() for v in values)
    (gradient,) = torch.autograd.grad(sum(v.sum() for v in values), parameters)
    assert torch.isfinite(gradient).all()

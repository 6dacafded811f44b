import math

import pytest
import torch

from gigalane.networks.distributions import (
    Categorical,
    Gaussian,
    from_parameters,
    parameter_count,
)
from gigalane.sim.control import ActionSpace


def draw(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_categorical_entropy_and_kl_equal_the_sums_over_all_choices():
    logits, other_logits = torch.randn(2, 5, 12, generator=draw()).double()
    p, q = logits.softmax(-1), other_logits.softmax(-1)
    first, second = Categorical(logits), Categorical(other_logits)
    torch.testing.assert_close(first.entropy().double(), -(p * p.log()).sum(-1), rtol=1e-5, atol=0)
    expected = (p * (p / q).log()).sum(-1)
    torch.testing.assert_close(first.kl(second).double(), expected, rtol=1e-4, atol=1e-6)
    assert torch.all(first.kl(first) == 0)


def test_categorical_log_prob_picks_the_chosen_action():
    distribution = Categorical(torch.log(torch.tensor([[0.2, 0.3, 0.5], [0.7, 0.2, 0.1]])))
    log_prob = distribution.log_prob(torch.tensor([2, 0]))
    torch.testing.assert_close(log_prob.exp(), torch.tensor([0.5, 0.7]))
    assert distribution.mode().tolist() == [2, 0]


def test_categorical_samples_occur_as_often_as_their_probability():
    probabilities = torch.tensor([0.5, 0.0, 0.3, 0.2])
    count = 40_000
    samples = Categorical(probabilities.log().expand(count, 4)).sample(draw())
    found = torch.bincount(samples, minlength=4) / count
    # Four standard deviations of a binomial share at 40,000 draws are at most 0.01.
    torch.testing.assert_close(found, probabilities, atol=0.01, rtol=0)
    assert found[1] == 0


def test_samples_repeat_with_the_generator():
    for distribution in (
        Categorical(torch.randn(100, 12, generator=draw())),
        Gaussian(torch.zeros(100, 2), torch.zeros(2)),
    ):
        first, again, other = (distribution.sample(draw(seed)) for seed in (1, 1, 2))
        assert torch.equal(first, again)
        assert not torch.equal(first, other)


@pytest.fixture
def gaussians() -> tuple[Gaussian, Gaussian]:
    first = Gaussian(torch.tensor([[0.3], [-1.0]]), torch.tensor([[-0.5], [0.2]]))
    second = Gaussian(torch.tensor([[0.1], [1.0]]), torch.tensor([[0.3], [-0.1]]))
    return first, second


def test_gaussian_density_entropy_and_kl_equal_numerical_integrals(gaussians):
    first, second = gaussians
    points = torch.linspace(-12, 12, 40_001)
    width = 24 / 40_000
    for row in range(2):
        p, q = (
            Gaussian(g.mean[row].expand(len(points), 1), g.log_std[row]).log_prob(points[:, None])
            for g in gaussians
        )
        assert float(p.exp().sum() * width) == pytest.approx(1, abs=1e-5)
        entropy = float(-(p.exp() * p).sum() * width)
        assert float(first.entropy()[row]) == pytest.approx(entropy, abs=1e-4)
        kl = float((p.exp() * (p - q)).sum() * width)
        assert float(first.kl(second)[row]) == pytest.approx(kl, abs=1e-4)


def test_gaussian_numbers_of_an_action_are_independent():
    mean, log_std = torch.randn(4, 3, generator=draw()), torch.randn(4, 3, generator=draw(1))
    action = torch.randn(4, 3, generator=draw(2))
    whole = Gaussian(mean, log_std)
    parts = [Gaussian(mean[:, k : k + 1], log_std[:, k : k + 1]) for k in range(3)]
    summed = sum(part.log_prob(action[:, k : k + 1]) for k, part in enumerate(parts))
    torch.testing.assert_close(whole.log_prob(action), summed)
    torch.testing.assert_close(whole.entropy(), sum(part.entropy() for part in parts))


def test_gaussian_samples_have_its_mean_and_spread():
    count = 40_000
    distribution = Gaussian(torch.tensor([1.0, -2.0]).expand(count, 2), torch.tensor([0.0, -1.0]))
    samples = distribution.sample(draw())
    torch.testing.assert_close(samples.mean(0), torch.tensor([1.0, -2.0]), atol=0.02, rtol=0)
    torch.testing.assert_close(samples.std(0), torch.tensor([1.0, math.exp(-1)]), atol=0.02, rtol=0)
    assert torch.equal(distribution.mode(), distribution.mean)


def test_action_space_decides_the_family():
    discrete, continuous = ActionSpace("jerk12", 12, 1), ActionSpace("jerk", 0, 2)
    assert parameter_count(discrete) == 12
    assert parameter_count(continuous) == 4
    assert isinstance(from_parameters(discrete, torch.zeros(3, 12)), Categorical)
    gaussian = from_parameters(continuous, torch.full((3, 4), 100.0))
    assert isinstance(gaussian, Gaussian)
    assert torch.isfinite(gaussian.log_prob(torch.zeros(3, 2))).all()


def test_continuous_actions_are_drawn_in_the_units_of_their_space():
    space = ActionSpace("acceleration_steering", 0, 2, (2.5, 0.15))
    distribution = from_parameters(space, torch.zeros(40_000, 4))
    spread = distribution.sample(draw()).std(0)
    torch.testing.assert_close(spread, torch.tensor([2.5, 0.15]), rtol=0.02, atol=0)
    shifted = from_parameters(space, torch.tensor([[1.0, -2.0, 0.0, 0.0]]))
    torch.testing.assert_close(shifted.mode(), torch.tensor([[2.5, -0.3]]))

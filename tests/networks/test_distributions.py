import math

import pytest
import torch

from gigalane.networks.distributions import (
    Beta,
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
        Beta(torch.full((100, 2), 0.5), torch.full((100, 2), 2.0)),
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


def test_a_choice_ruled_out_costs_nothing_and_is_never_made():
    distribution = Categorical(torch.tensor([[0.0, -torch.inf, 0.0], [1e30, -1e30, 0.0]]))
    entropy = distribution.entropy()
    torch.testing.assert_close(entropy, torch.tensor([math.log(2), 0.0]))
    assert torch.all(distribution.kl(distribution) == 0)
    assert torch.isfinite(distribution.log_prob(torch.tensor([1, 1]))).all()


SHAPES = [(2.0, 5.0), (0.7, 0.4), (1.0, 1.0), (1.0, 3.0), (30.0, 12.0), (0.3, 4.0)]
"""Alpha and beta of every kind: one mode inside, at an edge, at both, nowhere."""


def beta_of(shape, low=-1.0, high=1.0) -> Beta:
    return Beta(torch.tensor([[shape[0]]]), torch.tensor([[shape[1]]]), low, high)


def beta_grid(count=100_001):
    """Log of shares of the span, of what is left of it, and the width of each; dense at the ends.

    x = s(t) with s(t) / (1 - s(t)) = (t / (1 - t))^8 takes even steps of t to within 1e-40 of
    both ends, so that densities that are infinite there are summed too.
    """
    t = (torch.arange(count, dtype=torch.float64) + 0.5) / count
    log_odds = 8 * (t.log() - torch.log1p(-t))
    log_share = torch.nn.functional.logsigmoid(log_odds)
    log_rest = torch.nn.functional.logsigmoid(-log_odds)
    # ds/dt = s (1 - s) d(log odds)/dt
    width = torch.exp(log_share + log_rest) * 8 / (t * (1 - t)) / count
    return log_share, log_rest, width


def log_density(shape, log_share, log_rest):
    alpha, beta = shape
    log_beta = math.lgamma(alpha) + math.lgamma(beta) - math.lgamma(alpha + beta)
    return (alpha - 1) * log_share + (beta - 1) * log_rest - log_beta


@pytest.mark.parametrize("shape", SHAPES)
def test_beta_density_entropy_and_kl_equal_numerical_integrals(shape):
    log_share, log_rest, width = beta_grid()
    low, span = -2.0, 5.0
    first = beta_of(shape, low, low + span)
    p = log_density(shape, log_share, log_rest)
    assert float((p.exp() * width).sum()) == pytest.approx(1, abs=1e-6)
    inside = (log_share > math.log(1e-5)) & (log_rest > math.log(1e-5))
    found = first.log_prob(low + span * log_share[inside].exp()[:, None]).double()
    torch.testing.assert_close(found, p[inside] - math.log(span), rtol=1e-5, atol=1e-5)
    entropy = float(-(p.exp() * p * width).sum()) + math.log(span)
    assert float(first.entropy()) == pytest.approx(entropy, rel=1e-5, abs=1e-5)
    for other in SHAPES:
        q = log_density(other, log_share, log_rest)
        kl = float((p.exp() * (p - q) * width).sum())
        second = beta_of(other, low, low + span)
        assert float(first.kl(second)) == pytest.approx(kl, rel=1e-5, abs=1e-5)


def test_beta_mode_is_where_the_density_is_greatest_or_what_the_paper_says():
    assert beta_of((2.0, 4.0)).mode().item() == pytest.approx(-0.5)  # (α - 1) / (α + β - 2)
    assert beta_of((0.5, 2.0)).mode().item() == -1.0
    assert beta_of((1.0, 2.5)).mode().item() == -1.0  # Roach's prior to stop
    assert beta_of((2.5, 1.0)).mode().item() == 1.0  # and to go
    assert beta_of((3.0, 0.9)).mode().item() == 1.0
    assert beta_of((0.2, 0.6)).mode().item() == pytest.approx(-0.5)  # both ends: the mean
    assert beta_of((1.0, 1.0)).mode().item() == 0.0
    action = torch.linspace(-0.999, 0.999, 1999)[:, None]
    for shape in [(2.0, 4.0), (30.0, 12.0), (1.5, 1.1)]:
        best = action[beta_of(shape).log_prob(action).argmax()]
        assert beta_of(shape).mode().item() == pytest.approx(best.item(), abs=1e-3)


def test_beta_samples_have_its_mean_and_spread_within_the_bounds():
    count = 40_000
    for alpha, beta in [*SHAPES, (0.02, 0.03)]:
        parameters = torch.tensor([[alpha, alpha]]), torch.tensor([[beta, beta]])
        low, high = (-1.0, 0.0), (1.0, 10.0)
        distribution = Beta(*(p.expand(count, 2) for p in parameters), low, high)
        samples = distribution.sample(draw())
        assert samples.min() >= -1 and samples[:, 0].max() <= 1 and samples[:, 1].min() >= 0
        total = alpha + beta
        mean, std = alpha / total, math.sqrt(alpha * beta / total**2 / (total + 1))
        bounds = torch.tensor([-1.0, 0.0]), torch.tensor([2.0, 10.0])
        # Five standard errors of a mean of 40,000.
        for k in range(2):
            error = 5 * std * float(bounds[1][k]) / math.sqrt(count)
            expected = float(bounds[0][k] + bounds[1][k] * mean)
            assert float(samples[:, k].mean()) == pytest.approx(expected, abs=error)
        torch.testing.assert_close(samples.std(0), std * bounds[1], rtol=0.03, atol=0)
        torch.testing.assert_close(distribution.mean()[0], bounds[0] + bounds[1] * mean)


@pytest.mark.parametrize("size", [-1e4, -100.0, 0.0, 100.0, 1e4])
def test_beta_stays_finite_at_extreme_parameters(size):
    parameters = torch.tensor([[size, -size, size, size]], requires_grad=True)
    first = Beta.from_parameters(parameters)
    second = Beta.from_parameters(torch.zeros(1, 4))
    actions = torch.tensor([[-1.0, 1.0]]), torch.tensor([[0.3, -5.0]]), first.sample(draw())
    values = [first.log_prob(a) for a in actions]
    values += [first.entropy(), first.kl(second), second.kl(first)]
    assert all(torch.isfinite(v).all() for v in values)
    assert first.kl(second) >= 0 and second.kl(first) >= 0
    (gradient,) = torch.autograd.grad(sum(v.sum() for v in values), parameters)
    assert torch.isfinite(gradient).all()


def test_the_terms_of_roachs_exploration_loss_are_known_integrals():
    # KL(B(1, 1) || B(a, 1)): the first density is 1, so it is -log a - (a - 1) E[log x], and
    # the mean of log x on (0, 1) is -1.
    for a in (2.5, 1.5):
        expected = -math.log(a) + (a - 1)
        assert float(beta_of((1, 1)).kl(beta_of((a, 1)))) == pytest.approx(expected, rel=1e-6)
        assert float(beta_of((1, 1)).kl(beta_of((1, a)))) == pytest.approx(expected, rel=1e-6)
    each = Beta(torch.tensor([[1.0, 2.0]]), torch.tensor([[1.0, 2.0]]))
    prior = Beta(torch.tensor([[2.5, 2.0]]), torch.tensor([[1.0, 2.0]]))
    apart = each.kl_of_each(prior)[0]
    assert float(apart[0]) == pytest.approx(1.5 - math.log(2.5), rel=1e-6)
    assert float(apart[1]) == 0.0


def check_gradients(make, parameters, action):
    """Compares gradients of log_prob, entropy and kl with finite differences in float64."""
    shift = 0.3 * torch.ones_like(parameters)
    quantities = (
        lambda p: make(p).log_prob(action),
        lambda p: make(p).entropy(),
        lambda p: make(p).kl(make(parameters.detach() + shift)),
        lambda p: make(parameters.detach() + shift).kl(make(p)),
    )
    for quantity in quantities:
        leaf = parameters.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(quantity(leaf).sum(), leaf)
        step = 1e-2  # results are float32: smaller steps measure its rounding
        for index in range(parameters.shape[-1]):
            move = torch.zeros_like(parameters)
            move[..., index] = step
            with torch.no_grad():
                rise = (quantity(parameters + move) - quantity(parameters - move)) / (2 * step)
            torch.testing.assert_close(gradient[..., index], rise, rtol=0.01, atol=1e-3)


def test_gradients_of_all_families_agree_with_finite_differences():
    random = torch.randn(3, 4, generator=draw(5))
    check_gradients(Categorical, random, torch.tensor([0, 3, 1]))
    action = torch.tensor([[0.2, -0.4], [0.9, 0.1], [-0.7, 0.5]])
    check_gradients(Beta.from_parameters, random, action)
    check_gradients(lambda p: Gaussian(*p.chunk(2, -1)), random, action)


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

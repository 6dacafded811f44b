import pytest
import torch

from gigalane.networks.distributions import Beta, Categorical
from gigalane.train.guidance import SILENT, SURENESS, GuidanceSettings, divergence_from_advice


def test_the_weight_falls_along_a_line_and_stays_at_nothing():
    settings = GuidanceSettings(weight=2.0, samples=100)
    assert [settings.weight_at(n) for n in (0, 25, 50, 100, 1000)] == [2.0, 1.5, 1.0, 0.0, 0.0]


def test_no_samples_is_no_guidance():
    assert GuidanceSettings().weight_at(0) == 0.0


def test_the_divergence_is_that_of_a_sure_choice():
    logits = torch.randn(5, 12, generator=torch.Generator().manual_seed(0))
    advice = torch.tensor([0, 3, 11, -1, 7])
    found = divergence_from_advice(Categorical(logits), advice)
    expected = torch.nn.functional.cross_entropy(logits, advice.clamp(min=0), reduction="none")
    expected[3] = 0.0
    assert torch.allclose(found, expected)


def test_a_told_number_draws_the_policy_to_it_and_silence_does_not():
    told = torch.tensor([[1.0, 0.2], [-4.0, -0.3], [SILENT, 0.0]])
    alpha = torch.full((3, 2), 2.0, requires_grad=True)
    beta = torch.full((3, 2), 2.0, requires_grad=True)
    bounds = ((-5.0, -0.55), (2.5, 0.55))
    policy = Beta(alpha, beta, *bounds)
    found = divergence_from_advice(policy, told)
    assert (found[:2] > 0.1).all() and found[2] == 0
    by_alpha, by_beta = torch.autograd.grad(found.sum(), (alpha, beta))
    moved = Beta(alpha - 0.1 * by_alpha, beta - 0.1 * by_beta, *bounds)
    nearer = (moved.mean() - told).abs() < (policy.mean() - told).abs()
    assert nearer[:2].all()
    assert (by_alpha[2] == 0).all() and (by_beta[2] == 0).all()


def test_who_means_what_the_script_means_is_left_alone():
    told = torch.tensor([[1.0, 0.22]])  # shares 0.8 and 0.7 of the bounds
    share, sure = torch.tensor([[0.8, 0.7]]), torch.tensor(SURENESS)
    policy = Beta(1 + sure * share, 1 + sure * (1 - share), (-5.0, -0.55), (2.5, 0.55))
    assert torch.allclose(policy.mode(), told)
    assert divergence_from_advice(policy, told).abs() < 1e-5


def test_negative_numbers_are_refused():
    with pytest.raises(ValueError, match="guidance"):
        GuidanceSettings(weight=-1.0)

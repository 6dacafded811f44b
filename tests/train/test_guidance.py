import pytest
import torch

from gigalane.networks.distributions import Categorical
from gigalane.train.guidance import GuidanceSettings, divergence_from_advice


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


def test_negative_numbers_are_refused():
    with pytest.raises(ValueError, match="guidance"):
        GuidanceSettings(weight=-1.0)

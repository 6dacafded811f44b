import math

import pytest
import torch

from gigalane.networks.distributions import Beta, Categorical
from gigalane.teach import losses


def test_divergence_is_the_sum_over_choices_teacher_first():
    teacher, student = torch.tensor([[0.7, 0.2, 0.1]]), torch.tensor([[0.1, 0.3, 0.6]])
    by_hand = sum(p * math.log(p / q) for p, q in zip(teacher[0], student[0], strict=True))
    found = losses.divergence_loss(Categorical(teacher.log()), Categorical(student.log()))
    assert found.item() == pytest.approx(float(by_hand), rel=1e-5)


def test_the_action_loss_asks_for_the_teachers_first_choice():
    student = Categorical(torch.tensor([[0.2, 0.5, 0.3]]).log())
    found = losses.action_loss(torch.tensor([2]), student)
    assert found.item() == pytest.approx(-math.log(0.3), rel=1e-5)


def test_the_action_loss_of_numbers_is_how_far_apart_they_are():
    student = Beta(torch.tensor([[5.0, 3.0]]), torch.tensor([[3.0, 5.0]]), (-4.0, -0.5), (2.0, 0.5))
    found = losses.action_loss(torch.tensor([[-1.0, 0.0]]), student)
    # Means are a / (a + b) of the way: 5/8 and 3/8, where the actions are at one half.
    assert found.item() == pytest.approx(2 / 8, rel=1e-5)


def test_structure_sees_relations_and_neither_length_nor_orientation():
    generator = torch.Generator().manual_seed(0)
    teacher = torch.randn(40, 8, generator=generator)
    turn, _ = torch.linalg.qr(torch.randn(8, 8, generator=generator))
    stretched = teacher @ turn * torch.rand(40, 1, generator=generator).add(0.1)
    assert losses.structure_loss(teacher, stretched).item() == pytest.approx(0.0, abs=1e-10)
    assert losses.structure_loss(teacher, teacher.flip(0)).item() > 0.05


def test_structure_of_two_rows_by_hand():
    teacher = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    student = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    # Cosines are (1 0, 0 1) and (1 1, 1 1): two of four differ by 1.
    assert losses.structure_loss(teacher, student).item() == pytest.approx(0.5)


def test_structure_ignores_what_the_basis_leaves_out():
    generator = torch.Generator().manual_seed(1)
    teacher = torch.randn(30, 6, generator=generator)
    teacher[:, 3:] *= 1e-3
    basis = losses.energy_basis(teacher, 0.8)
    noisy = teacher + torch.cat([torch.zeros(30, 3), torch.ones(30, 3)], 1)
    assert losses.structure_loss(teacher, noisy, basis) < 1e-3
    assert losses.structure_loss(teacher, noisy) > 0.05


def test_a_basis_holds_the_energy_it_is_asked_for_and_not_a_direction_more():
    generator = torch.Generator().manual_seed(2)
    features = torch.randn(200, 16, generator=generator) * torch.linspace(3, 0.1, 16)
    whole = torch.linalg.svdvals(features).square()
    for energy in (0.5, 0.8, 0.99):
        basis = losses.energy_basis(features, energy)
        wanted = int((whole.cumsum(0) / whole.sum() < energy).sum()) + 1
        assert basis.shape == (16, wanted)
        torch.testing.assert_close(basis.t() @ basis, torch.eye(wanted), atol=1e-5, rtol=0)
        held = (features @ basis).square().sum() / features.square().sum()
        assert held >= energy


def test_surprises_count_linearly_in_slots():
    zeros = torch.zeros(1, 4)
    small, large = losses.slot_loss(zeros, zeros + 0.1), losses.slot_loss(zeros, zeros + 10.0)
    assert small.item() == pytest.approx(0.005, rel=1e-5)
    assert large.item() == pytest.approx(9.5, rel=1e-5)

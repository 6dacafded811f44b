"""What a student can be taught by a teacher that knows the state: one library for all students.

Every loss is (rows,), one number a row, so that whoever teaches can weigh rows; the structure
loss, which compares rows with each other, is one number.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from gigalane.networks.distributions import Beta, Categorical, Distribution


def action_loss(action: Tensor, student: Distribution) -> Tensor:
    """The student against the one action that the teacher would take: Roach's L_A.

    Cross-entropy where actions are choices. Where they are numbers between bounds, the absolute
    difference of the student's mean, as a share of the span, summed over the numbers; Roach
    takes its mode, which has no gradient where it lies at a bound.
    """
    if isinstance(student, Categorical):
        return -student.log_prob(action)
    assert isinstance(student, Beta)
    return ((student.mean() - action) / student.span.float()).abs().sum(-1)


def divergence_loss(teacher: Distribution, student: Distribution) -> Tensor:
    """KL(teacher || student) over all that the teacher might do: Roach's L_K [nat]."""
    return teacher.kl(student)


def feature_loss(teacher: Tensor, student: Tensor) -> Tensor:
    """Mean squared difference of features (rows, channels): Roach's L_F."""
    return (student - teacher).square().mean(-1)


def value_loss(teacher: Tensor, student: Tensor) -> Tensor:
    """Squared difference of values (rows,): Roach's L_V."""
    return (student - teacher).square()


def slot_loss(teacher: Tensor, student: Tensor) -> Tensor:
    """Huber's loss of scaled numbers (rows, channels), their mean: few surprises are large."""
    return functional.huber_loss(student, teacher, reduction="none").mean(-1)


def structure_loss(teacher: Tensor, student: Tensor, basis: Tensor | None = None) -> Tensor:
    """Whether rows that are alike to the teacher are alike to the student.

    TerraTransfer (arXiv 2606.17386): both are projected on the directions that hold most of the
    teacher's energy, rows are brought to length 1, and the squared difference of the two
    matrices of cosines is averaged over all pairs of rows (similarity-preserving distillation,
    Tung and Mori 2019).

    Args:
        teacher: (rows, channels).
        student: (rows, channels).
        basis: (channels, k) orthonormal; see `energy_basis`. None compares all channels.

    Returns:
        One number, 0 to 4.
    """
    if basis is not None:
        teacher, student = teacher @ basis, student @ basis
    ours, theirs = functional.normalize(student, dim=-1), functional.normalize(teacher, dim=-1)
    return (ours @ ours.t() - theirs @ theirs.t()).square().mean()


def energy_basis(features: Tensor, energy: float = 0.8) -> Tensor:
    """The fewest directions that hold a share of the energy of features.

    Args:
        features: (rows, channels) of the teacher, over many states.
        energy: share of the sum of squared singular values to hold.

    Returns:
        (channels, k) orthonormal columns, strongest first.
    """
    # The eigenvectors of the channels' products are the right singular vectors.
    products = features.double().t() @ features.double()
    values, vectors = torch.linalg.eigh(products)
    values, vectors = values.flip(0).clamp(min=0.0), vectors.flip(1)
    held = values.cumsum(0) / values.sum().clamp(min=1e-300)
    count = int((held < energy - 1e-12).sum()) + 1
    return vectors[:, :count].float()

import pytest
import torch

from gigalane.acting.critical import critical, longitudinal_gap
from gigalane.acting.mixed import MixedActor
from gigalane.sim.control import ACTION_SPACES


def test_gaps_of_choices_by_hand():
    # Index 3 j + k: braking hard (-15), gently (-4), nothing, faster (4); k is the wheel.
    one, other = torch.tensor([0, 0, 3, 6, 7, 2]), torch.tensor([9, 2, 6, 10, 8, 4])
    found = longitudinal_gap(ACTION_SPACES["jerk12"], one, other)
    assert found.tolist() == pytest.approx([1.0, 0.0, 4 / 19, 4 / 19, 0.0, 11 / 19])


def test_gaps_of_accelerations_leave_the_wheel_out():
    space = ACTION_SPACES["acceleration_steering"]
    one, other = torch.tensor([[-5.0, 0.3], [0.0, 0.5]]), torch.tensor([[2.5, 0.3], [-1.5, -0.5]])
    assert longitudinal_gap(space, one, other).tolist() == pytest.approx([1.0, 0.2])


class Says:
    """A teacher that has an answer ready for every row."""

    def __init__(self, answers):
        self.answers = answers

    def act(self, shown):
        return self.answers[shown[:, 0].long()]


class Student:
    action_space = ACTION_SPACES["jerk12"]


def test_frames_count_where_the_teacher_drives_or_would_brake():
    wanted = torch.tensor([6, 6, 0, 6, 9])  # the third would brake, the last be faster
    actor = MixedActor(Student(), Says(wanted), rows=5)  # pyright: ignore[reportArgumentType]
    actor.shown = torch.arange(5.0)[:, None]
    actor.by_teacher[1] = True
    actions, rows = torch.tensor([6, 6, 6, 8, 6]), torch.tensor([0, 1, 2, 3, 4])
    assert critical(actor, actions, rows, 0.1).tolist() == [False, True, True, False, True]
    assert critical(actor, actions, rows, 0.5).tolist() == [False, True, True, False, False]
    assert critical(actor, actions, rows[2:], 0.1).tolist() == [True, False, True]

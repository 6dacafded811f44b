import pytest
import torch

from gigalane.acting.perturbed import Perturbation, PerturbedActor
from gigalane.core.settings import SettingsError
from gigalane.sim.control import ACTION_SPACES


class StillWorld:
    """A world that shows zeros."""

    def __init__(self, rows: int, space: str) -> None:
        self.observation = torch.zeros(rows, 3)
        self.action_space, self.row_count = ACTION_SPACES[space], rows


class Steady:
    """A driver that always does the same: no jerk has this number."""

    def __init__(self, space: str) -> None:
        self.space = ACTION_SPACES[space]

    def act(self, observation, generator=None, greedy=False):
        rows = len(observation)
        if self.space.is_discrete:
            return torch.full((rows,), 99)
        return torch.full((rows, self.space.size), 99.0)


def drive(space: str, perturbation: Perturbation, steps: int, rows: int = 200) -> torch.Tensor:
    world = StillWorld(rows, space)
    actor = PerturbedActor(Steady(space), rows, perturbation, seed=3)
    return torch.stack([actor.act(world) for _ in range(steps)])


@pytest.mark.parametrize("space", ["jerk12", "acceleration_steering"])
def test_chance_drives_its_share_of_the_steps(space):
    actions = drive(space, Perturbation(0.2, (2, 5)), 300)
    is_driver = actions == 99 if actions.dim() == 2 else (actions == 99).all(-1)
    assert 1.0 - is_driver.float().mean().item() == pytest.approx(0.2, abs=0.01)


def test_one_action_is_held_through_a_stretch_of_allowed_length():
    actions = drive("jerk12", Perturbation(0.1, (3, 4)), 200, rows=50)
    for row in actions.t().tolist():
        lengths, held, length = [], 99, 0
        for action in [*row, 99]:
            if action != held:
                if held != 99 and length:
                    lengths.append(length)
                held, length = action, 0
            length += action != 99
        # Two stretches may follow each other at once; each is 3 or 4 steps long.
        assert all(length >= 3 for length in lengths[:-1])


def test_without_a_share_the_driver_drives_alone():
    assert (drive("jerk12", Perturbation(0.0), 20) == 99).all()


@pytest.mark.parametrize("wrong", [{"share": 1.0}, {"share": -0.1}, {"steps": (0, 3)},
                                   {"steps": (4, 3)}])  # fmt: skip
def test_perturbations_that_leave_no_driving_are_refused(wrong):
    with pytest.raises(SettingsError, match="perturbation:"):
        Perturbation(**wrong)

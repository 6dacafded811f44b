"""A teacher that would go left or right, but not straight on: which students still would?

Half of the pictures are of the fork (dark), half of a road on which there is one thing to do.
"""

import pytest
import torch

from gigalane.networks.camera_rows import CameraLayout
from gigalane.networks.distributions import Beta, Categorical, Distribution
from gigalane.networks.image_encoder import EyeSettings
from gigalane.policies.camera import CameraPolicy, CameraSettings
from gigalane.policies.coach import bounded
from gigalane.render.camera import load_rig
from gigalane.sim.control import ACTION_SPACES
from gigalane.teach.comparison import LossWeights, Saying, compare
from gigalane.teach.teachers import Lesson

ROWS, GIVEN = 64, 52
LEFT, STRAIGHT, RIGHT = 6, 7, 8
SETTINGS = CameraSettings(
    encoder_width=16, trunk=(32,), eyes=EyeSettings(channels=(8, 16), features=32)
)
AT_FORK = torch.arange(ROWS) < ROWS // 2
ALL = LossWeights(slots=0.0, lane=0.0)
"""The whole distribution, L_K."""
ONE = LossWeights(divergence=0.0, slots=0.0, lane=0.0, action=1.0)
"""One action, L_A."""


def pictures(layout: CameraLayout) -> torch.Tensor:
    generator = torch.Generator().manual_seed(5)
    noise = torch.randint(0, 60, (ROWS, layout.width), dtype=torch.uint8, generator=generator)
    noise[~AT_FORK] += 150
    layout.put_given(torch.rand(ROWS, layout.given, generator=generator).half(), noise)
    return noise


def taught(action: str, teacher: Distribution, weights: LossWeights, draws: bool) -> Distribution:
    """What a student would do after 300 lessons; `draws` has the teacher tell what it draws."""
    torch.manual_seed(6)
    student = CameraPolicy(
        CameraLayout(load_rig("front").resized(24, 16), GIVEN), ACTION_SPACES[action], SETTINGS
    )
    seen, lane = pictures(student.layout), torch.zeros(ROWS, 5)
    optimizer = torch.optim.Adam(student.parameters(), 3e-3)
    chance = torch.Generator().manual_seed(7)

    def say() -> Saying:
        sight = student.see(student.features(seen))
        joined = student.join(sight, seen)
        numbers, value = student.respond(joined)
        return Saying(student.distribution(numbers), value, joined, sight)

    for _ in range(300):
        told = teacher.sample(chance) if draws else teacher.mode()
        lesson = Lesson(told, torch.ones(ROWS, dtype=torch.bool), teacher)
        loss = compare(lesson, say(), lane, student, weights).total
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        return say().distribution


def choices() -> Categorical:
    """Left 50 %, right 48 % at the fork; straight on elsewhere."""
    chances = torch.full((ROWS, 12), 0.02 / 10)
    chances[AT_FORK, LEFT], chances[AT_FORK, RIGHT] = 0.5, 0.48
    chances[~AT_FORK, STRAIGHT] = 0.98
    return Categorical((chances / chances.sum(1, keepdim=True)).log())


def wheel() -> Beta:
    """Hard left or hard right at the fork (both shapes below 1); about straight on elsewhere."""
    shapes = torch.full((ROWS, 4), 20.0)
    shapes[AT_FORK, 1] = shapes[AT_FORK, 3] = 0.3
    return bounded(shapes)


@pytest.mark.parametrize(
    ("weights", "draws"), [(ALL, False), (ONE, True)], ids=["all it might do", "what it draws"]
)
def test_choices_keep_both_modes(weights, draws):
    found = taught("jerk12", choices(), weights, draws)
    chances = _chances(found)
    fork, road = chances[AT_FORK].mean(0), chances[~AT_FORK].mean(0)
    assert 0.4 < fork[LEFT] < 0.6 and 0.4 < fork[RIGHT] < 0.6
    assert fork[STRAIGHT] < 0.05
    assert road[STRAIGHT] > 0.9


def test_choices_lose_a_mode_where_only_the_likeliest_action_is_told():
    found = _chances(taught("jerk12", choices(), ONE, draws=False))
    assert found[AT_FORK, LEFT].mean() > 0.9
    assert found[AT_FORK, RIGHT].mean() < 0.05


def test_numbers_keep_both_modes_where_all_is_told():
    found = _wheel_shares(taught("acceleration_steering", wheel(), ALL, draws=False))
    wanted = _wheel_shares(wheel())
    torch.testing.assert_close(
        found[:, AT_FORK].mean(1), wanted[:, AT_FORK].mean(1), atol=0.05, rtol=0.0
    )
    assert wanted[:, AT_FORK].mean(1).min() > 0.35
    assert found[:, ~AT_FORK].max() < 0.02


@pytest.mark.parametrize("draws", [False, True], ids=["the likeliest", "what it draws"])
def test_numbers_told_one_at_a_time_lose_a_mode(draws):
    found = _wheel_shares(taught("acceleration_steering", wheel(), ONE, draws))
    assert found[:, AT_FORK].mean(1).min() < 0.1


def _chances(found: Distribution) -> torch.Tensor:
    return torch.stack(
        [found.log_prob(torch.full((ROWS,), choice)).exp() for choice in range(12)], 1
    )


def _wheel_shares(found: Distribution) -> torch.Tensor:
    """Share of the draws in the outer quarter on either side, (2, rows)."""
    assert isinstance(found, Beta)
    generator = torch.Generator().manual_seed(8)
    drawn = torch.stack([found.sample(generator)[:, 1] for _ in range(400)])
    share = (drawn - found.low[1]) / found.span[1]
    return torch.stack([(share < 0.25).float().mean(0), (share > 0.75).float().mean(0)])

import pytest
import torch

from gigalane.core.settings import SettingsError
from gigalane.networks.birdview import BirdviewLayout
from gigalane.policies.coach import CoachPolicy
from gigalane.policies.entity import EntityPolicy
from gigalane.policies.shipped import load_default
from gigalane.render.birdview import BirdviewSettings
from gigalane.sim.control import ACTION_SPACES
from gigalane.teach.teachers import CoachTeacher, DriverTeacher


@pytest.mark.parametrize("action", ["jerk", "acceleration_steering", "delta_pose"])
def test_a_driver_that_does_not_choose_among_actions_teaches_nobody(action):
    shipped = load_default()
    policy = EntityPolicy(shipped.layout, ACTION_SPACES[action], shipped.settings)
    with pytest.raises(SettingsError, match=f"acts in {action}; give a driver of jerk12"):
        DriverTeacher(policy)


def test_a_coach_explains_what_it_would_do_and_why():
    torch.manual_seed(0)
    layout = BirdviewLayout(BirdviewSettings.small(), 12)
    policy = CoachPolicy(layout, ACTION_SPACES["acceleration_steering"])
    kind = torch.int16 if layout.birdview.bits == 16 else torch.int32
    torch.nn.init.normal_(policy.action_head.weight, std=0.1)
    shown = torch.zeros(7, layout.width, dtype=torch.uint8)
    side = layout.birdview.pixels
    layout.pack(torch.randint(0, 8, (7, side, side), dtype=kind), torch.randn(7, 12).half(), shown)
    teacher = CoachTeacher(policy)
    lesson = teacher.explain(shown)
    distribution, value = policy.evaluate(shown)
    assert lesson.counts.all()
    torch.testing.assert_close(lesson.action, teacher.act(shown))
    torch.testing.assert_close(lesson.action, distribution.mode())
    assert lesson.value is not None and lesson.features is not None
    torch.testing.assert_close(lesson.value, value)
    # What it made of a row is all that its decision and its value follow from.
    parameters, value_again = policy.respond(lesson.features)
    torch.testing.assert_close(policy.distribution(parameters).mode(), lesson.action)
    torch.testing.assert_close(value_again, lesson.value)
    assert not lesson.features.requires_grad

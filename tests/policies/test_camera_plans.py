"""The plan head of a camera policy: beside the action head, and in its file."""

import json
from dataclasses import replace

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from gigalane.core.settings import SettingsError
from gigalane.networks.camera_rows import CameraLayout
from gigalane.networks.image_encoder import EyeSettings
from gigalane.policies.camera import CameraPolicy, CameraSettings
from gigalane.policies.checkpoint import load_policy, save_policy
from gigalane.render.camera import load_rig
from gigalane.sim.control import ACTION_SPACES

LAYOUT = CameraLayout(load_rig("front").resized(24, 16), 52)
PLAIN = CameraSettings(trunk=(32,), eyes=EyeSettings(channels=(8, 16), features=32))
PLANNING = replace(PLAIN, proposals=5, drives="plans")


def make(settings=PLANNING) -> CameraPolicy:
    torch.manual_seed(3)
    return CameraPolicy(LAYOUT, ACTION_SPACES["jerk12"], settings)


def rows(count: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    shape = (count, LAYOUT.width)
    observation = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)
    given = torch.rand(count, LAYOUT.given, generator=generator).half()
    LAYOUT.put_given(given, observation)
    return observation


def test_a_row_gets_the_same_plans_in_any_batch_and_on_any_number_of_threads():
    policy, observation = make(), rows(150)
    policy.threads = 1
    whole = policy.plan(observation)
    assert whole.proposals.shape == (150, 5, 8, 3) and whole.scores.shape == (150, 5)
    policy.threads = 2
    for part in (slice(0, 1), slice(40, 141)):
        some = policy.plan(observation[part])
        assert torch.equal(some.proposals, whole.proposals[part])
        assert torch.equal(some.scores, whole.scores[part])


def test_a_head_that_adds_nothing_goes_on_at_the_speed_that_is_given():
    policy, observation = make(), rows(20)
    for parameter in policy.plan_head.planner.parameters():
        torch.nn.init.zeros_(parameter)
    speed = 20.0 * LAYOUT.given_of(observation)[:, 3]  # rows hold a twentieth of it
    plans = policy.plan(observation).best()
    wanted = speed[:, None] * torch.arange(1, 9) * 0.5
    torch.testing.assert_close(plans[..., 0], wanted)
    assert not plans[..., 1:].any()


def test_who_plans_besides_acts_as_who_does_not():
    observation = rows(10)
    with_plans, _ = make().evaluate(observation)
    without, _ = make(PLAIN).evaluate(observation)
    assert torch.equal(with_plans.log_probabilities, without.log_probabilities)


def test_plans_come_back_from_a_file(tmp_path):
    policy, observation = make(), rows(10)
    save_policy(policy, tmp_path / "policy.safetensors", precision="fp32")
    loaded = load_policy(tmp_path / "policy.safetensors")
    assert loaded.settings == PLANNING
    assert torch.equal(loaded.plan(observation).proposals, policy.plan(observation).proposals)


def test_files_from_before_there_were_plans_load(tmp_path):
    policy, path = make(PLAIN), tmp_path / "policy.safetensors"
    save_policy(policy, path, precision="fp32")
    with safe_open(path, "pt") as file:
        header = file.metadata()
    facts = json.loads(header["facts"])
    for setting in ("proposals", "drives"):
        del facts["settings"][setting]
    save_file(load_file(path), path, header | {"facts": json.dumps(facts)})
    loaded = load_policy(path)
    assert loaded.settings == PLAIN
    with pytest.raises(SettingsError, match="it proposes no plans"):
        loaded.plan(rows(1))


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"proposals": -1}, "proposals must be 0 or more"),
        ({"drives": "hope"}, "drives actions or plans"),
        ({"drives": "plans"}, "drives is plans, but proposals is 0"),
    ],
)
def test_settings_that_cannot_drive_are_refused(wrong, told):
    with pytest.raises(SettingsError, match=told):
        replace(PLAIN, **wrong)

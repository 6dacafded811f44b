from dataclasses import replace

import pytest
import torch
from rows_apart import check_rows_apart

from gigalane.core.settings import SettingsError
from gigalane.networks.backbones import BackboneError, BackboneSettings, open_backbone
from gigalane.networks.camera_rows import CameraLayout
from gigalane.networks.image_encoder import EyeSettings
from gigalane.policies.camera import CameraPolicy, CameraSettings, Sight, shown_to
from gigalane.policies.checkpoint import load_policy, save_policy
from gigalane.policies.entity import EntityPolicy, EntitySettings
from gigalane.render.camera import load_rig
from gigalane.sim.control import ACTION_SPACES
from gigalane.sim.layout import LANE_NUMBERS, ObservationLayout

SPACE = ACTION_SPACES["jerk12"]
SHOWN = ObservationLayout(given=52, road=6, partners=4, controls=2)
RIG = load_rig("four").resized(24, 16)
SETTINGS = CameraSettings(trunk=(32,), eyes=EyeSettings(channels=(8, 16), features=32))


def make(rig=RIG, settings=SETTINGS, space=SPACE, **options) -> CameraPolicy:
    torch.manual_seed(3)
    return CameraPolicy(CameraLayout(rig, SHOWN.given, **options), space, settings)


def driver(**sizes) -> EntityPolicy:
    torch.manual_seed(4)
    policy = EntityPolicy(SHOWN, SPACE, EntitySettings(trunk=(32,), **sizes))
    torch.nn.init.normal_(policy.action_head.weight)  # a driver that has opinions
    return policy


def rows(policy: CameraPolicy, count: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    layout = policy.layout
    observation = torch.randint(0, 256, (count, layout.width), dtype=torch.uint8,
                                generator=generator)  # fmt: skip
    given = torch.rand(count, layout.given, generator=generator).half()
    layout.put_given(given, observation)
    return observation


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_row_gets_the_same_answer_in_any_batch_and_on_any_number_of_threads(precision):
    policy = make()
    policy.set_precision(precision)
    check_rows_apart(policy, rows(policy, 300), ((0, 1), (40, 177)))


def test_with_the_drivers_own_slots_it_decides_exactly_as_the_driver():
    policy, teacher = make(), driver()
    shown = torch.rand(50, SHOWN.width).half()
    policy.inherit(teacher, shown)
    observation = rows(policy, 50)
    policy.layout.put_given(shown[:, : SHOWN.given], observation)
    numbers, value = policy.respond(policy.join(shown_to(teacher, shown), observation))
    wanted, wanted_value = teacher.parameters_and_value(shown)
    torch.testing.assert_close(numbers, wanted)
    torch.testing.assert_close(value, wanted_value)


def test_who_is_told_the_lane_does_not_look_for_it():
    teacher = driver()
    shown = torch.rand(20, SHOWN.width).half()
    for tells_lane in (False, True):
        policy = make(tells_lane=tells_lane)
        policy.inherit(teacher, shown)
        observation = rows(policy, 20)
        policy.layout.put_given(shown[:, : SHOWN.given], observation)
        sight = shown_to(teacher, shown)
        elsewhere = sight._replace(lane=sight.lane + 1.0)
        same = torch.equal(policy.join(sight, observation), policy.join(elsewhere, observation))
        assert same == tells_lane


def test_what_it_decides_depends_on_every_camera_and_on_motion():
    policy = make()
    observation = rows(policy, 4)
    images = policy.layout.images_of(observation)
    before = policy.features(observation).clone()
    for camera in range(4):
        for channels in (slice(0, 3), slice(3, 6)):
            changed = observation.clone()
            policy.layout.images_of(changed)[:, camera, ..., channels] = 0
            assert not torch.equal(policy.features(changed), before)
    assert images.shape == (4, 4, 16, 24, 6)


def test_slots_begin_at_what_the_driver_is_usually_shown():
    policy, teacher = make(), driver()
    shown = torch.rand(400, SHOWN.width).half()
    policy.inherit(teacher, shown)
    scaled = policy.scaled(shown_to(teacher, shown))
    for name in ("road", "partners", "controls"):
        slot = getattr(scaled, name)
        moves = getattr(shown_to(teacher, shown), name).std(0) > 0.05
        torch.testing.assert_close(slot.mean(0), torch.zeros(64), atol=1e-4, rtol=0)
        torch.testing.assert_close(slot.std(0)[moves], torch.ones(int(moves.sum())))
    for adapter in policy.adapters.values():
        torch.nn.init.zeros_(adapter.weight)
        torch.nn.init.zeros_(adapter.bias)
    sight = policy.see(torch.rand(3, policy.eyes.features))
    torch.testing.assert_close(sight.road[0], shown_to(teacher, shown).road.mean(0))


def test_shades_are_centred_without_being_written_down():
    policy = make()
    images = policy.layout.images_of(rows(policy, 5))
    encoder = policy.eyes
    first = encoder.convolutions[0]
    shades = images.flatten(0, 1).permute(0, 3, 1, 2).float()
    # Outside of an image all is black: zeros before centring.
    padded = torch.nn.functional.pad(shades, (2, 2, 2, 2))
    wanted = torch.nn.functional.conv2d((padded - 127.5) / 64, first.weight, first.bias, stride=2)
    for layer in list(encoder.convolutions)[1:]:
        wanted = layer(torch.relu(wanted))
    torch.testing.assert_close(encoder.look(images), torch.relu(wanted), atol=1e-4, rtol=1e-4)


def test_eyes_can_begin_with_what_the_own_backbone_knows(tmp_path, monkeypatch):
    own = open_backbone(BackboneSettings("own"))
    policy = make(settings=CameraSettings(trunk=(32,), eyes=EyeSettings(begins="own")))
    policy.open_eyes()
    first = policy.eyes.convolutions[0].weight
    assert torch.equal(first[:, :3], own.encoder.convolutions[0].weight)
    assert not first[:, 3:].any()  # of what was before it makes nothing yet
    for layer, taught in zip(policy.eyes.convolutions, own.encoder.convolutions, strict=True):
        assert torch.equal(layer.bias, taught.bias)
        assert layer is policy.eyes.convolutions[0] or torch.equal(layer.weight, taught.weight)
    save_policy(policy, tmp_path / "student.safetensors", "fp32")
    monkeypatch.setattr("gigalane.networks.backbones.OWN_FILE", "missing.safetensors")
    load_policy(tmp_path / "student.safetensors")  # brings its own weights
    with pytest.raises(BackboneError, match="this installation holds none"):
        policy.open_eyes()


def test_eyes_that_begin_with_chance_stay_as_they_are():
    policy = make()
    before = {name: tensor.clone() for name, tensor in policy.eyes.state_dict().items()}
    policy.open_eyes()
    assert all(torch.equal(before[name], t) for name, t in policy.eyes.state_dict().items())


def test_a_file_gives_back_the_policy_its_cameras_included(tmp_path):
    policy = make()
    policy.inherit(driver(), torch.rand(40, SHOWN.width).half())
    save_policy(policy, tmp_path / "student.safetensors", "fp32")
    again = load_policy(tmp_path / "student.safetensors")
    assert isinstance(again, CameraPolicy)
    assert again.layout == policy.layout and again.settings == policy.settings
    observation = rows(policy, 7)
    assert torch.equal(again.evaluate(observation)[1], policy.evaluate(observation)[1])


def test_a_driver_that_is_built_differently_cannot_be_inherited_from():
    with pytest.raises(SettingsError, match="teacher: it is given 52 numbers"):
        make(settings=replace(SETTINGS, trunk=(64,))).inherit(
            driver(), torch.rand(4, SHOWN.width).half()
        )


def test_a_driver_of_accelerations_cannot_be_inherited_from():
    space = ACTION_SPACES["acceleration_steering"]
    student, teacher = make(space=space), EntityPolicy(SHOWN, space, driver().settings)
    with pytest.raises(SettingsError, match="give a driver of jerk12"):
        student.inherit(teacher, torch.rand(4, SHOWN.width).half())


def test_sight_has_the_slots_of_the_driver_and_five_numbers():
    assert Sight._fields == ("road", "partners", "controls", "lane")
    assert len(LANE_NUMBERS) == 5


def test_a_careful_one_is_careful_where_it_draws_no_action_and_stays_so_in_its_file(tmp_path):
    careful = replace(SETTINGS, caution=0.9)
    bold, wary = make(), make(settings=careful)
    observation = rows(bold, 200)
    assert torch.equal(bold.evaluate(observation)[1], wary.evaluate(observation)[1])
    ahead = [policy.act(observation, greedy=True) // 3 for policy in (bold, wary)]
    assert (ahead[1] <= ahead[0]).all() and (ahead[1] < ahead[0]).any()
    assert torch.equal(wary.decide(observation, greedy=True).action // 3, ahead[1])
    save_policy(wary, tmp_path / "wary.safetensors")
    assert load_policy(tmp_path / "wary.safetensors").settings == careful


@pytest.mark.parametrize(("caution", "space"), [(1.0, "jerk12"), (0.5, "acceleration_steering")])
def test_caution_that_cannot_be_is_refused(caution, space):
    with pytest.raises(SettingsError, match="caution"):
        make(settings=replace(SETTINGS, caution=caution), space=ACTION_SPACES[space])

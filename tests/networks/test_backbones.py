import json
from dataclasses import replace

import pytest
import torch

from gigalane.core.settings import SettingsError
from gigalane.networks.backbones import (
    BackboneSettings,
    FrozenEyes,
    OwnBackbone,
    averaged,
    file_digest,
    open_backbone,
)
from gigalane.networks.camera_rows import CameraLayout
from gigalane.policies.camera import CameraPolicy, CameraSettings
from gigalane.policies.checkpoint import load_policy, save_policy
from gigalane.policies.policy import PolicyError
from gigalane.render.camera import load_rig
from gigalane.sim.control import ACTION_SPACES

RANDOM = BackboneSettings("random", channels=(4, 8))
SHAPE = (2, 16, 24, 6)


def pictures(count: int, height: int = 16, width: int = 24, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, height, width, 3), dtype=torch.uint8, generator=generator)


def test_features_of_an_image_do_not_depend_on_others():
    backbone = open_backbone(RANDOM)
    images = pictures(5)
    whole = backbone.look(images)
    for k in range(5):
        torch.testing.assert_close(backbone.look(images[k : k + 1])[0], whole[k])


def test_the_grid_bounds_how_many_numbers_large_images_make():
    small = OwnBackbone((4, 8), (2, 3))
    assert small.look(pictures(1, 64, 96)).shape == (1, 8 * 2 * 3)
    assert small.look(pictures(1, 4, 8)).shape == (1, 8 * 1 * 2)
    cells = torch.arange(24.0).view(1, 1, 4, 6)
    means = cells.view(2, 2, 3, 2).mean((1, 3))
    torch.testing.assert_close(averaged(cells, (2, 3))[0, 0], means)


def test_eyes_see_every_camera_and_tell_motion_from_standing():
    eyes = FrozenEyes(SHAPE, 3, RANDOM)
    rows = pictures(4).unsqueeze(1).repeat(1, 2, 1, 1, 2)
    now, change = eyes.look(rows).chunk(2, dim=1)
    assert not change.any()
    moved = rows.clone()
    moved[:, 1, ..., 3:] = 255 - moved[:, 1, ..., 3:]
    now_again, change = eyes.look(moved).chunk(2, dim=1)
    assert torch.equal(now, now_again)
    first, second = change.chunk(2, dim=1)
    assert not first.any() and second.any()


def test_conditions_are_handed_on_and_numbers_scaled():
    eyes = FrozenEyes(SHAPE, 3, RANDOM)
    rows, told = pictures(4).unsqueeze(1).repeat(1, 2, 1, 1, 2), torch.rand(4, 3)
    found = eyes.look(rows)
    eyes.get_buffer("mean").copy_(found.mean(0))
    eyes.get_buffer("scale").fill_(2.0)
    features = eyes(rows, told)
    assert features.shape == (4, eyes.features)
    assert torch.equal(features[:, -3:], told)
    torch.testing.assert_close(features[:, :-3], (found - found.mean(0)) / 2.0)


def test_nothing_in_the_eyes_learns_and_the_untaught_are_always_the_same():
    eyes, again = (FrozenEyes(SHAPE, 3, RANDOM) for _ in range(2))
    assert not [p for p in eyes.parameters() if p.requires_grad]
    assert eyes.state_dict().keys() >= {"mean", "scale"}
    for one, other in zip(eyes.state_dict().values(), again.state_dict().values(), strict=True):
        assert torch.equal(one, other)


def test_the_backbone_that_ships_is_small_and_is_not_the_untaught_one():
    own = open_backbone(BackboneSettings("own"))
    untaught = open_backbone(BackboneSettings("random"))
    assert own.digest
    images = pictures(3, 32, 192)
    assert own.look(images).shape == untaught.look(images).shape == (3, 128 * 2 * 12)
    assert not torch.equal(own.look(images), untaught.look(images))
    with pytest.raises(SettingsError, match="does not fit channels"):
        open_backbone(BackboneSettings("own", channels=(4, 8)))


def folder_of(path, config, weights=b"") -> str:
    path.mkdir()
    if config is not None:
        (path / "config.json").write_text(config)
    if weights:
        (path / "model.safetensors").write_bytes(weights)
    return str(path)


@pytest.mark.parametrize(
    ("config", "weights", "told"),
    [
        ('{"model_type": "dinov2"}', b"", "holds no weights"),
        (None, b"x", "config.json is missing"),
        ("[]", b"x", "names no model_type"),
        ('{"model_type": "bert"}', b"x", "is a 'bert'"),
    ],
)
def test_a_folder_that_holds_no_backbone_ends_in_one_line(tmp_path, config, weights, told):
    folder = folder_of(tmp_path / "dino", config, weights)
    with pytest.raises(SettingsError, match=told) as found:
        open_backbone(BackboneSettings(folder))
    assert "\n" not in str(found.value) and folder in str(found.value)


def test_a_folder_that_is_not_there_ends_in_one_line(tmp_path):
    with pytest.raises(SettingsError, match="there is no such folder"):
        open_backbone(BackboneSettings(str(tmp_path / "nowhere")))


@pytest.mark.parametrize("grid", [(0, 2), (2,)])
def test_a_grid_without_cells_is_refused(grid):
    with pytest.raises(SettingsError, match="backbone: grid"):
        BackboneSettings("own", grid=grid)


@pytest.fixture(params=["dinov2", "dinov3_vit"])
def dino(request, tmp_path) -> str:
    transformers = pytest.importorskip("transformers", reason="the extra `vision` is not installed")
    torch.manual_seed(5)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    if request.param == "dinov2":
        config = transformers.Dinov2Config(**sizes, patch_size=14, image_size=28, mlp_ratio=2)
        model = transformers.Dinov2Model(config)
    else:
        config = transformers.DINOv3ViTConfig(
            **sizes, patch_size=16, image_size=32, intermediate_size=32, num_register_tokens=3
        )
        model = transformers.DINOv3ViTModel(config)
    model.save_pretrained(tmp_path / "dino")
    return str(tmp_path / "dino")


def test_a_dino_gives_its_class_token_and_means_of_patches(dino):
    backbone = open_backbone(BackboneSettings(dino, grid=(2, 3)))
    images = pictures(3)
    found = backbone.look(images)
    assert found.shape == (3, 16 * (1 + 2 * 3))
    torch.testing.assert_close(backbone.look(images[1:2])[0], found[1], atol=1e-5, rtol=1e-4)
    whole = open_backbone(BackboneSettings(dino, grid=(1, 1))).look(images)
    torch.testing.assert_close(whole[:, :16], found[:, :16])
    # The model by itself, on an image that needs no enlarging.
    patch, side = backbone.patch, backbone.patch * 8
    image = pictures(1, side, 2 * side)
    mean, spread = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    pixels = ((image / 255.0 - mean) / spread).permute(0, 3, 1, 2)
    with torch.no_grad():
        tokens = backbone.model(pixel_values=pixels).last_hidden_state[0]
    told = backbone.look(image)[0]
    torch.testing.assert_close(told[:16], tokens[0])
    patches = tokens[-(2 * side * side) // patch**2 :].view(8, 16, 16)
    corner = patches[:4, : 16 // 3 + 1].mean((0, 1))
    torch.testing.assert_close(told[16:].view(16, 2, 3)[:, 0, 0], corner, atol=1e-5, rtol=1e-4)


def test_a_dino_is_known_by_its_weights_and_stays_out_of_the_eyes_file(dino, tmp_path):
    digest = open_backbone(BackboneSettings(dino)).digest
    assert digest == file_digest(tmp_path / "dino/config.json", tmp_path / "dino/model.safetensors")
    settings = BackboneSettings(dino, digest)
    assert set(FrozenEyes(SHAPE, 3, settings).state_dict()) == {"mean", "scale"}
    with pytest.raises(SettingsError, match="its weights have digest"):
        open_backbone(replace(settings, digest="0" * 16))


def test_a_dino_that_lacks_weights_is_refused(dino, tmp_path):
    path = tmp_path / "dino" / "config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps({**config, "num_hidden_layers": 3}))
    with pytest.raises(SettingsError, match="lacks"):
        open_backbone(BackboneSettings(dino))
    (tmp_path / "dino" / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(SettingsError, match="cannot be read") as found:
        open_backbone(BackboneSettings(dino))
    assert "\n" not in str(found.value)


def test_a_policy_file_names_the_folder_of_its_dino_and_says_so_where_it_is_gone(dino, tmp_path):
    digest = open_backbone(BackboneSettings(dino)).digest
    layout = CameraLayout(load_rig("front").resized(24, 16), 52)
    settings = CameraSettings(trunk=(32,), backbone=BackboneSettings(dino, digest))
    policy = CameraPolicy(layout, ACTION_SPACES["jerk12"], settings)
    path = tmp_path / "policy.safetensors"
    save_policy(policy, path, "fp32")
    rows = torch.randint(0, 256, (5, layout.width), dtype=torch.uint8)
    layout.put_given(torch.rand(5, 52).half(), rows)
    again = load_policy(path)
    torch.testing.assert_close(again.evaluate(rows)[1], policy.evaluate(rows)[1])
    (tmp_path / "dino").rename(tmp_path / "moved")
    with pytest.raises(PolicyError, match="there is no such folder") as found:
        load_policy(path)
    assert "\n" not in str(found.value)

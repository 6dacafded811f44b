import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from gigalane.core.settings import SettingsError
from gigalane.networks.backbones import BackboneSettings, FrozenEyes
from gigalane.render.camera import load_rig
from gigalane.sim.layout import ObservationLayout
from gigalane.teach.frame_features import FrameFeatures
from gigalane.teach.paired_frames import FrameWriter, open_frames

RIG = load_rig("four").resized(12, 8)
LAYOUT = ObservationLayout(given=52, road=6, partners=4, controls=2)
RANDOM = BackboneSettings("random", channels=(4, 8))


def pairs(count: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (count, 4, 8, 12, 6), dtype=torch.uint8, generator=generator)
    return images, torch.rand(count, LAYOUT.width, generator=generator).half()


def write(folder, count=25, rows=10):
    images, shown = pairs(count)
    writer = FrameWriter(folder, RIG, LAYOUT, rows)
    for part in torch.arange(count).split(7):
        writer.add(images[part], shown[part])
    writer.close()
    return images, shown


def test_what_is_written_is_read(tmp_path):
    images, shown = write(tmp_path / "frames")
    frames = open_frames(tmp_path / "frames")
    assert [shard.rows for shard in frames.shards] == [10, 10, 5]
    assert frames.rig == RIG and frames.layout == LAYOUT and frames.count == 25
    assert torch.equal(torch.cat(list(frames.images(4))), images)
    assert torch.equal(frames.shown(), shown)


def shard_of(folder):
    return folder / "frames-00001.safetensors"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda t: {"images": t["images"][:4], "shown": t["shown"]}, "there must be a pair of"),
        (lambda t: {"images": t["images"][:, :, :4], "shown": t["shown"]}, "the rig makes"),
        (lambda t: {"images": t["images"][:, :3], "shown": t["shown"]}, "the rig makes"),
        (lambda t: {"images": t["images"], "shown": t["shown"][:, :8]}, "the layout makes"),
        (lambda t: {"images": t["images"].float(), "shown": t["shown"]}, "U8, F16 needed"),
        (lambda t: {"images": t["images"]}, "exactly images and shown"),
        (lambda t: {**t, "trajectory": t["shown"].clone()}, "exactly images and shown"),
        (lambda t: {n: v[:0] for n, v in t.items()}, "there must be a pair of"),
    ],
)
def test_pairs_that_do_not_match_end_in_one_line(tmp_path, change, told):
    write(tmp_path)
    tensors = {n: v.contiguous() for n, v in change(load_file(shard_of(tmp_path))).items()}
    save_file(tensors, shard_of(tmp_path))
    with pytest.raises(SettingsError, match=told) as found:
        open_frames(tmp_path)
    assert "\n" not in str(found.value) and "frames-00001" in str(found.value)


def test_a_damaged_shard_and_a_missing_one_end_in_one_line(tmp_path):
    write(tmp_path)
    shard_of(tmp_path).write_bytes(shard_of(tmp_path).read_bytes()[:100])
    with pytest.raises(SettingsError, match="is not a whole safetensors file"):
        open_frames(tmp_path)
    for path in tmp_path.glob("frames-*"):
        path.unlink()
    with pytest.raises(SettingsError, match="holds no frames"):
        open_frames(tmp_path)
    with pytest.raises(SettingsError, match="name a folder of paired frames"):
        open_frames(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda h: {**h, "rig": {**h["rig"], "cameras": []}}, "it has no camera"),
        (lambda h: {**h, "format": "another"}, "not of paired frames"),
        (lambda h: {**h, "layout": None}, "layout is missing"),
        (lambda h: {**h, "layout": {**h["layout"], "lidar": 3}}, "unknown setting 'lidar'"),
    ],
)
def test_a_header_that_makes_no_sense_ends_in_one_line(tmp_path, change, told):
    write(tmp_path)
    path = tmp_path / "frames.json"
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
    with pytest.raises(SettingsError, match=told):
        open_frames(tmp_path)


def test_a_folder_of_frames_is_not_written_over_and_takes_only_its_own_sizes(tmp_path):
    write(tmp_path / "frames")
    with pytest.raises(SettingsError, match="holds paired frames already"):
        FrameWriter(tmp_path / "frames", RIG, LAYOUT)
    writer = FrameWriter(tmp_path / "other", RIG, LAYOUT)
    images, shown = pairs(3)
    with pytest.raises(SettingsError, match="the rig makes"):
        writer.add(images[:, :, :, :5], shown)


def test_a_recording_that_was_cut_off_is_no_folder_of_frames_and_is_begun_anew(tmp_path):
    images, shown = pairs(25)
    writer = FrameWriter(tmp_path, RIG, LAYOUT, 10)
    writer.add(images, shown)
    assert shard_of(tmp_path).is_file()
    with pytest.raises(SettingsError, match="name a folder of paired frames"):
        open_frames(tmp_path)
    images, shown = write(tmp_path, 8)
    frames = open_frames(tmp_path)
    assert frames.count == 8
    assert torch.equal(frames.shown(), shown)


def test_features_are_computed_once_and_anew_when_anything_changes(tmp_path):
    images, _ = write(tmp_path)
    frames = open_frames(tmp_path)
    eyes = FrozenEyes(frames.image_shape, 7, RANDOM)
    shares: list[float] = []
    features = FrameFeatures(frames, eyes, RANDOM, shares.append)
    assert shares[-1] == 1.0
    rows = torch.tensor([3, 24, 11])
    torch.testing.assert_close(features.rows(rows), eyes.look(images[rows]), atol=0.01, rtol=2e-3)
    mean, spread = features.spread()
    whole = features.rows(torch.arange(25))
    torch.testing.assert_close(mean, whole.mean(0), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(spread, whole.std(0, unbiased=False), atol=1e-3, rtol=1e-3)
    count = len(shares)
    assert FrameFeatures(frames, eyes, RANDOM, shares.append).path == features.path
    assert len(shares) == count  # nothing was computed
    coarse = replace(RANDOM, grid=(1, 1))
    other = FrozenEyes(frames.image_shape, 7, coarse)
    assert FrameFeatures(frames, other, coarse).path != features.path
    with shard_of(tmp_path).open("r+b") as file:
        file.seek(-1, 2)
        last = file.read(1)
        file.seek(-1, 2)
        file.write(bytes([last[0] ^ 1]))
    assert FrameFeatures(open_frames(tmp_path), eyes, RANDOM).path != features.path


def test_a_cut_off_feature_file_is_made_again(tmp_path):
    write(tmp_path)
    frames = open_frames(tmp_path)
    eyes = FrozenEyes(frames.image_shape, 7, RANDOM)
    features = FrameFeatures(frames, eyes, RANDOM)
    wanted = features.rows(torch.arange(25))
    features.path.write_bytes(features.path.read_bytes()[:-100])
    assert torch.equal(FrameFeatures(frames, eyes, RANDOM).rows(torch.arange(25)), wanted)

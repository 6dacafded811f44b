import json
from dataclasses import replace

import pytest
import torch

from gigalane.core.settings import SettingsError
from gigalane.maps.sources import open_maps
from gigalane.networks.backbones import BackboneSettings
from gigalane.policies.camera import CameraPolicy
from gigalane.policies.checkpoint import load_policy, read_policy_metadata
from gigalane.policies.policy import PolicyError
from gigalane.policies.shipped import load_default
from gigalane.render.camera import load_rig
from gigalane.sim.settings import SimulatorSettings
from gigalane.teach.align import AlignSettings, AlignWeights, align, slot_basis
from gigalane.teach.aligning import prepare
from gigalane.teach.paired_frames import open_frames
from gigalane.teach.record_frames import RecordSettings, record_frames
from gigalane.teach.teaching import TEACHING_WORLD

RANDOM = BackboneSettings("random", channels=(8, 16))
WORLD = replace(TEACHING_WORLD, worlds=2, agents=8)
RECORD = RecordSettings(frames=400, every=1, steps=10, world=WORLD, threads=1)
SETTINGS = AlignSettings(epochs=4, minibatch=64, learning_rate=2e-3)


@pytest.fixture(scope="module")
def teacher():
    return load_default()


@pytest.fixture(scope="module")
def frames(tmp_path_factory, teacher):
    folder = tmp_path_factory.mktemp("frames") / "frames"
    rig = load_rig("front").resized(24, 16)
    return record_frames(open_maps(("town:1",)), teacher, rig, RECORD, folder)


def run(folder, frames, teacher, settings=SETTINGS, **options):
    pupil = prepare(frames, None, teacher, RANDOM, settings.seed)
    return pupil.student, align(pupil, teacher, settings, folder, **options)


def told(folder) -> list[dict]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").open()]


def test_frames_are_recorded_with_states_that_the_teacher_would_not_drive_into(
    tmp_path, frames, teacher
):
    assert frames.count == 400
    again = open_frames(frames.folder)
    assert torch.equal(again.shown(), frames.shown())
    calm = replace(RECORD, perturbation=replace(RECORD.perturbation, share=0.0))
    rig = load_rig("front").resized(24, 16)
    other = record_frames(open_maps(("town:1",)), teacher, rig, calm, tmp_path / "calm")
    assert not torch.equal(other.shown(), frames.shown())
    images = next(frames.images(400))
    assert (images[..., :3] != images[..., 3:]).any((1, 2, 3, 4)).float().mean() > 0.5


def test_adapters_come_nearer_to_the_teacher_and_nothing_else_changes(tmp_path, frames, teacher):
    student, report = run(tmp_path / "run", frames, teacher)
    rows = told(tmp_path / "run")
    assert [row["iteration"] for row in rows] == [1, 2, 3, 4]
    assert rows[-1]["divergence"] < 0.8 * rows[0]["divergence"]
    assert rows[-1]["structure/road"] < rows[0]["structure/road"]
    assert torch.equal(student.trunk.layers[0].weight, teacher.actor.trunk.layers[0].weight)
    assert torch.equal(student.action_head.weight, teacher.action_head.weight)
    untaught = prepare(frames, None, teacher, RANDOM, 0).student
    for name, tensor in untaught.eyes.backbone.state_dict().items():
        assert torch.equal(student.eyes.backbone.state_dict()[name], tensor)
    assert report == json.loads((tmp_path / "run" / "align.json").read_text())
    assert set(report["ranks"]) == {"road", "partners", "controls"}
    assert report["frames"] == 360 and report["unseen_frames"] == 40


def test_the_policy_file_holds_its_own_backbone_and_sees_as_the_student_did(
    tmp_path, frames, teacher
):
    student, report = run(tmp_path / "run", frames, teacher, replace(SETTINGS, epochs=1))
    policy = load_policy(report["policy"])
    assert isinstance(policy, CameraPolicy) and policy.settings == student.settings
    assert read_policy_metadata(report["policy"])["ranks"] == report["ranks"]
    images, shown = frames.shards[0].read()
    rows = torch.zeros(32, policy.layout.width, dtype=torch.uint8)
    policy.layout.images_of(rows).copy_(images[:32])
    policy.layout.put_given(shown[:32, : policy.layout.given], rows)
    theirs, ours = policy.evaluate(rows)[0], student.evaluate(rows)[0]
    assert float(ours.kl(theirs).max()) < 0.01


def test_a_run_that_is_taken_up_again_ends_as_if_it_had_never_stopped(tmp_path, frames, teacher):
    whole, _ = run(tmp_path / "whole", frames, teacher)
    run(tmp_path / "run", frames, teacher, on_epoch=lambda row: row["iteration"] >= 2)
    again, report = run(tmp_path / "run", frames, teacher, resume=True)
    assert [row["iteration"] for row in told(tmp_path / "run")] == [1, 2, 3, 4]
    assert report["epochs"] == 4
    for one, other in zip(whole.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other)


def test_a_folder_that_holds_a_run_is_not_written_over(tmp_path, frames, teacher):
    once = replace(SETTINGS, epochs=1)
    run(tmp_path / "run", frames, teacher, once)
    with pytest.raises(PolicyError, match="already holds a run"):
        run(tmp_path / "run", frames, teacher, once)
    with pytest.raises(PolicyError, match="another minibatch"):
        run(tmp_path / "run", frames, teacher, replace(once, minibatch=32), resume=True)


def test_directions_grow_with_energy_and_rank():
    torch.manual_seed(0)
    spread = torch.tensor([8.0, 4.0, 2.0, 1.0, 0.5, 0.25])
    slot = torch.randn(500, 6) * spread
    # 64 + 16 of 85.3 are more than nine tenths, 64 alone less than eight.
    assert slot_basis(slot, replace(SETTINGS, energy=0.9)).shape == (6, 2)
    assert slot_basis(slot, replace(SETTINGS, energy=0.9, rank=2.0)).shape == (6, 4)
    assert slot_basis(slot, replace(SETTINGS, energy=0.9, rank=0.5)).shape == (6, 1)
    full = slot_basis(slot, replace(SETTINGS, rank=64.0))
    torch.testing.assert_close(full @ full.t(), torch.eye(6), atol=1e-4, rtol=0)


def test_a_teacher_with_other_observations_is_refused_in_one_line(tmp_path, teacher):
    rig, maps = load_rig("front").resized(24, 16), open_maps(("town:1",))
    world = replace(WORLD, observation=replace(SimulatorSettings().observation, partners=4))
    with pytest.raises(SettingsError, match="teacher: it observes") as found:
        record_frames(maps, teacher, rig, replace(RECORD, world=world), tmp_path / "frames")
    assert "\n" not in str(found.value)


def test_eyes_that_learn_cannot_be_aligned(frames, teacher):
    with pytest.raises(SettingsError, match="backbone: none is named"):
        prepare(frames, None, teacher, BackboneSettings(), 0)


@pytest.mark.parametrize(
    "wrong",
    [
        *({"epochs": 0}, {"minibatch": 1}, {"energy": 0.0}, {"rank": 0.0}, {"weight_decay": -1.0}),
        *({"losses": AlignWeights(lane=-1.0)}, {"losses": AlignWeights(0.0, 0.0, 0.0, 0.0)}),
    ],
)
def test_settings_that_teach_nothing_are_refused(wrong):
    with pytest.raises(SettingsError, match="align:"):
        replace(SETTINGS, **wrong)


def test_each_loss_alone_is_what_falls(tmp_path, frames, teacher):
    for name, figure in (("slots", "slots"), ("structure", "structure/partners")):
        weights = replace(AlignWeights(0.0, 0.0, 0.0, 0.0), **{name: 1.0})
        run(tmp_path / name, frames, teacher, replace(SETTINGS, losses=weights))
        rows = told(tmp_path / name)
        assert rows[-1][figure] < rows[0][figure]


def test_slots_are_compared_without_their_mean_where_that_is_asked_for(tmp_path, frames, teacher):
    once = replace(SETTINGS, epochs=1)
    pupil = prepare(frames, None, teacher, RANDOM, 0)
    road = pupil.lessons.slots.road
    _, plain = run(tmp_path / "plain", frames, teacher, once)
    _, centred = run(tmp_path / "centred", frames, teacher, replace(once, centred=True))
    for report, slot in ((plain, road), (centred, road - road.mean(0))):
        share = torch.linalg.svdvals(slot.double()).square().cumsum(0)
        assert report["ranks"]["road"] == int((share < 0.8 * share[-1]).sum()) + 1
    assert centred["ranks"]["road"] > plain["ranks"]["road"]

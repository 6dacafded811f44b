"""Adaptation: slots come nearer, the planner stays, runs go on, folders that do not fit."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from gigalane.core.settings import SettingsError
from gigalane.maps.sources import open_maps
from gigalane.networks.backbones import BackboneSettings
from gigalane.networks.image_encoder import EyeSettings
from gigalane.policies.camera import CameraPolicy, CameraSettings
from gigalane.policies.policy import PolicyError
from gigalane.policies.shipped import load_default
from gigalane.render.appearance import TEXTURED, VARIED
from gigalane.render.camera import load_rig
from gigalane.sim.simulator import Simulator
from gigalane.teach.adapt import Adaptation, AdaptSettings, adapt, frozen, planner_of
from gigalane.teach.image_pairs import PairWriter, open_pairs
from gigalane.teach.teaching import TEACHING_WORLD
from gigalane.teach.two_looks import Folder, PairPool, answers, drive_in_two_looks
from gigalane.worlds.camera import CameraWorld
from gigalane.worlds.vector import VectorWorld

RIG = load_rig("front").resized(24, 16)
EYES = CameraSettings(eyes=EyeSettings(channels=(8, 16), features=32))
WORLD = replace(TEACHING_WORLD, worlds=2, agents=8)
SETTINGS = AdaptSettings(
    pairs=2_000, rollout_steps=2, pool=200, minibatch=16, passes=8.0, threads=1, target_share=0.5
)


@pytest.fixture(scope="module")
def maps():
    return open_maps(("town:1",))


@pytest.fixture
def student(maps) -> CameraPolicy:
    """One that has seen nothing yet but makes something of everything."""
    simulator = Simulator(maps, WORLD, seed=1, threads=1)
    world = CameraWorld(VectorWorld(simulator), RIG, maps)
    torch.manual_seed(0)
    student = CameraPolicy(world.layout, world.action_space, EYES)
    student.inherit(load_default(), world.vector.observation[world.active])
    for adapter in student.adapters.values():
        torch.nn.init.normal_(adapter.weight, std=0.3)
    return student


def source_of(maps, student, target, folder, settings=SETTINGS):
    return drive_in_two_looks(
        maps, WORLD, student, target, (VARIED, TEXTURED), folder,
        steps=settings.rollout_steps, target_share=settings.target_share, seed=settings.seed,
    )  # fmt: skip


def run(maps, student, folder, settings=SETTINGS, iterations=6, resume=False, target=None):
    target = target or frozen(student)
    source = source_of(maps, student, target, folder, settings)
    return adapt(
        source, student, target, settings, folder, resume,
        on_iteration=lambda figures: figures["iteration"] >= iterations,
    )  # fmt: skip


def figures(folder) -> list[dict]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").open()]


@pytest.mark.parametrize("proposals", [0, 4])
def test_what_is_seen_comes_nearer_and_the_planner_stays(tmp_path, maps, student, proposals):
    if proposals:
        sizes = replace(student.settings, proposals=proposals)
        planning = CameraPolicy(student.layout, student.action_space, sizes)
        planning.load_state_dict(student.state_dict(), strict=False)
        student = planning
    planner = [p.clone() for part in planner_of(student) for p in part.parameters()]
    eyes = [p.clone() for p in student.eyes.parameters()]
    run(maps, student, tmp_path / "run", iterations=8)
    told = figures(tmp_path / "run")
    assert told[-1]["slots"] < 0.8 * told[0]["slots"]
    kept = [p for part in planner_of(student) for p in part.parameters()]
    assert all(torch.equal(a, b) for a, b in zip(planner, kept, strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(eyes, student.eyes.parameters(), strict=True))


@pytest.mark.parametrize("setting", ["frees_planner", "frees_adapters"])
def test_settings_say_what_learns(tmp_path, maps, student, setting):
    settings = replace(SETTINGS, frees_planner=False, frees_adapters=False)
    part = student.trunk if setting == "frees_planner" else student.adapters
    for is_free in (False, True):
        before = [p.detach().clone() for p in part.parameters()]
        free = replace(settings, **{setting: is_free})
        run(maps, student, tmp_path / str(is_free), free, iterations=1)
        same = all(torch.equal(a, b) for a, b in zip(before, part.parameters(), strict=True))
        assert same == (not is_free)


def test_both_looks_show_the_same_scene_and_the_target_is_asked_about_the_known(
    tmp_path, maps, student
):
    target = frozen(student)
    source = source_of(maps, student, target, tmp_path)
    adaptation = Adaptation(source, student, target, SETTINGS, tmp_path)
    source.begin(0)
    adaptation.collect()
    known, new = source.known, source.new
    assert known.renderer.appearance.seed == new.renderer.appearance.seed
    assert known.renderer.appearance.camera_turn == new.renderer.appearance.camera_turn
    rows = known.active
    given = known.layout.given_of(known.observation[rows])
    assert torch.equal(given, new.layout.given_of(new.observation[rows]))
    # Of now and of before both differ in the look; of both, the same part is nearly as before.
    a, b = (w.layout.images_of(w.observation[rows]).int() for w in (known, new))
    assert ((a - b).abs().float().mean((0, 1, 2, 3)) > 3).all()
    # Nothing has been learned yet: asked about the known look, the student agrees with itself.
    said = answers(target, known.observation[rows], 1)
    adaptation.pool = PairPool(200, known.layout.width, student)
    adaptation.pool.add(known.observation[rows], said)
    loss, told = adaptation.loss(torch.arange(len(said.slots)))
    assert float(loss.detach()) < 1e-3
    assert told[3] == 1.0


def test_a_run_goes_on_where_it_stopped_and_only_there(tmp_path, maps, student):
    folder = tmp_path / "run"
    target = frozen(student)
    run(maps, student, folder, iterations=2, target=target)
    weights = {n: t.clone() for n, t in student.state_dict().items()}
    with pytest.raises(PolicyError, match="already holds a run"):
        run(maps, student, folder, target=target)
    fresh = frozen(target)
    for parameter in fresh.parameters():
        parameter.requires_grad_(True)
    with pytest.raises(PolicyError, match="another learning_rate"):
        run(maps, fresh, folder, replace(SETTINGS, learning_rate=1.0), resume=True, target=target)
    source = source_of(maps, fresh, target, folder)
    adaptation = Adaptation(source, fresh, target, SETTINGS, folder)
    adaptation.resume()
    assert all(torch.equal(weights[n], t) for n, t in fresh.state_dict().items())
    assert adaptation.iteration == 2
    assert adaptation.samples == figures(folder)[-1]["samples"]


def test_eyes_of_which_nothing_may_learn_are_refused(tmp_path, maps, student):
    frozen_eyes = CameraPolicy(
        student.layout, student.action_space, CameraSettings(backbone=BackboneSettings("random"))
    )
    with pytest.raises(SettingsError, match="adapt: nothing learns"):
        run(maps, frozen_eyes, tmp_path / "run", replace(SETTINGS, frees_adapters=False))
    with pytest.raises(SettingsError, match="adapt: seed and threads"):
        replace(SETTINGS, threads=-1)


def write_pairs(folder, student, count=3):
    writer = PairWriter(folder, RIG)
    rng = np.random.default_rng(0)
    for number in range(count):
        a, b = rng.integers(0, 256, (2, 1, 16, 24, 3)).astype(np.uint8)
        writer.add(f"frame-{number}", a, b, rng.normal(size=student.layout.given).tolist())
    writer.close()
    return folder


def test_pairs_from_files_are_read_as_they_were_written_and_learned_from(tmp_path, student):
    folder = write_pairs(tmp_path / "pairs", student)
    pairs = open_pairs(folder, student.layout.given)
    rows = pairs.rows("b", [1], student.layout)
    images = student.layout.images_of(rows)[0, 0]
    with Image.open(folder / "frame-1-b.png") as picture:
        assert np.array_equal(images[..., :3].numpy(), np.asarray(picture))
    assert torch.equal(images[..., :3], images[..., 3:])  # it stands still
    target = frozen(student)
    adapt(Folder(pairs, target), student, target, replace(SETTINGS, pairs=60), tmp_path / "run")
    told = figures(tmp_path / "run")
    assert [row["samples"] for row in told][-1] == 60
    assert told[-1]["loss"] < told[0]["loss"]


def test_more_pairs_than_are_remembered_are_refused(tmp_path, student):
    pairs = open_pairs(write_pairs(tmp_path / "pairs", student, 17), student.layout.given)
    target, settings = frozen(student), replace(SETTINGS, pool=16)
    with pytest.raises(SettingsError, match="17 pairs, but pool is 16; set it to 17"):
        adapt(Folder(pairs, target), student, target, settings, tmp_path / "run")


def spoil(folder, how):
    header = json.loads((folder / "pairs.json").read_text())
    if how == "partner":
        (folder / "frame-1-b.png").unlink()
    elif how == "before":
        (folder / "frame-0-a-before.png").write_bytes((folder / "frame-0-a.png").read_bytes())
    elif how == "size":
        Image.new("RGB", (24, 17)).save(folder / "frame-2-a.png")
    elif how == "picture":
        (folder / "frame-2-a.png").write_bytes(b"none")
    elif how == "given":
        header["given"]["frame-0"].pop()
    elif how == "name":
        header["given"]["../frame"] = header["given"].pop("frame-0")
    elif how == "camera":
        header["rig"]["cameras"] = []
    elif how == "none":
        header["given"] = {}
    (folder / "pairs.json").write_text(json.dumps(header))


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("partner", "frame-1-b.png: is missing; every frame needs an a and a b"),
        ("before", "frame-0-b-before.png: is missing, its partner is there"),
        ("size", "frame-2-a.png: 24 x 17 pixels, the rig's 1 cameras make 24 x 16"),
        ("picture", "frame-2-a.png: is no picture"),
        ("given", "given of 'frame-0': .* finite numbers are needed"),
        ("name", "is no name of a frame"),
        ("camera", "it has no camera"),
        ("none", "names no frames"),
    ],
)
def test_pairs_that_do_not_match_are_refused(tmp_path, student, how, told):
    folder = write_pairs(tmp_path / "pairs", student)
    spoil(folder, how)
    with pytest.raises(SettingsError, match=told):
        open_pairs(folder, student.layout.given)


def test_pairs_of_other_cameras_are_refused(tmp_path, student):
    pairs = open_pairs(write_pairs(tmp_path / "pairs", student), student.layout.given)
    other = replace(pairs, rig=load_rig("front"))
    with pytest.raises(SettingsError, match="is not the student's"):
        Folder(other, student)

"""Distillation from outside: begin, go on, refuse what does not fit."""

import json
from dataclasses import replace

import pytest

from gigalane.policies.camera import CameraPolicy
from gigalane.policies.checkpoint import load_policy
from gigalane.render.camera import load_rig

SHORT = (
    *("--world.worlds", "2", "--world.agents", "6", "--map", "town:1"),
    *("--distill.frames", "150", "--distill.rollout-steps", "4", "--distill.threads", "1"),
    *("--distill.pool", "200", "--distill.minibatch", "32"),
)
TINY = (*SHORT, "--student.eyes.channels", "8", "8", "--student.eyes.features", "16")


@pytest.fixture
def rig(folder):
    path = folder / "rig.json"
    load_rig("front").resized(24, 16).save(path)
    return str(path)


def test_a_student_is_taught_goes_on_and_is_measured(gigalane, folder, rig):
    student = folder / "student"
    assert gigalane("distill", student, "--rig", rig, *TINY).code == 0
    policy = load_policy(student / "policy.safetensors")
    assert isinstance(policy, CameraPolicy)
    assert policy.layout.rig.size == (24, 16)
    before = (student / "metrics.jsonl").read_text().count("\n")
    assert gigalane("distill", student, "--resume", "--distill.frames", "400").code == 0
    assert (student / "metrics.jsonl").read_text().count("\n") > before
    found = gigalane(
        *("evaluate", student / "policy.safetensors", "--map", "town:1", "--agents", "4"),
        *("--episodes", "4", "--seconds", "4", "--dt", "0.2", "--appearance", "dusk", "--json"),
    )
    assert found.code == 0
    assert 0 <= json.loads(found.out)["driving_score"]["value"] <= 1
    assert json.loads(found.out)["settings"]["appearance"]["fog"] == [0.014, 0.024]


def test_a_student_that_plans_goes_on_planning_and_is_measured_by_its_plans(gigalane, folder, rig):
    student = folder / "student"
    plans = ("--student.proposals", "4", "--student.drives", "plans")
    assert gigalane("distill", student, "--rig", rig, *TINY, *plans).code == 0
    assert gigalane("distill", student, "--resume", "--distill.frames", "200").code == 0
    policy = load_policy(student / "policy.safetensors")
    assert (policy.settings.proposals, policy.settings.drives) == (4, "plans")
    last = json.loads((student / "metrics.jsonl").read_text().splitlines()[-1])
    assert last["plan"] > 0 and last["plan_chosen"] > 0
    found = gigalane(
        *("evaluate", student / "policy.safetensors", "--map", "town:1", "--agents", "4"),
        *("--episodes", "4", "--seconds", "4", "--dt", "0.25", "--json"),
    )
    assert found.code == 0
    assert 0 <= json.loads(found.out)["driving_score"]["value"] <= 1


def test_a_student_is_taught_more_with_its_own_cameras_and_sizes(gigalane, refused, folder, rig):
    first, more = folder / "first", folder / "more"
    assert gigalane("distill", first, "--rig", rig, *TINY).code == 0
    start = ("--start", first / "policy.safetensors")
    assert gigalane("distill", more, *SHORT, *start).code == 0
    taught = load_policy(more / "policy.safetensors")
    assert isinstance(taught, CameraPolicy)
    assert taught.layout.rig.size == (24, 16)
    assert taught.settings.eyes.channels == (8, 8)
    told = json.loads((more / "metrics.jsonl").read_text().splitlines()[0])
    assert told["teacher_share"] == 0 and told["learning_rate"] < 3.1e-4
    assert "another --start" in refused("distill", more, "--resume", "--start", "default-camera")
    (folder / "rig.json").unlink()
    (first / "policy.safetensors").unlink()
    again = ("--resume", *start, "--distill.frames", "300")
    assert gigalane("distill", more, *again).code == 0


def test_an_autopilot_goes_on_with_a_student_that_may_be_careful(gigalane, folder, rig):
    first, more = folder / "first", folder / "more"
    assert gigalane("distill", first, "--rig", rig, *TINY).code == 0
    start = ("--start", first / "policy.safetensors", "--student.caution", "0.6")
    assert gigalane("distill", more, *SHORT, *start, "--teacher", "autopilot").code == 0
    taught = load_policy(more / "policy.safetensors")
    assert taught.settings == replace(
        load_policy(first / "policy.safetensors").settings, caution=0.6
    )


def test_a_rig_file_that_changes_later_does_not_change_a_run(gigalane, refused, folder, rig):
    student = folder / "student"
    assert gigalane("distill", student, "--rig", rig, *TINY).code == 0
    assert gigalane("distill", student, "--resume", "--rig", rig).code == 0
    load_rig("front").resized(32, 16).save(rig)
    assert "another --rig" in refused("distill", student, "--resume", "--rig", rig)
    assert gigalane("distill", student, "--resume", "--distill.frames", "300").code == 0
    assert load_policy(student / "policy.safetensors").layout.rig.size == (24, 16)


def test_a_run_whose_file_names_no_cameras_is_one_line(gigalane, refused, folder, rig):
    student = folder / "student"
    assert gigalane("distill", student, "--rig", rig, *TINY).code == 0
    facts = json.loads((student / "worlds.json").read_text())
    for spoilt, told in (("front", "cameras is None"), (None, "names no cameras")):
        (student / "worlds.json").write_text(json.dumps(facts | {"rig": spoilt}))
        assert told in refused("distill", student, "--resume")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--start", "default"), "--start default: does not drive by what it sees"),
        (("--start", "nowhere.safetensors"), "is neither a file nor one of"),
        (("--rig", "front"), "--rig: --start default-camera decides that; leave it out"),
        (("--student.proposals", "4"), "--student.proposals: --start default-camera decides"),
        (("--teacher", "default-coach"), "start: it acts in"),
        (("--teacher", "autopilot", "--world.action", "delta_pose"), "start: it acts in"),
        (("--world.action", "delta_pose"), "--world.action: teacher default decides that"),
    ],
)
def test_who_begins_with_a_student_takes_it_as_it_is(refused, folder, words, told):
    start = () if "--start" in words else ("--start", "default-camera")
    assert told in refused("distill", folder / "student", *SHORT, *start, *words)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--teacher", "idm"), "does not drive by the state"),
        (("--teacher", "nowhere.safetensors"), "is neither a file nor one of"),
        (("--rig", "nowhere.json"), "give a rig file or one of"),
        (("--distill.frames", "0"), "frames"),
        (("--resume",), "holds no run to go on with"),
        (("--student.drives", "plans"), "drives is plans, but proposals is 0"),
        (("--distill.losses.plan", "1"), "plan needs a student with proposals"),
        (("--teacher", "autopilot", "--student.proposals", "4"), "the student has 4 proposals"),
        (("--student.trunk", "64", "64"), "--student.trunk: teacher default decides that"),
        (("--world.action", "delta_pose"), "--world.action: teacher default decides that"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing_behind(refused, folder, words, told):
    assert told in refused("distill", folder / "student", *TINY, *words)


def test_a_rig_without_a_camera_is_one_line(refused, folder):
    path = folder / "rig.json"
    path.write_text('{"format": "gigalane rig 1", "name": "none", "cameras": []}')
    line = refused("distill", folder / "student", "--rig", path, *TINY)
    assert "it has no camera" in line
    assert str(path) in line


def test_a_run_is_not_continued_with_other_cameras(gigalane, refused, folder, rig):
    student = folder / "student"
    assert gigalane("distill", student, "--rig", rig, *TINY).code == 0
    assert "another --rig" in refused("distill", student, "--resume", "--rig", "front")


def test_an_appearance_that_is_not_there_is_one_line(refused):
    assert "choose one of plain, varied, dusk" in refused("evaluate", "--appearance", "snow")

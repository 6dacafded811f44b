"""Adaptation from outside: begin, go on, refuse what does not fit."""

import json

import pytest

from gigalane.policies.camera import CameraPolicy
from gigalane.policies.checkpoint import load_policy
from gigalane.render.camera import load_rig

STUDENT = (
    *("--world.worlds", "2", "--world.agents", "6", "--map", "town:1"),
    *("--distill.frames", "60", "--distill.rollout-steps", "4", "--distill.threads", "1"),
    *("--distill.pool", "100", "--distill.minibatch", "32"),
    *("--student.eyes.channels", "8", "8", "--student.eyes.features", "16"),
)
TINY = (
    *("--world.worlds", "2", "--world.agents", "6", "--map", "town:1"),
    *("--adapt.pairs", "40", "--adapt.rollout-steps", "2", "--adapt.threads", "1"),
    *("--adapt.pool", "100", "--adapt.minibatch", "16"),
)


@pytest.fixture
def student(gigalane, folder):
    load_rig("front").resized(24, 16).save(folder / "rig.json")
    run = folder / "student"
    assert gigalane("distill", run, "--rig", folder / "rig.json", *STUDENT).code == 0
    return run / "policy.safetensors"


def test_a_student_adapts_goes_on_and_is_measured(gigalane, refused, folder, student):
    run = folder / "adapted"
    assert gigalane("adapt", run, student, *TINY).code == 0
    assert isinstance(load_policy(run / "policy.safetensors"), CameraPolicy)
    before = (run / "metrics.jsonl").read_text().count("\n")
    assert "another --look" in refused("adapt", run, "--resume", "--look", "dusk")
    assert gigalane("adapt", run, "--resume", "--adapt.pairs", "80").code == 0
    assert (run / "metrics.jsonl").read_text().count("\n") > before
    found = gigalane(
        *("evaluate", run / "policy.safetensors", "--map", "town:1", "--agents", "4"),
        *("--episodes", "4", "--seconds", "2", "--dt", "0.2", "--appearance", "textured"),
        "--json",
    )
    assert found.code == 0
    assert json.loads(found.out)["settings"]["appearance"]["blur"] == [0.15, 0.45]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("idm",), "does not drive by what it sees"),
        (("nowhere.safetensors",), "is neither a file nor one of"),
        (("--adapt.pairs", "0"), "pairs"),
        (("--resume",), "holds no run to go on with"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing_behind(refused, folder, words, told):
    assert told in refused("adapt", folder / "adapted", *words)
    assert not (folder / "adapted").exists()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"maps": 3}, "settings.json: maps: cannot be read"),
        ({"pairs": 3}, "settings.json: pairs: cannot be read"),
        ({"adapt": {"pears": 3}}, "settings.json, adapt: unknown setting 'pears'"),
    ],
)
def test_a_run_whose_settings_are_damaged_is_one_line(refused, folder, change, told):
    run = folder / "adapted"
    run.mkdir()
    facts = {"student": "default-camera", "look": "dusk", "known": "varied", "pairs": None}
    facts |= {"maps": ["town:1"], "adapt": {}, "world": {}}
    (run / "settings.json").write_text(json.dumps(facts | change))
    assert told in refused("adapt", run, "--resume")


def test_looks_and_folders_that_are_not_there_are_one_line(refused, folder, student):
    run = folder / "adapted"
    assert "choose one of plain" in refused("adapt", run, student, "--look", "snow", *TINY)
    assert "name a folder of image pairs" in refused("adapt", run, student, "--pairs", folder)
    assert not run.exists()

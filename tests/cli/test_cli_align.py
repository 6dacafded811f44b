import json
import shutil

import pytest

from gigalane.cli.main import main

SMALL = ["--record", "60", "--map", "town:1", "--unseen-map", "town:2", "--backbone", "random",
         "--align.epochs", "1", "--align.minibatch", "16"]  # fmt: skip


@pytest.fixture(scope="module")
def rig(tmp_path_factory):
    from gigalane.render.camera import load_rig

    path = tmp_path_factory.mktemp("rig") / "tiny.json"
    load_rig("front").resized(24, 16).save(path)
    return str(path)


@pytest.fixture(scope="module")
def aligned(tmp_path_factory, rig):
    folder = tmp_path_factory.mktemp("runs") / "aligned"
    assert main(["align", str(folder), "--rig", rig, *SMALL]) == 0
    return folder


def test_a_run_records_learns_and_tells_where_the_policy_is(aligned):
    facts = json.loads((aligned / "align.json").read_text())
    assert facts["frames"] == 60 and facts["unseen_frames"] == 6
    assert (aligned / "policy.safetensors").is_file()
    assert facts["policy"].endswith("policy.safetensors")


def test_a_run_goes_on_with_its_own_settings(aligned, tmp_path, capsys):
    folder = tmp_path / "copy"
    shutil.copytree(aligned, folder)
    assert main(["align", str(folder), "--resume", "--align.epochs", "2"]) == 0
    assert "2 epochs over 60 frames" in capsys.readouterr().out
    assert main(["align", str(folder), "--resume", "--backbone", "own"]) == 2
    assert "another --backbone" in capsys.readouterr().err


def refused(capsys, *words) -> str:
    assert main(["align", *map(str, words)]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and "Traceback" not in told
    return told


def test_bad_input_ends_in_one_line(aligned, tmp_path, capsys):
    run = tmp_path / "run"
    assert "already holds a run" in refused(capsys, aligned)
    assert "holds no run" in refused(capsys, run, "--resume")
    assert "no such folder" in refused(capsys, run, "--backbone", tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    assert "holds no weights" in refused(capsys, run, "--backbone", tmp_path / "empty")
    assert "name a folder of paired" in refused(capsys, run, "--frames", tmp_path / "empty")
    assert "goes with --frames" in refused(capsys, run, "--unseen", aligned / "unseen")
    named = (run, "--frames", aligned / "frames")
    assert "--rig: says how frames are recorded" in refused(capsys, *named, "--rig", "front")
    assert "does not drive by the state" in refused(capsys, run, "--teacher", "idm")
    assert not run.exists()

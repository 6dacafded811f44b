"""Training from outside: begin, stop in every way there is, go on, refuse what does not fit."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch

from gigalane.policies.checkpoint import load_policy, load_training_state, training_states
from gigalane.render.camera import load_rig
from gigalane.train.coach import CoachRecipe

TINY = (
    *("--world.worlds", "4", "--world.agents", "6"),
    *("--train.rollout-steps", "8", "--train.policy.trunk", "32", "--train.ppo.minibatch", "64"),
    *("--train.filter.keep-minimum", "64", "--train.precision", "fp32", "--train.threads", "1"),
)
TIMED = ("samples_per_s", "elapsed_s", "seconds/collect", "seconds/learn")


def lines(run: Path) -> list[dict]:
    """What metrics.jsonl says, without how long it took."""
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{name: row[name] for name in row if name not in TIMED} for row in rows]


def weights(run: Path) -> torch.Tensor:
    policy = load_policy(run / "policy.safetensors")
    return torch.cat([parameter.flatten() for parameter in policy.parameters()])


def wait_for(condition, seconds=60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "never came true"
        time.sleep(0.01)


def iterations(run: Path) -> int:
    file = run / "metrics.jsonl"
    return file.read_bytes().count(b"\n") if file.exists() else 0


def signalled(number: signal.Signals, run: Path) -> threading.Thread:
    """Sends this process a signal once training, which catches it, is under way."""

    def send():
        wait_for(lambda: iterations(run) >= 2)
        os.kill(os.getpid(), number)

    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    return thread


def test_training_leaves_a_policy_its_figures_and_its_settings(gigalane, ring, folder):
    answer = gigalane("train", "run", "--map", ring, *TINY, "--train.samples", "600")
    assert answer.code == 0
    assert answer.err == ""
    assert answer.out.splitlines()[0].startswith("iteration 1 | samples ")
    assert answer.out.splitlines()[-1] == "run: policy.safetensors, metrics.jsonl"
    names = {path.name.split(".")[0] for path in (folder / "run").iterdir()}
    assert {"policy", "metrics", "settings", "worlds", "events"} < names
    last = lines(folder / "run")[-1]
    assert last["samples"] >= 600
    rates = ("reached_goal", "collided", "off_road", "ran_red")
    assert all(f"rate/{name}" in last for name in rates)
    assert "kept_fraction" in last
    assert any(name.startswith("reward/") for name in last)
    worlds = json.loads((folder / "run" / "worlds.json").read_text())
    assert worlds["maps"] == [str(ring)]
    assert worlds["world"]["agents"] == 6


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_run_goes_on_to_the_numbers_of_one_that_never_stopped(
    gigalane, ring, folder, number
):
    words = ("--map", ring, *TINY, "--train.samples", "4000")
    assert gigalane("train", "whole", *words).code == 0
    thread = signalled(number, folder / "halves")
    answer = gigalane("train", "halves", *words)
    thread.join()
    assert answer.code == 0
    assert 2 <= len(lines(folder / "halves")) < len(lines(folder / "whole"))
    assert len(training_states(folder / "halves")) == 1

    answer = gigalane("train", "halves", "--resume")  # settings and maps are the run's own
    assert answer.code == 0
    assert answer.err == ""
    assert lines(folder / "halves") == lines(folder / "whole")
    assert torch.equal(weights(folder / "halves"), weights(folder / "whole"))


def test_killed_run_loses_no_more_than_the_interval(gigalane, ring, folder):
    run = folder / "run"
    words = ("--map", ring, *TINY, "--train.samples", "100000", "--train.checkpoint-every-s", "0")
    command = [sys.executable, "-m", "gigalane.cli.main", "train", run, *words]
    process = subprocess.Popen(
        [str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        wait_for(lambda: iterations(run) >= 5)
    finally:
        process.kill()
        _, complaint = process.communicate()
    assert complaint == b""  # not a word of a missing GPU or driver either
    done = iterations(run)
    _, facts, _ = load_training_state(run)
    assert facts["iteration"] >= done - 1  # a state is saved after every iteration here
    assert load_policy(run / "policy.safetensors").settings.trunk == (32,)

    samples = str(facts["samples"] + 1)  # one more iteration
    assert gigalane("train", "run", "--resume", "--train.samples", samples).code == 0
    assert [line["iteration"] for line in lines(run)] == list(range(1, facts["iteration"] + 2))
    assert not [path for path in run.iterdir() if path.name.endswith(".part")]


def test_resumed_run_takes_no_other_settings(gigalane, refused, ring, policy, folder):
    words = ("--map", ring, *TINY, "--train.samples", "300")
    assert gigalane("train", "run", *words).code == 0
    before = {path.name: path.read_bytes() for path in (folder / "run").iterdir()}
    for other, part in (
        (("--world.agents", "5"), "another --world.agents; leave it out"),
        (("--world.spawn.truck-share", "0.3"), "another --world.spawn.truck-share"),
        (("--map", "town:1"), "another --map"),
        (("--train.discount", "0.9"), "discount"),
        (("--train.ppo.epochs", "7"), "epochs"),
        (("--train.policy.trunk", "16"), "trunk"),
    ):
        line = refused("train", "run", "--resume", *other)
        assert part in line
        assert "run: " in line
    assert "already holds a run; go on with --resume" in refused("train", "run", *words)
    assert {path.name: path.read_bytes() for path in (folder / "run").iterdir()} == before
    assert gigalane("train", "run", "--resume", "--train.samples", "700").code == 0
    assert lines(folder / "run")[-1]["samples"] >= 700


def test_run_that_cannot_be_resumed_is_refused(gigalane, refused, ring, folder):
    assert "nowhere: holds no run to go on with" in refused("train", "nowhere", "--resume")
    assert gigalane("train", "run", "--map", ring, *TINY, "--train.samples", "200").code == 0
    run = folder / "run"
    worlds = (run / "worlds.json").read_text()
    (run / "worlds.json").write_text(worlds[:100])
    assert "worlds.json: maps: cannot be read" in refused("train", "run", "--resume")
    (run / "worlds.json").write_text(worlds.replace('"episode_s"', '"episode_hours"'))
    assert "unknown setting 'episode_hours'" in refused("train", "run", "--resume")
    (run / "worlds.json").write_text(worlds)
    state = training_states(run)[0]
    state.write_bytes(state.read_bytes()[:-10])
    assert "no training state is whole" in refused("train", "run", "--resume")
    state.unlink()
    assert "holds no training state" in refused("train", "run", "--resume")


def test_run_that_fails_at_once_leaves_no_folder(gigalane, folder, ring, monkeypatch):
    def fails(*arguments, **settings):
        raise FloatingPointError("iteration 1: policy_loss is nan")

    monkeypatch.setattr("gigalane.train.selfplay.train", fails)
    answer = gigalane("train", "run", "--map", ring, *TINY)
    assert answer == type(answer)(1, "", "gigalane: iteration 1: policy_loss is nan\n")
    assert list(folder.iterdir()) == []


def test_a_coach_is_trained_resumed_and_measured_by_its_own_eyes(gigalane, refused, ring, folder):
    words = ("--eyes", "birdview", "--map", ring, "--train.coach.join", "32")
    small = (*TINY[:4], "--train.rollout-steps", "8", "--train.ppo.minibatch", "64")
    small += ("--train.threads", "1", "--train.samples", "100")
    answer = gigalane("train", "coach", *words, *small)
    assert (answer.code, answer.err) == (0, "")
    saved = json.loads((folder / "coach" / "settings.json").read_text())["train"]
    recipe = CoachRecipe.small().train  # holds where the words say nothing else
    assert saved["exploration"]["weight"] == recipe.exploration.weight > 0
    assert saved["ppo"]["entropy_weight"] == recipe.ppo.entropy_weight
    assert gigalane("train", "coach", "--resume", "--train.samples", "150").code == 0
    assert "another --eyes" in refused("train", "coach", "--resume", "--eyes", "entities")
    other = ("--birdview.pixels", "128")
    assert "another --birdview.pixels" in refused("train", "coach", "--resume", *other)
    file = folder / "coach" / "policy.safetensors"
    words = ("--map", ring, "--episodes", "4", "--seconds", "2", "--agents", "4", "--json")
    answer = gigalane("evaluate", file, *words)
    assert (answer.code, answer.err) == (0, "")
    assert json.loads(answer.out)["episodes"] >= 4


def test_a_coach_that_cannot_see_or_act_so_is_refused(refused, ring):
    words = ("train", "coach", "--eyes", "birdview", "--map", ring)
    assert "choose 64, 128, 192 or 256" in refused(*words, "--birdview.pixels", "65")
    assert "not in jerk12" in refused(*words, "--world.action", "jerk12")
    assert "a kernel of 4 on an image of 3" in refused(
        *words, *("--train.coach.convolutions", "8", "20", "20", "8", "4", "1")
    )
    words = ("train", "driver", "--map", ring, *TINY)
    line = refused(*words, "--train.exploration.weight", "0.1")
    assert "exploration: is for policies of Beta distributions" in line


def test_who_learns_from_pixels_keeps_its_cameras(gigalane, refused, folder):
    run, path = folder / "run", folder / "rig.json"
    load_rig("front").resized(24, 16).save(path)
    tiny = ("--world.worlds", "2", "--world.agents", "4", *TINY[4:], "--train.samples")
    camera = ("--eyes", "camera", "--rig", path, "--map", "town:1")
    assert gigalane("train", run, *camera, *tiny, "100").code == 0
    load_rig("front").resized(32, 16).save(path)
    assert "another --rig" in refused("train", run, "--resume", "--rig", path)
    path.unlink()
    assert gigalane("train", run, "--resume", "--train.samples", "200").code == 0
    assert load_policy(run / "policy.safetensors").layout.rig.size == (24, 16)

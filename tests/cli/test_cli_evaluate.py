import json

import pytest

from gigalane.evals.suites import SUITES
from gigalane.sim.recording import Recording

RATES = ("goal_rate", "collision_rate", "offroad_rate", "red_light_rate", "wrong_way_rate")
FEW = ("--agents", "6", "--episodes", "24", "--seconds", "4", "--dt", "0.25")


@pytest.mark.parametrize("driver", ["idm", "constant-velocity", "stationary"])
def test_scripted_drivers_are_evaluated_under_the_contracts_keys(gigalane, ring, driver):
    answer = gigalane("evaluate", driver, "--map", ring, *FEW, "--json")
    assert answer.code == 0
    assert answer.err == ""
    found = json.loads(answer.out)
    for name in (*RATES, "km_per_incident", "driving_score"):
        assert set(found[name]) == {"value", "low", "high"}
    for name in (*RATES, "driving_score"):
        assert 0 <= found[name]["low"] <= found[name]["value"] <= found[name]["high"] <= 1
    assert found["episodes"] >= 24
    assert found["seconds"] > 0
    assert found["settings"]["agents"] == 6
    assert found["settings"]["dt"] == 0.25
    assert found["policy"] == driver


def test_policy_file_is_evaluated_and_the_table_says_who_where_and_how(gigalane, ring, policy):
    answer = gigalane("evaluate", policy, "--map", ring, *FEW)
    assert answer.code == 0
    assert answer.err == ""
    header, row, settings = answer.out.splitlines()
    assert header.split()[0] == "driver"
    assert "collision" in header
    assert row.startswith(str(policy)[:20])
    assert settings.startswith("ring; 4 s episodes, dt 0.25 s, 6 agents, seed 0")


def test_without_a_shipped_policy_default_says_so(refused, ring, folder, monkeypatch):
    monkeypatch.setattr("gigalane.policies.shipped.files", lambda package: folder)
    for words in (("evaluate",), ("evaluate", "default")):
        line = refused(*words, "--map", ring)
        assert line == "gigalane: default: this installation holds no such policy; give a file"


def test_suites_are_listed_with_what_they_are(gigalane):
    answer = gigalane("evaluate", "--suite", "list")
    assert answer.code == 0
    assert [line.split()[0] for line in answer.out.splitlines()] == list(SUITES)
    assert all(suite.description in answer.out for suite in SUITES.values())


def test_density_counts_road_users_by_lane_kilometre(gigalane, ring, folder):
    words = ("--map", ring, "--episodes", "4", "--seconds", "1", "--record", "1", "-o", "found")
    assert gigalane("evaluate", "stationary", *words, "--density", "5").code == 0
    assert Recording.load(folder / "found" / "recording-0.npz").agents == 10  # 2.0 lane-km


def test_report_on_disk_is_what_was_printed_and_recordings_open(gigalane, ring, folder):
    words = ("evaluate", "idm", "--map", ring, *FEW, "--record", "2", "-o", "found")
    printed = json.loads(gigalane(*words, "--json").out)
    assert json.loads((folder / "found" / "report.json").read_text()) == printed
    names = sorted(path.name for path in (folder / "found").iterdir())
    assert names == ["recording-0.npz", "recording-1.npz", "report.json"]
    recording = Recording.load(folder / "found" / "recording-0.npz")
    assert recording.dt == 0.25
    assert recording.duration == pytest.approx(4.0)
    assert recording.alive.any()
    table = gigalane(*words)
    assert table.out.splitlines()[-1] == "found: report.json and 2 recordings"

    answer = gigalane("view", "found")
    assert answer.out == "found/replay.html\n"
    page = (folder / "found" / "replay.html").read_text()
    assert page.startswith("<!doctype html>")
    assert page.count("idm on ring, world") >= 2
    answer = gigalane("view", "found/recording-1.npz", "-o", "one.html")
    assert answer.out == "one.html\n"
    assert (folder / "one.html").stat().st_size < len(page)


def test_film_of_a_recording_is_an_mp4(gigalane, ring, folder, refused):
    pytest.importorskip("av")
    few = ("--agents", "3", "--episodes", "3", "--seconds", "0.5")
    gigalane("evaluate", "idm", "--map", ring, *few, "--record", "1", "-o", "found")
    answer = gigalane("view", "found", "-o", "drive.mp4", "--follow", "1")
    assert answer.code == 0
    assert answer.out == "drive.mp4\n"
    assert (folder / "drive.mp4").read_bytes()[4:8] == b"ftyp"
    assert "choose 0 to 2" in refused("view", "found", "-o", "more.mp4", "--follow", "3")
    assert "write a page (.html) or a film (.mp4)" in refused("view", "found", "-o", "drive.avi")


def test_interrupted_evaluation_stops_in_a_line_and_leaves_nothing(
    gigalane, ring, folder, monkeypatch
):
    def interrupt(*arguments, **settings):
        raise KeyboardInterrupt

    monkeypatch.setattr("gigalane.evals.evaluate.evaluate", interrupt)
    answer = gigalane("evaluate", "idm", "--map", ring, "-o", "found")
    assert answer == type(answer)(1, "", "gigalane: stopped\n")
    assert list(folder.iterdir()) == []


def test_numbers_beyond_all_bounds_end_in_a_line_and_a_recording_of_how(
    gigalane, ring, folder, monkeypatch
):
    from gigalane.sim.simulator import Simulator

    step = Simulator.step

    def broken(simulator, actions=None):
        step(simulator, actions)
        if simulator.scene.clock.numpy()[0] == 5:
            simulator.scene.reward.fill_(float("nan"))

    monkeypatch.setattr(Simulator, "step", broken)
    answer = gigalane("evaluate", "idm", "--map", ring, *FEW)
    assert answer.code == 1
    assert answer.out == ""
    assert answer.err.count("\n") == 1
    (file,) = folder.iterdir()
    assert f"look at them with gigalane view {file.name}" in answer.err
    assert gigalane("view", file.name).code == 0


def test_reader_that_has_seen_enough_is_no_error(folder, monkeypatch, capfd):
    import os
    import sys

    from gigalane.cli.main import main

    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        assert main(["evaluate", "--suite", "list"]) == 1
    assert capfd.readouterr().err == ""

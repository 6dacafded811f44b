"""gigalane view --camera: what road users saw, in the page and in the film."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest

from gigalane import Simulator, SimulatorSettings
from gigalane.render.camera import load_rig
from gigalane.sim.recorder import Recorder
from gigalane.sim.recording import Recording
from gigalane.sim.settings import TrafficSettings
from gigalane.viewer import eyes as eyes_module
from reference import maps


@pytest.fixture(scope="session")
def driven(tmp_path_factory):
    """Four scripted road users on the ring for two seconds."""
    ring = maps.ring()
    settings = SimulatorSettings(
        worlds=1, agents=4, time_steps=(0.1,), traffic=TrafficSettings(scripted=1.0)
    )
    simulator = Simulator(ring, settings, seed=2)
    recorder = Recorder(simulator, ring, title="four on a ring")
    recorder.take()
    for _ in range(20):
        simulator.step(np.zeros((1, 4), np.int64))
        recorder.take()
    path = tmp_path_factory.mktemp("driven") / "recording-0.npz"
    recorder.recording().save(path)
    return path


@pytest.fixture
def found(driven, folder):
    """The recording in a folder `found`."""
    (folder / "found").mkdir()
    (folder / "found" / "recording-0.npz").write_bytes(driven.read_bytes())
    return folder / "found"


def seen_in(page):
    """What the page holds of eyes, one entry a recording."""
    data = re.search(r'<script id="data" type="application/json">(.*?)</script>', page, re.DOTALL)
    return [one["eyes"] for one in json.loads(data[1])["recordings"]]


def test_a_page_shows_what_the_three_that_drive_farthest_see(gigalane, found):
    answer = gigalane("view", "found", "--camera")
    assert (answer.code, answer.out, answer.err) == (0, "found/replay.html\n", "")
    (eyes,) = seen_in((found / "replay.html").read_text())
    recording = Recording.load(found / "recording-0.npz")
    driven = np.linalg.norm(np.diff(recording.position_map, axis=0), axis=-1).sum(axis=0)
    assert [film["agent"] for film in eyes["films"]] == list(np.argsort(-driven)[:3])
    assert [len(film["lengths"]) for film in eyes["films"]] == [21] * 3
    assert eyes["rig"] == "front"


@pytest.mark.parametrize(
    "words",
    [
        ("found", "--camera", "six", "--agent", "2", "--size", "48x27", "--seconds", "1"),
        ("--camera", "six", "found", "--agent", "2", "--size", "48x27", "--seconds", "1"),
        ("--agent", "2", "--size=48x27", "--camera=six", "--seconds=1", "found"),
    ],
)
def test_rig_road_users_size_and_time_are_as_asked_in_any_order(gigalane, found, words):
    assert gigalane("view", *words).code == 0
    (eyes,) = seen_in((found / "replay.html").read_text())
    assert eyes["tile"] == [48, 27]
    assert len(eyes["cameras"]) == 6
    assert [film["agent"] for film in eyes["films"]] == [2]
    assert len(eyes["films"][0]["lengths"]) == 11


def test_camera_before_the_run_means_the_usual_rig(gigalane, found):
    assert gigalane("view", "--camera", "found", "--seconds", "0.5").code == 0
    assert seen_in((found / "replay.html").read_text())[0]["rig"] == "front"


def test_a_rig_of_your_own_and_varied_looks(gigalane, found, folder):
    replace(load_rig("front"), name="mine").save(folder / "mine.json")
    words = ("view", "found", "--camera", "mine.json", "--agent", "1", "--seconds", "0.2")
    assert gigalane(*words).code == 0
    (plain,) = seen_in((found / "replay.html").read_text())
    assert gigalane(*words, "--appearance", "varied").code == 0
    (varied,) = seen_in((found / "replay.html").read_text())
    assert plain["rig"] == varied["rig"] == "mine"
    assert plain["films"][0]["data"] != varied["films"][0]["data"]


def test_several_recordings_have_one_road_user_each(gigalane, found):
    (found / "recording-1.npz").write_bytes((found / "recording-0.npz").read_bytes())
    assert gigalane("view", "found", "--camera", "--size", "48x32").code == 0
    eyes = seen_in((found / "replay.html").read_text())
    assert [len(one["films"]) for one in eyes] == [1, 1]


def test_pictures_left_out_are_told(gigalane, found, monkeypatch):
    monkeypatch.setattr(eyes_module, "MOST_BYTES", 20_000)
    answer = gigalane("view", "found", "--camera", "--agent", "1")
    assert answer.code == 0
    assert re.fullmatch(
        r"gigalane: [\d.]+ pictures a second instead of 10, to keep the page small; .*\n",
        answer.err,
    )
    (eyes,) = seen_in((found / "replay.html").read_text())
    assert sum(eyes["films"][0]["lengths"]) <= 22_000


def test_a_film_shows_map_and_camera_side_by_side(gigalane, found, folder):
    av = pytest.importorskip("av")
    words = ("view", "found", "-o", "eyes.mp4", "--seconds", "0.2")
    assert gigalane(*words, "--camera", "--agent", "1").code == 0
    with av.open(str(folder / "eyes.mp4")) as film:
        frames = [f.to_ndarray(format="rgb24") for f in film.decode(film.streams.video[0])]
    assert len(frames) == 7
    assert frames[0].shape == (720, 1280, 3)
    sky, land = frames[0][20, 300].astype(int), frames[0][700, 1270].astype(int)
    assert sky[2] > 150  # the camera's sky
    assert land.max() < 80  # the dark map
    assert gigalane(*words).code == 0  # without cameras, as short


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (("--camera", "nowhere"), "nowhere: No such file or directory; give a rig file or one of"),
        (("--camera", "none.json"), "it has no camera; add at least one"),
        (("--camera", "--agent", "9"), "agent 9: there is no such road user; choose 0 to 3"),
        (("--camera", "--agent", "1", "1"), "--agent names a road user twice"),
        (("--camera", "--agent", "x"), "--agent"),
        (("--camera", "--size", "640"), "--size is '640'; give WIDTHxHEIGHT, such as 96x64"),
        (("--camera", "--size", "4x4"), "each 8 to 2048 pixels"),
        (("--camera", "wide.json", "--size", "2048x64"), "give a smaller --size"),
        (("--camera", "--seconds", "0"), "--seconds is 0.0; give more than 0"),
        (("--camera", "--appearance", "dark"), "--appearance"),
        (("--agent", "1"), "--agent is about cameras; add --camera"),
        (("--size", "96x64"), "--size is about cameras; add --camera"),
        (("--appearance", "varied"), "--appearance is about cameras; add --camera"),
        (("--seconds", "3"), "--seconds is about cameras; add --camera"),
        (("--camera", "-o", "f.mp4", "--agent", "1", "2"), "one road user sees; name one"),
        (("--camera", "-o", "f.mp4", "--follow", "9"), "agent 9: there is no such road user"),
    ],
)
def test_what_cannot_be_is_refused_in_a_line(refused, found, folder, words, part):
    (folder / "none.json").write_text('{"format": "gigalane rig 1", "name": "n", "cameras": []}')
    front = load_rig("front").cameras[0]
    nine = tuple(replace(front, name=str(k)) for k in range(9))
    replace(load_rig("front"), cameras=nine).save(folder / "wide.json")
    assert part in refused("view", "found", *words)


def test_a_recording_of_nobody_has_nothing_to_look_from(refused, found):
    recording = Recording.load(found / "recording-0.npz")
    replace(recording, alive=np.zeros_like(recording.alive)).save(found / "recording-0.npz")
    assert "holds no road user to put a camera on" in refused("view", "found", "--camera")

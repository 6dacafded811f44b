"""Films of recordings."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest
import synthetic_world

from gigalane.render.camera import load_rig
from gigalane.sim.recording import RecordingError
from gigalane.viewer.film import film_frames
from gigalane.viewer.film_camera import FilmCamera
from gigalane.viewer.palette import DARK, mixed
from gigalane.viewer.recorded_eyes import RecordedEyes
from gigalane.viewer.video import write_video


@pytest.fixture(scope="module")
def short(drive):
    """The first second of the drive."""
    cut = {
        name: getattr(drive, name)[:11]
        for name in drive.__dataclass_fields__
        if isinstance(getattr(drive, name), np.ndarray)
    }
    return replace(drive, **cut)


def color(text):
    return [int(text[k : k + 2], 16) for k in (1, 3, 5)]


def test_a_film_lasts_as_long_as_the_recording(short, tmp_path):
    av = pytest.importorskip("av")
    write_video(short, tmp_path / "film.mp4", follow=0, size=(320, 180), fps=10)
    with av.open(str(tmp_path / "film.mp4")) as film:
        stream = film.streams.video[0]
        frames = [frame.to_ndarray(format="rgb24") for frame in film.decode(stream)]
        assert (stream.width, stream.height, float(stream.average_rate)) == (320, 180, 10.0)
    assert len(frames) == 11
    assert np.abs(frames[0].astype(int) - frames[-1]).max() > 50
    assert [p.name for p in tmp_path.iterdir()] == ["film.mp4"]


def test_the_followed_road_user_is_in_the_middle(short):
    body = DARK.driver_colors[short.driver[0, 0]]
    for frame in film_frames(short, 0, (480, 480), 4):
        middle = np.asarray(frame)[238:243, 238:243].reshape(-1, 3)
        roof, paint = color(mixed(body, "#ffffff", 0.26)), color(body)
        distance = min(np.abs(np.median(middle, axis=0) - c).max() for c in (roof, paint))
        assert distance <= 3


def test_the_whole_map_stays_still_when_nobody_is_followed(short):
    frames = [np.asarray(f) for f in film_frames(short, None, (320, 320), 2)]
    corner = np.array([f[:60, :60] for f in frames])
    assert np.all(corner == color(DARK.map_colors["land"]))
    middle = frames[0][160, 160].tolist()
    assert middle != color(DARK.map_colors["land"])


def test_a_car_under_a_bridge_is_hidden_and_one_on_it_is_not():
    road_map = synthetic_world.bridge(height=6.0)
    world = synthetic_world.traffic(road_map, agents=1, seconds=0.2)
    for height, is_seen in ((0.75, False), (6.75, True)):
        position = np.broadcast_to([0.0, 0.0, height], world.position_map.shape)
        heading = np.full(world.heading.shape, np.pi / 2)
        there = replace(world, position_map=position, heading=heading)
        frame = np.asarray(next(film_frames(there, None, (640, 640), 5))).astype(int)
        body = color(DARK.driver_colors[world.driver[0, 0]])
        near = frame[300:340, 300:340].reshape(-1, 3)
        assert (np.abs(near - body).max(axis=1) < 12).any() == is_seen


@pytest.mark.parametrize(
    ("options", "word"),
    [({"follow": 99}, "slot 99"), ({"size": (321, 180)}, "even"), ({"fps": 0}, "pictures")],
)
def test_films_that_cannot_be_are_refused(short, tmp_path, options, word):
    with pytest.raises(RecordingError, match=word):
        write_video(short, tmp_path / "film.mp4", **options)


def test_without_pyav_the_message_names_the_extra(short, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(RecordingError, match=r"gigalane\[video\]"):
        write_video(short, tmp_path / "film.mp4")


@pytest.fixture(scope="module")
def agent(short):
    return int(np.flatnonzero(short.alive.all(axis=0))[0])


@pytest.mark.parametrize("rig", ["front", "four", "six", "surround"])
def test_camera_pictures_and_map_share_a_film(short, agent, rig):
    size = (640, 360)
    camera = FilmCamera(short, load_rig(rig), agent, size)
    frame = np.asarray(next(film_frames(short, agent, size, 5, camera=camera))).astype(int)
    assert frame.shape == (360, 640, 3)
    width, height = camera.map_size
    across = width == 640
    assert (height < 360) == across
    assert across == (rig != "front")
    left, top = (0, 0) if across else (640 - width, 0)
    body = color(DARK.driver_colors[short.driver[0, agent]])
    middle = frame[top + height // 2 - 2 :, left + width // 2 - 2 :][:5, :5].reshape(-1, 3)
    paints = (color(mixed(DARK.driver_colors[short.driver[0, agent]], "#ffffff", 0.26)), body)
    assert min(np.abs(np.median(middle, axis=0) - c).max() for c in paints) <= 3
    sky = frame[height + 12, 300] if across else frame[12, 60]
    assert sky[2] > 120  # blue above the horizon, in the cameras' part


def test_a_film_shows_the_very_pictures_of_a_rig_whose_size_is_kept(short, agent):
    rig = load_rig("front")
    camera = FilmCamera(short, rig, agent, (640, 360), keep_size=True)
    frame = np.asarray(next(film_frames(short, agent, (640, 360), 5, camera=camera)))
    seen = RecordedEyes(short, rig, [agent]).at(0.0)[0, 0]
    width, height = 640 - camera.map_size[0], camera.caption_box[1]
    columns = ((np.arange(width) + 0.5) * rig.size[0] / width).astype(int)
    rows = ((np.arange(height) + 0.5) * rig.size[1] / height).astype(int)
    assert (frame[:height, :width] == seen[rows][:, columns]).mean() > 0.99


def test_seconds_shorten_a_film(short):
    assert len(list(film_frames(short, None, (64, 64), 10, seconds=0.5))) == 6

"""Camera pictures as a page holds them: their order, their packing, who is looked from."""

from __future__ import annotations

import io
import math
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from gigalane.core.settings import SettingsError
from gigalane.render.camera import Camera, Rig, load_rig, looking
from gigalane.viewer.eyes import (
    busiest_agents,
    check_mosaic,
    page_rig,
    take_pictures,
)
from gigalane.viewer.mosaic import GAP, Mosaic, span_of, yaw_of
from gigalane.viewer.recorded_eyes import RecordedEyes


def unpacked(picture):
    return np.asarray(Image.open(io.BytesIO(picture)).convert("RGB"))


def camera(yaw, name="one", model="pinhole", width=80, focal=40.0):
    return Camera(name, width, 40, focal, focal, width / 2, 20.0, (0.0, 0.0, 1.5),
                  looking(math.radians(yaw)), model=model)  # fmt: skip


@pytest.fixture(scope="module")
def eyes(drive):
    return RecordedEyes(drive, load_rig("six").resized(96, 54), busiest_agents(drive, 2))


@pytest.fixture(scope="module")
def taken(eyes):
    return take_pictures(eyes)


def test_what_lies_left_stands_left_ahead_and_behind():
    yaws = (0, -55, -110, 180, 110, 55)
    rig = Rig("ring", tuple(camera(yaw, str(yaw)) for yaw in yaws))
    rows = Mosaic.of(rig).rows
    assert [[yaws[k] for k in row] for row in rows] == [[55, 0, -55], [110, 180, -110]]
    four = Rig("four", tuple(camera(yaw, str(yaw)) for yaw in (0, 55, -55, 180)))
    assert Mosaic.of(four).rows == ((1, 0, 2, 3),)


def test_each_picture_of_a_mosaic_lies_where_it_is_said_to():
    rig = load_rig("six")
    mosaic = Mosaic.of(rig)
    pictures = np.random.default_rng(0).integers(20, 255, (6, 54, 96, 3), np.uint8)
    whole = mosaic.joined(pictures)
    assert whole.shape == (2 * 54 + GAP, 3 * 96 + 2 * GAP, 3)
    for k, (left, top) in mosaic.places().items():
        assert (whole[top : top + 54, left : left + 96] == pictures[k]).all()
    covered = sum(mosaic.tile[0] * mosaic.tile[1] for _ in mosaic.places())
    assert (whole[..., 0] >= 20).sum() == covered


@pytest.mark.parametrize("room", [(700, 500), (200, 90), (4000, 300)])
@pytest.mark.parametrize("name", ["front", "four", "six", "surround"])
def test_a_fitted_mosaic_fills_its_room_one_way_and_keeps_its_shape(name, room):
    mosaic = Mosaic.of(load_rig(name))
    tile = mosaic.fitting(*room)
    width, height = Mosaic(mosaic.rows, tile).size
    assert width <= room[0]
    assert height <= room[1]
    assert width > room[0] - 2 * mosaic.columns or height > room[1] - 2 * len(mosaic.rows)
    assert tile[0] / tile[1] == pytest.approx(mosaic.tile[0] / mosaic.tile[1], rel=0.05)


def test_a_camera_on_the_map_looks_where_it_looks():
    assert math.degrees(yaw_of(camera(55))) == pytest.approx(55)
    assert math.degrees(span_of(camera(0))) == pytest.approx(90)  # 40 pixels aside, 40 ahead
    assert span_of(camera(0, model="fisheye")) == pytest.approx(2.0)
    assert span_of(load_rig("surround").cameras[0]) == pytest.approx(math.tau, rel=1e-3)


def test_a_page_holds_exactly_what_was_drawn(taken, eyes, drive):
    assert taken.rate == pytest.approx(10.0)
    for row, agent in enumerate(eyes.agents):
        assert len(taken.films[agent]) == drive.steps
        for step in (0, 17, drive.steps - 1):
            expected = eyes.at(step * drive.dt)[row]
            picture = taken.films[agent][step]
            if expected.any():
                assert (unpacked(picture) == taken.mosaic.joined(expected)).all()
            else:
                assert picture == b""


def test_where_room_is_short_fewer_pictures_are_taken_and_they_span_the_same_time(taken, eyes):
    fewer = take_pictures(eyes, most_bytes=taken.bytes // 3)
    assert fewer.bytes <= 1.1 * (taken.bytes // 3)
    assert 2.0 < fewer.rate < 4.5
    agent = eyes.agents[0]
    last = (len(fewer.films[agent]) - 1) / fewer.rate
    assert last > eyes.recording.duration - 1.0 / fewer.rate - 1e-6
    half = unpacked(fewer.films[agent][8])
    expected = eyes.at(8 / fewer.rate)[0]
    assert (half == taken.mosaic.joined(expected)).all()


def test_seconds_end_the_pictures_early(eyes):
    found = take_pictures(eyes, seconds=1.5)
    assert {len(film) for film in found.films.values()} == {16}


def test_the_busiest_drive_farthest_and_vehicles_go_before_others(drive):
    moved = np.linalg.norm(np.diff(drive.position_map, axis=0), axis=-1)
    same = (np.diff(drive.episode, axis=0) == 0) & drive.alive[1:] & drive.alive[:-1]
    driven = (moved * same).sum(axis=0)
    is_vehicle = (drive.kind[0] <= 1) & drive.alive[0]
    first = busiest_agents(drive, 1)[0]
    assert driven[first] == pytest.approx(driven[is_vehicle].max())
    order = busiest_agents(drive, drive.agents)
    assert sorted(order) == list(range(drive.agents))
    walkers = replace(drive, kind=np.full_like(drive.kind, 3))
    assert busiest_agents(walkers, 1)[0] == int(driven.argmax())
    assert busiest_agents(replace(drive, alive=np.zeros_like(drive.alive)), 3) == []


def test_a_page_gets_pictures_of_the_shape_of_the_rig():
    for name in ("front", "six", "surround"):
        rig = load_rig(name)
        larger = page_rig(rig)
        assert larger.size[0] > rig.size[0]
        assert larger.size[0] / larger.size[1] == pytest.approx(rig.size[0] / rig.size[1], rel=0.02)


def test_a_mosaic_too_wide_for_a_picture_is_refused():
    with pytest.raises(SettingsError, match="smaller --size"):
        check_mosaic(Rig("wide", tuple(camera(0, str(k)).resized(2048, 64) for k in range(9))))

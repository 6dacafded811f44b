"""The replay file: what it holds, without a browser."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import math
import re
from dataclasses import replace

import numpy as np
import pytest
import synthetic_world

from gigalane.sim.recording import Recording, RecordingError, from_delta_planes
from gigalane.viewer.replay import MISSING, write_replay

SENTENCE = "</script><script>document.title='owned'</script><!--"


def read_page(path):
    """The page's text and its data, unpacked without the page's own code."""
    page = path.read_text(encoding="utf-8")
    data = page.split('<script id="data" type="application/json">', 1)[1].split("</script>", 1)[0]
    return page, json.loads(data)


def unpacked(stream):
    octets = np.frombuffer(gzip.decompress(base64.b64decode(stream["data"])), np.uint8)
    arrays, begin = {}, 0
    for entry in stream["arrays"]:
        count = math.prod(entry["shape"]) * entry["bytes"]
        planes = octets[begin : begin + count].reshape(entry["bytes"], *entry["shape"])
        dtype = np.float32 if entry["step"] == 0 else f"<i{entry['bytes']}"
        arrays[entry["name"]] = from_delta_planes(planes, dtype) * (entry["step"] or 1)
        begin += count
    assert begin == len(octets)
    return arrays


@pytest.fixture(scope="module")
def page(drive, tmp_path_factory):
    path = tmp_path_factory.mktemp("replay") / "replay.html"
    write_replay([drive], path)
    return read_page(path)


def test_the_page_holds_positions_to_the_centimetre(page, drive):
    arrays = unpacked(page[1]["recordings"][0])
    shown = drive.alive
    assert np.array_equal(arrays["alive"].astype(bool), shown)
    for name, original, error in (
        ("position", drive.position_map, 0.00501),
        ("heading", drive.heading, 0.000501),
        ("speed", drive.speed, 0.00501),
        ("acceleration", drive.acceleration, 0.0101),
        ("steering", drive.steering, 0.000501),
        ("size", drive.size, 0.00501),
    ):
        assert np.abs(arrays[name] - original)[shown].max() <= error, name
    goals, known = drive.waypoints_map[shown], np.isfinite(drive.waypoints_map[shown])
    assert np.abs(arrays["waypoints"][shown] - goals)[known].max() <= 0.00502
    assert np.all(arrays["waypoints"][shown][~known] == MISSING * 0.01)
    assert np.array_equal(arrays["events"][shown], drive.events[shown])
    assert np.array_equal(arrays["lights"], drive.light_state)


def test_rewards_keep_their_sums(page, drive):
    arrays = unpacked(page[1]["recordings"][0])
    original = np.where(drive.alive[..., None], drive.reward_terms, 0)
    assert np.allclose(arrays["rewards"].sum(axis=0), original.sum(axis=0), rtol=3e-4, atol=1e-6)
    assert np.allclose(arrays["persona"][drive.alive], drive.persona[drive.alive], rtol=2e-4)


def test_the_page_knows_the_lane_under_each_road_user(page, drive):
    lanes = page[1]["maps"][0]["lanes"]
    lane = unpacked(page[1]["recordings"][0])["lane"]
    on_lane = lane[drive.alive]
    assert (on_lane >= 0).mean() > 0.97  # walks end a step past the end of the road
    assert {lanes["limit"][int(k)] for k in on_lane if k >= 0} == {13.9}


def test_the_page_loads_nothing_and_runs_only_its_own_script(page):
    text, _ = page
    assert not re.search(r"(?:src|href)\s*=|@import|url\(|fetch\(|XMLHttpRequest", text)
    assert "http://" not in text and "https://" not in text
    script = text.rsplit("<script>", 1)[1].split("</script>", 1)[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"default-src 'none'; script-src 'sha256-{digest}'" in text


def test_hostile_text_stays_inside_the_data(drive, tmp_path):
    marks = "DATA SCRIPT-HASH /* SCRIPT */ /* STYLE */"
    hostile = replace(
        drive, title=SENTENCE + marks, settings={SENTENCE: [SENTENCE]},
        event_names=(SENTENCE, *drive.event_names[1:]),
        road_map=replace(drive.road_map, name=SENTENCE),
    )  # fmt: skip
    write_replay([hostile], tmp_path / "replay.html")
    text, data = read_page(tmp_path / "replay.html")
    assert data["recordings"][0]["title"] == SENTENCE + marks
    assert text.count("<script") == 2 and text.count("</script>") == 2
    assert "<!--" not in text


def test_worlds_on_equal_maps_share_one(drive, tmp_path):
    drive.save(tmp_path / "run.npz")
    again = [Recording.load(tmp_path / "run.npz") for _ in range(2)]
    other = synthetic_world.traffic(synthetic_world.crossroads("Other"), agents=2, seconds=1.0)
    write_replay([*again, other, drive], tmp_path / "replay.html")
    _, data = read_page(tmp_path / "replay.html")
    assert [one["map"] for one in data["recordings"]] == [0, 0, 1, 0]
    assert [one["name"] for one in data["maps"]] == ["Crossroads", "Other"]


def test_states_that_are_not_numbers_are_left_out(drive, tmp_path):
    broken = replace(drive, position_map=drive.position_map.copy(), speed=drive.speed.copy())
    broken.position_map[10:, 0] = np.nan
    broken.speed[10:, 1] = np.inf
    write_replay([broken], tmp_path / "replay.html")
    arrays = unpacked(read_page(tmp_path / "replay.html")[1]["recordings"][0])
    assert not arrays["alive"][10:, :2].any()
    assert np.abs(arrays["position"]).max() < 1000


def test_a_minute_of_sixty_four_stays_small(crossroads, tmp_path):
    # One second repeated with noise of 5 cm: traffic that compresses worse than any real one.
    short = synthetic_world.traffic(crossroads, agents=16, seconds=1.0)
    fields = {}
    for name in short.__dataclass_fields__:
        array = getattr(short, name)
        if isinstance(array, np.ndarray) and name != "light_state":
            fields[name] = np.tile(array, (55, 4) + (1,) * (array.ndim - 2))[:601]
    fields["light_state"] = np.tile(short.light_state, (55, 1))[:601]
    noise = np.random.default_rng(0).normal(scale=0.05, size=fields["position_map"].shape)
    fields["position_map"] = fields["position_map"] + noise
    write_replay([replace(short, **fields)], tmp_path / "replay.html")
    assert (tmp_path / "replay.html").stat().st_size < 3_000_000


def test_no_recording_is_refused_and_nothing_is_written(tmp_path):
    with pytest.raises(RecordingError, match="none to show"):
        write_replay([], tmp_path / "replay.html")
    assert not list(tmp_path.iterdir())

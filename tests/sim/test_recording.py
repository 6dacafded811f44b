"""Recordings: what goes in comes out, and no file can do harm."""

from __future__ import annotations

import dataclasses
import io
import json
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from gigalane.maps.road import Lane, LaneType, RoadMap, StopLine, StopRule
from gigalane.maps.store import load_road_map
from gigalane.sim.recording import Recording, RecordingError, delta_planes, from_delta_planes

ARRAYS = tuple(
    name
    for name, field in Recording.__dataclass_fields__.items()
    if str(field.type).startswith("NDArray")
)


def small_map():
    points = np.array([[0.0, 0.0, 0.0], [50.0, 0.0, 1.0]])
    side = np.array([0.0, 1.75, 0.0])
    lane = Lane("a", LaneType.DRIVING, points, points + side, points - side, speed_limit=13.9)
    line = StopLine("s", StopRule.LIGHT, np.stack([points[1] + side, points[1] - side]), ("a",))
    return RoadMap("Street", (lane,), stop_lines=(line,))


def make(steps=7, agents=3, waypoints=2, seed=0, **changes):
    random = np.random.default_rng(seed)
    pair, agent = (steps, agents), np.arange(agents)
    goals = random.normal(size=(*pair, waypoints, 2))
    goals[0] = np.nan
    parts = {
        "road_map": small_map(),
        "dt": 0.1,
        "position_map": random.normal(size=(*pair, 3)) * 1000,
        "heading": random.uniform(-9, 9, pair),
        "speed": random.normal(size=pair),
        "acceleration": random.normal(size=(*pair, 2)),
        "steering": random.normal(size=pair),
        "alive": random.uniform(size=pair) < 0.8,
        "episode": random.integers(0, 9, pair),
        "size": np.broadcast_to(1.0 + agent[:, None], (*pair, 3)),
        "kind": np.broadcast_to(agent % 2, pair),
        "driver": np.zeros(pair),
        "events": random.integers(0, 4, pair),
        "reward_terms": random.normal(size=(*pair, 3)),
        "persona": random.normal(size=(*pair, 1)),
        "waypoints_map": goals,
        "light_state": random.integers(0, 4, (steps, 1)),
        "kind_names": ("car", "truck"),
        "driver_names": ("policy",),
        "event_names": ("collided", "reached_goal"),
        "reward_names": ("progress", "comfort", "goal"),
        "persona_names": ("patience",),
        "title": "Straße </script>",
        "settings": {"dt": 0.1, "nested": {"names": ["a", None, True]}},
    }
    return Recording(**(parts | changes))


def assert_same(one, other):
    for name in ARRAYS:
        a, b = getattr(one, name), getattr(other, name)
        assert a.dtype == b.dtype and a.shape == b.shape, name
        assert a.tobytes() == b.tobytes(), name
    for name in ("dt", "title", "settings", "kind_names", "driver_names", "event_names"):
        assert getattr(one, name) == getattr(other, name)
    assert one.reward_names == other.reward_names
    assert one.persona_names == other.persona_names


def test_a_saved_recording_comes_back_bit_by_bit(tmp_path):
    recording = make()
    recording.save(tmp_path / "run.npz")
    back = Recording.load(tmp_path / "run.npz")
    assert_same(recording, back)
    lane, same = recording.road_map.lanes[0], back.road_map.lanes[0]
    assert np.array_equal(lane.left_boundary, same.left_boundary)
    assert back.road_map.stop_lines[0].id == "s"


@pytest.mark.parametrize("sizes", [(1, 1, 0), (1, 0, 0), (2, 1, 5)])
def test_the_smallest_worlds_come_back(tmp_path, sizes):
    recording = make(*sizes)
    recording.save(tmp_path / "run.npz")
    assert_same(recording, Recording.load(tmp_path / "run.npz"))


def test_a_state_that_is_not_a_number_is_kept_for_the_error_report(tmp_path):
    recording = make()
    recording.position_map[3, 1] = [np.nan, np.inf, -0.0]
    recording.save(tmp_path / "run.npz")
    assert_same(recording, Recording.load(tmp_path / "run.npz"))


def test_equal_recordings_make_equal_files(tmp_path):
    make().save(tmp_path / "a.npz")
    make().save(tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_a_recording_is_also_a_stored_map(tmp_path):
    make().save(tmp_path / "run.npz")
    assert load_road_map(tmp_path / "run.npz").name == "Street"


def test_a_slow_drive_takes_a_quarter_of_its_raw_size(tmp_path):
    steps = np.arange(600)[:, None]
    position = np.stack([0.5 * steps, steps * 0.01, 0 * steps], axis=-1) + np.zeros((1, 20, 3))
    zero = np.zeros((600, 20))
    recording = make(600, 20, position_map=position, heading=zero, speed=zero + 5, steering=zero,
                     acceleration=np.zeros((600, 20, 2)), events=zero, alive=zero == 0,
                     reward_terms=np.zeros((600, 20, 3)), persona=np.ones((600, 20, 1)),
                     waypoints_map=np.ones((600, 20, 2, 2)), episode=zero)  # fmt: skip
    recording.save(tmp_path / "run.npz")
    raw = sum(getattr(recording, name).nbytes for name in ARRAYS)
    assert (tmp_path / "run.npz").stat().st_size < raw / 4


def test_a_failed_save_leaves_the_old_file_and_nothing_else(tmp_path):
    make().save(tmp_path / "run.npz")
    before = (tmp_path / "run.npz").read_bytes()
    for settings_ in ({"x": float("nan")}, {"x": object()}):
        with pytest.raises(RecordingError, match="settings"):
            make(settings=settings_).save(tmp_path / "run.npz")
    assert (tmp_path / "run.npz").read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["run.npz"]


def test_events_are_found_by_name():
    events = np.zeros((7, 3), int)
    events[2, 1], events[5, 0] = 0b10, 0b11
    recording = make(events=events)
    assert np.argwhere(recording.happened("reached_goal")).tolist() == [[2, 1], [5, 0]]
    assert np.argwhere(recording.happened("collided")).tolist() == [[5, 0]]
    with pytest.raises(RecordingError, match="collided"):
        recording.happened("flew")


def test_duration_runs_from_the_first_moment_to_the_last():
    assert make(steps=11).duration == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"heading": np.zeros((7, 2))}, "heading"),
        ({"position_map": np.zeros((0, 3, 3))}, "position_map"),
        ({"light_state": np.zeros((7, 2))}, "light_state"),
        ({"light_state": np.full((7, 1), 4)}, "light_state"),
        ({"reward_names": ("one",)}, "reward_terms"),
        ({"events": np.full((7, 3), 4)}, "events"),
        ({"kind": np.full((7, 3), 2)}, "kind"),
        ({"driver_names": ()}, "driver"),
        ({"dt": 0.0}, "dt"),
        ({"dt": float("nan")}, "dt"),
        ({"waypoints_map": np.zeros((7, 3, 2))}, "waypoints_map"),
    ],
)
def test_parts_that_do_not_fit_are_named(change, place):
    with pytest.raises(RecordingError) as caught:
        make(**change)
    assert caught.value.place == place
    assert "\n" not in str(caught.value)


@settings(max_examples=40, deadline=None)
@given(
    hnp.arrays(
        st.sampled_from([np.float32, np.int32, np.uint32, np.uint8, np.bool_, np.float64]),
        hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=4),
    )
)
def test_byte_planes_lose_nothing(array):
    planes = delta_planes(array)
    assert planes.shape == (array.dtype.itemsize, *array.shape)
    assert from_delta_planes(planes, array.dtype).tobytes() == array.tobytes()


def rewritten(data, change):
    """The file with its entries (name -> bytes) changed."""
    entries = {}
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    change(entries)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return out.getvalue()


def npy(array, **options):
    out = io.BytesIO()
    np.lib.format.write_array(out, array, **options)
    return out.getvalue()


def header(**changes):
    def change(entries):
        text = np.lib.format.read_array(io.BytesIO(entries["header.npy"])).tobytes()
        fields = json.loads(text) | changes
        data = json.dumps(fields).encode()
        entries["header.npy"] = npy(np.frombuffer(data, np.uint8))

    return change


HOSTILE = {
    "an array is missing": lambda e: e.pop("heading.npy"),
    "the header is missing": lambda e: e.pop("header.npy"),
    "the map is missing": lambda e: [e.pop(n) for n in list(e) if n.startswith("road_map_")],
    "an array holds objects": lambda e: e.update(
        {"heading.npy": npy(np.array([{}], object), allow_pickle=True)}
    ),
    "an array has another type": lambda e: e.update({"heading.npy": npy(np.zeros((7, 3)))}),
    "an array has another shape": lambda e: e.update(
        {"heading.npy": npy(np.zeros((4, 7, 4), np.uint8))}
    ),
    "an array is a number": lambda e: e.update({"heading.npy": npy(np.uint8(1))}),
    "an array claims to be huge": lambda e: e.update(
        {
            "heading.npy": npy(np.zeros((4, 7, 3), np.uint8)).replace(
                b"(4, 7, 3)", b"(4, 7, 3000000)"
            )
        }
    ),
    "the header is not JSON": lambda e: e.update(
        {"header.npy": npy(np.frombuffer(b"[" * 90000, np.uint8))}
    ),
    "another format": header(format="other"),
    "a later version": header(version=99),
    "names are no list": header(kind_names="car"),
    "the title is a number": header(title=3),
    "dt is a truth value": header(dt=True),
    "dt is infinite": header(dt=float("inf")),
    "too few names": header(driver_names=[]),
}


@pytest.mark.parametrize("change", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_file_that_was_tampered_with_gives_one_line(tmp_path, change):
    path = tmp_path / "run.npz"
    make().save(path)
    path.write_bytes(rewritten(path.read_bytes(), change))
    with pytest.raises(RecordingError) as caught:
        Recording.load(path)
    assert caught.value.file == str(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"PK", b"<html>", b"\x89PNG\r\n\x1a\n", bytes(1000)])
def test_a_foreign_file_gives_one_line(tmp_path, content):
    path = tmp_path / "run.npz"
    path.write_bytes(content)
    with pytest.raises(RecordingError, match="not a gigalane recording"):
        Recording.load(path)


def test_a_missing_file_gives_one_line(tmp_path):
    with pytest.raises(RecordingError, match=r"nowhere\.npz"):
        Recording.load(tmp_path / "nowhere.npz")


def test_a_file_cut_short_anywhere_gives_one_line(tmp_path):
    path = tmp_path / "run.npz"
    make().save(path)
    data = path.read_bytes()
    for length in range(0, len(data), max(1, len(data) // 25)):
        path.write_bytes(data[:length])
        with pytest.raises(RecordingError):
            Recording.load(path)


def test_flipped_bytes_never_escape_as_another_error(tmp_path):
    path = tmp_path / "run.npz"
    make().save(path)
    data = bytearray(path.read_bytes())
    random = np.random.default_rng(5)
    refused = 0
    for place in random.integers(0, len(data), 120):
        damaged = data.copy()
        damaged[place] ^= int(random.integers(1, 256))
        path.write_bytes(damaged)
        try:
            Recording.load(path)
        except RecordingError:
            refused += 1
    assert refused > 60  # the rest hit bytes that say nothing, such as dates


def test_every_array_of_the_class_is_tested_here():
    assert len(ARRAYS) == 15
    assert {f.name for f in dataclasses.fields(Recording)} >= set(ARRAYS)

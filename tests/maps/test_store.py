"""A stored map is the map that was saved, and no file can do worse than a `MapError`."""

import json
import os
import zipfile
from dataclasses import fields, is_dataclass, replace

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from gigalane.maps.generate import TINY_TOWN, generate_town
from gigalane.maps.road import LaneType, MapError, RoadMap
from gigalane.maps.store import (
    load_arrays,
    load_road_map,
    road_map_from_arrays,
    road_map_to_arrays,
    save_road_map,
)


@pytest.fixture(scope="module")
def town() -> RoadMap:
    return generate_town(7)


def same(first, second) -> bool:
    """Whether two values are equal, through dataclasses, tuples and arrays."""
    if is_dataclass(first):
        return type(first) is type(second) and all(
            same(getattr(first, f.name), getattr(second, f.name)) for f in fields(first)
        )
    if isinstance(first, tuple):
        return len(first) == len(second) and all(map(same, first, second))
    if isinstance(first, np.ndarray):
        return np.array_equal(first, second) and first.dtype == second.dtype
    return type(first) is type(second) and first == second


def with_header(arrays, change):
    """The arrays with a changed header."""
    header = json.loads(arrays["road_map_header"].tobytes())
    change(header)
    encoded = np.frombuffer(json.dumps(header).encode(), dtype=np.uint8)
    return {**arrays, "road_map_header": encoded}


def test_a_saved_map_is_loaded_back_exactly(town, tmp_path):
    save_road_map(town, tmp_path / "town.npz")
    assert same(town, load_road_map(tmp_path / "town.npz"))


def test_the_arrays_alone_are_enough(town):
    assert same(town, road_map_from_arrays(road_map_to_arrays(town)))


def test_odd_texts_and_optional_fields_survive(town, tmp_path):
    odd = replace(
        town,
        name='Zürich 🚗 "quoted"\n',
        geo_reference="+proj=tmerc",
        warnings=("a", ""),
        left_hand_traffic=True,
        lanes=(replace(town.lanes[0], speed_limit=None, type=LaneType.RAIL), *town.lanes[1:]),
    )
    save_road_map(odd, tmp_path / "odd.npz")
    assert same(odd, load_road_map(tmp_path / "odd.npz"))


def test_a_map_without_anything_survives():
    empty = RoadMap(name="empty", lanes=())
    assert same(empty, road_map_from_arrays(road_map_to_arrays(empty)))


def test_extra_arrays_ride_along(town, tmp_path):
    extra = {
        "compiled_segments": np.arange(12, dtype=np.float32).reshape(3, 4),
        "compiled_count": np.int64(5),
        "compiled_none": np.zeros((0, 7), dtype=bool),
    }
    save_road_map(town, tmp_path / "town.npz", extra)
    loaded = load_arrays(tmp_path / "town.npz")
    for key, array in extra.items():
        assert np.array_equal(loaded[key], array)
        assert loaded[key].shape == np.shape(array)
        assert loaded[key].dtype == np.asarray(array).dtype
    assert same(town, load_road_map(tmp_path / "town.npz"))


def test_equal_maps_give_equal_bytes(town, tmp_path):
    save_road_map(town, tmp_path / "one.npz")
    save_road_map(generate_town(7), tmp_path / "two.npz")
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()


def test_numpy_reads_the_file_too(town, tmp_path):
    save_road_map(town, tmp_path / "town.npz")
    with np.load(tmp_path / "town.npz", allow_pickle=False) as arrays:
        assert same(town, road_map_from_arrays(dict(arrays)))


# ----------------------------------------------------------------- what cannot be saved
def test_a_number_that_is_not_finite_is_not_saved(town, tmp_path):
    broken = town.lanes[0].centerline.copy()
    broken[0, 0] = np.nan
    for bad in (
        replace(town, lanes=(replace(town.lanes[0], centerline=broken), *town.lanes[1:])),
        replace(town, lanes=(replace(town.lanes[0], speed_limit=np.inf), *town.lanes[1:])),
    ):
        with pytest.raises(MapError):
            save_road_map(bad, tmp_path / "bad.npz")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "extra", [{"road_map_more": np.zeros(1)}, {"names": np.array(["a"], dtype=object)}]
)
def test_extra_arrays_that_cannot_be_stored_are_refused(town, tmp_path, extra):
    with pytest.raises(MapError, match=next(iter(extra))):
        save_road_map(town, tmp_path / "town.npz", extra)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_old_file_and_nothing_else(town, tmp_path, monkeypatch):
    target = tmp_path / "town.npz"
    save_road_map(town, target)
    before = target.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(MapError, match="No space left"):
        save_road_map(replace(town, name="other"), target)
    assert target.read_bytes() == before
    assert list(tmp_path.iterdir()) == [target]


def test_a_missing_folder_is_named(town, tmp_path):
    with pytest.raises(MapError, match="nowhere"):
        save_road_map(town, tmp_path / "nowhere" / "town.npz")


# ----------------------------------------------------------------- hostile files
@pytest.mark.parametrize(
    "content", [b"", b"PK\x03\x04", b"<OpenDRIVE/>", b"\x93NUMPY" + b"\0" * 99]
)
def test_a_file_that_is_no_stored_map_is_refused(tmp_path, content):
    path = tmp_path / "bad.npz"
    path.write_bytes(content)
    with pytest.raises(MapError, match=r"bad\.npz"):
        load_road_map(path)


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    for path in (tmp_path / "none.npz", tmp_path):
        with pytest.raises(MapError, match=str(path)):
            load_road_map(path)


@settings(max_examples=25, deadline=None, phases=[Phase.generate])
@given(cut=st.floats(0, 1), flip=st.floats(0, 1), bit=st.integers(0, 7))
def test_damage_is_reported_or_harmless(tmp_path_factory, cut, flip, bit):
    folder = tmp_path_factory.mktemp("damage")
    tiny = generate_town(0, TINY_TOWN)
    save_road_map(tiny, folder / "good.npz")
    good = (folder / "good.npz").read_bytes()
    damaged = bytearray(good)
    damaged[int(flip * (len(good) - 1))] ^= 1 << bit
    for content in (good[: int(cut * (len(good) - 1))], bytes(damaged)):
        (folder / "bad.npz").write_bytes(content)
        try:
            loaded = load_road_map(folder / "bad.npz")
        except MapError:
            continue
        # A bit that no reader looks at (a date, a flag) may flip unseen; the map may not change.
        assert same(loaded, tiny)


def test_an_array_that_claims_to_be_huge_is_refused_without_asking_for_memory(tmp_path):
    path = tmp_path / "huge.npz"
    with zipfile.ZipFile(path, "w") as archive, archive.open("road_map_x.npy", "w") as member:
        header = {"descr": "<f8", "fortran_order": False, "shape": (10**15,)}
        np.lib.format.write_array_header_1_0(member, header)
    with pytest.raises(MapError, match="cut short"):
        load_arrays(path)


def test_a_compression_bomb_is_refused_by_its_declared_size(tmp_path, monkeypatch):
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("road_map_x.npy", b"\0" * 2_000_000)
    monkeypatch.setattr("gigalane.maps.npz.MAXIMUM_BYTES", 1_000_000)
    with pytest.raises(MapError, match="more than 1000000 bytes"):
        load_arrays(path)


def test_pickled_arrays_are_refused(tmp_path):
    path = tmp_path / "pickled.npz"
    np.savez(path, road_map_header=np.array([{}], dtype=object))
    with pytest.raises(MapError, match="not numbers"):
        load_arrays(path)


@pytest.mark.parametrize("key", ["header", "lane_points", "lane_offsets", "crossing_offsets"])
def test_a_missing_array_is_named(town, key):
    arrays = road_map_to_arrays(town)
    del arrays[f"road_map_{key}"]
    with pytest.raises(MapError, match=f"road_map_{key}"):
        road_map_from_arrays(arrays, "some file")


def test_arrays_that_contradict_each_other_are_refused(town):
    arrays = road_map_to_arrays(town)
    offsets, points = arrays["road_map_lane_offsets"], arrays["road_map_lane_points"]
    backwards = offsets.copy()
    backwards[1] = backwards[2] + 5
    far = offsets.copy()
    far[-1] += 1
    hole = points.copy()
    hole[1, 3, 2] = np.inf
    changes = [
        {"road_map_lane_offsets": backwards},
        {"road_map_lane_offsets": far},
        {"road_map_lane_offsets": offsets[:-1]},
        {"road_map_lane_offsets": offsets.astype(np.int32)},
        {"road_map_lane_points": points[:, :-1]},
        {"road_map_lane_points": points[:, :, :2]},
        {"road_map_lane_points": points.astype(np.float32)},
        {"road_map_lane_points": hole},
    ]
    for change in changes:
        with pytest.raises(MapError):
            road_map_from_arrays({**arrays, **change})


HEADER_DAMAGE = {
    "another format": lambda h: h.update(format="something else"),
    "a later version": lambda h: h.update(version=99),
    "a name that is a number": lambda h: h.update(name=3),
    "a flag that is text": lambda h: h.update(left_hand_traffic="no"),
    "an unknown lane type": lambda h: h["lanes"]["type"].__setitem__(0, "runway"),
    "a successor that is a number": lambda h: h["lanes"]["successors"].__setitem__(0, [1]),
    "a successor list that is text": lambda h: h["lanes"]["successors"].__setitem__(0, "ab"),
    "an id that is defined twice": lambda h: h["lanes"]["id"].__setitem__(0, h["lanes"]["id"][1]),
    "an id that is half a character": lambda h: h["lanes"]["id"].__setitem__(0, "\ud800"),
    "a speed that is not finite": lambda h: h["lanes"]["speed_limit"].__setitem__(0, 1e999),
    "a speed that is true": lambda h: h["lanes"]["speed_limit"].__setitem__(0, True),
    "a column too short": lambda h: h["lanes"]["junction"].pop(),
    "a mark without a width": lambda h: h["lanes"]["left_marks"].__setitem__(0, [[0, 1, "solid"]]),
    "no lanes": lambda h: h.pop("lanes"),
    "lanes that are a list": lambda h: h.update(lanes=[]),
    "a signal in the plane": lambda h: h["signals"][0].update(position=[1, 2]),
    "a stop line of three points": lambda h: h["stop_lines"][0].update(polyline=[[0, 0, 0]] * 3),
    "a stage without times": lambda h: h["signal_programs"][0].update(stages=[[["g"]]]),
}


@pytest.mark.parametrize("damage", HEADER_DAMAGE)
def test_a_header_with_this_in_it_is_refused_in_one_line(town, damage):
    arrays = with_header(road_map_to_arrays(town), HEADER_DAMAGE[damage])
    with pytest.raises(MapError) as caught:
        road_map_from_arrays(arrays, "some file")
    assert str(caught.value).startswith("some file: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", [b"{", b"[" * 100_000, b"\xff\xfe", b"NaN", b"[]", b"9" * 9_999])
def test_a_header_that_is_no_json_object_is_refused(town, text):
    arrays = road_map_to_arrays(town)
    arrays["road_map_header"] = np.frombuffer(text, dtype=np.uint8)
    with pytest.raises(MapError, match="header"):
        road_map_from_arrays(arrays)

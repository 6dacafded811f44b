"""Names of maps: files, towns of seeds, and `$` for the folder of sample maps."""

import pytest

from gigalane.core.settings import SettingsError
from gigalane.maps.compile import compile_maps
from gigalane.maps.road import MapError
from gigalane.maps.sources import located, open_map, open_maps


def test_towns_come_in_the_order_of_their_names():
    assert [one.name for one in open_maps(["town:2", "town:1-2"])] == ["town2", "town1", "town2"]


def test_a_map_that_is_named_again_is_opened_and_compiled_once():
    maps = open_maps(["town:1", "town:2", "town:1"])
    assert maps[0] is maps[2] and maps[0] is not maps[1]
    compiled = compile_maps(maps)
    assert [one.name for one in compiled] == ["town1", "town2", "town1"]
    assert compiled[0] is compiled[2] and compiled[0] is not compiled[1]


@pytest.mark.parametrize("source", ["town:x", "town:", "town:2-1", "town:1-1001"])
def test_towns_that_are_none_are_refused(source):
    with pytest.raises(MapError, match="town:"):
        open_maps([source])


def test_one_map_is_not_many():
    with pytest.raises(MapError, match="names 2 maps where one is needed"):
        open_map("town:1-2")


def test_the_folder_of_sample_maps_stands_in_the_place_of_its_sign(monkeypatch, tmp_path):
    monkeypatch.setenv("GIGALANE_DATA", str(tmp_path))
    assert located(["$/a$b.xodr", "town:1"], "it") == [f"{tmp_path}/a$b.xodr", "town:1"]
    monkeypatch.delenv("GIGALANE_DATA")
    assert located(["town:1", "a$b.xodr"], "it") == ["town:1", "a$b.xodr"]
    with pytest.raises(SettingsError, match=r"it: its maps lie in .* which is not set; buy one"):
        located(["$/a.xodr"], "it", "buy one")
    monkeypatch.setenv("GIGALANE_DATA", "/nowhere")
    with pytest.raises(SettingsError, match="no folder: /nowhere; set it"):
        located(["$/a.xodr"], "it")

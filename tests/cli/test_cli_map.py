import json

import numpy as np
import pytest
from PIL import Image

from gigalane import load_map
from gigalane.maps.compiled_file import load_compiled


def test_import_writes_a_map_that_every_command_reads(gigalane, ring, folder):
    answer = gigalane("map", "import", ring, "-o", "again.npz")
    assert answer.code == 0
    assert answer.err == ""
    assert answer.out.startswith("again.npz: 20 lanes, 2.0 lane-km, ")
    assert [path.name for path in folder.iterdir()] == ["again.npz"]
    again, first = load_map("again.npz"), load_map(ring)
    assert [lane.id for lane in again.lanes] == [lane.id for lane in first.lanes]
    assert np.array_equal(load_compiled("again.npz").segments, load_compiled(ring).segments)


def test_import_replaces_a_map_of_the_same_name(gigalane, ring, folder):
    (folder / "again.npz").write_bytes(b"an older one")
    assert gigalane("map", "import", ring, "-o", "again.npz").code == 0
    assert load_map(folder / "again.npz").name == "ring"


def test_info_says_the_same_to_people_and_programs(gigalane, ring):
    answer = gigalane("map", "info", ring, "--json")
    assert answer.err == ""
    facts = json.loads(answer.out)
    road_map = load_map(ring)
    assert facts["lane_km"] == pytest.approx(road_map.lane_kilometres, abs=1e-3)
    assert facts["lanes"] == {"driving": 15, "sidewalk": 5}
    text = gigalane("map", "info", ring).out
    assert "15 driving, 5 sidewalk" in text
    assert f"{facts['lane_km']}" in text


def test_view_draws_a_picture_of_the_width_asked_for(gigalane, ring, folder):
    answer = gigalane("map", "view", ring, "-o", "ring.png", "--width", "320")
    assert answer == type(answer)(0, "ring.png\n", "")
    with Image.open(folder / "ring.png") as picture:
        assert picture.width == 320
        assert len(picture.getcolors(maxcolors=1 << 24) or []) > 8
    assert gigalane("map", "view", ring, "-o", "ring.svg").code == 0
    assert (folder / "ring.svg").read_text().startswith("<svg")


def test_picture_without_a_name_takes_the_maps_and_stays_here(gigalane, ring, folder):
    assert gigalane("map", "view", ring).out == "ring.png\n"
    roads = """<OpenDRIVE><header revMajor="1" revMinor="4" name="../../up"/>
    <road id="1" length="100" junction="-1"><planView>
    <geometry s="0" x="0" y="0" hdg="0" length="100"><line/></geometry></planView>
    <lanes><laneSection s="0"><center><lane id="0" type="none"/></center>
    <right><lane id="-1" type="driving"><width sOffset="0" a="3.5" b="0" c="0" d="0"/></lane>
    </right></laneSection></lanes></road></OpenDRIVE>"""
    (folder / "..town.xodr").write_text(roads)
    out = gigalane("map", "view", "..town.xodr").out.strip()
    assert "/" not in out
    assert (folder / out).is_file()


def test_procedural_town_is_a_map_like_any_other(gigalane):
    answer = gigalane("map", "info", "town:3", "--json")
    assert answer.code == 0
    facts = json.loads(answer.out)
    assert facts["lanes"]["driving"] > 20
    assert facts["junctions"] > 0
    assert facts["findings"] == []

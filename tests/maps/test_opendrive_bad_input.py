"""Files that are damaged, hostile or absurd: one clear line each, never another exception."""

from __future__ import annotations

import gzip
import os
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opendrive_text import cubic, document, geometry, lane, road, section
from test_opendrive_network import junction_parts

from gigalane import MapError, RoadMap, load_map
from gigalane.maps.importers.opendrive import document as reader
from gigalane.maps.store import save_road_map

DATA = os.environ.get("GIGALANE_DATA")

GOOD = document(road())


def refused(path: Path) -> MapError:
    with pytest.raises(MapError) as caught:
        load_map(path)
    error = caught.value
    assert str(path) == error.file
    assert "\n" not in str(error)
    assert error.reason
    return error


def write(tmp_path, content: str | bytes, name="map.xodr") -> Path:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_plain_and_packed_files_are_told_by_their_content(tmp_path):
    plain = load_map(write(tmp_path, GOOD))
    packed = load_map(write(tmp_path, gzip.compress(GOOD.encode()), "town.xodr.gz"))
    unlabelled = load_map(write(tmp_path, gzip.compress(GOOD.encode()), "unlabelled.xodr"))
    assert len(plain.lanes) == len(packed.lanes) == len(unlabelled.lanes) == 2
    assert (plain.name, packed.name) == ("map", "town")


def test_a_saved_map_opens_through_the_same_door(tmp_path):
    original = load_map(write(tmp_path, GOOD))
    save_road_map(original, tmp_path / "saved.npz")
    again = load_map(tmp_path / "saved.npz")
    assert [lane_.id for lane_ in again.lanes] == [lane_.id for lane_ in original.lanes]


def test_a_default_namespace_is_allowed(tmp_path):
    named = GOOD.replace("<OpenDRIVE>", '<OpenDRIVE xmlns="http://code.asam.net/simulation/xodr">')
    assert len(load_map(write(tmp_path, named)).lanes) == 2


def test_files_that_are_not_maps_are_refused(tmp_path):
    assert "no such file" in refused(tmp_path / "missing.xodr").reason
    assert "folder" in refused(tmp_path).reason
    assert "cannot be read" in refused(tmp_path / ("long" * 100 + ".xodr")).reason
    assert "empty" in refused(write(tmp_path, "")).reason
    assert "suffix" in refused(write(tmp_path, GOOD, "map.json")).reason
    assert "not gzip" in refused(write(tmp_path, GOOD, "map.xodr.gz")).reason
    assert "zip archive" in refused(write(tmp_path, GOOD, "map.npz")).reason
    assert "zip archive" in refused(write(tmp_path, b"PK\x03\x04....")).reason
    assert "<html>" in refused(write(tmp_path, "<html></html>")).reason
    assert "line 1" in refused(write(tmp_path, "road")).place
    assert "XML" in refused(write(tmp_path, b"\xff\xfe\x00bad")).reason


def test_a_truncated_gzip_is_refused(tmp_path):
    packed = gzip.compress(GOOD.encode())
    for length in (3, 12, len(packed) // 2, len(packed) - 5):
        assert "gzip" in refused(write(tmp_path, packed[:length], "map.xodr.gz")).reason


def test_truncated_xml_is_refused_with_its_line(tmp_path):
    for length in (25, len(GOOD) // 2, len(GOOD) - 3):
        assert refused(write(tmp_path, GOOD[:length])).place.startswith("line ")


def test_entities_and_external_references_are_refused(tmp_path):
    secret = write(tmp_path, "secret", "secret.txt")
    for declared in (
        '<!DOCTYPE a [<!ENTITY x "xx"><!ENTITY y "&x;&x;&x;">]>',
        f'<!DOCTYPE a [<!ENTITY x SYSTEM "file://{secret}">]>',
        '<!DOCTYPE a SYSTEM "http://127.0.0.1:9/a.dtd">',
    ):
        hostile = GOOD.replace("<OpenDRIVE>", declared + "<OpenDRIVE>")
        assert "DTD" in refused(write(tmp_path, hostile)).reason


def test_a_gzip_bomb_is_stopped_at_the_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(reader, "MAXIMUM_BYTES", 1 << 20)
    bomb = GOOD.replace("</OpenDRIVE>", " " * (4 << 20) + "</OpenDRIVE>")
    packed = gzip.compress(bomb.encode())
    assert len(packed) < 20_000
    assert "unpacks to more" in refused(write(tmp_path, packed, "map.xodr.gz")).reason


def test_a_flood_or_a_tower_of_elements_is_stopped_at_the_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(reader, "MAXIMUM_ELEMENTS", 1000)
    flood = GOOD.replace("</OpenDRIVE>", "<a/>" * 2000 + "</OpenDRIVE>")
    assert "elements" in refused(write(tmp_path, flood)).reason
    assert "elements" in refused(write(tmp_path, "<OpenDRIVE>" + "<a>" * 100)).reason


def test_a_map_without_a_drivable_lane_is_refused(tmp_path):
    pavement = document(road(sections=section(lane(-1, type="sidewalk"))))
    assert "no drivable lane" in refused(write(tmp_path, pavement)).reason
    assert "no drivable lane" in refused(write(tmp_path, document())).reason


@pytest.mark.parametrize("value", ["nan", "inf", "wide", "1e400"])
def test_a_width_that_is_no_number_is_refused_with_its_place(tmp_path, value):
    bad = document(road(id="R7", sections=section(lane(-1, width=cubic("width", a=value)))))
    error = refused(write(tmp_path, bad))
    assert 'road "R7"' in error.place and "lane -1" in error.place and "width a" in error.place


@pytest.mark.parametrize(
    "plan",
    [
        geometry(x="nan"),
        geometry(length=1e9),
        geometry(x=1e300),
        geometry(shape='<arc curvature="1e9"/>'),
        geometry(shape='<spiral curvStart="0" curvEnd="1e7"/>'),
        geometry(shape="<clothoid/>"),
        geometry(shape='<paramPoly3 aU="0" bU="1e308" cU="1e308" dU="0" aV="0" bV="0" cV="0"/>'),
    ],
    ids=["nan", "long", "far", "arc", "spiral", "unknown", "poly"],
)
def test_absurd_reference_lines_are_refused(tmp_path, plan):
    assert 'road "1"' in refused(write(tmp_path, document(road(plan=plan, length=1e9)))).place


JUNCTION = document(*junction_parts())
ATTRIBUTES = list(re.finditer(r'(\w+)="([^"]*)"', JUNCTION))
VALUES = st.sampled_from(
    ["nan", "inf", "", "0", "-1", "1e308", "-1e9", "1e-300", "x", "start", "end", "J", "-3", "LHT"]
)


@settings(
    max_examples=120,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    changes=st.lists(
        st.tuples(st.sampled_from(ATTRIBUTES), VALUES),
        min_size=1,
        max_size=4,
        unique_by=lambda c: c[0].start(),
    )
)
def test_any_attribute_may_be_wrong(tmp_path, changes):
    text = JUNCTION
    for found, value in sorted(changes, key=lambda change: -change[0].start()):
        text = text[: found.start(2)] + value + text[found.end(2) :]
    try:
        assert isinstance(load_map(write(tmp_path, text)), RoadMap)
    except MapError as error:
        assert "\n" not in str(error)


@pytest.mark.data
@pytest.mark.skipif(not DATA, reason="GIGALANE_DATA is not set")
def test_the_malformed_sample_is_refused_with_its_line():
    assert "line 28" in refused(Path(DATA or "") / "opendrive" / "malformed_header.xodr").place

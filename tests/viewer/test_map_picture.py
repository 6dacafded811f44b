"""Pictures of maps: the right colours in the right places."""

from __future__ import annotations

from dataclasses import replace

import defusedxml.ElementTree
import numpy as np
import pytest
import synthetic_world
from PIL import Image

from gigalane.maps.road import MapError, RoadMap
from gigalane.viewer.map_picture import draw_map
from gigalane.viewer.palette import DARK, LIGHT
from gigalane.viewer.raster import Window, paint_shapes
from gigalane.viewer.shape import MapShape


def color(palette, role):
    text = palette.map_colors[role]
    return tuple(int(text[k : k + 2], 16) for k in (1, 3, 5))


def moved(road_map, shift):
    """The map somewhere else."""
    lanes = tuple(
        replace(
            lane,
            **{
                name: getattr(lane, name) + shift
                for name in ("centerline", "left_boundary", "right_boundary")
            },
        )
        for lane in road_map.lanes
    )
    crossings = tuple(replace(c, outline=c.outline + shift) for c in road_map.crossings)
    return RoadMap(road_map.name, lanes, crossings=crossings)


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=lambda p: p.name)
def test_a_picture_shows_road_where_there_is_road(tmp_path, crossroads, palette):
    draw_map(crossroads, tmp_path / "map.png", width_pixels=500, palette=palette)
    image = Image.open(tmp_path / "map.png").convert("RGB")
    assert image.width == 500
    middle = (250, (image.height - 52) // 2)
    assert image.getpixel(middle) == color(palette, "road")
    assert image.getpixel((100, 100)) == color(palette, "land")


def test_north_is_up_and_east_is_right(tmp_path):
    road_map = synthetic_world.bridge(height=0.0)
    east_and_north = RoadMap("L", (
        replace(road_map.lanes[0], **{
            name: getattr(road_map.lanes[0], name) + np.array([60, 0, 0])
            for name in ("centerline", "left_boundary", "right_boundary")
        }),
        replace(road_map.lanes[1], **{
            name: getattr(road_map.lanes[1], name) + np.array([0, 60, 0])
            for name in ("centerline", "left_boundary", "right_boundary")
        }),
    ))  # fmt: skip
    draw_map(east_and_north, tmp_path / "map.png", width_pixels=400)
    pixels = np.asarray(Image.open(tmp_path / "map.png").convert("RGB"))[:-52]
    is_road = np.abs(pixels.astype(int) - color(LIGHT, "road")).sum(axis=-1) < 30
    rows, columns = np.nonzero(is_road)
    corner = pixels.shape[0] * 0.9, pixels.shape[1] * 0.1
    assert (rows > corner[0]).sum() > 500  # the road along the bottom runs east
    assert (columns < corner[1]).sum() > 500  # the road along the left side runs north
    assert is_road[: pixels.shape[0] // 2, pixels.shape[1] // 2 :].sum() == 0


def test_the_picture_does_not_depend_on_where_the_map_lies(tmp_path, crossroads):
    near, far = moved(crossroads, np.zeros(3)), moved(crossroads, np.array([2048.0, -512.0, 0]))
    for name, road_map in (("near", near), ("far", far)):
        draw_map(road_map, tmp_path / f"{name}.png", width_pixels=400)
    images = [np.asarray(Image.open(tmp_path / f"{n}.png"), int) for n in ("near", "far")]
    assert np.abs(images[0] - images[1]).mean() < 0.2


def test_a_hole_in_an_area_stays_empty_and_edges_are_smooth():
    outer = np.array([[0, 0], [10, 0], [10, 10], [0, 10.0]])
    inner = np.array([[3, 3], [7, 3], [7, 7], [3, 7.0]])
    shape = MapShape("road", (outer, inner), True)
    image = paint_shapes([shape], Window(-1.05, 11.05, 10.0, 121, 121), LIGHT)
    values = np.asarray(image)[..., 0].astype(float)
    land, road = color(LIGHT, "land")[0], color(LIGHT, "road")[0]
    assert values[60, 60] == land and values[25, 60] == road
    covered = (land - values) / (land - road)
    assert covered.sum() / 100 == pytest.approx(100 - 16, abs=1.0)  # square metres
    assert ((covered > 0.1) & (covered < 0.9)).any()


def test_an_svg_is_well_formed_and_measures_metres(tmp_path, crossroads):
    hostile = replace(crossroads, name="</title><script>alert(1)</script>\x07")
    draw_map(hostile, tmp_path / "map.svg", width_pixels=800)
    root = defusedxml.ElementTree.parse(tmp_path / "map.svg").getroot()
    assert "alert(1)" in root[0].text
    assert not [e for e in root.iter() if e.tag.endswith("script")]
    left, top, width, height = (float(v) for v in root.attrib["viewBox"].split())
    assert left < -synthetic_world.FAR and left + width > synthetic_world.FAR
    assert top < -synthetic_world.FAR and top + height > synthetic_world.FAR
    paths = [e for e in root.iter() if e.tag.endswith("path")]
    assert {"road", "crossing", "stop_line-line"} <= {e.attrib["class"] for e in paths}


def test_only_pictures_can_be_written_and_only_of_roads(tmp_path, crossroads):
    with pytest.raises(MapError, match=r"\.svg or \.png"):
        draw_map(crossroads, tmp_path / "map.gif")
    with pytest.raises(MapError, match="none to draw"):
        draw_map(RoadMap("Empty", ()), tmp_path / "map.png")

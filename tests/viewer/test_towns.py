"""Real towns: pictures and a replay of them."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import shapely
import synthetic_world
from PIL import Image

from gigalane import load_map
from gigalane.viewer.map_levels import Decks
from gigalane.viewer.map_picture import draw_map
from gigalane.viewer.map_shapes import map_shapes
from gigalane.viewer.replay import write_replay

pytestmark = pytest.mark.data
TOWNS = ("Town05", "Town10HD")


@pytest.fixture(scope="module", params=TOWNS)
def town(request):
    if "GIGALANE_DATA" not in os.environ:
        pytest.skip("GIGALANE_DATA does not say where the sample maps are")
    folder = Path(os.environ["GIGALANE_DATA"]) / "opendrive" / "carla"
    return load_map(folder / f"{request.param}.xodr.gz")


@pytest.fixture(scope="module")
def shapes(town):
    return map_shapes(town)


def test_every_routable_lane_lies_on_the_drawn_road(town, shapes):
    road = [s for s in shapes if s.role == "road" and s.level == 0]
    surface = shapely.union_all([shapely.Polygon(s.rings[0], s.rings[1:]) for s in road])
    shapely.prepare(surface)
    points = np.concatenate([lane.centerline[1:-1, :2] for lane in town.routable_lanes])
    inside = shapely.contains_xy(surface, points)
    assert inside.mean() > 0.999


def test_only_the_town_with_a_ring_road_has_decks(town):
    decks = Decks(town.lanes)
    assert bool(decks) == (town.name == "Town05")
    for lane, rows in zip(town.lanes, decks.rows, strict=True):
        assert not rows.any() or lane.centerline[:, 2].max() > 5.0


def test_a_town_becomes_a_picture(town, tmp_path):
    draw_map(town, tmp_path / "town.png", width_pixels=600)
    image = np.asarray(Image.open(tmp_path / "town.png").convert("RGB"))
    assert image.shape[1] == 600
    assert len(np.unique(image.reshape(-1, 3), axis=0)) > 100


def test_a_replay_of_a_town_is_small(town, tmp_path):
    world = synthetic_world.traffic(town, agents=16, seconds=6.0)
    write_replay([world], tmp_path / "replay.html")
    assert (tmp_path / "replay.html").stat().st_size < 600_000

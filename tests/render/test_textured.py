"""The textured world: the box world's geometry, and pictures that follow from seed and place."""

from dataclasses import replace

import numpy as np
import pytest

from gigalane.core.settings import SettingsError
from gigalane.render.appearance import TEXTURED, Appearance, Textured, look_named
from gigalane.render.camera import load_rig
from gigalane.render.classes import CLASS
from gigalane.render.renderer import OUTPUTS, CameraRenderer
from reference.placed import place

GEOMETRY = ("class_id", "depth", "instance")
BARE = Textured(clouds=(0.0, 0.0), warmth=(0.0, 0.0), vignette=(0.0, 0.0), blur=(0.0, 0.0),
                grain=(0.0, 0.0), contrast=(0.0, 0.0))  # fmt: skip
"""Textures and shadows, but a camera without faults."""


def images_of(simulator, scenery, appearance, rig="front", **more):
    renderer = CameraRenderer(
        simulator, load_rig(rig), scenery, outputs=OUTPUTS, appearance=appearance, **more
    )
    return {name: image.copy() for name, image in renderer.render().items()}


@pytest.mark.parametrize("rig", ["front", "surround"])
def test_the_geometry_is_that_of_the_box_world_pixel_for_pixel(busy_tee, tee_scenery, rig):
    plain = images_of(busy_tee, tee_scenery, Appearance(), rig)
    textured = images_of(busy_tee, tee_scenery, TEXTURED, rig)
    assert all(np.array_equal(plain[name], textured[name]) for name in GEOMETRY)
    seen = plain["class_id"] > 0
    apart = np.abs(plain["rgb"].astype(int) - textured["rgb"].astype(int))[seen]
    assert apart.mean() > 15
    assert not textured["rgb"][~seen].any()


def test_pictures_depend_on_neither_threads_nor_what_else_is_drawn(busy_tee, tee_scenery):
    one = images_of(busy_tee, tee_scenery, TEXTURED, "four", threads=1)["rgb"]
    three = images_of(busy_tee, tee_scenery, TEXTURED, "four", threads=3)["rgb"]
    assert np.array_equal(one, three)
    alone = images_of(busy_tee, tee_scenery, TEXTURED, "four", agents=[2])["rgb"]
    assert np.array_equal(one[:, 2:3], alone)


def test_another_seed_is_another_look(busy_tee, tee_scenery):
    one = images_of(busy_tee, tee_scenery, TEXTURED)["rgb"]
    other = images_of(busy_tee, tee_scenery, replace(TEXTURED, seed=1))["rgb"]
    assert (one != other).mean() > 0.5


def test_a_renderer_goes_back_to_the_box_world_as_it_was(busy_tee, tee_scenery):
    renderer = CameraRenderer(busy_tee, load_rig("front"), tee_scenery)
    before = renderer.render()["rgb"].copy()
    renderer.change_appearance(TEXTURED)
    assert (renderer.render()["rgb"] != before).any()
    renderer.change_appearance(Appearance())
    assert np.array_equal(renderer.render()["rgb"], before)


def test_a_car_throws_its_shadow_away_from_the_sun(empty_straight, straight_scenery):
    place(empty_straight, 0, 0, 0, 100.0, -1.75)
    place(empty_straight, 0, 1, 1, 112.0, -1.75)  # a truck, its rear at 108.75 m
    seen = {}
    for name, azimuth in (("behind it", 0.0), ("behind us", np.pi)):
        sun = {"sun_azimuth": (azimuth, azimuth), "sun_elevation": (0.6, 0.6)}
        images = images_of(empty_straight, straight_scenery, replace(BARE, **sun), agents=[0])
        # Road in front of us, from 2.3 m to 1 m before the truck's rear.
        rows = (images["depth"] > 6.2) & (images["depth"] < 7.5)
        road = rows & (images["class_id"] == CLASS["road"])
        columns = np.zeros_like(road)
        columns[..., 44:52] = True
        assert (road & columns).sum() > 5
        seen[name] = images["rgb"][road & columns].mean()
    assert seen["behind it"] < 0.8 * seen["behind us"]


def test_a_wall_keeps_its_windows_when_one_drives_by(empty_straight, straight_scenery):
    # The same house from two places: what is painted on it stays on it.
    found = []
    camera = load_rig("front").cameras[0].resized(480, 320)
    rig = replace(load_rig("front"), cameras=(camera,))
    for x in (60.0, 60.4):
        place(empty_straight, 0, 0, 0, x, -1.75)
        renderer = CameraRenderer(
            empty_straight, rig, straight_scenery, outputs=OUTPUTS, appearance=BARE, agents=[0]
        )
        images = {name: image[0, 0, 0].copy() for name, image in renderer.render().items()}
        row, column = np.nonzero((images["class_id"] == CLASS["building"]) & (images["depth"] < 60))
        depth = images["depth"][row, column]
        right = (column + 0.5 - camera.cx) / camera.fx * depth
        down = (row + 0.5 - camera.cy) / camera.fy * depth
        places = np.stack([x + 0.3 + depth, -1.75 - right, 1.6 - down], axis=1)
        found.append((np.round(places / 0.1).astype(int), images["rgb"][row, column].mean(-1)))
    shades = [dict(zip(map(tuple, at), shade, strict=True)) for at, shade in found]
    common = sorted(shades[0].keys() & shades[1].keys())
    assert len(common) > 100
    one, other = (np.array([of[at] for at in common]) for of in shades)
    assert np.corrcoef(one, other)[0, 1] > 0.8


def test_it_has_a_name_and_refuses_what_is_no_camera():
    assert look_named("textured", 7) == replace(TEXTURED, seed=7)
    for wrong in ({"blur": (0.5, 0.2)}, {"clouds": (0.0, 2.0)}, {"vignette": (-0.1, 0.0)}):
        with pytest.raises(SettingsError, match=f"appearance.{next(iter(wrong))}"):
            Textured(**wrong)

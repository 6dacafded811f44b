"""Cameras and rigs as files, and what cannot be used."""

import json
from dataclasses import replace

import numpy as np
import pytest

from gigalane.core.settings import SettingsError
from gigalane.render.appearance import Appearance
from gigalane.render.camera import PRESETS, Rig, load_rig, looking
from gigalane.render.lenses import pixel_rays


@pytest.mark.parametrize(
    ("name", "cameras"), [("front", 1), ("four", 4), ("six", 6), ("surround", 1)]
)
def test_presets_come_back_from_a_file_as_they_were(tmp_path, name, cameras):
    rig = load_rig(name)
    assert len(rig.cameras) == cameras
    rig.save(tmp_path / "rig.json")
    assert load_rig(tmp_path / "rig.json") == rig


def test_every_preset_is_listed():
    assert {load_rig(name).name for name in PRESETS} == set(PRESETS)


@pytest.mark.parametrize("yaw", [0.0, 0.9, -2.0, np.pi])
def test_a_camera_looks_where_it_is_told_with_level_rows(yaw):
    camera = replace(load_rig("front").cameras[0], rotation_ego=looking(yaw, 0.3))
    right, down, forward = camera.ego_from_camera.T
    level = np.cos(0.3)
    assert forward == pytest.approx([level * np.cos(yaw), level * np.sin(yaw), -np.sin(0.3)])
    assert right == pytest.approx([np.sin(yaw), -np.cos(yaw), 0.0])
    assert np.cross(right, down) == pytest.approx(forward)


def test_rays_of_a_pinhole_are_where_its_matrix_puts_points():
    camera = replace(load_rig("front").cameras[0], fx=50.0, cx=40.0, cy=30.5)
    rays, is_lens = pixel_rays(camera)
    assert is_lens.all()
    pixels = rays @ camera.matrix.T
    rows, columns = np.mgrid[: camera.height, : camera.width]
    assert pixels[..., 0] == pytest.approx(columns + 0.5)
    assert pixels[..., 1] == pytest.approx(rows + 0.5)


def test_rays_of_a_fisheye_are_where_its_polynomial_puts_points():
    weights = (0.03, -0.01, 0.002, -0.0003)
    camera = replace(load_rig("front").cameras[0], model="fisheye", distortion=weights)
    rays, is_lens = pixel_rays(camera)
    angle = np.arccos(rays[..., 2])
    radius = angle * (1 + sum(k * angle ** (2 * n + 2) for n, k in enumerate(weights)))
    around = np.arctan2(rays[..., 1], rays[..., 0])
    rows, columns = np.mgrid[: camera.height, : camera.width]
    u = camera.fx * radius * np.cos(around) + camera.cx
    v = camera.fy * radius * np.sin(around) + camera.cy
    assert u[is_lens] == pytest.approx((columns + 0.5)[is_lens], abs=1e-3)
    assert v[is_lens] == pytest.approx((rows + 0.5)[is_lens], abs=1e-3)
    assert is_lens.mean() > 0.9


def test_a_resized_rig_sees_the_same():
    rig = load_rig("six")
    small = rig.resized(24, 18)
    for one, other in zip(rig.cameras, small.cameras, strict=True):
        edge = [one.width, one.height, 1.0] @ np.linalg.inv(one.matrix).T
        assert edge == pytest.approx([24, 18, 1.0] @ np.linalg.inv(other.matrix).T)


def spoiled(change):
    words = json.loads(json.dumps(RIG))
    change(words)
    return json.dumps(words)


RIG = {
    "format": "gigalane rig 1",
    "name": "two",
    "cameras": [
        {
            "name": name, "width": 8, "height": 6, "fx": 5.0, "fy": 5.0, "cx": 4.0, "cy": 3.0,
            "position_ego": [0.0, 0.0, 1.5], "rotation_ego": [0.5, -0.5, 0.5, -0.5],
        }
        for name in ("a", "b")
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not a JSON file"),
        ("[]", 'not a rig; it begins with "format"'),
        (spoiled(lambda w: w.update(format="other")), "not a rig"),
        (spoiled(lambda w: w.update(cameras=[])), "it has no camera; add at least one"),
        (spoiled(lambda w: w.update(cameras=3)), "cameras is 3 where a list is needed"),
        (spoiled(lambda w: w["cameras"].append(7)), "camera 2: is 7 where settings"),
        (spoiled(lambda w: w["cameras"][1].update(name="a")), "two cameras are called 'a'"),
        (spoiled(lambda w: w["cameras"][1].update(width=9)), "give all cameras of a rig one size"),
        (spoiled(lambda w: w["cameras"][0].update(width=0)), "width: 0; give a number of pixels"),
        (spoiled(lambda w: w["cameras"][0].update(width=9000, height=9000)), "too large"),
        (spoiled(lambda w: w["cameras"][0].update(fx=float("nan"))), "finite numbers"),
        (spoiled(lambda w: w["cameras"][0].update(fy=-1)), "focal length"),
        (spoiled(lambda w: w["cameras"][0].update(position_ego=[1, 2])), "give 3 finite numbers"),
        (spoiled(lambda w: w["cameras"][0].update(rotation_ego=[1, 1, 0, 0])), "a rotation has 1"),
        (spoiled(lambda w: w["cameras"][0].update(model="wide")), "use one of pinhole, fisheye"),
        (spoiled(lambda w: w["cameras"][0].update(near=5.0, far=2.0)), "near < far"),
        (spoiled(lambda w: w["cameras"][0].update(focus=2.0)), "unknown setting 'focus'"),
        (spoiled(lambda w: w["cameras"][0].pop("fx")), "fx"),
    ],
)
def test_a_rig_that_cannot_be_used_is_refused_in_one_line(tmp_path, text, words):
    path = tmp_path / "bad.json"
    path.write_text(text)
    with pytest.raises(SettingsError) as error:
        load_rig(path)
    assert words in str(error.value)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_rig_that_is_not_there_is_refused_in_one_line():
    with pytest.raises(SettingsError, match=r"nowhere.json: .*; give a rig file or one of front"):
        load_rig("nowhere.json")


def test_a_rig_without_cameras_cannot_be_made():
    with pytest.raises(SettingsError, match="no camera"):
        Rig("none", ())


@pytest.mark.parametrize(
    "change",
    [{"fog": (0.1, 0.0)}, {"noise": (-1.0, 0.0)}, {"ambient": (0.0, 2.0)}, {"palette": -1.0},
     {"exposure": (0.0, float("inf"))}],
)  # fmt: skip
def test_an_appearance_that_makes_no_picture_is_refused(change):
    with pytest.raises(SettingsError, match=rf"appearance\.{next(iter(change))}"):
        Appearance(**change)

"""Every image against rays through the same scene, pixel by pixel."""

from dataclasses import replace

import numpy as np

from gigalane.render.camera import Camera, Rig, load_rig, looking
from gigalane.render.classes import CLASS
from gigalane.render.lenses import Reach
from gigalane.render.renderer import CameraRenderer
from gigalane.render.scenery import compile_scenery
from gigalane.sim.settings import SimulatorSettings
from gigalane.sim.simulator import Simulator
from reference.pictures import draw_with_edges, eye_of, faces_of_others, faces_of_scenery
from reference.placed import place
from reference.probes import light_states

ALL = Reach(500.0, 500.0, 500.0, 500.0, 500.0, 500.0, 500.0)
OUTPUTS = ("class_id", "depth", "instance")


def states_of(simulator, world, count):
    """What the light of each stop line shows now."""
    scene = simulator.scene
    time = np.float32(scene.clock.numpy()[world]) * scene.dt.numpy()[world]
    seeds = np.full(count, scene.seed.numpy()[world])
    return light_states(simulator.rules, simulator.road, np.arange(count), seeds,
                        np.full(count, time))  # fmt: skip


def sure_share(simulator, scenery, rig, world, agents):
    """Asserts that every pixel but those at edges is as rays find it; the share of those."""
    renderer = CameraRenderer(simulator, rig, scenery, outputs=OUTPUTS, reach=ALL, threads=1)
    images = renderer.render()
    standing = faces_of_scenery(scenery, states_of(simulator, world, scenery.stop_lines))
    shares = []
    for agent in agents:
        for number, camera in enumerate(rig.cameras):
            eye, axes, ground = eye_of(simulator.scene, world, agent, camera)
            focal = camera.fy
            if camera.model != "pinhole":
                focal = np.ceil(2 * max(camera.fx, camera.fy)) / 2
            faces = standing + faces_of_others(simulator.scene, world, agent, eye, focal)
            picture, unsure = draw_with_edges(
                camera, eye, axes, ground, faces, 0.2 if camera.model == "pinhole" else 0.6
            )
            at = (world, agent, number)
            # What is farther than the camera's far depth may be drawn or not.
            is_far = (picture.depth >= camera.far) & (picture.class_id != CLASS["sky"])
            sure = ~unsure & ~is_far
            shares.append(sure.mean())
            assert np.array_equal(images["class_id"][at][sure], picture.class_id[sure]), at
            assert np.array_equal(images["instance"][at][sure], picture.instance[sure]), at
            depth = picture.depth[sure]
            # A lens takes the nearest pixel of a pinhole view: half a pixel of the ground is far.
            away = np.abs(images["depth"][at][sure] / depth - 1.0)
            usual = np.quantile(away, 0.99)
            assert usual < 1e-3 if camera.model == "pinhole" else np.quantile(away, 0.9) < 3e-3, at
            assert away.max() < 1e-2 or camera.model != "pinhole", at
    return np.mean(shares)


def test_images_of_a_junction_are_what_rays_meet(busy_tee, tee_scenery):
    rig = load_rig("front").resized(48, 32)
    assert sure_share(busy_tee, tee_scenery, rig, 1, range(4)) > 0.75


def test_every_camera_of_a_rig_looks_its_own_way(busy_tee, tee_scenery):
    rig = load_rig("six").resized(48, 27)
    assert sure_share(busy_tee, tee_scenery, rig, 0, [1]) > 0.75


def test_hills_are_seen_as_rays_meet_them(ring_road, ring):
    simulator = Simulator(ring, SimulatorSettings(worlds=1, agents=5), seed=2, threads=1)
    rig = load_rig("front").resized(48, 32)
    assert sure_share(simulator, compile_scenery(ring_road, ring), rig, 0, range(3)) > 0.75


def test_all_kinds_are_seen_from_near_and_far_and_from_all_sides(empty_straight, straight_scenery):
    simulator = empty_straight
    for turn, (front, brakes) in enumerate(((0.0, -2.0), (np.pi, 0.0), (1.1, -2.0))):
        place(simulator, 0, 0, 0, 100.0, -1.75)
        place(simulator, 0, 1, 1, 118.0 + 4 * turn, 4.0, front, acceleration=brakes)
        place(simulator, 0, 2, 2, 107.0 + 9 * turn, -3.5, front)
        place(simulator, 0, 3, turn % 2 * 3, 109.0, 0.5, front, acceleration=brakes)
        rig = load_rig("front").resized(72, 48)
        assert sure_share(simulator, straight_scenery, rig, 0, [0, 1, 3]) > 0.75


def test_a_turned_and_tilted_camera_sees_what_rays_meet(busy_tee, tee_scenery):
    half = np.sqrt(0.5)
    rolled = np.array([half, 0.0, 0.0, half])  # a quarter turn around the axis of the camera
    w, x, y, z = looking(0.4, 0.2)
    a, _, _, d = rolled
    rotation = (w * a - z * d, x * a + y * d, y * a - x * d, z * a + w * d)
    camera = replace(
        load_rig("front").cameras[0].resized(48, 32), rotation_ego=tuple(map(float, rotation))
    )
    assert sure_share(busy_tee, tee_scenery, Rig("rolled", (camera,)), 0, range(2)) > 0.7


def test_a_fisheye_sees_what_rays_meet_all_around(busy_tee, tee_scenery):
    # 200 degrees across: more than any pinhole, with a lens that is not quite equidistant.
    camera = Camera("around", 64, 64, 18.0, 18.0, 32.0, 32.0, (0.5, 0.0, 1.6), looking(0.3, 0.1),
                    "fisheye", (0.02, -0.004, 0.0, 0.0))  # fmt: skip
    assert sure_share(busy_tee, tee_scenery, Rig("lens", (camera,)), 0, [0, 2]) > 0.5


def test_a_lens_shows_nothing_outside_its_circle(busy_tee, tee_scenery):
    camera = Camera("narrow", 33, 33, 8.0, 8.0, 16.5, 16.5, (0.5, 0.0, 1.6), looking(0.0),
                    "fisheye", (-0.1, 0.0, 0.0, 0.0))  # fmt: skip
    outputs = (*OUTPUTS, "rgb")
    renderer = CameraRenderer(busy_tee, Rig("lens", (camera,)), tee_scenery, outputs=outputs)
    images = renderer.render()
    # t (1 - 0.1 t²) grows until t² = 10 / 3: the circle ends at 8 * 1.826 * (1 - 1 / 3) = 9.74.
    rows, columns = np.mgrid[:33, :33] - 16
    outside = np.hypot(rows, columns) > 9.8
    inside = np.hypot(rows, columns) < 9.7
    classes = images["class_id"][0, 0, 0]
    assert (classes[outside] == CLASS["void"]).all()
    assert (classes[inside] != CLASS["void"]).all()
    assert (images["rgb"][0, 0, 0][outside] == 0).all()


def test_a_panorama_sees_what_rays_meet_all_around(busy_tee, tee_scenery):
    rig = load_rig("surround").resized(96, 16)
    assert sure_share(busy_tee, tee_scenery, rig, 0, [0, 2]) > 0.5


def test_a_panorama_that_looks_far_down_sees_what_rays_meet(busy_tee, tee_scenery):
    camera = load_rig("surround").cameras[0].resized(60, 10)
    deep = Rig("deep", (replace(camera, height=16, cy=3.5),))
    assert sure_share(busy_tee, tee_scenery, deep, 0, [1]) > 0.5

"""Depth and occlusion by hand, and images that do not depend on what else is drawn."""

from dataclasses import replace

import numpy as np
import pytest

from gigalane.core.settings import SettingsError
from gigalane.render.appearance import VARIED, Appearance
from gigalane.render.camera import Rig, load_rig
from gigalane.render.classes import CLASS, CLASS_NAMES
from gigalane.render.renderer import OUTPUTS, CameraRenderer
from gigalane.sim.settings import SimulatorSettings
from gigalane.sim.simulator import Simulator
from reference.placed import clear, place

MIDDLE = (33, 48)  # just below the axis


def front_images(simulator, scenery, agent=0, **more):
    renderer = CameraRenderer(
        simulator, load_rig("front"), scenery, outputs=OUTPUTS, agents=[agent], threads=1, **more
    )
    return {name: image[0, 0, 0] for name, image in renderer.render().items()}


def test_depth_of_the_truck_ahead_is_to_its_rear(empty_straight, straight_scenery):
    place(empty_straight, 0, 0, 0, 100.0, -1.75)
    place(empty_straight, 0, 2, 1, 130.0, -1.75)
    images = front_images(empty_straight, straight_scenery)
    # From the lens 0.3 m before the car's middle to the rear end 3.25 m before the truck's.
    assert images["depth"][MIDDLE] == pytest.approx(130.0 - 3.25 - 100.3, abs=1e-3)
    assert images["class_id"][MIDDLE] == CLASS["truck"]
    assert images["instance"][MIDDLE] == 3


def test_who_is_behind_a_truck_is_not_seen(empty_straight, straight_scenery):
    place(empty_straight, 0, 0, 0, 100.0, -1.75)
    place(empty_straight, 0, 1, 0, 122.0, -1.75)
    alone = front_images(empty_straight, straight_scenery)
    assert (alone["instance"] == 2).sum() > 5
    place(empty_straight, 0, 2, 1, 113.0, -1.75)
    hidden = front_images(empty_straight, straight_scenery)
    assert not (hidden["instance"] == 2).any()
    assert (hidden["instance"] == 3).sum() > 30


def test_lamps_tell_front_from_rear_and_light_up_while_braking(empty_straight, straight_scenery):
    place(empty_straight, 0, 0, 0, 100.0, -1.75)
    seen = []
    for heading, acceleration in ((0.0, 0.0), (0.0, -3.0), (np.pi, -3.0)):
        place(empty_straight, 0, 1, 0, 108.0, -1.75, heading, acceleration=acceleration)
        images = front_images(empty_straight, straight_scenery)
        names = {CLASS_NAMES[k] for k in np.unique(images["class_id"])}
        seen.append({name for name in names if name.startswith("lamp")})
        red = images["rgb"][images["class_id"] == CLASS["lamp_brake"]]
        assert (red[:, 0] > 240).all()
    assert seen == [{"lamp_rear"}, {"lamp_brake"}, {"lamp_front"}]


def test_the_road_below_is_as_far_as_the_slope_of_the_ray_says(empty_straight, straight_scenery):
    place(empty_straight, 0, 0, 0, 100.0, -1.75)
    images = front_images(empty_straight, straight_scenery)
    focal = load_rig("front").cameras[0].fy
    for row in (40, 50, 63):
        assert images["class_id"][row, 48] == CLASS["road"]
        assert images["depth"][row, 48] == pytest.approx(1.6 * focal / (row + 0.5 - 32), rel=1e-4)


def test_a_slot_that_holds_nobody_sees_nothing(empty_straight, straight_scenery):
    place(empty_straight, 0, 0, 0, 100.0, -1.75)
    images = front_images(empty_straight, straight_scenery, agent=1)
    assert not images["class_id"].any()
    assert not images["rgb"].any()
    assert not images["instance"].any()
    assert (images["depth"] == 200.0).all()


def test_brightness_of_a_wall_follows_the_cosine_of_the_light(empty_straight, straight_scenery):
    place(empty_straight, 0, 0, 0, 100.0, -1.75)
    place(empty_straight, 0, 1, 1, 112.0, -1.75)  # its rear looks to -x
    for azimuth, cosine in ((np.pi, 1.0), (np.pi / 3 + np.pi, 0.5), (0.0, 0.0)):
        look = Appearance(sun_azimuth=(azimuth, azimuth), sun_elevation=(0.0, 0.0),
                          ambient=(0.4, 0.4))  # fmt: skip
        images = front_images(empty_straight, straight_scenery, appearance=look)
        color = images["rgb"][MIDDLE].astype(float)
        if cosine == 1.0:
            full = color
        assert color == pytest.approx(full * (0.4 + 0.6 * cosine), abs=1.5)


def test_fog_hides_by_depth(empty_straight, straight_scenery):
    place(empty_straight, 0, 0, 0, 100.0, -1.75)
    place(empty_straight, 0, 1, 1, 130.0, -1.75)
    clear_day = front_images(empty_straight, straight_scenery)
    foggy = front_images(empty_straight, straight_scenery, appearance=Appearance(fog=(0.05, 0.05)))
    depth = clear_day["depth"][MIDDLE]
    left = (1.0 + 0.05 * depth / 8.0) ** -8
    color, haze = clear_day["rgb"][MIDDLE].astype(float), None
    far = front_images(empty_straight, straight_scenery, appearance=Appearance(fog=(9.0, 9.0)))
    haze = far["rgb"][MIDDLE].astype(float)
    assert foggy["rgb"][MIDDLE] == pytest.approx(haze + left * (color - haze), abs=2.0)
    assert np.exp(-0.05 * depth) == pytest.approx(left, abs=0.03)
    for name in ("class_id", "depth", "instance"):
        assert np.array_equal(foggy[name], clear_day[name])


def images_of(simulator, scenery, rig="front", appearance=VARIED, **more):
    renderer = CameraRenderer(
        simulator, load_rig(rig), scenery, outputs=OUTPUTS, appearance=appearance, **more
    )
    return {name: image.copy() for name, image in renderer.render().items()}


def test_images_are_the_same_at_any_number_of_threads(busy_tee, tee_scenery):
    one = images_of(busy_tee, tee_scenery, "four", threads=1)
    three = images_of(busy_tee, tee_scenery, "four", threads=3)
    assert all(np.array_equal(one[name], three[name]) for name in OUTPUTS)


def test_images_are_the_same_in_any_batch(tee, tee_scenery):
    pictures = []
    for worlds in (1, 3):
        settings = SimulatorSettings(worlds=worlds, agents=6)
        simulator = Simulator(tee, settings, seed=11, threads=1)
        for _ in range(5):
            simulator.step(np.full(simulator.shape, 7))
        pictures.append(images_of(simulator, tee_scenery))
    assert all(np.array_equal(pictures[0][name][0], pictures[1][name][0]) for name in OUTPUTS)


def test_a_chosen_slot_sees_what_it_sees_among_all(busy_tee, tee_scenery):
    every = images_of(busy_tee, tee_scenery)
    some = images_of(busy_tee, tee_scenery, agents=[4, 1])
    assert all(np.array_equal(every[name][:, [4, 1]], some[name]) for name in OUTPUTS)


def test_maps_of_a_batch_are_seen_as_alone(tee, tee_scenery, straight, straight_scenery):
    settings = SimulatorSettings(worlds=2, agents=4)
    mixed = Simulator([straight, tee], settings, seed=3, threads=1)
    images = images_of(mixed, [straight_scenery, tee_scenery])
    alone = Simulator(tee, replace(settings, worlds=1), seed=3, first_world=1, threads=1)
    expected = images_of(alone, tee_scenery)
    assert all(np.array_equal(images[name][1], expected[name][0]) for name in OUTPUTS)


def test_one_output_is_the_same_as_among_all(busy_tee, tee_scenery):
    every = images_of(busy_tee, tee_scenery)
    for name in OUTPUTS:
        renderer = CameraRenderer(
            busy_tee, load_rig("front"), tee_scenery, outputs=(name,), appearance=VARIED
        )
        assert np.array_equal(renderer.render()[name], every[name])


def test_images_are_views_of_one_memory_that_is_overwritten(tee, tee_scenery):
    simulator = Simulator(tee, SimulatorSettings(worlds=1, agents=3), seed=1, threads=1)
    renderer = CameraRenderer(simulator, load_rig("front"), tee_scenery, outputs=("rgb",))
    first = renderer.render()["rgb"]
    before = first.copy()
    clear(simulator)
    assert renderer.render()["rgb"].ctypes.data == first.ctypes.data
    assert not np.array_equal(before, first)
    assert first.shape == (1, 3, 1, 64, 96, 3)


def test_looks_change_with_the_seed_and_classes_do_not(busy_tee, tee_scenery):
    still = replace(VARIED, camera_shift=0.0, camera_turn=0.0)
    one = images_of(busy_tee, tee_scenery, appearance=still)
    again = images_of(busy_tee, tee_scenery, appearance=still)
    other = images_of(busy_tee, tee_scenery, appearance=replace(still, seed=1))
    assert np.array_equal(one["rgb"], again["rgb"])
    assert (one["rgb"] != other["rgb"]).mean() > 0.5
    for name in ("class_id", "depth", "instance"):
        assert np.array_equal(one[name], other[name])


def test_an_appearance_can_be_changed(busy_tee, tee_scenery):
    renderer = CameraRenderer(busy_tee, load_rig("front"), tee_scenery, appearance=VARIED)
    varied = renderer.render()["rgb"].copy()
    renderer.change_appearance(Appearance())
    plain = renderer.render()["rgb"]
    expected = images_of(busy_tee, tee_scenery, appearance=Appearance())["rgb"]
    assert np.array_equal(plain, expected)
    assert not np.array_equal(plain, varied)


def test_a_world_that_begins_anew_gets_its_new_look(tee, tee_scenery):
    simulator = Simulator(tee, SimulatorSettings(worlds=2, agents=3), seed=1, threads=1)
    renderer = CameraRenderer(
        simulator, load_rig("front"), tee_scenery, appearance=VARIED, agents=[0], threads=1
    )
    before = renderer.render()["rgb"].copy()
    seeds = simulator.scene.seed.numpy()
    seeds[:] = seeds[::-1] + np.array([0, 5], seeds.dtype)  # the second one's look, then another
    after = renderer.render()["rgb"].copy()
    expected = images_of(simulator, tee_scenery, agents=[0])["rgb"]
    assert np.array_equal(after, expected)
    assert (after != before).mean() > 0.5


def test_noise_has_the_range_that_was_asked_for_and_no_bias(busy_tee, tee_scenery):
    plain = images_of(busy_tee, tee_scenery, appearance=Appearance())["rgb"].astype(float)
    noisy = images_of(busy_tee, tee_scenery, appearance=Appearance(noise=(0.04, 0.04)))["rgb"]
    apart = (noisy - plain)[(plain > 20) & (plain < 235)]
    assert np.abs(apart).max() <= 0.04 * 255 + 1
    assert abs(apart.mean()) < 0.5  # colours were rounded too
    # Uniform between -a and a: standard deviation a / √3.
    assert apart.std() == pytest.approx(0.04 * 255 / np.sqrt(3), rel=0.02)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"outputs": ("colour",)}, "outputs: 'colour'; use some of rgb, class_id, depth, instance"),
        ({"outputs": ()}, "outputs: none"),
        ({"agents": [6]}, "agents: \\(6,\\); give slots from 0 to 5"),
        ({"agents": []}, "agents: \\(\\); give slots"),
    ],
)
def test_what_cannot_be_rendered_is_refused_in_one_line(busy_tee, tee_scenery, change, words):
    with pytest.raises(SettingsError, match=words) as error:
        CameraRenderer(busy_tee, load_rig("front"), tee_scenery, **change)
    assert "\n" not in str(error.value)


def test_scenery_of_another_map_is_refused(busy_tee, straight_scenery):
    with pytest.raises(SettingsError, match=r"maps: .*straight.*; give the simulator's"):
        CameraRenderer(busy_tee, Rig("r", load_rig("front").cameras), straight_scenery)

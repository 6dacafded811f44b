from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import warp as wp

from gigalane.core.settings import SettingsError
from gigalane.maps.compile import compile_map
from gigalane.maps.road import MarkType, RoadMark
from gigalane.render.birdview import GROUPS, BirdviewRenderer, BirdviewSettings, unpack
from gigalane.render.birdview_draw import draw_rows
from gigalane.sim.scene import Body, Duty
from gigalane.sim.settings import LightSettings, SimulatorSettings, SpawnSettings, TrafficSettings
from gigalane.sim.simulator import Simulator
from reference import maps
from reference.birdview_twin import Twin

SMALL, PAPER = BirdviewSettings.small(), BirdviewSettings()


def planes_of(rasters, settings) -> np.ndarray:
    """(…, planes, pixels, pixels) bool."""
    packed = np.asarray(rasters)[..., None, :, :]
    bits = np.arange(len(settings.planes))[:, None, None]
    return (packed >> bits & 1).astype(bool)


def write(array, change) -> None:
    """Changes records of a Warp array in place: `change` gets them as NumPy records."""
    records = array.numpy()
    change(records)
    assert array.device.is_cpu  # there the records are the array itself


def marked(road_map):
    """The map with a solid left and a broken right line along every lane outside junctions."""
    return replace(
        road_map,
        lanes=tuple(
            lane
            if lane.is_junction or not lane.is_drivable
            else replace(
                lane,
                left_marks=(RoadMark(0.0, 1e9, MarkType.SOLID),),
                right_marks=(RoadMark(3.0, lane.length - 4.0, MarkType.BROKEN),),
            )
            for lane in road_map.lanes
        ),
    )


def lines_of(road_map, origin):
    """What `marked` painted, by its own arithmetic: (polyline, whether broken)."""
    found = []
    for lane in road_map.lanes:
        for line, marks in ((lane.left_boundary, lane.left_marks),
                            (lane.right_boundary, lane.right_marks)):  # fmt: skip
            for mark in marks:
                steps = np.linalg.norm(np.diff(line[:, :2], axis=0), axis=1)
                arc = np.concatenate([[0], np.cumsum(steps)])
                at = np.arange(mark.start, min(mark.end, arc[-1]), 1.0)
                at = np.append(at, min(mark.end, arc[-1]))
                points = [np.interp(at, arc, line[:, axis]) for axis in range(3)]
                found.append((np.stack(points, 1) - origin, mark.type == MarkType.BROKEN))
    return found


BUSY = SimulatorSettings(
    worlds=2,
    agents=14,
    time_steps=(0.1, 0.3),
    spawn=SpawnSettings(pedestrians=0.3, cyclists=0.2),
    traffic=TrafficSettings(scripted=0.6),
    lights=LightSettings(missing_light=0.0, missing_group=0.0, missing_all=0.0),
)


@pytest.mark.parametrize("settings", [SMALL, PAPER], ids=["small", "paper"])
@pytest.mark.parametrize("name", ["tee", "ring", "all_way_stop", "bridge"])
def test_every_pixel_of_every_channel_is_what_a_pixel_by_pixel_twin_says(name, settings):
    road_map = marked(getattr(maps, name)())
    simulator = Simulator(road_map, BUSY, seed=4, threads=1)
    renderer = BirdviewRenderer(simulator, settings, [road_map])
    lines = lines_of(road_map, simulator.maps[0].origin_map)
    twins = [Twin(simulator, world, settings, lines) for world in range(2)]
    assert len({twin.dt for twin in twins}) == 2
    random = np.random.default_rng(1)
    unsure = seen = 0
    for step in range(19):
        if step:
            simulator.step(random.integers(0, 12, simulator.shape))
        renderer.note()
        for twin in twins:
            twin.watch()
        if step not in (4, 18) or (step == 4 and settings is PAPER):
            continue
        found = planes_of(renderer.render().numpy(), settings).reshape(
            (*simulator.shape, -1, settings.pixels, settings.pixels)
        )
        agents = (0, 4, 8) if settings is SMALL else (0,)
        for world, twin in enumerate(twins):
            for agent in agents:
                surely, possibly = twin.raster(agent)
                assert not (surely & ~found[world, agent]).any(axis=(1, 2)).any()
                assert not (found[world, agent] & ~possibly).any(axis=(1, 2)).any()
                exact = [bit for bit, plane in enumerate(settings.planes)
                         if plane.channel not in ("road", "marks")]  # fmt: skip
                unsure += (possibly & ~surely)[exact].sum()
                seen += surely[exact].sum()
    # The twin is hardly ever in doubt where it does not allow for seams and simplified lines.
    assert unsure < 0.03 * seen
    assert seen > 1000


def check_towns(simulator, agents):
    """Compares everything but paint on a larger map with the twin."""
    settings = replace(SMALL, channels=tuple(name for name in GROUPS if name != "marks"))
    renderer = BirdviewRenderer(simulator, settings)
    twin = Twin(simulator, 0, settings, [])
    random = np.random.default_rng(1)
    for step in range(12):
        if step:
            simulator.step(random.integers(0, 12, simulator.shape))
        renderer.note()
        twin.watch()
    found = planes_of(renderer.render(np.arange(agents)).numpy(), settings)
    for agent in range(agents):
        surely, possibly = twin.raster(agent)
        assert not (surely & ~found[agent]).any()
        assert not (found[agent] & ~possibly).any()
    assert found[:, 0].mean() > 0.1


def test_procedural_towns_are_drawn_as_the_twin_draws_them():
    from gigalane.maps.sources import open_map

    simulator = Simulator(open_map("town:2"), replace(BUSY, worlds=1, agents=30), seed=5, threads=1)
    check_towns(simulator, 5)


@pytest.mark.data
def test_carla_towns_with_ramps_and_tunnels_are_drawn_as_the_twin_draws_them(town):
    simulator = Simulator(town, replace(BUSY, worlds=1, agents=60), seed=5, threads=1)
    check_towns(simulator, 5)


def empty_road(compiled, agents=4, **changes) -> Simulator:
    """A simulator whose road users stand where a test puts them."""
    settings = SimulatorSettings(worlds=1, agents=agents, time_steps=(0.1,), **changes)
    simulator = Simulator(compiled, settings, seed=0, threads=1)
    place(simulator, 0, 0.0, 0.0, 0.0)
    for agent in range(1, agents):
        place(simulator, agent, 1e4, 1e4, 0.0)
    return simulator


def place(simulator, agent, x, y, heading, length=4.0, width=2.0, kind=0, z=0.0, age=10.0):
    """Puts a road user somewhere in the map frame [m, rad]."""
    x, y, z = np.array([x, y, z]) - simulator.maps[0].origin_map
    cos, sin = np.cos(heading), np.sin(heading)
    scene = simulator.scene
    body = scene.body.numpy()
    for name, value in dict(x=x, y=y, z=z, heading=heading, cos=cos, sin=sin).items():
        body[0, agent][name] = value
    duty = scene.duty.numpy()
    duty[0, agent]["age"] = age
    duty[0, agent]["stopped_control"] = -1
    scene.body.assign(_records(body, Body))
    scene.duty.assign(_records(duty, Duty))
    boxes = scene.boxes.numpy()
    boxes[0, :, agent] = (x, y, z, cos, sin, 0.0, length / 2, width / 2, kind)
    scene.boxes.assign(boxes)


def _records(values, kind):
    return wp.array(values, dtype=kind, device="cpu")


def channel(renderer, name, agent=0) -> np.ndarray:
    images = unpack(renderer.render([agent]).numpy(), renderer.settings)[0]
    return images[renderer.settings.channel_names.index(name)]


def box_of(image) -> tuple[int, int, int, int]:
    """First and last row and column that are not black."""
    rows, columns = np.flatnonzero(image.any(1)), np.flatnonzero(image.any(0))
    return rows[0], rows[-1], columns[0], columns[-1]


def test_the_ego_looks_up_and_stands_forty_pixels_above_the_lower_edge(straight):
    simulator = empty_road(straight)
    # Around a car 10 m ahead and 3 m to the left of an ego that looks north.
    place(simulator, 0, 0.0, 0.0, np.pi / 2)
    place(simulator, 1, -3.0, 10.0, np.pi / 2)
    image = channel(BirdviewRenderer(simulator), "vehicles 0 s ago")
    # 10 m are 50 pixels: rows 152 - 50 ± 10; 3 m are 15: columns 96 - 15 ± 5.
    assert box_of(image) == (92, 111, 76, 85)
    assert (image > 0).sum() == 20 * 10
    # The ego is not among the vehicles, behind it is 8 m of road.
    place(simulator, 1, 0.0, -7.0, np.pi / 2, length=1.9)
    assert box_of(channel(BirdviewRenderer(simulator), "vehicles 0 s ago")) == (182, 191, 91, 100)


def test_walkers_are_drawn_twice_their_size_and_never_smaller_than_four_pixels(straight):
    simulator = empty_road(straight)
    place(simulator, 1, 10.0, 0.0, 0.0, length=0.6, width=1.0, kind=3)
    place(simulator, 2, 20.0, 0.0, 0.0, length=0.1, width=0.1, kind=3)
    renderer = BirdviewRenderer(simulator)
    image = channel(renderer, "walkers 0 s ago")
    assert box_of(image[96:]) == (3, 8, 91, 100)  # 1.2 m x 2 m
    assert box_of(image[:96]) == (50, 53, 94, 97)  # 0.8 m x 0.8 m
    assert not channel(renderer, "vehicles 0 s ago").any()


def test_the_past_shows_where_others_were_relative_to_where_the_ego_is_now(straight):
    simulator = empty_road(straight)
    renderer = BirdviewRenderer(simulator)
    for step in range(21):
        simulator.scene.clock.fill_(step)
        place(simulator, 0, 0.2 * step, 0.0, 0.0, age=0.1 * step)
        place(simulator, 1, 20.0 - 0.4 * step, 0.0, 0.0)
        renderer.note()
    # Now the ego is at 4 m and the other was at 12 m + 4 m/s times the time that has passed.
    for ago in (1.5, 1.0, 0.5, 0.0):
        first, last, *_ = box_of(channel(renderer, f"vehicles {ago:g} s ago"))
        ahead = 12.0 + 4.0 * ago - 4.0
        assert (first + last + 1) / 2 == pytest.approx(152 - 5 * ahead, abs=0.51)
    # An ego that appeared 0.7 s ago sees no further back.
    place(simulator, 0, 4.0, 0.0, 0.0, age=0.7)
    for ago in (1.5, 1.0):
        first, last, *_ = box_of(channel(renderer, f"vehicles {ago:g} s ago"))
        assert (first + last + 1) / 2 == pytest.approx(152 - 5 * (8.0 + 4.0 * 0.7), abs=0.51)


def test_times_are_whole_steps_of_each_world_and_steps_not_noted_are_stood_for_by_the_next(
    straight,
):
    simulator = empty_road(straight)
    simulator.scene.dt.fill_(0.3)
    renderer = BirdviewRenderer(simulator)
    for step in range(8):
        simulator.scene.clock.fill_(step)
        place(simulator, 0, 0.0, 0.0, 0.0)
        place(simulator, 1, 1.0 + 2.0 * step, 0.0, 0.0)
        if step != 5:
            renderer.note()
    # At 0.3 s a step: 1.5 s are 5 steps, 1.0 s are 3, 0.5 s are 2, of which step 5 is missing.
    for ago, step in ((1.5, 2), (1.0, 4), (0.5, 6), (0.0, 7)):
        first, last, *_ = box_of(channel(renderer, f"vehicles {ago:g} s ago"))
        assert (first + last + 1) / 2 == 152 - 5 * (1 + 2 * step)


def test_a_world_that_begins_anew_forgets(straight):
    simulator = Simulator(straight, SimulatorSettings(worlds=2, agents=6), seed=0, threads=1)
    renderer = BirdviewRenderer(simulator, SMALL)
    for _ in range(9):
        simulator.step(np.full(simulator.shape, 7))
        renderer.note()
    simulator.reset(7)
    fresh = BirdviewRenderer(simulator, SMALL)
    for _ in range(12):
        simulator.step(np.full(simulator.shape, 7))
        renderer.note()
        fresh.note()
    assert np.array_equal(renderer.render().numpy(), fresh.render().numpy())
    # Without a new seed it has to be told.
    renderer.reset()
    empty = BirdviewRenderer(simulator, SMALL)
    assert np.array_equal(renderer.render().numpy(), empty.render().numpy())


def test_snapshots_and_forks_carry_the_past_with_them(tee):
    settings = replace(BUSY, worlds=2)
    simulator = Simulator(tee, settings, seed=3, threads=1)
    renderer = BirdviewRenderer(simulator, SMALL)
    random = np.random.default_rng(0)
    actions = [random.integers(0, 12, simulator.shape) for _ in range(24)]
    for action in actions[:16]:
        simulator.step(action)
        renderer.note()
    kept, past = simulator.snapshot(), renderer.snapshot()
    forked = simulator.fork(3)
    forked_renderer = renderer.fork(forked)
    expected = []
    for action in actions[16:]:
        simulator.step(action)
        forked.step(np.repeat(action, 3, axis=0))
        expected.append(renderer.render().numpy().copy())
        copies = forked_renderer.render().numpy().reshape(2, 3, 14, 64, 64)
        assert np.array_equal(copies, expected[-1].reshape(2, 1, 14, 64, 64).repeat(3, 1))
    simulator.restore(kept)
    renderer.restore(past)
    for action, raster in zip(actions[16:], expected, strict=True):
        simulator.step(action)
        assert np.array_equal(renderer.render().numpy(), raster)


def test_a_batch_shows_the_same_at_any_size_number_of_threads_and_choice_of_rows(tee):
    settings = replace(BUSY, worlds=6)
    whole = Simulator(tee, settings, seed=3, threads=1)
    threaded = Simulator(tee, settings, seed=3, threads=3)
    parts = [
        Simulator(tee, replace(settings, worlds=2), seed=3, threads=1, first_world=first)
        for first in (0, 2, 4)
    ]
    simulators = [whole, threaded, *parts]
    renderers = [BirdviewRenderer(simulator, PAPER) for simulator in simulators]
    random = np.random.default_rng(0)
    for _ in range(12):
        action = random.integers(0, 12, whole.shape)
        shares = [action, action, action[:2], action[2:4], action[4:]]
        for simulator, renderer, share in zip(simulators, renderers, shares, strict=True):
            simulator.step(share)
            renderer.note()
    first, second, *rest = [renderer.render().numpy().copy() for renderer in renderers]
    assert np.array_equal(first, second)
    assert np.array_equal(first, np.concatenate(rest))
    rows = [70, 3, 3, 41]
    assert np.array_equal(renderers[1].render(rows).numpy(), first[rows])
    assert renderers[1].render([]).shape == (0, 192, 192)


@pytest.mark.parametrize("settings", [SMALL, PAPER], ids=["small", "paper"])
def test_a_thread_a_row_draws_what_a_thread_a_raster_draws(tee, settings):
    simulator = Simulator(tee, replace(BUSY, worlds=1), seed=3, threads=1)
    renderer = BirdviewRenderer(simulator, settings)
    for _ in range(6):
        simulator.step(np.full(simulator.shape, 7))
        renderer.note()
    whole = renderer.render().numpy().copy()
    rows, pixels = simulator.shape[1], settings.pixels
    words = 8 + len(settings.planes) * pixels // 64 * pixels
    out = wp.zeros(rows * pixels * pixels * settings.bits // 32, dtype=int)
    inputs = [
        renderer._canvas,
        simulator.rules,
        simulator.road,
        renderer._birdview,
        simulator.scene,
        renderer._history,
        wp.array(np.arange(rows), dtype=int),
        wp.zeros(rows * words, dtype=wp.uint64),
        out,
    ]
    wp.launch(draw_rows, dim=(rows, pixels), inputs=inputs)
    assert whole.any()
    assert np.array_equal(out.numpy().view(whole.dtype).reshape(whole.shape), whole)


@pytest.mark.parametrize("name", ["tee", "ring"])
def test_a_turned_and_moved_world_looks_the_same(name):
    road_map = marked(getattr(maps, name)())
    other_map = maps.transformed(road_map, turn=np.pi / 2, shift=(300.0, -700.0, 20.0))
    simulators = [Simulator(m, BUSY, seed=2, threads=1) for m in (road_map, other_map)]
    one, other = simulators
    # The same road users, turned and moved by hand.
    turned = [s.maps[0].origin_map for s in simulators]
    scene = one.scene
    for array in ("status", "route", "duty", "agent_count", "seed", "dt", "clock"):
        getattr(other.scene, array).assign(getattr(scene, array))

    def moved(x, y, z):
        at = np.stack([x, y, z], -1) + turned[0]
        return (
            np.stack([-at[..., 1] + 300.0, at[..., 0] - 700.0, at[..., 2] + 20.0], -1) - turned[1]
        )

    boxes, body = scene.boxes.numpy().copy(), scene.body.numpy().copy()
    boxes[:, :3] = moved(*boxes[:, :3].swapaxes(0, 1)).transpose(0, 2, 1)
    boxes[:, 3], boxes[:, 4] = -boxes[:, 4].copy(), boxes[:, 3].copy()
    x, y, z = np.moveaxis(moved(body["x"], body["y"], body["z"]), -1, 0)
    body["x"], body["y"], body["z"] = x, y, z
    body["cos"], body["sin"] = -body["sin"].copy(), body["cos"].copy()
    other.scene.boxes.assign(boxes)
    other.scene.body.assign(_records(body, Body))
    rasters = [
        planes_of(BirdviewRenderer(s, SMALL, [m]).render().numpy(), SMALL)
        for s, m in zip(simulators, (road_map, other_map), strict=True)
    ]
    # Crossings are compiled anew, and may run the other way: a walker's route too.
    drives = scene.traits.numpy()["kind"].reshape(-1) != 3
    rasters = [raster[drives] for raster in rasters]
    # Centres that lie on an edge may go either way: very few do.
    same, differ = ((rasters[0] & rasters[1]).sum(), (rasters[0] ^ rasters[1]).sum())
    assert same > 20_000
    assert differ < 0.0005 * same


def test_a_bridge_is_not_seen_from_below_nor_the_road_below_from_it(bridge):
    segments = bridge.segments
    heights = np.unique(np.round(segments["z"] + bridge.origin_map[2], 1))
    assert len(heights) == 2 and heights[1] - heights[0] > 5
    for z in heights:
        simulator = empty_road(bridge)
        here = np.isclose(segments["z"] + bridge.origin_map[2], z, atol=0.1)
        heading = float(np.arctan2(segments["sin"][here][0], segments["cos"][here][0]))
        # At the crossing, where both roads pass.
        place(simulator, 0, -11.0 * np.cos(heading), -11.0 * np.sin(heading), heading, z=z)
        place(simulator, 1, 0.0, 0.0, 0.0, z=heights[0])
        place(simulator, 2, 0.0, 0.0, 0.0, z=heights[1], length=8.0)
        renderer = BirdviewRenderer(simulator)
        road = channel(renderer, "road")
        # Only the road that the ego is on: as wide everywhere.
        widths = (road > 0).sum(axis=1)
        assert widths.min() > 0 and widths.max() - widths.min() <= 1
        vehicle = channel(renderer, "vehicles 0 s ago")
        assert (vehicle > 0).sum() == (20 * 10 if z == heights[0] else 40 * 10)


def test_at_the_end_of_the_map_there_is_no_road(straight):
    simulator = empty_road(straight)
    x = straight.segments["x"] + straight.origin_map[0]
    place(simulator, 0, float(x.max()), 0.0, 0.0)
    road = channel(BirdviewRenderer(simulator), "road")
    assert road[-1].any() and not road[:100].any()
    # Far off the map nothing is drawn, and nothing breaks.
    place(simulator, 0, 5e3, -5e3, 1.0)
    assert not BirdviewRenderer(simulator).render([0]).numpy().any()


def test_lanes_that_lie_side_by_side_leave_no_gap(ring):
    simulator = Simulator(ring, SimulatorSettings(worlds=8, agents=8), seed=0, threads=1)
    settings = BirdviewSettings(channels=("road",))
    road = BirdviewRenderer(simulator, settings).render().numpy() > 0
    middle = ~road[:, 1:-1, 1:-1]
    assert not (middle & road[:, :-2, 1:-1] & road[:, 2:, 1:-1]).any()
    assert not (middle & road[:, 1:-1, :-2] & road[:, 1:-1, 2:]).any()


def test_an_empty_slot_has_an_empty_raster(straight):
    settings = SimulatorSettings(worlds=4, agents=8, agents_least=2)
    simulator = Simulator(straight, settings, seed=1, threads=1)
    rasters = BirdviewRenderer(simulator, SMALL).render().numpy().reshape(4, 8, -1)
    counts = simulator.scene.agent_count.numpy()
    assert counts.min() < 8
    for world, count in enumerate(counts):
        assert rasters[world, :count].any(axis=-1).all()
        assert not rasters[world, count:].any()


def test_lights_show_their_colour_then_and_now_and_stop_signs_until_they_are_obeyed():
    tee = compile_map(maps.tee())
    always = LightSettings(missing_light=0.0, missing_group=0.0, missing_all=0.0, always_green=0.0)
    simulator = empty_road(tee, lights=always)
    # On arm 0, 20 m before the light at 12 m.
    place(simulator, 0, 32.0, 1.75, np.pi)
    renderer = BirdviewRenderer(simulator)
    shown = []
    for step in range(400):
        simulator.scene.clock.fill_(step)
        renderer.note()
        images = [channel(renderer, f"controls {ago:g} s ago") for ago in (0.0, 1.0)]
        # The own line lies across the middle column; others are further to the sides or ahead.
        own = [image[42:62, 90:102].max() for image in images]
        shown.append(own)
    now, before = np.array(shown).T
    assert set(now) == {255, 170, 80}
    assert np.array_equal(now[:-10], before[10:])
    runs = now[np.flatnonzero(np.diff(now.astype(int))) + 1]
    follows = {80: 170, 170: 255, 255: 80}
    assert len(runs) >= 3
    assert all(follows[a] == b for a, b in pairwise(runs))


def test_a_stop_sign_is_shown_on_the_route_until_a_full_stop_is_made():
    compiled = compile_map(maps.all_way_stop())
    simulator = empty_road(compiled)
    lane = compiled.lane_ids.index("in:0")
    control = int(compiled.lane_controls[compiled.lanes[lane]["control_start"]]["control"])
    route = simulator.scene.route.numpy()
    route[0, 0]["lanes"][0], route[0, 0]["offsets"][0] = lane, 0.0
    route[0, 0]["lane_count"], route[0, 0]["lane_index"], route[0, 0]["length"] = 1, 0, 120.0
    route[0, 0]["progress"] = 100.0
    from gigalane.sim.scene import Route

    simulator.scene.route.assign(_records(route, Route))
    place(simulator, 0, 32.0, 1.75, np.pi)
    renderer = BirdviewRenderer(simulator)
    image = channel(renderer, "controls 0 s ago")
    # The line is 12 m from the origin, 20 m ahead, 3.5 m wide and drawn 1.2 m thick.
    assert box_of(image) == (49, 54, 87, 104)
    # The route is drawn from here on, 3.2 m wide.
    assert box_of(channel(renderer, "route"))[1:] == (151, 88, 103)
    duty = simulator.scene.duty.numpy()
    duty[0, 0]["stopped_control"] = control
    simulator.scene.duty.assign(_records(duty, Duty))
    assert not channel(renderer, "controls 0 s ago").any()


def test_solid_lines_are_brighter_than_broken_ones(straight_road):
    road_map = marked(straight_road)
    compiled = compile_map(road_map)
    simulator = empty_road(compiled)
    image = channel(BirdviewRenderer(simulator, road_maps=[road_map]), "marks")
    assert set(np.unique(image)) == {0, 120, 255}
    small = BirdviewRenderer(simulator, SMALL, [road_map])
    assert set(np.unique(channel(small, "marks"))) == {0, 255}
    # Lines are not interrupted at any heading: every row of the raster meets the same number.
    for heading in (0.0, 0.2, -0.4):
        place(simulator, 0, 60.0, 0.0, heading)
        image = channel(small, "marks") > 0
        assert image.any(axis=1).all()


def test_without_road_maps_lines_are_told_from_lanes(ring):
    simulator = Simulator(ring, SimulatorSettings(worlds=1, agents=4), seed=0, threads=1)
    image = channel(BirdviewRenderer(simulator), "marks")
    assert {120, 255} <= set(np.unique(image))


def test_channels_can_be_left_out(tee):
    simulator = Simulator(tee, replace(BUSY, worlds=1), seed=3, threads=1)
    whole = unpack(BirdviewRenderer(simulator, PAPER).render().numpy(), PAPER)
    for names in (("road",), ("vehicles", "controls"), GROUPS[1:]):
        settings = BirdviewSettings(channels=names)
        some = unpack(BirdviewRenderer(simulator, settings).render().numpy(), settings)
        chosen = [PAPER.channel_names.index(name) for name in settings.channel_names]
        assert np.array_equal(some, whole[:, chosen])


def test_the_papers_raster_has_fifteen_channels_and_the_small_one_sixteen_bits(tee):
    assert len(PAPER.channel_names) == len(SMALL.channel_names) == 15
    assert (PAPER.bits, SMALL.bits) == (32, 16)
    simulator = Simulator(tee, replace(BUSY, worlds=1), seed=3, threads=1)
    raster = BirdviewRenderer(simulator, SMALL).render().numpy()
    assert raster.dtype == np.int16 and raster.shape == (14, 64, 64)
    assert BirdviewRenderer(simulator).render().numpy().dtype == np.int32


@pytest.mark.parametrize(
    ("changes", "cure"),
    [
        ({"pixels": 100}, "64"),
        ({"channels": ("sky",)}, "road"),
        ({"times": ()}, "1 to 8"),
        ({"times": (-1.0,)}, "0 s ago"),
        ({"metres_per_pixel": 0.0}, "above 0"),
        ({"times": (0.5,) * 8}, "31"),
    ],
)
def test_settings_that_cannot_be_drawn_are_refused_with_a_cure(changes, cure):
    with pytest.raises(SettingsError, match=cure):
        BirdviewSettings(**changes)


def test_rows_and_maps_that_are_not_there_are_refused(straight, straight_road):
    simulator = Simulator(straight, SimulatorSettings(worlds=1, agents=4), threads=1)
    with pytest.raises(SettingsError, match="0 to 3"):
        BirdviewRenderer(simulator, SMALL).render([4])
    with pytest.raises(SettingsError, match="2 road maps"):
        BirdviewRenderer(simulator, SMALL, [straight_road] * 2)

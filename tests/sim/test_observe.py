from dataclasses import replace

import numpy as np
import pytest

from gigalane.maps.compile import CompileSettings, compile_map
from gigalane.maps.tokens import TokenSettings
from gigalane.sim.layout import ObservationLayout
from gigalane.sim.settings import (
    LightSettings,
    ObservationSettings,
    SimulatorSettings,
    SpawnSettings,
    TrafficSettings,
)
from gigalane.sim.simulator import Simulator
from reference import maps
from reference.observation import Observer
from reference.stage import PLAIN, Stage

# Half precision keeps 11 bits; float32 rounding of metres far from the origin adds a little.
CLOSE = {"rtol": 6e-4, "atol": 4e-4}


def assert_rows_are_the_twins(simulator):
    observer = Observer(simulator)
    found = simulator.scene.observation.numpy().astype(np.float64)
    # Slots that nobody has held yet show nothing worth a look.
    held = simulator.scene.duty.numpy()["episode"] > 0
    for world, agent in np.argwhere(held):
        expected = observer.row(world, agent)
        wrong = ~np.isclose(found[world, agent], expected, **CLOSE)
        # Angles just across half a turn are the same angle.
        wrong[1] &= not np.isclose(abs(found[world, agent, 1] - expected[1]), 2 * np.pi, atol=0.01)
        assert not wrong.any(), (
            world,
            agent,
            np.flatnonzero(wrong),
            expected[wrong],
            found[world, agent][wrong],
        )
    return int(held.sum())


@pytest.mark.parametrize("name", ["ring", "tee"])
def test_every_number_of_a_row_is_the_twins(name, request):
    settings = SimulatorSettings(
        worlds=6,
        agents=10,
        spawn=SpawnSettings(cyclists=0.2, pedestrians=0.2, delay=2),
        lights=LightSettings(missing_all=0.0),
        observation=ObservationSettings(partners=5, partner_range=45.0, controls=3),
    )
    simulator = Simulator(request.getfixturevalue(name), settings, seed=3)
    rng = np.random.default_rng(0)
    assert assert_rows_are_the_twins(simulator) >= 45
    for _ in range(4):
        for _ in range(8):
            simulator.step(rng.integers(0, 12, (6, 10)))
        assert_rows_are_the_twins(simulator)


def test_slots_lie_end_to_end_in_a_row_padded_to_eight():
    layout = ObservationLayout(given=52, road=48, partners=16, controls=4)
    assert (layout.road_start, layout.partners_start, layout.controls_start) == (52, 340, 500)
    assert layout.width == 528
    assert ObservationLayout(given=50, road=0, partners=0, controls=0).width == 56


def test_gigaflow_observation_has_the_papers_counts(ring_road):
    compiled = compile_map(ring_road, CompileSettings(tokens=TokenSettings.gigaflow()))
    settings = SimulatorSettings(worlds=2, agents=4, observation=ObservationSettings.gigaflow())
    layout = Simulator(compiled, settings).layout
    assert (layout.road, layout.partners, layout.controls) == (160, 20, 5)


def test_partners_are_the_nearest_ones_in_range_nearest_first(straight):
    near = replace(PLAIN, agents=6, observation=ObservationSettings(partners=3, partner_range=50.0))
    stage = Stage(straight, near)
    for slot, arc in enumerate((100.0, 139.0, 120.0, 149.9, 150.1, 91.0)):
        stage.put("east", arc, slot=slot)
    stage.step()
    start = stage.simulator.layout.partners_start
    seen = stage.observation[0, 0, start : start + 30].reshape(3, 10)
    assert (seen[:, 0] * 50.0).tolist() == pytest.approx([-9.0, 20.0, 39.0], abs=0.05)
    last = stage.observation[0, 4, start : start + 30].reshape(3, 10)
    # Who is 50.1 m away from the first sees others nearer by.
    assert (last[:, 0] * 50.0).tolist() == pytest.approx([-0.2, -11.1, -30.1], abs=0.05)


def test_road_users_on_another_level_are_seen_with_their_height(bridge):
    stage = Stage(bridge).put("under", 190.0).put("over", 200.0, slot=1)
    stage.put("over", 230.0, slot=2).step()
    start = stage.simulator.layout.partners_start
    seen = stage.observation[0, 0, start : start + 20].reshape(2, 10)
    assert (seen[:, 8] * 5.0).tolist() == pytest.approx([6.0, 6.0], abs=0.01)


def test_nobody_is_seen_where_partners_are_switched_off(straight):
    blind = replace(PLAIN, observation=ObservationSettings(see_partners=False))
    stage = Stage(straight, blind).put("east", 50.0).put("east", 60.0, slot=1).step()
    layout = stage.simulator.layout
    assert not stage.observation[0, :, layout.partners_start : layout.controls_start].any()


def test_dropout_blanks_its_share_of_lane_and_edge_tokens(ring):
    settings = SimulatorSettings(
        worlds=60, agents=4, observation=ObservationSettings(lane_dropout=0.5, edge_dropout=0.4)
    )
    full = Simulator(ring, replace(settings, observation=ObservationSettings()), seed=2)
    simulator = Simulator(ring, settings, seed=2)
    start, count = simulator.layout.road_start, simulator.layout.road
    there = simulator.scene.active.numpy().astype(bool)
    vehicle = there & (simulator.scene.traits.numpy()["kind"] != 3)

    def tokens(one):
        rows = one.scene.observation.numpy()[vehicle]
        return rows[:, start : start + 6 * count].reshape(len(rows), count, 6)

    seen, whole = tokens(simulator), tokens(full)
    gone = ~seen.any(axis=2)
    assert np.array_equal(seen[~gone], whole[~gone])
    exists = whole.any(axis=2)
    lanes = TokenSettings().lane_points
    assert gone[:, :lanes][exists[:, :lanes]].mean() == pytest.approx(0.5, abs=0.02)
    assert gone[:, lanes:][exists[:, lanes:]].mean() == pytest.approx(0.4, abs=0.02)
    # A new draw each step, and nothing else changes.
    rest = np.r_[0:start, start + 6 * count : simulator.layout.width]
    assert np.array_equal(
        simulator.scene.observation.numpy()[..., rest], full.scene.observation.numpy()[..., rest]
    )


def test_dropout_tells_lane_from_edge_tokens_on_maps_with_few_points():
    # A short road has fewer lane points than there are tokens for them.
    short = compile_map(maps.straight_road(60.0))
    assert (short.road_tokens[:, 27] < 0).all()
    settings = replace(PLAIN, worlds=40, agents=1)
    edges_gone = replace(settings, observation=ObservationSettings(edge_dropout=1.0))
    kinds = []
    for one in (settings, edges_gone):
        simulator = Simulator(short, one, seed=1)
        start, end = simulator.layout.road_start, simulator.layout.partners_start
        rows = simulator.scene.observation.numpy()[simulator.scene.active.numpy().astype(bool)]
        kinds.append(rows[:, start + 5 : end : 6].copy())
    assert (kinds[0] < 0).any()
    assert np.array_equal(kinds[1], np.maximum(kinds[0], 0.0))


def test_noise_moves_partners_by_its_standard_deviation(straight):
    noisy = replace(
        PLAIN,
        worlds=400,
        agents=2,
        observation=ObservationSettings(position_noise=0.4, velocity_noise=0.6),
    )
    stage = Stage(straight, noisy)
    for world in range(400):
        stage.put("east", 100.0, world=world).put("east", 110.0, world=world, slot=1, speed=2.0)
    stage.step()
    start = stage.simulator.layout.partners_start
    seen = stage.observation[:, 0, start : start + 10].astype(float)
    ahead, left, relative = seen[:, 0] * 50.0, seen[:, 1] * 50.0, seen[:, 4] * 20.0
    for values, mean, deviation in ((ahead, 10.2, 0.4), (left, 0.0, 0.4), (relative, 2.0, 0.6)):
        assert values.mean() == pytest.approx(mean, abs=0.12)
        assert values.std() == pytest.approx(deviation, rel=0.15)
    assert abs(np.corrcoef(ahead, left)[0, 1]) < 0.15
    first = ahead.copy()
    stage.step()
    assert abs(np.corrcoef(first, stage.observation[:, 0, start].astype(float))[0, 1]) < 0.15


def test_lights_and_signs_ahead_are_shown_with_what_they_ask(tee):
    stage = Stage(tee).put("in:0", 80.0, size=(4.0, 2.0)).put("in:2", 100.0, slot=1)
    stage.put("in:2", 117.0, slot=2)
    stage.step()
    start = stage.simulator.layout.controls_start
    light, sign, stopped = (
        stage.observation[0, slot, start : start + 6].astype(float) for slot in range(3)
    )
    # The bumpers are 38, 18 and 1 m before their lines.
    assert light[0] * 50.0 == pytest.approx(38.0, abs=0.05)
    assert light[3:].sum() == 1.0
    assert sign[0] * 50.0 == pytest.approx(18.0, abs=0.05)
    assert sign[3:].tolist() == [0.0, 1.0, 1.0]
    assert stopped[3:].tolist() == [0.0, 1.0, 0.0]


def test_persona_and_time_step_are_told(straight):
    stage = Stage(straight, replace(PLAIN, time_steps=(0.25,)))
    stage.put("east", 50.0, goal_radius=6.0, collision=1.5, stop_line=0.25, centre_bias=-0.5)
    stage.step()
    row = stage.observation[0, 0].astype(float)
    assert row[38] == 1.0
    assert (row[25], row[26], row[32], row[34]) == pytest.approx((0.5, 0.5, -1.0, 0.25), abs=1e-3)


def test_terminal_state_stays_visible_where_an_episode_ended(straight):
    # What follows a truncation is bootstrapped from this row.
    stage = Stage(straight).put("east", 50.0, speed=8.0, age=89.95)
    stage.step()
    assert stage.truncated[0, 0] == 1 and stage.active[0, 0] == 0
    expected = Observer(stage.simulator).row(0, 0)
    np.testing.assert_allclose(stage.observation[0, 0].astype(float), expected, **CLOSE)


def test_off_lane_walkers_see_no_road_but_still_their_goal(ring):
    stage = Stage(ring, replace(PLAIN, traffic=TrafficSettings(blind=0.0, braking=0.0)))
    stage.put("walk:1", 30.0, kind="pedestrian", size=(0.5, 0.5)).step()
    layout = stage.simulator.layout
    row = stage.observation[0, 0]
    assert not row[layout.road_start : layout.partners_start].any()
    assert row[13] != 0.0

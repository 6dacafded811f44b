"""The public class: its protocol step by step, its actions, and what it refuses."""

from dataclasses import replace

import numpy as np
import pytest

from gigalane.core.settings import SettingsError
from gigalane.maps.compile import compile_map
from gigalane.maps.road import MapError
from gigalane.sim.events import EVENT_NAMES
from gigalane.sim.reward import REWARD_NAMES
from gigalane.sim.settings import SimulatorSettings, SpawnSettings, TrafficSettings
from gigalane.sim.simulator import Simulator
from reference import dynamics as twin
from reference import maps
from reference.stage import PLAIN, Stage

# ------------------------------------------------------------------------- protocol of a step


def test_ended_row_sits_out_one_step_while_a_newcomer_takes_its_place(ring):
    settings = replace(PLAIN, respawn=True, worlds=4, agents=6, time_steps=(0.3,))
    simulator = Simulator(ring, settings, seed=1)
    scene = simulator.scene
    names = ("active", "terminated", "truncated", "reward", "events", "learn", "reward_terms")
    ends = 0
    before = {name: getattr(scene, name).numpy().copy() for name in names}
    episode = scene.duty.numpy()["episode"].copy()
    observation = scene.observation.numpy().copy()
    assert before["active"].all() and not before["reward"].any()
    for step in range(120):
        simulator.step(np.random.default_rng(step).choice([8, 10, 11], (4, 6)))
        now = {name: getattr(scene, name).numpy().copy() for name in names}
        over = (now["terminated"] | now["truncated"]).astype(bool)
        # An end comes only to who was active, and leaves the row inactive.
        assert (before["active"].astype(bool) | ~over).all()
        assert not now["active"][over].any() and not now["learn"][over].any()
        # The step after an end brings nothing but a newcomer who acts from then on.
        ended_before = (before["terminated"] | before["truncated"]).astype(bool)
        for name in ("reward", "events", "terminated", "truncated", "reward_terms"):
            assert not now[name][ended_before].any()
        fresh = scene.duty.numpy()["episode"] > episode
        assert np.array_equal(fresh & ~ended_before, np.zeros_like(fresh))
        assert now["active"][fresh].all()
        assert (scene.duty.numpy()["age"][fresh] == 0.0).all()
        # What it shows changes at once to what the newcomer sees.
        assert (observation[fresh] != scene.observation.numpy()[fresh]).any(axis=1).all()
        # Who is neither ended nor new goes on.
        assert now["active"][before["active"].astype(bool) & ~over].all()
        ends += int(over.sum())
        before, episode = now, scene.duty.numpy()["episode"].copy()
        observation = scene.observation.numpy().copy()
    assert ends > 30


def test_terminations_and_truncations_exclude_each_other_and_follow_from_facts(ring):
    settings = replace(PLAIN, respawn=True, worlds=8, agents=8, time_steps=(0.3,), episode_s=6.0)
    simulator = Simulator(ring, settings, seed=2)
    scene = simulator.scene
    bit = {name: 1 << k for k, name in enumerate(EVENT_NAMES)}
    final = sum(bit[n] for n in ("collided", "off_road", "reached_goal", "missed_goal"))
    seen = np.zeros(2, int)
    for step in range(80):
        simulator.step(np.random.default_rng(step).choice([4, 7, 10, 10, 8], (8, 8)))
        events = scene.events.numpy()
        assert np.array_equal(scene.terminated.numpy() == 1, (events & final) != 0)
        assert np.array_equal(scene.truncated.numpy() == 1, (events & bit["timed_out"]) != 0)
        assert not (scene.terminated.numpy() & scene.truncated.numpy()).any()
        seen += np.array([scene.terminated.numpy().sum(), scene.truncated.numpy().sum()], int)
    assert (seen > 10).all()


def test_reward_is_the_sum_of_its_terms(ring):
    simulator = Simulator(ring, SimulatorSettings(worlds=6, agents=8), seed=3)
    total = 0.0
    for step in range(30):
        simulator.step(np.random.default_rng(step).integers(0, 12, (6, 8)))
        terms = simulator.scene.reward_terms.numpy()
        np.testing.assert_allclose(
            simulator.scene.reward.numpy(), terms.sum(axis=-1), rtol=1e-5, atol=1e-6
        )
        total += np.abs(terms).sum()
    assert terms.shape[-1] == len(REWARD_NAMES) and total > 1.0


def test_without_respawn_slots_stay_empty(ring):
    settings = replace(PLAIN, worlds=4, agents=6, time_steps=(0.3,))
    simulator = Simulator(ring, settings, seed=4)
    scene = simulator.scene
    assert (scene.status.numpy() == 1).all()
    episodes = scene.duty.numpy()["episode"].copy()
    for _ in range(60):
        simulator.step(np.full((4, 6), 11))
    assert (scene.status.numpy() == 0).any()
    assert np.array_equal(scene.duty.numpy()["episode"], episodes)
    gone = scene.status.numpy() == 0
    assert (scene.boxes.numpy()[:, 8][gone] == -1.0).all()
    assert not scene.reward.numpy()[gone].any() and not scene.active.numpy()[gone].any()


def test_newcomers_find_their_box_free_and_are_not_judged_in_the_step_they_come(straight):
    settings = replace(PLAIN, respawn=True, agents=3)
    stage = Stage(straight, settings)
    stage.put("east", 100.0).put("east", 102.0, slot=1)
    stage.step()
    assert stage.facts(0) == stage.facts(1) == {"collided"}
    stage.step()
    assert stage.status[0, :2].tolist() == [1, 1]
    assert stage.facts(0) == stage.facts(1) == set()


# ------------------------------------------------------------------------------------ actions


def test_continuous_jerks_drive_the_papers_bicycle(straight):
    stage = Stage(straight, replace(PLAIN, action="jerk", time_steps=(0.2,)))
    stage.put("east", 50.0, speed=9.0)
    start = stage.body[0, 0].copy()
    motion = twin.Motion(
        x=float(start["x"]), y=float(start["y"]), heading=float(start["heading"]), speed=9.0
    )
    car = twin.Car(wheelbase=2.4)
    for jerk in ((2.5, 0.7), (-1.5, 0.2), (0.0, -1.1), (-30.0, 9.0)):
        actions = np.zeros((1, 4, 2))
        actions[0, 0] = jerk
        stage.step(actions)
        motion = twin.bicycle_by_jerk(
            motion, car, np.clip(jerk[0], -15, 4), np.clip(jerk[1], -4, 4), float(np.float32(0.2))
        )
        for name in ("x", "y", "speed", "acceleration", "steering"):
            assert stage.body[name][0, 0] == pytest.approx(getattr(motion, name), abs=2e-4)


def test_acceleration_and_steering_are_taken_as_they_are_within_limits(straight):
    stage = Stage(straight, replace(PLAIN, action="acceleration_steering", time_steps=(0.2,)))
    for slot in range(3):
        stage.put("east", 50.0 + 20 * slot, slot=slot, speed=8.0)
    actions = np.zeros((1, 4, 2))
    actions[0, :3] = (1.5, 0.05), (9.0, 2.0), (-9.0, -0.03)
    stage.step(actions)
    # C_acc is 1; wheels turn at most 0.12 rad in a step.
    assert stage.body["acceleration"][0, :3].tolist() == pytest.approx([1.5, 2.5, -5.0])
    assert stage.body["steering"][0, :3].tolist() == pytest.approx([0.05, 0.12, -0.03], abs=1e-6)
    # The trapezoid of the acceleration before (0) and after.
    assert stage.body["speed"][0, :3].tolist() == pytest.approx([8.15, 8.25, 7.5], abs=1e-5)


def test_delta_poses_move_by_what_they_say(straight):
    stage = Stage(straight, replace(PLAIN, action="delta_pose", time_steps=(0.2,)))
    stage.put("east", 50.0, speed=8.0).put("west", 50.0, slot=1, speed=8.0)
    before = stage.body[0, :2].copy()
    actions = np.zeros((1, 4, 3))
    actions[0, :2] = (1.7, 0.2, 0.05)
    stage.step(actions)
    body = stage.body[0, :2]
    assert (body["x"] - before["x"]).tolist() == pytest.approx([1.7, -1.7], abs=1e-4)
    assert (body["y"] - before["y"]).tolist() == pytest.approx([0.2, -0.2], abs=1e-4)
    assert body["speed"].tolist() == pytest.approx([8.5, 8.5], abs=1e-4)
    assert body["yaw_rate"].tolist() == pytest.approx([0.25, 0.25], abs=1e-5)


@pytest.mark.parametrize("delay", [0, 1, 3])
def test_delayed_road_users_do_what_was_asked_steps_ago(straight, delay):
    stage = Stage(straight, replace(PLAIN, time_steps=(0.2,)))
    stage.put("east", 50.0, speed=8.0, delay=delay).put("west", 50.0, slot=1, speed=8.0)
    felt, asked = [], []
    for step in range(8):
        actions = np.full((1, 4), 7)
        # One kick of the throttle, in the third step.
        actions[0, :2] = 10 if step == 2 else 7
        stage.step(actions)
        felt.append(float(stage.body["jerk"][0, 0]))
        asked.append(float(stage.body["jerk"][0, 1]))
    assert asked.index(max(asked)) == 2
    assert felt.index(max(felt)) == 2 + delay
    assert max(felt) == pytest.approx(4.0, rel=1e-3)


def test_newcomer_does_not_inherit_the_actions_of_who_was_there(straight):
    settings = replace(
        PLAIN,
        respawn=True,
        agents=1,
        time_steps=(0.2,),
        action="jerk",
        spawn=replace(PLAIN.spawn, delay=3),
    )
    stage = Stage(straight, settings)
    stage.put("east", 50.0, speed=8.0, delay=3, age=89.9)
    stage.step(np.full((1, 1, 2), -9.0))
    assert stage.truncated[0, 0] == 1
    stage.step(np.full((1, 1, 2), -9.0))
    assert stage.active[0, 0] == 1
    assert not stage.past_actions[0, 0].any()


def test_actions_may_be_written_in_place(straight):
    one, other = (Stage(straight).put("east", 50.0, speed=5.0) for _ in range(2))
    one.step(np.full((1, 4), 10))
    other.simulator.scene.action.numpy()[..., 0] = 10.0
    other.simulator.step()
    assert one.body[0, 0] == other.body[0, 0]


@pytest.mark.parametrize(
    ("action", "shape"),
    [("jerk12", (1, 5)), ("jerk12", (1, 4, 1)), ("jerk", (1, 4)), ("delta_pose", (1, 4, 2))],
)
def test_actions_of_another_shape_are_refused(straight, action, shape):
    simulator = Simulator(straight, replace(PLAIN, action=action))
    with pytest.raises(SettingsError, match=f"{action} needs"):
        simulator.step(np.zeros(shape))


# ------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"worlds": 0}, "at least one world"),
        ({"agents": 0}, "1 to 512 agents"),
        ({"agents": 513}, "1 to 512 agents"),
        ({"agents": 4, "agents_least": 5}, "agents_least=5"),
        ({"agents_least": -1}, "agents_least=-1"),
        ({"time_steps": ()}, "time_steps"),
        ({"time_steps": (0.1, 2.0)}, "0.01 to 1 s"),
        ({"action": "steer"}, "choose one of jerk12"),
        ({"spawn": SpawnSettings(delay=4)}, "delay=4"),
        ({"traffic": TrafficSettings(script="racer")}, "choose one of idm"),
    ],
)
def test_settings_that_cannot_work_are_refused_in_one_line(wrong, says):
    with pytest.raises(SettingsError, match=says) as error:
        SimulatorSettings(**wrong)
    assert "\n" not in str(error.value)


def test_more_road_users_than_fit_are_refused_with_the_maps_name():
    short = compile_map(maps.straight_road(60.0))
    with pytest.raises(SettingsError, match=r"agents=60: .*worst: map straight.*fewer agents"):
        Simulator(short, replace(PLAIN, respawn=True, agents=60))


def test_map_without_a_route_is_refused():
    stub = compile_map(maps.straight_road(12.0))
    with pytest.raises(SettingsError, match="no route"):
        Simulator(stub, replace(PLAIN, agents=1, worlds=8))


def test_map_without_a_drivable_lane_is_refused():
    walk = maps.make_lane("walk", maps.line((0, 0), (50, 0)), type=maps.LaneType.SIDEWALK)
    with pytest.raises(MapError, match="no drivable lane"):
        Simulator(maps.RoadMap("park", (walk,)))


def test_no_map_is_refused():
    with pytest.raises(SettingsError, match="at least one map"):
        Simulator([])


@pytest.mark.parametrize("of_world", [[0], [0, 2], [-1, 0]])
def test_worlds_can_only_lie_on_given_maps(straight, ring, of_world):
    with pytest.raises(SettingsError, match="2 worlds the index of one of the 2 maps"):
        Simulator([straight, ring], replace(PLAIN, worlds=2), map_of_world=of_world)


def test_worlds_share_out_the_maps_in_turn(straight, ring):
    simulator = Simulator([straight, ring], replace(PLAIN, worlds=5))
    assert simulator.scene.map_index.numpy().tolist() == [0, 1, 0, 1, 0]
    simulator = Simulator([straight, ring], replace(PLAIN, worlds=3), map_of_world=[1, 1, 0])
    assert simulator.scene.map_index.numpy().tolist() == [1, 1, 0]


def test_arrays_offer_dlpack_views_of_the_same_memory(straight):
    simulator = Simulator(straight, PLAIN)
    view = np.from_dlpack(simulator.observation)
    assert view.shape == (1, 4, simulator.layout.width)
    before = view.copy()
    simulator.step(np.full((1, 4), 10))
    assert (view != before).any()


def test_nothing_becomes_nan_in_a_long_wild_drive(ring, tee):
    for action in ("jerk12", "jerk", "acceleration_steering", "delta_pose"):
        settings = SimulatorSettings(
            worlds=4,
            agents=8,
            action=action,
            spawn=SpawnSettings(pedestrians=0.1, single_track=0.5, delay=3),
        )
        simulator = Simulator([ring, tee], settings, seed=8)
        space, rng = simulator.action_space, np.random.default_rng(1)
        for _ in range(150):
            if space.is_discrete:
                simulator.step(rng.integers(0, 12, (4, 8)))
            else:
                simulator.step(rng.normal(0.0, 8.0, (4, 8, space.size)))
        body = simulator.scene.body.numpy()
        assert all(np.isfinite(body[name]).all() for name in body.dtype.names)
        assert np.isfinite(simulator.scene.observation.numpy()).all()
        assert np.isfinite(simulator.scene.reward.numpy()).all()

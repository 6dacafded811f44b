"""Plans at the wheel of simulated cars."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from gigalane.acting.futures import TeacherFutures
from gigalane.acting.plans import PlanActor, TeacherPlanner
from gigalane.acting.policy import PolicyActor
from gigalane.acting.poses import seen_from
from gigalane.acting.tracker import pose_at
from gigalane.core.settings import SettingsError
from gigalane.maps.compile import compile_map
from gigalane.maps.sources import open_map
from gigalane.metrics.episodes import EpisodeCounter
from gigalane.rollout import roll_out
from gigalane.sim.settings import (
    PersonaSettings,
    SimulatorSettings,
    SpawnSettings,
    TrafficSettings,
)
from gigalane.sim.simulator import Simulator
from gigalane.worlds.records import field_rows
from gigalane.worlds.vector import VectorWorld
from reference.stage import PLAIN, Stage

SETTINGS = SimulatorSettings(
    worlds=4,
    agents=8,
    time_steps=(0.1, 0.2, 0.25, 0.3),
    action="acceleration_steering",
    traffic=TrafficSettings(blind=0.0, braking=0.0),
)


class Straight:
    """Plans to go straight on at a speed, and notes when it was asked for whom."""

    def __init__(self, speed=5.0):
        self.speed = speed
        self.asked = []

    def plan(self, world, rows):
        self.asked.append(rows.tolist())
        along = 0.5 * self.speed * torch.arange(1, 9)
        return torch.stack((along, 0 * along, 0 * along), -1).expand(len(rows), 8, 3)


def staged(straight, **where):
    settings = replace(PLAIN, action="acceleration_steering", time_steps=(0.1,))
    stage = Stage(straight, settings)
    lane = stage.map.lane_ids[0]
    return stage.put(lane, 20.0, **where)


def test_fields_of_records_are_views(straight):
    stage = staged(straight, speed=4.0, kind="pedestrian")
    speed = field_rows(stage.simulator.scene.body, "speed")
    model = field_rows(stage.simulator.scene.traits, "model", integer=True)
    assert speed[0] == 4.0 and model[0] == 2
    stage.body["speed"][0, 2] = 7.0
    assert speed[2] == 7.0
    for name in stage.body.dtype.names:
        rows = field_rows(stage.simulator.scene.body, name)
        assert np.array_equal(rows.numpy(), stage.body[name].reshape(-1)), name


def test_a_planned_speed_and_a_planned_line_are_driven(straight):
    stage = staged(straight, speed=8.0)
    began = stage.body["y"][0, 0].copy()
    roll_out(VectorWorld(stage.simulator), PlanActor(stage.simulator, Straight(5.0)), 50)
    assert abs(stage.body["speed"][0, 0] - 5.0) < 0.05
    assert abs(stage.body["y"][0, 0] - began) < 0.01


def test_a_circle_planned_for_the_rear_axle_is_driven_by_the_whole_box(straight):
    """The model moves the middle of the box along its heading; the axle follows half behind."""
    stage = staged(straight, speed=4.0, size=(5.0, 2.0))
    start, half, curvature = stage.body[0, 0].copy(), 1.5, 0.08
    stage.body["steering"][0, 0] = np.arctan(2.0 * half * curvature)

    class Circle:
        """The rear axle's poses of a box whose middle goes around a circle fixed to the map."""

        def plan(self, world, rows):
            now = stage.body[0, 0]
            # How far around the middle is already.
            x, y = now["x"] - start["x"], now["y"] - start["y"]
            cos, sin = np.cos(start["heading"]), np.sin(start["heading"])
            x, y = x * cos + y * sin, y * cos - x * sin
            done = np.arctan2(x, 1.0 / curvature - y)
            turn = done + curvature * 4.0 * 0.5 * np.arange(1, 9)
            middle = np.stack((np.sin(turn), 1.0 - np.cos(turn)), -1) / curvature
            axle = middle - half * np.stack((np.cos(turn), np.sin(turn)), -1)
            heading = now["heading"] - start["heading"]
            own = np.array([x - half * np.cos(heading), y - half * np.sin(heading)])
            to_own = np.array(
                [[np.cos(heading), np.sin(heading)], [-np.sin(heading), np.cos(heading)]]
            )
            plan = np.concatenate(((axle - own) @ to_own.T, (turn - heading)[:, None]), -1)
            return torch.from_numpy(plan).float()[None]

    actor, world = PlanActor(stage.simulator, Circle()), VectorWorld(stage.simulator)
    centre = (
        start["x"] - np.sin(start["heading"]) / curvature,
        start["y"] + np.cos(start["heading"]) / curvature,
    )
    apart = []
    for _ in range(80):
        stage.status[0, 0], stage.active[0, 0] = 1, 1  # it leaves the road
        roll_out(world, actor, 1)
        now = stage.body[0, 0]
        apart.append(np.hypot(now["x"] - centre[0], now["y"] - centre[1]) - 1.0 / curvature)
    assert np.abs(apart).max() < 0.03


def test_everybody_plans_twice_a_second_and_newcomers_at_once(ring):
    for dt, every in ((0.1, 5), (0.2, 3), (0.25, 2), (0.3, 2)):
        settings = replace(SETTINGS, worlds=2, time_steps=(dt,))
        simulator = Simulator(ring, settings, seed=1, threads=1)
        world, planner = VectorWorld(simulator), Straight(0.0)
        actor = PlanActor(simulator, planner)
        due = np.zeros(world.row_count)
        was_active = np.zeros(world.row_count, bool)
        for _ in range(12):
            active = world.active.numpy().copy()
            due[active & ~was_active] = 0
            count = len(planner.asked)
            actions = actor.act(world)
            asked = planner.asked[count:]
            assert (asked[0] if asked else []) == np.flatnonzero(active & (due == 0)).tolist()
            due = np.where(due == 0, every, due) - 1
            was_active = active
            world.step(actions)


def test_a_row_is_driven_the_same_in_any_batch(ring):
    driven = []
    for worlds, first in ((4, 0), (1, 2)):
        settings = replace(SETTINGS, worlds=worlds)
        simulator = Simulator(ring, settings, seed=3, threads=1, first_world=first)
        roll_out(VectorWorld(simulator), PlanActor(simulator, Straight(4.0)), 20)
        driven.append(simulator.scene.body.numpy()[2 if worlds == 4 else 0].tobytes())
    assert driven[0] == driven[1]


def test_a_walker_goes_where_its_plan_leads(straight):
    stage = staged(straight, speed=1.0, kind="pedestrian", size=(0.5, 0.5))
    start = stage.body[0, 0].copy()

    class AroundTheCorner:
        """To the left of where it stood, seen from where it is."""

        def plan(self, world, rows):
            body = stage.body[0, 0]
            frame = torch.tensor([[body["x"], body["y"], body["heading"]]])
            aim = torch.tensor([[start["x"], start["y"], start["heading"] + np.pi / 2]]).float()
            along = float(body["y"] - start["y"]) + 0.5 * torch.arange(1, 9)[:, None]
            goal = aim + along * torch.stack((aim[0, 2].cos(), aim[0, 2].sin(), torch.tensor(0.0)))
            return seen_from(frame, goal)[None]

    actor = PlanActor(stage.simulator, AroundTheCorner())
    for _ in range(30):
        stage.status[0, 0], stage.active[0, 0] = 1, 1  # it leaves the pavement
        roll_out(VectorWorld(stage.simulator), actor, 1)
    now = stage.body[0, 0]
    assert abs(now["heading"] - start["heading"] - np.pi / 2) < 0.1
    assert abs(now["x"] - start["x"]) < 0.2 and now["y"] - start["y"] > 1.5


def test_plans_need_worlds_that_take_pedals_and_wheel(ring):
    simulator = Simulator(ring, replace(SETTINGS, action="jerk12"))
    with pytest.raises(SettingsError, match="action: plans are executed as acceleration_steering"):
        PlanActor(simulator, Straight())


def test_a_teachers_plans_are_tracked_to_centimetres(tee, teacher):
    simulator = Simulator(tee, replace(SETTINGS, time_steps=(0.1, 0.25)), seed=1, threads=1)
    actor = PlanActor(simulator, TeacherPlanner(TeacherFutures(simulator, teacher)))
    apart = []

    class Watch:
        def before(self, step, world, actions):
            pass

        def after(self, step, world):
            at_pose = (actor._age - 0.5).abs() < 1e-3
            kept = world.active & at_pose & (actor._planned_episode == actor._episode)
            kept &= actor._model == 0
            aim = pose_at(actor._reference, actor._age)
            now = seen_from(actor._origin, actor._pose())
            apart.append(seen_from(aim, now)[kept])

    roll_out(VectorWorld(simulator), actor, 60, Watch())
    along, left, yaw = torch.cat(apart).abs().T
    assert len(along) > 100
    for error, most in ((along, 0.15), (left, 0.06), (yaw, 0.05)):
        assert float(error.quantile(0.95)) < most


def test_executed_as_plans_the_teacher_drives_almost_as_well_as_itself(teacher):
    """The targets and the tracker together lose little of its distance and add few incidents."""
    settings = replace(
        SETTINGS,
        worlds=3,
        agents=16,
        time_steps=(0.25,),
        episode_s=15.0,
        spawn=SpawnSettings(pedestrians=0.0),
        persona=PersonaSettings.strict(),
    )
    town = compile_map(open_map("town:3"))
    figures = []
    for action in ("jerk12", "acceleration_steering"):
        simulator = Simulator(town, replace(settings, action=action), seed=5, threads=1)
        world = VectorWorld(simulator)
        counter = EpisodeCounter(world, starts_before_s=15.0)
        actor = (
            PolicyActor(teacher)
            if action == "jerk12"
            else PlanActor(simulator, TeacherPlanner(TeacherFutures(simulator, teacher)))
        )
        roll_out(world, actor, 100, counter)
        episodes = counter.table()
        incidents = (episodes["collided"] | episodes["off_road"]).mean()
        figures.append((incidents, episodes["completion"].mean()))
    (own_incidents, own_completion), (incidents, completion) = figures
    assert completion > 0.95 * own_completion
    assert incidents < own_incidents + 0.06

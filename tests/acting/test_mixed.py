"""Plans of two planners, and a student whose plans are its teacher's."""

from dataclasses import replace

import torch

from gigalane.acting.futures import RememberedFutures, TeacherFutures
from gigalane.acting.mixed import MixedPlanner
from gigalane.acting.plans import PlanActor, StudentPlanner, TeacherPlanner
from gigalane.networks.plans import PLAN_POSES, Plans
from gigalane.rollout import roll_out
from gigalane.sim.settings import SimulatorSettings, TrafficSettings
from gigalane.sim.simulator import Simulator
from gigalane.worlds.vector import VectorWorld

SETTINGS = SimulatorSettings(
    worlds=2,
    agents=6,
    time_steps=(0.25,),
    action="acceleration_steering",
    traffic=TrafficSettings(blind=0.0, braking=0.0),
)


class Always:
    """Plans one number everywhere and notes for whom."""

    def __init__(self, number):
        self.number, self.asked = number, []

    def plan(self, world, rows):
        self.asked.append(rows)
        return rows[:, None, None] + torch.full((len(rows), PLAN_POSES, 3), self.number)


class Rows:
    """As much of a world as a mixed planner asks for."""

    row_count = 400


def test_a_share_of_the_plans_is_the_teachers_drawn_anew_each_time():
    student, teacher = Always(0.25), Always(0.75)
    planner, rows = MixedPlanner(student, teacher), torch.arange(1, 400, 3)
    planner.mix(0.3, torch.Generator().manual_seed(1))
    shares = []
    for _ in range(8):
        plans = planner.plan(Rows, rows)
        is_teachers = plans[:, 0, 0] - rows == 0.75
        assert torch.equal(rows[is_teachers], teacher.asked[-1])
        assert torch.equal(rows[~is_teachers], student.asked[-1])
        shares.append(is_teachers)
    drawn = torch.stack(shares).float()
    assert 0.25 < drawn.mean() < 0.35
    assert (drawn.mean(0) > 0).float().mean() > 0.8  # nobody belongs to one of them for good


def test_the_ends_of_the_mixture_ask_one_planner_only():
    for share, asked, silent in ((0.0, 0, 1), (1.0, 1, 0)):
        planners = (Always(0.0), Always(1.0))
        planner = MixedPlanner(*planners)
        planner.mix(share, torch.Generator().manual_seed(1))
        planner.plan(Rows, torch.arange(10))
        assert len(planners[asked].asked) == 1 and not planners[silent].asked


def test_who_is_no_pupil_is_always_planned_for():
    student, teacher = Always(0.0), Always(1.0)
    planner, pupils = MixedPlanner(student, teacher), torch.arange(400) % 4 == 0
    planner.mix(0.0, torch.Generator().manual_seed(1), pupils)
    planner.plan(Rows, torch.arange(40))
    assert student.asked[0].tolist() == list(range(0, 40, 4))


class Prophet:
    """A student whose best proposal is what its teacher would do, and whose others are not."""

    def __init__(self, world, futures):
        self.world, self.futures = world, futures

    def plan(self, observation):
        same = (self.world.observation[None] == observation[:, None]).all(-1)
        assert (same.sum(-1) == 1).all()
        right = self.futures.look().poses[same.float().argmax(-1)]
        scores = torch.tensor([0.0, 1.0, -1.0]).expand(len(right), 3)
        return Plans(torch.stack((right + 3.0, right, -right), 1), scores)


def test_a_student_that_proposes_its_teachers_future_drives_as_its_futures_do(tee, teacher):
    ends = []
    for is_student in (False, True):
        simulator = Simulator(tee, SETTINGS, seed=4, threads=1)
        world, futures = VectorWorld(simulator), TeacherFutures(simulator, teacher)
        planner = TeacherPlanner(futures)
        if is_student:
            planner = StudentPlanner(Prophet(world, futures))
        roll_out(world, PlanActor(simulator, planner), 8)
        ends.append(simulator.scene.body.numpy().tobytes())
    assert ends[0] == ends[1]


def test_futures_are_looked_up_once_a_moment_and_stay_those_of_their_row(tee, teacher):
    simulator = Simulator(tee, replace(SETTINGS, worlds=3), seed=4, threads=1)
    world, plain = VectorWorld(simulator), TeacherFutures(simulator, teacher)
    remembered, looks = RememberedFutures(simulator, teacher), []
    look = remembered._look
    remembered._look = lambda worlds: (looks.append(worlds.tolist()), look(worlds))[1]
    for worlds in (torch.tensor([1]), None, torch.tensor([0, 2])):
        ours, theirs = remembered.look(worlds), plain.look(worlds)
        assert torch.equal(ours.rows, theirs.rows)
        assert torch.equal(ours.poses, theirs.poses)
        assert torch.equal(ours.valid, theirs.valid)
        assert torch.equal(ours.is_turn, theirs.is_turn)
    assert looks == [[1], [0, 2]]
    world.step(torch.zeros(world.row_count, 2))
    remembered.forget()
    assert torch.equal(remembered.look().poses, plain.look().poses)
    assert looks[-1] == [0, 1, 2]

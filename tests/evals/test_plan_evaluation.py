"""Students that plan, measured by their plans, closed-loop and open-loop."""

from dataclasses import replace

import pytest
import torch

from gigalane.acting.futures import TeacherFutures
from gigalane.acting.plans import PlanActor
from gigalane.acting.policy import IdleActor, PolicyActor
from gigalane.evals.evaluate import EvaluateSettings, action_of, actor_for, evaluate, make_simulator
from gigalane.evals.open_loop import open_loop, plan_errors
from gigalane.maps.compile import compile_map
from gigalane.networks.camera_rows import CameraLayout
from gigalane.networks.image_encoder import EyeSettings
from gigalane.policies.camera import CameraPolicy, CameraSettings
from gigalane.policies.shipped import load_default
from gigalane.render.camera import load_rig
from gigalane.sim.control import ACTION_SPACES
from gigalane.worlds.records import field_rows
from gigalane.worlds.vector import VectorWorld

FEW = EvaluateSettings(episodes=12, agents=3, seconds=3.0, dt=0.25)


def student(drives="plans") -> CameraPolicy:
    """One that plans to go straight on at its present speed."""
    torch.manual_seed(1)
    eyes = EyeSettings(channels=(8, 16), features=32)
    layout = CameraLayout(load_rig("front").resized(24, 16), 52)
    settings = CameraSettings(eyes=eyes, proposals=2, drives=drives)
    policy = CameraPolicy(layout, ACTION_SPACES["jerk12"], settings)
    for parameter in policy.plan_head.planner.parameters():
        torch.nn.init.zeros_(parameter)
    return policy


def test_the_file_says_what_drives(ring_road):
    wanted = {"plans": (PlanActor, "acceleration_steering"), "actions": (PolicyActor, "jerk12")}
    for drives, (actor, action) in wanted.items():
        subject = student(drives)
        simulator = make_simulator(subject, ring_road, compile_map(ring_road), FEW, 4)
        assert simulator.action_space.name == action == action_of(subject)
        assert type(actor_for(subject, simulator, FEW)) is actor
    assert type(actor_for("idm", simulator, FEW)) is IdleActor


def test_a_student_is_driven_by_what_it_plans(straight_road):
    """On a straight road whoever keeps its speed and its heading stays on it."""
    found = evaluate("straight", student(), [straight_road], FEW)
    assert len(found.episodes) >= 12
    assert found.figures["offroad_rate"].value == 0
    again = evaluate("straight", student(), [straight_road], FEW)
    assert found.episodes.tobytes() == again.episodes.tobytes()


def test_errors_of_plans_by_hand():
    future = torch.zeros(1, 8, 3)
    plan = future.clone()
    plan[0, :4, 0], plan[0, :4, 1] = 3.0, 4.0  # 5 m off for two seconds
    plan[0, 4:, 2] = 0.8
    difference, two, four = plan_errors(plan, future)[0].tolist()
    assert difference == pytest.approx((4 * 7.0 + 4 * 0.8) / 24)
    assert (two, four) == pytest.approx((5.0, 2.5))


def test_the_open_loop_error_of_a_plan_is_its_distance_from_the_teachers_future(tee_road):
    settings = replace(FEW, seconds=0.25)
    teacher = load_default()
    told = open_loop(student("actions"), teacher, [tee_road], settings).plan
    simulator = make_simulator(teacher, tee_road, compile_map(tee_road), settings, 12)
    VectorWorld(simulator)
    future = TeacherFutures(simulator, teacher).look()
    speed = field_rows(simulator.scene.body, "speed")[future.rows]
    times = 0.5 * torch.arange(1, 9)
    x, y, _ = future.poses.unbind(-1)
    away = torch.hypot(x - speed[:, None] * times, y)[future.valid]
    assert told.frames == int(future.valid.sum()) > 0
    assert told.metres_4s == pytest.approx(float(away.mean()), rel=1e-2)
    assert told.metres_2s == pytest.approx(float(away[:, :4].mean()), rel=1e-2)


def test_agreement_is_about_what_both_would_do(tee_road):
    """A careful student whose likeliest action it does not take."""

    def agreement(fast: float, slow: float, caution: float) -> float:
        always = student("actions")
        always.settings = replace(always.settings, caution=caution)
        torch.nn.init.zeros_(always.action_head.weight)
        chances = torch.full((12,), 0.005)
        chances[10], chances[4] = fast, slow  # jerks along 3 and 1, none across
        always.action_head.bias.data = chances.log()
        return open_loop(always, load_default(), [tee_road], FEW).agreement

    careful, likeliest = agreement(0.5, 0.45, 0.65), agreement(0.5, 0.45, 0.0)
    assert careful == agreement(0.45, 0.5, 0.0)
    assert careful != likeliest

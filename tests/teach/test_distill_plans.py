"""Students that plan: what they are shown, who plans meanwhile, and what they keep."""

import json
from dataclasses import replace

import pytest
import torch

from gigalane.acting.futures import TeacherFutures
from gigalane.core.settings import SettingsError
from gigalane.networks.image_encoder import EyeSettings
from gigalane.networks.plans import distances, row_weights
from gigalane.policies.camera import CameraPolicy, CameraSettings
from gigalane.policies.checkpoint import load_policy, load_training_state, save_training_state
from gigalane.policies.shipped import load_default
from gigalane.render.camera import load_rig
from gigalane.sim.simulator import Simulator
from gigalane.teach.comparison import LossWeights, Saying, compare
from gigalane.teach.distill import _FIGURES, Distiller, DistillSettings
from gigalane.teach.teachers import DriverTeacher
from gigalane.teach.teaching import TEACHING_WORLD, teach
from gigalane.worlds.camera import CameraWorld
from gigalane.worlds.vector import VectorWorld

RIG = load_rig("front").resized(24, 16)
STUDENT = CameraSettings(eyes=EyeSettings(channels=(8, 16), features=32), proposals=3)
WORLD = replace(TEACHING_WORLD, worlds=3, agents=4, time_steps=(0.25,))
SETTINGS = DistillSettings(
    frames=100_000,
    rollout_steps=4,
    pool=300,
    minibatch=32,
    threads=1,
    losses=LossWeights().with_plans(),
)


@pytest.fixture(scope="module")
def teacher():
    return load_default()


def taught(folder, road, teacher, drives="plans", settings=SETTINGS, iterations=2, **options):
    return teach(
        [road],
        WORLD,
        teacher,
        RIG,
        settings,
        folder,
        eyes=replace(STUDENT, drives=drives),
        on_iteration=lambda figures: figures["iteration"] >= iterations,
        **options,
    )


def figures(folder) -> list[dict]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").open()]


def distiller(folder, road, compiled, teacher, drives="actions", **changes) -> Distiller:
    action = "acceleration_steering" if drives == "plans" else "jerk12"
    simulator = Simulator(compiled, replace(WORLD, action=action), seed=5, threads=1)
    world = CameraWorld(VectorWorld(simulator), RIG, [road])
    torch.manual_seed(2)
    student = CameraPolicy(world.layout, teacher.action_space, replace(STUDENT, drives=drives))
    settings = replace(SETTINGS, **changes)
    return Distiller(world, DriverTeacher(teacher), student, settings, folder)


@pytest.mark.parametrize("drives", ["actions", "plans"])
def test_every_kept_frame_has_its_own_teachers_future(tmp_path, tee_road, tee, teacher, drives):
    lessons = distiller(tmp_path, tee_road, tee, teacher, drives, every=2)
    pool, world = lessons.pool, lessons.world
    independent = TeacherFutures(world.vector.simulator, teacher)
    lessons.actor.mix(0.5, lessons.learner.shuffler)
    kept, worlds_kept = 0, []
    for step in range(4):
        actions = lessons.actor.act(world)
        pool.before(step, world, actions)
        wanted = independent.look()
        rows = (world.active & world.learn).nonzero().squeeze(-1)
        turn = torch.isin(rows // WORLD.agents, torch.arange(WORLD.worlds)[-step % 2 :: 2])
        rows = rows[turn]
        places = torch.arange(kept, kept + len(rows))
        assert pool.count == kept + len(rows)
        targets = pool.targets_of(places)
        assert torch.equal(targets.poses, wanted.poses[rows])
        assert torch.equal(targets.valid, wanted.valid[rows])
        assert torch.equal(targets.is_turn, wanted.is_turn[rows])
        assert torch.equal(pool.seen[places], world.observation[rows])
        kept += len(rows)
        worlds_kept += torch.unique(rows // WORLD.agents).tolist()
        world.step(actions)
        pool.after(step, world)
    assert sorted(worlds_kept) == [0, 0, 1, 1, 2, 2]
    assert pool.targets.valid[:kept].any()
    # A later moment has other futures than those that were remembered.
    assert not torch.equal(wanted.poses, independent.look().poses)


def test_targets_that_are_not_valid_weigh_nothing_and_turns_five_times(
    tmp_path, tee_road, tee, teacher
):
    lessons = distiller(tmp_path, tee_road, tee, teacher)
    lessons.collect()
    pool, student = lessons.pool, lessons.student
    rows = torch.arange(pool.count)
    seen = pool.seen[rows]
    targets = pool.targets_of(rows)
    targets.valid[:] = True
    targets.valid[::2] = False
    targets.is_turn[:] = False
    targets.is_turn[1::4] = True

    def parts(now):
        sight = student.see(student.features(seen))
        joined = student.join(sight, seen)
        numbers, value = student.respond(joined)
        plans = student.propose(joined, seen)
        said = Saying(student.distribution(numbers), value, joined, sight, plans)
        lesson = lessons.teacher.explain(pool.shown[rows])
        return compare(lesson, said, pool.lane[rows], student, SETTINGS.losses, now), plans

    with torch.no_grad():
        before, plans = parts(targets)
        elsewhere = replace(targets, poses=targets.poses.clone())
        elsewhere.poses[::2] += 100.0
        assert torch.equal(parts(elsewhere)[0].total, before.total)
        elsewhere.poses[1] += 100.0
        assert parts(elsewhere)[0].total > before.total + 1.0
        gaps = distances(plans.proposals, targets.poses)
        each = 0.95 * gaps.min(-1).values + 0.05 * gaps.mean(-1)
        five, one = each[1::4], each[3::4]
        wanted = (5 * five.sum() + one.sum()) / (5 * len(five) + len(one))
        torch.testing.assert_close(before.plan, wanted)
        nobody = replace(targets, valid=torch.zeros_like(targets.valid))
        assert parts(nobody)[0].plan == 0 and row_weights(nobody.valid, nobody.is_turn).sum() == 0
        shares = plans.scores.argmax(-1)
        chosen = gaps[rows, shares][targets.valid].mean()
        torch.testing.assert_close(before.chosen, chosen)


@pytest.mark.parametrize(
    ("drives", "method"), [("plans", "dagger"), ("actions", "dagger"), ("plans", "cloning")]
)
def test_planning_students_come_nearer_to_where_their_teacher_goes(
    tmp_path, tee_road, tee, teacher, drives, method
):
    changes = {"method": method, "passes": 24.0, "rollout_steps": 6, "learning_rate": 3e-3}
    lessons = distiller(tmp_path, tee_road, tee, teacher, drives, **changes)
    lessons.collect()
    rows = torch.arange(lessons.pool.count)

    def told():
        with torch.no_grad():
            return dict(zip(_FIGURES, lessons.loss(rows)[1].tolist(), strict=True))

    before = told()
    lessons.improve()
    after = told()
    assert after["plan"] < 0.7 * before["plan"]
    assert after["plan_chosen"] < 0.8 * before["plan_chosen"]
    assert after["divergence"] < before["divergence"]


def test_a_student_that_plans_keeps_its_teachers_actions_beside(tmp_path, tee_road, teacher):
    student = taught(tmp_path / "run", tee_road, teacher, iterations=1)
    assert student.action_space == teacher.action_space
    saved = load_policy(tmp_path / "run" / "policy.safetensors")
    assert saved.settings == student.settings
    assert saved.settings.drives == "plans"
    assert figures(tmp_path / "run")[0]["plan"] > 0


def test_a_lone_pupil_plans_among_teachers(tmp_path, tee_road, tee, teacher):
    lessons = distiller(tmp_path, tee_road, tee, teacher, "plans", method="solo", mixed=0.0)
    asked = []
    plan = lessons.actor._mixed.student.plan
    lessons.actor._mixed.student.plan = lambda world, rows: (
        asked.extend(rows.tolist()),
        plan(world, rows),
    )[1]
    lessons.collect()
    assert asked and all(row % WORLD.agents == 0 for row in asked)
    assert lessons.pool.count <= WORLD.worlds * SETTINGS.rollout_steps


def test_a_run_that_is_taken_up_again_keeps_its_plan_head(tmp_path, tee_road, teacher):
    run = tmp_path / "run"
    taught(run, tee_road, teacher)
    before = load_policy(run / "policy.safetensors")
    gentle = replace(SETTINGS, learning_rate=1e-3)
    student = taught(run, tee_road, teacher, settings=gentle, iterations=3, resume=True)
    assert [row["iteration"] for row in figures(run)] == [1, 2, 3]
    ours = student.plan_head.planner.weight
    torch.testing.assert_close(ours, before.plan_head.planner.weight, atol=0.02, rtol=0.2)


def test_the_same_seed_teaches_the_same_plans(tmp_path, tee_road):
    runs = [taught(tmp_path / name, tee_road, load_default()) for name in "ab"]
    for one, other in zip(runs[0].parameters(), runs[1].parameters(), strict=True):
        assert torch.equal(one, other)


def test_runs_from_before_there_were_plans_go_on(tmp_path, tee_road, teacher):
    settings = replace(SETTINGS, losses=LossWeights())
    eyes = replace(STUDENT, proposals=0)
    options = {"eyes": eyes, "on_iteration": lambda figures: True}
    teach([tee_road], WORLD, teacher, RIG, settings, tmp_path / "run", **options)
    tensors, facts, _ = load_training_state(tmp_path / "run")
    for name in ("plan", "scorer"):
        del facts["settings"]["losses"][name]
    save_training_state(tmp_path / "run", facts["iteration"], tensors, facts)
    teach([tee_road], WORLD, teacher, RIG, settings, tmp_path / "run", resume=True, **options)
    assert [row["iteration"] for row in figures(tmp_path / "run")] == [1, 2]
    assert "plan" not in figures(tmp_path / "run")[0]


def test_given_means_the_same_whatever_actions_the_worlds_take(tee, teacher):
    """Commands read off a world of jerks and given to one of accelerations drive it alike."""
    worlds = [
        VectorWorld(Simulator(tee, replace(WORLD, action=action), seed=5, threads=1))
        for action in ("jerk12", "acceleration_steering")
    ]
    jerks, pedals = worlds
    assert torch.equal(jerks.observation, pedals.observation)
    alike = jerks.active.clone()
    for _ in range(6):
        jerks.step(teacher.act(jerks.observation, greedy=True))
        given = jerks.observation[:, : jerks.layout.given].float()
        pedals.step(torch.stack((given[:, 6] / 0.2, given[:, 5] / 2.0), -1))
        alike &= jerks.active & pedals.active
        other = pedals.observation[:, : pedals.layout.given].float()
        torch.testing.assert_close(other[alike], given[alike], atol=0.02, rtol=0.02)
    assert alike.sum() >= 4
    assert given[alike][:, 47].abs().max() > 0.05  # somebody felt a jerk


@pytest.mark.parametrize(
    ("losses", "proposals", "told"),
    [
        (LossWeights(), 3, "losses: plan is 0, but the student has 3 proposals"),
        (LossWeights().with_plans(), 0, "losses: plan needs a student with proposals"),
    ],
)
def test_losses_and_proposals_that_do_not_fit_are_one_line(
    tmp_path, tee_road, teacher, losses, proposals, told
):
    eyes, settings = replace(STUDENT, proposals=proposals), replace(SETTINGS, losses=losses)
    with pytest.raises(SettingsError, match=told):
        teach([tee_road], WORLD, teacher, RIG, settings, tmp_path / "run", eyes=eyes)
    assert not (tmp_path / "run").exists()


def test_who_cannot_look_ahead_teaches_no_plans(tmp_path, tee_road):
    losses = replace(LossWeights.for_autopilot(), plan=1.0)
    settings = replace(SETTINGS, losses=losses)
    with pytest.raises(SettingsError, match="teacher of kind autopilot has no plan to tell"):
        taught(tmp_path / "run", tee_road, "autopilot", settings=settings)

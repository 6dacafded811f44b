import json
from dataclasses import replace

import pytest
import torch

from gigalane.core.settings import SettingsError
from gigalane.maps.sources import open_maps
from gigalane.networks.birdview import BirdviewLayout
from gigalane.networks.image_encoder import EyeSettings
from gigalane.policies.camera import CameraPolicy, CameraSettings
from gigalane.policies.checkpoint import load_policy
from gigalane.policies.coach import CoachPolicy
from gigalane.policies.entity import EntityPolicy
from gigalane.policies.policy import PolicyError
from gigalane.policies.shipped import load_default
from gigalane.render.birdview import BirdviewSettings
from gigalane.render.camera import load_rig
from gigalane.sim.simulator import Simulator
from gigalane.teach.comparison import LossWeights
from gigalane.teach.distill import Distiller, DistillSettings
from gigalane.teach.teachers import Autopilot
from gigalane.teach.teaching import TEACHING_WORLD, teach
from gigalane.train.run_folder import learned_from
from gigalane.worlds.camera import CameraWorld
from gigalane.worlds.vector import VectorWorld

RIG = load_rig("front").resized(24, 16)
EYES = CameraSettings(eyes=EyeSettings(channels=(8, 16), features=32))
WORLD = replace(TEACHING_WORLD, worlds=2, agents=8)
SETTINGS = DistillSettings(
    frames=100_000, rollout_steps=4, pool=300, minibatch=32, threads=1, learning_rate=1e-3
)


@pytest.fixture(scope="module")
def maps():
    return open_maps(("town:1",))


@pytest.fixture
def teacher() -> EntityPolicy:
    return load_default()


def run(
    folder, maps, teacher, settings=SETTINGS, iterations=3, world=WORLD, **options
) -> CameraPolicy:
    return teach(
        maps,
        world,
        teacher,
        RIG,
        settings,
        folder,
        eyes=EYES,
        on_iteration=lambda figures: figures["iteration"] >= iterations,
        **options,
    )


def figures(folder) -> list[dict]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").open()]


@pytest.mark.parametrize("method", ["dagger", "solo", "cloning"])
def test_students_come_nearer_to_their_teacher(tmp_path, maps, teacher, method):
    settings = replace(SETTINGS, method=method, passes=4.0, rollout_steps=8)
    run(tmp_path / "run", maps, teacher, settings, iterations=12)
    told = figures(tmp_path / "run")
    assert told[-1]["divergence"] < 0.8 * told[0]["divergence"]
    assert all(row["teacher_share"] == 1.0 for row in told) == (method == "cloning")


def coach(maps) -> CoachPolicy:
    """A coach that has learned nothing but has opinions."""
    simulator = Simulator(maps, replace(WORLD, action="acceleration_steering"))
    layout = BirdviewLayout(BirdviewSettings.small(), VectorWorld(simulator).layout.given)
    torch.manual_seed(1)
    policy = CoachPolicy(layout, simulator.action_space)
    torch.nn.init.normal_(policy.action_head.weight, std=0.05)
    return policy


def test_a_coach_teaches_what_it_thinks_and_what_it_feels(tmp_path, maps):
    settings = replace(
        SETTINGS, losses=replace(LossWeights.for_coach(), feature=1.0, structure=0.1, value=0.1),
        passes=4.0, rollout_steps=8,
    )  # fmt: skip
    student = run(tmp_path / "run", maps, coach(maps), settings, iterations=12)
    told = figures(tmp_path / "run")
    assert told[-1]["divergence"] < 0.9 * told[0]["divergence"]
    assert student.action_space.name == "acceleration_steering"
    assert student.settings.trunk == (256, 256)


@pytest.mark.parametrize("action", ["jerk12", "acceleration_steering"])
def test_an_autopilot_teaches_what_to_do(tmp_path, maps, action):
    simulator = Simulator(maps, replace(WORLD, action=action), seed=3)
    world = CameraWorld(VectorWorld(simulator), RIG, maps)
    torch.manual_seed(0)
    student = CameraPolicy(world.layout, world.action_space, EYES)
    settings = replace(
        SETTINGS, losses=LossWeights.for_autopilot(), rollout_steps=20, pool=400, passes=8.0
    )
    distiller = Distiller(world, Autopilot(world.action_space), student, settings, tmp_path)
    distiller.collect()
    rows = torch.arange(distiller.pool.count)
    before = float(distiller.loss(rows)[0].detach())
    distiller.improve()
    assert float(distiller.loss(rows)[0].detach()) < 0.8 * before


@pytest.mark.parametrize(
    ("who", "name"), [("coach", "slots"), ("autopilot", "divergence"), ("autopilot", "feature")]
)
def test_a_teacher_is_not_asked_what_it_cannot_tell(tmp_path, maps, who, name):
    teacher = coach(maps) if who == "coach" else who
    losses = replace(LossWeights.for_autopilot(), **{name: 1.0})
    with pytest.raises(SettingsError, match=f"losses: {name} is 1, but a teacher of kind {who}"):
        run(tmp_path / "run", maps, teacher, replace(SETTINGS, losses=losses))
    assert not (tmp_path / "run").exists()


def test_a_run_that_is_taken_up_again_keeps_its_weights_and_goes_on(tmp_path, maps, teacher):
    run(tmp_path / "run", maps, teacher, iterations=2)
    before = load_policy(tmp_path / "run" / "policy.safetensors")
    assert learned_from(tmp_path / "nothing", "frames") == 0
    assert learned_from(tmp_path / "run", "frames") == figures(tmp_path / "run")[-1]["samples"]
    over = run(tmp_path / "run", maps, teacher, replace(SETTINGS, frames=1), resume=True)
    for (name, ours), (_, theirs) in zip(
        over.state_dict().items(), before.state_dict().items(), strict=True
    ):  # files hold half precision
        torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-3, msg=name)
    student = run(tmp_path / "run", maps, teacher, iterations=4, resume=True)
    assert [row["iteration"] for row in figures(tmp_path / "run")] == [1, 2, 3, 4]
    assert figures(tmp_path / "run")[-1]["samples"] > figures(tmp_path / "run")[1]["samples"]
    assert before.layout == student.layout


def test_who_is_taught_already_keeps_what_it_has_of_its_own(tmp_path, maps, teacher):
    first = run(tmp_path / "first", maps, teacher)
    assert not torch.equal(first.action_head.weight, teacher.action_head.weight)
    kept = {name: tensor.clone() for name, tensor in first.state_dict().items()}
    settings = replace(SETTINGS, learning_rate=1e-12, seed=7)
    more = teach(
        maps, WORLD, teacher, RIG, settings, tmp_path / "more", start=first,
        on_iteration=lambda told: told["iteration"] >= 1,
    )  # fmt: skip
    for name, tensor in more.state_dict().items():
        torch.testing.assert_close(tensor, kept[name], atol=1e-6, rtol=1e-6, msg=name)
    assert more.settings == first.settings != CameraSettings()


def test_a_start_that_does_not_fit_is_refused(tmp_path, maps, teacher):
    first = run(tmp_path / "first", maps, teacher, iterations=1)
    with pytest.raises(SettingsError, match=r"24 x 16\).* 32 x 16\), and their rig.cameras differ"):
        teach(maps, WORLD, teacher, RIG.resized(32, 16), SETTINGS, tmp_path / "wide", start=first)
    narrow = EntityPolicy(
        teacher.layout, teacher.action_space, replace(teacher.settings, encoder_width=32)
    )
    with pytest.raises(SettingsError, match="start: its slots have 64 numbers"):
        run(tmp_path / "narrow", maps, narrow, start=first)
    assert not (tmp_path / "wide").exists() and not (tmp_path / "narrow").exists()


def test_the_same_seed_teaches_the_same(tmp_path, maps, teacher):
    runs = [run(tmp_path / name, maps, load_default(), iterations=2) for name in "ab"]
    for one, other in zip(runs[0].parameters(), runs[1].parameters(), strict=True):
        assert torch.equal(one, other)


def test_what_is_inherited_stays_the_drivers_where_it_is_not_freed(tmp_path, maps, teacher):
    settings = replace(SETTINGS, frees_trunk=False, losses=LossWeights(structure=1.0, value=0.1))
    student = run(tmp_path / "run", maps, teacher, settings)
    wanted = load_default()
    assert torch.equal(student.trunk.layers[0].weight, wanted.actor.trunk.layers[0].weight)
    assert torch.equal(student.action_head.weight, wanted.action_head.weight)
    freed = run(tmp_path / "freed", maps, teacher)
    assert not torch.equal(freed.action_head.weight, wanted.action_head.weight)


def test_a_folder_that_holds_a_run_is_not_written_over(tmp_path, maps, teacher):
    run(tmp_path / "run", maps, teacher, iterations=1)
    kept = (tmp_path / "run" / "worlds.json").read_bytes()
    with pytest.raises(PolicyError, match="already holds a run"):
        run(tmp_path / "run", maps, teacher, iterations=1, world=replace(WORLD, agents=9))
    assert (tmp_path / "run" / "worlds.json").read_bytes() == kept
    with pytest.raises(PolicyError, match="another minibatch"):
        changed = replace(SETTINGS, minibatch=16)
        run(tmp_path / "run", maps, teacher, changed, iterations=1, resume=True)


def test_a_teacher_with_other_observations_is_refused_in_one_line(tmp_path, maps, teacher):
    world = replace(WORLD, observation=replace(WORLD.observation, partners=4))
    with pytest.raises(SettingsError, match="teacher: it observes") as found:
        teach(maps, world, teacher, RIG, SETTINGS, tmp_path / "run", eyes=EYES)
    assert "\n" not in str(found.value)
    assert not (tmp_path / "run").exists()


def test_what_nobody_hands_down_cannot_stay_as_it_is(tmp_path, maps):
    settings = replace(SETTINGS, losses=LossWeights.for_autopilot(), frees_trunk=False)
    with pytest.raises(SettingsError, match="of kind autopilot inherits nothing"):
        run(tmp_path / "run", maps, "autopilot", settings)


@pytest.mark.parametrize(
    "wrong",
    [
        *({"frames": 0}, {"mixed": 2.0}, {"pool": 8}, {"passes": 0.0}, {"threads": -1}),
        *({"seed": -1}, {"recolour": -0.1}, {"recolour": 1.5}),
    ],
)
def test_settings_that_teach_nothing_are_refused(wrong):
    with pytest.raises(SettingsError, match="distill:"):
        replace(SETTINGS, **wrong)


def test_the_teachers_part_of_the_driving_falls_to_nothing():
    settings = replace(SETTINGS, frames=1000, mixed=0.5)
    assert [settings.teacher_share(n) for n in (0, 250, 500, 900)] == [1.0, 0.5, 0.0, 0.0]


def test_frames_are_kept_in_other_shades_and_nothing_else_is_touched(tmp_path, maps):
    pools = []
    for recolour in (0.0, 0.3):
        simulator = Simulator(maps, WORLD, seed=3)
        world = CameraWorld(VectorWorld(simulator), RIG, maps)
        world.reset(5)
        torch.manual_seed(0)
        student = CameraPolicy(world.layout, world.action_space, EYES)
        settings = replace(SETTINGS, losses=LossWeights.for_autopilot(), recolour=recolour)
        script = Autopilot(world.action_space)
        lessons = Distiller(world, script, student, settings, tmp_path)
        lessons.collect()  # at first the script drives, whatever the student sees
        pools.append(lessons.pool)
    true, other = pools
    assert true.count == other.count > 0
    layout = student.layout
    before, after = (layout.images_of(pool.seen[: pool.count]).float() for pool in pools)
    assert ((after - before).abs() > 1).float().mean() > 0.8
    for one, two in zip(before.flatten(1), after.flatten(1), strict=True):
        assert torch.corrcoef(torch.stack([one, two]))[0, 1] > 0.6  # the same picture
    for name in ("shown", "lane"):
        assert torch.equal(getattr(true, name)[: true.count], getattr(other, name)[: true.count])
    assert torch.equal(layout.given_of(true.seen[: true.count]),
                       layout.given_of(other.seen[: true.count]))  # fmt: skip


def test_lessons_without_a_critical_frame_end_with_a_word(tmp_path, maps, teacher, monkeypatch):
    nothing = lambda actor, actions, rows, least: torch.zeros(len(rows), dtype=torch.bool)  # noqa: E731
    monkeypatch.setattr("gigalane.teach.frame_pool.critical", nothing)
    settings = replace(SETTINGS, critical=0.99, rollout_steps=1)
    with pytest.raises(SettingsError, match="no frame was kept in 50 roll-outs"):
        run(tmp_path / "run", maps, teacher, settings, iterations=60)


def test_critical_frames_alone_are_fewer_and_the_rest_is_as_before(tmp_path, maps, teacher):
    settings = replace(SETTINGS, mixed=0.0)
    run(tmp_path / "all", maps, teacher, settings, iterations=4)
    run(tmp_path / "few", maps, teacher, replace(settings, critical=0.9), iterations=4)
    everything, few = figures(tmp_path / "all"), figures(tmp_path / "few")
    assert few[-1]["samples"] < everything[-1]["samples"]
    cloned = replace(settings, method="cloning")
    run(tmp_path / "cloned", maps, teacher, cloned, iterations=2)
    run(tmp_path / "critical", maps, teacher, replace(cloned, critical=0.1), iterations=2)
    told = [[row["loss"] for row in figures(tmp_path / name)] for name in ("cloned", "critical")]
    assert told[0] == told[1]  # what the teacher drives through is kept whole


def test_critical_wants_a_share_and_a_student_that_drives_by_actions():
    with pytest.raises(SettingsError, match="critical is 1"):
        replace(SETTINGS, critical=1.0)

from dataclasses import replace

import pytest

from gigalane.core.settings import SettingsError
from gigalane.evals.evaluate import EvaluateSettings
from gigalane.networks.image_encoder import EyeSettings
from gigalane.policies.camera import CameraPolicy, CameraSettings
from gigalane.policies.checkpoint import load_policy
from gigalane.render.camera import load_rig
from gigalane.studies.lessons import Lessons, StudentArm
from gigalane.studies.marks import Run, run_folder
from gigalane.studies.running import run_study
from gigalane.studies.study import Budget, Study, Trial
from gigalane.teach.distill import DistillSettings
from gigalane.teach.teaching import TEACHING_WORLD


@pytest.fixture
def study(tmp_path) -> Study:
    """Two ways to teach tiny students."""
    load_rig("front").resized(24, 16).save(tmp_path / "rig.json")
    base = Lessons(
        maps=("town:1",),
        world=replace(TEACHING_WORLD, worlds=2, agents=8),
        rig=str(tmp_path / "rig.json"),
        distill=DistillSettings(rollout_steps=4, pool=200, minibatch=32),
        student=CameraSettings(eyes=EyeSettings(channels=(8, 8), features=16)),
    )
    cloning = replace(base, distill=replace(base.distill, method="cloning"))
    trial = Trial(
        "town", ("town:9001",), EvaluateSettings(episodes=4, agents=4, seconds=4.0, dt=0.25)
    )
    arms = (StudentArm("dagger", "drives", base), StudentArm("cloning", "watches", cloning))
    return Study("students", arms, Budget(300), 1, (trial,), marks=(0.5, 1.0))


def test_students_are_taught_kept_at_marks_and_measured(study, tmp_path):
    facts = run_study(study, tmp_path / "out", jobs=0)
    for arm in study.arms:
        run = Run.read(run_folder(tmp_path / "out", arm.name, 0))
        assert run.complete
        assert [mark.share for mark in run.marks] == [0.5, 1.0]
        assert 300 <= run.spent.samples < 400
        assert run.spent.cpu_seconds > 0
        kept = [load_policy(run.folder / mark.policy) for mark in run.marks]
        assert all(isinstance(policy, CameraPolicy) for policy in kept)
    assert facts["arms"]["cloning"]["differs_in"] == ["lessons.distill.method"]
    result = facts["results"]["samples"]["town"]["cloning"]
    assert "difference" in result["driving_score"]


def test_a_student_that_was_cut_off_is_taught_anew_and_a_finished_one_is_left_alone(
    study, tmp_path
):
    run_study(study, tmp_path / "out", jobs=0)
    finished = run_folder(tmp_path / "out", "dagger", 0)
    cut_off = run_folder(tmp_path / "out", "cloning", 0)
    before = (finished / "lessons" / "policy.safetensors").stat().st_mtime_ns
    run = Run.read(cut_off)
    run.complete = False
    run.forget_after(150)
    run._write()
    run_study(study, tmp_path / "out", jobs=0)
    assert (finished / "lessons" / "policy.safetensors").stat().st_mtime_ns == before
    again = Run.read(cut_off)
    assert again.complete
    assert [mark.share for mark in again.marks] == [0.5, 1.0]


def test_names_that_make_no_folder_are_refused():
    with pytest.raises(SettingsError, match="use lower case"):
        StudentArm("No Way", "")

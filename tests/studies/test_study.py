import json
import multiprocessing
import os
import shutil
import signal
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from gigalane.core.settings import SettingsError
from gigalane.evals.evaluate import EvaluateSettings
from gigalane.maps.generate.settings import TINY_TOWN
from gigalane.policies.checkpoint import load_policy
from gigalane.policies.entity import EntityPolicy, EntitySettings
from gigalane.sim.settings import SimulatorSettings
from gigalane.studies.marks import Run, Spent, run_folder
from gigalane.studies.report import figure_text, t_interval, t_quantile, tables
from gigalane.studies.running import run_part, run_study
from gigalane.studies.study import (
    FLAT,
    Arm,
    Budget,
    Stage,
    Study,
    Trial,
    changes,
    completed,
    described,
)
from gigalane.train.advantage import FilterSettings
from gigalane.train.ppo import PPOSettings
from gigalane.train.trainer import Trainer, TrainSettings
from gigalane.worlds.rewinding import RewindSettings
from weights import weights

BASE = Stage(
    maps=("town:1",),
    towns=TINY_TOWN,
    world=SimulatorSettings(worlds=4, agents=6),
    train=TrainSettings(
        samples=FLAT,
        rollout_steps=8,
        precision="fp32",
        checkpoint_every_s=0.0,
        policy=EntitySettings(trunk=(32,)),
        ppo=PPOSettings(minibatch=64),
        filter=FilterSettings(keep_minimum=32),
    ),
)
LEARNS_ALL = replace(BASE, train=replace(BASE.train, filter=FilterSettings(threshold=0.0)))
REWINDS = replace(
    BASE, rewind=RewindSettings(every_s=0.3, back_s=(0.3, 0.6), chance=1.0, rest_s=1.0), until=0.5
)
TRIAL = Trial(
    "toy",
    ("town:9001",),
    EvaluateSettings(episodes=8, agents=6, seconds=3.0, dt=0.3, seed=7),
    towns=TINY_TOWN,
)
LATE = replace(TRIAL, name="late", settings=replace(TRIAL.settings, dt=0.25), every_mark=False)
STUDY = Study(
    "toy-study",
    (
        Arm("base", "as always", (BASE,)),
        Arm("two-stages", "rewinds, then learns from everything", (REWINDS, LEARNS_ALL)),
    ),
    Budget(samples=800, cpu_seconds=0.3),
    seeds=2,
    trials=(TRIAL, LATE),
    marks=(0.5, 1.0),
)
ONE_RUN = replace(STUDY, arms=STUDY.arms[:1], seeds=1, budget=Budget(samples=3000), trials=(LATE,))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The toy study, run once; tests that change it copy it first."""
    out = tmp_path_factory.mktemp("study")
    return out, run_study(STUDY, out, jobs=0)


def test_a_study_runs_from_arms_to_tables(finished):
    out, facts = finished
    assert facts == json.loads((out / "study.json").read_text())
    assert [(run["arm"], run["seed"]) for run in facts["runs"]] == [
        (arm, seed) for arm in ("base", "two-stages") for seed in (0, 1)
    ]
    for run in facts["runs"]:
        assert run["complete"]
        assert run["samples"] >= 800
        assert run["cpu_seconds"] >= 0.3
        marks = {(mark["measure"], mark["share"]): mark for mark in run["marks"]}
        assert set(marks) == {(m, share) for m in ("samples", "cpu") for share in (0.5, 1.0)}
        for (measure, share), mark in marks.items():
            spent = mark["samples"] / 800 if measure == "samples" else mark["cpu_seconds"] / 0.3
            assert share <= spent
            assert set(mark["evaluations"]) == ({"toy", "late"} if share == 1.0 else {"toy"})
    text = (out / "table.md").read_text()
    assert text == tables(facts)
    assert "## late, at equal CPU time" in text
    picture = np.asarray(Image.open(out / "curve.png").convert("RGB"), np.int64)
    for colour in ((0x22, 0x22, 0x22), (0x00, 0x72, 0xB2)):  # both arms are drawn
        assert (np.abs(picture - colour).sum(axis=-1) < 12).sum() > 100


def test_intervals_are_those_of_an_independent_computation(finished):
    _, facts = finished
    for measure, trials in facts["results"].items():
        for trial, results in trials.items():
            scores = {
                arm: np.array(
                    [
                        mark["evaluations"][trial]["offroad_rate"]["value"]
                        for run in facts["runs"]
                        if run["arm"] == arm
                        for mark in run["marks"]
                        if mark["measure"] == measure and mark["share"] == 1.0
                    ]
                )
                for arm in ("base", "two-stages")
            }
            for arm, values in scores.items():
                found = results[arm]["offroad_rate"]
                half = 12.7062 * values.std(ddof=1) / np.sqrt(2)  # t of one degree of freedom
                assert found["mean"] == pytest.approx(values.mean())
                assert found["low"] == pytest.approx(values.mean() - half, abs=1e-4)
                assert found["high"] == pytest.approx(values.mean() + half, abs=1e-4)
            gap = scores["two-stages"] - scores["base"]
            found = results["two-stages"]["offroad_rate"]["difference"]
            half = 12.7062 * gap.std(ddof=1) / np.sqrt(2)
            assert found["mean"] == pytest.approx(gap.mean(), abs=1e-12)
            assert found["high"] - found["low"] == pytest.approx(2 * half, abs=1e-4)
            assert results["base"]["offroad_rate"]["difference"] is None


def test_the_same_seed_begins_every_arm_with_the_same_weights_and_the_same_trials(finished):
    out, facts = finished
    settings = set()
    for path in out.glob("runs/*/*/evaluations/*--toy.json"):
        found = json.loads(path.read_text())
        settings.add(json.dumps([found["settings"], found["maps"]]))
    assert len(settings) == 1
    assert facts["arms"]["two-stages"]["differs_in"] == ["stages"]


def test_what_is_finished_is_not_done_again(finished, tmp_path):
    out = tmp_path / "study"
    shutil.copytree(finished[0], out)
    before = {path: path.stat().st_mtime_ns for path in out.glob("runs/**/*") if path.is_file()}
    run_study(STUDY, out, jobs=0)
    assert before == {p: p.stat().st_mtime_ns for p in out.glob("runs/**/*") if p.is_file()}


def test_a_damaged_evaluation_is_measured_again_and_nothing_else(finished, tmp_path):
    out = tmp_path / "study"
    shutil.copytree(finished[0], out)
    files = sorted(out.glob("runs/base/seed-1/evaluations/*"))
    whole = json.loads(files[0].read_text())
    files[0].write_text(files[0].read_text()[:100])
    times = [path.stat().st_mtime_ns for path in files]
    run_study(STUDY, out, jobs=0)
    again = json.loads(files[0].read_text())
    for name in whole.keys() - {"seconds"}:
        assert again[name] == whole[name]
    assert [path.stat().st_mtime_ns for path in files[1:]] == times[1:]


def test_a_run_whose_policy_is_damaged_is_run_again(finished, tmp_path):
    out = tmp_path / "study"
    shutil.copytree(finished[0], out)
    folder = run_folder(out, "base", 0)
    mark = next(mark for mark in Run.read(folder).marks if mark.name == "samples-0.5")
    expected = weights(load_policy(folder / mark.policy))
    with (folder / mark.policy).open("r+b") as file:
        file.seek(-8, os.SEEK_END)
        file.write(b"\xff" * 8)
    with pytest.raises(SettingsError, match="run it again"):
        Run.read(folder)
    facts = run_study(STUDY, out, jobs=0)
    assert all(run["complete"] for run in facts["runs"])
    again = next(mark for mark in Run.read(folder).marks if mark.name == "samples-0.5")
    assert torch.equal(weights(load_policy(folder / again.policy)), expected)


def test_a_run_killed_on_the_way_goes_on_to_the_same_policies(tmp_path):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    run_part(ONE_RUN, whole, "base", 0)
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=run_part, args=(ONE_RUN, cut, "base", 0))
    process.start()
    folder = run_folder(cut, "base", 0)
    while not list(folder.glob("at-*")):  # the first mark is half of the way
        assert process.is_alive()
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    killed = Run.read(folder)
    assert not killed.complete
    run_part(ONE_RUN, cut, "base", 0)
    marks = [Run.read(run_folder(out, "base", 0)).marks for out in (whole, cut)]
    for one, other in zip(*marks, strict=True):
        assert (one.name, one.samples) == (other.name, other.samples)
        policies = [load_policy(run_folder(out, "base", 0) / one.policy) for out in (whole, cut)]
        assert torch.equal(weights(policies[0]), weights(policies[1]))
    assert Run.read(folder).spent.cpu_seconds > killed.spent.cpu_seconds
    lines = (folder / "stage-1" / "metrics.jsonl").read_text().splitlines()
    iterations = [json.loads(line)["iteration"] for line in lines]
    assert iterations == list(range(1, len(lines) + 1))


def test_runs_in_processes_of_their_own_are_told_apart_from_failed_ones(tmp_path):
    def broken(stage):
        return replace(stage, maps=("no-such-file.xodr",))

    study = replace(ONE_RUN, budget=Budget(samples=200), marks=(1.0,))
    arms = (*study.arms, Arm("broken", "has no map", (broken(BASE),)))
    with pytest.raises(RuntimeError, match="1 of 2 runs failed, broken with seed 0"):
        run_study(replace(study, arms=arms), tmp_path, jobs=2)
    assert "no-such-file.xodr" in (run_folder(tmp_path, "broken", 0) / "log.txt").read_text()
    facts = json.loads((tmp_path / "study.json").read_text())
    assert next(run for run in facts["runs"] if run["arm"] == "base")["complete"]


class Watching(Trainer):
    """Notes weights and moments as each stage begins and ends."""

    seen: list = []  # noqa: RUF012

    def note(self, when):
        moments = self.ppo.optimizer.state_dict()["state"]
        flat = [moments[k][name].flatten() for k in sorted(moments) for name in sorted(moments[k])]
        moment = torch.cat(flat).clone() if flat else torch.zeros(0)
        self.seen.append((when, self.iteration, weights(self.policy).clone(), moment))

    def collect(self):
        if self.iteration == 0:
            self.note("begins")
        super().collect()

    def save(self):
        self.note("ends")
        super().save()


def test_a_stage_goes_on_with_the_policy_and_the_optimiser_of_the_one_before(tmp_path):
    Watching.seen.clear()
    stages = (replace(BASE, until=0.5, learner=Watching), replace(LEARNS_ALL, learner=Watching))
    study = replace(ONE_RUN, arms=(Arm("base", "", stages),), budget=Budget(samples=800))
    run_part(study, tmp_path, "base", 0)
    begins = [seen for seen in Watching.seen if seen[0] == "begins"]
    second = next(k for k, seen in enumerate(Watching.seen) if seen is begins[1])
    last = Watching.seen[second - 1]
    assert len(begins[0][3]) == 0
    assert len(begins[1][3]) > 0
    assert torch.equal(begins[1][2], last[2])
    assert torch.equal(begins[1][3], last[3])
    first, whole = Run.read(run_folder(tmp_path, "base", 0)).stages
    assert 400 <= first.samples < 800 <= whole.samples


def given_policy(stage, seed, folder):
    """A start: weights that no seed draws."""
    maps = stage.open_maps()
    from gigalane.sim.simulator import Simulator

    simulator = Simulator(maps, stage.world, threads=1)
    policy = EntityPolicy(simulator.layout, simulator.action_space, stage.train.policy)
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.fill_(0.25)
    burnt = time.process_time()
    while time.process_time() - burnt < 0.2:
        pass
    return policy


def test_a_start_gives_the_first_weights_and_its_time_counts(tmp_path):
    Watching.seen.clear()
    arm = Arm("base", "", (replace(BASE, learner=Watching),), start=given_policy)
    study = replace(ONE_RUN, arms=(arm,), budget=Budget(samples=300))
    run_part(study, tmp_path, "base", 0)
    assert (Watching.seen[0][2] == 0.25).all()
    start, whole = Run.read(run_folder(tmp_path, "base", 0)).stages
    assert start.samples == 0
    assert start.cpu_seconds >= 0.2
    assert whole.cpu_seconds > start.cpu_seconds


def test_a_run_that_something_else_wrote_is_measured_and_shown(finished, tmp_path):
    out = tmp_path / "study"
    shutil.copytree(finished[0], out)
    source = Run.read(run_folder(out, "base", 0))
    policy = load_policy(source.folder / source.marks[0].policy)
    guest = Run.begin(run_folder(out, "shac", 0), "shac", 0, {"learning_rate": 1e-3})
    for samples, cpu_seconds in ((500, 0.1), (900, 0.16), (1000, 0.4)):
        guest.keep(policy, Spent(samples, cpu_seconds), STUDY.budget, STUDY.marks)
    guest.finish(Spent(1000, 0.4))
    facts = run_study(STUDY, out, jobs=0)
    assert [(mark.name, mark.samples) for mark in guest.marks] == [
        ("samples-0.5", 500),
        ("samples-1", 900),
        ("cpu-0.5", 900),
        ("cpu-1", 1000),
    ]
    assert facts["results"]["samples"]["toy"]["shac"]["driving_score"]["mean"] is not None
    assert "| shac |" in (out / "table.md").read_text()


def test_runs_of_other_settings_are_not_gone_on_with(finished, tmp_path):
    out = tmp_path / "study"
    shutil.copytree(finished[0], out)
    other = replace(BASE, train=replace(BASE.train, discount=0.9))
    study = replace(STUDY, arms=(Arm("base", "as always", (other,)), STUDY.arms[1]))
    with pytest.raises(SettingsError, match=r"another arm\.stages\.0\.train\.discount"):
        run_study(study, out, jobs=0)


def test_a_setting_that_did_not_exist_yet_counts_as_its_default():
    saved = described(BASE)
    del saved["train"]["discount"], saved["world"]["spawn"]
    now = described(BASE)
    assert changes(completed(saved, BASE), now) == []
    other = replace(BASE, train=replace(BASE.train, discount=0.9))
    assert changes(completed(saved, other), described(other)) == ["train.discount"]
    assert changes(completed([saved], [BASE, BASE]), [now, now]) == [""]


def test_studies_that_would_mean_nothing_are_refused():
    seen = replace(TRIAL, maps=("town:1-3",))
    with pytest.raises(SettingsError, match="share town:1"):
        replace(STUDY, trials=(seen,))
    with pytest.raises(SettingsError, match="names of their own"):
        replace(STUDY, arms=(STUDY.arms[0], STUDY.arms[0]))
    with pytest.raises(SettingsError, match="rising order"):
        Arm("wrong", "", (BASE, BASE))
    with pytest.raises(SettingsError, match="budget"):
        Budget()
    with pytest.raises(SettingsError, match="no arm 'other'"):
        STUDY.part(["other"])


def test_a_run_ends_when_both_budgets_are_spent():
    budget = Budget(samples=100, cpu_seconds=10.0)
    assert budget.done(200, 5.0) == 0.5
    assert budget.done(50, 50.0) == 0.5
    assert budget.done(100, 10.0) == 1.0
    assert Budget(samples=100).done(50, 1e9) == 0.5
    assert Budget(cpu_seconds=10.0).measures == ("cpu",)


@pytest.mark.parametrize(
    ("freedom", "quantile"),
    [(1, 12.7062), (2, 4.30265), (3, 3.18245), (4, 2.77645), (9, 2.26216), (30, 2.04227)],
)
def test_t_quantiles_are_those_of_the_tables(freedom, quantile):
    assert t_quantile(freedom) == pytest.approx(quantile, abs=5e-5)


def test_t_intervals_hold_the_mean_of_most_samples():
    random = np.random.default_rng(0)
    inside = [
        found["low"] <= 5.0 <= found["high"]
        for found in (t_interval(list(random.normal(5.0, 2.0, 3))) for _ in range(2000))
    ]
    assert np.mean(inside) == pytest.approx(0.95, abs=0.015)
    assert t_interval([1.0]) == {"mean": 1.0, "low": None, "high": None}


def test_a_figure_is_told_with_its_interval_and_a_clear_difference_is_bold():
    clear, unclear = t_interval([-0.30, -0.31]), t_interval([-0.30, 0.31])
    # Half widths: t of one degree of freedom, 12.706, by half the distance of the two.
    assert figure_text(clear, is_difference=True) == "**−0.305 (−0.369 to −0.241)**"
    assert figure_text(clear, is_share=True) == "−30.5 % (−36.9 to −24.1)"
    assert figure_text(unclear, is_difference=True) == "+0.005 (−3.870 to +3.880)"
    assert figure_text(t_interval([0.5])) == "0.500"
    assert figure_text(None) == figure_text({"mean": None}) == "–"


def test_changes_are_the_places_that_differ():
    one, other = described(STUDY.arms[0]), described(Arm("other", "", (LEARNS_ALL,)))
    places = ["about", "name", "stages.0.train.filter.keep_minimum"]
    assert changes(one, other) == [*places, "stages.0.train.filter.threshold"]
    assert changes(one, one) == []

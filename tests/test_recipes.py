"""Recipes: studies whose arms differ in exactly what they say, and the coach's sizes."""

from argparse import Namespace

import pytest

from gigalane.cli.errors import InputError
from gigalane.cli.study_command import keep_options
from gigalane.sim.settings import PERSONA_NAMES, PersonaSettings
from gigalane.studies.study import Budget, Study, changes, described, standard_trials
from gigalane.train.advantage import REFERENCE_STEP


@pytest.fixture(scope="module")
def ablation(recipe) -> Study:
    return recipe("ablation").ablation(Budget(1000), 3, standard_trials(8))


@pytest.fixture(scope="module")
def sample_bound(recipe) -> Study:
    return recipe("sample_bound").sample_bound(Budget(1000), 3, standard_trials(8))


def differs(study: Study, name: str) -> list[str]:
    """Places in which an arm's only stage differs from the base's."""
    base, arm = described(study.arms[0]), described(study.arm(name))
    assert len(arm["stages"]) == 1
    assert arm["start"] is None
    return changes(base["stages"][0], arm["stages"][0])


def test_each_ablation_changes_one_thing(ablation):
    assert ablation.arms[0].name == "base"
    assert differs(ablation, "no-filter") == ["train.filter.threshold"]
    assert differs(ablation, "scripted-traffic") == ["world.traffic.scripted"]
    assert differs(ablation, "one-map") == ["maps.0"]
    strict, drawn = PersonaSettings.strict(), PersonaSettings()
    assert set(differs(ablation, "one-persona")) == {
        f"world.persona.{name}" + suffix
        for name in PERSONA_NAMES
        for k, suffix in enumerate((".0", ".1"))
        if getattr(strict, name)[k] != getattr(drawn, name)[k]
    }
    persona = ablation.arm("one-persona").stages[0].world.persona
    assert all(low == high for low, high in persona.ranges())


def test_each_curriculum_ends_as_the_base_and_changes_what_it_says(sample_bound):
    base = described(sample_bound.arms[0])["stages"][0]
    said = {
        "density": {"world.worlds", "world.agents"},
        "horizon": {"train.discount"},
        "time-step": {"world.time_steps"},
        "town-size": {"world.worlds", "world.agents", "towns"},
        "together": {"world.worlds", "world.agents", "world.time_steps", "towns", "train.discount"},
    }
    for name, places in said.items():
        stages = described(sample_bound.arm(name))["stages"]
        found = {place for stage in stages for place in changes(base, stage)} - {"until"}
        assert found == places, name
        last = set(changes(base, stages[-1]))
        assert last == ({"train.discount"} if "train.discount" in places else set())
    for name in ("near-incidents", "eventful-worlds"):
        assert differs(sample_bound, name) == ["rewind"]
    kinds = {arm.name: arm.stages[0].rewind for arm in sample_bound.arms}
    assert kinds["near-incidents"].into == "same"
    assert kinds["eventful-worlds"].into == "calmest"


def test_every_stage_has_as_many_rows_as_the_base(sample_bound):
    rows = {s.world.worlds * s.world.agents for arm in sample_bound.arms for s in arm.stages}
    assert rows == {3200}


def test_nobody_learns_on_the_towns_that_measure(ablation, sample_bound):
    for study in (ablation, sample_bound):
        assert {trial.settings.dt for trial in study.trials} == {0.1, 0.3}
        assert {trial.settings.density for trial in study.trials} == {10.0}
        assert {trial.settings.greedy for trial in study.trials} == {True}
        assert {trial.settings.persona for trial in study.trials} == {PersonaSettings.strict()}
        assert len({trial.settings.seed for trial in study.trials}) == 1


def test_the_coach_of_the_papers_size_has_its_iterations_and_its_discount_by_step(recipe):
    sizes = recipe("coach").RECIPES
    paper, small = sizes["paper"](), sizes["small"]()
    worlds, agents = paper.world.worlds, paper.world.agents
    assert worlds * agents * paper.train.rollout_steps == 12_288
    assert paper.world.time_steps == (0.1,)
    per_step = 0.1 / REFERENCE_STEP
    assert paper.train.discount**per_step == pytest.approx(0.99)
    assert paper.train.trace**per_step == pytest.approx(0.9)
    for one in (paper, small):
        assert one.train.exploration.weight == 0.05
        assert one.world.persona == PersonaSettings.strict()
    # Greys take more than sixteen bits; the small one has a bit a channel.
    assert (paper.birdview.bits, small.birdview.bits) == (32, 16)


def test_ways_of_teaching_change_what_they_say(recipe):
    study = recipe("students").students(Budget(1000), 3, standard_trials(8))
    base = described(study.arms[0])["lessons"]

    def changed(name: str) -> set[str]:
        return set(changes(base, described(study.arm(name))["lessons"]))

    assert changed("solo") == changed("cloning") == {"distill.method"}
    assert changed("frozen-trunk") == {"distill.frees_trunk"}
    assert changed("no-slots") == {"distill.losses.slots"}
    assert changed("action") == {f"distill.losses.{n}" for n in ("action", "divergence", "slots")}


def test_a_recipes_folder_goes_on_with_more_seeds_and_with_nothing_else(tmp_path):
    asked = Namespace(out=tmp_path, seeds=2, episodes=64, learn_towns=["town:1"])
    keep_options(tmp_path, asked)
    keep_options(tmp_path, Namespace(**{**vars(asked), "seeds": 3}))
    for change in ({"episodes": 8}, {"learn_towns": ["town:2"]}):
        with pytest.raises(InputError, match=r"was begun with --(episodes 64|learn-towns)"):
            keep_options(tmp_path, Namespace(**{**vars(asked), **change}))


def test_the_coachs_ablation_asks_the_same_of_all_but_the_script(recipe):
    study = recipe("coach_ablation").coach_ablation(Budget(1000), 3, standard_trials(8))
    lessons = {arm.name: arm.lessons for arm in study.arms}
    script = lessons.pop("autopilot-action")
    assert script.distill == lessons["action"].distill
    assert {one.teacher for one in lessons.values()} == {"default-coach"}
    weights = {name: one.distill.losses for name, one in lessons.items()}
    told = {
        name: [loss for loss, weight in vars(given).items() if weight and loss != "lane"]
        for name, given in weights.items()
    }
    assert told == {
        "action": ["action"],
        "kl": ["divergence"],
        "kl-feature": ["divergence", "feature"],
        "kl-structure": ["divergence", "structure"],
    }

import json
from dataclasses import replace

import torch

from gigalane.core.settings import rebuild
from gigalane.maps.sources import open_maps
from gigalane.networks.image_encoder import EyeSettings
from gigalane.policies.actor_critic import AnyPolicy
from gigalane.policies.camera import CameraPolicy, CameraSettings
from gigalane.policies.coach import CoachPolicy, CoachSettings
from gigalane.policies.entity import EntitySettings
from gigalane.render.birdview import BirdviewSettings
from gigalane.render.camera import load_rig
from gigalane.sim.settings import SimulatorSettings
from gigalane.train.coach import CoachRecipe
from gigalane.train.exploration import ExplorationSettings
from gigalane.train.guidance import GuidanceSettings
from gigalane.train.ppo import PPOSettings
from gigalane.train.selfplay import self_play
from gigalane.train.trainer import TrainSettings
from weights import weights


def whole_and_in_halves(folder, world, settings, **options) -> AnyPolicy:
    """Checks that training with a break ends with the same weights as without; returns those."""
    maps = open_maps(("town:1",))

    def run(name: str, iterations: int, resume: bool = False) -> AnyPolicy:
        return self_play(
            maps,
            world,
            settings,
            folder / name,
            resume=resume,
            on_iteration=lambda figures: figures["iteration"] >= iterations,
            **options,
        )

    whole = run("whole", 4)
    assert not torch.equal(weights(run("halves", 2)), weights(whole))
    assert torch.equal(weights(run("halves", 4, resume=True)), weights(whole))
    return whole


def test_self_play_on_the_simulator_resumes_to_exactly_the_same_numbers(tmp_path):
    world = SimulatorSettings(worlds=4, agents=8)
    settings = TrainSettings(
        samples=100_000,
        rollout_steps=8,
        policy=EntitySettings(trunk=(32,)),
        ppo=PPOSettings(minibatch=64),
    )
    whole_and_in_halves(tmp_path, world, settings)
    samples = [
        [json.loads(line)["samples"] for line in (tmp_path / name / "metrics.jsonl").open()]
        for name in ("whole", "halves")
    ]
    assert len(samples[0]) == 4
    assert samples[0] == samples[1]


def test_a_coach_resumes_to_exactly_the_same_numbers_hints_and_advice_included(tmp_path):
    recipe = CoachRecipe.small()
    world = replace(recipe.world, worlds=2, agents=8)
    settings = replace(
        recipe.train,
        samples=3000,
        rollout_steps=16,
        threads=1,
        coach=CoachSettings(join=(32,), heads=(16,)),
        ppo=PPOSettings(minibatch=64),
        guidance=GuidanceSettings(0.5, 500),
        exploration=ExplorationSettings(0.05),
    )

    policy = whole_and_in_halves(tmp_path, world, settings, eyes=recipe.birdview)
    assert isinstance(policy, CoachPolicy)
    worlds = json.loads((tmp_path / "whole" / "worlds.json").read_text())
    assert rebuild(BirdviewSettings, worlds["birdview"], "here") == recipe.birdview


def test_a_driver_learns_from_pixels_alone_and_resumes_to_exactly_the_same_numbers(tmp_path):
    rig = load_rig("front").resized(24, 16)
    settings = TrainSettings(
        samples=100_000,
        rollout_steps=8,
        threads=1,
        camera=CameraSettings(trunk=(32,), eyes=EyeSettings(channels=(8, 8), features=16)),
        ppo=PPOSettings(minibatch=64),
    )

    world = SimulatorSettings(worlds=2, agents=6)
    assert isinstance(whole_and_in_halves(tmp_path, world, settings, eyes=rig), CameraPolicy)

import json

import torch

from gigalane.maps.sources import open_maps
from gigalane.policies.entity import EntitySettings
from gigalane.sim.settings import SimulatorSettings
from gigalane.train.ppo import PPOSettings
from gigalane.train.selfplay import self_play
from gigalane.train.trainer import TrainSettings


def test_self_play_on_the_simulator_resumes_to_exactly_the_same_numbers(tmp_path):
    maps = open_maps(("town:1",))
    world = SimulatorSettings(worlds=4, agents=8)
    settings = TrainSettings(
        samples=100_000,
        rollout_steps=8,
        policy=EntitySettings(trunk=(32,)),
        ppo=PPOSettings(minibatch=64),
    )

    def run(name: str, iterations: int, resume: bool = False) -> torch.Tensor:
        policy = self_play(
            maps,
            world,
            settings,
            tmp_path / name,
            resume=resume,
            on_iteration=lambda figures: figures["iteration"] >= iterations,
        )
        return torch.cat([parameter.detach().flatten() for parameter in policy.parameters()])

    whole = run("whole", 4)
    run("halves", 2)
    assert torch.equal(run("halves", 4, resume=True), whole)
    samples = [
        [json.loads(line)["samples"] for line in (tmp_path / name / "metrics.jsonl").open()]
        for name in ("whole", "halves")
    ]
    assert len(samples[0]) == 4
    assert samples[0] == samples[1]

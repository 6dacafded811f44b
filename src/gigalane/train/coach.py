"""How a coach is taught: by playing against copies of itself, looking from above.

The method is Roach's (Zhang et al. 2021, arXiv 2108.08265): PPO, Beta distributions over
accelerations and wheel angles, the exploration loss. What differs, and why:

- It drives every car (self-play), because every raster that is drawn then teaches.
- It is rewarded by the simulator's facts as the strict persona weighs them
  (`gigalane.sim.reward`): the driver that evaluations ask for. Roach's speed and steering terms
  are not facts of this simulator.
- Only collisions, leaving the road and goals end an episode; stop lines cost reward.
- `small` begins with the scripted driver's advice (`gigalane.train.guidance`), which fades: with
  it an untaught coach reaches goals after two CPU minutes. `paper` learns from reward alone.
"""

from __future__ import annotations

from dataclasses import dataclass

from gigalane.policies.coach import ACTION, CoachSettings
from gigalane.render.birdview import BirdviewSettings
from gigalane.sim.settings import (
    PersonaSettings,
    SimulatorSettings,
    SpawnSettings,
    TrafficSettings,
)
from gigalane.train.exploration import ExplorationSettings
from gigalane.train.guidance import GuidanceSettings
from gigalane.train.ppo import PPOSettings
from gigalane.train.settings import TrainSettings


@dataclass(frozen=True)
class CoachRecipe:
    """Worlds, eyes and learning of a coach.

    Attributes:
        world: who drives where.
        birdview: what is seen.
        train: how it learns.
    """

    world: SimulatorSettings
    birdview: BirdviewSettings
    train: TrainSettings

    @classmethod
    def small(cls) -> CoachRecipe:
        """Learns in under an hour on two CPU cores; values are chosen where none is named.

        The entropy weight is Roach's 0.01: here entropies of the two numbers of an action are
        added, there their mean is taken.
        """
        return cls(
            _world(worlds=16, agents=32),
            BirdviewSettings.small(),
            TrainSettings(
                samples=6_000_000,
                rollout_steps=32,
                coach=CoachSettings.small(),
                ppo=PPOSettings(learning_rate=5e-4, epochs=2, minibatch=512, entropy_weight=0.005),
                guidance=GuidanceSettings(weight=0.5, samples=600_000),
                exploration=ExplorationSettings(weight=0.05),
            ),
        )

    @classmethod
    def paper(cls) -> CoachRecipe:
        """Roach's sizes, for a GPU: 192 x 192 with greys, 12,288 steps an iteration at 10 Hz.

        Its learning rate of 1e-5 halves whenever the policy has moved too far eight times; here
        it falls along half a cosine as in all training, and an iteration stops at the same
        distance.
        """
        return cls(
            _world(worlds=16, agents=32, time_steps=(0.1,)),
            BirdviewSettings(),
            TrainSettings(
                samples=100_000_000,
                rollout_steps=24,
                discount=0.99**3,  # 0.99 and 0.9 a step of 0.1 s
                trace=0.9**3,
                coach=CoachSettings.paper(),
                ppo=PPOSettings(
                    learning_rate=1e-5,
                    epochs=20,
                    minibatch=256,
                    entropy_weight=0.015,  # 0.005 a step of 0.1 s
                    target_kl=0.015,
                ),
                exploration=ExplorationSettings(weight=0.05),
            ),
        )


def _world(
    worlds: int, agents: int, time_steps: tuple[float, ...] = (0.1, 0.2, 0.25, 0.3)
) -> SimulatorSettings:
    """Worlds in which everybody but walkers is the coach."""
    return SimulatorSettings(
        worlds=worlds,
        agents=agents,
        time_steps=time_steps,
        episode_s=60.0,
        action=ACTION,
        spawn=SpawnSettings(),
        traffic=TrafficSettings(blind=0.0, scripted_pedestrians=1.0),
        persona=PersonaSettings.strict(),
    )

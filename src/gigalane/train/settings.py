"""What decides a run of training, and which of it may change when the run goes on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from gigalane.policies.camera import CameraSettings
from gigalane.policies.coach import CoachSettings
from gigalane.policies.entity import EntitySettings
from gigalane.train.advantage import FilterSettings
from gigalane.train.exploration import ExplorationSettings
from gigalane.train.guidance import GuidanceSettings
from gigalane.train.ppo import PPOSettings


@dataclass(frozen=True)
class TrainSettings:
    """Everything about self-play that is not the world's.

    Attributes:
        samples: transitions to learn from in all; a sample is an active agent-step that was
            simulated, acted on and offered to PPO.
        seed: of the first weights, the world, the actions and the shuffling.
        rollout_steps: steps between two updates. GIGAFLOW has 128; with the 1,024 to 2,048 rows
            that suit two cores, 32 updates the policy every second or two.
        discount: γ of a 0.3 s step. GIGAFLOW has 0.999; 0.99, which looks half a minute ahead,
            learned faster in the first two million samples.
        trace: λ of a 0.3 s step (GIGAFLOW).
        precision: of the trunk's products; "auto" is bf16 where the device is fast at it.
        threads: threads of the network on a CPU; 0 is one a core.
        checkpoint_every_s: longest time between two saved states [s]: what a kill can cost.
        policy: sizes of the driver's network.
        coach: sizes of the coach's, where pictures from above are looked at.
        camera: sizes of the camera driver's, where it learns from pixels alone.
        ppo: how the policy learns.
        filter: which transitions it learns from.
        guidance: whether, and for how long, the scripted driver is asked what it would do.
        exploration: whether what led to an event is to be tried differently.
    """

    samples: int = 30_000_000
    seed: int = 0
    rollout_steps: int = 32
    discount: float = 0.99
    trace: float = 0.95
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    threads: int = 0
    checkpoint_every_s: float = 60.0
    policy: EntitySettings = field(default_factory=EntitySettings)
    coach: CoachSettings = field(default_factory=CoachSettings)
    camera: CameraSettings = field(default_factory=CameraSettings)
    ppo: PPOSettings = field(default_factory=PPOSettings)
    filter: FilterSettings = field(default_factory=FilterSettings)
    guidance: GuidanceSettings = field(default_factory=GuidanceSettings)
    exploration: ExplorationSettings = field(default_factory=ExplorationSettings)

    def __post_init__(self) -> None:
        """Refuses numbers that cannot train."""
        if self.samples < 1 or self.rollout_steps < 1:
            raise ValueError("train: samples and rollout_steps must be at least 1")
        if not (0 < self.discount <= 1 and 0 < self.trace <= 1):
            raise ValueError("train: discount and trace must lie above 0 and up to 1")
        if min(self.seed, self.threads) < 0:
            raise ValueError("train: seed and threads must be 0 or more")


CHANGEABLE = frozenset({"samples", "threads", "checkpoint_every_s"})
"""Settings that may differ when a run goes on."""

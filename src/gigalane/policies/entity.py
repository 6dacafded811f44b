"""The self-play driver: sees road users, road and controls as sets of tokens.

    road ──────► set encoder ─┐
    partners ──► set encoder ─┤
    controls ──► set encoder ─┼─► trunk ─┬─► distribution over actions
    given ─────► linear, ReLU ┘          └─► value

The first three slots are what can be seen. Nothing that depends on the goal enters them, so a
camera policy can later put its own features in their place (TerraTransfer, arXiv 2606.17386).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gigalane.networks import dense_kernels, set_kernels
from gigalane.networks.dense import Layer, apply_layers
from gigalane.networks.distributions import Distribution, from_parameters, parameter_count
from gigalane.networks.layers import Precision, Trunk, linear
from gigalane.networks.sets import SetEncoder
from gigalane.policies.actor_critic import ActorCritic, Chunks
from gigalane.sim.control import ActionSpace
from gigalane.sim.layout import (
    CONTROL_FEATURES,
    PARTNER_FEATURES,
    ROAD_FEATURES,
    ObservationLayout,
)

CHUNK_ROWS = {"cpu": 512, "cuda": 16_384}
"""Rows that go through the network at once, whatever the batch; see `networks.chunks`."""
GRADIENT_ROWS = {"cpu": 1024, "cuda": 32_768}
"""Rows whose gradient is computed at once."""
KERNEL_ROWS = 2048
"""The most where only kernels touch them: a row is then its own, so a chunk may have any size."""


@dataclass(frozen=True)
class EntitySettings:
    """Sizes of the network.

    Attributes:
        encoder_width: channels of each encoder; 64 has fused CPU kernels.
        trunk: widths of the layers after the encoders.
        separate_critic: whether the value has encoders and a trunk of its own. Shared ones are
            twice as fast.
    """

    encoder_width: int = 64
    trunk: tuple[int, ...] = (256, 256)
    separate_critic: bool = False

    def __post_init__(self) -> None:
        """Refuses sizes that make no network."""
        if self.encoder_width < 1 or not self.trunk or min(self.trunk) < 1:
            raise ValueError("policy: encoder_width and every width of trunk must be at least 1")

    @classmethod
    def default(cls) -> EntitySettings:
        """A network that trains on two CPU cores: about 0.15 M parameters."""
        return cls()

    @classmethod
    def peer(cls) -> EntitySettings:
        """About as many parameters as PufferDrive's default policy: 0.615 M, its 0.614 M."""
        return cls(trunk=(768, 512))

    @classmethod
    def gigaflow(cls) -> EntitySettings:
        """GIGAFLOW's: actor and critic apart, 3 x 1024 each (arXiv 2502.03349)."""
        return cls(trunk=(1024, 1024, 1024), separate_critic=True)


class EntityBody(nn.Module):
    """The four slots and the trunk over them."""

    def __init__(self, layout: ObservationLayout, settings: EntitySettings) -> None:
        """Makes the encoders for `layout`."""
        super().__init__()
        self.layout = layout
        width = settings.encoder_width
        self.road = SetEncoder(ROAD_FEATURES, width)
        self.partners = SetEncoder(PARTNER_FEATURES, width)
        self.controls = SetEncoder(CONTROL_FEATURES, width)
        self.given = linear(layout.given, width)
        self.trunk = Trunk(4 * width, settings.trunk)

    def forward(self, observation: Tensor, *heads: nn.Linear) -> Tensor:
        """Maps observations to what the heads say of them.

        Args:
            observation: (rows, layout.width).
            heads: linear layers after the trunk.

        Returns:
            (rows, outputs of all heads) float32.
        """
        given = observation[:, : self.layout.given].float()
        return self.decide(given, self.see(observation), *heads)

    def see(self, observation: Tensor) -> list[Tensor]:
        """What can be seen, encoded: the slots road, partners and controls.

        Args:
            observation: (rows, layout.width).

        Returns:
            Three tensors (rows, encoder width) float32, not negative.
        """
        layout = self.layout
        slots = []
        for encoder, start, count, features in (
            (self.road, layout.road_start, layout.road, ROAD_FEATURES),
            (self.partners, layout.partners_start, layout.partners, PARTNER_FEATURES),
            (self.controls, layout.controls_start, layout.controls, CONTROL_FEATURES),
        ):
            tokens = observation[:, start : start + count * features]
            slots.append(encoder(tokens.unflatten(1, (count, features))))
        return slots

    def decide(self, given: Tensor, seen: Sequence[Tensor], *heads: nn.Linear) -> Tensor:
        """Maps what is given and what is seen, by whatever eyes, to what the heads say of it.

        Args:
            given: (rows, layout.given) float32.
            seen: the slots road, partners and controls, as `see` returns them.
            heads: linear layers after the trunk.

        Returns:
            (rows, outputs of all heads) float32; without heads the trunk's features.
        """
        return through_trunk(self.given, self.trunk, given, seen, *heads)

    def keeps_rows_apart(self, observation: Tensor) -> bool:
        """Whether only kernels touch these rows, so that none depends on how many there are."""
        layout = self.layout
        return (
            observation.device.type == "cpu"
            and observation.dtype == torch.float16
            and observation.stride(1) == 1
            and self.given.out_features == set_kernels.WIDTH
            and max(layout.road, layout.partners, layout.controls) <= set_kernels.TOKENS_MAX
            and all(width % dense_kernels.PANEL == 0 for width in self.trunk.widths)
        )


def through_trunk(
    encoder: nn.Linear, trunk: Trunk, given: Tensor, seen: Sequence[Tensor], *heads: nn.Linear
) -> Tensor:
    """The four slots side by side and through the trunk; see `EntityBody.decide`.

    Args:
        encoder: of the `given` slot.
        trunk: what follows.
        given: (rows, numbers) float32.
        seen: the other slots, each (rows, encoder width) float32.
        heads: linear layers after the trunk.
    """
    layer = Layer(encoder.weight, encoder.bias, is_bf16=False, rectify=True)
    return trunk(torch.cat([apply_layers(given, [layer]), *seen], dim=1), *heads)


class EntityPolicy(ActorCritic[ObservationLayout, EntitySettings]):
    """Actor and critic over entity observations.

    Attributes:
        layout: where each slot of an observation row lies.
        action_space: what an action means.
        settings: sizes of the network.
        threads: threads that share the chunks of a batch on a CPU.
    """

    def __init__(
        self,
        layout: ObservationLayout,
        action_space: ActionSpace,
        settings: EntitySettings | None = None,
    ) -> None:
        """Makes a network with weights from torch's global generator."""
        super().__init__()
        self.layout = layout
        self.action_space = action_space
        self.settings = settings or EntitySettings()
        self.threads = torch.get_num_threads()
        width = self.settings.trunk[-1]
        self.actor = EntityBody(layout, self.settings)
        self.critic = EntityBody(layout, self.settings) if self.settings.separate_critic else None
        # A small head makes the first policy nearly uniform (Andrychowicz et al. 2021).
        self.action_head = linear(width, parameter_count(action_space), gain=0.01)
        # Values near 0 at first: advantages then tell of what happened, not of noise.
        self.value_head = linear(width, 1, gain=0.1)

    @property
    def chunk_rows(self) -> int:
        """Rows that go through the network at once on this device."""
        return CHUNK_ROWS.get(self.device.type, CHUNK_ROWS["cpu"])

    @property
    def gradient_rows(self) -> int:
        """Rows whose gradient is computed at once on this device."""
        return GRADIENT_ROWS.get(self.device.type, GRADIENT_ROWS["cpu"])

    def set_precision(self, precision: Precision) -> None:
        """Chooses what wide products are computed in; the weights stay float32."""
        for module in self.modules():
            if isinstance(module, Trunk | SetEncoder):
                module.precision = precision

    def parameters_and_value(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        """Runs the network on rows as they come, with gradient.

        Args:
            observation: (rows, layout.width) float16.

        Returns:
            Numbers of the action distribution (rows, …), and values (rows,), float32.
        """
        if self.critic is None:
            numbers = self.actor(observation, self.action_head, self.value_head)
            return numbers[:, :-1], numbers[:, -1]
        value = self.critic(observation, self.value_head)
        return self.actor(observation, self.action_head), value.squeeze(-1)

    @property
    def parameter_count(self) -> int:
        """Numbers that the network gives for the distribution of a row."""
        return parameter_count(self.action_space)

    def distribution(self, parameters: Tensor) -> Distribution:
        """Categorical over discrete actions, Gaussian over continuous ones."""
        return from_parameters(self.action_space, parameters)

    def chunks(self, observation: Tensor, threads: int) -> Chunks:
        """As few chunks as give every thread the same work where only kernels touch rows."""
        if not self.actor.keeps_rows_apart(observation):
            return Chunks(self.chunk_rows)
        rows = len(observation)
        shares = threads * -(-rows // (threads * KERNEL_ROWS))
        return Chunks(max(64, -(-rows // max(1, shares))), pads=False)

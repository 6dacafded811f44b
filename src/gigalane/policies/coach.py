"""The coach: drives by a picture from above, in accelerations and wheel angles.

    raster ──► convolutions ──┐
                              ├─► join ─► features ─┬─► Beta over acceleration and steering
    given ───► state ─────────┘                     └─► value

The network is Roach's (Zhang et al. 2021, arXiv 2108.08265, "Roach" below); its sizes are
`CoachSettings.paper()`. In the place of Roach's six measurements it is given the `given` slot
of an observation: its own state, its route, how it is asked to drive, and the time step.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from gigalane.core.settings import SettingsError
from gigalane.networks.birdview import BirdviewLayout
from gigalane.networks.distributions import Beta
from gigalane.networks.layers import Precision, Trunk, linear
from gigalane.policies.actor_critic import ActorCritic, Chunks
from gigalane.sim.control import ActionSpace
from gigalane.sim.dynamics import ACCELERATION_LIMIT, BRAKING_LIMIT, STEERING_LIMIT

ACTION = "acceleration_steering"
"""The action space that a coach drives in."""
LOW = (float(BRAKING_LIMIT), -float(STEERING_LIMIT))
"""Lower bounds of acceleration [m/s²] and wheel angle [rad]: those of the dynamics."""
HIGH = (float(ACCELERATION_LIMIT), float(STEERING_LIMIT))
"""Upper bounds."""
FIRST_ALPHA, FIRST_BETA = (3.0, 10.0), (1.5, 10.0)
"""The first policy: gently faster, 0 to 1.5 m/s² on average, and steering straight within a
tenth of a radian (chosen; Roach's first is about uniform, which in these bounds is to stand)."""
LEAST_SHAPE = 1e-3
"""Added to every softplus: alpha and beta stay above 0 in floating point (Roach adds nothing)."""
CHUNK_ROWS = {"cpu": 64, "cuda": 4096}
"""Rows that go through the network at once, whatever the batch; see `networks.chunks`."""
GRADIENT_ROWS = {"cpu": 128, "cuda": 4096}
"""Rows whose gradient is computed at once: their images stay in a core's cache."""


@dataclass(frozen=True)
class CoachSettings:
    """Sizes of the network; the defaults learn on two CPU cores.

    Attributes:
        convolutions: channels, kernel and stride of each, without padding. A first one whose
            kernel is its stride reads every pixel once, three times as fast as one that overlaps.
        state: widths of the layers that read what is given.
        join: widths of the layers after both; the last are the features that students match.
        heads: widths of the layers before the policy, and of those before the value.
    """

    convolutions: tuple[tuple[int, int, int], ...] = ((32, 4, 4), (64, 3, 2), (64, 3, 2))
    state: tuple[int, ...] = (64,)
    join: tuple[int, ...] = (256, 256)
    heads: tuple[int, ...] = (64,)

    def __post_init__(self) -> None:
        """Refuses sizes that make no network."""
        sizes = [size for layer in self.convolutions for size in layer]
        if not self.convolutions or not self.join:
            raise SettingsError("coach: give at least one convolution and one width of join")
        if min((*sizes, *self.state, *self.join, *self.heads)) < 1:
            raise SettingsError("coach: every size must be at least 1")

    @classmethod
    def small(cls) -> CoachSettings:
        """For rasters of 64 x 64: about 0.35 M parameters, 3 M products a row."""
        return cls()

    @classmethod
    def paper(cls) -> CoachSettings:
        """Roach's sizes, for rasters of 192 x 192 and a GPU."""
        return cls(
            convolutions=((8, 5, 2), (16, 5, 2), (32, 5, 2), (64, 3, 2), (128, 3, 2), (256, 3, 1)),
            state=(256, 256),
            join=(512, 256),
            heads=(256, 256),
        )


class CoachPolicy(ActorCritic[BirdviewLayout, CoachSettings]):
    """Actor and critic over a picture from above.

    Attributes:
        layout: what a row of observations holds.
        action_space: accelerations and wheel angles.
        settings: sizes of the network.
        threads: threads that share the chunks of a batch on a CPU.
        precision: of convolutions and wide products.
    """

    def __init__(
        self,
        layout: BirdviewLayout,
        action_space: ActionSpace,
        settings: CoachSettings | None = None,
    ) -> None:
        """Makes a network with weights from torch's global generator.

        Raises:
            SettingsError: the action space is another, or the raster is too small for the
                convolutions.
        """
        super().__init__()
        if action_space.name != ACTION:
            raise SettingsError(f"coach: it drives in {ACTION}, not in {action_space.name}")
        self.layout, self.action_space = layout, action_space
        self.settings = settings = settings or CoachSettings()
        self.threads, self.precision = torch.get_num_threads(), "fp32"
        channels, side = layout.birdview.bits, layout.birdview.pixels
        self.convolutions = nn.ModuleList()
        for count, kernel, stride in settings.convolutions:
            if kernel > side:
                raise SettingsError(
                    f"coach: a kernel of {kernel} on an image of {side}; give fewer convolutions"
                )
            layer = nn.Conv2d(channels, count, kernel, stride)
            nn.init.orthogonal_(layer.weight, math.sqrt(2.0))
            nn.init.zeros_(layer.bias)  # pyright: ignore[reportArgumentType]
            self.convolutions.append(layer)
            channels, side = count, (side - kernel) // stride + 1
        self.state = Trunk(layout.given, settings.state)
        state_width = (layout.given, *settings.state)[-1]
        self.join = Trunk(channels * side * side + state_width, settings.join)
        self.actor = Trunk(settings.join[-1], settings.heads)
        self.critic = Trunk(settings.join[-1], settings.heads)
        width = (settings.join[-1], *settings.heads)[-1]
        # Small weights: at first all rows act alike, in the way that the biases say.
        self.action_head = linear(width, self.parameter_count, gain=0.01)
        with torch.no_grad():
            self.action_head.bias.copy_(first_shapes())
        self.value_head = linear(width, 1, gain=0.1)

    @property
    def gradient_rows(self) -> int:
        """Rows whose gradient is computed at once on this device."""
        return GRADIENT_ROWS.get(self.device.type, GRADIENT_ROWS["cpu"])

    @property
    def parameter_count(self) -> int:
        """Numbers that the network gives for the distribution of a row."""
        return 2 * self.action_space.size

    def set_precision(self, precision: Precision) -> None:
        """Chooses what convolutions and wide products are computed in."""
        self.precision = precision
        for module in self.modules():
            if isinstance(module, Trunk):
                module.precision = precision

    def features(self, observation: Tensor) -> Tensor:
        """What the coach makes of a row before it decides (Roach's j_RL), with gradient.

        Args:
            observation: (rows, layout.width) uint8.

        Returns:
            (rows, settings.join[-1]) float32, not negative.
        """
        dtype = torch.bfloat16 if self.precision == "bf16" else torch.float32
        images = self.layout.planes(observation, dtype)
        for layer in self.convolutions:
            assert isinstance(layer, nn.Conv2d) and layer.bias is not None
            # Weights themselves stay in the usual order, in which they are saved and improved.
            weight = layer.weight.to(dtype).contiguous(memory_format=torch.channels_last)
            images = functional.conv2d(images, weight, layer.bias.to(dtype), layer.stride)
            images = functional.relu(images)
        state = self.state(self.layout.given_of(observation))
        return self.join(torch.cat((images.flatten(1).float(), state), 1))

    def parameters_and_value(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        """Runs the network on rows as they come, with gradient.

        Args:
            observation: (rows, layout.width) uint8.

        Returns:
            Alpha, then beta of both numbers of the action (rows, 4), and values (rows,), float32.
        """
        return self.respond(self.features(observation))

    def respond(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """What follows the features; see `parameters_and_value`."""
        # In here, because a softplus rounds differently at the end of a batch that is not whole.
        shapes = functional.softplus(self.actor(features, self.action_head)) + LEAST_SHAPE
        return shapes, self.critic(features, self.value_head).squeeze(-1)

    def distribution(self, parameters: Tensor) -> Beta:
        """Beta distributions between the bounds of the dynamics."""
        return bounded(parameters)

    def chunks(self, observation: Tensor, threads: int) -> Chunks:
        """Always so many rows: convolutions round by their number."""
        del observation, threads
        return Chunks(CHUNK_ROWS.get(self.device.type, CHUNK_ROWS["cpu"]))


def bounded(parameters: Tensor) -> Beta:
    """Distributions over accelerations and wheel angles between the bounds of the dynamics.

    Args:
        parameters: (rows, 4), alpha and then beta of both numbers of an action.
    """
    alpha, beta = parameters.chunk(2, dim=-1)
    return Beta(alpha, beta, LOW, HIGH)


def first_shapes() -> Tensor:
    """Biases whose softplus is the first policy: (4,)."""
    first = torch.tensor((*FIRST_ALPHA, *FIRST_BETA))
    return first + torch.log(-torch.expm1(-first))

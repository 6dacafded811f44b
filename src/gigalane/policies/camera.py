"""The camera driver: the self-taught driver with eyes in the place of what it was shown.

    images ──► eyes ──► features ─┬─ linear ─► road ─────┐
                                  ├─ linear ─► partners ─┤
                                  ├─ linear ─► controls ─┼─► trunk ─┬─► distribution
                                  └─ linear ─► lane ─┐   │          └─► value
    speed, route, conditioning ─────────────► given ─────┘

Road, partners and controls are the driver's own slots (TerraTransfer, arXiv 2606.17386, with a
third adapter for controls). Of what the driver is given, five numbers need a map and a place on
it (`LANE_NUMBERS`): those are seen too. What remains given is what a car knows of itself, its
route and how it is asked to drive.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from gigalane.core.settings import SettingsError
from gigalane.networks.backbones import BackboneSettings, FrozenEyes, begin_with_own
from gigalane.networks.camera_rows import CameraLayout
from gigalane.networks.dense import Layer, apply_layers
from gigalane.networks.distributions import (
    Categorical,
    Distribution,
    from_parameters,
    parameter_count,
)
from gigalane.networks.image_encoder import EyeSettings, ImageEncoder
from gigalane.networks.layers import Precision, Trunk, linear
from gigalane.networks.plans import PLAN_POSES, PlanHead, Plans
from gigalane.policies.actor_critic import ActorCritic, Chunks
from gigalane.policies.careful import careful_choice
from gigalane.policies.coach import ACTION, LEAST_SHAPE, bounded, first_shapes
from gigalane.policies.entity import EntityPolicy, through_trunk
from gigalane.sim.control import ActionSpace
from gigalane.sim.layout import LANE_NUMBERS
from gigalane.sim.row import SPEED_SCALE

CHUNK_ROWS = 128
"""Rows that go through the eyes at once, whatever the batch; see `networks.chunks`."""
GRADIENT_ROWS = 64
"""Rows whose gradient is computed at once: small minibatches learn more from as many frames."""
KNOWN = (3, 5, 6, 7, 38, 47, 48)
"""Numbers of `given` that eyes are told of: speed, wheel angle, accelerations, time step, jerks.
Who does not know how fast it moves cannot see how fast others do."""
SPEED = 3
"""Which number of `given` is the speed."""
LEAST_SCALE = 0.05
"""Smallest spread that a number of a slot is taken to have: small beside those that matter."""
LANE_SCALE = (0.25, 0.2, 0.3, 0.2, 0.1)
"""Spread that the numbers of `LANE_NUMBERS` are taken to have (chosen): half a metre, a tenth of
a turn to either side, 1/33 m, rarely off the lane, 0.2 m."""


@dataclass(frozen=True)
class CameraSettings:
    """Sizes of the network.

    Attributes:
        encoder_width: channels of each slot, as the driver has it.
        trunk: widths of the layers after the slots, as the driver has them.
        eyes: what sees, where it learns to.
        backbone: a frozen network to look through instead, where it is named.
        proposals: trajectories that it proposes besides (`gigalane.networks.plans`); 0 for none.
        drives: what drives it, its actions or the best of its plans.
        caution: how careful it is where it is unsure and draws no action: of the jerks along the
            road it takes the one that leaves this much probability to greater ones, 0.5 is the
            median; 0 takes the likeliest action. Only of jerk12.
    """

    encoder_width: int = 64
    trunk: tuple[int, ...] = (256, 256)
    eyes: EyeSettings = field(default_factory=EyeSettings)
    backbone: BackboneSettings = field(default_factory=BackboneSettings)
    proposals: int = 0
    drives: Literal["actions", "plans"] = "actions"
    caution: float = 0.0

    def __post_init__(self) -> None:
        """Refuses sizes that make no network."""
        if self.encoder_width < 1 or not self.trunk or min(self.trunk) < 1:
            raise SettingsError("camera: encoder_width and every width of trunk must be at least 1")
        if self.proposals < 0 or self.drives not in ("actions", "plans"):
            raise SettingsError("camera: proposals must be 0 or more, drives actions or plans")
        if self.drives == "plans" and not self.proposals:
            raise SettingsError("camera: drives is plans, but proposals is 0; 16 would do")
        if not 0 <= self.caution < 1:
            raise SettingsError(f"camera: caution is {self.caution:g}; give 0 to 1, 0.65 say")


class Sight(NamedTuple):
    """What eyes put in the place of what a driver was shown.

    Attributes:
        road: (rows, encoder width) float32.
        partners: (rows, encoder width) float32.
        controls: (rows, encoder width) float32.
        lane: (rows, 5) float32, the numbers of `LANE_NUMBERS`.
    """

    road: Tensor
    partners: Tensor
    controls: Tensor
    lane: Tensor


class CameraPolicy(ActorCritic[CameraLayout, CameraSettings]):
    """Drives by what cameras see.

    Attributes:
        layout: what a row of observations holds.
        action_space: what an action means.
        settings: sizes of the network.
        threads: threads that share the chunks of a batch on a CPU.
        eyes: images to features.
        adapters: features to slots, in units of how much each number usually varies.
    """

    def __init__(
        self,
        layout: CameraLayout,
        action_space: ActionSpace,
        settings: CameraSettings | None = None,
    ) -> None:
        """Makes a network with weights from torch's global generator."""
        super().__init__()
        self.layout, self.action_space = layout, action_space
        self.settings = settings = settings or CameraSettings()
        if settings.caution and not action_space.is_discrete:
            raise SettingsError(
                f"camera: caution chooses among the jerks of jerk12, not in {action_space.name}; "
                "leave it 0"
            )
        self.threads = torch.get_num_threads()
        width = settings.encoder_width
        self.eyes: ImageEncoder | FrozenEyes = (
            FrozenEyes(layout.image_shape, len(KNOWN), settings.backbone)
            if settings.backbone.name
            else ImageEncoder(layout.image_shape, len(KNOWN), settings.eyes)
        )
        self.adapters = nn.ModuleDict()
        for name in Sight._fields:
            numbers = len(LANE_NUMBERS) if name == "lane" else width
            self.adapters[name] = linear(self.eyes.features, numbers, gain=0.1)
            self.register_buffer(f"{name}_mean", torch.zeros(numbers))
            scale = torch.tensor(LANE_SCALE) if name == "lane" else torch.ones(numbers)
            self.register_buffer(f"{name}_scale", scale)
        self.given = linear(layout.given, width)
        self.trunk = Trunk(4 * width, settings.trunk)
        self.action_head = linear(settings.trunk[-1], self.parameter_count, gain=0.01)
        self.value_head = linear(settings.trunk[-1], 1, gain=0.1)
        if self._is_bounded:
            with torch.no_grad():
                self.action_head.bias.copy_(first_shapes())
        if settings.proposals:  # last, so that the other weights are those of a student without
            self.plan_head = PlanHead(settings.trunk[-1], settings.proposals)

    def open_eyes(self) -> None:
        """Gives eyes that are to learn what their settings say they begin with.

        Raises:
            BackboneError: that is the own backbone, and it is not there or of other channels.
        """
        if isinstance(self.eyes, ImageEncoder) and self.settings.eyes.begins == "own":
            begin_with_own(self.eyes)

    @torch.no_grad()
    def inherit(self, driver: EntityPolicy, observation: Tensor) -> None:
        """Takes over what a driver has learned to do with its slots.

        Args:
            driver: the self-taught driver.
            observation: (rows, driver.layout.width) float16, many states: what the driver
                usually makes of them is what the adapters begin with.

        Raises:
            SettingsError: the driver observes, acts or is built differently.
        """
        ours = (self.layout.given, self.action_space, self.settings.encoder_width,
                self.settings.trunk)  # fmt: skip
        theirs = (driver.layout.given, driver.action_space, driver.settings.encoder_width,
                  driver.settings.trunk)  # fmt: skip
        if ours != theirs:
            raise SettingsError(
                f"teacher: it is given {theirs[0]} numbers, acts in {theirs[1].name} and has "
                f"widths {theirs[2:]}; the student {ours[0]}, {ours[1].name} and {ours[2:]}"
            )
        if self._is_bounded:
            raise SettingsError(
                f"teacher: its distributions over {ACTION} are normal, those of cameras Beta; "
                "give a driver of jerk12"
            )
        body = driver.actor
        for own, other in (
            (self.given, body.given),
            (self.trunk, body.trunk),
            (self.action_head, driver.action_head),
            (self.value_head, driver.value_head),
        ):
            own.load_state_dict(other.state_dict())
        for name, numbers in zip(Sight._fields, shown_to(driver, observation), strict=True):
            self.get_buffer(f"{name}_mean").copy_(numbers.mean(0))
            if name != "lane":
                self.get_buffer(f"{name}_scale").copy_(numbers.std(0).clamp(min=LEAST_SCALE))

    @property
    def inherited(self) -> tuple[nn.Module, ...]:
        """What `inherit` takes over: alignment leaves it as it is."""
        return self.given, self.trunk, self.action_head, self.value_head

    @property
    def gradient_rows(self) -> int:
        """Rows whose gradient is computed at once."""
        return GRADIENT_ROWS

    @property
    def parameter_count(self) -> int:
        """Numbers that the network gives for the distribution of a row."""
        return parameter_count(self.action_space)

    def set_precision(self, precision: Precision) -> None:
        """Chooses what wide products are computed in; the weights stay float32."""
        self.trunk.precision = self.eyes.precision = precision

    def features(self, observation: Tensor) -> Tensor:
        """What the eyes make of rows (rows, layout.width) uint8: (rows, features) float32."""
        told = self.layout.given_of(observation)[:, KNOWN]
        return self.eyes(self.layout.images_of(observation), told)

    def see(self, features: Tensor) -> Sight:
        """What the adapters make of features (rows, features)."""
        slots = []
        for name, adapter in self.adapters.items():
            mean, scale = self.get_buffer(f"{name}_mean"), self.get_buffer(f"{name}_scale")
            slots.append(adapter(features) * scale + mean)
        return Sight(*slots)

    def scaled(self, sight: Sight) -> Sight:
        """Slots in units of how much each number usually varies, around what it usually is."""
        return Sight(
            *(
                (slot - self.get_buffer(f"{name}_mean")) / self.get_buffer(f"{name}_scale")
                for name, slot in zip(Sight._fields, sight, strict=True)
            )
        )

    def join(self, sight: Sight, observation: Tensor) -> Tensor:
        """What the trunk makes of what is seen and what is given.

        Args:
            sight: the slots.
            observation: (rows, layout.width) uint8, of which `given` is read.

        Returns:
            (rows, settings.trunk[-1]) float32: what students of a coach match with its features.
        """
        return self.join_given(sight, self.layout.given_of(observation))

    def join_given(self, sight: Sight, given: Tensor) -> Tensor:
        """`join` where the `given` slot is at hand: (rows, layout.given) float32."""
        if not self.layout.tells_lane:
            columns = torch.tensor(LANE_NUMBERS, device=given.device)
            given = given.index_copy(1, columns, sight.lane)
        return through_trunk(self.given, self.trunk, given, sight[:3])

    def respond(self, joined: Tensor) -> tuple[Tensor, Tensor]:
        """What follows from what `join` returned; see `parameters_and_value`."""
        weight = torch.cat([self.action_head.weight, self.value_head.weight])
        bias = torch.cat([self.action_head.bias, self.value_head.bias])
        numbers = apply_layers(joined, [Layer(weight, bias, is_bf16=False, rectify=False)])
        shapes, value = numbers[:, :-1], numbers[:, -1]
        if self._is_bounded:  # in here: a softplus rounds differently where a batch ends
            shapes = functional.softplus(shapes) + LEAST_SHAPE
        return shapes, value

    def propose(self, joined: Tensor, observation: Tensor) -> Plans:
        """Plans that follow from what `join` returned; only where there are proposals."""
        speed = self.layout.given_of(observation)[:, SPEED] / float(SPEED_SCALE)
        return self.plan_head(joined, speed)

    def plan(self, observation: Tensor) -> Plans:
        """Where it would go, without gradient, in chunks as `evaluate` does.

        Args:
            observation: (rows, layout.width) uint8.

        Raises:
            SettingsError: it proposes nothing.
        """
        proposals = self.settings.proposals
        if not proposals:
            raise SettingsError("camera: it proposes no plans; teach one with proposals")

        def network(rows: Tensor) -> Plans:
            return self.propose(self.join(self.see(self.features(rows)), rows), rows)

        shapes = ((proposals, PLAN_POSES, 3), (proposals,))
        return Plans(*self.in_chunks(network, observation, shapes))

    def parameters_and_value(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        """Runs the network on rows as they come, with gradient.

        Args:
            observation: (rows, layout.width) uint8.

        Returns:
            Numbers of the action distribution (rows, …), and values (rows,), float32.
        """
        return self.respond(self.join(self.see(self.features(observation)), observation))

    def distribution(self, parameters: Tensor) -> Distribution:
        """Categorical over discrete actions, Beta over accelerations and wheel angles."""
        if self._is_bounded:
            return bounded(parameters)
        return from_parameters(self.action_space, parameters)

    def settle(self, distribution: Distribution) -> Tensor:
        """The action of each row where none is drawn: as likely or as careful as it is set."""
        if self.settings.caution:
            assert isinstance(distribution, Categorical)
            return careful_choice(distribution, self.settings.caution)
        return super().settle(distribution)

    @property
    def _is_bounded(self) -> bool:
        """Whether it acts as a coach does."""
        return self.action_space.name == ACTION

    def chunks(self, observation: Tensor, threads: int) -> Chunks:
        """Always so many rows: convolutions round by their number."""
        del observation, threads
        return Chunks(CHUNK_ROWS)


def shown_to(driver: EntityPolicy, observation: Tensor) -> Sight:
    """What a driver makes of what it is shown: what eyes are to see.

    Args:
        driver: the self-taught driver.
        observation: (rows, driver.layout.width) float16.
    """
    road, partners, controls = driver.actor.see(observation)
    return Sight(road, partners, controls, observation[:, LANE_NUMBERS].float())

"""Smooth stand-ins for the facts that the reward weighs, as functions of what a row observes.

Facts end an episode, or do not; they have no slope. A stand-in is the *hazard* of the fact, a
rate [1/s] that rises smoothly as the gap closes; what the hazard costs is what the fact would:
its weight in the row's own persona, and the value of all that would have followed. Distances are
taken from the row's own tokens, so their gradient is that of `sight`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gigalane.sim.layout import ObservationLayout
from sight import moved_given, moved_tokens


@dataclass(frozen=True)
class SurrogateSettings:
    """Widths and rates of the stand-ins; all chosen.

    Attributes:
        metres_per_reward: progress that is worth one way-point [m].
        contact_rate: hazard of a collision at no gap [1/s].
        contact_width: gap over which it falls [m].
        ahead_s: also the gap in so many seconds counts, everyone going straight on.
        ahead_share: as this share.
        edge_rate: hazard of leaving the road at its edge [1/s].
        edge_width: distance over which it falls [m].
        lane_cost: of each metre that a side sticks out of its lane [1/(m s)].
        centre_cost: of the offset from the lane's centre, squared up to 2 m [1/(m² s)].
        heading_cost: of 1 - cos of the angle to the lane [1/s].
        braking: deceleration for which stop lines and goals leave room [m/s²].
        stop_cost: of each metre by which the room is too short [1/(m s)].
        goal_rate: of the goal's reward while standing in its radius [1/s].
    """

    metres_per_reward: float = 20.0
    contact_rate: float = 2.0
    contact_width: float = 0.25
    ahead_s: float = 1.0
    ahead_share: float = 0.15
    edge_rate: float = 2.0
    edge_width: float = 0.12
    lane_cost: float = 0.1
    centre_cost: float = 0.03
    heading_cost: float = 0.3
    braking: float = 2.0
    stop_cost: float = 0.03
    goal_rate: float = 0.5


def surrogate_terms(
    layout: ObservationLayout,
    observation: Tensor,
    before: Tensor,
    after: Tensor,
    past_action_state: tuple[Tensor, Tensor],
    dt: Tensor,
    worth: Tensor,
    settings: SurrogateSettings,
) -> dict[str, Tensor]:
    """The smooth reward of a step by term, each (rows,).

    Args:
        layout: of the observation.
        observation: (rows, width) float16, after the step.
        before: (rows, 7) state before it; see `motion`.
        after: (rows, 7) state after it.
        past_action_state: acceleration and lateral acceleration before the step, (rows,) each.
        dt: (rows,) [s].
        worth: (rows,) value of going on, what an end of the episode costs.
        settings: widths and rates.
    """
    given = moved_given(observation, after)
    persona = given[:, 25:37].detach()
    w_collision, w_off_road = 3.0 * persona[:, 1], 3.0 * persona[:, 2]
    speed, cos, sin = after[:, 3], given[:, 1].cos(), given[:, 1].sin()
    half_length, half_width = 2.5 * given[:, 11].detach(), given[:, 12].detach()
    terms: dict[str, Tensor] = {}

    left = given[:, 15] / 0.02  # to the target, along the route
    last = given[:, 43].detach() > 0.5
    driven = 0.5 * (before[:, 3] + speed) * dt * cos
    open_road = torch.where(last, torch.sigmoid(left.detach()), 1.0)
    terms["progress"] = driven * open_road / settings.metres_per_reward

    gap, gap_ahead = contact_gaps(layout, observation, after, half_length, half_width, settings)
    width = settings.contact_width
    danger = torch.sigmoid((0.3 - gap) / width).amax(-1)
    danger_ahead = torch.sigmoid((0.3 - gap_ahead) / width).amax(-1)
    rate = settings.contact_rate * (danger + settings.ahead_share * danger_ahead)
    terms["contact"] = -rate * dt * (w_collision + worth + 0.1 * speed.abs())

    inside = edge_distance(layout, observation, after, half_length, half_width)
    danger = torch.sigmoid((0.1 - inside) / settings.edge_width)
    terms["edge"] = -settings.edge_rate * dt * danger * (w_off_road + worth)
    room = 2.0 * given[:, 51].detach() - half_width - half_length * sin.abs() * 0.5
    aside = (given[:, 0] / 0.5 - persona[:, 7] / 2.0).abs()
    out_of_lane = torch.relu(aside - room.clamp(min=0.2))
    centre = torch.where(aside < 2.0, aside.square(), 4.0 * aside - 4.0)
    terms["lane"] = -dt * (
        settings.lane_cost * out_of_lane
        + settings.centre_cost * centre
        + 7.5e-3 * persona[:, 6] * aside
    )

    align = torch.clamp(cos, max=0.0) + persona[:, 5] * torch.clamp(speed * cos, max=0.0)
    terms["align"] = dt * (0.025 * persona[:, 4] * align - settings.heading_cost * (1.0 - cos))

    jerk = (after[:, 4] - past_action_state[0]) / dt
    lateral_jerk = (after[:, 5] - past_action_state[1]) / dt
    hardest = torch.maximum(jerk.abs(), lateral_jerk.abs())
    broken = (
        torch.sigmoid((after[:, 4].abs() - 3.0) / 0.3)
        + torch.sigmoid((after[:, 5].abs() - 3.0) / 0.3)
        + torch.sigmoid((hardest - 5.0) / 1.0)
    )
    terms["comfort"] = -0.1 * persona[:, 3] * broken

    stopping = speed.clamp(min=0.0).square() / (2.0 * settings.braking)
    controls = moved_tokens(layout, observation, after, "controls")
    line = controls[..., 0] / 0.02
    must = controls[..., 5].detach() * (line.detach() > -0.3)
    short = torch.relu(stopping[:, None] - (line - 0.5).clamp(min=0.0)) * must
    terms["stop_line"] = -settings.stop_cost * dt * persona[:, 9] * short.sum(-1)
    excess = torch.relu(stopping - left.clamp(min=0.0)) * last
    terms["goal_braking"] = -settings.stop_cost * dt * excess

    away = torch.sqrt((given[:, 13].square() + given[:, 14].square()) / 0.02**2 + 1e-4)
    near = torch.sigmoid((12.0 * persona[:, 0] - away) / 1.0) * torch.sigmoid((2.5 - speed) / 0.5)
    terms["goal"] = settings.goal_rate * dt * near * last
    return terms


def contact_gaps(
    layout: ObservationLayout,
    observation: Tensor,
    state: Tensor,
    half_length: Tensor,
    half_width: Tensor,
    settings: SurrogateSettings,
) -> tuple[Tensor, Tensor]:
    """Gaps to partners now and soon [m], (rows, partners) each: between rows of three discs."""
    tokens = moved_tokens(layout, observation, state, "partners")
    there = (tokens.detach() != 0).any(-1) & (tokens.detach()[..., 8].abs() < 0.4)
    x, y = tokens[..., 0] / 0.02, tokens[..., 1] / 0.02
    shares = torch.tensor([-1.0, 0.0, 1.0])
    reach = (half_length - half_width).clamp(min=0.0)[:, None] * shares  # (rows, 3)
    length, width = 5.0 * tokens[..., 6], 2.0 * tokens[..., 7]  # halves
    other = (length - width).clamp(min=0.0)[..., None] * shares  # (rows, partners, 3)

    def gap(x: Tensor, y: Tensor) -> Tensor:
        at_x = x[..., None] + other * tokens[..., 2:3]
        at_y = y[..., None] + other * tokens[..., 3:4]
        dx = at_x[:, :, None, :] - reach[:, None, :, None]  # (rows, partners, 3, 3)
        distance = torch.sqrt(dx.square() + at_y[:, :, None, :].square() + 1e-4).amin((-1, -2))
        return torch.where(there, distance - width - half_width[:, None], 50.0)

    soon = settings.ahead_s
    return gap(x, y), gap(x + soon * tokens[..., 4] / 0.05, y + soon * tokens[..., 5] / 0.05)


def edge_distance(
    layout: ObservationLayout,
    observation: Tensor,
    state: Tensor,
    half_length: Tensor,
    half_width: Tensor,
) -> Tensor:
    """How far the outermost corner is inside the nearest road edges [m], (rows,); 50 if none."""
    tokens = moved_tokens(layout, observation, state, "road")
    x, y = tokens[..., 0:1] / 0.02, tokens[..., 1:2] / 0.02
    cos, sin = tokens[..., 2:3], tokens[..., 3:4]
    ahead = half_length[:, None] * torch.tensor([1.0, 1.0, -1.0, -1.0])
    aside = half_width[:, None] * torch.tensor([1.0, -1.0, 1.0, -1.0])
    dx, dy = ahead[:, None, :] - x, aside[:, None, :] - y  # (rows, tokens, 4)
    inside = cos * dy - sin * dx  # the road lies to the left of an edge
    along = (cos * dx + sin * dy).detach().abs()
    counts = (tokens.detach()[..., 5:6] < -0.5) & (along < 2.5) & (inside.detach() > -3.0)
    return torch.where(counts, inside, 50.0).amin((-1, -2))

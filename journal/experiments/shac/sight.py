"""How what a driver observes changes with its own small motion, and a network that knows it.

Values stay those that the simulator wrote. Gradient reaches the numbers of `given` that follow
from the ego's state, and the position and direction of road, partner and control tokens through
the ego's own pose; the motion of others carries none.
"""

from __future__ import annotations

import sight_kernels
import torch
from torch import Tensor

from gigalane.networks import set_kernels
from gigalane.networks.native import run_here
from gigalane.networks.sets import SetEncoder
from gigalane.policies.entity import EntityBody
from gigalane.sim.layout import (
    CONTROL_FEATURES,
    PARTNER_FEATURES,
    ROAD_FEATURES,
    ObservationLayout,
)

METRE, SPEED = 0.02, 0.05  # POSITION_SCALE, SPEED_SCALE of gigalane.sim.observe


def pose_rates(tokens: Tensor, kind: str, speed: Tensor) -> Tensor:
    """Derivative of tokens by the ego's forward, left, turn and speed.

    Args:
        tokens: (rows, tokens, features) float32.
        kind: "road", "partners" or "controls".
        speed: (rows, 1) of the ego, scaled.

    Returns:
        (rows, tokens, features, 4).
    """
    rates = tokens.new_zeros(*tokens.shape, 4)
    at = 1 if kind == "controls" else 0
    x, y = tokens[..., at], tokens[..., at + 1]
    rates[..., at, 0], rates[..., at, 2] = -METRE, y
    rates[..., at + 1, 1], rates[..., at + 1, 2] = -METRE, -x
    if kind == "controls":
        rates[..., 0, 0] = -METRE  # the line is ahead
        return rates
    cos, sin = tokens[..., 2], tokens[..., 3]
    rates[..., 2, 2], rates[..., 3, 2] = sin, -cos
    if kind == "partners":
        rates[..., 4, 2], rates[..., 4, 3] = tokens[..., 5], -SPEED
        rates[..., 5, 2] = -(tokens[..., 4] + speed)
    return rates


class MovingEncoder(torch.autograd.Function):
    """The fused set encoder, with a gradient by the ego's motion through the winning tokens."""

    @staticmethod
    def forward(ctx, tokens: Tensor, motion: Tensor, speed: Tensor, kind: str, *weights):
        """`motion` (rows, 4) is zero in value: forward, left, turn, speed."""
        w1, b1, w2, b2 = (w.detach().contiguous() for w in weights)
        rows, count, features = tokens.shape
        pooled = torch.empty(rows, set_kernels.WIDTH)
        winner = torch.empty(rows, set_kernels.WIDTH, dtype=torch.int32)
        sizes = (tokens.stride(0), count, features, rows)
        run_here(set_kernels.encode_set, False, tokens, *sizes, w1, b1, w2, b2, pooled, winner)
        ctx.save_for_backward(tokens, speed, w1, b1, w2, winner, pooled)
        ctx.kind, ctx.wants_motion = kind, motion.requires_grad
        ctx.wants_weights = weights[0].requires_grad
        return pooled

    @staticmethod
    def backward(ctx, grad: Tensor):
        """Weights as the fused encoder has them; motion through the winners."""
        tokens, speed, w1, b1, w2, winner, pooled = ctx.saved_tensors
        rows, count, features = tokens.shape
        weights = [None] * 4
        if ctx.wants_weights:
            sums = [torch.zeros_like(t) for t in (w1, b1, w2, b1)]
            grad = grad.contiguous()
            inputs = [w1, b1, w2.t().contiguous(), grad, grad.stride(0), winner]
            sizes = (tokens.stride(0), count, features, rows)
            run_here(set_kernels.accumulate_gradient, tokens, *sizes, *inputs, *sums)
            weights = [sums[0], sums[1], sums[2].t(), sums[3]]
        motion = None
        if ctx.wants_motion:
            motion = torch.empty(rows, 4)
            by_row = [speed.contiguous(), w1, b1, w2.t().contiguous(), grad.contiguous()]
            run_here(
                sight_kernels.motion_gradient,
                tokens,
                tokens.stride(0),
                features,
                rows,
                sight_kernels.KINDS[ctx.kind],
                *by_row,
                pooled,
                winner,
                motion,
            )
        return None, motion, None, None, *weights


def _encode(encoder: SetEncoder, tokens: Tensor, motion: Tensor, speed: Tensor, kind: str):
    weights = (encoder.w1, encoder.b1, encoder.w2, encoder.b2)
    return MovingEncoder.apply(tokens, motion, speed, kind, *weights)


def slot(layout: ObservationLayout, observation: Tensor, kind: str) -> Tensor:
    """Tokens of a kind, (rows, tokens, features) float16."""
    start, count, features = {
        "road": (layout.road_start, layout.road, ROAD_FEATURES),
        "partners": (layout.partners_start, layout.partners, PARTNER_FEATURES),
        "controls": (layout.controls_start, layout.controls, CONTROL_FEATURES),
    }[kind]
    return observation[:, start : start + count * features].unflatten(1, (count, features))


def moved_tokens(
    layout: ObservationLayout, observation: Tensor, state: Tensor, kind: str
) -> Tensor:
    """Tokens of a kind in value as observed, with the gradient by the ego's motion."""
    tokens = slot(layout, observation, kind).float()
    motion = (state - state.detach())[:, :4]
    present = (tokens != 0).any(-1, keepdim=True)
    rates = pose_rates(tokens, kind, observation[:, 3:4].float()) * present[..., None]
    return tokens + (rates * motion[:, None, None, :]).sum(-1)


def moved_given(observation: Tensor, state: Tensor) -> Tensor:
    """The `given` slot, in value as observed, with the gradient of what the state decides."""
    given = observation[:, :52].float()
    change = state - state.detach()
    forward, left, turn = change[:, 0], change[:, 1], change[:, 2]
    cos, sin = given[:, 1].cos(), given[:, 1].sin()
    along = cos * forward - sin * left
    columns: dict[int, Tensor] = {
        0: 0.5 * (sin * forward + cos * left),
        1: turn - 0.1 * given[:, 2] * along,
        3: SPEED * change[:, 3],
        5: 2.0 * change[:, 6],
        6: 0.2 * change[:, 4],
        7: 0.25 * change[:, 5],
    }
    for k in range(4):
        x, y = given[:, 13 + 3 * k], given[:, 14 + 3 * k]
        columns[13 + 3 * k] = -METRE * forward + y * turn
        columns[14 + 3 * k] = -METRE * left - x * turn
        columns[15 + 3 * k] = -METRE * along
    order = sorted(columns)
    moved = torch.stack([columns[k] for k in order], dim=1)
    return given + moved.new_zeros(given.shape).index_add(1, torch.tensor(order), moved)


def features_of(body: EntityBody, observation: Tensor, state: Tensor, through: str) -> Tensor:
    """What `EntityBody` makes of observations, with the gradient by the ego's state.

    Args:
        body: encoders and trunk.
        observation: (rows, layout.width) float16.
        state: (rows, 7); see `motion`.
        through: "all" lets gradient through every slot, "given" through that one, "none".
    """
    layout = body.layout
    if through == "none":
        state = state.detach()
    motion = (state - state.detach())[:, :4]
    if through != "all":
        motion = motion.detach()
    speed = observation[:, 3:4].float()
    slots = [torch.relu(body.given(moved_given(observation, state)))]
    for kind in ("road", "partners", "controls"):
        tokens = slot(layout, observation, kind)
        slots.append(_encode(getattr(body, kind), tokens, motion, speed, kind))
    return body.trunk(torch.cat(slots, dim=1))

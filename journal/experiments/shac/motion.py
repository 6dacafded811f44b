"""The simulator's own dynamics with a gradient: a Warp adjoint behind a torch operation.

A state is (rows, 7): forward [m], left [m] and turn [rad] of the pose in the ego frame of the
pose that was simulated, then speed [m/s], acceleration, lateral acceleration [m/s²] and wheel
angle [rad]. The first three are zero in value wherever a step begins; they carry gradient.
"""

# pyright: reportGeneralTypeIssues=false, reportInvalidTypeForm=false, reportCallIssue=false
# pyright: reportOperatorIssue=false, reportReturnType=false, reportArgumentType=false
# pyright: reportAttributeAccessIssue=false, reportIndexIssue=false

from __future__ import annotations

import torch
import warp as wp
from torch import Tensor

from gigalane.sim.control import JERK, jerks_of
from gigalane.sim.dynamics import advance, command_from_jerk
from gigalane.sim.scene import Body, Traits

STATE = 7
GRADIENT_LIMIT = (2.0, 2.0, 20.0, 2.0, 2.0, 2.0, 20.0)
"""Largest part of a row's adjoint that is handed back through a step, reward a unit of state.

At walking pace a wheel angle follows from a lateral acceleration as its quotient with the
squared speed: without a bound a few such rows are all that is left of a batch's gradient.
"""


@wp.kernel(enable_backward=True)
def drive_rows(
    traits: wp.array(dtype=Traits),
    dt: wp.array(dtype=float),
    state: wp.array2d(dtype=float),
    action: wp.array2d(dtype=float),
    moved_out: wp.array2d(dtype=float),
):
    """One step of a policy-driven road user: what `decide` and `move` do to its body."""
    row = wp.tid()
    body = Body()
    body.x = state[row, 0]
    body.y = state[row, 1]
    body.heading = state[row, 2]
    body.cos = wp.cos(state[row, 2])
    body.sin = wp.sin(state[row, 2])
    body.speed = state[row, 3]
    body.acceleration = state[row, 4]
    body.lateral_acceleration = state[row, 5]
    body.steering = state[row, 6]
    jerk = jerks_of(JERK, action[row, 0], action[row, 1])
    command = command_from_jerk(body, traits[row], jerk[0], jerk[1], dt[row])
    after = advance(body, traits[row], command, dt[row])
    moved_out[row, 0] = after.x
    moved_out[row, 1] = after.y
    moved_out[row, 2] = after.heading
    moved_out[row, 3] = after.speed
    moved_out[row, 4] = after.acceleration
    moved_out[row, 5] = after.lateral_acceleration
    moved_out[row, 6] = after.steering


class WarpStep(torch.autograd.Function):
    """(state, action) to the next state; its backward is the adjoint that Warp derives."""

    @staticmethod
    def forward(ctx, state: Tensor, action: Tensor, traits: wp.array, dt: Tensor) -> Tensor:
        """Runs the kernel."""
        moved = torch.empty_like(state)
        ctx.kept = (state.detach().clone(), action.detach().clone(), traits, dt, moved)
        wp.launch(drive_rows, len(state), inputs=_views(ctx.kept), device="cpu")
        return moved.clone()

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Runs its adjoint."""
        state, action, _, _, _ = ctx.kept
        grads = [torch.zeros_like(state), torch.zeros_like(action), grad.contiguous().clone()]
        adjoints = [None, None, *(wp.from_torch(g, dtype=wp.float32) for g in grads)]
        wp.launch(
            drive_rows,
            len(state),
            inputs=_views(ctx.kept),
            adj_inputs=adjoints,
            adjoint=True,
            device="cpu",
        )
        return grads[0], grads[1], None, None


def _views(kept: tuple) -> list:
    state, action, traits, dt, moved = kept
    return [traits, *(wp.from_torch(t, dtype=wp.float32) for t in (dt, state, action, moved))]


def clipped_action(action: Tensor) -> Tensor:
    """Jerks within what the action space allows; a gradient that leads back inside passes.

    A mean that once lies outside would otherwise never hear of it again.
    """
    low, high = action.new_tensor([-15.0, -4.0]), action.new_tensor([4.0, 4.0])
    if action.requires_grad:
        outside = action.detach().clone()

        def back_inside(grad: Tensor) -> Tensor:
            # Descent moves against the gradient.
            lost = ((outside > high) & (grad < 0)) | ((outside < low) & (grad > 0))
            return grad.masked_fill(lost, 0.0)

        inside = action + (action.clamp(low, high) - action).detach()
        if inside.requires_grad:
            inside.register_hook(back_inside)
        return inside
    return action.clamp(low, high)


def bounded(grad: Tensor) -> Tensor:
    """An adjoint of states, each part within GRADIENT_LIMIT; what is no number becomes 0."""
    limit = grad.new_tensor(GRADIENT_LIMIT)
    return torch.nan_to_num(grad, nan=0.0, posinf=0.0, neginf=0.0).clamp(-limit, limit)


def follow(moved: Tensor, simulated: Tensor, carries: Tensor) -> Tensor:
    """The state that a next step begins with: in value the simulator's, in gradient the step's.

    Args:
        moved: (rows, 7) of `WarpStep`, pose in the frame that the step began in.
        simulated: (rows, 7) what the simulator says, pose zero.
        carries: (rows,) bool, rows whose episode went on.
    """
    change = moved - moved.detach()
    turn = moved.detach()[:, 2]
    cos, sin = turn.cos(), turn.sin()
    forward = change[:, 0] * cos + change[:, 1] * sin
    left = change[:, 1] * cos - change[:, 0] * sin
    change = torch.cat([forward[:, None], left[:, None], change[:, 2:]], dim=1)
    return simulated + torch.where(carries[:, None], change, 0.0)

"""The loop: an actor and a world meet for some steps, and observers write down what they need.

Self-play training, scoring, recording and the viewer differ only in who acts, which world
answers and who watches.
"""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from gigalane.core.trace import trace
from gigalane.worlds.world import World


class Actor(Protocol):
    """Decides what every road user of a world does next.

    What an actor wants remembered of a decision (the probability of the action, the value of
    the state) it keeps as its own attributes until the next one.
    """

    def act(self, world: World) -> Tensor:
        """Returns an action for every row of `world`, as `World.step` takes them."""
        ...


class Observer(Protocol):
    """Watches a roll-out. Arrays of the world change in place: copy what must be kept."""

    def before(self, step: int, world: World, actions: Tensor) -> None:
        """Called when `actions` are chosen and the world still shows what they answer to.

        Args:
            step: number of the step, from 0.
            world: the world before the step.
            actions: what the actor chose.
        """
        ...

    def after(self, step: int, world: World) -> None:
        """Called when the world has moved and shows what the actions brought.

        Args:
            step: number of the step, from 0.
            world: the world after the step.
        """
        ...


def roll_out(world: World, actor: Actor, steps: int, *observers: Observer) -> None:
    """Lets `actor` drive `world` for `steps` steps while `observers` watch.

    The world goes on from where it stands; `World.reset` starts it anew.

    Args:
        world: the world that answers.
        actor: who decides.
        steps: steps to take.
        observers: told before and after each step, in this order.
    """
    for step in range(steps):
        with trace("act"):
            actions = actor.act(world)
        with trace("watch"):
            for observer in observers:
                observer.before(step, world, actions)
        with trace("step"):
            world.step(actions)
        with trace("watch"):
            for observer in observers:
                observer.after(step, world)

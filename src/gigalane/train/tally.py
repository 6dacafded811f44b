"""Counts what happened to the learning road users of a roll-out.

Sums stay tensors and are read once an iteration, so counting never waits for a device.
"""

from __future__ import annotations

import torch
from torch import Tensor

from gigalane.worlds.world import World


class EpisodeTally:
    """An observer that counts facts per agent episode and sums rewards by term.

    An episode has an event if it happened at any of its steps. Only transitions that may be
    learned from count, so scripted and disturbed road users do not.

    Attributes:
        seen: (rows,) int32, events so far of the episode each row is in. It outlives `read`.
    """

    def __init__(self, world: World) -> None:
        """Starts with nothing counted."""
        device = world.observation.device
        self.event_names, self.reward_names = world.event_names, world.reward_names
        self.seen = torch.zeros(world.row_count, dtype=torch.int32, device=device)
        self._bits = torch.arange(len(world.event_names), dtype=torch.int32, device=device)
        self._learning = torch.zeros(world.row_count, dtype=torch.bool, device=device)
        # transitions, seconds, reward; episodes, with each event; reward terms
        self._steps = torch.zeros(3, dtype=torch.float64, device=device)
        self._episodes = torch.zeros(1 + len(self._bits), dtype=torch.float64, device=device)
        self._terms = torch.zeros(len(world.reward_names), dtype=torch.float64, device=device)

    @property
    def sums(self) -> tuple[Tensor, ...]:
        """What `read` reads, for adding up over ranks."""
        return self._steps, self._episodes, self._terms

    def before(self, step: int, world: World, actions: Tensor) -> None:
        """Notes who is learning in this step."""
        torch.logical_and(world.active, world.learn, out=self._learning)

    def after(self, step: int, world: World) -> None:
        """Counts what the step brought."""
        learning = self._learning
        weight = learning.float()
        sums = torch.stack([weight, world.dt * weight, world.reward * weight]).sum(-1)
        self._steps += sums
        self._terms += (world.reward_terms * weight.unsqueeze(-1)).sum(0)
        self.seen |= torch.where(learning, world.events, 0)
        ended = world.terminated | world.truncated
        happened = (self.seen.unsqueeze(-1) >> self._bits) & 1
        counts = (happened * (ended & learning).unsqueeze(-1)).sum(0)
        self._episodes[0] += (ended & learning).sum()
        self._episodes[1:] += counts
        self.seen.masked_fill_(ended, 0)

    def read(self) -> dict[str, float]:
        """Reads and clears the sums.

        Returns:
            "samples" (transitions that may be learned from), "episodes" (ended), "episode_s"
            (mean length [s], estimated as time over ends), "rate/<event>" (share of ended
            episodes), "reward_per_s" and "reward/<term>" (mean per second of driving). Where
            nothing was counted the value is NaN.
        """
        read = torch.cat([self._steps, self._episodes, self._terms]).tolist()
        for sums in (self._steps, self._episodes, self._terms):
            sums.zero_()
        samples, seconds, reward, episodes = read[:4]
        events, terms = read[4 : 4 + len(self._bits)], read[4 + len(self._bits) :]
        figures = {"samples": samples, "episodes": episodes}
        figures["episode_s"] = _ratio(seconds, episodes)
        for name, count in zip(self.event_names, events, strict=True):
            figures[f"rate/{name}"] = _ratio(count, episodes)
        figures["reward_per_s"] = _ratio(reward, seconds)
        for name, total in zip(self.reward_names, terms, strict=True):
            figures[f"reward/{name}"] = _ratio(total, seconds)
        return figures


def _ratio(part: float, whole: float) -> float:
    """`part / whole`, or NaN where there is no whole."""
    return part / whole if whole else float("nan")

"""Ranks as threads of one process, and a world cut into the rows of each."""

import threading
from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from toy_world import ToyWorld

from gigalane.train.ranks import Ranks


class Meeting:
    """Where threads add their tensors up; when one has gone the others are told."""

    def __init__(self, count: int) -> None:
        self.count, self.changed, self.is_broken = count, threading.Condition(), False
        self.rounds = [0] * count
        self.brought: dict[int, dict[int, Tensor]] = {}

    def add(self, rank: int, flat: Tensor) -> None:
        with self.changed:
            now = self.rounds[rank]
            self.rounds[rank] += 1
            self.brought.pop(now - 2, None)  # everybody has taken it: they have brought the next
            tables = self.brought.setdefault(now, {})
            tables[rank] = flat.clone()
            self.changed.notify_all()
            self.changed.wait_for(lambda: len(tables) == self.count or self.is_broken, timeout=60)
            if len(tables) < self.count:
                raise RuntimeError("connection closed by peer")
        shapes = {(tuple(each.shape), each.dtype) for each in tables.values()}
        assert len(shapes) == 1, f"ranks brought different things to one sum: {shapes}"
        flat.copy_(torch.stack([tables[each] for each in range(self.count)]).sum(0))

    def leave(self) -> None:
        with self.changed:
            self.is_broken = True
            self.changed.notify_all()


class ThreadRanks(Ranks):
    """A rank that is a thread."""

    def __init__(self, meeting: Meeting, rank: int) -> None:
        super().__init__(rank, meeting.count, rank, meeting.count)
        self.meeting = meeting

    def _all_reduce(self, flat: Tensor) -> None:
        self.meeting.add(self.rank, flat)


def together(count: int, task: Callable[[ThreadRanks], object]) -> list:
    """Runs `task` on every rank at once; gives what each returned or raised."""
    meeting = Meeting(count)
    results: list = [None] * count

    def run(rank: int) -> None:
        try:
            results[rank] = task(ThreadRanks(meeting, rank))
        except BaseException as error:
            results[rank] = error
            meeting.leave()

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


class RowsOf:
    """Some rows of a toy world as a world of their own; the other rows stand still."""

    layout, action_space = ToyWorld.layout, ToyWorld.action_space
    reward_names, event_names = ToyWorld.reward_names, ToyWorld.event_names

    def __init__(self, rows: int, first: int, count: int, learns: bool = True) -> None:
        self.whole, self.row_count, self.learns = ToyWorld(rows), count, learns
        self.part = slice(first, first + count)

    def __getattr__(self, name: str) -> Tensor:
        rows = getattr(self.whole, name)[self.part]
        return torch.zeros_like(rows) if name == "learn" and not self.learns else rows

    def reset(self, seed: int) -> None:
        self.whole.reset(seed)

    def step(self, actions: Tensor) -> None:
        everybody = torch.ones(self.whole.row_count, dtype=torch.int64)
        everybody[self.part] = actions
        self.whole.step(everybody)

    def state_dict(self) -> dict[str, Tensor]:
        return self.whole.state_dict()

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        self.whole.load_state_dict(state)

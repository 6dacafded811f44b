"""Ranks as threads of one process, and a world cut into the rows of each."""

import threading
from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from toy_world import ToyWorld

from gigalane.train.ranks import Ranks


class Meeting:
    """Where threads add their tensors up; one that fails sends the others home."""

    def __init__(self, count: int) -> None:
        self.barrier = threading.Barrier(count, timeout=60)
        self.brought: list[Tensor] = [torch.empty(0)] * count

    def add(self, rank: int, flat: Tensor) -> None:
        try:
            self.brought[rank] = flat.clone()
            self.barrier.wait()
            shapes = {(tuple(each.shape), each.dtype) for each in self.brought}
            total = torch.stack(self.brought).sum(0) if len(shapes) == 1 else None
            self.barrier.wait()
        except threading.BrokenBarrierError as error:
            raise RuntimeError("connection closed by peer") from error
        assert total is not None, f"ranks brought different things to one sum: {shapes}"
        flat.copy_(total)


class ThreadRanks(Ranks):
    """A rank that is a thread."""

    def __init__(self, meeting: Meeting, rank: int) -> None:
        count = len(meeting.brought)
        super().__init__(rank, count, rank, count)
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
            meeting.barrier.abort()

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

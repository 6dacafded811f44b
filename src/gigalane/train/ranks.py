"""The processes that train one policy together, and what they tell each other.

`torchrun` starts the same command several times; each process is a *rank*. A rank has worlds,
roll-outs and a shuffle of its own; weights are the same everywhere, bit by bit, because every
rank takes the same optimiser steps with the same sum of gradients. All that crosses between
ranks is a sum over them (`Ranks.sum`), taken in the same order by all: so nothing that one rank
decides for itself, by its clock, its kept samples or a signal, may decide whether a sum is taken.

A process on its own is `ALONE`: every method then returns at once and changes nothing.
"""

from __future__ import annotations

import os
import signal
import threading
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta

import numpy as np
import torch
from torch import Tensor

from gigalane.core.settings import RunError, SettingsError

PATIENCE = timedelta(minutes=10)
"""How long a rank waits for the others before it gives up; chosen: longer than kernels compile."""


class Ranks:
    """Who this process is among those that train together.

    Attributes:
        rank: number of this process, from 0. The first one writes what is not a rank's own.
        count: number of processes.
        local_rank: number of this process on its machine: which GPU is its own.
        local_count: number of processes on this machine: they share its cores.
        restarts: times the group was started again by its launcher.
        communicate_s: time spent in sums since it was last set to 0, waiting for slower ranks
            included [s].
    """

    def __init__(
        self,
        rank: int = 0,
        count: int = 1,
        local_rank: int = 0,
        local_count: int = 1,
        restarts: int = 0,
    ) -> None:
        """Keeps who this is; `joined_ranks` reads it from the launcher."""
        self.rank, self.count = rank, count
        self.local_rank, self.local_count = local_rank, local_count
        self.restarts = restarts
        self.communicate_s = 0.0
        self._timed: list[tuple[torch.cuda.Event, torch.cuda.Event]] = []

    @property
    def is_first(self) -> bool:
        """Whether this rank writes policy, metrics and settings."""
        return self.rank == 0

    # Sums.

    def sum(self, *tensors: Tensor) -> list[Tensor]:
        """Sums of tensors over ranks, in one message.

        Args:
            tensors: of one type and on one device; shapes as on the other ranks.

        Returns:
            The same bits on every rank, and in the same order in memory, so that what is
            computed from them agrees as well; those of a process alone are `tensors`.

        Raises:
            RunError: another rank is gone.
        """
        if self.count == 1:
            return list(tensors)
        started = time.perf_counter()
        clock = self._start_clock(tensors[0].device)
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        try:
            self._all_reduce(flat)
        except RuntimeError as error:
            reason = str(error).splitlines()[0]
            raise RunError(
                f"rank {self.rank} of {self.count}: another rank is gone ({reason}); begin again "
                "with --resume, or start under torchrun --max-restarts, which does so by itself"
            ) from error
        if clock is None:
            self.communicate_s += time.perf_counter() - started
        else:
            clock[1].record()
        parts = flat.split([tensor.numel() for tensor in tensors])
        return [part.view_as(tensor) for part, tensor in zip(parts, tensors, strict=True)]

    def sum_(self, *tensors: Tensor) -> None:
        """Replaces tensors by what `sum` makes of them."""
        for tensor, total in zip(tensors, self.sum(*tensors), strict=True):
            if total is not tensor:
                tensor.copy_(total)

    def broadcast_(self, *tensors: Tensor) -> None:
        """Replaces tensors by the first rank's."""
        if not self.is_first:
            for tensor in tensors:
                tensor.zero_()
        self.sum_(*tensors)

    def gather(self, *numbers: float) -> Tensor:
        """Numbers of all ranks, (count, numbers) float64 on the CPU."""
        table = torch.zeros(self.count, len(numbers), dtype=torch.float64)
        table[self.rank] = torch.tensor(numbers, dtype=torch.float64)
        self.sum_(table)
        return table

    def any(self, *flags: bool) -> list[bool]:
        """For each flag, whether some rank has set it."""
        if self.count == 1:
            return list(flags)
        return self.gather(*map(float, flags)).any(0).tolist()

    def mean_and_deviation(self, values: Tensor) -> tuple[Tensor, Tensor, int]:
        """Mean, standard deviation (no correction) and number of values over all ranks.

        Args:
            values: (n,) of this rank; n may be 0 and differ between ranks.

        Returns:
            Two tensors without dimensions, NaN where there are no values, and the number.
        """
        if self.count == 1:
            return values.mean(), values.std(correction=0), len(values)
        wide = values.double()
        sums = torch.stack([wide.new_tensor(float(len(values))), wide.sum(), wide.square().sum()])
        self.sum_(sums)
        mean = sums[1] / sums[0]
        deviation = (sums[2] / sums[0] - mean.square()).clamp(min=0).sqrt()
        return mean.to(values.dtype), deviation.to(values.dtype), int(sums[0])

    def check_same(self, tensors: Sequence[Tensor], name: str) -> None:
        """Stops where ranks have come to differ in what all must hold alike.

        Raises:
            RunError: some tensor differs in some bit.
        """
        if self.count == 1:
            return
        flat = torch.cat([tensor.detach().flatten() for tensor in tensors]).cpu()
        checksums = self.gather(zlib.crc32(flat.numpy().tobytes()))
        if checksums.min() != checksums.max():
            raise RunError(f"{name} differ between ranks; go on from the last state with --resume")

    def communicated(self) -> float:
        """Time spent in sums since this was last asked [s]; on a GPU waits for the device."""
        for begin, end in self._timed:
            end.synchronize()
            self.communicate_s += begin.elapsed_time(end) / 1e3
        self._timed.clear()
        spent, self.communicate_s = self.communicate_s, 0.0
        return spent

    # Shares.

    def share(self, worlds: int) -> tuple[int, int]:
        """Which worlds are this rank's: (first, count), blocks in the order of the ranks.

        Raises:
            SettingsError: there are fewer worlds than ranks.
        """
        if worlds < self.count:
            raise SettingsError(
                f"worlds={worlds}: {self.count} ranks need a world each; give more worlds or "
                "start fewer ranks (--nproc-per-node)"
            )
        first, end = (worlds * rank // self.count for rank in (self.rank, self.rank + 1))
        return first, end - first

    def threads(self, asked: int) -> int:
        """Threads for this rank: those asked for, or its part of the cores for 0."""
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        return asked or max(1, (cores or 1) // self.local_count)

    def device(self, asked: str) -> str:
        """The device of this rank: with "cuda" each rank of a machine has a GPU of its own.

        Raises:
            SettingsError: the machine has too few.
        """
        if self.count == 1 or asked != "cuda":
            return asked
        found = torch.cuda.device_count()
        if self.local_rank >= found:
            raise SettingsError(
                f"device=cuda: {self.local_count} ranks on a machine with {found} usable GPUs; "
                "start as many ranks as GPUs (--nproc-per-node), or use --device cpu"
            )
        return f"cuda:{self.local_rank}"

    def seed(self, seed: int) -> int:
        """A seed of this rank's own; the first rank's is `seed` itself."""
        if self.is_first:
            return seed
        return int(np.random.SeedSequence([seed, self.rank]).generate_state(1, np.uint64)[0] >> 1)

    # Going together.

    @contextmanager
    def agreeing(self) -> Iterator[None]:
        """Lets all ranks go on after a block that may fail, or none.

        The block must take no sums. Where it failed on the first rank, that one alone tells
        why; else those that failed do.

        Raises:
            RunError: on the first rank, if the block failed only on others.
            SystemExit: on the other ranks, if they have nothing to tell.
        """
        if self.count == 1:
            yield
            return
        problem: Exception | None = None
        try:
            yield
        except Exception as error:  # told below, once the others know
            problem = error
        failed = self.gather(float(problem is not None))[:, 0]
        if not failed.any():
            return
        if problem is not None and (self.is_first or not failed[0]):
            raise problem
        if self.is_first:
            others = ", ".join(str(rank) for rank in failed.nonzero().flatten().tolist())
            raise RunError(f"rank {others} failed and says why in a line of its own")
        raise SystemExit(2)

    @contextmanager
    def stop_signals(self) -> Iterator[threading.Event]:
        """Gives an event that Ctrl-C or SIGTERM sets.

        Alone, the second signal acts as usual. Under a launcher, which passes each signal on to
        ranks that have had it already, repeats are ignored; the launcher kills what does not end.
        """
        stop = threading.Event()
        if threading.current_thread() is not threading.main_thread():
            yield stop  # only the main thread may listen to signals
            return
        before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

        def request(number: int, frame: object) -> None:
            stop.set()
            if self.count == 1:
                signal.signal(number, before[signal.Signals(number)])

        for number in before:
            signal.signal(number, request)
        try:
            yield stop
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _all_reduce(self, flat: Tensor) -> None:
        """Sums a flat tensor over the ranks in place."""
        torch.distributed.all_reduce(flat)

    def _start_clock(
        self, device: torch.device
    ) -> tuple[torch.cuda.Event, torch.cuda.Event] | None:
        """Two marks in a GPU's queue, the first one set: the host does not wait for its sums."""
        if device.type != "cuda":
            return None
        clock = (torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True))
        clock[0].record()
        self._timed.append(clock)
        return clock


ALONE = Ranks()
"""A process that trains on its own."""


@contextmanager
def joined_ranks(environment: Mapping[str, str] | None = None) -> Iterator[Ranks]:
    """Joins the group that `torchrun` started this process in, for the length of a block.

    Sums of CPU tensors go through gloo, those of GPU tensors through nccl.

    Args:
        environment: variables to read instead of the process's own.

    Yields:
        The ranks; those of a process alone where there is no launcher.

    Raises:
        SettingsError: the launcher's variables are not whole.
        RunError: the others could not be reached.
    """
    told = dict(os.environ if environment is None else environment)
    if "WORLD_SIZE" not in told or "RANK" not in told:
        yield ALONE
        return
    ranks = _told_by(told)
    if ranks.count == 1:
        yield ranks
        return
    try:
        from torch.distributed import PrefixStore, TCPStore  # pyright: ignore[reportPrivateImportUsage]

        # torchrun keeps one store through its restarts, and what a dead group left in it would
        # be taken for the new one's addresses; so each start has names of its own.
        store = TCPStore(
            told["MASTER_ADDR"],
            int(told["MASTER_PORT"]),
            is_master=told.get("TORCHELASTIC_USE_AGENT_STORE") != "True" and ranks.is_first,
            timeout=PATIENCE,
        )
        torch.distributed.init_process_group(
            "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo",
            store=PrefixStore(f"gigalane/{ranks.restarts}", store),
            rank=ranks.rank,
            world_size=ranks.count,
            timeout=PATIENCE,
        )
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        raise RunError(f"rank {ranks.rank}: cannot reach the other ranks ({reason})") from error
    try:
        yield ranks
    finally:
        # Left alone, threads of gloo abort the process as it ends and hide its exit code.
        torch.distributed.destroy_process_group()


def _told_by(told: dict[str, str]) -> Ranks:
    """Reads a launcher's variables."""
    try:
        count = int(told["WORLD_SIZE"])
        ranks = Ranks(
            int(told["RANK"]),
            count,
            int(told.get("LOCAL_RANK", told["RANK"])),
            int(told.get("LOCAL_WORLD_SIZE", count)),
            int(told.get("TORCHELASTIC_RESTART_COUNT", 0)),
        )
        if count > 1:
            _ = told["MASTER_ADDR"], int(told["MASTER_PORT"])
    except KeyError as error:
        raise SettingsError(
            f"{error.args[0]} is not set; start with torchrun, or unset RANK"
        ) from None
    except ValueError as error:
        raise SettingsError(
            f"RANK, WORLD_SIZE or MASTER_PORT: {error}; start with torchrun"
        ) from None
    if not 0 <= ranks.rank < ranks.count:
        raise SettingsError(f"RANK={ranks.rank} of WORLD_SIZE={ranks.count}; start with torchrun")
    return ranks

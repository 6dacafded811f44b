"""Lessons on a pool that fills as somebody drives: the loop, the counting, and how a run goes on.

gather    new rows come into the pool          (whoever drives, wherever)
improve   the student learns from the pool     (`loss`)
"""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, Generic, Protocol, TypeVar

import torch
from torch import Tensor

from gigalane.networks.chunks import one_torch_thread
from gigalane.policies.camera import CameraPolicy
from gigalane.teach.pool_learner import PoolLearner
from gigalane.train.progress import Progress
from gigalane.train.ranks import ALONE
from gigalane.train.run_folder import LessonFolder, plain


class Rows(Protocol):
    """Rows to learn from.

    Attributes:
        count: how many there are.
    """

    count: int


class PoolSettings(Protocol):
    """What lessons of either kind are told; see those of each."""

    @property
    def seed(self) -> int:
        """Of everything that chance decides."""
        ...

    @property
    def passes(self) -> float:
        """How often a row is learned from on average."""
        ...

    @property
    def minibatch(self) -> int:
        """Rows an optimiser step."""
        ...

    @property
    def learning_rate(self) -> float:
        """At the beginning; it falls to 0 along half a cosine."""
        ...

    @property
    def checkpoint_every_s(self) -> float:
        """Longest time between two saved states [s]."""
        ...


Settings = TypeVar("Settings", bound=PoolSettings)
Pool = TypeVar("Pool", bound=Rows)


class PoolLessons(ABC, Generic[Settings, Pool]):
    """The parts of an iteration and what lives from one to the next.

    Attributes:
        kind: of lessons: what their settings are called in the run's files.
        unit: what a row of the pool is: the setting that says how many are wanted, and their
            number in the run's files.
        changeable: settings that may differ when a run goes on.
        told: names of what `loss` tells of itself, "loss" first.
        student: what learns.
        settings: how.
        run_directory: where the run is kept.
        learner: takes the optimiser steps.
        folder: the run's files.
        pool: what is learned from.
        samples: rows learned from so far.
        iteration: iterations done.
        elapsed_s: time spent in them [s].
    """

    kind: ClassVar[str]
    unit: ClassVar[str]
    changeable: ClassVar[frozenset[str]]
    told: ClassVar[tuple[str, ...]]
    pool: Pool

    def __init__(self, student: CameraPolicy, settings: Settings, run_directory: Path) -> None:
        """Makes an optimiser; touches no file. What of the student is frozen must be by now."""
        self.student, self.settings, self.run_directory = student, settings, run_directory
        self.learner = PoolLearner(
            student, settings.learning_rate, settings.minibatch, settings.passes, settings.seed + 2
        )
        self.folder = LessonFolder(
            run_directory, student, self.learner.optimizer, settings.checkpoint_every_s
        )
        self.samples = self.iteration = 0
        self.elapsed_s = 0.0

    @property
    def wanted(self) -> int:
        """Rows to learn from in all."""
        return getattr(self.settings, self.unit)

    def run(self, on_iteration: Callable[[dict[str, float]], bool | None] | None = None) -> None:
        """Teaches until as many rows as wanted are learned from; Ctrl-C finishes the iteration.

        Args:
            on_iteration: told the figures of each iteration; returning True ends the lessons.
        """
        progress = Progress(self.run_directory, self.wanted, self.iteration)
        with one_torch_thread(), ALONE.stop_signals() as stop, progress:
            while self.samples < self.wanted:
                self.collect()
                self.improve()
                figures = self.figures()
                progress.report(figures)
                self.save_if_due()
                if (on_iteration is not None and on_iteration(figures)) or stop.is_set():
                    break
            self.save()

    # What each kind of lessons has of its own.

    @abstractmethod
    def restart(self, seed: int) -> None:
        """Has whoever drives begin anew."""

    @abstractmethod
    def gather(self) -> int:
        """Puts new rows into the pool; returns how many there are to learn from."""

    @abstractmethod
    def loss(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Mean loss over rows of the pool, and the figures that `told` names."""

    # The parts of an iteration, in order.

    def collect(self) -> None:
        """Gets new rows."""
        self._started = time.perf_counter()
        self._added = self.gather()
        self._collected = time.perf_counter()

    def improve(self) -> None:
        """Takes as many optimiser steps as the new rows are worth."""
        done = self.samples / self.wanted
        learned = self.learner.learn(self.loss, self.pool.count, self._added, done)
        self._learned = torch.zeros(len(self.told)) if learned is None else learned

    def figures(self) -> dict[str, float]:
        """Closes the iteration: counts it and reads its figures."""
        duration = time.perf_counter() - self._started
        self.iteration += 1
        self.samples += self._added
        self.elapsed_s += duration
        learned = dict(zip(self.told, self._learned.tolist(), strict=True))
        if not math.isfinite(learned["loss"]):
            raise FloatingPointError(
                f"{self.run_directory}: iteration {self.iteration}: the loss is "
                f"{learned['loss']}; the last saved state is whole: {self.kind} anew with a lower "
                "learning_rate"
            )
        return {
            "iteration": self.iteration,
            "samples": self.samples,
            "samples_per_s": self._added / duration,
            "elapsed_s": self.elapsed_s,
            "seconds/collect": self._collected - self._started,
            "seconds/learn": duration - (self._collected - self._started),
            "learning_rate": self.learner.learning_rate,
            **learned,
        }

    # Saving and going on.

    def resume(self) -> None:
        """Goes on from the newest state that is whole; whoever drives begins anew."""
        facts = self.folder.resume(self.settings, self.changeable)
        self.iteration, self.samples = facts["iteration"], facts[self.unit]
        self.elapsed_s = facts["elapsed_s"]
        # A seed not used before: repeating the first rows would teach nothing new.
        self.restart(self.settings.seed + self.iteration)
        self.learner.shuffler.manual_seed(self.settings.seed + 2 + self.iteration)

    def save_if_due(self) -> None:
        """Saves if the last time is `checkpoint_every_s` ago."""
        if self.folder.is_due:
            self.save()

    def save(self) -> None:
        """Writes the state of the lessons, and the student as it is now."""
        settings = plain(self.settings)
        counts = {self.unit: self.samples}
        facts = {**counts, "elapsed_s": self.elapsed_s, "settings": settings}
        self.folder.save(self.iteration, facts, {**counts, self.kind: settings})

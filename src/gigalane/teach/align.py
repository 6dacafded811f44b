"""Alignment: a frozen backbone is read by linear adapters into the slots of a frozen driver.

    paired frames ─► backbone (frozen, cached) ─► adapters (learn) ─► driver's trunk (frozen)

TerraTransfer (arXiv 2606.17386): nothing but pairs of images and scene states is learned from,
no trajectory and no reward. The loss of a batch is

    KL(teacher || student) + w · Σ structure over the slots road, partners and controls,

where structure compares the cosines between the batch's rows in the subspace that holds most of
the teacher's energy (`gigalane.teach.losses`). Ours besides: a third adapter for controls
(the paper has two), one for the five numbers of `LANE_NUMBERS`, taught as numbers in every arm,
and, where asked for, the slots as numbers (regression). What the paper leaves open and we chose:
w = 1 after averaging over pairs, energy as squared singular values, Adam, batch, epochs.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gigalane.core.files import replacing
from gigalane.core.settings import SettingsError
from gigalane.networks.backbones import FrozenEyes
from gigalane.networks.chunks import one_torch_thread
from gigalane.policies.camera import KNOWN, CameraPolicy, Sight, shown_to
from gigalane.policies.entity import EntityPolicy
from gigalane.teach import losses
from gigalane.teach.frame_features import FrameFeatures
from gigalane.train.progress import Progress
from gigalane.train.ranks import ALONE
from gigalane.train.run_folder import (
    POLICY_FILE,
    LessonFolder,
    half_cosine,
    plain,
    refuse_begun,
    refuse_changed,
)

SLOTS = Sight._fields[:3]
REPORT_FILE = "align.json"
LEAST_SPREAD = 0.05
"""Smallest spread that a feature is taken to have, beside the mean of all."""


@dataclass(frozen=True)
class AlignWeights:
    """How much each loss counts; 0 leaves it out.

    Attributes:
        divergence: KL(teacher || student) over actions.
        structure: relations between rows, summed over the slots.
        slots: the slots' numbers, each in units of how much it varies (not the paper's).
        lane: the five numbers that need a map.
    """

    divergence: float = 1.0
    structure: float = 1.0
    slots: float = 0.0
    lane: float = 1.0


@dataclass(frozen=True)
class AlignSettings:
    """How adapters are taught.

    Attributes:
        epochs: times that every frame is learned from.
        minibatch: frames of a step; structure compares all pairs of them.
        learning_rate: of Adam, falling to 0 along half a cosine.
        weight_decay: of the adapters (AdamW): features outnumber what a few frames pin down.
        losses: what is learned.
        energy: share of the energy of a slot that the subspace of structure holds.
        rank: factor on the number of directions that takes; 64 takes all.
        centred: whether structure compares how slots differ from their mean, not the slots (not
            the paper's: their mean alone holds most of the energy of ours).
        seed: of the first weights and the shuffling.
        checkpoint_every_s: longest time between two saved states [s].
    """

    epochs: int = 20
    minibatch: int = 256
    learning_rate: float = 1e-3
    weight_decay: float = 1e-2
    losses: AlignWeights = field(default_factory=AlignWeights)
    energy: float = 0.8
    rank: float = 1.0
    centred: bool = False
    seed: int = 0
    checkpoint_every_s: float = 60.0

    def __post_init__(self) -> None:
        """Refuses what cannot be learned from."""
        if self.epochs < 1 or self.minibatch < 2:
            raise SettingsError("align: epochs must be at least 1 and minibatch at least 2")
        if not (0 < self.energy <= 1 and self.rank > 0 and self.learning_rate > 0):
            raise SettingsError(
                "align: energy must be above 0 to 1, rank and learning_rate above 0"
            )
        if min(self.seed, self.weight_decay) < 0:
            raise SettingsError("align: seed and weight_decay must be 0 or more")
        weights = vars(self.losses).values()
        if min(weights) < 0 or not any(weights):
            raise SettingsError("align: losses must be 0 or more, and one of them more")


CHANGEABLE = frozenset({"epochs", "checkpoint_every_s"})
"""Settings that may differ when a run goes on."""


@dataclass(frozen=True)
class Lessons:
    """Paired frames as alignment needs them, and what the teacher makes of each.

    Attributes:
        features: of the backbone.
        shown: (frames, layout.width) float16, what the teacher is shown.
        given: (frames, layout.given) float32, a part of that; what only a map tells is taken out
            by the student.
        slots: what the teacher makes of what it is shown, and the five lane numbers.
        numbers: (frames, …) float32, of the teacher's distribution.
        first: row of `features` that the first frame has.
    """

    features: FrameFeatures
    shown: Tensor
    given: Tensor
    slots: Sight
    numbers: Tensor
    first: int = 0

    @property
    def count(self) -> int:
        """Frames."""
        return len(self.given)

    def part(self, begin: int, end: int) -> Lessons:
        """The frames from `begin` to before `end`."""
        slots = Sight(*(slot[begin:end] for slot in self.slots))
        return Lessons(
            self.features,
            self.shown[begin:end],
            self.given[begin:end],
            slots,
            self.numbers[begin:end],
            self.first + begin,
        )

    def read(self, rows: Tensor) -> Tensor:
        """What the backbone found in some of the frames: (rows, numbers) float32."""
        return self.features.rows(rows + self.first)


class Pupil(NamedTuple):
    """Who learns from what; `gigalane.teach.aligning.prepare` makes it.

    Attributes:
        student: with frozen eyes.
        lessons: what is learned from.
        unseen: what is measured on after every epoch.
    """

    student: CameraPolicy
    lessons: Lessons
    unseen: Lessons


def lessons_of(features: FrameFeatures, shown: Tensor, teacher: EntityPolicy) -> Lessons:
    """Asks the teacher about every frame, once.

    Args:
        features: of the frames.
        shown: (frames, teacher.layout.width) float16.
        teacher: who knows what to do.
    """
    slots: list[Sight] = []
    numbers: list[Tensor] = []
    with torch.no_grad(), one_torch_thread():
        for part in shown.split(1024):
            slots.append(shown_to(teacher, part))
            numbers.append(teacher.parameters_and_value(part)[0])
    given = shown[:, : teacher.layout.given].float()
    whole = Sight(*(torch.cat(parts) for parts in zip(*slots, strict=True)))
    return Lessons(features, shown, given, whole, torch.cat(numbers))


def align(
    pupil: Pupil,
    teacher: EntityPolicy,
    settings: AlignSettings,
    run_directory: str | os.PathLike[str],
    *,
    resume: bool = False,
    on_epoch: Callable[[dict[str, float]], bool | None] | None = None,
) -> dict[str, Any]:
    """Teaches the adapters of a student; Ctrl-C finishes the epoch and saves.

    Args:
        pupil: the student, in place, and its frames.
        teacher: whose slots and actions.
        settings: how.
        run_directory: settings.json, metrics.jsonl, states, policy and align.json.
        resume: go on from the newest whole state there.
        on_epoch: told the figures of each epoch; returning True ends the lessons.

    Returns:
        What align.json holds: final figures, k of each slot, seconds, the policy's file.

    Raises:
        PolicyError: there is nothing to go on from, it does not fit, or the directory already
            holds a run and `resume` is not set.
    """
    aligner = Aligner(pupil, teacher, settings, Path(run_directory))
    aligner.resume() if resume else aligner.begin()
    samples = settings.epochs * pupil.lessons.count
    progress = Progress(aligner.run_directory, samples, aligner.epoch)
    figures: dict[str, float] = aligner.measure()
    with one_torch_thread(), ALONE.stop_signals() as stop, progress:
        while aligner.epoch < settings.epochs:
            figures = aligner.learn()
            progress.report(figures)
            aligner.save_if_due()
            if (on_epoch is not None and on_epoch(figures)) or stop.is_set():
                break
        aligner.save()
    return aligner.report(figures)


class Aligner:
    """An epoch and what lives from one to the next.

    Attributes:
        centres: (width,) what is taken from each slot before structure is compared.
        bases: (width, k) directions of each slot that structure is compared in.
        epoch: epochs done.
        elapsed_s: time spent in them [s].
    """

    def __init__(
        self, pupil: Pupil, teacher: EntityPolicy, settings: AlignSettings, run_directory: Path
    ) -> None:
        """Finds the subspaces; touches no file."""
        student, lessons, unseen = pupil
        if not isinstance(student.eyes, FrozenEyes):
            raise SettingsError("student: its eyes learn; name a backbone")
        self.lessons, self.unseen, self.settings = lessons, unseen, settings
        self.teacher, self.student, self.eyes = teacher, student, student.eyes
        self.run_directory = run_directory
        student.requires_grad_(False)
        student.adapters.requires_grad_(True)
        self.parameters = list(student.adapters.parameters())
        self.optimizer = torch.optim.AdamW(
            self.parameters, settings.learning_rate, weight_decay=settings.weight_decay
        )
        slots = lessons.slots[:3]
        self.centres = [slot.mean(0) * float(settings.centred) for slot in slots]
        self.bases = [
            slot_basis(slot - centre, settings)
            for slot, centre in zip(slots, self.centres, strict=True)
        ]
        self.epoch, self.elapsed_s = 0, 0.0
        self.folder = LessonFolder(
            run_directory, student, self.optimizer, settings.checkpoint_every_s
        )

    def learn(self) -> dict[str, float]:
        """Goes through all frames once, in an order of the epoch's own; returns its figures."""
        settings, started = self.settings, time.perf_counter()
        seed = 1_000_003 * settings.seed + self.epoch
        order = torch.randperm(self.lessons.count, generator=torch.Generator().manual_seed(seed))
        # Whole minibatches where there is one: structure depends on how many rows it compares.
        most = max(1, len(order) // settings.minibatch) * settings.minibatch
        batches = order[:most].split(settings.minibatch)
        told = []
        for number, rows in enumerate(batches):
            done = (self.epoch + number / len(batches)) / settings.epochs
            for group in self.optimizer.param_groups:
                group["lr"] = settings.learning_rate * half_cosine(done)
            loss, figures = self._loss(self.lessons, rows)
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
            self.optimizer.step()
            told.append(figures)
        learned = dict(zip(_FIGURES, torch.stack(told).mean(0).tolist(), strict=True))
        if not math.isfinite(learned["loss"]):
            raise FloatingPointError(
                f"{self.run_directory}: epoch {self.epoch + 1}: the loss is {learned['loss']}; "
                "align anew with a lower learning_rate"
            )
        unseen = self.measure()
        duration = time.perf_counter() - started
        self.epoch += 1
        self.elapsed_s += duration
        return {
            "iteration": self.epoch,
            "samples": self.epoch * self.lessons.count,
            "samples_per_s": len(order) / duration,
            "elapsed_s": self.elapsed_s,
            **learned,
            **unseen,
        }

    @torch.no_grad()
    def measure(self) -> dict[str, float]:
        """Figures on frames that are not learned from, by name with "unseen/" before it."""
        size = self.settings.minibatch
        batches = torch.arange(self.unseen.count).split(size)
        with one_torch_thread():
            told = [self._loss(self.unseen, rows)[1] * len(rows) for rows in batches]
        means = (torch.stack(told).sum(0) / self.unseen.count).tolist()
        return {f"unseen/{name}": value for name, value in zip(_FIGURES, means, strict=True)}

    def _loss(self, lessons: Lessons, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Loss of a batch, and the figures of `_FIGURES`."""
        weights, student = self.settings.losses, self.student
        given = lessons.given[rows]
        slots = Sight(*(slot[rows] for slot in lessons.slots))
        sight = student.see(self.eyes.join(lessons.read(rows), given[:, KNOWN]))
        theirs = self.teacher.distribution(lessons.numbers[rows])
        ours = student.distribution(student.respond(student.join_given(sight, given))[0])
        divergence = losses.divergence_loss(theirs, ours).mean()
        parts = zip(slots[:3], sight[:3], self.centres, self.bases, strict=True)
        structure = [
            losses.structure_loss(told_slot - centre, seen - centre, basis)
            for told_slot, seen, centre, basis in parts
        ]
        scaled = zip(student.scaled(slots), student.scaled(sight), strict=True)
        *errors, lane = (losses.slot_loss(a, b).mean() for a, b in scaled)
        slot_error = torch.stack(errors).mean()
        loss = weights.divergence * divergence + weights.structure * sum(structure)
        loss = loss + weights.slots * slot_error + weights.lane * lane
        agrees = (ours.mode() == theirs.mode()).float().mean()
        told = torch.stack([loss, divergence, *structure, slot_error, lane, agrees]).detach()
        return loss, told

    # Beginning, saving and going on.

    def begin(self) -> None:
        """Starts a run in an empty directory."""
        refuse_begun(self.run_directory)
        self.student.inherit(self.teacher, self.lessons.shown)
        mean, spread = self.lessons.features.spread()
        self.eyes.get_buffer("mean").copy_(mean)
        self.eyes.get_buffer("scale").copy_(
            spread.clamp(min=max(LEAST_SPREAD * float(spread.mean()), 1e-6))
        )
        self.folder.begin(
            {
                "align": plain(self.settings),
                "frames": self.lessons.count,
                "parameters": sum(p.numel() for p in self.parameters),
                "ranks": self.ranks,
            }
        )

    def resume(self) -> None:
        """Goes on from the newest state that is whole, exactly."""
        facts = self.folder.resume(self.settings, CHANGEABLE)
        if facts["frames"] != self.lessons.count:
            refuse_changed(self.run_directory, ["number of frames"])
        self.epoch, self.elapsed_s = facts["iteration"], facts["elapsed_s"]

    def save_if_due(self) -> None:
        """Saves if the last time is `checkpoint_every_s` ago."""
        if self.folder.is_due:
            self.save()

    def save(self) -> None:
        """Writes the state of the lessons, and the student as it is now."""
        settings = plain(self.settings)
        counts = {"frames": self.lessons.count}
        facts = {**counts, "elapsed_s": self.elapsed_s, "settings": settings}
        self.folder.save(self.epoch, facts, {"align": settings, **counts, "ranks": self.ranks})

    @property
    def ranks(self) -> dict[str, int]:
        """How many directions of each slot structure is compared in: k."""
        return {name: basis.shape[1] for name, basis in zip(SLOTS, self.bases, strict=True)}

    def report(self, figures: dict[str, float]) -> dict[str, Any]:
        """Writes and returns what align.json holds."""
        facts = {
            "policy": str(self.run_directory / POLICY_FILE),
            "frames": self.lessons.count,
            "unseen_frames": self.unseen.count,
            "epochs": self.epoch,
            "seconds": round(self.elapsed_s, 1),
            "ranks": self.ranks,
            "figures": {k: v for k, v in figures.items() if k in _FIGURES or k[:7] == "unseen/"},
        }
        with replacing(self.run_directory / REPORT_FILE) as beside:
            beside.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
        return facts


_FIGURES = ("loss", "divergence", *(f"structure/{name}" for name in SLOTS), "slots", "lane",
            "agreement")  # fmt: skip
"""What a batch tells of itself."""


def slot_basis(slot: Tensor, settings: AlignSettings) -> Tensor:
    """Directions of a slot that structure is compared in: (width, k), strongest first.

    Args:
        slot: (frames, width) of the teacher.
        settings: energy and rank.
    """
    count = losses.energy_basis(slot, settings.energy).shape[1]
    wanted = min(slot.shape[1], max(1, round(settings.rank * count)))
    return losses.energy_basis(slot, 1.0 if wanted != count else settings.energy)[:, :wanted]

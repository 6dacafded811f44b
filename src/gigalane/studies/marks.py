"""The folder of a run: policies at marks, their cost and scores; see `gigalane.studies.study`.

Every file appears whole or not at all, so a run can be killed at any time.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gigalane.core.files import replacing
from gigalane.core.settings import SettingsError
from gigalane.policies.actor_critic import AnyPolicy
from gigalane.policies.checkpoint import read_policy_metadata, save_policy
from gigalane.policies.policy import PolicyError
from gigalane.studies.study import Budget, Trial, described

MARKS_FILE = "marks.json"
FORMAT, VERSION = "gigalane-study-run", 1


@dataclass(frozen=True)
class Spent:
    """What a run has cost so far.

    Attributes:
        samples: transitions offered to the learner.
        cpu_seconds: CPU time [s].
    """

    samples: int = 0
    cpu_seconds: float = 0.0


@dataclass(frozen=True)
class Mark:
    """A policy that was kept.

    Attributes:
        measure: "samples" or "cpu".
        share: of the budget by that measure.
        samples: spent by then.
        cpu_seconds: spent by then [s].
        policy: name of the file in the run's folder; marks reached at once share one.
    """

    measure: str
    share: float
    samples: int
    cpu_seconds: float
    policy: str

    @property
    def name(self) -> str:
        """Measure and share."""
        return f"{self.measure}-{self.share:g}"


class Run:
    """The folder of one run, to write to and to read from.

    A script that learns in a way of its own writes one like this::

        run = Run.begin(folder, "shac", seed, settings)
        while budget.done(spent.samples, spent.cpu_seconds) < 1:
            …                                    # learn; count samples and process_time
            run.keep(policy, spent, budget, marks)
        run.finish(spent)

    Attributes:
        folder: where it is.
        arm: name of the arm.
        seed: of the run.
        settings: of the run, as JSON holds them.
        spent: what the run has cost as far as the file knows.
        stages: what had been spent at the end of each finished stage.
        marks: policies kept so far.
        complete: whether the run is over.
    """

    def __init__(self, folder: Path, arm: str, seed: int, settings: Any) -> None:  # noqa: ANN401
        """Describes an empty run; touches no file."""
        self.folder, self.arm, self.seed, self.settings = folder, arm, seed, settings
        self.spent = Spent()
        self.stages: list[Spent] = []
        self.marks: list[Mark] = []
        self.complete = False

    @classmethod
    def begin(cls, folder: Path, arm: str, seed: int, settings: Any) -> Run:  # noqa: ANN401
        """Makes the folder of a new run."""
        run = cls(folder, arm, seed, settings)
        folder.mkdir(parents=True, exist_ok=True)
        run._write()
        return run

    @classmethod
    def read(cls, folder: Path) -> Run:
        """Reads a run.

        Raises:
            SettingsError: it holds none, or one that is damaged: also where a policy that it
                names is missing or not whole.
        """
        path = folder / MARKS_FILE
        try:
            facts = json.loads(path.read_text(encoding="utf-8"))
            if facts["format"] != FORMAT or facts["version"] != VERSION:
                raise ValueError(f"is not a {FORMAT} of version {VERSION}")
            run = cls(folder, facts["arm"], int(facts["seed"]), facts["settings"])
            run.spent = Spent(**facts["spent"])
            run.stages = [Spent(**stage) for stage in facts["stages"]]
            run.marks = [Mark(**mark) for mark in facts["marks"]]
            run.complete = bool(facts["complete"])
            for file in {mark.policy for mark in run.marks}:
                read_policy_metadata(folder / file)  # reads all of it, and checks its sum
        except (OSError, ValueError, KeyError, TypeError, PolicyError) as error:
            reason = " ".join(str(error).split())
            raise SettingsError(f"{path}: cannot be used ({reason}); run it again") from error
        return run

    def keep(
        self, policy: AnyPolicy, spent: Spent, budget: Budget, shares: Sequence[float]
    ) -> list[Mark]:
        """Keeps the policy for every mark that was reached and is not kept yet.

        Args:
            policy: as it is now.
            spent: by now.
            budget: of the run.
            shares: the marks.

        Returns:
            The marks that were new.
        """
        have = {mark.name for mark in self.marks}
        file = f"at-{spent.samples:012d}-samples.safetensors"
        new = []
        for measure in budget.measures:
            done = budget.share(measure, spent.samples, spent.cpu_seconds)
            for share in shares:
                mark = Mark(measure, share, spent.samples, spent.cpu_seconds, file)
                if mark.name not in have and done >= share:
                    new.append(mark)
        if new:
            save_policy(policy, self.folder / file, metadata=self._facts_of(spent))
            self.marks += new
            self.spent = spent
            self._write()
        return new

    def forget_after(self, samples: int) -> None:
        """Drops marks taken later: the run goes on from a state saved before them."""
        kept = [mark for mark in self.marks if mark.samples <= samples]
        if len(kept) < len(self.marks):
            self.marks = kept
            self._write()

    def finish_stage(self, spent: Spent) -> None:
        """Notes that a stage is over."""
        self.stages.append(spent)
        self.spent = spent
        self._write()

    def finish(self, spent: Spent) -> None:
        """Notes that the run is over."""
        self.spent, self.complete = spent, True
        self._write()

    def _facts_of(self, spent: Spent) -> Mapping[str, Any]:
        return {"arm": self.arm, "seed": self.seed, **asdict(spent)}

    def _write(self) -> None:
        facts = {
            "format": FORMAT,
            "version": VERSION,
            "arm": self.arm,
            "seed": self.seed,
            "complete": self.complete,
            "spent": asdict(self.spent),
            "stages": [asdict(stage) for stage in self.stages],
            "marks": [asdict(mark) for mark in self.marks],
            "settings": self.settings,
        }
        with replacing(self.folder / MARKS_FILE) as beside:
            beside.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")


def run_folder(out: Path, arm: str, seed: int) -> Path:
    """Where a run lies in the folder of a study."""
    return out / "runs" / arm / f"seed-{seed}"


def measured(trial: Trial, marks: Sequence[Mark]) -> list[Mark]:
    """The marks that a trial measures."""
    return [mark for mark in marks if trial.every_mark or mark.share == 1.0]


def read_evaluation(trial: Trial, mark: Mark, run: Run) -> dict[str, Any] | None:
    """The evaluation of a mark, where it is there, whole, and of this policy and trial."""
    try:
        facts = json.loads(_evaluation_file(trial, mark, run).read_text(encoding="utf-8"))
        return facts if facts["digest"] == _digest(trial, mark, run) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_evaluation(trial: Trial, mark: Mark, run: Run, figures: Mapping[str, Any]) -> None:
    """Writes what a trial found of the policy of a mark.

    Args:
        trial: what it was measured on.
        mark: which policy.
        run: whose.
        figures: as `gigalane.evals.evaluate.Evaluation.as_json` gives them.
    """
    path = _evaluation_file(trial, mark, run)
    path.parent.mkdir(exist_ok=True)
    text = json.dumps({"digest": _digest(trial, mark, run), **figures}, indent=2)
    with replacing(path) as beside:
        beside.write_text(text + "\n", encoding="utf-8")


def _evaluation_file(trial: Trial, mark: Mark, run: Run) -> Path:
    return run.folder / "evaluations" / f"{Path(mark.policy).stem}--{trial.name}.json"


def _digest(trial: Trial, mark: Mark, run: Run) -> str:
    """Of the policy's file and the trial's settings."""
    digest = hashlib.sha256((run.folder / mark.policy).read_bytes())
    digest.update(json.dumps(described(trial), sort_keys=True).encode())
    return digest.hexdigest()

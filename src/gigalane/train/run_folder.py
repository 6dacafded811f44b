"""The folder of a run: what it is begun with, what is saved of what learns, and how it goes on."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gigalane.core.files import replacing
from gigalane.core.settings import differences, rebuild
from gigalane.policies.actor_critic import AnyPolicy
from gigalane.policies.checkpoint import (
    load_training_state,
    save_policy,
    save_training_state,
    training_states,
)
from gigalane.policies.policy import PolicyError

POLICY_FILE = "policy.safetensors"
SETTINGS_FILE = "settings.json"


def refuse_begun(folder: Path) -> None:
    """Refuses to begin a run where one lies.

    Raises:
        PolicyError: the folder holds a training state.
    """
    if training_states(folder):
        reason = "already holds a run; resume it, or name another directory"
        raise PolicyError(str(folder), "", reason)


def changed_settings(
    settings: Any,  # noqa: ANN401
    saved: Mapping[str, Any],
    changeable: Collection[str],
    place: str,
) -> list[str]:
    """Names of settings that differ from those of a run and may not, such as "ppo.minibatch".

    Args:
        settings: those of now.
        saved: those of the run, as `plain` gave them; one that was not there yet had its default.
        changeable: names of those that may differ.
        place: file and name of what was saved, for errors.

    Raises:
        SettingsError: see `rebuild`.
    """
    then = rebuild(type(settings), saved, place)
    names = {name.replace("-", "_") for name in differences(then, settings)}
    return sorted(names - set(changeable))


def refuse_changed(folder: Path, changed: Sequence[str]) -> None:
    """Refuses to go on with other settings.

    Args:
        folder: of the run.
        changed: names of what differs and may not.

    Raises:
        PolicyError: something does.
    """
    if changed:
        reason = f"was made with another {', '.join(changed)}; use those of {SETTINGS_FILE}"
        raise PolicyError(str(folder), "settings", reason)


def learned_from(folder: Path, unit: str) -> int:
    """How much the newest state of a run has learned from; 0 where there is no run.

    Args:
        folder: of the run.
        unit: what its state counts: "samples" or "frames".

    Raises:
        PolicyError: no state is whole.
    """
    return load_training_state(folder)[1][unit] if training_states(folder) else 0


def learning_tensors(policy: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Weights and moments, by the names they have in a training state."""
    tensors = {f"policy/{name}": tensor for name, tensor in policy.state_dict().items()}
    for index, moments in optimizer.state_dict()["state"].items():
        tensors |= {f"adam/{index}/{name}": tensor for name, tensor in moments.items()}
    return tensors


def restore_learning(
    tensors: Mapping[str, Tensor], policy: nn.Module, optimizer: torch.optim.Optimizer
) -> None:
    """Puts weights and moments back where `learning_tensors` took them.

    Raises:
        KeyError, RuntimeError, ValueError: they are of another policy.
    """
    weights = {}
    state = optimizer.state_dict()
    for name, tensor in tensors.items():
        group, rest = name.split("/", 1)
        if group == "policy":
            weights[rest] = tensor
        elif group == "adam":
            index, moment = rest.split("/")
            state["state"].setdefault(int(index), {})[moment] = tensor
    policy.load_state_dict(weights)
    optimizer.load_state_dict(state)


def half_cosine(done: float) -> float:
    """Share of the learning rate when so much of a run is done: 1 at 0, 0 from 1 on."""
    return 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


def plain(settings: Any) -> dict[str, Any]:  # noqa: ANN401
    """A dataclass as JSON would give it back (tuples are lists)."""
    return json.loads(json.dumps(asdict(settings)))


class LessonFolder:
    """The folder of a run in which a student is taught.

    Attributes:
        folder: where it is.
        student: what learns.
        optimizer: over what of it learns.
        every_s: longest time between two saved states [s].
    """

    def __init__(
        self, folder: Path, student: AnyPolicy, optimizer: torch.optim.Optimizer, every_s: float
    ) -> None:
        """Touches no file."""
        self.folder, self.student, self.optimizer = folder, student, optimizer
        self.every_s = every_s
        self._saved_at = time.monotonic()

    def begin(self, facts: Mapping[str, Any]) -> None:
        """Writes settings.json."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with replacing(self.folder / SETTINGS_FILE) as beside:
            beside.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")

    def resume(self, settings: Any, changeable: Collection[str]) -> dict[str, Any]:  # noqa: ANN401
        """Takes student and optimiser from the newest state that is whole.

        Args:
            settings: the lessons' now.
            changeable: names of those that may differ.

        Returns:
            What else the state holds: "iteration", "elapsed_s" and what `save` was given.

        Raises:
            PolicyError: there is no whole state, or it is of other settings or another student.
        """
        tensors, facts, _ = load_training_state(self.folder)
        place = f"{self.folder}, settings"
        changed = changed_settings(settings, facts["settings"], changeable, place)
        refuse_changed(self.folder, changed)
        try:
            restore_learning(tensors, self.student, self.optimizer)
        except (KeyError, RuntimeError, ValueError) as error:
            reason = f"does not fit this student ({str(error).splitlines()[0]}); use the same"
            raise PolicyError(str(self.folder), "state", reason) from error
        return facts

    @property
    def is_due(self) -> bool:
        """Whether the last state was saved `every_s` ago."""
        return time.monotonic() - self._saved_at >= self.every_s

    def save(self, iteration: int, facts: Mapping[str, Any], metadata: Mapping[str, Any]) -> None:
        """Writes the state of the lessons, and the student as it is now.

        Args:
            iteration: iterations done.
            facts: what `resume` is to give back; with "settings" and "elapsed_s".
            metadata: of the policy's file.
        """
        tensors = learning_tensors(self.student, self.optimizer)
        save_training_state(self.folder, iteration, tensors, facts)
        save_policy(self.student, self.folder / POLICY_FILE, metadata=metadata)
        self._saved_at = time.monotonic()

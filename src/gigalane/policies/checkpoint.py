"""Policies and training states as files: safetensors with JSON facts, never pickle.

A policy file holds the weights and everything needed to drive with them. A training state
holds all that training needs to go on as if it had never stopped. Both are written beside
their place first and then renamed, so a file of that name is always whole.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from gigalane.core.settings import rebuild
from gigalane.networks.backbones import BackboneError
from gigalane.networks.birdview import BirdviewLayout
from gigalane.networks.camera_rows import CameraLayout
from gigalane.policies.actor_critic import AnyPolicy
from gigalane.policies.camera import CameraPolicy, CameraSettings
from gigalane.policies.coach import CoachPolicy, CoachSettings
from gigalane.policies.entity import EntityPolicy, EntitySettings
from gigalane.policies.policy import PolicyError
from gigalane.render.camera import rebuild_rig
from gigalane.sim.control import ActionSpace
from gigalane.sim.layout import ObservationLayout

POLICY_FORMAT, POLICY_VERSION = "gigalane-policy", 1
STATE_FORMAT, STATE_VERSION = "gigalane-training-state", 1
ENTITY, COACH, CAMERA = "entity", "coach", "camera"
"""Kinds of policies; a file that names none holds an entity policy."""
STATES_KEPT = 2
"""Training states kept in a directory: when the newest is damaged the one before serves."""


def save_policy(
    policy: AnyPolicy,
    path: str | os.PathLike[str],
    precision: Literal["fp16", "fp32"] = "fp16",
    metadata: Mapping[str, Any] | None = None,
) -> None:
    """Writes a policy.

    Args:
        policy: what to write.
        path: the file, usually `….safetensors`.
        precision: of the weights in the file; fp16 halves it.
        metadata: anything JSON can hold: recipe, seed, samples, scores.
    """
    dtype = torch.float16 if precision == "fp16" else torch.float32
    tensors = {name: t.to(dtype).cpu().contiguous() for name, t in policy.state_dict().items()}
    facts = {
        "kind": _kind_of(policy),
        "layout": asdict(policy.layout),
        "action_space": asdict(policy.action_space),
        "settings": asdict(policy.settings),
        "metadata": dict(metadata or {}),
    }
    _write(Path(path), POLICY_FORMAT, POLICY_VERSION, tensors, facts)


def load_policy(path: str | os.PathLike[str]) -> AnyPolicy:
    """Reads a policy of whichever kind the file holds; weights become float32.

    Args:
        path: a file that `save_policy` wrote.

    Returns:
        The policy, on the CPU.

    Raises:
        PolicyError: the file is missing, damaged, of another kind or version, or its weights
            do not fit the sizes it states.
    """
    tensors, facts = _read(Path(path), POLICY_FORMAT, POLICY_VERSION)
    try:
        policy = _built(facts, str(path))
    except BackboneError as error:
        raise PolicyError(str(path), "", str(error)) from error
    except (KeyError, TypeError, ValueError) as error:
        cure = "it was made by another version of gigalane; save the policy again with this one"
        raise PolicyError(str(path), "header", f"cannot read {error}; {cure}") from error
    expected = {name: tuple(tensor.shape) for name, tensor in policy.state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    for name in sorted(expected.keys() | found.keys()):
        if expected.get(name) != found.get(name):
            sizes = f"has shape {found.get(name)} where its header asks for {expected.get(name)}"
            raise PolicyError(str(path), name, f"{sizes}; save the policy again")
    policy.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
    return policy


def _built(facts: Mapping[str, Any], path: str) -> AnyPolicy:
    """An untaught policy of the kind and the sizes that a header states.

    Raises:
        KeyError, TypeError, ValueError: the header states none.
    """
    space = rebuild(ActionSpace, facts["action_space"], f"{path}, action_space")
    kind = facts.get("kind", ENTITY)
    if kind == ENTITY:
        layout = rebuild(ObservationLayout, facts["layout"], f"{path}, layout")
        settings = rebuild(EntitySettings, facts["settings"], f"{path}, settings")
        return EntityPolicy(layout, space, settings)
    if kind == COACH:
        layout = rebuild(BirdviewLayout, facts["layout"], f"{path}, layout")
        settings = rebuild(CoachSettings, facts["settings"], f"{path}, settings")
        return CoachPolicy(layout, space, settings)
    if kind == CAMERA:
        parts = dict(facts["layout"])
        rig = rebuild_rig(parts.pop("rig"), f"{path}, rig")
        layout = CameraLayout(rig, **parts)
        settings = rebuild(CameraSettings, facts["settings"], f"{path}, settings")
        return CameraPolicy(layout, space, settings)
    raise ValueError(f"kind {kind!r}")


def _kind_of(policy: AnyPolicy) -> str:
    """How a header names a policy's kind."""
    if isinstance(policy, CameraPolicy):
        return CAMERA
    return COACH if isinstance(policy, CoachPolicy) else ENTITY


def read_policy_metadata(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Reads the free metadata of a policy file; raises `PolicyError` as `load_policy` does."""
    return _read(Path(path), POLICY_FORMAT, POLICY_VERSION)[1].get("metadata", {})


def save_training_state(
    directory: str | os.PathLike[str],
    iteration: int,
    tensors: Mapping[str, Tensor],
    facts: Mapping[str, Any],
    rank: int = 0,
) -> Path:
    """Writes a training state; removes all but the last two, and what a killed run half wrote.

    Args:
        directory: the run's directory; made if missing.
        iteration: iterations done; newer states have larger numbers.
        tensors: weights, moments, random positions, the world.
        facts: anything JSON can hold: counts, schedule, settings.
        rank: of several processes each writes a file of its own; the first one's is the state
            that others are parts of.

    Returns:
        The file written.
    """
    path = Path(directory) / f"state-{iteration:08d}{_part(rank)}.safetensors"
    cpu = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    _write(path, STATE_FORMAT, STATE_VERSION, cpu, {**facts, "iteration": iteration})
    half_written = Path(directory).glob(f".state-????????{_part(rank)}.safetensors.*.part")
    half_policies = Path(directory).glob(".policy.safetensors.*.part") if rank == 0 else ()
    old_states = training_states(directory, rank)[STATES_KEPT:]
    for old in (*old_states, *half_written, *half_policies):
        old.unlink(missing_ok=True)
    return path


def training_states(directory: str | os.PathLike[str], rank: int = 0) -> list[Path]:
    """Files of the training states in `directory` that a rank wrote, newest first."""
    return sorted(Path(directory).glob(f"state-????????{_part(rank)}.safetensors"), reverse=True)


def _part(rank: int) -> str:
    """What the name of a rank's file has more than the first one's."""
    return f".rank{rank:04d}" if rank else ""


def load_training_state(
    directory: str | os.PathLike[str], rank: int = 0, iteration: int | None = None
) -> tuple[dict[str, Tensor], dict[str, Any], list[str]]:
    """Reads the newest training state that is whole.

    Args:
        directory: the run's directory.
        rank: whose file.
        iteration: take the state of that iteration and no other.

    Returns:
        Tensors and facts as they were saved (with "iteration"), and a sentence for each newer
        state that could not be used.

    Raises:
        PolicyError: there is no state, or none is whole.
    """
    refused: list[str] = []
    for path in training_states(directory, rank):
        if iteration is not None and not path.name.startswith(f"state-{iteration:08d}"):
            continue
        try:
            return *_read(path, STATE_FORMAT, STATE_VERSION), refused
        except PolicyError as error:
            refused.append(str(error))
    if refused:
        reason = f"no training state is whole ({refused[0]}); start anew in another directory"
    else:
        whose = f" of rank {rank}" if rank else ""
        reason = f"holds no training state{whose}; start anew, or name the run's directory"
    raise PolicyError(str(directory), "", reason)


def _write(
    path: Path, kind: str, version: int, tensors: dict[str, Tensor], facts: Mapping[str, Any]
) -> None:
    """Writes beside `path`, then renames: whoever reads `path` finds it whole or not at all."""
    header = {
        "format": kind,
        "version": str(version),
        "sha256": _digest(tensors),
        "facts": json.dumps(facts),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with beside.open("wb") as file:
            file.write(save(tensors, header))
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)
    if os.name == "posix":  # the new name itself must reach the disk too
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


def _read(path: Path, kind: str, version: int) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Reads and checks a file that `_write` wrote."""
    if not path.is_file():
        raise PolicyError(str(path), "", "there is no such file; check the path")
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        reason = f"is not a whole safetensors file ({error}); copy or save it again"
        raise PolicyError(str(path), "", reason) from error
    if header.get("format") != kind:
        raise PolicyError(str(path), "header", f"is not a {kind} file; name one that is")
    if header.get("version") != str(version):
        found = header.get("version")
        reason = f"is version {found}, this gigalane reads {version}; use the one that wrote it"
        raise PolicyError(str(path), "header", reason)
    if header.get("sha256") != _digest(tensors):
        raise PolicyError(str(path), "weights", "are damaged; copy or save the file again")
    try:
        return tensors, json.loads(header["facts"])
    except (KeyError, json.JSONDecodeError) as error:
        raise PolicyError(str(path), "header", "is damaged; save the file again") from error


def _digest(tensors: Mapping[str, Tensor]) -> str:
    """Checksum over names, shapes and numbers, in the order of the names."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()

"""Who can be named on the command line: the shipped policy, scripts, and policy files."""

from __future__ import annotations

from importlib.resources import as_file, files
from pathlib import Path

from gigalane.policies.actor_critic import AnyPolicy
from gigalane.policies.camera import CameraPolicy
from gigalane.policies.checkpoint import load_policy
from gigalane.policies.entity import EntityPolicy
from gigalane.policies.policy import PolicyError
from gigalane.sim.settings import SCRIPT_NAMES, ScriptName

SHIPPED = ("default", "default-camera", "default-coach")
"""The driver that is shown the state of the world, the one that looks through cameras, and the
coach that looks from above."""


def load_default() -> EntityPolicy:
    """The driver that ships with gigalane.

    Raises:
        PolicyError: if this installation holds none.
    """
    policy = _load_shipped("default")
    assert isinstance(policy, EntityPolicy)
    return policy


def load_default_camera() -> CameraPolicy:
    """The camera driver that ships with gigalane.

    Raises:
        PolicyError: if this installation holds none.
    """
    policy = _load_shipped("default-camera")
    assert isinstance(policy, CameraPolicy)
    return policy


def _load_shipped(name: str) -> AnyPolicy:
    """A policy of the package's own files."""
    resource = files("gigalane.policies").joinpath("weights", f"{name}.safetensors")
    with as_file(resource) as path:
        if not path.is_file():
            raise PolicyError(name, "", "this installation holds no such policy; give a file")
        return load_policy(path)


def open_subject(name: str) -> AnyPolicy | ScriptName:
    """A policy or a script by the name a person gives it.

    Args:
        name: one of `SHIPPED`, a script's name, or a policy file.

    Raises:
        PolicyError: if it is neither.
    """
    if name in SHIPPED:
        return _load_shipped(name)
    for script in SCRIPT_NAMES:
        if name.replace("-", "_") == script:
            return script
    if not Path(name).exists():
        known = ", ".join((*SHIPPED, *(script.replace("_", "-") for script in SCRIPT_NAMES)))
        raise PolicyError(name, "", f"is neither a file nor one of {known}")
    return load_policy(name)

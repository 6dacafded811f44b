"""Who can be named on the command line: the shipped policy, scripts, and policy files."""

from __future__ import annotations

from importlib.resources import as_file, files
from pathlib import Path

from gigalane.policies.checkpoint import load_policy
from gigalane.policies.entity import EntityPolicy
from gigalane.policies.policy import PolicyError
from gigalane.sim.settings import SCRIPT_NAMES, ScriptName

DEFAULT_POLICY = "default.safetensors"


def load_default() -> EntityPolicy:
    """The policy that ships with gigalane.

    Raises:
        PolicyError: if this installation holds none.
    """
    resource = files("gigalane.policies").joinpath("weights", DEFAULT_POLICY)
    with as_file(resource) as path:
        if not path.is_file():
            raise PolicyError("default", "", "this installation holds no policy; give a file")
        return load_policy(path)


def open_subject(name: str) -> EntityPolicy | ScriptName:
    """A policy or a script by the name a person gives it.

    Args:
        name: `default`, a script's name, or a policy file.

    Raises:
        PolicyError: if it is neither.
    """
    if name == "default":
        return load_default()
    for script in SCRIPT_NAMES:
        if name.replace("-", "_") == script:
            return script
    if not Path(name).exists():
        scripts = ", ".join(script.replace("_", "-") for script in SCRIPT_NAMES)
        raise PolicyError(name, "", f"is neither a file nor one of default, {scripts}")
    return load_policy(name)

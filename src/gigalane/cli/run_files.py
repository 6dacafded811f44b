"""How a command goes on with the run in a folder: what it reads there, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any, TypeVar

from gigalane.cli.errors import InputError
from gigalane.core.settings import differences, rebuild
from gigalane.policies.checkpoint import training_states
from gigalane.render.camera import Rig, load_rig, rebuild_rig

T = TypeVar("T")


def refuse_begun(folder: Path) -> None:
    """Refuses to begin a run where one lies.

    Raises:
        InputError: the folder holds a training state.
    """
    if training_states(folder):
        raise InputError(
            f"{folder}: already holds a run; go on with --resume, or name another folder"
        )


class BegunRun:
    """What a run was begun with, as its folder keeps it.

    Attributes:
        folder: where it is.
    """

    def __init__(self, folder: Path, files: Sequence[str]) -> None:
        """Looks whether there is a run.

        Args:
            folder: where it should be.
            files: names of the JSON files that every such run keeps.

        Raises:
            InputError: one of them is not there.
        """
        if not all((folder / name).is_file() for name in files):
            raise InputError(f"{folder}: holds no run to go on with; leave out --resume")
        self.folder = folder

    def part(
        self,
        file: str,
        name: str,
        form: Callable[[Any], Any] = lambda value: value,
        *,
        is_optional: bool = False,
    ) -> Any:  # noqa: ANN401
        """One part of a file.

        Args:
            file: name of the file.
            name: of the part.
            form: makes of it what is needed; a `TypeError` or `ValueError` tells that it cannot.
            is_optional: whether some runs do not have it: None stands for it there.

        Raises:
            InputError: file or part cannot be read.
        """
        path = self.folder / file
        try:
            facts = json.loads(path.read_text(encoding="utf-8"))
            return form(facts.get(name) if is_optional else facts[name])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            reason = f"cannot be read ({error}); begin a new run"
            raise InputError(f"{path}: {name}: {reason}") from error

    def settings(self, kind: type[T], file: str, name: str) -> T:
        """Settings that are one part of a file.

        Args:
            kind: their class.
            file: name of the file.
            name: of the part.

        Raises:
            InputError: file or part cannot be read.
            SettingsError: another version wrote them.
        """
        return rebuild(kind, self.part(file, name), f"{self.folder / file}, {name}")

    def rig(self, file: str) -> Rig | None:
        """The cameras that the run was begun with, if it looks through any.

        Raises:
            SettingsError: the file says no such thing.
        """
        words = self.part(file, "rig", is_optional=True)
        return rebuild_rig(words, f"{self.folder / file}, rig") if words else None

    def refuse_other_cameras(self, rig: Rig | None, asked: str) -> None:
        """Refuses to go on with other cameras; a name may have come to mean others since.

        Args:
            rig: those that the run was begun with, if it has any.
            asked: what the arguments name, or nothing.

        Raises:
            InputError: those are others.
            SettingsError: there is no such rig.
        """
        if asked and load_rig(asked) != rig:
            self.refuse_changed(["--rig"])

    def refuse_changed(self, changed: Sequence[str]) -> None:
        """Refuses to go on with other worlds, eyes or teachers.

        Args:
            changed: options that ask for others.

        Raises:
            InputError: there is one.
        """
        if changed:
            raise InputError(
                f"{self.folder}: the run has another {changed[0]}; leave it out to go on"
            )


def changed_options(saved: Any, asked: Any, names: Sequence[str]) -> list[str]:  # noqa: ANN401
    """Options in which two commands of the same kind differ.

    Args:
        saved: what the run was begun with.
        asked: what the arguments say.
        names: of the fields to compare, settings within them included.

    Returns:
        Options such as "--world.agents", in the order of `names`.
    """
    found: list[str] = []
    for name in names:
        first, second = getattr(saved, name), getattr(asked, name)
        option = "--" + name.replace("_", "-")
        if is_dataclass(first):
            found += differences(first, second, option + ".")
        elif first != second:
            found.append(option)
    return found

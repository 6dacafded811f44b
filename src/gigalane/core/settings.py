"""Errors that say what to change, and settings that come back from a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar, get_type_hints

T = TypeVar("T")


class SettingsError(ValueError):
    """A setting, or a pair of settings, that cannot be used; says which and what would do."""


class RunError(RuntimeError):
    """A run that cannot go on though its settings are sound; says what happened and what to do."""


def rebuild(kind: type[T], saved: Mapping[str, Any], place: str) -> T:
    """Makes settings from what `dataclasses.asdict` and JSON made of them.

    Args:
        kind: a dataclass whose fields are plain values, tuples of them, or such dataclasses.
        saved: values by name; where one is missing its default holds.
        place: file and name, for errors.

    Returns:
        The settings.

    Raises:
        SettingsError: there is an unknown name or a value that does not fit.
    """
    if not isinstance(saved, Mapping):
        raise SettingsError(f"{place}: is {saved!r} where settings by name are needed")
    types = get_type_hints(kind)
    names = [field.name for field in fields(kind)]  # pyright: ignore[reportArgumentType]
    unknown = sorted(saved.keys() - set(names))
    if unknown:
        raise SettingsError(f"{place}: unknown setting {unknown[0]!r}; another version wrote it")
    values = {}
    for name in names:
        if name in saved:
            value = saved[name]
            if is_dataclass(types[name]):
                value = rebuild(types[name], value, f"{place}, {name}")  # pyright: ignore[reportArgumentType]
            values[name] = _as_tuples(value)
    try:
        return kind(**values)
    except (TypeError, ValueError) as error:
        raise SettingsError(f"{place}: {error}") from error


def _as_tuples(value: Any) -> Any:  # noqa: ANN401
    """A value as it was before JSON made lists of its tuples."""
    return tuple(_as_tuples(each) for each in value) if isinstance(value, list) else value


def differences(one: Any, other: Any, prefix: str = "") -> list[str]:  # noqa: ANN401
    """Names of the settings in which two trees of the same kind differ, written as options.

    Args:
        one: a dataclass of settings.
        other: another of the same kind.
        prefix: put before each name.

    Returns:
        Names such as "spawn.car-length".
    """
    names: list[str] = []
    for field in fields(one):
        first, second = getattr(one, field.name), getattr(other, field.name)
        name = prefix + field.name.replace("_", "-")
        if is_dataclass(first):
            names += differences(first, second, name + ".")
        elif first != second:
            names.append(name)
    return names

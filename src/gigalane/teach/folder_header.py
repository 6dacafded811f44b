"""The JSON file that says what lies in a folder to learn from."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gigalane.core.settings import SettingsError


def read_header(path: Path, what: str, form: str, parts: Sequence[str]) -> dict[str, Any]:
    """Reads the header of a folder.

    Args:
        path: the file.
        what: the folder holds, for errors.
        form: what its "format" must be.
        parts: names that must be there, each with values by name.

    Returns:
        Its values by name.

    Raises:
        SettingsError: it is missing, damaged or of something else.
    """
    try:
        header = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(
            f"{path}: {error.strerror or 'cannot be read'}; name a folder of {what}"
        ) from None
    except ValueError as error:
        raise SettingsError(f"{path}: not a JSON file ({error}); write it again") from None
    if not isinstance(header, dict) or header.get("format") != form:
        raise SettingsError(f'{path}: not of {what}; it begins with "format": "{form}"')
    for name in parts:
        if not isinstance(header.get(name), dict):
            raise SettingsError(f"{path}: {name} is missing; write what docs/files.md says")
    return header

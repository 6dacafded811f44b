"""A directive that shows the fields of a settings class as a table, straight from the code.

    ```{fields} gigalane.sim.settings.SpawnSettings
    :prefix: --world.spawn.
    ```

Name, default and meaning come from the class: meanings from the `Attributes:` section of its
docstring, or from the string below a field. So the tables cannot fall behind the code.
"""

from __future__ import annotations

import ast
import dataclasses
import importlib
import inspect
import re
import textwrap
from itertools import pairwise
from typing import Any, ClassVar, get_type_hints

import tyro
from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective


def find(path: str) -> Any:  # noqa: ANN401
    """The object at a dotted path."""
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)


def meanings(settings: type) -> dict[str, str]:
    """What each field of a settings class means, by its name."""
    found: dict[str, str] = {}
    _, _, listed = (inspect.getdoc(settings) or "").partition("\nAttributes:\n")
    for entry in re.split(r"\n(?=\S)", textwrap.dedent(listed)):
        name, colon, text = entry.partition(":")
        if colon and name.isidentifier():
            found[name] = " ".join(text.split())
    body = ast.parse(textwrap.dedent(inspect.getsource(settings))).body[0]
    statements = getattr(body, "body", [])
    for field, note in pairwise(statements):
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(note, ast.Expr)
            and isinstance(note.value, ast.Constant)
        ):
            found[field.target.id] = " ".join(str(note.value.value).split())
    return found


def default_of(field: dataclasses.Field[Any]) -> str:
    """A field's default as it is written, or an empty string for another settings class."""
    if field.default is not dataclasses.MISSING:
        default = field.default
    elif field.default_factory is not dataclasses.MISSING:
        default = field.default_factory()
    else:
        return "required"
    if dataclasses.is_dataclass(default):
        return ""
    if isinstance(default, tuple):
        return ", ".join(f"{part:g}" if isinstance(part, float) else str(part) for part in default)
    if isinstance(default, float):
        return f"{default:g}"
    return "" if default is None else str(default)


def word_of(command: type, name: str, prefix: str) -> str:
    """How a command line writes a field: NAME by its place, else with dashes."""
    hint = get_type_hints(command, include_extras=True)[name]
    notes = getattr(hint, "__metadata__", ())
    if tyro.conf.Positional in notes:
        return name.upper()
    aliases = [alias for note in notes for alias in getattr(note, "aliases", None) or ()]
    return ", ".join([*aliases, prefix + name.replace("_", "-")])


class Fields(SphinxDirective):
    """`{fields} path.of.Class`: a table of its fields."""

    required_arguments = 1
    option_spec: ClassVar = {"prefix": directives.unchanged}

    def run(self) -> list[nodes.Node]:
        """Builds the table."""
        settings = find(self.arguments[0])
        prefix = self.options.get("prefix", "")
        known = meanings(settings)
        rows = []
        for field in dataclasses.fields(settings):
            default = default_of(field)
            if not default and field.name not in known:
                continue
            name = word_of(settings, field.name, prefix) if prefix else field.name
            meaning = known.get(field.name) or "–"
            rows.append((f"`{name}`", f"`{default}`" if default else "", meaning))
        return [self._table(rows)]

    def _table(self, rows: list[tuple[str, str, str]]) -> nodes.table:
        head = nodes.thead("", self._row(("name", "default", "meaning")))
        body = nodes.tbody("", *(self._row(row) for row in rows))
        widths = [nodes.colspec(colwidth=width) for width in (22, 14, 64)]
        group = nodes.tgroup("", *widths, head, body, cols=3)
        return nodes.table("", group, classes=["fields", "docutils", "align-default"])

    def _row(self, cells: tuple[str, ...]) -> nodes.row:
        entries = [nodes.entry("", *self.parse_text_to_nodes(cell)) for cell in cells]
        return nodes.row("", *entries)


def setup(app: Sphinx) -> dict[str, bool]:
    """Makes the directive known."""
    app.add_directive("fields", Fields)
    return {"parallel_read_safe": True}

"""The shape of the source: who may import whom, what the README says there is, how long files get.

The floors themselves are contracts in pyproject.toml; this runs them with the rest of the suite.
"""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "gigalane"
SOURCES = sorted(PACKAGE.rglob("*.py"))
MOST_LINES = 500
"""A file longer than this holds more than one subject. 200 is usual, 400 is long."""

ENTRY = re.compile(r"^(?P<indent> *)(?P<name>[\w./-]+) +(?P<phrase>\S.*)$")


def test_every_module_imports_only_from_its_floor_and_lower_ones():
    lint = "from importlinter.cli import lint_imports_command as lint; lint(['--no-logo'])"
    ended = subprocess.run([sys.executable, "-c", lint], cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "0 broken" in ended.stdout


def readme_tree() -> dict[str, str]:
    """Path and phrase of every entry of the README's tree; folders end in a slash."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    block = re.search(r"## What is where\n.*?```text\n(.*?)```", text, re.DOTALL)
    assert block, "the README has no tree under 'What is where'"
    entries: dict[str, str] = {}
    folders: list[tuple[int, str]] = []
    for line in block[1].splitlines():
        found = ENTRY.match(line)
        assert found, f"README tree: {line!r} is not 'name  phrase'"
        depth = len(found["indent"])
        folders = [(d, name) for d, name in folders if d < depth]
        path = "".join(name for _, name in folders) + found["name"]
        assert path not in entries, f"README tree: {path} stands there twice"
        entries[path] = found["phrase"]
        if path.endswith("/"):
            folders.append((depth, found["name"]))
    return entries


def tracked(folder: Path) -> list[str]:
    """Files below a folder that belong to the project, relative to the root."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return sorted(
        path.relative_to(ROOT).as_posix()
        for path in found
        if "__pycache__" not in path.parts and not path.name.startswith(".")
    )


def test_the_readme_tree_names_nothing_that_is_not_there():
    missing = [path for path in readme_tree() if not (ROOT / path).exists()]
    assert not missing


def test_the_readme_tree_names_every_file_of_the_package_or_its_folder():
    entries = readme_tree()
    # A folder without entries of its own stands for all that is in it.
    folders = [path for path in entries if path.endswith("/")]
    whole = tuple(f for f in folders if not any(e != f and e.startswith(f) for e in entries))
    unnamed = [
        path
        for path in tracked(PACKAGE)
        if path not in entries
        and not path.startswith(whole)
        and Path(path).name not in ("__init__.py", "py.typed")
    ]
    assert not unnamed, f"give each a phrase in the README's tree: {unnamed}"


def test_the_readme_tree_names_every_folder_of_the_project():
    entries = readme_tree()
    ignored = {line.strip("/") for line in (ROOT / ".gitignore").read_text().split()}
    folders = [
        path.name
        for path in ROOT.iterdir()
        if path.is_dir() and not path.name.startswith(".") and tracked(path)
    ]
    named = {path.split("/")[0] for path in entries}
    assert not [name for name in folders if name not in named | ignored]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_says_what_it_is_for_and_keeps_to_one_subject(path):
    text = path.read_text(encoding="utf-8")
    assert ast.get_docstring(ast.parse(text)), "a module begins with what it is for"
    assert len(text.splitlines()) <= MOST_LINES, "split it: a file has one subject"


def test_reading_a_map_waits_for_neither_torch_nor_warp():
    words = "import sys, gigalane; gigalane.load_map; print(*sys.modules)"
    ended = subprocess.run(
        [sys.executable, "-c", words], capture_output=True, text=True, check=True
    )
    assert not {"torch", "warp"} & set(ended.stdout.split())


def test_every_public_name_can_be_had_from_the_top():
    words = "import gigalane; [getattr(gigalane, name) for name in gigalane.__all__]"
    ended = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr


def test_nothing_of_ours_is_ever_unpickled():
    callers = [
        str(path.relative_to(ROOT))
        for path in SOURCES
        if re.search(r"\bimport pickle|torch\.load\(|allow_pickle=True", path.read_text())
    ]
    assert not callers


def test_the_version_stands_in_one_piece():
    import gigalane

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == gigalane.__version__


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_links_between_pages_lead_somewhere(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text)
    inside = [target for target in targets if "://" not in target and "mailto:" not in target]
    assert not [target for target in inside if not (ROOT / target).exists()]

"""Runs every example as a person would, only shorter: nothing shows a window or needs a network."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))
SHORTER = {
    "02_step_a_simulator": "steps=5",
    "03_write_a_driver": "steps=100",
    "04_fork_worlds": "steps=2",
    "05_train_a_driver": "samples=4000, worlds=8, episodes=20",
    "06_record_and_replay": "steps=10",
}
"""Arguments of an example's `main`."""
MOST_LINES = 80


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs_and_prints(example, tmp_path):
    words = f"""
import importlib.util
spec = importlib.util.spec_from_file_location("example", {str(example)!r})
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
module.main({SHORTER.get(example.stem, "")})
"""
    ended = subprocess.run(
        [sys.executable, "-c", words], cwd=tmp_path, capture_output=True, text=True,
        env={**os.environ, "COLUMNS": "200"}, timeout=300,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.strip()
    pages = [page.read_text(encoding="utf-8")[:100].lower() for page in tmp_path.glob("*.html")]
    assert len(pages) == ("replay" in example.stem)
    assert all("<!doctype html>" in page for page in pages)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_numbered_short_and_says_how_to_run_it(example):
    text = example.read_text()
    assert example.stem[:2].isdigit()
    assert len(text.splitlines()) <= MOST_LINES
    assert f"python examples/{example.name}" in text.split('"""')[1]

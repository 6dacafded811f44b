"""What the documentation says in tables is what the code does."""

import importlib
import re
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from gigalane.cli.main import COMMANDS
from gigalane.evals.suites import SUITES
from gigalane.metrics.episodes import EPISODE
from gigalane.metrics.summary import summarize
from gigalane.sim.control import ACTION_SPACES
from gigalane.sim.events import EVENT_NAMES
from gigalane.sim.layout import CONTROL_FEATURES, PARTNER_FEATURES, ROAD_FEATURES
from gigalane.sim.reward import REWARD_NAMES
from gigalane.sim.settings import GIVEN_FEATURES, PERSONA_NAMES, SimulatorSettings
from gigalane.teach.comparison import LossWeights

DOCS = Path(__file__).parents[1] / "docs"
PAGES = sorted(DOCS.glob("*.md"))


def section(page: str, heading: str) -> str:
    """The text below a heading, up to the next one."""
    text = (DOCS / page).read_text(encoding="utf-8")
    _, found, rest = text.partition(f"\n## {heading}")
    assert found, f"{page} has no section {heading!r}"
    return rest.split("\n## ")[0]


def first_column(text: str) -> list[str]:
    """First cells of a table's rows, without its head."""
    rows = [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("|")]
    return rows[2:]


def numbers(cells: list[str]) -> list[int]:
    """Indices that cells such as "3", "8–10" and "0, 1" stand for."""
    found: list[int] = []
    for cell in cells:
        for part in cell.split(","):
            first, _, last = part.strip().partition("–")
            found += range(int(first), int(last or first) + 1)
    return found


@pytest.mark.parametrize(
    ("heading", "count"),
    [
        ("`given`", GIVEN_FEATURES),
        ("`road`", ROAD_FEATURES),
        ("`partners`", PARTNER_FEATURES),
        ("`controls`", CONTROL_FEATURES),
    ],
)
def test_every_number_of_an_observation_is_listed_once(heading, count):
    assert numbers(first_column(section("observation.md", heading))) == list(range(count))


def test_the_size_of_a_row_is_the_one_stated():
    layout = SimulatorSettings().layout(48)
    text = (DOCS / "observation.md").read_text(encoding="utf-8")
    assert f"{layout.given} + 48 x {ROAD_FEATURES} + 16 x {PARTNER_FEATURES}" in text
    assert f"{layout.width} with the padding" in text


def test_the_persona_is_listed_in_the_order_of_the_code():
    text = section("observation.md", "`given`")
    listed = re.findall(r"`(\w+)`", text.partition("in this order:")[2])
    assert tuple(listed) == PERSONA_NAMES


def test_every_event_is_explained():
    listed = [cell.strip("`") for cell in first_column(section("concepts.md", "Events"))]
    assert tuple(listed) == EVENT_NAMES


def test_every_reward_term_is_explained():
    listed = [cell.strip("`") for cell in first_column(section("simulator.md", "Rewards"))]
    assert tuple(listed) == REWARD_NAMES


def test_every_kind_of_action_is_explained():
    listed = [cell.strip("`") for cell in first_column(section("simulator.md", "Actions"))]
    assert listed == list(ACTION_SPACES)


def test_every_command_has_its_section():
    text = (DOCS / "commands.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## `gigalane (\w+)", text, re.MULTILINE)
    assert tuple(dict.fromkeys(headings)) == COMMANDS


def test_every_loss_of_a_student_is_explained_with_its_weight():
    cells = re.findall(r"^\| `(\w+)` \|.*\| ([\d.]+)[^|]*\|$",
                       section("students.md", "Distillation"), re.MULTILINE)  # fmt: skip
    assert {name: float(weight) for name, weight in cells} == asdict(LossWeights())


def test_every_suite_is_listed():
    listed = [cell.strip("`") for cell in first_column(section("evaluation.md", "Suites"))]
    assert listed == list(SUITES)


def test_every_figure_of_an_evaluation_is_explained():
    episode = np.zeros(1, EPISODE)
    episode["metres"], episode["collided"] = 100.0, True
    listed = re.findall(r"`(\w+)`", "".join(first_column(section("evaluation.md", "Figures"))))
    assert set(listed) == set(summarize(episode))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_shows_only_settings_and_pages_that_exist(page):
    text = page.read_text(encoding="utf-8")
    for path in re.findall(r"^```\{fields\} (\S+)", text, re.MULTILINE):
        module, _, name = path.rpartition(".")
        assert hasattr(importlib.import_module(module), name), path
    for target in re.findall(r"\]\(([^):#\s]+)\)", text):
        assert (DOCS / target).exists(), target

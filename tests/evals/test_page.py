import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from gigalane.evals.evaluate import evaluate
from gigalane.evals.page import write_report
from gigalane.evals.report import COLUMNS, in_words
from gigalane.viewer.map_picture import draw_map


@pytest.fixture(scope="module")
def found(ring_road, few):
    settings = replace(few, episodes=120)
    return [
        evaluate(name, script, [ring_road], settings)
        for name, script in (("idm", "idm"), ("<b>straight on</b>", "constant_velocity"))
    ]


@pytest.fixture(scope="module")
def report(found, ring_road, tmp_path_factory) -> Path:
    """A page with everything it can have: picture, link, and a curve with gaps."""
    folder = tmp_path_factory.mktemp("report")
    draw_map(ring_road, folder / "ring.png", 600)
    (folder / "replay.html").write_text("<!doctype html><title>replay</title>")
    rows = [
        {
            "samples": 10_000 * k,
            "rate/reached_goal": None if k == 1 else k / 40,
            "rate/collided": None if k == 1 else 0.5 - k / 90,
            "rate/off_road": 0.4 - k / 90,
        }
        for k in range(1, 31)
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    write_report(
        found,
        folder / "report.html",
        title="Who drives <how> well",
        picture="ring.png",
        replay="replay.html",
        curve=folder / "metrics.jsonl",
    )
    return folder / "report.html"


def test_page_needs_nothing_but_the_files_beside_it(report):
    text = report.read_text()
    assert "http" not in re.sub(r"http-equiv", "", text)
    assert "<script" not in text
    for link in re.findall(r"(?:href|src)='([^']+)'", text):
        assert (report.parent / link).is_file()


def test_names_are_shown_as_text_whatever_is_in_them(report):
    text = report.read_text()
    assert "&lt;b&gt;straight on&lt;/b&gt;" in text
    assert "<b>straight on" not in text
    assert "<title>Who drives &lt;how&gt; well</title>" in text


def test_page_says_every_figure_with_its_interval(report, found):
    text = re.sub(r"<[^>]+>", " ", report.read_text())
    for evaluation in found:
        for name, title in COLUMNS:
            value, _, interval = in_words(name, evaluation.figures[name]).partition(" (")
            assert title in text
            assert value in text
            assert interval.rstrip(")") in text
        assert str(len(evaluation.episodes)) in text
    assert "6 s episodes" in text
    assert "seed 0" in text


def test_page_without_extras_has_the_table_alone(found, tmp_path):
    write_report(found[:1], tmp_path / "report.html", title="alone", curve=tmp_path / "none.jsonl")
    text = (tmp_path / "report.html").read_text()
    assert "<table>" in text
    assert "<svg" not in text
    assert "<img" not in text
    assert "replay" not in text


@pytest.mark.browser
def test_browser_shows_table_curve_and_town_without_complaint(report, browser, found):
    browser.events.clear()
    browser.send("Page.navigate", url=f"file://{report}")
    browser.wait("document.readyState === 'complete'")
    assert browser.problems() == []
    assert browser.evaluate("document.querySelectorAll('table tr').length") == 1 + len(found)
    assert browser.evaluate("document.images[0].naturalWidth") == 600
    assert browser.evaluate(
        "[...document.querySelectorAll('polyline')].map(p => p.points.length)"
    ) == [29, 29]  # the row that counted nothing draws nothing
    for selector in ("table", "svg", "img"):
        box = browser.evaluate(
            f"(({{left, right, width, height}}) => [left, right, width, height])"
            f"(document.querySelector('{selector}').getBoundingClientRect())"
        )
        assert box[0] >= 0
        assert box[1] <= 1100
        assert box[2] > 300
        assert box[3] > 50
    browser.screenshot(report.with_suffix(".png"))
    assert report.with_suffix(".png").stat().st_size > 20_000

import functools
import json
from types import SimpleNamespace

import pytest

from gigalane import demo
from gigalane.metrics.summary import Figure


@pytest.fixture
def short(monkeypatch) -> None:
    """A demonstration too short to learn anything in."""
    settings = functools.partial(demo.DemoSettings, samples=2000, episodes=8, frames=20.0)
    monkeypatch.setattr(demo, "DemoSettings", settings)
    brief = functools.partial(demo.EvaluateSettings, seconds=6.0)
    monkeypatch.setattr(demo, "EvaluateSettings", brief)
    monkeypatch.setattr(demo, "WORLD", demo.replace(demo.WORLD, worlds=8))
    monkeypatch.setattr(demo, "SEEING", demo.replace(demo.SEEING, worlds=2, agents=8))


def test_demo_leaves_report_replay_and_picture_and_says_when_too_little_was_learned(
    gigalane, folder, short, monkeypatch
):
    monkeypatch.setattr(demo, "beats", lambda one, other: False)
    answer = gigalane("demo", "--minutes", "0.05", "-o", "shown")
    assert answer.code == 1
    assert answer.err.splitlines()[-1] == (
        "gigalane: shown: the driver trained here does not clearly beat driving straight on; "
        "give it more --minutes"
    )
    for heading in ("1  Drive", "2  See", "3  Prove", "4  Look"):
        assert heading in answer.out
    shown = folder / "shown"
    names = {path.name for path in shown.iterdir()}
    assert names == {"report.html", "report.json", "replay.html", "town.png", "run-1"}
    report = json.loads((shown / "report.json").read_text())
    drivers = [driver["policy"] for driver in report["drivers"]]
    assert drivers[:2] == ["trained here", "taught to see"]
    assert drivers[-3:] == ["idm", "constant-velocity", "stationary"]
    assert report["beats_constant_velocity"] is False
    page = (shown / "report.html").read_text()
    assert all(driver in page for driver in drivers)
    assert "replay.html" in page
    replay = (shown / "replay.html").read_text()
    assert "trained here on" in replay
    assert "taught to see on" in replay
    assert (shown / "run-1" / "see" / "policy.safetensors").is_file()


def drove(score: tuple[float, float], goals: tuple[float, float]) -> SimpleNamespace:
    def figure(low, high):
        return Figure((low + high) / 2, low, high, "1", "higher")

    return SimpleNamespace(figures={"driving_score": figure(*score), "goal_rate": figure(*goals)})


def test_clearly_better_means_that_no_interval_meets_the_others():
    straight_on = drove((0.15, 0.18), (0.00, 0.02))
    assert demo.beats(drove((0.50, 0.60), (0.40, 0.50)), straight_on)
    # Crawling on without ever arriving scores for the way, but is not driving.
    assert not demo.beats(drove((0.22, 0.23), (0.00, 0.01)), straight_on)
    assert not demo.beats(drove((0.17, 0.30), (0.40, 0.50)), straight_on)

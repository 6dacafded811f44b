import io
import json
import math

from rich.console import Console

from gigalane.train.progress import Progress, keep_iterations

FIGURES = {
    "iteration": 3,
    "samples": 250_000,
    "samples_per_s": 1000.0,
    "rate/collided": 0.125,
    "rate/reached_goal": math.nan,
    "kept_fraction": 0.3,
    "reward_per_s": 0.5,
    "reward/goal": 0.25,
}


def shown(tmp_path, terminal: bool) -> str:
    out = io.StringIO()
    console = Console(file=out, force_terminal=terminal, width=120)
    with Progress(tmp_path, 1_000_000, console=console) as progress:
        progress.report(FIGURES)
    return out.getvalue()


def test_plain_output_is_one_line_with_the_figures_people_look_at(tmp_path):
    text = shown(tmp_path, terminal=False)
    assert text.count("\n") == 1
    for part in ("250,000 of 1,000,000 (25%)", "samples/s 1,000", "ETA 0:12:30", "collided 12.5%"):
        assert part in text
    assert "reached goal –" in text


def test_terminal_also_shows_the_reward_by_term(tmp_path):
    assert "reward/goal" in shown(tmp_path, terminal=True)


def test_metrics_are_valid_json_without_nan(tmp_path):
    shown(tmp_path, terminal=False)
    (line,) = (tmp_path / "metrics.jsonl").read_text().splitlines()
    kept = json.loads(line, parse_constant=lambda name: (_ for _ in ()).throw(ValueError(name)))
    assert kept["rate/reached_goal"] is None
    assert kept["samples"] == 250_000
    assert list(tmp_path.glob("events.out.tfevents.*"))


def test_later_and_torn_lines_are_dropped_on_resume(tmp_path):
    metrics = tmp_path / "metrics.jsonl"
    rows = [json.dumps({"iteration": k, "samples": 10 * k}) for k in (1, 2, 3)]
    metrics.write_text("\n".join(rows) + '\n{"iteration": 4, "sam')
    assert keep_iterations(metrics, 2) == 20
    assert metrics.read_text().splitlines() == rows[:2]
    assert keep_iterations(tmp_path / "missing.jsonl", 2) == 0

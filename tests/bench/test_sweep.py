import numpy as np
import pytest
from PIL import Image

from gigalane.bench import machine
from gigalane.bench.speed import Figure
from gigalane.bench.sweep import MOST_AGENTS, Point, SweepSettings, sweep
from gigalane.bench.sweep_picture import draw_sweep
from gigalane.bench.workloads import Workload
from gigalane.core.settings import SettingsError


@pytest.fixture(scope="module", autouse=True)
def towns(ring):
    """Every town of a sweep is the ring: nothing here depends on what a town looks like."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Workload, "compiled_maps", lambda self: [ring] * 3)
        yield


@pytest.fixture(scope="module")
def found(towns):
    settings = SweepSettings(worlds=(2, 4), agents=(6, 3), maps=(1,), repeats=2, measured=60)
    lines: list[str] = []
    return sweep(settings, threads=1, tell=lines.append), lines


def test_every_agent_count_meets_the_first_maps_and_every_map_count_the_first_agents():
    settings = SweepSettings(worlds=(4, 2), agents=(32, 8), maps=(1, 10))
    assert settings.batches() == [
        *((1, 32, 2), (1, 32, 4)),
        *((1, 8, 2), (1, 8, 4)),
        *((10, 32, 2), (10, 32, 4)),
    ]


def test_usual_sweep_goes_from_a_thousand_to_a_million_and_from_one_to_a_hundred_maps():
    batches = SweepSettings().batches()
    totals = [agents * worlds for maps, agents, worlds in batches if maps == 1 and agents == 32]
    assert (min(totals), max(totals)) == (1024, 1_048_576)
    assert {maps for maps, _, _ in batches} == {1, 10, 100}
    assert max(agents * worlds for _, agents, worlds in batches) <= MOST_AGENTS


def test_each_batch_is_measured_and_told(found):
    swept, lines = found
    assert [(p.maps, p.agents, p.worlds) for p in swept.points] == [
        *((1, 6, 2), (1, 6, 4)),
        *((1, 3, 2), (1, 3, 4)),
    ]
    assert all(0 < p.cost.low <= p.cost.value <= p.cost.high for p in swept.points)
    assert all(p.active_share > 0.5 for p in swept.points)
    assert len(lines) == 1 + 4
    facts = swept.as_json()
    assert facts["points"][1]["total_agents"] == 24
    assert facts["machine"]["cores"] >= 1
    assert facts["settings"]["worlds"] == (2, 4)
    assert facts["left_out"] == []


def test_batches_that_do_not_fit_are_left_out_and_named(monkeypatch):
    monkeypatch.setattr(machine, "free_memory", lambda device: 100_000)
    settings = SweepSettings(worlds=(2, 1000), agents=(6,), maps=(1,), repeats=1, measured=12)
    swept = sweep(settings, threads=1)
    assert [point.worlds for point in swept.points] == [2]
    (sentence,) = swept.left_out
    assert sentence.startswith("1000 worlds of 6 on 1 maps: needs about 0.0 GB of memory")


def test_sweep_of_which_nothing_fits_is_refused(monkeypatch):
    monkeypatch.setattr(machine, "free_memory", lambda device: 10)
    with pytest.raises(SettingsError, match="2 worlds of 6 on 1 maps: needs about"):
        sweep(SweepSettings(worlds=(2,), agents=(6,), maps=(1,)), threads=1)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"worlds": ()}, r"worlds=\(\)"),
        ({"agents": (0,)}, r"agents=\(0,\)"),
        ({"agents": (1000,)}, "1 to 512 agents"),
        ({"maps": (1, 5000)}, "maps=5000"),
        ({"worlds": (2_000_000,)}, "at most 1048576 agents"),
        ({"repeats": 0}, "repeats"),
    ],
)
def test_sweeps_that_cannot_be_made_are_refused(settings, reason):
    with pytest.raises(SettingsError, match=reason):
        sweep(SweepSettings(**settings), threads=1)


def point(agents, worlds, cost):
    figure = Figure(cost, 0.9 * cost, 1.1 * cost, "ns", more_is_better=False)
    return Point(1, agents, worlds, figure, figure, 1.0)


def marks_of(path, colour):
    """Rows and columns of the pixels of a colour left of the legend."""
    pixels = np.asarray(Image.open(path).convert("RGB"))[:, :900]
    return np.nonzero((pixels == colour).all(axis=-1))


def test_dearer_batches_stand_higher_and_larger_ones_further_right(tmp_path):
    path = tmp_path / "sweep.png"
    blue, orange = (0x0B, 0x6B, 0xCB), (0xD9, 0x48, 0x0F)
    draw_sweep([point(32, 32, 500.0), point(8, 131_072, 1000.0)], path, "Cost")
    low, high = marks_of(path, blue), marks_of(path, orange)
    assert low[0].mean() > high[0].mean()  # rows count downwards
    assert low[1].mean() < high[1].mean()
    assert Image.open(path).size == (1200, 760)


def test_one_batch_is_a_picture_too(tmp_path):
    draw_sweep([point(32, 32, 1.0)], tmp_path / "one.png", "Cost")
    assert len(marks_of(tmp_path / "one.png", (0x0B, 0x6B, 0xCB))[0]) > 50

import json

import pytest

from gigalane.bench.compare import compare, table
from gigalane.bench.machine import Machine
from gigalane.bench.speed import Figure, Measurement
from gigalane.core.settings import SettingsError

MACHINE = Machine("Fast CPU 9", 2, "", "Linux x86_64", "3.11", "1.19", "2.8")


@pytest.fixture
def write(tmp_path):
    """Writes a measurement with a rate and a cost; gives its path."""

    def written(name, rate, cost, **other):
        figures = {
            "agent_steps_per_s": Figure(*rate, "1/s", more_is_better=True),
            "cpu_ns_per_agent_step": Figure(*cost, "ns", more_is_better=False),
        }
        facts = {
            **{"benchmark": "sim", "outcome": {}, "settings": {"world": {"worlds": 32}}},
            **{"device": "cpu", "threads": 2, "repeats": 3, "machine": MACHINE},
            **{"other_load": 0.0, "peak_memory_mb": 100},
            **other,
        }
        path = tmp_path / f"{name}.json"
        path.write_text(json.dumps(Measurement(figures=figures, **facts).as_json()))
        return path

    return written


def test_ratio_above_one_is_better_whichever_way_a_figure_counts(write):
    before = write("before", (100.0, 90.0, 110.0), (8.0, 7.0, 9.0))
    after = write("after", (150.0, 140.0, 160.0), (10.0, 8.5, 11.0))
    rate, cost = compare(before, after).figures
    assert rate.ratio == pytest.approx(1.5)
    assert cost.ratio == pytest.approx(0.8)
    back = compare(after, before).figures
    assert [one.ratio for one in back] == pytest.approx([1 / 1.5, 1.25])


@pytest.mark.parametrize(
    ("spread", "overlap"),
    [((111.0, 120.0), False), ((110.0, 120.0), True), ((80.0, 90.0), True), ((1.0, 89.0), False)],
)
def test_spreads_overlap_where_they_share_a_number(write, spread, overlap):
    before = write("before", (100.0, 90.0, 110.0), (8.0, 7.0, 9.0))
    after = write("after", (sum(spread) / 2, *spread), (8.0, 7.0, 9.0))
    rate, cost = compare(before, after).figures
    assert rate.overlap is overlap
    assert cost.overlap


def test_measurement_compared_with_itself_is_one_and_differs_in_nothing(write):
    path = write("same", (100.0, 90.0, 110.0), (8.0, 7.0, 9.0))
    found = compare(path, path)
    assert [one.ratio for one in found.figures] == [1.0, 1.0]
    assert found.differences == []
    assert found.slower_than(1.0) == []


def test_what_else_differs_is_named(write):
    before = write("before", (1.0, 1.0, 1.0), (1.0, 1.0, 1.0))
    other = {"settings": {"world": {"worlds": 64}}, "threads": 1}
    after = write("after", (1.0, 1.0, 1.0), (1.0, 1.0, 1.0), **other)
    found = compare(before, after)
    assert found.differences == ["settings.world.worlds (32 and 64)", "threads (2 and 1)"]
    assert table(found).splitlines()[-1].startswith("they differ in settings.world.worlds (32")


def test_table_has_a_line_a_figure_under_the_names_of_the_files(write):
    before = write("before", (100.0, 90.0, 110.0), (8.0, 7.0, 9.0))
    after = write("after", (150.0, 140.0, 160.0), (8.0, 7.0, 9.0))
    head, rate, cost = table(compare(before, after), ("before", "after")).splitlines()
    assert head.split() == ["figure", "unit", "before", "after", "ratio", "spreads"]
    assert rate.split()[-2:] == ["1.500", "apart"]
    assert cost.split()[-2:] == ["1.000", "overlap"]


def damage(found, path):
    """Takes away or spoils what a path names."""
    *outer, last = path
    for name in outer:
        found = found[name]
    found[last] = None


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        (("format",), "is no measurement of gigalane bench"),
        (("version",), "is version None"),
        (("benchmark",), "benchmark: is missing or damaged"),
        (("figures",), "figures: is missing or damaged"),
        (("settings",), "settings: is missing or damaged"),
        (("figures", "agent_steps_per_s"), "figures: agent_steps_per_s"),
        (("figures", "agent_steps_per_s", "low"), "figures: agent_steps_per_s"),
        (("figures", "agent_steps_per_s", "more_is_better"), "figures: agent_steps_per_s"),
    ],
)
def test_damaged_file_is_refused_with_its_name_and_the_place(write, path, reason):
    whole = write("whole", (1.0, 1.0, 1.0), (1.0, 1.0, 1.0))
    broken = whole.with_name("broken.json")
    found = json.loads(whole.read_text())
    damage(found, path)
    broken.write_text(json.dumps(found))
    for files in ((whole, broken), (broken, whole)):
        with pytest.raises(SettingsError, match=rf"broken\.json: {reason}"):
            compare(*files)


@pytest.mark.parametrize("text", ["", "no JSON", "[1, 2]", "3", '{"format": "gigalane-bench"'])
def test_file_that_is_no_measurement_is_refused(write, text):
    whole = write("whole", (1.0, 1.0, 1.0), (1.0, 1.0, 1.0))
    other = whole.with_name("other.json")
    other.write_text(text)
    with pytest.raises(SettingsError, match=r"other\.json: is no"):
        compare(whole, other)


def test_bytes_that_are_no_text_are_refused(write):
    whole = write("whole", (1.0, 1.0, 1.0), (1.0, 1.0, 1.0))
    whole.with_name("other.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SettingsError, match=r"other\.json: is no JSON"):
        compare(whole, whole.with_name("other.json"))


def test_different_benchmarks_are_not_compared(write):
    one = write("one", (1.0, 1.0, 1.0), (1.0, 1.0, 1.0))
    other = write("other", (1.0, 1.0, 1.0), (1.0, 1.0, 1.0), benchmark="train")
    with pytest.raises(SettingsError, match=r"is of bench train, .* of bench sim"):
        compare(one, other)

import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from gigalane.core import trace as tracing
from gigalane.core.trace import recording, table, trace, traced


def paths(stages):
    return ["/".join(stage.path) for stage in stages.tree()]


def test_stages_stand_below_the_stage_they_happen_in_in_the_order_they_began():
    with recording() as stages:
        for _ in range(3):
            with trace("collect"):
                with trace("act"):
                    pass
                with trace("step"):
                    pass
            with trace("improve"), trace("gradient"):
                pass
    assert paths(stages) == [
        *("collect", "collect/act", "collect/step"),
        *("improve", "improve/gradient"),
    ]
    assert [stage.calls for stage in stages.tree()] == [3, 3, 3, 3, 3]


def test_stage_that_begins_late_still_stands_below_its_outer_stage():
    with recording() as stages:
        with trace("first"):
            pass
        with trace("second"):
            pass
        with trace("first"), trace("inside"):
            pass
    assert paths(stages) == ["first", "first/inside", "second"]


def test_times_are_sums_of_the_clocks_over_calls(monkeypatch):
    wall, cpu = iter([10.0, 11.0, 13.0, 20.0, 30.0, 35.0]), iter([0.0, 0.5, 1.5, 4.0, 5.0, 7.0])

    class Clocks:
        perf_counter = staticmethod(lambda: next(wall))
        process_time = staticmethod(lambda: next(cpu))

    monkeypatch.setattr(tracing, "time", Clocks)
    with recording() as stages:
        with trace("collect"), trace("act"):  # 10 to 20, and 11 to 13 inside it
            pass
        with trace("improve"):  # 30 to 35
            pass
    collect, act, improve = stages.tree()
    assert (collect.total_s, act.total_s, improve.total_s) == (10.0, 2.0, 5.0)
    assert (collect.cpu_s, act.cpu_s, improve.cpu_s) == (4.0, 1.0, 2.0)
    assert collect.share == pytest.approx(10 / 15)
    assert act.share == pytest.approx(2 / 15)
    assert act.mean_s == 2.0
    assert act.as_json() == {
        **{"path": "collect/act", "calls": 1, "total_us": 2e6, "cpu_us": 1e6},
        **{"share": round(2 / 15, 4), "mean_us": 2e6},
    }


def test_while_nobody_records_a_mark_keeps_nothing_and_allocates_nothing():
    @traced("estimate")
    def estimate():
        return None

    def marks():
        for _ in range(1000):
            with trace("act"):
                pass
            estimate()

    marks()
    before = sys.getallocatedblocks()
    marks()
    grown = sys.getallocatedblocks() - before
    assert grown < 20  # two thousand marks that kept anything would keep two thousand blocks
    assert trace("act") is trace("step")
    with recording() as stages:
        pass
    assert stages.tree() == []


def test_marks_of_other_threads_hang_below_what_the_recording_thread_is_in():
    def work(_):
        with trace("chunk"), trace("forward"):
            time.sleep(0)

    with recording() as stages, trace("improve"), ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(200)))
    assert paths(stages) == ["improve", "improve/chunk", "improve/chunk/forward"]
    assert [stage.calls for stage in stages.tree()] == [1, 200, 200]


def test_threads_do_not_mix_up_what_they_are_in():
    together = threading.Barrier(2)

    def work(name):
        with trace(name):
            together.wait()
            with trace("inside"):
                together.wait()

    with recording() as stages, ThreadPoolExecutor(2) as pool:
        list(pool.map(work, ("one", "two")))
    assert sorted(paths(stages)) == ["one", "one/inside", "two", "two/inside"]


def test_stage_that_raises_is_closed_and_counted():
    @traced("break")
    def broken():
        raise ValueError("stop")

    with recording() as stages:
        with pytest.raises(ValueError, match="stop"):
            broken()
        with trace("next"):
            pass
    assert paths(stages) == ["break", "next"]


def test_marked_function_keeps_its_name_and_its_answer():
    @traced("add")
    def add(one: int, *, other: int) -> int:
        """Adds."""
        return one + other

    assert add(1, other=2) == 3
    assert (add.__name__, add.__doc__) == ("add", "Adds.")


def test_what_came_before_a_clear_is_forgotten():
    with recording() as stages:
        with trace("warm"):
            pass
        with trace("train"):
            stages.clear()
            with trace("act"):
                pass
    assert paths(stages) == ["train", "train/act"]


def test_two_recordings_at_once_are_refused_and_the_first_goes_on():
    with recording() as stages:
        with pytest.raises(RuntimeError, match="already"), recording():
            pass
        with trace("on"):
            pass
    assert paths(stages) == ["on"]


def test_table_has_a_line_a_stage_with_names_indented_by_depth():
    with recording() as stages, trace("collect"), trace("act"):
        pass
    head, collect, act = table(stages.tree()).splitlines()
    assert head.split()[0] == "stage"
    assert collect.startswith("collect ")
    assert act.startswith("  act ")
    assert len(head) == len(collect) == len(act)
    assert collect.split()[1] == "1"
    assert "100.0%" in collect

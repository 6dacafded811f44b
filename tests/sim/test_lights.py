from itertools import groupby

import numpy as np
import pytest

from gigalane.maps.compile import compile_map
from gigalane.maps.stack import stack_maps
from gigalane.sim.lights import GREEN, OFF, RED, YELLOW
from gigalane.sim.settings import LightSettings, SimulatorSettings, rules_of
from reference import lights as twin
from reference import maps, probes

AS_MAPPED = LightSettings.as_mapped()


def states(compiled, settings, control, seed, time):
    rules = rules_of(SimulatorSettings(lights=settings), 48)
    return probes.light_states(rules, stack_maps([compiled], "cpu"), control, seed, time)


def test_lights_go_green_10_yellow_3_red_17_seconds_as_the_map_says(tee):
    time = np.arange(0.0, 90.0, 0.05)
    spells = {}
    for arm in (0, 1):
        shown = states(tee, AS_MAPPED, np.full(len(time), arm), np.full(len(time), 77), time)
        runs = [(state, 0.05 * len(list(run))) for state, run in groupby(shown.tolist())]
        # The first and the last run are cut off.
        spells[arm] = {state: lasts for state, lasts in runs[1:-1]}
        assert [state for state, _ in runs[1:4]] in (
            [GREEN, YELLOW, RED],
            [YELLOW, RED, GREEN],
            [RED, GREEN, YELLOW],
        )
    for arm in (0, 1):
        for state, lasts in ((GREEN, 10.0), (YELLOW, 3.0), (RED, 17.0)):
            assert spells[arm][state] == pytest.approx(lasts, abs=0.06)


def test_conflicting_lights_are_never_open_together(tee):
    time = np.arange(0.0, 60.0, 0.05)
    one, other = (
        states(
            tee,
            LightSettings(missing_light=0.0, missing_group=0.0, missing_all=0.0, always_green=0.0),
            np.full(len(time), arm),
            np.full(len(time), 5),
            time,
        )
        for arm in (0, 1)
    )
    assert ((one == RED) | (other == RED)).all()
    assert (one != RED).any() and (other != RED).any()


def test_states_equal_the_timeline_of_the_drawn_multipliers(tee):
    settings = LightSettings()
    rng = np.random.default_rng(3)
    seed, arm = rng.integers(0, 2**32, 1500), rng.integers(0, 2, 1500)
    time = rng.uniform(0.0, 300.0, 1500).astype(np.float32)
    found = states(tee, settings, arm, seed, time)
    checked = 0
    for k in range(1500):
        off, always, scales, phase = twin.drawn(settings, int(seed[k]), 0, int(arm[k]))
        if off:
            expected, margin = OFF, 1.0
        elif always:
            expected, margin = GREEN, 1.0
        else:
            spells = twin.timeline(tee.stages.tolist(), {int(arm[k])}, scales)
            expected, margin = twin.state_at(spells, phase, float(time[k]))
        if margin > 2e-3:
            assert found[k] == expected
            checked += 1
    assert checked > 1450
    assert {OFF, GREEN, YELLOW, RED} == set(found.tolist())


def test_shares_of_missing_and_green_lights_are_the_papers(tee):
    seeds = np.arange(20_000)
    settings = LightSettings()
    shown = [
        states(tee, settings, np.zeros(20_000), seeds, np.full(20_000, t))
        for t in (3.0, 71.0, 113.0)
    ]
    gone = np.mean(shown[0] == OFF)
    # 20 % of worlds, 20 % of groups, 20 % of lights: 1 - 0.8³ are gone.
    assert gone == pytest.approx(1.0 - 0.8**3, abs=0.012)
    only_green = LightSettings(
        missing_light=0.0, missing_group=0.0, missing_all=0.0, always_green=1.0
    )
    assert (states(tee, only_green, np.zeros(50), seeds[:50], np.full(50, 9.0)) == GREEN).all()


def test_signs_show_no_light(tee):
    assert states(tee, AS_MAPPED, [2], [9], [1.0]).tolist() == [OFF]


def test_lights_of_a_map_do_not_depend_on_the_maps_beside_it(tee):
    rules = rules_of(SimulatorSettings(), 48)
    other = compile_map(maps.junction((10.0, 120.0, 240.0), ("light",) * 3, name="other"))
    rng = np.random.default_rng(0)
    seed, time = rng.integers(0, 2**32, 400), rng.uniform(0, 100, 400)
    arm = rng.integers(0, 2, 400)
    alone = probes.light_states(rules, stack_maps([tee], "cpu"), arm, seed, time)
    # Behind another map the tee's first control is number 3.
    behind = probes.light_states(rules, stack_maps([other, tee], "cpu"), 3 + arm, seed, time)
    assert np.array_equal(alone, behind)


def test_two_junctions_of_a_world_run_out_of_step():
    lanes, lines, signals, programs = [], [], [], []
    for k, shift in enumerate((0.0, 600.0)):
        moved = maps.renamed(maps.transformed(maps.tee(), shift=(shift, 0.0, 0.0)), f"{k}/")
        lanes += moved.lanes
        lines += moved.stop_lines
        signals += moved.signals
        programs += moved.signal_programs
    compiled = compile_map(
        maps.RoadMap(
            "two",
            tuple(lanes),
            signals=tuple(signals),
            signal_programs=tuple(programs),
            stop_lines=tuple(lines),
        )
    )
    assert compiled.programs["number"].tolist() == [0, 1]
    time = np.arange(0.0, 30.0, 0.1)
    first, second = (
        states(compiled, AS_MAPPED, np.full(300, c), np.full(300, 8), time) for c in (0, 3)
    )
    assert (first != second).any()
    assert np.bincount(first, minlength=4).tolist() == pytest.approx(
        np.bincount(second, minlength=4).tolist(), abs=3
    )

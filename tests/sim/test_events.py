"""Each fact in a situation made by hand."""

from dataclasses import replace

import numpy as np
import pytest

from gigalane.maps.compile import compile_map
from gigalane.sim.lights import GREEN, OFF, RED, YELLOW
from gigalane.sim.settings import LightSettings
from reference import maps, probes
from reference.stage import PLAIN, Stage

LINE = 120.0
"""Where the stop lines of a junction lie along the lanes that lead to it [m]."""
FAST = replace(PLAIN, time_steps=(0.3,))


def set_clock_to(stage, state, arm):
    """Sets the clock to a step in whose course the light of an arm shows a state."""
    steps = np.arange(600)
    rows = len(steps)
    shown = probes.light_states(
        stage.simulator.rules,
        stage.simulator.road,
        np.full(rows, arm),
        np.full(rows, stage.seed[0]),
        steps * np.float32(stage.dt[0]),
    )
    stage.clock[0] = int(np.flatnonzero(shown == state)[3])


# ------------------------------------------------------------------------------------ the road


def test_off_road_is_a_corner_over_the_edge(straight):
    # The lane is 3.5 m wide and the car 2 m: 0.75 m to the right its side lies on the edge.
    for aside, facts in ((-0.70, set()), (-0.85, {"off_road"})):
        stage = Stage(straight).put("east", 50.0, offset=aside, speed=5.0).step()
        assert stage.facts() == facts
        assert stage.terminated[0, 0] == bool(facts)


def test_the_oncoming_lane_is_road(straight):
    stage = Stage(straight).put("east", 50.0, offset=1.75, speed=5.0).step()
    assert stage.facts() == set()


def test_driving_over_the_end_of_the_road_is_off_road(straight):
    stage = Stage(straight).put("east", 395.0, speed=10.0, goal=600.0)
    # The bumper is at 397 m and moves a metre a step.
    assert [stage.step().facts() for _ in range(4)] == [set(), set(), set(), {"off_road"}]


def test_wrong_way_is_moving_against_the_lane(straight):
    facts = []
    for speed, turn in (
        (5.0, np.pi),
        (0.4, np.pi),
        (-1.5, 0.0),
        (-1.5, np.pi),
        (5.0, 1.5),
        (5.0, 1.7),
    ):
        stage = Stage(straight).put("east", 50.0, speed=speed, heading_error=turn, size=(1.0, 0.5))
        facts.append("wrong_way" in stage.step().facts())
    # Fast against it; creeping; backing up along it; backing up while turned round; across it
    # to either side of a right angle.
    assert facts == [True, False, False, False, False, True]


def test_no_way_is_wrong_on_a_lane_for_both_directions():
    lane = maps.make_lane("both", maps.line((0, 0), (200, 0)), type=maps.LaneType.BIDIRECTIONAL)
    compiled = compile_map(maps.RoadMap("both", (lane,)))
    stage = Stage(compiled).put("both", 100.0, speed=5.0, heading_error=np.pi).step()
    assert stage.facts() == set()


# ----------------------------------------------------------------------------------- the lights


@pytest.mark.parametrize(("state", "facts"), [(RED, {"ran_red"}), (YELLOW, set()), (GREEN, set())])
def test_red_light_is_run_by_a_bumper_that_crosses_the_line(tee, state, facts):
    stage = Stage(tee).put("in:0", LINE - 2.5, speed=10.0)
    set_clock_to(stage, state, arm=0)
    assert stage.step().facts() == facts
    # The crossing counts once.
    assert stage.step().facts() == set()
    assert stage.terminated[0, 0] == 0


def test_bumper_before_the_line_has_not_run_the_light(tee):
    stage = Stage(tee).put("in:0", LINE - 3.5, speed=10.0)
    set_clock_to(stage, RED, arm=0)
    assert stage.step().facts() == set()


def test_line_crossed_backwards_or_on_the_way_out_is_no_violation(tee):
    stage = Stage(tee).put("in:0", LINE - 1.9, speed=-1.5, acceleration=0.0)
    stage.put("out:0", 0.1, slot=1, speed=10.0)
    set_clock_to(stage, RED, arm=0)
    stage.step(times=2)
    assert stage.facts(0) == stage.facts(1) == set()


def test_missing_light_cannot_be_run(tee):
    dark = replace(PLAIN, lights=replace(LightSettings.as_mapped(), missing_all=1.0))
    stage = Stage(tee, dark).put("in:0", LINE - 2.5, speed=10.0)
    set_clock_to(stage, OFF, arm=0)
    assert stage.step().facts() == set()


def test_light_just_beyond_the_lanes_end_is_run_by_who_still_stands_before_it():
    # The line lies half a metre into the second lane: the bumper crosses it first.
    first = maps.make_lane("first", maps.line((0, 0), (150, 0)), successors=("second",))
    second = maps.make_lane("second", maps.line((150, 0), (250, 0)), predecessors=("first",))
    ends = np.array([[150.5, 1.75, 0], [150.5, -1.75, 0]])
    line = maps.StopLine("s", maps.StopRule.STOP, ends, ("second",))
    compiled = compile_map(maps.RoadMap("two", (first, second), stop_lines=(line,)))
    stage = Stage(compiled).put("first", 148.0, speed=10.0)
    assert stage.step().facts() == {"ran_stop"}


# ------------------------------------------------------------------------------------ the signs


def test_stop_sign_is_run_without_a_full_stop(tee):
    stage = Stage(tee).put("in:2", LINE - 2.5, speed=10.0)
    assert stage.step().facts() == {"ran_stop"}


@pytest.mark.parametrize(
    ("gap", "speed", "facts"),
    [(1.0, 0.0, set()), (3.5, 0.1, set()), (5.0, 0.0, {"ran_stop"}), (1.0, 0.4, {"ran_stop"})],
)
def test_full_stop_counts_within_four_metres_of_the_line(tee, gap, speed, facts):
    stage = Stage(tee).put("in:2", LINE - 2.0 - gap, speed=speed).step()
    # Then over the line.
    stage.body["speed"][0, 0] = 10.0
    seen = set()
    for _ in range(7):
        seen |= stage.step().facts()
    assert seen == facts


def wait_at(stage, arm, slot):
    """Somebody comes to a full stop a metre before the line of an arm, and a step passes."""
    stage.put(f"in:{arm}", LINE - 3.0, slot=slot)
    stage.step()


def go(stage, slot, arm):
    """Facts gathered while a slot crosses the line of its arm."""
    stage.body["speed"][0, slot] = 10.0
    stage.view["body"]["acceleration"][0, slot] = 0.0
    seen = set()
    for _ in range(3):
        seen |= stage.step().facts(slot)
    return seen


def test_who_stopped_first_goes_first(all_way_stop):
    stage = Stage(all_way_stop)
    wait_at(stage, 0, slot=0)
    wait_at(stage, 1, slot=1)
    assert go(stage, 1, 1) == {"out_of_turn"}
    stage = Stage(all_way_stop)
    wait_at(stage, 0, slot=0)
    wait_at(stage, 1, slot=1)
    assert go(stage, 0, 0) == set()
    # The first one has gone, so the second may.
    assert go(stage, 1, 1) == set()


def test_who_queues_behind_has_no_turn_yet(all_way_stop):
    stage = Stage(all_way_stop)
    stage.put("in:0", LINE - 12.0, slot=0)
    stage.step(times=3)
    wait_at(stage, 1, slot=1)
    assert go(stage, 1, 1) == set()


def test_who_stands_beyond_the_junction_holds_nobody_up(all_way_stop):
    stage = Stage(all_way_stop)
    wait_at(stage, 0, slot=0)
    stage.body["speed"][0, 0] = 10.0
    stage.step(times=40)
    # It stands in a queue far behind the junction that it stopped at long ago.
    stage.body["speed"][0, 0], stage.body["acceleration"][0, 0] = 0.0, 0.0
    assert stage.map.lane_ids[stage.place["lane"][0, 0]].startswith("out:")
    wait_at(stage, 1, slot=1)
    assert go(stage, 1, 1) == set()


def test_each_passage_of_a_sign_takes_a_stop_of_its_own(tee):
    stage = Stage(tee)
    wait_at(stage, 2, slot=0)
    assert go(stage, 0, 2) == set()
    stage.step(times=10)
    duty = stage.duty[0, 0].copy()
    # Round the block and back to the same sign.
    stage.put("in:2", LINE - 4.5, speed=10.0)
    stage.duty["stopped_control"][0, 0] = duty["stopped_control"]
    seen = set()
    for _ in range(5):
        seen |= stage.step().facts()
    assert seen == {"ran_stop"}


def test_yield_signs_command_no_stop():
    compiled = compile_map(maps.junction((0.0, 180.0, 270.0), (None, None, "yield")))
    stage = Stage(compiled).put("in:2", LINE - 2.5, speed=10.0)
    assert stage.step().facts() == set()


# ------------------------------------------------------------------------------------ the goals


def test_way_points_are_reached_within_the_goal_radius_at_any_speed(straight):
    stage = Stage(straight, FAST).put("east", 50.0, speed=15.0, goal_radius=3.0)
    stage.way_points(0, 0, [20.0, 40.0, 200.0])
    seen = [stage.step().facts() for _ in range(10)]
    # 4.5 m a step, from 50 m: within 3 m of 70 m in step 4 (68 m), of 90 m in step 9 (90.5 m,
    # its path from 86 m comes near enough only there).
    assert [k for k, facts in enumerate(seen, 1) if "reached_waypoint" in facts] == [4, 9]
    assert set().union(*seen) == {"reached_waypoint"}
    assert stage.route["waypoint_index"][0, 0] == 2
    assert stage.terminated[0, 0] == 0


def test_way_point_passed_between_two_steps_is_reached(straight):
    # 6 m a step; only the path of the step comes within 2 m of the way-point.
    stage = Stage(straight, FAST).put("east", 50.0, speed=20.0, goal_radius=2.0)
    stage.way_points(0, 0, [3.0, 200.0])
    assert stage.step().facts() == {"reached_waypoint"}


def test_goal_is_reached_only_below_three_metres_per_second(straight):
    for speed, facts in ((2.9, {"reached_goal"}), (3.1, set())):
        stage = Stage(straight).put("east", 50.0, speed=speed, goal=4.0, goal_radius=4.5).step()
        assert stage.facts() == facts
        assert stage.terminated[0, 0] == bool(facts)


def test_goal_is_missed_25_metres_beyond_it(straight):
    stage = Stage(straight, FAST).put("east", 50.0, speed=10.0, goal=10.0, goal_radius=2.0)
    seen = [stage.step().facts() for _ in range(12)]
    # Progress is 3 m a step; 35 m are exceeded in the twelfth.
    assert seen[:11] == [set()] * 11
    assert seen[11] == {"missed_goal"}
    assert stage.terminated[0, 0] == 1 and stage.truncated[0, 0] == 0


def test_way_point_left_25_metres_behind_gives_way_to_the_next(straight):
    stage = Stage(straight, FAST).put("east", 50.0, speed=10.0, goal_radius=2.0)
    stage.way_points(0, 0, [10.0, 200.0])
    # Three metres beside the first one.
    stage.route["waypoint_y"][0, 0, 0] += 3.0
    for _ in range(11):
        assert stage.step().facts() == set()
        assert stage.route["waypoint_index"][0, 0] == 0
    assert stage.step().facts() == set()
    assert stage.route["waypoint_index"][0, 0] == 1


def test_time_out_is_a_truncation(straight):
    settings = replace(PLAIN, episode_s=90.0)
    stage = Stage(straight, settings).put("east", 50.0, age=89.75)
    assert [stage.step().facts() for _ in range(3)] == [set(), set(), {"timed_out"}]
    assert stage.truncated[0, 0] == 1 and stage.terminated[0, 0] == 0


def test_collision_in_the_last_second_is_a_collision(straight):
    stage = Stage(straight).put("east", 50.0, age=89.95)
    stage.put("east", 51.0, slot=1)
    assert stage.step().facts() == {"collided"}
    assert stage.truncated[0, 0] == 0 and stage.terminated[0, 0] == 1

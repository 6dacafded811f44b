import numpy as np
import pytest

from gigalane.sim.reward import REWARD_NAMES
from gigalane.sim.scene import Body, Place
from gigalane.sim.settings import PERSONA_NAMES
from reference import probes
from reference.stage import BIT

PERSONA = dict(
    goal_radius=5.0,
    collision=2.0,
    off_road=1.5,
    comfort=0.04,
    lane_align=0.02,
    velocity_align=0.8,
    lane_centre=0.006,
    centre_bias=0.25,
    reverse=0.005,
    stop_line=0.7,
    forward=2.5e-3,
    time=2.5e-5,
)


def terms(facts=(), dt=0.2, heading=0.0, offset=0.0, **body):
    """Reward terms by name for a body at a heading error [rad] and an offset [m]."""
    mask = sum(BIT[name] for name in facts)
    found = probes.rewards(
        [[PERSONA[name] for name in PERSONA_NAMES]],
        probes.records(Body, 1, **body),
        probes.records(
            Place, 1, heading_cos=np.cos(heading), heading_sin=np.sin(heading), offset=offset
        ),
        [mask],
        [dt],
    )
    return dict(zip(REWARD_NAMES, map(float, found[0]), strict=True))


def test_way_points_and_the_goal_pay_one():
    assert terms()["goal"] == 0.0
    assert terms(["reached_waypoint"])["goal"] == 1.0
    assert terms(["reached_goal"])["goal"] == 1.0
    assert terms(["missed_goal", "timed_out"])["goal"] == 0.0


def test_collision_costs_its_weight_and_a_tenth_of_the_speed():
    assert terms(["collided"], speed=7.0)["collision"] == pytest.approx(-(2.0 + 0.7))
    assert terms(["collided"], speed=-2.0)["collision"] == pytest.approx(-(2.0 + 0.2))
    assert terms(speed=7.0)["collision"] == 0.0


def test_leaving_the_road_costs_its_weight():
    assert terms(["off_road"], speed=9.0)["off_road"] == pytest.approx(-1.5)
    assert terms(["collided"])["off_road"] == 0.0


def test_comfort_counts_three_broken_bounds():
    def comfort(**motion):
        return terms(dt=0.3, **motion)["comfort"]

    assert comfort(acceleration=2.9, lateral_acceleration=-2.9, jerk=4.9) == 0.0
    assert comfort(acceleration=-3.1) == pytest.approx(-0.04)
    assert comfort(lateral_acceleration=3.1) == pytest.approx(-0.04)
    # Both jerks count once.
    assert comfort(jerk=-6.0, lateral_jerk=6.0) == pytest.approx(-0.04)
    assert comfort(acceleration=3.1, lateral_acceleration=-3.5, jerk=5.1) == pytest.approx(-0.12)


def test_a_second_of_discomfort_costs_the_same_at_every_time_step():
    assert 3 * terms(dt=0.1, jerk=6.0)["comfort"] == pytest.approx(
        terms(dt=0.3, jerk=6.0)["comfort"]
    )


def test_lane_align_along_across_and_against_the_lane():
    # Along: 0.02 * 0.2 * 0.0025.
    assert terms(speed=10.0)["lane_align"] == pytest.approx(1e-5)
    # Across: cos 0, angle a quarter turn, the last part is zero too.
    assert terms(heading=np.pi / 2, speed=10.0)["lane_align"] == pytest.approx(0.0, abs=1e-8)
    # Against at 4 m/s: 0.02 * 0.2 * (-1 + 0.8 * -4 - 0.0025).
    assert terms(heading=np.pi, speed=4.0)["lane_align"] == pytest.approx(0.004 * -4.2025)
    # Backing up along the lane: 0.02 * 0.2 * (0 + 0.8 * -1 + 0.0025).
    assert terms(speed=-1.0)["lane_align"] == pytest.approx(0.004 * -0.7975)


def test_lane_centre_is_paid_at_the_biased_centre():
    # |x - b| = 0: -0.006 * 0.2 * (0 - 0.05 / exp(-0.5)).
    assert terms(offset=0.25)["lane_centre"] == pytest.approx(0.0012 * 0.05 * np.exp(0.5))
    # |x - b| = 1.25: -0.0012 * (1.25 - 0.05 / exp(0.75)).
    assert terms(offset=-1.0)["lane_centre"] == pytest.approx(
        -0.0012 * (1.25 - 0.05 * np.exp(-0.75))
    )
    # Turned away by more than 60° only the bonus remains.
    assert terms(offset=-1.0, heading=1.2)["lane_centre"] == pytest.approx(
        0.0012 * 0.05 * np.exp(-0.75)
    )


def test_forward_pays_above_2_5_metres_per_second():
    assert terms(speed=2.4)["forward"] == 0.0
    assert terms(speed=2.6)["forward"] == pytest.approx(2.5e-3 * 0.2)
    assert terms(speed=8.0, heading=np.pi / 3)["forward"] == pytest.approx(2.5e-3 * 0.2 * 0.5)
    assert terms(speed=8.0, heading=2.0)["forward"] == 0.0


def test_reverse_costs_by_the_second():
    assert terms(speed=-0.1)["reverse"] == pytest.approx(-0.005 * 0.2)
    assert terms(speed=0.1)["reverse"] == 0.0


@pytest.mark.parametrize("fact", ["ran_red", "ran_stop", "out_of_turn"])
def test_each_line_violation_costs_the_stop_weight(fact):
    assert terms([fact])["stop_line"] == pytest.approx(-0.7)
    assert terms(["wrong_way"])["stop_line"] == 0.0


def test_time_costs_while_anything_moves():
    assert terms()["time"] == 0.0
    assert terms(speed=1.0)["time"] == pytest.approx(-2.5e-5 * 0.2)
    assert terms(acceleration=-1.0)["time"] == pytest.approx(-2.5e-5 * 0.2)


def test_terms_equal_the_papers_formulas_on_random_cases():
    rng, n = np.random.default_rng(0), 400
    low = [2, 0, 0, 0, 2.5e-4, 0, 2.5e-4, -0.5, 2.5e-4, 0, 2.5e-3, 2.5e-5]
    high = [12, 3, 3, 0.1, 2.5e-2, 1, 7.5e-3, 0.5, 7.5e-3, 1, 2.5e-3, 2.5e-5]
    p = rng.uniform(low, high, (n, 12)).T
    low, high = [[-2], [-5], [-4], [-9], [-9]], [[20], [2.5], [4], [9], [9]]
    v, a, b, j, k = rng.uniform(low, high, (5, n))
    theta, x = rng.uniform(-np.pi, np.pi, n), rng.normal(0, 1.5, n)
    facts, dt = rng.integers(0, 1024, n), rng.choice([0.1, 0.2, 0.25, 0.3], n)
    found = probes.rewards(
        p.T,
        probes.records(
            Body, n, speed=v, acceleration=a, lateral_acceleration=b, jerk=j, lateral_jerk=k
        ),
        probes.records(Place, n, heading_cos=np.cos(theta), heading_sin=np.sin(theta), offset=x),
        facts,
        dt,
    )

    def fact(*names):
        return (facts & sum(BIT[name] for name in names)) != 0

    away = np.abs(x - p[7])
    expected = np.stack(
        [
            fact("reached_goal", "reached_waypoint"),
            -(p[1] + 0.1 * np.abs(v)) * fact("collided"),
            -p[2] * fact("off_road"),
            -p[3]
            * (dt / 0.3)
            * ((np.abs(a) > 3) * 1.0 + (np.abs(b) > 3) + (np.maximum(np.abs(j), np.abs(k)) > 5)),
            p[4]
            * dt
            * (
                np.minimum(np.cos(theta), 0)
                + p[5] * np.minimum(v * np.cos(theta), 0)
                + 0.0025 * (1 - 2 * np.abs(theta) / np.pi)
            ),
            -p[6] * dt * ((np.cos(theta) > 0.5) * away - 0.05 / np.exp(away - 0.5)),
            p[10] * dt * np.maximum(np.cos(theta), 0) * (np.abs(v) > 2.5),
            -p[8] * dt * (v < 0),
            -p[9] * fact("ran_red", "ran_stop", "out_of_turn"),
            -p[11] * dt * ((v != 0) | (a != 0)),
        ],
        axis=1,
    )
    np.testing.assert_allclose(found, expected, rtol=2e-5, atol=2e-7)

import numpy as np
import pytest

from gigalane.sim.scene import Body, Traits
from reference import probes
from reference.boxes import touch
from reference.stage import PLAIN, Stage


def body_rows(cases):
    """Body and size rows of ((x, y, heading), (x, y, heading), length, width) cases."""
    before, after = np.array([c[0] for c in cases]), np.array([c[1] for c in cases])
    body = probes.records(
        Body,
        len(cases),
        x=after[:, 0],
        y=after[:, 1],
        heading=after[:, 2],
        cos=np.cos(after[:, 2]),
        sin=np.sin(after[:, 2]),
        past_x=before[:, 0],
        past_y=before[:, 1],
        past_cos=np.cos(before[:, 2]),
        past_sin=np.sin(before[:, 2]),
    )
    traits = probes.records(
        Traits, len(cases), length=[c[2] for c in cases], width=[c[3] for c in cases]
    )
    return body, traits


def random_case(rng, reach, turn):
    """A box that passes near the origin within a step."""
    heading = rng.uniform(-np.pi, np.pi)
    length = rng.uniform(0.8, 7.0)
    width = rng.uniform(0.4, min(length, 3.0))
    middle, step = rng.uniform(-4.0, 4.0, 2), rng.uniform(0.0, reach)
    way = heading + rng.normal(0.0, 0.2)
    half = 0.5 * step * np.array([np.cos(way), np.sin(way)])
    change = rng.uniform(-turn, turn)
    return (
        (*(middle - half), heading - 0.5 * change),
        (*(middle + half), heading + 0.5 * change),
        length,
        width,
    )


@pytest.mark.parametrize(("turn", "cases"), [(0.0, 500), (0.35, 400)])
def test_boxes_touch_exactly_where_their_swept_polygons_meet(turn, cases):
    rng = np.random.default_rng(int(10 * turn))
    pairs = [(random_case(rng, 9.0, turn), random_case(rng, 9.0, turn)) for _ in range(cases)]
    found = probes.touching(*body_rows([a for a, _ in pairs]), *body_rows([b for _, b in pairs]))
    tally = {True: 0, False: 0, None: 0}
    for (one, other), hit in zip(pairs, found, strict=True):
        expected, began = touch(one, other)
        if began:
            continue
        tally[expected] += 1
        assert expected is None or hit == expected, (one, other)
    assert tally[True] > 40 and tally[False] > 40
    assert tally[None] < 0.25 * cases


def test_contact_does_not_depend_on_who_is_asked():
    rng = np.random.default_rng(5)
    pairs = [(random_case(rng, 6.0, 0.3), random_case(rng, 6.0, 0.3)) for _ in range(2000)]
    one, other = body_rows([a for a, _ in pairs]), body_rows([b for _, b in pairs])
    assert np.array_equal(probes.touching(*one, *other), probes.touching(*other, *one))


def test_crossing_boxes_without_a_corner_inside_the_other_touch():
    # A plus sign: a pole 6 m x 0.4 m over another, both standing.
    east = ((0.0, 0.0, 0.0), (0.0, 0.0, 0.0), 6.0, 0.4)
    north = ((0.0, 0.0, np.pi / 2), (0.0, 0.0, np.pi / 2), 6.0, 0.4)
    assert probes.touching(*body_rows([east]), *body_rows([north]))[0]


def test_a_millimetre_apart_is_apart():
    # Bumper to bumper: centres 4 m apart touch, 4.001 m do not.
    still = ((0.0, 0.0, 0.0), (0.0, 0.0, 0.0), 4.0, 2.0)
    for gap, hit in ((-0.001, True), (0.001, False)):
        other = ((4.0 + gap, 0.0, 0.0), (4.0 + gap, 0.0, 0.0), 4.0, 2.0)
        assert probes.touching(*body_rows([still]), *body_rows([other]))[0] == hit


def test_levels_part_by_more_than_a_slope_of_one_in_five_explains():
    # 1.5 m and 20 % of the distance.
    assert probes.on_same_level([0, 0, 0, 0], [1.4, 1.6, 2.4, 2.6], [0, 0, 5, 5]).tolist() == [
        True,
        False,
        True,
        False,
    ]


def test_fast_cars_do_not_tunnel_through_each_other(straight):
    from dataclasses import replace

    # Head on at 20 m/s each, 11 m between centres: after 0.3 s they are 1 m past each other's
    # centre, so only the sweep can tell; 5 m long boxes would overlap, 0.8 m long ones do not.
    stage = Stage(straight, replace(PLAIN, time_steps=(0.3,)))
    stage.put("east", 100.0, speed=20.0, size=(0.8, 0.8))
    stage.put("east", 111.0, slot=1, speed=20.0, heading_error=np.pi, size=(0.8, 0.8))
    stage.put("east", 300.0, slot=2, speed=20.0, size=(0.8, 0.8))
    stage.step()
    gap = abs(float(stage.body["x"][0, 0] - stage.body["x"][0, 1]))
    assert gap == pytest.approx(1.0, abs=1e-3)
    assert "collided" in stage.facts(0) and "collided" in stage.facts(1)
    assert "collided" not in stage.facts(2)


def test_cars_above_and_below_a_bridge_do_not_collide(bridge):
    stage = Stage(bridge)
    stage.put("under", 199.0, speed=10.0)
    stage.put("over", 199.0, slot=1, speed=10.0)
    for _ in range(3):
        stage.step()
        assert stage.facts(0) == stage.facts(1) == set()
    # The same boxes on one level do collide.
    stage.put("under", 199.0, speed=10.0)
    stage.put("under", 199.0, slot=1, speed=10.0, heading_error=np.pi / 2)
    stage.step()
    assert "collided" in stage.facts(0) and "collided" in stage.facts(1)


def test_hard_braking_does_not_hide_a_touch(straight):
    from dataclasses import replace

    # A car stops within the step, having come 0.2 m closer; its speed after the step is zero.
    # It ends nose to nose with a pedestrian that it clipped on the way.
    settings = replace(PLAIN, time_steps=(0.3,), action="acceleration_steering")
    stage = Stage(straight, settings)
    stage.put("east", 100.0, speed=1.4, acceleration=-5.0, size=(4.0, 1.9))
    stage.put("east", 102.15 + 0.25, slot=1, kind="pedestrian", size=(0.5, 0.5), offset=0.3)
    actions = np.zeros((1, 4, 2))
    actions[0, 0] = -5.0, 0.0
    stage.step(actions)
    assert stage.body["speed"][0, 0] == 0.0
    # 0.5 * 1.4 * 0.3 = 0.21 m ahead: its bumper is at 102.21, the walker's back at 102.15.
    assert "collided" in stage.facts(0)

"""What a driver sees and earns does not depend on where the map lies or how it is turned."""

from dataclasses import replace

import numpy as np
import pytest

from gigalane.maps.compile import compile_map
from gigalane.sim.settings import (
    PersonaSettings,
    SimulatorSettings,
    SpawnSettings,
    TrafficSettings,
)
from gigalane.sim.simulator import Simulator
from reference import maps

SETTINGS = SimulatorSettings(
    worlds=3,
    agents=10,
    time_steps=(0.2,),
    spawn=SpawnSettings(lane_change=0.0, pedestrians=0.1, single_track=0.3),
    traffic=TrafficSettings(scripted=0.2, blind=0.0, braking=0.0),
    persona=replace(PersonaSettings(), centre_bias=(0.0, 0.0)),
)
MIRROR = np.array([2, 1, 0, 5, 4, 3, 8, 7, 6, 11, 10, 9])
"""The discrete action with its lateral jerk turned round."""


def run(compiled, steps=25, mirror=False):
    """Observations, rewards and facts of a run."""
    simulator = Simulator(compiled, SETTINGS, seed=17)
    scene, frames = simulator.scene, []
    for step in range(steps):
        actions = np.random.default_rng(step).choice([1, 4, 6, 7, 7, 8, 10, 10], SETTINGS_SHAPE)
        simulator.step(MIRROR[actions] if mirror else actions)
        frames.append(
            {
                name: getattr(scene, name).numpy().copy()
                for name in ("observation", "reward", "reward_terms", "events", "status", "active")
            }
        )
    return simulator, frames


SETTINGS_SHAPE = (SETTINGS.worlds, SETTINGS.agents)


def split(simulator, rows):
    """The slots of rows, tokens apart, in float64."""
    layout = simulator.layout
    rows = rows.astype(np.float64)
    count = len(rows)
    lines = rows[:, layout.controls_start :][:, : 6 * layout.controls]
    return {
        "given": rows[:, : layout.given],
        "road": rows[:, layout.road_start : layout.partners_start].reshape(count, -1, 6),
        "partners": rows[:, layout.partners_start : layout.controls_start].reshape(count, -1, 10),
        "controls": lines.reshape(count, -1, 6),
    }


def share_of_equal_roads(one, other, close):
    """Share of rows whose road tokens are the same set."""

    def key(tokens):
        order = np.lexsort(np.round(tokens[:, :2], 2).T)
        return tokens[order]

    same = [np.allclose(key(a), key(b), **close) for a, b in zip(one, other, strict=True)]
    return np.mean(same)


def assert_alike(plain, moved, reflect=None, close=None):
    """Compares two runs frame by frame."""
    close = close or {"rtol": 4e-3, "atol": 4e-3}
    simulator, frames = plain
    checked, road = 0, []
    for step, (one, other) in enumerate(zip(frames, moved[1], strict=True)):
        assert np.array_equal(one["status"], other["status"]), step
        assert np.array_equal(one["events"], other["events"]), step
        there = one["active"].astype(bool)
        np.testing.assert_allclose(one["reward_terms"], other["reward_terms"], rtol=2e-3, atol=2e-5)
        slots = split(simulator, one["observation"][there])
        others = split(simulator, other["observation"][there])
        if reflect:
            slots = reflect(slots)
        angle = slots["given"][:, 1] - others["given"][:, 1]
        assert np.abs(np.angle(np.exp(1j * angle))).max() < 0.01
        slots["given"][:, 1] = others["given"][:, 1]
        for name in ("given", "partners", "controls"):
            np.testing.assert_allclose(slots[name], others[name], **close, err_msg=name)
        # Farthest-point selection has near ties that rounding may break the other way.
        road.append(share_of_equal_roads(slots["road"], others["road"], close))
        checked += int(there.sum())
    assert np.mean(road) > 0.9, np.mean(road)
    return checked


def without_crossing():
    """The T junction; which way walkers call "along" a crossing is not part of its geometry."""
    return maps.junction((0.0, 180.0, 270.0), ("light", "light", "stop"))


ROADS = {"ring": maps.ring, "tee": without_crossing}


@pytest.fixture(scope="module", params=ROADS)
def plain(request):
    """A run on a map as it is, and what makes that map."""
    return run(compile_map(ROADS[request.param]())), ROADS[request.param]


@pytest.mark.parametrize("case", range(3))
def test_moving_and_turning_the_map_changes_nothing(plain, case):
    rng = np.random.default_rng(case)
    turn, shift = rng.uniform(-np.pi, np.pi), rng.uniform([-2e4, -2e4, -100], [2e4, 2e4, 1500])
    moved = compile_map(maps.transformed(plain[1](), turn, shift))
    assert assert_alike(plain[0], run(moved)) > 300


def reflected(slots):
    """What the slots of a mirrored world show."""
    given = slots["given"].copy()
    # Offset, heading error, curvature, wheels, lateral acceleration, way-points' y, lateral jerk.
    given[:, [0, 1, 2, 5, 7, 14, 17, 20, 23, 48]] *= -1.0
    road = slots["road"].copy()
    lane = road[..., 5] > 0
    edge = road[..., 5] < 0
    road[..., 1] *= -1.0
    road[..., 3][lane] *= -1.0
    # An edge keeps the road on its left, so in the mirror it runs the other way.
    road[..., 2][edge] *= -1.0
    partners = slots["partners"] * [1, -1, 1, -1, 1, -1, 1, 1, 1, 1]
    controls = slots["controls"] * [1, 1, -1, 1, 1, 1]
    return {"given": given, "road": road, "partners": partners, "controls": controls}


def test_mirrored_map_and_actions_give_the_mirrored_drive(plain):
    mirrored = run(compile_map(maps.transformed(plain[1](), mirror=True)), mirror=True)
    assert assert_alike(plain[0], mirrored, reflected) > 300

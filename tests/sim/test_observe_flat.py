import numpy as np
import pytest

from gigalane.maps.compile import CompileSettings, compile_map
from gigalane.maps.tokens import TokenSettings, choose_tokens
from gigalane.sim.events import COLLIDED, REACHED_GOAL, REACHED_WAYPOINT
from gigalane.sim.scene import BLIND
from gigalane.sim.settings import ObservationSettings, SimulatorSettings
from gigalane.sim.simulator import Simulator
from reference.observation import in_frame

# Half precision keeps 11 bits; float32 rounding of metres far from the origin adds a little.
CLOSE = {"rtol": 6e-4, "atol": 4e-4}


def seven(body, other, sizes, last):
    """A token worked out from two poses: where the other is, its sizes, how it is turned."""
    x, y = in_frame(body, other["x"], other["y"])
    turn = np.arctan2(other["sin"], other["cos"]) - np.arctan2(body["sin"], body["cos"])
    return [x / 50.0, y / 50.0, *sizes, np.cos(turn), np.sin(turn), last]


def twin(simulator, world, agent):
    """A row in the flat format, number by number in float64."""
    scene, one = simulator.scene, simulator.maps[0]
    body, traits = scene.body.numpy()[world], scene.traits.numpy()[world]
    me, size = body[agent], traits[agent]
    route, facts = scene.route.numpy()[world, agent], int(scene.events.numpy()[world, agent])
    target = int(route["waypoint_index"])
    x, y = in_frame(me, route["waypoint_x"][target], route["waypoint_y"][target])
    age = float(scene.duty.numpy()[world, agent]["age"])
    row = [
        *(x / 50.0, y / 50.0, me["speed"] / 20.0, size["width"] / 2.0, size["length"] / 5.0),
        float(facts & COLLIDED > 0),
        float(facts & (REACHED_GOAL | REACHED_WAYPOINT) > 0 or age == 0.0),
    ]
    place = one.segments[scene.place.numpy()[world, agent]["segment"]]
    road = np.zeros((simulator.layout.road, 7))
    if place["tokens"] >= 0:
        for token, index in zip(road, one.road_tokens[place["tokens"]], strict=True):
            if index >= 0:
                point = one.road_points[index]
                sizes = point["length"] / 5.0, point["half_width"] / 5.0
                token[:] = seven(me, point, sizes, point["kind"])
    partners = np.zeros((simulator.layout.partners, 7))
    there = scene.boxes.numpy()[world, 8] >= 0
    gaps = np.hypot(body["x"] - me["x"], body["y"] - me["y"])
    others = [k for k in np.argsort(gaps) if k != agent and there[k] and gaps[k] < 50.0]
    if size["driver"] == BLIND:
        others = []
    for token, k in zip(partners, others, strict=False):
        sizes = traits[k]["width"] / 2.0, traits[k]["length"] / 5.0
        token[:] = seven(me, body[k], sizes, body[k]["speed"] / 20.0)
    values = np.concatenate([row, road.ravel(), partners.ravel()])
    return np.concatenate([values, np.zeros(simulator.layout.width - len(values))])


@pytest.mark.parametrize(("name", "partners"), [("ring_road", 63), ("tee_road", 3)])
def test_every_number_of_a_flat_row_is_the_twins(name, partners, request):
    tokens = TokenSettings(lane_points=20, edge_points=17, reach=60.0, nearest=True)
    compiled = compile_map(request.getfixturevalue(name), CompileSettings(tokens=tokens))
    seen = ObservationSettings(partners=partners, partner_range=50.0, controls=0, flat=True)
    settings = SimulatorSettings(worlds=4, agents=12, time_steps=(0.2,), observation=seen)
    simulator = Simulator(compiled, settings, seed=3)
    rng, flags = np.random.default_rng(0), np.zeros(2)
    for _ in range(4):
        for _ in range(6):
            simulator.step(rng.integers(0, 12, (4, 12)))
        found = simulator.scene.observation.numpy().astype(np.float64)
        for world, agent in np.argwhere(simulator.scene.status.numpy() > 0):
            expected = twin(simulator, world, agent)
            assert np.allclose(found[world, agent], expected, **CLOSE), (world, agent)
            flags += expected[5:7]
    assert flags.all()


def test_the_peers_row_has_its_1848_numbers(ring_road):
    compiled = compile_map(ring_road, CompileSettings(tokens=TokenSettings.peer()))
    settings = SimulatorSettings(worlds=1, agents=3, observation=ObservationSettings.peer())
    layout = Simulator(compiled, settings).layout
    assert (layout.given, layout.road, layout.partners, layout.controls) == (7, 200, 63, 0)
    assert (layout.road_start, layout.partners_start) == (7, 7 + 200 * 7)
    assert layout.width == 1848


def test_nearest_tokens_are_the_nearest_points_of_all_kinds(ring):
    settings = TokenSettings(lane_points=15, edge_points=10, lane_share_behind=1.0, nearest=True)
    anchors = ring.segments[ring.segments["tokens"] >= 0][::29]
    points = ring.road_points
    for anchor, row in zip(anchors, choose_tokens(anchors, points, settings), strict=True):
        x = anchor["x"] + 0.5 * anchor["length"] * anchor["cos"]
        y = anchor["y"] + 0.5 * anchor["length"] * anchor["sin"]
        away = np.hypot(points["x"] - x, points["y"] - y)
        assert len(set(row.tolist())) == 25
        # Points equally far may change places.
        assert away[row] == pytest.approx(np.sort(away)[:25], abs=1e-3)
        assert {1.0, -1.0} == set(points["kind"][row].tolist())

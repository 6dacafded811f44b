import numpy as np
import pytest
import shapely

from gigalane.maps.arrays import CELL_SIZE, DRIVABLE, RULE_LIGHT, RULE_STOP, SEAM, WALKABLE
from gigalane.maps.compile import CompileSettings, compile_map
from gigalane.maps.road import LaneType, MapError, RoadMap
from gigalane.maps.stack import stack_maps
from gigalane.maps.tokens import TokenSettings, choose_tokens
from reference import maps
from reference.road import drivable_surface, lane_surface, quads

CHORD_ERROR = CompileSettings().chord_error


def pieces_of(compiled, lane_id):
    record = compiled.lanes[compiled.lane_ids.index(lane_id)]
    first = int(record["first_segment"])
    return compiled.segments[first : first + int(record["segment_count"])]


def test_segments_cover_their_lane_to_the_chord_error(ring_road, ring, tee_road, tee):
    for road_map, compiled in ((ring_road, ring), (tee_road, tee)):
        for lane in road_map.lanes:
            pieces = pieces_of(compiled, lane.id)
            covered = shapely.union_all(shapely.polygons(quads(pieces)).tolist())
            surface = lane_surface(lane, compiled.origin_map)
            # Each may leave the other by the chord error, and by rounding.
            slack = 2.0 * CHORD_ERROR
            assert covered.difference(surface.buffer(slack)).area < 1e-3, lane.id
            assert surface.difference(covered.buffer(slack)).area < 1e-3, lane.id


def test_segments_are_short_and_follow_one_another(ring_road, ring):
    for lane in ring_road.lanes:
        pieces = pieces_of(ring, lane.id)
        assert pieces["length"].max() <= 5.0 + 1e-4
        ends = np.stack(
            [
                pieces["x"] + pieces["length"] * pieces["cos"],
                pieces["y"] + pieces["length"] * pieces["sin"],
                pieces["z"] + pieces["length"] * pieces["slope"],
            ],
            axis=1,
        )
        starts = np.stack([pieces[n] for n in "xyz"], axis=1)
        np.testing.assert_allclose(ends[:-1], starts[1:], atol=2e-5)
        np.testing.assert_allclose(pieces["arc"][1:], np.cumsum(pieces["length"])[:-1], rtol=1e-5)
        first, last = lane.centerline[0] - ring.origin_map, lane.centerline[-1] - ring.origin_map
        np.testing.assert_allclose(starts[0], first, atol=1e-5)
        np.testing.assert_allclose(ends[-1], last, atol=1e-4)
        record = ring.lanes[ring.lane_ids.index(lane.id)]
        # Chords shorten a lane by less than they leave it.
        assert lane.length - 0.3 < record["length"] <= lane.length + 1e-3


def test_lanes_drawn_with_few_points_are_cut_as_short():
    compiled = compile_map(RoadMap("sparse", (maps.make_lane("long", [(0, 0, 0), (90, 0, 9)]),)))
    pieces = pieces_of(compiled, "long")
    assert len(pieces) == 18
    np.testing.assert_allclose(pieces["length"], 5.0, rtol=1e-5)
    np.testing.assert_allclose(pieces["slope"], 0.1, rtol=1e-5)
    np.testing.assert_allclose(pieces["half_width_end"], 1.75, rtol=1e-5)


def test_widths_and_curvature_are_those_of_the_lane():
    radius, turn = 40.0, np.linspace(0.0, 1.5, 301)
    circle = radius * np.column_stack([np.cos(turn), np.sin(turn)])
    lanes = (maps.make_lane("left", circle, 3.0), maps.make_lane("right", circle[::-1], 3.0))
    compiled = compile_map(RoadMap("bend", lanes))
    for lane_id, sign in (("left", 1.0), ("right", -1.0)):
        pieces = pieces_of(compiled, lane_id)
        np.testing.assert_allclose(pieces["curvature"], sign / radius, rtol=0.02)
        np.testing.assert_allclose(pieces["half_width_start"], 1.5, atol=0.01)


def test_every_cell_lists_the_surfaces_that_reach_into_it(ring, tee):
    rng = np.random.default_rng(0)
    for compiled in (ring, tee):
        with_lane = np.flatnonzero(compiled.segments["lane"] >= 0)
        corners = quads(compiled.segments[with_lane])
        weights = rng.dirichlet([0.3] * 4, (len(corners), 20))
        points = np.einsum("nkc,ncd->nkd", weights, corners)
        # A surface counts as reaching `SEAM` beyond its edges.
        points += rng.uniform(-0.7, 0.7, points.shape) * SEAM
        record = compiled.record
        column = np.floor((points[..., 0] - record["grid_x"]) / CELL_SIZE).astype(int)
        row = np.floor((points[..., 1] - record["grid_y"]) / CELL_SIZE).astype(int)
        assert (column >= 0).all() and (column < record["columns"]).all()
        assert (row >= 0).all() and (row < record["rows"]).all()
        cell = row * int(record["columns"]) + column
        for segment, cells in zip(with_lane, cell, strict=True):
            for one in set(cells.tolist()):
                start, end = compiled.cell_offsets[one], compiled.cell_offsets[one + 1]
                assert segment in compiled.cell_segments[start:end]


def frame_of_lanes(hole):
    """Four lanes of one junction around a square hole of a side [m]."""
    h = 0.5 * hole + 1.75
    ends = [
        ((-h - 1.75, -h), (h - 1.75, -h)),
        ((h, -h - 1.75), (h, h - 1.75)),
        ((h + 1.75, h), (-h + 1.75, h)),
        ((-h, h + 1.75), (-h, -h + 1.75)),
    ]
    lanes = [
        maps.make_lane(f"side:{k}", maps.line(*pair), is_junction=True, junction="J")
        for k, pair in enumerate(ends)
    ]
    return RoadMap("frame", tuple(lanes))


def test_small_holes_between_the_lanes_of_a_junction_are_road():
    for hole, area in ((4.0, 16.0), (9.0, 81.0), (12.0, 0.0)):
        compiled = compile_map(frame_of_lanes(hole))
        filled = compiled.segments[compiled.segments["lane"] < 0]
        assert (filled["flags"] == DRIVABLE).all()
        corners = np.stack(
            [
                meet(filled, *pair)
                for pair in (("right", "front"), ("front", "left"), ("left", "right"))
            ],
            axis=1,
        )
        triangles = shapely.union_all(shapely.polygons(corners).tolist())
        assert triangles.area == pytest.approx(area, abs=1e-3)
        square = shapely.box(-0.5 * hole, -0.5 * hole, 0.5 * hole, 0.5 * hole)
        square = shapely.transform(square, lambda xy, o=compiled.origin_map: xy - o[:2])
        assert triangles.difference(square.buffer(1e-3)).area < 1e-6
        # No edge of the road is seen towards a filled hole.
        edges = compiled.road_points[compiled.road_points["kind"] < 0]
        where = shapely.points(np.stack([edges["x"], edges["y"]], axis=1))
        towards_hole = (shapely.distance(where, square) < 0.1).sum()
        assert (towards_hole > 0) == (area == 0.0)


def test_slits_between_the_lanes_of_a_junction_are_road():
    lanes = [
        maps.make_lane(
            f"lane:{k}", maps.line((0, 3.9 * k), (30, 3.9 * k)), is_junction=True, junction="J"
        )
        for k in range(2)
    ]
    compiled = compile_map(RoadMap("slit", tuple(lanes)))
    filled = compiled.segments[compiled.segments["lane"] < 0]
    corners = np.stack(
        [
            meet(filled, *pair)
            for pair in (("right", "front"), ("front", "left"), ("left", "right"))
        ],
        axis=1,
    )
    assert shapely.union_all(shapely.polygons(corners).tolist()).area == pytest.approx(0.4 * 30.0)


def meet(segments, one, other):
    """Where two edges of each segment meet, (N, 2) [m]."""
    matrix = np.stack([[segments[f"{edge}_x"], segments[f"{edge}_y"]] for edge in (one, other)])
    bounds = np.stack([segments[f"{one}_bound"], segments[f"{other}_bound"]], axis=-1)
    matrix = np.moveaxis(matrix, -1, 0).astype(float)
    if not len(matrix):
        return np.zeros((0, 2))
    return np.linalg.solve(matrix, bounds.astype(float)[..., None])[..., 0]


def test_road_edges_lie_all_along_the_border_of_the_drivable_surface(ring_road, ring):
    border = drivable_surface(ring_road, ring.origin_map).boundary
    edges = ring.road_points[ring.road_points["kind"] < 0]
    where = shapely.points(np.stack([edges["x"], edges["y"]], axis=1))
    assert shapely.distance(where, border).max() < 2.5 * CHORD_ERROR
    along = border.segmentize(1.0)
    gap = shapely.distance(
        shapely.points(shapely.get_coordinates(along)), shapely.multipoints(where)
    )
    assert gap.max() < 3.5
    # The road is on the left of an edge.
    left = np.stack([edges["x"] - 0.5 * edges["sin"], edges["y"] + 0.5 * edges["cos"]], axis=1)
    assert shapely.contains(
        drivable_surface(ring_road, ring.origin_map), shapely.points(left)
    ).all()


def test_lane_points_are_the_middles_of_routable_segments(tee_road, tee):
    points = tee.road_points[tee.road_points["kind"] > 0]
    centres = shapely.union_all(
        [
            shapely.LineString(lane.centerline[:, :2] - tee.origin_map[:2])
            for lane in tee_road.routable_lanes
        ]
    )
    where = shapely.points(np.stack([points["x"], points["y"]], axis=1))
    assert shapely.distance(where, centres).max() < 1.5 * CHORD_ERROR
    np.testing.assert_allclose(points["half_width"], 1.75, atol=0.02)
    assert len(points) == sum(len(pieces_of(tee, lane.id)) for lane in tee_road.routable_lanes)


def test_lane_graph_is_the_road_maps(ring_road, ring, tee_road, tee):
    for road_map, compiled in ((ring_road, ring), (tee_road, tee)):
        for lane in road_map.lanes:
            record = compiled.lanes[compiled.lane_ids.index(lane.id)]

            def linked(what, record=record, compiled=compiled):
                start, count = record[f"{what}_start"], record[f"{what}_count"]
                return {compiled.lane_ids[i] for i in compiled.lane_links[start : start + count]}

            assert linked("successor") == set(lane.successors)
            assert linked("predecessor") == set(lane.predecessors)
            for side, id_ in (("left", lane.left_neighbor), ("right", lane.right_neighbor)):
                at = int(record[side])
                assert (compiled.lane_ids[at] if at >= 0 else None) == id_
            assert (record["junction"] >= 0) == lane.is_junction
            limit = 50.0 / 3.6 if lane.speed_limit is None else lane.speed_limit
            assert record["speed_limit"] == pytest.approx(limit)


def test_routes_never_lead_onto_a_pavement():
    drive = maps.make_lane("drive", maps.line((0, 0), (50, 0)), successors=("walk", "on"))
    walk = maps.make_lane("walk", maps.line((50, 0), (90, 0)), type=LaneType.SIDEWALK)
    on = maps.make_lane("on", maps.line((50, 0), (90, 1)))
    compiled = compile_map(RoadMap("mixed", (drive, walk, on)))
    record = compiled.lanes[0]
    links = compiled.lane_links[record["successor_start"] :][: record["successor_count"]]
    assert [compiled.lane_ids[i] for i in links] == ["on"]


def test_stop_lines_keep_their_ends_direction_and_rule(tee_road, tee):
    for row, line in zip(tee.controls, tee_road.stop_lines, strict=True):
        lane = tee_road.lane_by_id[line.lanes[0]]
        ends = line.polyline - tee.origin_map
        np.testing.assert_allclose([row["left_x"], row["left_y"]], ends[0, :2], atol=1e-4)
        np.testing.assert_allclose([row["right_x"], row["right_y"]], ends[1, :2], atol=1e-4)
        travel = lane.centerline[-1] - lane.centerline[-2]
        travel /= np.linalg.norm(travel)
        np.testing.assert_allclose([row["cos"], row["sin"]], travel[:2], atol=1e-4)
        assert row["rule"] == {"light": RULE_LIGHT, "stop": RULE_STOP}[line.rule.value]
        assert (row["light"] >= 0) == (row["program"] >= 0) == (row["rule"] == RULE_LIGHT)


def test_each_light_is_green_in_the_stages_that_name_its_group(tee_road, tee):
    lights = [k for k, line in enumerate(tee_road.stop_lines) if line.rule == "light"]
    assert [int(tee.controls["green_stages"][k]) for k in lights] == [0b01, 0b10]
    assert tee.stages.tolist() == [[10.0, 3.0, 2.0]] * 2
    assert tee.programs["stage_count"].tolist() == [2]


def test_lanes_know_the_stop_lines_ahead_and_how_far_they_are():
    # 60 m, then a bend of 20 m, then a lane with a stop line 30 m along it.
    first = maps.make_lane("first", maps.line((0, 0), (60, 0)), successors=("bend",))
    turn = np.linspace(0.0, np.pi / 2, 60)
    radius = 20.0 / (np.pi / 2)
    arc = np.column_stack([60 + radius * np.sin(turn), radius * (1 - np.cos(turn))])
    bend = maps.make_lane("bend", arc, successors=("last",), predecessors=("first",))
    end = arc[-1]
    last = maps.make_lane("last", maps.line(end, (end[0], end[1] + 40)), predecessors=("bend",))
    ends = np.array([[end[0] - 1.75, end[1] + 30, 0], [end[0] + 1.75, end[1] + 30, 0]])
    line = maps.StopLine("s", maps.StopRule.STOP, ends, ("last",))
    compiled = compile_map(
        RoadMap("L", (first, bend, last), stop_lines=(line,)), CompileSettings(control_range=70.0)
    )
    seen = {}
    for id_, record in zip(compiled.lane_ids, compiled.lanes, strict=True):
        rows = compiled.lane_controls[record["control_start"] :][: record["control_count"]]
        seen[id_] = rows["distance"].tolist()
    assert seen["last"] == pytest.approx([30.0], abs=0.05)
    assert seen["bend"] == pytest.approx([50.0], abs=0.1)
    # Who leaves "first" is 50 m from the line, well in sight.
    assert seen["first"] == pytest.approx([110.0], abs=0.1)


def test_tokens_are_the_farthest_points_first_and_denser_near_the_driver(ring):
    settings = TokenSettings(lane_points=9, edge_points=7, reach=45.0)
    anchors = np.flatnonzero(ring.segments["tokens"] >= 0)[::37]
    chosen = choose_tokens(ring.segments[anchors], ring.road_points, settings)
    lanes = int((ring.road_points["kind"] > 0).sum())
    x, y = ring.road_points["x"].astype(float), ring.road_points["y"].astype(float)
    differing = 0
    for row, anchor in zip(chosen, ring.segments[anchors], strict=True):
        ax = anchor["x"] + 0.5 * anchor["length"] * anchor["cos"]
        ay = anchor["y"] + 0.5 * anchor["length"] * anchor["sin"]
        ahead = (x - ax) * anchor["cos"] + (y - ay) * anchor["sin"]
        side = (y - ay) * anchor["cos"] - (x - ax) * anchor["sin"]
        away = np.hypot(np.where(ahead < 0, 2.5 * ahead, ahead), side)
        for part, tokens in ((slice(0, lanes), row[:9]), (slice(lanes, None), row[9:])):
            near = np.flatnonzero(away[part] <= 45.0) + (part.start or 0)
            wanted = 2.0 + 0.15 * away[near]
            twin = [int(near[away[near].argmin()])]
            gap = np.full(len(near), np.inf)
            while len(twin) < min(len(tokens), len(near)):
                gap = np.minimum(
                    gap, np.hypot(x[near] - x[twin[-1]], y[near] - y[twin[-1]]) / wanted
                )
                twin.append(int(near[gap.argmax()]))
            twin += [-1] * (len(tokens) - len(twin))
            differing += tokens.tolist() != twin
    # Ties within rounding may fall either way.
    assert differing <= 0.1 * 2 * len(anchors)


def test_gigaflow_tokens_are_80_lane_and_80_edge_points(ring_road):
    compiled = compile_map(ring_road, CompileSettings(tokens=TokenSettings.gigaflow()))
    assert compiled.road_tokens.shape[1] == 160
    kinds = compiled.road_points["kind"][compiled.road_tokens[0]]
    assert (kinds[:80] > 0).all() and (kinds[80:] < 0).all()


def test_spawn_segments_are_the_routable_ones_outside_junctions(tee_road, tee):
    lane = tee.segments["lane"][tee.spawn_segments]
    names = {tee.lane_ids[i] for i in lane}
    assert names == {one.id for one in tee_road.routable_lanes if not one.is_junction}
    lengths = tee.segments["length"][tee.spawn_segments].astype(float)
    np.testing.assert_allclose(tee.spawn_lengths, np.cumsum(lengths), rtol=1e-5)
    assert float(tee.record["spawn_length"]) == pytest.approx(6 * 120.0, rel=1e-4)


def test_crossings_become_lanes_for_walkers_across_the_road(tee_road, tee):
    lane = tee.lane_ids.index("crossing:zebra")
    assert lane in tee.walk_lanes.tolist()
    record = tee.lanes[lane]
    assert record["flags"] & WALKABLE and not record["flags"] & DRIVABLE
    # The outline is 9 m across the road and 4 m along it.
    assert record["length"] == pytest.approx(9.0, abs=1e-3)
    pieces = pieces_of(tee, "crossing:zebra")
    np.testing.assert_allclose(pieces["half_width_start"], 2.0, atol=1e-3)


def test_map_without_a_drivable_lane_is_refused():
    walk = maps.make_lane("walk", maps.line((0, 0), (50, 0)), type=LaneType.SIDEWALK)
    with pytest.raises(MapError, match="park: lanes: no drivable lane"):
        compile_map(RoadMap("park", (walk,)))


def test_local_coordinates_stay_exact_far_from_the_map_origin(ring_road, ring):
    far = compile_map(maps.transformed(ring_road, shift=(4.0e5, 5.5e6, 300.0)))
    there = np.stack([far.segments[n].astype(float) for n in "xyz"], 1) + far.origin_map
    here = np.stack([ring.segments[n].astype(float) for n in "xyz"], 1) + ring.origin_map
    np.testing.assert_allclose(there - [4.0e5, 5.5e6, 300.0], here, atol=1e-4)


def test_stacked_maps_keep_their_own_rows(straight, all_way_stop, ring, tee):
    road = stack_maps([straight, all_way_stop, ring, tee], "cpu")
    records = road.maps.numpy()
    segments, lanes, links = road.segments.numpy(), road.lanes.numpy(), road.lane_links.numpy()
    cells, offsets = road.cell_segments.numpy(), road.cell_offsets.numpy()
    tokens, points = road.road_tokens.numpy(), road.road_points.numpy()
    controls_ahead, controls = road.lane_controls.numpy(), road.controls.numpy()
    first_segment = first_lane = 0
    for record, one in zip(records, (straight, all_way_stop, ring, tee), strict=True):
        own = segments[first_segment : first_segment + len(one.segments)]
        for name in ("x", "y", "left_bound", "flags", "arc"):
            assert np.array_equal(own[name], one.segments[name])
        has_lane = one.segments["lane"] >= 0
        assert np.array_equal(own["lane"][has_lane] - first_lane, one.segments["lane"][has_lane])
        assert (own["lane"][~has_lane] == -1).all()
        seen = one.segments["tokens"] >= 0
        theirs = one.road_tokens[one.segments["tokens"][seen]]
        ours = tokens[own["tokens"][seen]]
        assert np.array_equal(ours < 0, theirs < 0)
        assert np.array_equal(points["x"][ours][ours >= 0], one.road_points["x"][theirs][ours >= 0])
        for k, lane in enumerate(one.lanes):
            row = lanes[first_lane + k]
            own_links = links[row["successor_start"] :][: row["successor_count"]] - first_lane
            start, count = lane["successor_start"], lane["successor_count"]
            assert np.array_equal(own_links, one.lane_links[start : start + count])
            ahead = controls_ahead[row["control_start"] :][: row["control_count"]]
            theirs = one.lane_controls[lane["control_start"] :][: lane["control_count"]]
            assert np.array_equal(ahead["distance"], theirs["distance"])
            for name in ("left_x", "right_y", "rule", "light", "green_stages"):
                expected = one.controls[name][theirs["control"]]
                assert np.array_equal(controls[name][ahead["control"]], expected)
        count = int(one.record["columns"] * one.record["rows"])
        start = int(record["cell_start"])
        assert np.array_equal(
            np.diff(offsets[start : start + count + 1]), np.diff(one.cell_offsets)
        )
        entries = cells[offsets[start] : offsets[start + count]] - first_segment
        assert np.array_equal(entries, one.cell_segments)
        first_segment += len(one.segments)
        first_lane += len(one.lanes)


def test_maps_with_different_numbers_of_tokens_cannot_share_a_batch(straight, ring_road):
    other = compile_map(ring_road, CompileSettings(tokens=TokenSettings(lane_points=5)))
    with pytest.raises(ValueError, match="road tokens"):
        stack_maps([straight, other], "cpu")


@pytest.mark.data
def test_surface_of_a_real_town_is_covered_without_seams(town_roads, town):
    # Every point of every lane, but for 2 cm along its outer edges, counts as paved.
    rng = np.random.default_rng(0)
    segments = town.segments[(town.segments["flags"] & DRIVABLE) > 0]
    points = []
    for lane in town_roads.lanes:
        if lane.is_drivable and len(lane.centerline) > 2:
            row = rng.integers(0, len(lane.centerline) - 1, 40)
            t, side = rng.random((40, 1)), rng.choice([0.004, 0.3, 0.7, 0.996], (40, 1))
            left = lane.left_boundary[row] * (1 - t) + lane.left_boundary[row + 1] * t
            right = lane.right_boundary[row] * (1 - t) + lane.right_boundary[row + 1] * t
            points.append(((left * side + right * (1 - side)) - town.origin_map)[:, :2])
    points = np.concatenate(points)
    middle = np.stack(
        [
            segments["x"] + 0.5 * segments["length"] * segments["cos"],
            segments["y"] + 0.5 * segments["length"] * segments["sin"],
        ],
        1,
    )
    asked, near = shapely.STRtree(shapely.points(middle)).query(
        shapely.points(points), predicate="dwithin", distance=6.0
    )
    piece = segments[near]
    inside = np.ones(len(asked), bool)
    for edge in ("back", "front", "left", "right"):
        inside &= (
            piece[f"{edge}_x"] * points[asked, 0] + piece[f"{edge}_y"] * points[asked, 1]
            <= piece[f"{edge}_bound"] + SEAM
        )
    paved = np.bincount(asked[inside], minlength=len(points)) > 0
    assert paved.mean() > 0.9999, f"{(~paved).sum()} of {len(paved)} points are unpaved"

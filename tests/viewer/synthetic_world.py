"""A small town and traffic on it, for tests of what draws them: no simulator, no files.

`crossroads` is a junction with lights, crossings and sidewalks; `traffic` sends road users along
the lanes of any map, with made-up incidents, rewards and personas.
"""

from __future__ import annotations

import numpy as np

from gigalane.maps.road import (
    Boundary,
    BoundaryType,
    Crossing,
    Lane,
    LaneType,
    MarkType,
    RoadMap,
    RoadMark,
    Signal,
    SignalType,
    StopLine,
    StopRule,
)
from gigalane.sim.recording import Recording

WIDTH = 3.5
NEAR, FAR = 16.0, 120.0
EVENTS = ("collided", "off_road", "ran_red", "wrong_way", "reached_goal")
REWARDS = ("progress", "goal", "collision", "off_road", "red_light", "lane_center", "comfort")
PERSONA = ("comfort", "lane_keeping", "goal_radius", "target_speed", "patience")
SIZES = ((4.6, 1.9, 1.5), (8.5, 2.5, 3.2), (1.8, 0.7, 1.7), (0.6, 0.6, 1.75))


def _turned(points, quarter):
    x, y = np.asarray(points, float).T
    for _ in range(quarter):
        x, y = -y, x
    return np.stack([x, y, np.zeros_like(x)], axis=1)


def _arc(start, end, count=24):
    """A quadratic curve through the corner of two axis-parallel directions."""
    (x0, y0, h0), (x1, y1, h1) = start, end
    t = np.linspace(0, 1, count)[:, None]
    if abs(np.sin(h1 - h0)) < 1e-6:
        return (1 - t) * [x0, y0] + t * [x1, y1]
    corner = [x1, y0] if abs(np.cos(h0)) > 0.5 else [x0, y1]
    return (1 - t) ** 2 * [x0, y0] + 2 * t * (1 - t) * np.array(corner) + t**2 * [x1, y1]


def _lane(name, center, width=WIDTH, kind=LaneType.DRIVING, height=0.0, **rest):
    center = np.asarray(center, float)[:, :2]
    tangent = np.gradient(center, axis=0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    left = np.stack([-tangent[:, 1], tangent[:, 0]], axis=1) * width / 2
    lift = np.full((len(center), 1), height)
    lines = [np.hstack([p, lift]) for p in (center, center + left, center - left)]
    return Lane(name, kind, *lines, speed_limit=13.9, **rest)


def crossroads(name="Crossroads"):
    """Four arms of two lanes each way around a junction at the origin."""
    length = np.linspace(NEAR, FAR, 40)
    lanes, lines, crossings, boundaries, signals = [], [], [], [], []
    for arm in range(4):
        for slot in range(2):
            y = (slot + 0.5) * WIDTH
            inner, outer = slot == 0, slot == 1
            marks = {
                "left_marks": (
                    RoadMark(0, 999, MarkType.SOLID_SOLID, "yellow")
                    if inner
                    else RoadMark(0, 999, MarkType.BROKEN),
                ),
                "right_marks": (RoadMark(0, 999, MarkType.SOLID),) if outer else (),
            }
            into = _turned(np.stack([length[::-1], np.full(40, y)], axis=1), arm)
            away = _turned(np.stack([length, np.full(40, -y)], axis=1), arm)
            exits = _exits(arm, slot)
            lanes.append(
                _lane(
                    f"in{arm}{slot}",
                    into,
                    successors=tuple(f"j{arm}{slot}-{a}{s}" for a, s in exits),
                    left_neighbor=None if inner else f"in{arm}0",
                    **marks,
                )
            )
            lanes.append(
                _lane(
                    f"out{arm}{slot}",
                    away,
                    left_neighbor=None if inner else f"out{arm}0",
                    **marks,
                )
            )
            for a, s in exits:
                start = (*into[-1, :2], _heading(into))
                out = _turned([[NEAR, -(s + 0.5) * WIDTH], [NEAR + 1, -(s + 0.5) * WIDTH]], a)
                end = (*out[0, :2], _heading(out))
                lanes.append(
                    _lane(
                        f"j{arm}{slot}-{a}{s}",
                        _arc(start, end),
                        successors=(f"out{a}{s}",),
                        is_junction=True,
                    )
                )
        edge = 2 * WIDTH
        for side in (1, -1):
            walk = np.stack([length, np.full(40, side * (edge + 1.2))], axis=1)
            lanes.append(_lane(f"walk{arm}{side}", _turned(walk, arm), 2.4, LaneType.SIDEWALK))
        curve = _arc((FAR, edge, np.pi), (NEAR, edge, np.pi), 8).tolist()
        curve += _arc((NEAR, edge, np.pi), (edge, NEAR, np.pi / 2), 12).tolist()
        curve += _arc((edge, NEAR, np.pi / 2), (edge, FAR, np.pi / 2), 8).tolist()
        boundaries.append(Boundary(f"edge{arm}", BoundaryType.CURB, _turned(curve, arm)))
        outline = _turned([[NEAR + 2, -edge], [NEAR + 6, -edge], [NEAR + 6, edge],
                           [NEAR + 2, edge]], arm)  # fmt: skip
        crossings.append(Crossing(f"crossing{arm}", outline))
        stop = _turned([[NEAR + 7.5, 0], [NEAR + 7.5, edge]], arm)
        signals.append(
            Signal(
                f"light{arm}",
                SignalType.TRAFFIC_LIGHT,
                _turned([[NEAR + 7.5, edge + 0.8]], arm)[0],
                0.0,
            )
        )
        lines.append(
            StopLine(
                f"stop{arm}",
                StopRule.LIGHT,
                stop,
                (f"in{arm}0", f"in{arm}1"),
                (f"light{arm}",),
            )
        )
    return RoadMap(name, tuple(lanes), tuple(boundaries), tuple(signals), (), tuple(lines),
                   tuple(crossings))  # fmt: skip


def _exits(arm, slot):
    """Left and straight from the inner lane, straight and right from the outer one."""
    return [((arm + 3) % 4, 0), ((arm + 2) % 4, 0)] if slot == 0 else [
        ((arm + 2) % 4, 1), ((arm + 1) % 4, 1)]  # fmt: skip


def _heading(points):
    step = np.diff(points[-2:, :2], axis=0)[0]
    return float(np.arctan2(step[1], step[0]))


def bridge(height=6.0):
    """Two straight roads; the second passes over the first at right angles."""
    along = np.linspace(-60, 60, 41)
    low = np.stack([along, 0 * along], axis=1)
    high = np.stack([0 * along, along], axis=1)
    marks = (RoadMark(0, 999, MarkType.SOLID),)
    return RoadMap("Bridge", (
        _lane("low", low, left_marks=marks, right_marks=marks),
        _lane("high", high, height=height, left_marks=marks, right_marks=marks),
    ))  # fmt: skip


class _Walker:
    """One road user on a random walk along the lane graph."""

    def __init__(self, road_map, random, kind, driver, reach):
        self.road_map, self.random, self.kind, self.driver = road_map, random, kind, driver
        lanes = [ln for ln in road_map.routable_lanes if not ln.is_junction and ln.length > 8]
        lane = lanes[random.integers(len(lanes))]
        points = [lane.centerline]
        travelled = lane.length
        while travelled < reach and lane.successors:
            names = [n for n in lane.successors if n in road_map.lane_by_id]
            if not names:
                break
            lane = road_map.lane_by_id[names[random.integers(len(names))]]
            points.append(lane.centerline[1:])
            travelled += lane.length
        path = np.concatenate(points)
        steps = np.linalg.norm(np.diff(path[:, :2], axis=0), axis=1)
        keep = np.concatenate([[True], steps > 1e-6])
        self.path = path[keep]
        steps = np.linalg.norm(np.diff(self.path[:, :2], axis=0), axis=1)
        self.along = np.concatenate([[0], np.cumsum(steps)])
        self.distance = random.uniform(0, max(self.along[-1] * 0.3, 0.1))
        self.cruise = (11.0, 9.0, 5.0, 1.4)[kind] * random.uniform(0.7, 1.2)
        self.speed = self.cruise * random.uniform(0.3, 1.0)
        self.phase = random.uniform(0, 6.28)
        self.persona = random.uniform(0, 1, 5)

    def at(self, distance):
        return np.array([np.interp(distance, self.along, axis) for axis in self.path.T])

    def heading(self):
        ahead, behind = self.at(self.distance + 1.2), self.at(self.distance - 1.2)
        return float(np.arctan2(*(ahead - behind)[[1, 0]]))

    def advance(self, time, dt):
        bend = abs(_wrapped(self.heading_at(self.distance + 8) - self.heading()))
        target = self.cruise * (0.75 + 0.25 * np.sin(0.3 * time + self.phase))
        target *= 1 - 0.6 * min(bend, 1.0)
        acceleration = float(np.clip(target - self.speed, -3.5, 1.8))
        self.speed = max(self.speed + acceleration * dt, 0.0)
        self.distance += self.speed * dt
        return acceleration

    def heading_at(self, distance):
        ahead, behind = self.at(distance + 1.2), self.at(distance - 1.2)
        return float(np.arctan2(*(ahead - behind)[[1, 0]]))

    @property
    def finished(self):
        return self.distance >= self.along[-1] - 0.5


def _wrapped(angle):
    return (angle + np.pi) % (2 * np.pi) - np.pi


def traffic(road_map, agents=12, seconds=12.0, dt=0.1, seed=0, title=None):
    """A recording of road users on random walks through a map."""
    random = np.random.default_rng(seed)
    steps = round(seconds / dt) + 1
    a = {
        "position_map": np.zeros((steps, agents, 3)),
        "heading": np.zeros((steps, agents)),
        "speed": np.zeros((steps, agents)),
        "acceleration": np.zeros((steps, agents, 2)),
        "steering": np.zeros((steps, agents)),
        "alive": np.ones((steps, agents), bool),
        "episode": np.zeros((steps, agents), int),
        "size": np.zeros((steps, agents, 3)),
        "kind": np.zeros((steps, agents), int),
        "driver": np.zeros((steps, agents), int),
        "events": np.zeros((steps, agents), int),
        "reward_terms": np.zeros((steps, agents, len(REWARDS))),
        "persona": np.zeros((steps, agents, len(PERSONA))),
        "waypoints_map": np.full((steps, agents, 4, 2), np.nan),
        "light_state": np.zeros((steps, len(road_map.stop_lines)), int),
    }
    for agent in range(agents):
        kind = int(random.choice(4, p=[0.74, 0.1, 0.1, 0.06])) if agent else 0
        driver = int(random.choice(3, p=[0.7, 0.2, 0.1])) if agent else 0
        walker = _Walker(road_map, random, kind, driver, 300)
        pause = 0
        for t in range(steps):
            if pause:
                pause -= 1
                if pause:
                    a["alive"][t, agent] = False
                    a["episode"][t, agent] = a["episode"][t - 1, agent]
                    continue
                walker = _Walker(road_map, random, kind, driver, 300)
            first = t > 0 and not a["alive"][t - 1, agent]
            a["episode"][t, agent] = a["episode"][t - 1, agent] + first if t else 0
            acceleration = walker.advance(t * dt, dt)
            _record(a, t, agent, walker, acceleration, random)
            if a["events"][t, agent] & 0b10011:
                pause = round(1.0 / dt)
    for index, line in enumerate(road_map.stop_lines):
        east, north = np.abs(line.polyline[1] - line.polyline[0])[:2]
        phase = (np.arange(steps) * dt + 15 * (east > north)) % 30
        lit = line.rule is StopRule.LIGHT
        a["light_state"][:, index] = lit * np.select([phase < 10, phase < 13], [1, 2], 3)
    return Recording(
        road_map=road_map, dt=dt, **a,
        kind_names=("car", "truck", "cyclist", "pedestrian"),
        driver_names=("policy", "idm", "blind"), event_names=EVENTS, reward_names=REWARDS,
        persona_names=PERSONA, title=title or f"{road_map.name}, seed {seed}",
        settings={"dt": dt, "agents": agents, "seed": seed, "policy": "synthetic"},
    )  # fmt: skip


def _record(a, t, agent, walker, acceleration, random):
    position, heading = walker.at(walker.distance), walker.heading()
    turn = _wrapped(walker.heading_at(walker.distance + 2) - heading) / 2
    height = SIZES[walker.kind][2]
    a["position_map"][t, agent] = position + np.array([0, 0, height / 2])
    a["heading"][t, agent] = heading
    a["speed"][t, agent] = walker.speed
    a["acceleration"][t, agent] = acceleration, walker.speed**2 * turn
    a["steering"][t, agent] = np.arctan(2.8 * turn)
    a["size"][t, agent] = SIZES[walker.kind]
    a["kind"][t, agent], a["driver"][t, agent] = walker.kind, walker.driver
    a["persona"][t, agent] = walker.persona
    ahead = [walker.distance + 20 - walker.distance % 20 + 20 * k for k in range(3)]
    goals = [walker.at(s)[:2] for s in ahead if s < walker.along[-1]]
    goals.append(walker.at(walker.along[-1])[:2])
    a["waypoints_map"][t, agent, : len(goals)] = goals
    draw = random.uniform(size=4)
    events = (draw < [1 / 900, 1 / 2500, 1 / 1500, 1 / 2500]) * [1, 2, 4, 8]
    a["events"][t, agent] = events.sum() + 16 * walker.finished
    a["reward_terms"][t, agent] = [
        0.02 * walker.speed * 0.1, walker.finished, -1.0 * (events[0] > 0), -1.0 * (events[1] > 0),
        -0.5 * (events[2] > 0), -0.01 * abs(np.sin(t / 20)), -0.002 * acceleration**2,
    ]  # fmt: skip

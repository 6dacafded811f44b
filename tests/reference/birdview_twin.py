"""A bird's-eye raster computed pixel by pixel from the state of a world, in float64.

Every pixel asks of every thing whether its centre lies in it. The answer comes twice: surely
inside and possibly inside, because centres that lie on an edge may go either way.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from gigalane.maps.arrays import DRIVABLE, RULE_LIGHT, RULE_STOP
from reference import lights

NEAR = 2e-3
"""Centres this close to an edge [m] may go either way."""


@dataclass
class State:
    """What the twin reads of a world at one step."""

    clock: int
    boxes: np.ndarray
    body: np.ndarray
    duty: np.ndarray
    route: np.ndarray
    status: np.ndarray


def state_of(simulator, world) -> State:
    scene = simulator.scene
    count = scene.agent_count.numpy()[world]
    return State(
        int(scene.clock.numpy()[world]),
        scene.boxes.numpy()[world, :, :count].astype(float),
        scene.body.numpy()[world].copy(),
        scene.duty.numpy()[world].copy(),
        scene.route.numpy()[world].copy(),
        scene.status.numpy()[world].copy(),
    )


class Twin:
    """One world's rasters; `compiled` is its only map."""

    def __init__(self, simulator, world, settings, marks):
        """`marks` are (polyline (N, 3) [m] local frame, whether broken)."""
        self.settings, self.compiled = settings, simulator.maps[0]
        self.light_settings = simulator.settings.lights
        self.seed = int(simulator.scene.seed.numpy()[world])
        self.dt = float(simulator.scene.dt.numpy()[world])
        self.simulator, self.world, self.marks = simulator, world, marks
        self.past: list[State] = []

    def watch(self):
        self.past.append(state_of(self.simulator, self.world))

    def raster(self, agent):
        """(surely, possibly): (planes, pixels, pixels) bool each, of the newest state."""
        settings, now = self.settings, self.past[-1]
        pixels = settings.pixels
        self.surely = np.zeros((len(settings.planes), pixels, pixels), bool)
        self.possibly = self.surely.copy()
        if now.status[agent] == 0:
            return self.surely, self.possibly
        self.ego = now.body[agent]
        cos, sin = float(self.ego["cos"]), float(self.ego["sin"])
        ahead = (pixels - np.arange(pixels) - 0.5) * settings.metres_per_pixel - settings.behind
        left = (pixels / 2 - np.arange(pixels) - 0.5) * settings.metres_per_pixel
        self.x = self.ego["x"] + ahead[:, None] * cos - left[None, :] * sin
        self.y = self.ego["y"] + ahead[:, None] * sin + left[None, :] * cos
        states = []
        for ago in settings.times:
            steps = int(np.floor(ago / self.dt + 0.5))
            steps = min(steps, int(np.floor(now.duty[agent]["age"] / self.dt + 0.5)))
            states.append(next(s for s in self.past if s.clock >= now.clock - steps))
        self._road()
        self._route(now.route[agent])
        self._marks()
        for index, state in enumerate(states):
            self._others(agent, state, index)
            self._lines(agent, state, now.route[agent], index)
        return self.surely, self.possibly

    def plane(self, group, grey=255, index=0):
        found = [
            bit
            for bit, plane in enumerate(self.settings.planes)
            if plane.channel.split(" ")[0] == group and plane.grey == grey
        ]
        return found[index] if found else None

    def level(self, x, y, z):
        height = abs(z - self.ego["z"])
        return height <= 2.5 + 0.08 * np.hypot(x - self.ego["x"], y - self.ego["y"])

    def near(self, x, y):
        """Whether something that begins there may be in the picture: its diagonal is 54 m."""
        return np.hypot(x - self.ego["x"], y - self.ego["y"]) < 60

    def put(self, plane, surely, possibly):
        if plane is not None:
            self.surely[plane] |= surely
            self.possibly[plane] |= possibly

    def quad(self, plane, corners):
        """Draws a convex ring of corners (4, 2) [m]."""
        corners = np.asarray(corners, float)
        after = np.roll(corners, -1, axis=0)
        area = (corners[:, 0] * after[:, 1] - corners[:, 1] * after[:, 0]).sum()
        depth = np.full(self.x.shape, np.inf)
        for a, b in zip(corners, after, strict=True):
            length = np.hypot(*(b - a))
            if length > 1e-4:
                across = (b[0] - a[0]) * (self.y - a[1]) - (b[1] - a[1]) * (self.x - a[0])
                depth = np.minimum(depth, np.sign(area) * across / length)
        if abs(area) > 1e-6:
            self.put(plane, depth > NEAR, depth >= -NEAR)

    def _road(self):
        """By half-planes of the segments; 5 cm further counts, and 2 cm where they are joined."""
        plane = self.plane("road")
        for s in self.compiled.segments[(self.compiled.segments["flags"] & DRIVABLE) > 0]:
            if not self.near(s["x"], s["y"]):
                continue
            # Joined segments have one height, and are in sight or out of it together.
            height = abs(float(s["z"]) - self.ego["z"])
            away = np.hypot(s["x"] - self.ego["x"], s["y"] - self.ego["y"])
            if height > 3.5 + 0.08 * (away + 20):
                continue
            beyond = np.max(
                [
                    float(s[f"{edge}_x"]) * self.x + float(s[f"{edge}_y"]) * self.y
                    - float(s[f"{edge}_bound"])
                    for edge in ("back", "front", "left", "right")
                ],
                axis=0,
            )  # fmt: skip
            self.put(plane, (beyond < -0.03) & (height < 1.5), beyond < 0.07 + NEAR)

    def _route(self, route):
        plane, half = self.plane("route"), self.settings.route_width / 2
        progress = float(route["progress"])
        most = min(progress + self.settings.route_ahead, float(route["length"]))
        for at in range(int(route["lane_index"]), int(route["lane_count"])):
            lane = self.compiled.lanes[route["lanes"][at]]
            pieces = self.compiled.segments[lane["first_segment"] :][: lane["segment_count"]]
            for s in pieces:
                first = float(route["offsets"][at]) + float(s["arc"])
                start = np.clip((progress - first) / s["length"], 0, 1)
                end = np.clip((most - first) / s["length"], 0, 1)
                if end <= start or not self.level(s["x"], s["y"], s["z"]):
                    continue
                ends = []
                for edge, along in (("back", 0.0), ("front", float(s["length"]))):
                    point = np.array([s["x"] + along * s["cos"], s["y"] + along * s["sin"]])
                    normal_left = np.array([-s["sin"], s["cos"]], float)
                    across = np.array([s[f"{edge}_y"], -s[f"{edge}_x"]], float)
                    across = across * np.sign(across @ normal_left)
                    across = across if across @ normal_left >= 0.5 else normal_left
                    ends.append((point - half * across, point + half * across))
                (rb, lb), (rf, lf) = ends
                self.quad(
                    plane,
                    [rb + start * (rf - rb), rb + end * (rf - rb),
                     lb + end * (lf - lb), lb + start * (lf - lb)],
                )  # fmt: skip

    def _marks(self):
        """Distances from the lines; what is drawn may leave them by 3 cm and round no corner."""
        half = max(self.settings.mark_width, self.settings.metres_per_pixel) / 2
        for line, broken in self.marks:
            plane = self.plane("marks", 120 if broken and self.settings.shades else 255)
            for a, b in pairwise(line):
                step = (b - a)[:2]
                if not self.near(a[0], a[1]):
                    continue
                square = max(step @ step, 1e-12)
                share = ((self.x - a[0]) * step[0] + (self.y - a[1]) * step[1]) / square
                share = np.clip(share, 0, 1)
                away = np.hypot(self.x - a[0] - share * step[0], self.y - a[1] - share * step[1])
                z = (a[2] + b[2]) / 2
                height = abs(z - self.ego["z"])
                if height < 2.4:  # pieces are cut elsewhere: those near the limit may go either way
                    self.put(plane, away < half - 0.04, False)
                if height < 2.6 + 0.08 * 70:
                    self.put(plane, False, away < half * np.sqrt(2) + 0.04)

    def _others(self, agent, state, index):
        for other in range(state.boxes.shape[1]):
            x, y, z, cos, sin, _, half_length, half_width, kind = state.boxes[:, other]
            if other == agent or kind < 0 or not self.level(x, y, z):
                continue
            group = "vehicles"
            if kind == 3:
                group = "walkers"
                half_length, half_width = max(2 * half_length, 0.4), max(2 * half_width, 0.4)
            along = half_length * np.array([cos, sin])
            across = half_width * np.array([-sin, cos])
            middle = np.array([x, y])
            self.quad(
                self.plane(group, index=index),
                [middle + along + across, middle - along + across,
                 middle - along - across, middle + along - across],
            )  # fmt: skip

    def _line(self, control, plane):
        ends = np.array(
            [[control["left_x"], control["left_y"]], [control["right_x"], control["right_y"]]]
        )
        thick = self.settings.line_width / 2 * np.array([control["cos"], control["sin"]])
        self.quad(plane, [ends[0] - thick, ends[1] - thick, ends[1] + thick, ends[0] + thick])

    def _lines(self, agent, state, route, index):
        compiled = self.compiled
        lanes = set(route["lanes"][: int(route["lane_count"])].tolist())
        for number, control in enumerate(compiled.controls):
            if not self.level(control["left_x"], control["left_y"], control["z"]):
                continue
            if control["rule"] == RULE_LIGHT and control["program"] >= 0:
                program = compiled.programs[control["program"]]
                off, green, scales, phase = lights.drawn(
                    self.light_settings, self.seed, int(program["number"]), int(control["light"])
                )
                stages = compiled.stages[program["stage_start"] :][: program["stage_count"]]
                green_in = [k for k in range(len(stages)) if int(control["green_stages"]) >> k & 1]
                spells = lights.timeline(stages, green_in, scales)
                shows, gap = lights.state_at(spells, phase, state.clock * self.dt)
                assert gap > 1e-4, "the test must not look at the moment of a switch"
                shows = lights.OFF if off else lights.GREEN if green else shows
                greys = {lights.RED: 255, lights.YELLOW: 170, lights.GREEN: 80}
                if shows in greys:
                    grey = greys[shows]
                    if not self.settings.shades:
                        grey = {255: 255, 170: 255, 80: 0}[grey]
                    self._line(control, self.plane("controls", grey, index))
            if control["rule"] == RULE_STOP and self._lies_on(number, lanes):
                box = state.boxes[:, agent]
                middle = np.array(
                    [control["left_x"] + control["right_x"],
                     control["left_y"] + control["right_y"]]
                ) / 2  # fmt: skip
                front = box[:2] + box[6] * box[3:5]
                left = (middle - front) @ [control["cos"], control["sin"]]
                if state.duty[agent]["stopped_control"] != number and left > -0.5:
                    self._line(control, self.plane("controls", 255, index))

    def _lies_on(self, number, lanes):
        """Whether a stop line crosses one of the lanes: within it, along its centreline."""
        compiled = self.compiled
        for lane in lanes:
            record = compiled.lanes[lane]
            ahead = compiled.lane_controls[record["control_start"] :][: record["control_count"]]
            of_line = ahead["distance"][ahead["control"] == number]
            if len(of_line) and of_line[0] <= record["length"] + 0.01:
                return True
        return False

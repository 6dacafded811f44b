"""An observation row worked out again from the scene, number by number, in float64."""

from __future__ import annotations

import numpy as np

from gigalane.maps.arrays import RULE_LIGHT, RULE_STOP
from gigalane.sim.scene import BLIND, PEDESTRIAN
from reference import lights


def in_frame(body, x, y):
    """A point in the frame of a body: ahead, left [m]."""
    dx, dy = x - float(body["x"]), y - float(body["y"])
    cos, sin = float(body["cos"]), float(body["sin"])
    return dx * cos + dy * sin, dy * cos - dx * sin


class Observer:
    """Looks at one simulator on one map."""

    def __init__(self, simulator) -> None:
        self.simulator, self.map = simulator, simulator.maps[0]
        scene = simulator.scene
        for name in (
            "body",
            "traits",
            "place",
            "route",
            "persona",
            "duty",
            "boxes",
            "dt",
            "clock",
            "seed",
            "agent_count",
        ):
            setattr(self, name, getattr(scene, name).numpy())

    def given(self, world, agent) -> list[float]:
        """The `given` slot."""
        body, traits = self.body[world, agent], self.traits[world, agent]
        place, route = self.place[world, agent], self.route[world, agent]
        duty = self.duty[world, agent]
        row = [
            place["offset"] / 2.0,
            np.arctan2(place["heading_sin"], place["heading_cos"]),
            place["curvature"] * 10.0,
            body["speed"] / 20.0,
            place["speed_limit"] / 20.0,
            body["steering"] * 2.0,
            body["acceleration"] / 5.0,
            body["lateral_acceleration"] / 4.0,
            traits["acceleration_scale"] - 1.0,
            traits["throttle_scale"] - 1.0,
            traits["steering_scale"] - 1.0,
            traits["length"] / 5.0,
            traits["width"] / 2.0,
        ]
        count, index = int(route["waypoint_count"]), int(route["waypoint_index"])
        for k in range(4):
            at = min(index + k, count - 1)
            x, y = in_frame(body, route["waypoint_x"][at], route["waypoint_y"][at])
            left = float(route["waypoint_distance"][at]) - float(route["progress"])
            row += [x / 50.0, y / 50.0, np.clip(left, -50.0, 300.0) / 50.0]
        persona = self.persona[world, agent]
        # Each weight as a share of the top of its GIGAFLOW range.
        tops = (12.0, 3.0, 3.0, 0.1, 0.025, 1.0, 7.5e-3, 0.5, 7.5e-3, 1.0, 2.5e-3, 2.5e-5)
        row += [float(p) / top for p, top in zip(persona, tops, strict=True)]
        row += [traits["speed_scale"] - 1.0, self.dt[world] * 4.0]
        row += [float(traits["kind"] == kind) for kind in range(4)]
        row += [
            float(index + 1 >= count),
            (count - index) / 10.0,
            float(duty["stopped_control"] >= 0),
            float(place["on_lane"]),
            body["jerk"] / 10.0,
            body["lateral_jerk"] / 10.0,
            float(traits["delay"]),
            traits["friction"],
            place["half_width"] / 2.0,
        ]
        return [float(value) for value in row]

    def road(self, world, agent) -> np.ndarray:
        """The `road` slot, (tokens, 6)."""
        body = self.body[world, agent]
        row = int(self.map.segments["tokens"][self.place[world, agent]["segment"]])
        tokens = np.zeros((self.map.road_tokens.shape[1], 6))
        if row < 0:
            return tokens
        for token, point in zip(tokens, self.map.road_tokens[row], strict=True):
            if point < 0:
                continue
            seen = self.map.road_points[point]
            x, y = in_frame(body, seen["x"], seen["y"])
            turn = np.arctan2(seen["sin"], seen["cos"]) - np.arctan2(body["sin"], body["cos"])
            token[:] = (
                x / 50.0,
                y / 50.0,
                np.cos(turn),
                np.sin(turn),
                seen["half_width"] / 5.0,
                seen["kind"],
            )
        return tokens

    def partners(self, world, agent) -> np.ndarray:
        """The `partners` slot, (partners, 10), nearest first."""
        settings = self.simulator.settings.observation
        tokens = np.zeros((settings.partners, 10))
        if self.traits[world, agent]["driver"] == BLIND or not settings.see_partners:
            return tokens
        me = self.body[world, agent]
        near = []
        for other in range(int(self.agent_count[world])):
            if other == agent or self.boxes[world, 8, other] < 0:
                continue
            there = self.body[world, other]
            gap = np.hypot(there["x"] - me["x"], there["y"] - me["y"])
            if gap < settings.partner_range:
                near.append((float(gap), other))
        for token, (_, other) in zip(tokens, sorted(near), strict=False):
            there, size = self.body[world, other], self.traits[world, other]
            x, y = in_frame(me, there["x"], there["y"])
            turn = float(there["heading"]) - float(me["heading"])
            speed = float(there["speed"])
            token[:] = (
                x / 50.0,
                y / 50.0,
                np.cos(turn),
                np.sin(turn),
                (speed * np.cos(turn) - me["speed"]) / 20.0,
                speed * np.sin(turn) / 20.0,
                size["length"] / 10.0,
                size["width"] / 4.0,
                (there["z"] - me["z"]) / 5.0,
                (size["kind"] + 1) / 4.0,
            )
        return tokens

    def controls(self, world, agent) -> np.ndarray:
        """The `controls` slot, (controls, 6), nearest first."""
        settings = self.simulator.settings
        tokens = np.zeros((settings.observation.controls, 6))
        body, traits = self.body[world, agent], self.traits[world, agent]
        place, duty = self.place[world, agent], self.duty[world, agent]
        if traits["kind"] == PEDESTRIAN:
            return tokens
        half = 0.5 * float(traits["length"])
        lane = self.map.lanes[place["lane"]]
        ahead = self.map.lane_controls[lane["control_start"] :][: lane["control_count"]]
        found = []
        for control_index, distance in sorted(ahead.tolist(), key=lambda row: row[1]):
            left = distance - float(place["arc"]) - half
            control = self.map.controls[control_index]
            if not -2.0 < left < settings.observation.control_range:
                continue
            x = 0.5 * (control["left_x"] + control["right_x"])
            y = 0.5 * (control["left_y"] + control["right_y"])
            gap = (x - body["x"] - half * body["cos"]) * control["cos"] + (
                y - body["y"] - half * body["sin"]
            ) * control["sin"]
            state = {"go": 0.0, "caution": 0.5, "stop": 0.0}
            if control["rule"] == RULE_LIGHT:
                shown = self.light(world, control)
                state = {
                    "go": float(shown == lights.GREEN),
                    "caution": float(shown == lights.YELLOW),
                    "stop": float(shown == lights.RED),
                }
            elif control["rule"] == RULE_STOP:
                made = duty["stopped_control"] == control_index
                state = {"go": 0.0, "caution": 1.0, "stop": float(not made)}
            if any(state.values()):
                found.append(
                    [
                        (gap if left < 10.0 else left) / 50.0,
                        *(v / 50.0 for v in in_frame(body, x, y)),
                        *state.values(),
                    ]
                )
        for token, values in zip(tokens, found, strict=False):
            token[:] = values
        return tokens

    def light(self, world, control) -> int:
        """What a light shows now."""
        number = int(self.map.programs["number"][control["program"]])
        off, always, scales, phase = lights.drawn(
            self.simulator.settings.lights, int(self.seed[world]), number, int(control["light"])
        )
        if off:
            return lights.OFF
        if always:
            return lights.GREEN
        program = self.map.programs[control["program"]]
        stages = self.map.stages[program["stage_start"] :][: program["stage_count"]]
        green = {k for k in range(len(stages)) if int(control["green_stages"]) >> k & 1}
        spells = lights.timeline(stages.tolist(), green, scales)
        time = np.float32(self.clock[world]) * np.float32(self.dt[world])
        return lights.state_at(spells, phase, float(time))[0]

    def row(self, world, agent) -> np.ndarray:
        """The whole row, padded as the layout says."""
        slots = [
            np.array(self.given(world, agent)),
            self.road(world, agent).ravel(),
            self.partners(world, agent).ravel(),
            self.controls(world, agent).ravel(),
        ]
        row = np.concatenate(slots)
        return np.concatenate([row, np.zeros(self.simulator.layout.width - len(row))])

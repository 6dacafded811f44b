"""Puts road users exactly where a test wants them.

A `Stage` is a simulator whose slots are empty until `put` fills them. On the CPU the arrays of
a scene are views, so what is written here is what the next step reads.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gigalane.sim.events import EVENT_NAMES
from gigalane.sim.scene import KIND_NAMES, SCRIPTED
from gigalane.sim.settings import (
    PERSONA_NAMES,
    LightSettings,
    PersonaSettings,
    SimulatorSettings,
    SpawnSettings,
    TrafficSettings,
)
from gigalane.sim.simulator import Simulator

KEEP = 7
"""The discrete action that asks for no jerk."""
BIT = {name: 1 << k for k, name in enumerate(EVENT_NAMES)}

PLAIN = SimulatorSettings(
    worlds=1,
    agents=4,
    time_steps=(0.1,),
    respawn=False,
    spawn=SpawnSettings(cyclists=0.0, pedestrians=0.0, truck_share=0.0, lane_change=0.0),
    traffic=TrafficSettings(blind=0.0, braking=0.0),
    lights=LightSettings.as_mapped(),
    persona=PersonaSettings.strict(),
)
"""Policy-driven cars only, nothing random but where they appear."""


class Stage:
    """A simulator with empty slots.

    Attributes:
        simulator: the simulator.
        map: its (first) compiled map.
    """

    def __init__(self, compiled, settings=PLAIN, seed=0, threads=1):
        start = replace(settings, agents=settings.agents)
        self.simulator = Simulator(compiled, start, seed=seed, threads=threads)
        self.map = self.simulator.maps[0]
        scene = self.simulator.scene
        self.view = {
            name: getattr(scene, name).numpy()
            for name in (
                "body",
                "traits",
                "persona",
                "place",
                "route",
                "duty",
                "boxes",
                "status",
                "clock",
                "dt",
                "events",
                "reward",
                "reward_terms",
                "terminated",
                "truncated",
                "active",
                "learn",
                "observation",
                "command",
                "past_lane",
                "agent_count",
                "seed",
                "past_actions",
            )
        }
        self.view["status"][:] = 0
        self.view["active"][:] = 0
        self.view["boxes"][:, 8] = -1.0

    def __getattr__(self, name):
        try:
            return self.__dict__["view"][name]
        except KeyError:
            raise AttributeError(name) from None

    def lane(self, lane_id: str) -> int:
        """Index of a lane."""
        return self.map.lane_ids.index(lane_id)

    def pose(self, lane_id: str, arc: float, offset=0.0, heading_error=0.0):
        """x, y, z, heading, segment of a place on a lane."""
        record = self.map.lanes[self.lane(lane_id)]
        first, count = int(record["first_segment"]), int(record["segment_count"])
        pieces = self.map.segments[first : first + count]
        at = int(np.clip(np.searchsorted(pieces["arc"], arc, side="right") - 1, 0, count - 1))
        piece = {n: float(pieces[n][at]) for n in ("x", "y", "z", "cos", "sin", "arc", "slope")}
        along = arc - piece["arc"]
        x = piece["x"] + along * piece["cos"] - offset * piece["sin"]
        y = piece["y"] + along * piece["sin"] + offset * piece["cos"]
        heading = np.arctan2(piece["sin"], piece["cos"]) + heading_error
        return x, y, piece["z"] + along * piece["slope"], heading, first + at

    def put(
        self,
        lane_id,
        arc,
        *,
        slot=0,
        world=0,
        speed=0.0,
        offset=0.0,
        heading_error=0.0,
        route=None,
        goal=None,
        kind="car",
        driver=0,
        model=0,
        size=(4.0, 2.0),
        acceleration=0.0,
        age=0.0,
        past=None,
        delay=0,
        z=None,
        direction=1,
        **persona,
    ):
        """Places a road user.

        Args:
            lane_id: the lane it stands on.
            arc: how far along it [m].
            slot: agent.
            world: world.
            speed: [m/s].
            offset: to the left of the centreline [m].
            heading_error: relative to the lane, counter-clockwise [rad].
            route: lane ids from its own on; by default its lane and first successors.
            goal: distance of the goal along the route [m]; by default far ahead.
            kind: name in KIND_NAMES.
            driver: 0 policy, 1 blind, 2 braker, 3 scripted.
            model: 0 kinematic, 1 single track, 2 unicycle.
            size: length and width [m].
            acceleration: [m/s²].
            age: [s].
            past: (x, y, heading) one step ago; by default the present.
            delay: [steps].
            z: height [m], by default the lane's.
            direction: of a scripted walker.
            persona: weights by name instead of the settings'.
        """
        at = world, slot
        x, y, surface, heading, segment = self.pose(lane_id, arc, offset, heading_error)
        body, traits, place = self.body[at], self.traits[at], self.place[at]
        for record in (body, traits, place, self.route[at], self.duty[at]):
            for name in record.dtype.names:
                record[name] = 0
        body["x"], body["y"], body["z"] = x, y, surface if z is None else z
        body["heading"], body["cos"], body["sin"] = heading, np.cos(heading), np.sin(heading)
        body["speed"], body["acceleration"] = speed, acceleration
        px, py, ph = past or (x, y, heading)
        body["past_x"], body["past_y"] = px, py
        body["past_cos"], body["past_sin"] = np.cos(ph), np.sin(ph)
        traits["length"], traits["width"], traits["height"] = *size, 1.5
        traits["wheelbase"] = 0.6 * size[0]
        for name in ("throttle_scale", "steering_scale", "acceleration_scale", "speed_scale"):
            traits[name] = 1.0
        traits["friction"], traits["kind"] = 0.9, KIND_NAMES.index(kind)
        traits["driver"], traits["delay"] = driver, delay
        traits["model"] = 2 if kind == "pedestrian" else model
        record = self.map.lanes[self.lane(lane_id)]
        piece = self.map.segments[segment]
        place["lane"], place["segment"], place["arc"] = self.lane(lane_id), segment, arc
        place["offset"], place["on_lane"] = offset, 1
        place["heading_cos"], place["heading_sin"] = np.cos(heading_error), np.sin(heading_error)
        place["curvature"], place["speed_limit"] = piece["curvature"], record["speed_limit"]
        place["half_width"] = piece["half_width_start"]
        self._plan(at, lane_id, arc, route, goal)
        duty = self.duty[at]
        duty["stopped_control"], duty["age"], duty["walk_direction"] = -1, age, direction
        weights = {
            name: low
            for name, (low, _) in zip(
                PERSONA_NAMES, self.simulator.settings.persona.ranges(), strict=True
            )
        }
        self.persona[at] = list((weights | persona).values())
        self.past_actions[at] = KEEP if self.simulator.action_space.is_discrete else 0.0
        self.boxes[world, :, slot] = (
            x,
            y,
            body["z"],
            body["cos"],
            body["sin"],
            speed,
            0.5 * size[0],
            0.5 * size[1],
            traits["kind"],
        )
        self.status[at], self.active[at] = 1, 1
        self.learn[at] = driver != SCRIPTED
        return self

    def _plan(self, at, lane_id, arc, route, goal):
        """Writes a route with the goal as its only way-point."""
        if route is None:
            route, lane = [lane_id], self.lane(lane_id)
            while len(route) < 6 and self.map.lanes[lane]["successor_count"]:
                lane = int(self.map.lane_links[self.map.lanes[lane]["successor_start"]])
                route.append(self.map.lane_ids[lane])
        plan, total = self.route[at], -arc
        for k, one in enumerate(route):
            plan["lanes"][k], plan["offsets"][k] = self.lane(one), total
            total += float(self.map.lanes[self.lane(one)]["length"])
        plan["lane_count"], plan["length"] = len(route), total - 1.0 if goal is None else goal
        self.way_points(*at, [float(plan["length"])])

    def way_points(self, world, slot, distances):
        """Gives a road user way-points at distances along its route [m], the goal last."""
        plan = self.route[world, slot]
        for k, distance in enumerate(distances):
            lanes = int(plan["lane_count"])
            at = max(i for i in range(lanes) if plan["offsets"][i] <= distance or i == 0)
            name = self.map.lane_ids[int(plan["lanes"][at])]
            x, y, *_ = self.pose(name, distance - float(plan["offsets"][at]))
            plan["waypoint_x"][k], plan["waypoint_y"][k] = x, y
            plan["waypoint_distance"][k] = distance
        plan["length"], plan["waypoint_count"] = distances[-1], len(distances)
        plan["waypoint_index"] = 0

    def step(self, actions=None, times=1):
        """Steps; by default nobody asks for any jerk."""
        space = self.simulator.action_space
        if actions is None:
            shape = self.simulator.shape + (() if space.is_discrete else (space.size,))
            actions = np.full(shape, KEEP) if space.is_discrete else np.zeros(shape)
        for _ in range(times):
            self.simulator.step(actions)
        return self

    def facts(self, slot=0, world=0) -> set[str]:
        """Names of the last step's events."""
        return {name for name, bit in BIT.items() if int(self.events[world, slot]) & bit}

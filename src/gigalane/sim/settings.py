"""Every number the simulator runs on, with its unit and its source.

"GIGAFLOW" is arXiv 2502.03349 and its appendix. "Chosen" marks values that the paper does not
give and that are this project's own choice.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from typing import Any, Literal

import warp as wp

from gigalane.core.settings import SettingsError
from gigalane.sim.layout import ObservationLayout

Range = tuple[float, float]
ScriptName = Literal["idm", "constant_velocity", "stationary"]
SCRIPT_NAMES: tuple[ScriptName, ...] = ("idm", "constant_velocity", "stationary")


@dataclass(frozen=True)
class SpawnSettings:
    """Who appears, how large, how fast and with which goal.

    Attributes:
        car_length: length of cars [m]. Cars and trucks together span GIGAFLOW's U(0.8, 7) x
            U(0.8, 3) m; the split by kind is chosen.
        car_width: width of cars [m].
        truck_length: length of trucks [m].
        truck_width: width of trucks [m].
        truck_share: share of vehicles that are trucks (chosen).
        cyclists: share of road users that are cyclists (chosen).
        pedestrians: share of road users that walk, where the map has pavements or crossings
            (chosen).
        speed_share: spawn speed as a share of what fits the lane, uniform (chosen).
        lateral_acceleration: speed in a curve keeps below this [m/s²] (chosen).
        braking: gaps at spawn let the follower stop with this [m/s²] (chosen).
        tries: positions tried before a road user waits for the next step.
        goal_distance: length of the route to the goal [m].
        waypoint_spacing: distance between way-points [m] (chosen; GIGAFLOW: 20 to 200 m).
        lane_change: chance that a route changes lane on a lane of 40 m or more (chosen).
        multiplier: dynamics multipliers X(a) for throttle and steering (GIGAFLOW).
        multiplier_speed: X(a) for acceleration and top speed (GIGAFLOW).
        friction: tyre-road friction coefficient (chosen).
        single_track: share of vehicles that move by the dynamic single-track model (chosen).
        delay: longest reaction delay in steps (chosen).
    """

    car_length: Range = (3.6, 5.4)
    car_width: Range = (1.6, 2.1)
    truck_length: Range = (5.4, 7.0)
    truck_width: Range = (2.1, 2.5)
    truck_share: float = 0.1
    cyclists: float = 0.05
    pedestrians: float = 0.05
    speed_share: Range = (0.0, 0.9)
    lateral_acceleration: float = 2.5
    braking: float = 4.0
    tries: int = 12
    goal_distance: Range = (100.0, 300.0)
    waypoint_spacing: Range = (25.0, 60.0)
    lane_change: float = 0.15
    multiplier: float = 1.25
    multiplier_speed: float = 1.5
    friction: Range = (0.6, 1.0)
    single_track: float = 0.0
    delay: int = 0


@dataclass(frozen=True)
class TrafficSettings:
    """Who drives: shares of road users that are not the plain policy.

    Each slot of a world keeps its driver, so shares of the slots are shares of those on the road.

    Attributes:
        scripted: share of vehicles driven by script.
        script: what such a script does: "idm" (with pure pursuit along the route),
            "constant_velocity" or "stationary".
        blind: share of policy drivers that see no partners (GIGAFLOW: 5 %).
        braking: share of policy drivers that brake hard at random (GIGAFLOW: 10 %).
        braking_rate: how often they begin to [1/s] (chosen).
        braking_time: for how long [s] (chosen).
        scripted_pedestrians: share of pedestrians that walk by script.
        desired_gap: IDM's time gap T [s].
        standstill_gap: IDM's gap at a stop s0 [m].
        acceleration: IDM's acceleration a [m/s²].
        deceleration: IDM's braking b [m/s²]. (IDM: Treiber, Hennecke, Helbing 2000; values as in
            the benchmarks that run it, nuPlan's planner first.)
    """

    scripted: float = 0.0
    script: ScriptName = "idm"
    blind: float = 0.05
    braking: float = 0.05
    braking_rate: float = 0.1
    braking_time: float = 1.5
    scripted_pedestrians: float = 0.7
    desired_gap: float = 1.5
    standstill_gap: float = 2.0
    acceleration: float = 1.5
    deceleration: float = 2.5


@dataclass(frozen=True)
class LightSettings:
    """How the lights of a world differ from the map's programme (GIGAFLOW, appendix).

    Attributes:
        red: multiplier of the all-red time.
        yellow: multiplier of the yellow time.
        green: multiplier of the green time.
        missing_light: share of single lights that are gone.
        missing_group: share of junctions whose lights are gone.
        missing_all: share of worlds without lights.
        always_green: share of the other worlds whose lights stay green.
    """

    red: Range = (0.15, 5.0)
    yellow: Range = (0.5, 0.75)
    green: Range = (0.1, 1.0)
    missing_light: float = 0.2
    missing_group: float = 0.2
    missing_all: float = 0.2
    always_green: float = 0.05

    @classmethod
    def as_mapped(cls) -> LightSettings:
        """Every light there and timed as the map says."""
        return cls((1.0, 1.0), (1.0, 1.0), (1.0, 1.0), 0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True)
class PersonaSettings:
    """Ranges of the weights that are drawn for each agent and given to it (GIGAFLOW).

    Attributes:
        goal_radius: distance at which a target counts as reached [m].
        collision: weight of a collision.
        off_road: weight of leaving the road.
        comfort: weight of each comfort bound that is broken for 0.3 s.
        lane_align: weight of heading along the lane.
        velocity_align: weight of moving against it, within lane_align.
        lane_centre: weight of keeping to the lane's centre.
        centre_bias: where that centre is, to the left [m].
        reverse: weight of driving backwards.
        stop_line: weight of a red light, stop sign or stop line ignored. GIGAFLOW draws it up to
            1, which waiting half a minute outweighs; chosen.
        forward: weight of moving forward (fixed in GIGAFLOW).
        time: weight of the time spent (fixed in GIGAFLOW).
    """

    goal_radius: Range = (2.0, 12.0)
    collision: Range = (0.0, 3.0)
    off_road: Range = (0.0, 3.0)
    comfort: Range = (0.0, 0.1)
    lane_align: Range = (2.5e-4, 2.5e-2)
    velocity_align: Range = (0.0, 1.0)
    lane_centre: Range = (2.5e-4, 7.5e-3)
    centre_bias: Range = (-0.5, 0.5)
    reverse: Range = (2.5e-4, 7.5e-3)
    stop_line: Range = (0.0, 3.0)
    forward: Range = (2.5e-3, 2.5e-3)
    time: Range = (2.5e-5, 2.5e-5)

    @classmethod
    def strict(cls) -> PersonaSettings:
        """The careful driver of evaluations: highest weights on safety, no bias."""
        return cls(
            goal_radius=(4.0, 4.0),
            collision=(3.0, 3.0),
            off_road=(3.0, 3.0),
            comfort=(0.05, 0.05),
            lane_align=(2.5e-2, 2.5e-2),
            velocity_align=(1.0, 1.0),
            lane_centre=(3.8e-3, 3.8e-3),
            centre_bias=(0.0, 0.0),
            reverse=(5e-3, 5e-3),
            stop_line=(3.0, 3.0),
        )

    def ranges(self) -> list[Range]:
        """The ranges in the order of `PERSONA_NAMES`."""
        return [getattr(self, name) for name in PERSONA_NAMES]


PERSONA_NAMES = tuple(f.name for f in fields(PersonaSettings))


@dataclass(frozen=True)
class ObservationSettings:
    """What an agent sees; the counts of road tokens are set where maps are compiled.

    Attributes:
        partners: nearest other road users seen.
        partner_range: how far [m].
        controls: nearest stop lines seen.
        control_range: how far ahead [m].
        lane_dropout: share of lane points not seen (GIGAFLOW: 0.5 of 80).
        edge_dropout: share of road-edge points not seen (GIGAFLOW: 0.4 of 80).
        position_noise: standard deviation of partners' positions [m] (chosen).
        velocity_noise: standard deviation of partners' speeds [m/s] (chosen).
        see_partners: False makes everyone blind to partners (for comparisons).
        flat: True writes rows as PufferDrive does (for comparisons), see
            `gigalane.sim.observe_flat`; without stop lines, noise or dropout.
    """

    partners: int = 16
    partner_range: float = 80.0
    controls: int = 4
    control_range: float = 60.0
    lane_dropout: float = 0.0
    edge_dropout: float = 0.0
    position_noise: float = 0.0
    velocity_noise: float = 0.0
    see_partners: bool = True
    flat: bool = False

    @classmethod
    def gigaflow(cls) -> ObservationSettings:
        """GIGAFLOW's counts; compile maps with `TokenSettings.gigaflow()`."""
        return cls(
            partners=20,
            partner_range=200.0,
            controls=5,
            control_range=100.0,
            lane_dropout=0.5,
            edge_dropout=0.4,
            position_noise=0.1,
            velocity_noise=0.1,
        )

    @classmethod
    def peer(cls) -> ObservationSettings:
        """PufferDrive's 1,848 numbers; compile maps with `TokenSettings.peer()`."""
        return cls(partners=63, partner_range=50.0, controls=0, flat=True)


ActionName = Literal["jerk12", "jerk", "acceleration_steering", "delta_pose"]


@dataclass(frozen=True)
class SimulatorSettings:
    """A batch of worlds.

    Attributes:
        worlds: how many run at once.
        agents: slots for road users in each world.
        agents_least: fewest road users in a world; each world draws its own number up to
            `agents`. 0 fills every slot.
        time_steps: dt [s] of a world is drawn from these.
        episode_s: longest time a road user drives before it is called a truncation [s]
            (GIGAFLOW: 360 s).
        respawn: whether a new road user takes the place of one whose episode ended.
        action: how actions are written.
        spawn: who appears.
        traffic: who drives.
        lights: how lights behave.
        persona: what agents are rewarded for.
        observation: what they see.
    """

    worlds: int = 32
    agents: int = 32
    agents_least: int = 0
    time_steps: tuple[float, ...] = (0.1, 0.2, 0.25, 0.3)
    episode_s: float = 90.0
    respawn: bool = True
    action: ActionName = "jerk12"
    spawn: SpawnSettings = field(default_factory=SpawnSettings)
    traffic: TrafficSettings = field(default_factory=TrafficSettings)
    lights: LightSettings = field(default_factory=LightSettings)
    persona: PersonaSettings = field(default_factory=PersonaSettings)
    observation: ObservationSettings = field(default_factory=ObservationSettings)

    def __post_init__(self) -> None:
        """Checks what a later failure would hide."""
        if self.worlds < 1 or not 1 <= self.agents <= MAX_AGENTS:
            raise SettingsError(
                f"worlds={self.worlds}, agents={self.agents}: a batch needs at least one world "
                f"and 1 to {MAX_AGENTS} agents in each"
            )
        if not 0 <= self.agents_least <= self.agents:
            raise SettingsError(
                f"agents_least={self.agents_least}: must be 0 to agents={self.agents}"
            )
        if not self.time_steps or any(not 0.01 <= dt <= 1.0 for dt in self.time_steps):
            raise SettingsError(f"time_steps={self.time_steps}: each must be 0.01 to 1 s")
        if not 0 <= self.spawn.delay <= MAX_DELAY:
            raise SettingsError(
                f"delay={self.spawn.delay}: a road user reacts 0 to {MAX_DELAY} steps late"
            )
        if not 0 < self.episode_s <= 1e6:
            raise SettingsError(f"episode_s={self.episode_s}: must be above 0 s")
        for part in ("spawn", "traffic", "lights", "persona", "observation"):
            _check_numbers(part, getattr(self, part))
        for name, value, known in (
            ("action", self.action, ACTION_NAMES),
            ("script", self.traffic.script, SCRIPT_NAMES),
        ):
            if value not in known:
                raise SettingsError(f"{name}={value!r}: choose one of {', '.join(known)}")

    def layout(self, road_tokens: int) -> ObservationLayout:
        """Slot sizes of an observation row on maps with that many road tokens."""
        if self.observation.flat:
            return ObservationLayout(
                given=FLAT_FEATURES,
                road=road_tokens,
                partners=self.observation.partners,
                controls=0,
                road_features=FLAT_FEATURES,
                partner_features=FLAT_FEATURES,
            )
        return ObservationLayout(
            given=GIVEN_FEATURES,
            road=road_tokens,
            partners=self.observation.partners,
            controls=self.observation.controls,
        )


_SHARES = frozenset(
    (
        *("truck_share", "cyclists", "pedestrians", "lane_change", "single_track"),
        *("scripted", "blind", "braking", "scripted_pedestrians"),
        *("missing_light", "missing_group", "missing_all", "always_green"),
        *("lane_dropout", "edge_dropout"),
    )
)
"""Settings that are shares: 0 to 1. `spawn.braking` is a deceleration, not a share."""


def _check_numbers(part: str, settings: Any) -> None:  # noqa: ANN401
    """Refuses ranges that end before they begin, shares beyond 0 to 1, numbers below 0."""
    for setting in fields(settings):
        name, value = f"{part}.{setting.name}", getattr(settings, setting.name)
        if isinstance(value, tuple):
            if len(value) != 2 or not value[0] <= value[1]:
                raise SettingsError(f"{name}={value}: give the smaller number first")
        elif isinstance(value, int | float):
            most = 1.0 if setting.name in _SHARES and name != "spawn.braking" else math.inf
            if not 0 <= value <= most:
                span = "0 to 1" if most == 1.0 else "0 or more"
                raise SettingsError(f"{name}={value}: must be {span}")


MAX_AGENTS = 512
"""Most road users in a world: the size of the neighbour search's scratch."""
MAX_DELAY = 3
"""Longest delay [steps]: `SceneArrays.past_actions` keeps four actions."""
GIVEN_FEATURES = 52
"""Numbers in the `given` slot; `gigalane.sim.observe` lists them."""

FLAT_FEATURES = 7
"""Numbers of the ego, of a road token and of a partner in the flat format."""


@wp.struct
class Rules:
    """The scalar settings as kernels read them; field names match the settings' own."""

    agents: int
    respawn: int
    action: int
    episode_s: float
    tries: int
    truck_share: float
    cyclists: float
    pedestrians: float
    car_length: wp.vec2
    car_width: wp.vec2
    truck_length: wp.vec2
    truck_width: wp.vec2
    speed_share: wp.vec2
    lateral_acceleration: float
    spawn_braking: float
    goal_distance: wp.vec2
    waypoint_spacing: wp.vec2
    lane_change: float
    multiplier: float
    multiplier_speed: float
    friction: wp.vec2
    single_track: float
    delay: int
    scripted: float
    script: int
    blind: float
    braking: float
    braking_rate: float
    braking_time: float
    scripted_pedestrians: float
    desired_gap: float
    standstill_gap: float
    acceleration: float
    deceleration: float
    light_red: wp.vec2
    light_yellow: wp.vec2
    light_green: wp.vec2
    missing_light: float
    missing_group: float
    missing_all: float
    always_green: float
    partners: int
    partner_range: float
    controls: int
    control_range: float
    lane_dropout: float
    edge_dropout: float
    position_noise: float
    velocity_noise: float
    see_partners: int
    flat: int
    road_tokens: int
    road_start: int
    partners_start: int
    controls_start: int
    row_width: int


ACTION_NAMES: tuple[ActionName, ...] = ("jerk12", "jerk", "acceleration_steering", "delta_pose")


def rules_of(settings: SimulatorSettings, road_tokens: int) -> Any:  # noqa: ANN401
    """The settings as one Warp struct."""
    layout = settings.layout(road_tokens)
    spawn, traffic, lights = settings.spawn, settings.traffic, settings.lights
    rules = Rules()
    sources = (spawn, traffic, settings.observation, settings)
    renamed = {
        "spawn_braking": spawn.braking,
        "braking": traffic.braking,
        "light_red": lights.red,
        "light_yellow": lights.yellow,
        "light_green": lights.green,
        "missing_light": lights.missing_light,
        "missing_group": lights.missing_group,
        "missing_all": lights.missing_all,
        "always_green": lights.always_green,
        "action": ACTION_NAMES.index(settings.action),
        "script": SCRIPT_NAMES.index(traffic.script),
        "road_tokens": road_tokens,
        "road_start": layout.road_start,
        "partners_start": layout.partners_start,
        "controls_start": layout.controls_start,
        "row_width": layout.width,
    }
    for name in Rules.vars:
        if name in renamed:
            value = renamed[name]
        else:
            value = next(getattr(source, name) for source in sources if hasattr(source, name))
        setattr(rules, name, wp.vec2(*value) if isinstance(value, tuple) else value)
    return rules

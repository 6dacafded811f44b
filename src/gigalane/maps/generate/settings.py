"""What a procedural town may look like: the user's settings and the kinds of road.

Every number here is chosen, not taken from a source, unless it says otherwise. Shares are
probabilities; each town scales them by factors of its own (`variety`), so that one seed gives a
quiet village with roundabouts and the next a signalled centre with multi-lane arterials.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TownSettings:
    """Ranges and shares a town is drawn from.

    Attributes:
        size_m: side of the square that holds the town [m].
        spacing_m: smallest distance between neighbouring junctions as drawn [m].
        minimum_junctions: fewest junctions (three or more arms, roundabouts included).
        maximum_junctions: most junctions.
        thinning_share: of the streets that could be built, how many are left out.
        curviness: how far streets bend between junctions; 0 draws the straightest, 1 is lively.
        maximum_lanes: most lanes in one direction, 1 to 4.
        arterials: most multi-lane arterials that cross the town.
        one_way_share: of streets between junctions.
        lane_change_share: of long streets on which a lane is added or dropped on the way.
        roundabout_share: of junctions whose arms allow one.
        ramp_share: of T junctions at arterials that become an on-ramp or an off-ramp.
        signal_share: of the other junctions; crossings of multi-lane roads always have signals.
        stop_share: of junctions without signals: all-way or two-way stop.
        yield_share: of junctions without signals: the minor road gives way. The rest of them
            have no rule but the traffic law's.
        dead_end_share: of junctions that get a dead-end street where there is room.
        true_dead_end_share: of dead ends that have no loop to turn around in, so that a route
            that enters is stranded.
        parking_share: of road sides in built-up areas that have a parking lane.
        sidewalk_share: of streets in built-up areas that have sidewalks.
        crossing_share: of junction arms with a sidewalk that pedestrians may cross.
        hill_height_m: height of hills above valleys [m]; 0 gives a plane.
        hill_length_m: shortest distance between two hill tops [m].
        variety: 0 uses the shares as they are; 1 scales each by 0 to 2, drawn once a town.
        left_hand_traffic: whether traffic keeps left.
    """

    size_m: float = 400.0
    spacing_m: float = 60.0
    minimum_junctions: int = 8
    maximum_junctions: int = 20
    thinning_share: float = 0.15
    curviness: float = 1.0
    maximum_lanes: int = 4
    arterials: int = 3
    one_way_share: float = 0.12
    lane_change_share: float = 0.35
    roundabout_share: float = 0.2
    ramp_share: float = 0.35
    signal_share: float = 0.35
    stop_share: float = 0.45
    yield_share: float = 0.35
    dead_end_share: float = 0.2
    true_dead_end_share: float = 0.0
    parking_share: float = 0.4
    sidewalk_share: float = 0.75
    crossing_share: float = 0.6
    hill_height_m: float = 6.0
    hill_length_m: float = 250.0
    variety: float = 0.6
    left_hand_traffic: bool = False

    def __post_init__(self) -> None:
        """Refuses settings no town can meet."""
        for name in self.__dataclass_fields__:
            value = getattr(self, name)
            if name.endswith("_share") and not 0.0 <= value <= 1.0:
                raise ValueError(f"{name} is {value}; a share lies between 0 and 1")
        if not 1 <= self.maximum_lanes <= 4:
            raise ValueError(f"maximum_lanes is {self.maximum_lanes}; choose 1, 2, 3 or 4")
        if self.spacing_m < 50.0:
            raise ValueError(f"spacing_m is {self.spacing_m}; junctions need 50 m or more")
        if not 120.0 <= self.size_m <= 3000.0:
            raise ValueError(f"size_m is {self.size_m}; choose between 120 and 3000")
        if not 1 <= self.minimum_junctions <= self.maximum_junctions:
            raise ValueError("minimum_junctions must be at least 1 and at most maximum_junctions")
        if not 0.0 <= self.hill_height_m <= 0.1 * self.hill_length_m:
            raise ValueError(
                f"hill_height_m is {self.hill_height_m}; a tenth of hill_length_m is the most"
            )
        if not (0.0 <= self.variety <= 1.0 and 0.0 <= self.curviness <= 1.5):
            raise ValueError("variety lies between 0 and 1, curviness between 0 and 1.5")


TINY_TOWN = TownSettings(
    size_m=170.0,
    spacing_m=56.0,
    minimum_junctions=1,
    maximum_junctions=2,
    thinning_share=0.0,
    maximum_lanes=2,
    arterials=0,
    one_way_share=0.0,
    ramp_share=0.0,
    dead_end_share=1.0,
    hill_height_m=2.0,
)
"""One or two junctions and about one lane-kilometre: for demonstrations and tests."""


@dataclass(frozen=True)
class RoadKind:
    """How roads of one class are built.

    Attributes:
        name: what people call it.
        speeds_kmh: lowest and highest limit; bends lower it further.
        lane_width_m: narrowest and widest lane [m].
        bend_radius_m: radius that its bends have where there is room [m].
        built_up: whether parking lanes and sidewalks may stand along it.
        shoulder_share: of roads that have a paved shoulder instead.
        median_share: of two-way roads with a median strip.
    """

    name: str
    speeds_kmh: tuple[int, int]
    lane_width_m: tuple[float, float]
    bend_radius_m: float
    built_up: bool = True
    shoulder_share: float = 0.0
    median_share: float = 0.0


LIVING_STREET = RoadKind("living street", (20, 20), (3.0, 3.1), 16.0)
RESIDENTIAL = RoadKind("residential", (30, 40), (3.0, 3.3), 25.0)
COLLECTOR = RoadKind("collector", (40, 60), (3.2, 3.4), 45.0)
ARTERIAL = RoadKind("arterial", (50, 70), (3.3, 3.6), 70.0, median_share=0.4)
COUNTRY_ROAD = RoadKind("country road", (60, 90), (3.4, 3.6), 90.0, False, shoulder_share=0.6)
EXPRESSWAY = RoadKind("expressway", (80, 100), (3.5, 3.75), 150.0, False, 0.8, median_share=0.9)
RAMP = RoadKind("ramp", (40, 60), (3.6, 3.75), 30.0, built_up=False)

BEND_ACCELERATION = 5.0
"""Sideways acceleration at the limit in a road's tightest bend [m/s²]: about what a car can do on
a dry road without sliding (chosen). A posted limit says nothing of comfort; drivers slow down."""

"""How maps are compiled."""

from __future__ import annotations

from dataclasses import dataclass, field

from gigalane.maps.tokens import TokenSettings


@dataclass(frozen=True)
class CompileSettings:
    """How finely a map is cut and how far a driver sees it.

    Attributes:
        segment_length: longest quadrilateral [m].
        chord_error: how far a curved lane may leave its quadrilaterals [m].
        default_speed_limit: where the source names none [m/s] (50 km/h, the urban limit of the
            Vienna convention's European signatories).
        control_range: how far ahead a lane knows its stop lines [m].
        level_height: surfaces further apart than this in z are different levels [m].
        largest_hole: unpaved holes between a junction's lanes up to this area are road [m²].
        tokens: what a driver sees of the road.
    """

    segment_length: float = 5.0
    chord_error: float = 0.02
    default_speed_limit: float = 50.0 / 3.6
    control_range: float = 80.0
    level_height: float = 3.0
    largest_hole: float = 100.0
    tokens: TokenSettings = field(default_factory=TokenSettings)

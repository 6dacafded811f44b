"""Where each slot of an observation row lies.

An observation is one flat float16 row an agent: `given`, then the tokens of `road`, `partners`
and `controls`. What can be seen (the last three) is kept apart from what is given (ego state,
route, conditioning), so that a camera policy can replace the seen slots and keep the rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

ROAD_FEATURES = 6
"""x, y [m, scaled], direction cos, sin, half width [m, scaled], kind (+1 lane, -1 road edge)."""
PARTNER_FEATURES = 10
"""x, y, heading cos, sin, relative velocity x, y, length, width, z difference, kind."""
CONTROL_FEATURES = 6
"""distance to the line, x, y, state (go, caution, stop)."""

LANE_NUMBERS = (0, 1, 2, 46, 51)
"""Where `given` tells what only a map and a place on it would: offset from the lane's centre,
heading relative to the lane, curvature, whether the centre lies on the lane, half its width."""


class RowLayout(Protocol):
    """What the rows of some kind of observation hold; a dataclass, and equal ones mean the same."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def width(self) -> int:
        """Numbers in a row."""
        ...


@dataclass(frozen=True)
class ObservationLayout:
    """Sizes and offsets of the four slots of an observation row.

    Attributes:
        given: numbers in the `given` slot.
        road: tokens of lane and road-edge geometry.
        partners: tokens of other road users.
        controls: tokens of stop lines and lights.
        road_features: numbers of a road token.
        partner_features: numbers of a partner token.
    """

    given: int
    road: int
    partners: int
    controls: int
    road_features: int = ROAD_FEATURES
    partner_features: int = PARTNER_FEATURES

    @property
    def road_start(self) -> int:
        """Offset of the first road token."""
        return self.given

    @property
    def partners_start(self) -> int:
        """Offset of the first partner token."""
        return self.road_start + self.road * self.road_features

    @property
    def controls_start(self) -> int:
        """Offset of the first control token."""
        return self.partners_start + self.partners * self.partner_features

    @property
    def width(self) -> int:
        """Numbers in a row, padded to a multiple of 8 so that rows stay aligned."""
        return -(-(self.controls_start + self.controls * CONTROL_FEATURES) // 8) * 8

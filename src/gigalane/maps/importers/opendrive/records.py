"""What an OpenDRIVE file says, as typed records: no geometry is computed here.

Names follow the elements and attributes of ASAM OpenDRIVE 1.8; section numbers below are that
document's. Lengths are metres, angles radians, speeds metres a second, whatever the file's
units. `s` runs along a road's reference line, `t` to its left, `h` up (section 6.3).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Cubics:
    """A piecewise cubic: on piece k, a + b*d + c*d^2 + d*d^3 with d = s - start[k].

    Attributes:
        start: where each piece begins [m], ascending, shape (K,).
        coefficients: a, b, c, d of each piece, shape (K, 4).
    """

    start: NDArray[np.float64]
    coefficients: NDArray[np.float64]

    def _piece(
        self, s: NDArray[np.float64], within: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Offsets into the pieces that hold at `within`, and their coefficients (4, …)."""
        piece = np.maximum(np.searchsorted(self.start, within, side="right") - 1, 0)
        return s - self.start[piece], self.coefficients.T[:, piece]

    def value(
        self, s: NDArray[np.float64], within: NDArray[np.float64] | None = None
    ) -> NDArray[np.float64]:
        """The polynomial at `s`.

        Args:
            s: where [m], any shape.
            within: a place inside the piece to use for each `s`; a piece's two ends belong to
                two pieces, and this says which. By default the later one.

        Returns:
            Values, the shape of `s`.
        """
        offset, (a, b, c, d) = self._piece(s, s if within is None else within)
        return a + offset * (b + offset * (c + offset * d))

    def slope(
        self, s: NDArray[np.float64], within: NDArray[np.float64] | None = None
    ) -> NDArray[np.float64]:
        """The first derivative at `s`; arguments as in `value`."""
        offset, (_, b, c, d) = self._piece(s, s if within is None else within)
        return b + offset * (2.0 * c + offset * 3.0 * d)

    def bend(
        self, s: NDArray[np.float64], within: NDArray[np.float64] | None = None
    ) -> NDArray[np.float64]:
        """The second derivative at `s`; arguments as in `value`."""
        offset, (_, _, c, d) = self._piece(s, s if within is None else within)
        return 2.0 * c + 6.0 * offset * d


ZERO_CUBICS = Cubics(np.zeros(1), np.zeros((1, 4)))
"""Nought everywhere: what an absent profile means."""


@dataclass(frozen=True, slots=True)
class Geometry:
    """One piece of a reference line in plan view (section 9).

    Attributes:
        s: where it begins along the road [m].
        x: east of its start [m].
        y: north of its start [m].
        heading: its direction at the start [rad].
        length: arc length [m].
        shape: "line", "arc", "spiral", "poly3" or "paramPoly3".
        parameters: arc: (curvature,); spiral: (curvature at start, at end); poly3: a b c d;
            paramPoly3: aU bU cU dU aV bV cV dV and the parameter's last value.
    """

    s: float
    x: float
    y: float
    heading: float
    length: float
    shape: str
    parameters: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class LinkRecord:
    """What a road's end is joined to (section 10.3); contact is "start", "end" or ""."""

    element_type: str
    element_id: str
    contact: str


@dataclass(frozen=True, slots=True)
class MarkRecord:
    """A painted line on a lane's outer edge from `s_offset` on (section 11.9)."""

    s_offset: float
    type: str
    color: str
    width: float


@dataclass(frozen=True, slots=True)
class SpeedRecord:
    """A speed limit from `s` on [m/s]; None where the file lifts it or does not say."""

    s: float
    limit: float | None


@dataclass(frozen=True, slots=True, eq=False)
class LaneRecord:
    """One lane of one lane section (section 11).

    Attributes:
        id: positive left of the centre lane, negative right of it, 0 the centre lane.
        type: as the file spells it.
        level: whether it stays level where the road is superelevated.
        direction: "standard", "reversed" or "both" (1.8).
        predecessors: lane ids where the section begins.
        successors: lane ids where the section ends.
        width: width over the offset from the section's start, or None.
        border: outer edge's t over the same offset, or None; read where there is no width.
        marks: painted lines on its outer edge, ascending.
        speeds: its own speed limits; `s` counts from the section's start.
    """

    id: int
    type: str
    level: bool
    direction: str
    predecessors: tuple[int, ...]
    successors: tuple[int, ...]
    width: Cubics | None
    border: Cubics | None
    marks: tuple[MarkRecord, ...]
    speeds: tuple[SpeedRecord, ...]


@dataclass(frozen=True, slots=True, eq=False)
class SectionRecord:
    """A stretch of road with a fixed set of lanes, from `s` on, by lane id."""

    index: int
    s: float
    single_side: bool
    lanes: dict[int, LaneRecord]


@dataclass(frozen=True, slots=True)
class SignalRecord:
    """A signal, or (with an empty type) a reference to one that also governs this road.

    Attributes:
        id: the signal's id.
        s: where along the road [m].
        t: how far left of the reference line [m].
        z_offset: height above the road [m].
        heading_offset: the face's heading against the road's, as the file gives it [rad].
        orientation: "+", "-" or "none": the direction along s that it is for.
        lanes: pairs of first and last lane id it is for; empty where the file does not say.
        name: free text.
        type: the country's catalogue number.
        subtype: likewise.
        country: ISO 3166-1 code, or "OpenDRIVE".
        dynamic: whether its state changes.
        value: its number, or None.
        unit: the number's unit.
        width: the face's width [m].
    """

    id: str
    s: float
    t: float
    z_offset: float
    heading_offset: float
    orientation: str
    lanes: tuple[tuple[int, int], ...]
    name: str = ""
    type: str = ""
    subtype: str = ""
    country: str = ""
    dynamic: bool = False
    value: float | None = None
    unit: str = ""
    width: float = 0.0


@dataclass(frozen=True, slots=True)
class ObjectRecord:
    """An object on or beside a road (section 13).

    Attributes:
        id: the object's id.
        name: free text.
        type: "crosswalk", "roadMark", …; old files write "-1".
        subtype: free text.
        s: where along the road [m].
        t: how far left of the reference line [m].
        z_offset: height above the road [m].
        heading: against the road's [rad].
        length: extent along its heading [m].
        width: extent across it [m].
        corners_local: outline in its own frame, (u, v, z) [m].
        corners_road: outline along the road, (s, t, height above the road) [m].
    """

    id: str
    name: str
    type: str
    subtype: str
    s: float
    t: float
    z_offset: float
    heading: float
    length: float
    width: float
    corners_local: tuple[tuple[float, float, float], ...] = ()
    corners_road: tuple[tuple[float, float, float], ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class RoadRecord:
    """A road (section 10).

    Attributes:
        id: any text.
        length: arc length of the reference line as the file states it [m].
        junction: id of the junction it connects through, or None.
        left_hand_traffic: whether its rule is LHT.
        predecessor: what its start is joined to.
        successor: what its end is joined to.
        speeds: the road type's limits.
        geometries: plan view, ascending in s.
        elevation: height over s [m].
        superelevation: roll about the reference line over s [rad], positive lowers the right.
        lane_offset: t of the centre lane over s [m].
        sections: lane sections, ascending in s.
        signals: signals and references on it.
        objects: objects on it.
    """

    id: str
    length: float
    junction: str | None
    left_hand_traffic: bool
    predecessor: LinkRecord | None
    successor: LinkRecord | None
    speeds: tuple[SpeedRecord, ...]
    geometries: tuple[Geometry, ...]
    elevation: Cubics
    superelevation: Cubics
    lane_offset: Cubics
    sections: tuple[SectionRecord, ...]
    signals: tuple[SignalRecord, ...] = ()
    objects: tuple[ObjectRecord, ...] = ()


@dataclass(frozen=True, slots=True)
class ConnectionRecord:
    """A junction's connection from an incoming road to a connecting (or linked) road."""

    incoming_road: str
    connecting_road: str
    contact: str
    lane_links: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class JunctionRecord:
    """A junction; `controllers` are ids in the order of their `sequence`."""

    id: str
    type: str
    connections: tuple[ConnectionRecord, ...]
    controllers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ControllerRecord:
    """Signals that switch together."""

    id: str
    signals: tuple[str, ...]


@dataclass(slots=True)
class Document:
    """A whole file. `warnings` grows as later stages repair or leave out more."""

    file: str
    vendor: str = ""
    geo_reference: str | None = None
    roads: dict[str, RoadRecord] = field(default_factory=dict)
    junctions: dict[str, JunctionRecord] = field(default_factory=dict)
    controllers: dict[str, ControllerRecord] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def warn(self, place: str, reason: str) -> None:
        """Notes one thing that was repaired or left out."""
        self.warnings.append(f"{place}: {reason}")

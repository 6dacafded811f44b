"""Painted lines of a lane's edge, from road mark records to stretches along the edge."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from gigalane.maps.importers.opendrive.records import LaneRecord
from gigalane.maps.road import MarkType, RoadMark

if TYPE_CHECKING:
    from gigalane.maps.importers.opendrive.lanes import Span

_MARK_TYPES = {type_.value.replace("_", " "): type_ for type_ in MarkType}
"""Spellings of ASAM OpenDRIVE 1.8 section 11.9; "edge", "grass", "botts dots" … are OTHER."""

_MIRRORED = {
    MarkType.SOLID_BROKEN: MarkType.BROKEN_SOLID,
    MarkType.BROKEN_SOLID: MarkType.SOLID_BROKEN,
}


def marks_along(
    record: LaneRecord | None,
    span: Span,
    s: NDArray[np.float64],
    edge: NDArray[np.float64],
    forward: bool,
) -> tuple[RoadMark, ...]:
    """Painted stretches of the edge that `record` is painted on.

    Double lines are named by the driver from left to right. The file names them from the inside
    to the outside of the road, and on the centre lane from left to right along s.

    Args:
        record: the lane whose road marks they are, or None.
        span: the stretch of its section.
        s: s of the edge's vertices [m], shape (N,), ascending if `forward`.
        edge: the edge in the direction of travel, (N, 3) [m].
        forward: whether travel runs along s.

    Returns:
        Stretches in the direction of travel.
    """
    if record is None or not record.marks:
        return ()
    steps = np.linalg.norm(np.diff(edge[:, :2], axis=0), axis=1)
    arc = np.concatenate([[0.0], np.cumsum(steps)])
    starts = [span.section.s + mark.s_offset for mark in record.marks]
    mirrored = (record.id > 0) == forward
    if record.id == 0:
        mirrored = not forward
    found = []
    for mark, start, end in zip(record.marks, starts, [*starts[1:], span.end], strict=True):
        type_ = _MARK_TYPES.get(mark.type.strip(), MarkType.OTHER)
        if type_ is MarkType.NONE or end <= start or start >= span.end:
            continue
        if forward:
            begin, stop = np.interp([start, end], s, arc)
        else:
            begin, stop = np.interp([end, start], s[::-1], arc[::-1])
        if mirrored:
            type_ = _MIRRORED.get(type_, type_)
        if stop > begin:
            found.append(RoadMark(float(begin), float(stop), type_, mark.color, mark.width))
    return tuple(found if forward else reversed(found))

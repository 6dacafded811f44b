"""Range scans by hand."""

import numpy as np
import pytest

from gigalane.core.settings import SettingsError
from gigalane.render.classes import CLASS
from gigalane.render.range_scan import RangeScanner, ScanSettings
from reference.placed import place


def scanner_of(simulator, scenery, **settings):
    return RangeScanner(simulator, scenery, ScanSettings(**settings), agents=[0], threads=1)


def test_beams_leave_at_the_angles_that_were_asked_for(empty_straight, straight_scenery):
    scanner = scanner_of(
        empty_straight, straight_scenery, beams=5, columns=8, highest=0.2, lowest=-0.6
    )
    elevation = np.arcsin(scanner.rays_ego[..., 2])
    assert elevation == pytest.approx(
        np.broadcast_to([[0.2], [0.0], [-0.2], [-0.4], [-0.6]], (5, 8))
    )
    azimuth = np.arctan2(scanner.rays_ego[1, :, 1], scanner.rays_ego[1, :, 0])
    assert azimuth == pytest.approx(np.pi - (np.arange(8) + 0.5) * np.pi / 4)


def test_a_truck_returns_its_distance_and_the_road_its_slope(empty_straight, straight_scenery):
    place(empty_straight, 0, 0, 0, 100.0, -1.75)
    place(empty_straight, 0, 1, 1, 123.25, -1.75)  # its rear is 20 m ahead
    scanner = scanner_of(
        empty_straight, straight_scenery, beams=21, columns=360, highest=0.2, lowest=-0.6
    )
    ranges = scanner.scan()[0, 0]
    ray = scanner.rays_ego[5, 180]  # level, half a degree to the right of ahead
    assert ranges[5, 180] == pytest.approx(20.0 / ray[0], rel=2e-3)
    assert scanner.classes()[0, 0][5, 180] == CLASS["truck"]
    # 1.9 m above the road, the last beam 0.6 rad down.
    assert ranges[20, 180] == pytest.approx(1.9 / np.sin(0.6), rel=1e-3)
    points = scanner.points_ego(0, 0)
    assert len(points) == (ranges < 80.0).sum()
    on_road = np.abs(points[:, 2]) < 0.1
    assert on_road.mean() > 0.4
    assert (points[:, 2] < -0.05).mean() < 0.05  # beams that pass the edge of something


def test_the_sky_returns_nothing(empty_straight, straight_scenery):
    place(empty_straight, 0, 0, 0, 200.0, -1.75)
    scanner = scanner_of(
        empty_straight, straight_scenery, beams=2, columns=36, highest=1.5, lowest=1.45
    )
    assert (scanner.scan() == 80.0).all()
    assert scanner.points_ego(0, 0).shape == (0, 3)


@pytest.mark.parametrize(
    ("change", "words"),
    [({"beams": 1}, "1 beams x 360 columns"), ({"highest": -1.0}, "give the highest first")],
)
def test_scans_without_beams_are_refused(change, words):
    with pytest.raises(SettingsError, match=words):
        ScanSettings(**change)

"""Range scans as a spinning LiDAR makes them, from the depth of the same renderer.

A scan is a panorama: rows are beams, columns azimuths. Every return is the distance along its
beam to the first surface; there is no noise, no drop-out, and all beams of a scan are taken at
one moment. What a beam meets is looked up in a cube of pinhole views, so that at the edge of a
thing a return may be up to half a pixel of those beside it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gigalane.core.settings import SettingsError
from gigalane.maps.road import RoadMap
from gigalane.render.camera import Camera, Rig, looking
from gigalane.render.lenses import pixel_rays
from gigalane.render.renderer import CameraRenderer
from gigalane.render.scenery import Scenery
from gigalane.sim.simulator import Simulator


@dataclass(frozen=True)
class ScanSettings:
    """A scanner on the roof.

    Attributes:
        beams: rows of a scan.
        columns: azimuths of a full turn; the first column looks back, the middle one ahead.
        highest: elevation of the first beam [rad].
        lowest: elevation of the last beam [rad]. Both by default as of a Velodyne HDL-32E.
        position_ego: [m]
        farthest: what is farther gives no return [m].
    """

    beams: int = 32
    columns: int = 360
    highest: float = math.radians(10.67)
    lowest: float = math.radians(-30.67)
    position_ego: tuple[float, float, float] = (0.0, 0.0, 1.9)
    farthest: float = 80.0

    def __post_init__(self) -> None:
        """Refuses scans without beams.

        Raises:
            SettingsError: which number, and what would do.
        """
        if self.beams < 2 or self.columns < 4:
            raise SettingsError(
                f"scan: {self.beams} beams x {self.columns} columns; give at least 2 x 4"
            )
        if not -0.5 * math.pi < self.lowest < self.highest < 0.5 * math.pi:
            raise SettingsError(
                f"scan: beams from {self.highest} to {self.lowest} rad; give the highest first, "
                "between straight up and straight down"
            )


def scan_camera(settings: ScanSettings) -> Camera:
    """The scanner as a panoramic camera."""
    across = settings.columns / math.tau
    down = (settings.beams - 1) / (settings.highest - settings.lowest)
    return Camera(
        name="scan",
        width=settings.columns,
        height=settings.beams,
        fx=across,
        fy=down,
        cx=0.5 * settings.columns,
        cy=0.5 + down * settings.highest,
        position_ego=settings.position_ego,
        rotation_ego=looking(0.0),
        model="panorama",
        far=settings.farthest,
    )


class RangeScanner:
    """Scans from every road user, in an array that is overwritten by `scan`.

    Attributes:
        rays_ego: (beams, columns, 3) unit vectors of the beams.
    """

    def __init__(
        self,
        simulator: Simulator,
        maps: Sequence[RoadMap | Scenery] | RoadMap | Scenery,
        settings: ScanSettings | None = None,
        *,
        agents: Sequence[int] | None = None,
        threads: int | None = None,
    ) -> None:
        """Makes the renderer behind it; arguments as of `CameraRenderer`."""
        self.settings = settings or ScanSettings()
        camera = scan_camera(self.settings)
        self._renderer = CameraRenderer(
            simulator, Rig("scan", (camera,)), maps, outputs=("depth", "class_id"), agents=agents,
            threads=threads,
        )  # fmt: skip
        self.rays_ego: NDArray[np.float64] = pixel_rays(camera)[0] @ camera.ego_from_camera.T

    def scan(self) -> NDArray[np.float32]:
        """Distances (worlds, agents, beams, columns) [m]; `farthest` where nothing returns."""
        return np.asarray(self._renderer.render()["depth"])[:, :, 0]

    def classes(self) -> NDArray[np.uint8]:
        """What each beam of the last scan met, (worlds, agents, beams, columns) class ids."""
        return np.asarray(self._renderer.image("class_id"))[:, :, 0]

    def points_ego(self, world: int, agent: int) -> NDArray[np.float64]:
        """Returns of the last scan of one road user, (N, 3) [m], ego frame.

        Args:
            world: of the batch.
            agent: place among the chosen slots.
        """
        ranges = np.asarray(self._renderer.image("depth"))[world, agent, 0]
        hit = ranges < self.settings.farthest
        return np.array(self.settings.position_ego) + ranges[hit][:, None] * self.rays_ego[hit]

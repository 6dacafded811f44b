"""How much lies in view of cameras: boxes and flat strips, counted apart from the renderer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from gigalane.render.camera import Camera, Rig
from gigalane.render.lenses import Reach
from gigalane.render.scenery import LAYERS, Scenery
from gigalane.sim.simulator import Simulator

SAMPLES = 96
"""Road users that are looked from; chosen: the mean is then known to a few percent."""
_FLAT = [LAYERS.index(name) for name in ("surface", "road", "paint")]
_UPRIGHT = LAYERS.index("upright")

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class InView:
    """Means over views.

    Attributes:
        road_users_in_view: whose box is partly in the picture and within reach.
        boxes_in_view: these, houses and the crowns of trees.
        strips_in_view: quadrilaterals of surfaces, lanes and paint.
        quadrilaterals_in_view: of the whole standing world.
    """

    road_users_in_view: float
    boxes_in_view: float
    strips_in_view: float
    quadrilaterals_in_view: float


def count_in_view(
    simulator: Simulator, sceneries: Sequence[Scenery], rig: Rig, reach: Reach
) -> InView:
    """Counts what is partly in the pyramid of a camera and within reach, hidden or not.

    Args:
        simulator: the worlds as they are now.
        sceneries: of its maps.
        rig: the cameras. A lens that is no pinhole counts as seeing all around.
        reach: how far things are drawn.
    """
    worlds, agents = simulator.shape
    boxes = simulator.scene.boxes.numpy()
    heights = simulator.scene.traits.numpy()["height"]
    maps = simulator.scene.map_index.numpy()
    standing = [_Standing(scenery, reach) for scenery in sceneries]
    picked = np.linspace(0, worlds * agents - 1, min(SAMPLES, worlds * agents)).astype(int)
    found = []
    for world, agent in np.column_stack(np.divmod(picked, agents)):
        there = (boxes[world, 8] >= 0.0) & (np.arange(boxes.shape[2]) != agent)
        others = _corners(boxes[world][:, there], heights[world][there])
        for camera in rig.cameras:
            eye = _Eye(camera, boxes[world, :, agent])
            users = int(eye.sees(others, reach.road_user).sum())
            houses, strips, quads = standing[int(maps[world])].count(eye)
            found.append((users, users + houses, strips, quads))
    return InView(*np.mean(found, axis=0).tolist())


class _Eye:
    """A camera of a road user, as points are tested against it."""

    def __init__(self, camera: Camera, box: NDArray[np.float32]) -> None:
        """Takes the road user's column of `SceneArrays.boxes`."""
        x, y, z, cos, sin = (float(number) for number in box[:5])
        turn = np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])
        self._camera, self._axes = camera, turn @ camera.ego_from_camera
        self._place = np.array([x, y, z]) + turn @ np.array(camera.position_ego)

    def sees(self, corners: Floats, reach: float | Floats) -> NDArray[np.bool_]:
        """Which sets of points (N, K, 3) [m] are not all beyond one side of the image."""
        away = corners - self._place
        near = np.linalg.norm(away, axis=2).min(axis=1) < reach
        if self._camera.model != "pinhole":
            return near
        x, y, z = np.moveaxis(away @ self._axes, 2, 0)
        u = self._camera.fx * x + self._camera.cx * z
        v = self._camera.fy * y + self._camera.cy * z
        width, height = self._camera.width, self._camera.height
        beyond = [z <= self._camera.near, u <= 0, u >= width * z, v <= 0, v >= height * z]
        return near & ~np.any([side.all(axis=1) for side in beyond], axis=0)


class _Standing:
    """The standing world of a map, as quadrilaterals and as boxes."""

    def __init__(self, scenery: Scenery, reach: Reach) -> None:
        """Finds the boxes: each has one level face that looks up."""
        layers = len(LAYERS)
        cells = np.diff(scenery.offsets)
        self._layer = np.repeat(np.arange(len(cells)) % layers, cells)
        self._quads = scenery.quads.reshape(-1, 3, 4).transpose(0, 2, 1).astype(float)
        self._reach = np.array(list(asdict(reach).values()))[self._layer]
        upright = self._quads[self._layer == _UPRIGHT]
        level = np.ptp(upright[:, :, 2], axis=1) < 1e-3
        edges = upright[:, 1:3] - upright[:, :1]
        roofs = upright[level & (np.cross(edges[:, 0], edges[:, 1])[:, 2] > 0.0)]
        ground = roofs.copy()
        flat = self._quads[np.isin(self._layer, _FLAT)]
        ground[:, :, 2] = np.median(flat[:, :, 2]) if len(flat) else 0.0
        self._boxes = np.concatenate([roofs, ground], axis=1)
        self._box_reach = reach.upright

    def count(self, eye: _Eye) -> tuple[int, int, int]:
        """Boxes, strips and quadrilaterals that an eye has in view."""
        seen = eye.sees(self._quads, self._reach)
        strips = int((seen & np.isin(self._layer, _FLAT)).sum())
        return int(eye.sees(self._boxes, self._box_reach).sum()), strips, int(seen.sum())


def _corners(boxes: NDArray[np.float32], heights: NDArray[np.float32]) -> Floats:
    """Corners of road users, (N, 8, 3) [m], from columns of `SceneArrays.boxes`."""
    x, y, z, cos, sin, _, half_length, half_width = boxes[:8].astype(float)
    corners = []
    for along, aside in ((1, 1), (1, -1), (-1, -1), (-1, 1)):
        for above in (0.0, 1.0):
            ahead, left = along * half_length, aside * half_width
            place = [x + ahead * cos - left * sin, y + ahead * sin + left * cos]
            corners.append(np.column_stack([*place, z + above * heights]))
    return np.stack(corners, axis=1)

"""Cameras as kernels read them: a pinhole is one face, other lenses are gathered from several.

Their faces are the sides of a cube around the lens, 90° wide, as many as the image shows, cut to
the rows that it shows. A panorama that does not look far up or down has the four sides around the
horizon only, then higher than those of a cube. Each pixel of the image takes the class of the
nearest pixel of the face that its ray goes through, and the depth where the ray meets the plane
seen there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import warp as wp
from numpy.typing import NDArray

from gigalane.core.settings import SettingsError
from gigalane.render.camera import Camera, Rig
from gigalane.render.canvas import CameraRecord, FaceRecord, Reaches, RigArrays
from gigalane.render.classes import BASE_COLORS

Floats = NDArray[np.float64]

_SIDES = np.array(
    [
        [[1, 0, 0], [0, 1, 0], [0, 0, 1]],  # ahead: right, down and forward axes as rows
        [[0, 0, -1], [0, 1, 0], [1, 0, 0]],  # to the right
        [[0, 0, 1], [0, 1, 0], [-1, 0, 0]],  # to the left
        [[1, 0, 0], [0, 0, -1], [0, 1, 0]],  # down
        [[1, 0, 0], [0, 0, 1], [0, -1, 0]],  # up
        [[-1, 0, 0], [0, 1, 0], [0, 0, -1]],  # behind
    ],
    float,
)
_LEVEL = (0, 1, 2, 5)
"""Those of them around the horizon."""
_STEEP = 0.9
"""Elevation up to which they alone make a panorama [rad]; chosen: there they are 1.8 times as
high as wide."""


@dataclass(frozen=True)
class Reach:
    """How far things are drawn [m].

    Attributes:
        surface: pavements, medians, shoulders.
        road: lanes.
        paint: marks, crossings, stop lines.
        small: kerbs, barriers, poles, signs.
        upright: houses and trees.
        light: faces of traffic lights.
        road_user: cars, trucks, cyclists, walkers.
    """

    surface: float
    road: float
    paint: float
    small: float
    upright: float
    light: float
    road_user: float

    @classmethod
    def of(cls, rig: Rig) -> Reach:
        """As far as the sharpest camera of a rig can tell something apart.

        A thing of `size` covers one pixel at `focal length * size`. The multiples are chosen:
        ground seen from 1.6 m has one row of pixels left at 1.6 focal lengths; beyond the others
        a lane mark is a fifth of a pixel wide, a pole a sixth, a car half a pixel high.
        """
        focal = max(max(camera.fx, camera.fy) for camera in rig.cameras)
        multiples = (1.25, 1.6, 0.75, 1.0, 2.5, 1.5, 2.5)
        return cls(*(min(focal * multiple, 130.0) for multiple in multiples))


def pixel_rays(camera: Camera) -> tuple[Floats, NDArray[np.bool_]]:
    """Directions of a camera's pixels.

    Args:
        camera: any.

    Returns:
        rays: (height, width, 3) camera frame; of unit length, but with z = 1 for a
            pinhole, so that depth times ray is the point seen.
        is_lens: (height, width) whether the lens shows anything there.
    """
    row, column = np.mgrid[: camera.height, : camera.width].astype(np.float64)
    x = (column + 0.5 - camera.cx) / camera.fx
    y = (row + 0.5 - camera.cy) / camera.fy
    if camera.model == "pinhole":
        return np.stack([x, y, np.ones_like(x)], axis=-1), np.ones(x.shape, bool)
    if camera.model == "panorama":
        rays = [np.sin(x) * np.cos(y), np.sin(y), np.cos(x) * np.cos(y)]
        return np.stack(rays, axis=-1), (np.abs(x) <= np.pi) & (np.abs(y) <= 0.5 * np.pi)
    radius = np.hypot(x, y)
    angle, known = _angles(radius, camera)
    share = np.where(radius > 1e-9, np.sin(angle) / np.maximum(radius, 1e-9), 1.0)
    return np.stack([x * share, y * share, np.cos(angle)], axis=-1), known


def _angles(radius: Floats, camera: Camera) -> tuple[Floats, NDArray[np.bool_]]:
    """Angles from the axis [rad] that a fisheye shows at radii; and where it shows any."""
    angle = np.linspace(0.0, np.pi, 4001)
    square = angle**2
    factor = np.ones_like(angle)
    for k, weight in enumerate(camera.distortion):
        factor += weight * square ** (k + 1)
    shown = angle * factor
    # Where the curve turns back the lens has ended.
    falling = np.flatnonzero(np.diff(shown) <= 0.0)
    end = int(falling[0]) + 1 if len(falling) else len(angle)
    if end < 2:
        raise SettingsError(f"camera {camera.name!r}, distortion: {camera.distortion}; "
                            "angles must grow with the radius")  # fmt: skip
    return np.interp(radius, shown[:end], angle[:end]), radius <= shown[end - 1]


def rig_arrays(rig: Rig, reach: Reach, device: str) -> tuple[Any, int]:
    """A rig as kernels read it.

    Args:
        rig: the cameras.
        reach: how far things are drawn.
        device: Warp device name.

    Returns:
        A `RigArrays`, and how many pixels a canvas needs.
    """
    cameras, faces = [], []
    remap_from: list[NDArray[np.int32]] = []
    remap_ray: list[NDArray[np.float32]] = []
    need = 0
    for camera in rig.cameras:
        is_lens = camera.model != "pinhole"
        own = [_face(camera, _SIDES[0])]
        record = CameraRecord()
        record.position = wp.vec3(*camera.position_ego)
        record.near, record.far = camera.near, camera.far
        record.remap_start = -1
        if is_lens:
            record.remap_start = sum(map(len, remap_from))
            own, source, ray = _cube(camera)
            remap_from.append(source)
            remap_ray.append(ray)
        record.first_face, record.face_count = len(faces), len(own)
        cameras.append(record)
        faces += own
        need = max(need, own[-1].start + own[-1].width * own[-1].height)
    arrays = RigArrays()
    arrays.cameras = wp.array(cameras, dtype=CameraRecord, device=device)
    arrays.faces = wp.array(faces, dtype=FaceRecord, device=device)
    sources = np.concatenate([np.zeros(0, np.int32), *remap_from])
    rays = np.concatenate([np.zeros((0, 3), np.float32), *remap_ray])
    arrays.remap_from = wp.array(sources, dtype=int, device=device)
    arrays.remap_ray = wp.array(rays, dtype=wp.vec3, device=device)
    arrays.colors = wp.array(BASE_COLORS, dtype=wp.vec3, device=device)
    grids = [pixel_rays(one)[0].reshape(-1, 3) @ one.ego_from_camera.T for one in rig.cameras]
    rays_ego = np.concatenate(grids).astype(np.float32)
    arrays.rays = wp.array(rays_ego, dtype=wp.vec3, device=device)
    arrays.reaches = Reaches(
        reach.surface, reach.road, reach.paint, reach.small, reach.upright, reach.light
    )
    arrays.farthest = max(arrays.reaches)
    arrays.body_reach = reach.road_user
    arrays.width = rig.size[0]
    arrays.pixels = rig.size[0] * rig.size[1]
    return arrays, max(need, arrays.pixels)


def _face(camera: Camera, side: Floats) -> Any:  # noqa: ANN401
    """One pinhole view of a camera."""
    axes = camera.ego_from_camera @ side.T
    face = FaceRecord()
    face.right, face.down, face.forward = (wp.vec3(*axis) for axis in axes.T)
    face.fx, face.fy, face.cx, face.cy = camera.fx, camera.fy, camera.cx, camera.cy
    face.width, face.height, face.start = camera.width, camera.height, 0
    return face


def _sides_of(camera: Camera, rays: Floats) -> NDArray[np.intp]:
    """Which side of the cube each ray, (N, 3), goes through."""
    toward = rays @ _SIDES[:, 2].T
    if camera.model == "panorama" and np.abs(rays[:, 1]).max() <= np.sin(_STEEP):
        return np.array(_LEVEL)[toward[:, _LEVEL].argmax(axis=1)]
    return toward.argmax(axis=1)


def _cube(camera: Camera) -> tuple[list[Any], NDArray[np.int32], NDArray[np.float32]]:
    """The faces of a lens, and where on them its pixels look.

    Returns:
        The faces; for each pixel of the image the canvas pixel it shows, -1 outside the lens; and
        how its ray passes that, as `finish.sharpen` takes it.
    """
    grid, shown = pixel_rays(camera)
    rays, is_lens = grid.reshape(-1, 3), shown.ravel()
    side = _sides_of(camera, rays)
    x, y, z = np.einsum("nij,nj->in", _SIDES[side], rays)
    # As fine as the image at its middle; the cube is finer towards its edges.
    size = int(np.ceil(2.0 * max(camera.fx, camera.fy)))
    u, v = 0.5 * size * (x / z + 1.0), 0.5 * size * (y / z + 1.0)
    is_level = camera.model == "panorama" and set(side) <= set(_LEVEL)
    column = np.clip(np.floor(u), 0, size - 1).astype(np.int32)
    row = np.floor(v) if is_level else np.clip(np.floor(v), 0, size - 1)
    row = row.astype(np.int32)
    faces: list[Any] = []
    source = np.full(len(rays), -1, np.int32)
    is_inner = (column > 0) & (column < size - 1)
    start = 0
    for number in np.unique(side[is_lens]):
        mine = is_lens & (side == number)
        # One row more on both sides, to go on along the plane that a pixel shows.
        first, last = row[mine].min() - 1, row[mine].max() + 1
        if not is_level:
            first, last = max(first, 0), min(last, size - 1)
        face = _face(camera, _SIDES[number])
        face.fx = face.fy = face.cx = 0.5 * size
        face.cy = 0.5 * size - first
        face.width, face.height, face.start = size, int(last - first + 1), start
        source[mine] = start + (row[mine] - first) * size + column[mine]
        is_inner[mine] &= (row[mine] > first) & (row[mine] < last)
        start += face.width * face.height
        faces.append(face)
    off = np.stack([u - column - 0.5, v - row - 0.5]) * is_inner
    return faces, source, np.stack([*off, z], axis=1).astype(np.float32)

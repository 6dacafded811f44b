"""Where a view looks from and how, and whether a ball may be in it."""

# pyright: reportGeneralTypeIssues=false, reportInvalidTypeForm=false, reportCallIssue=false
# pyright: reportOperatorIssue=false, reportReturnType=false, reportArgumentType=false
# pyright: reportAttributeAccessIssue=false, reportIndexIssue=false

import warp as wp

from gigalane.render.canvas import CameraRecord, FaceRecord
from gigalane.render.rasterize import (
    EYE,
    FARTHEST,
    FOCAL,
    HEIGHT,
    HORIZON,
    NEAR,
    ROWS,
    START,
    STEEPNESS,
    WIDTH,
)


@wp.func
def aim(
    view: wp.array(dtype=float),
    camera: CameraRecord,
    face: FaceRecord,
    pose: wp.vec4,
    shift: wp.vec3,
    turn: wp.vec3,
    ground: float,
):
    """Writes where a view looks from and how.

    Args:
        view: where to.
        camera: of the rig.
        face: of the camera.
        pose: x, y [m], cos and sin of the heading of the car.
        shift: of the camera from its place [m], ego frame.
        turn: of the camera as axis times angle [rad], ego frame.
        ground: height of the ground below the car [m].
    """
    spin = spin_of(turn)
    right = turned(wp.quat_rotate(spin, face.right), pose)
    down = turned(wp.quat_rotate(spin, face.down), pose)
    forward = turned(wp.quat_rotate(spin, face.forward), pose)
    place = turned(camera.position + shift, pose)
    above = wp.max(place[2], 0.05)
    view[EYE] = pose[0] + place[0]
    view[EYE + 1] = pose[1] + place[1]
    view[EYE + 2] = ground + place[2]
    for k in range(3):
        view[ROWS + k] = face.fx * right[k] + face.cx * forward[k]
        view[ROWS + 3 + k] = face.fy * down[k] + face.cy * forward[k]
        view[ROWS + 6 + k] = forward[k]
    across = right[2] / face.fx
    downward = down[2] / face.fy
    view[HORIZON] = -across / above
    view[HORIZON + 1] = -downward / above
    view[HORIZON + 2] = -(forward[2] - face.cx * across - face.cy * downward) / above
    view[STEEPNESS] = above * 15.0
    view[WIDTH] = float(face.width)
    view[HEIGHT] = float(face.height)
    view[NEAR] = camera.near
    view[FARTHEST] = 1.0 / camera.far
    view[START] = float(face.start)
    view[FOCAL] = face.fy


@wp.func
def spin_of(turn: wp.vec3) -> wp.quat:
    """A turn as axis times angle [rad] as a quaternion."""
    spin = wp.quat_identity()
    angle = wp.length(turn)
    if angle > 0.0:
        spin = wp.quat_from_axis_angle(turn / angle, angle)
    return spin


@wp.func
def turned(ego: wp.vec3, pose: wp.vec4) -> wp.vec3:
    """A vector of the ego frame in the map's axes."""
    return wp.vec3(ego[0] * pose[2] - ego[1] * pose[3], ego[0] * pose[3] + ego[1] * pose[2], ego[2])


@wp.struct
class Frustum:
    """A view as balls are tested against it."""

    eye: wp.vec3
    forward: wp.vec3
    left: wp.vec3  # unit normals that point inwards
    right: wp.vec3
    top: wp.vec3
    bottom: wp.vec3
    low: wp.vec2  # x and y of the pyramid's corners at depth 1 and of the eye: least
    high: wp.vec2  # and most
    near: float


@wp.func
def frustum_of(view: wp.array(dtype=float)) -> Frustum:
    """The planes around a view."""
    u = wp.vec3(view[ROWS], view[ROWS + 1], view[ROWS + 2])
    v = wp.vec3(view[ROWS + 3], view[ROWS + 4], view[ROWS + 5])
    forward = wp.vec3(view[ROWS + 6], view[ROWS + 7], view[ROWS + 8])
    frustum = Frustum()
    frustum.eye = wp.vec3(view[EYE], view[EYE + 1], view[EYE + 2])
    frustum.forward = forward
    frustum.left = wp.normalize(u)
    frustum.right = wp.normalize(view[WIDTH] * forward - u)
    frustum.top = wp.normalize(v)
    frustum.bottom = wp.normalize(view[HEIGHT] * forward - v)
    frustum.near = view[NEAR]
    frustum.low = wp.vec2(0.0, 0.0)
    frustum.high = wp.vec2(0.0, 0.0)
    for k in range(4):
        edge = wp.cross(
            wp.where(k < 2, frustum.left, frustum.right),
            wp.where(k % 2 == 0, frustum.top, frustum.bottom),
        )
        edge = edge / wp.dot(edge, forward)
        flat = wp.vec2(edge[0], edge[1])
        frustum.low = wp.min(frustum.low, flat)
        frustum.high = wp.max(frustum.high, flat)
    return frustum


@wp.func
def may_see(frustum: Frustum, away: wp.vec3, radius: float, reach: float) -> bool:
    """Whether a ball whose middle is `away` from the eye may be in view and within reach [m]."""
    if wp.dot(frustum.forward, away) + radius < frustum.near:
        return False
    if wp.dot(frustum.left, away) + radius < 0.0 or wp.dot(frustum.right, away) + radius < 0.0:
        return False
    if wp.dot(frustum.top, away) + radius < 0.0 or wp.dot(frustum.bottom, away) + radius < 0.0:
        return False
    return wp.length_sq(away) < (reach + radius) * (reach + radius)

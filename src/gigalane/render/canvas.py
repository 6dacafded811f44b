"""The cameras of a rig and what is drawn on, as kernels read and write them."""

# pyright: reportGeneralTypeIssues=false, reportInvalidTypeForm=false, reportCallIssue=false
# pyright: reportOperatorIssue=false, reportReturnType=false, reportArgumentType=false
# pyright: reportAttributeAccessIssue=false, reportIndexIssue=false

import warp as wp

Reaches = wp.types.vector(length=6, dtype=float)
Counts = wp.types.vector(length=6, dtype=int)


@wp.struct
class CameraRecord:
    """A camera of the rig."""

    position: wp.vec3  # of the lens [m], ego frame
    near: float  # [m]
    far: float  # [m]
    first_face: int
    face_count: int
    remap_start: int  # into `remap_from`; -1 for a pinhole, which is its only face


@wp.struct
class FaceRecord:
    """A pinhole view that an image is made of."""

    right: wp.vec3  # its axes, ego frame
    down: wp.vec3
    forward: wp.vec3
    fx: float  # [pixels]
    fy: float
    cx: float
    cy: float
    width: int
    height: int
    start: int  # first pixel on the canvas


@wp.struct
class RigArrays:
    """The cameras of a rig."""

    cameras: wp.array(dtype=CameraRecord)
    faces: wp.array(dtype=FaceRecord)
    remap_from: wp.array(dtype=int)
    remap_ray: wp.array(dtype=wp.vec3)
    rays: wp.array(dtype=wp.vec3)  # (cameras * pixels) ego frame; depth times ray is what is seen
    colors: wp.array(dtype=wp.vec3)  # of the materials by default
    reaches: Reaches  # how far each layer is drawn [m]
    farthest: float  # of these
    body_reach: float  # how far road users are drawn [m]
    width: int  # of an image
    pixels: int  # of an image


@wp.struct
class Canvas:
    """What threads draw on, a row each."""

    view: wp.array2d(dtype=float)
    table: wp.array2d(dtype=int)
    ids: wp.array2d(dtype=int)
    inverse: wp.array2d(dtype=float)
    lens_ids: wp.array2d(dtype=int)  # of a fisheye's image
    lens_inverse: wp.array2d(dtype=float)
    ranges: wp.array3d(dtype=int)  # (rows, layers, two a cell within reach)
    stretch: wp.array2d(dtype=int)  # the same for road users and lights
    quads: wp.array3d(dtype=float)
    looks: wp.array2d(dtype=int)
    shades: wp.array2d(dtype=float)  # of a textured image: light of red, green and blue


@wp.struct
class Pictures:
    """The images of all views; those that nobody wants have no rows."""

    class_id: wp.array2d(dtype=wp.uint8)  # (views, pixels)
    depth: wp.array2d(dtype=float)  # [m]
    instance: wp.array2d(dtype=wp.uint16)
    rgb: wp.array2d(dtype=wp.uint8)  # (views, 3 * pixels)
    agents: wp.array(dtype=int)  # slots that are looked from

"""From the light that falls on a sensor to the picture it gives: lens, exposure, noise.

The lens spreads a share of each pixel's light over its four neighbours and darkens towards the
corners as cos⁴ of the angle to the axis does, only less. The noise is that of a sensor behind a
Bayer mosaic: its spread grows as the root of the light, and red and blue, which such a sensor has
once in 2 x 2 pixels, err together in blocks of that size.
"""

# pyright: reportGeneralTypeIssues=false, reportInvalidTypeForm=false, reportCallIssue=false
# pyright: reportOperatorIssue=false, reportReturnType=false, reportArgumentType=false
# pyright: reportAttributeAccessIssue=false, reportIndexIssue=false

import warp as wp

from gigalane.core.rng import between, mix, stream
from gigalane.render.appearance import Looks

SENSOR = wp.constant(305)
"""Random stream: what the cameras of a world are like."""

_COARSE = wp.constant(wp.uint32(0x5BD1E995))
_PART = wp.constant(wp.uint32(0x9E3779B9))


@wp.struct
class Sensor:
    """What a world's cameras do to the light."""

    gain: wp.vec3  # of red, green and blue: the colour temperature
    vignette: float  # share of the light that the corners miss
    blur: float  # share of the light that goes to the four neighbours
    noise: float  # spread at full light, share of full brightness
    contrast: float  # 0 keeps the curve straight, 1 makes it an S


@wp.func
def sensor_of(looks: Looks, look: wp.uint32) -> Sensor:
    """Draws what the cameras of a world are like; `look` is the seed of the world's look."""
    draw = stream(look, 0, 0, SENSOR)
    sensor = Sensor()
    warmth = between(draw, 0, looks.warmth)
    sensor.gain = wp.vec3(1.0 + warmth, 1.0, 1.0 - warmth)
    sensor.vignette = between(draw, 1, looks.vignette)
    sensor.blur = between(draw, 2, looks.blur)
    sensor.noise = between(draw, 3, looks.grain)
    sensor.contrast = between(draw, 4, looks.contrast)
    return sensor


@wp.func
def centred(bits: wp.uint32, part: int) -> float:
    """About normal, spread 1: the sum of two uniform numbers, from 32 random bits."""
    word = mix(bits + wp.uint32(part) * _PART)
    total = float(word & wp.uint32(65535)) + float(word >> wp.uint32(16))
    return (total * (1.0 / 65535.0) - 1.0) * 2.4495


@wp.func
def expose(
    sensor: Sensor,
    shades: wp.array(dtype=float),
    width: int,
    height: int,
    is_round: bool,
    seed: wp.uint32,
    out: wp.array(dtype=wp.uint8),
):
    """Writes a picture.

    Args:
        sensor: the camera.
        shades: (3 * pixels) red, green and blue light of every pixel, 1 is full brightness.
        width: [pixels]
        height: [pixels]
        is_round: whether the corners darken to all sides; strips and wide lenses only do upwards
            and downwards.
        seed: of the noise.
        out: (3 * pixels) red, green and blue of every pixel.
    """
    aside = 0.25 * sensor.blur
    for row in range(height):
        v = (float(row) + 0.5) / float(height) * 2.0 - 1.0
        up = wp.max(row - 1, 0) * width
        down = wp.min(row + 1, height - 1) * width
        for column in range(width):
            u = (float(column) + 0.5) / float(width) * 2.0 - 1.0
            if not is_round:
                u = 0.0
            left = wp.max(column - 1, 0)
            right = wp.min(column + 1, width - 1)
            pixel = row * width + column
            edge = 0.5 * (u * u + v * v)
            light = 1.0 - sensor.vignette * edge * (2.0 - edge)
            fine = mix(seed + wp.uint32(pixel))
            coarse = mix(seed + _COARSE + wp.uint32((row >> 1) * width + (column >> 1)))
            for c in range(3):
                near = shades[3 * (up + column) + c] + shades[3 * (down + column) + c]
                near += shades[3 * (row * width + left) + c] + shades[3 * (row * width + right) + c]
                value = (1.0 - sensor.blur) * shades[3 * pixel + c] + aside * near
                value = wp.clamp(value * light * sensor.gain[c], 0.0, 1.0)
                curve = value * value * (3.0 - 2.0 * value)
                err = 0.7 * centred(fine, 3)
                if c == 1:
                    err += 0.7 * centred(fine, 1)
                else:
                    err += centred(coarse, c)
                spread = sensor.noise * (0.15 + wp.sqrt(value))
                value = value + sensor.contrast * (curve - value) + spread * err
                shade = int(wp.clamp(value, 0.0, 1.0) * 255.0 + 0.5)
                out[3 * pixel + c] = wp.uint8(shade)

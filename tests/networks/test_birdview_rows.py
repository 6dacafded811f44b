import numpy as np
import pytest
import torch

from gigalane.networks.birdview import BirdviewLayout
from gigalane.render.birdview import BirdviewSettings, unpack

KINDS = {"small": BirdviewSettings.small(), "paper": BirdviewSettings()}


def packed(settings: BirdviewSettings, count: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    """Random rasters with bits for every plane and none beside, and random numbers given."""
    draw = torch.Generator().manual_seed(0)
    shape = (count, settings.pixels, settings.pixels)
    rasters = torch.randint(0, 1 << len(settings.planes), shape, generator=draw)
    kind = torch.int16 if settings.bits == 16 else torch.int32
    return rasters.to(kind), torch.randn(count, 7, generator=draw).half()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_row_holds_the_planes_of_its_raster_bit_by_bit(kind, dtype):
    settings = KINDS[kind]
    layout = BirdviewLayout(settings, 7)
    rasters, given = packed(settings)
    rows = torch.zeros(3, layout.width, dtype=torch.uint8)
    layout.pack(rasters, given, rows)
    planes = layout.planes(rows, dtype)
    assert planes.dtype == dtype
    assert planes.shape == (3, settings.bits, settings.pixels, settings.pixels)
    assert planes.is_contiguous(memory_format=torch.channels_last)
    wanted = rasters.numpy()[:, None] >> np.arange(settings.bits)[:, None, None] & 1
    assert np.array_equal(planes.float().numpy(), wanted)
    assert torch.equal(layout.given_of(rows), given.float())


@pytest.mark.parametrize("kind", KINDS)
def test_the_papers_greys_are_a_weighing_of_the_planes(kind):
    settings = KINDS[kind]
    layout = BirdviewLayout(settings, 7)
    rasters, given = packed(settings)
    # One grey at a time: where several overlap the paper takes the brightest.
    lone = 1 << torch.randint(0, len(settings.planes), rasters.shape)
    rasters = lone.to(rasters.dtype)
    rows = torch.zeros(3, layout.width, dtype=torch.uint8)
    layout.pack(rasters, given, rows)
    weights = torch.zeros(len(settings.channel_names), settings.bits)
    for bit, plane in enumerate(settings.planes):
        weights[settings.channel_names.index(plane.channel), bit] = plane.grey
    greys = torch.einsum("cb,nbyx->ncyx", weights, layout.planes(rows, torch.float32))
    assert np.array_equal(greys.numpy(), unpack(rasters.numpy(), settings))

import numpy as np
from PIL import Image

from gigalane.studies.curve import COLORS, Curve, draw_curves


def test_a_colour_that_comes_again_comes_dashed(tmp_path):
    count = len(COLORS) + 1
    curves = [
        Curve(f"arm {k}", tuple((x, 0.9 * k, 0.9 * k, 0.9 * k) for x in (0.0, 1.0)))
        for k in range(count)
    ]
    draw_curves([("samples", 1.0, curves)], "score", "title", tmp_path / "curve.png")
    picture = np.asarray(Image.open(tmp_path / "curve.png").convert("RGB"), np.int64)
    first = np.array([int(COLORS[0][k : k + 2], 16) for k in (1, 3, 5)])
    area = picture[80:490, 120:680]  # without axes, words and the marks at both ends
    drawn = (np.abs(area - first).sum(-1) < 60).sum(1)
    dashed = drawn[drawn > 0].max()  # the first arm lies on the axis, below this area
    assert 0.4 * area.shape[1] < dashed < 0.8 * area.shape[1]

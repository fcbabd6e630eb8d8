"""Phase correlation as a library has it: scikit-image's, on the strips that the ladder cuts.

Where the stage says that two strips show the same, one is registered to the other; what lies beyond
the stage's gate is no answer. There is no chance level and no second look: it answers always, or
wrongly.
"""

from __future__ import annotations

import numpy as np
from skimage.registration import phase_cross_correlation

from runtime.stitch.match.ladder import Cut
from runtime.stitch.match.refined import Match
from runtime.tile import PointPair

SURE_PX2 = ((0.25, 0.0), (0.0, 0.25))


def plain_phase(cut: Cut, _: tuple[float, ...]) -> Match | None:
    """Return the shift of two strips as a match, None beyond the gate."""
    pair = cut(False)
    if pair is None:
        return None
    x, y = (round(way) for way in pair.shift_px)
    a, b = pair.overlap(pair.a, pair.b, (x, y))
    down, right = phase_cross_correlation(a.astype(np.float32), b.astype(np.float32))[0].tolist()
    if max(abs(x + right - pair.shift_px[0]), abs(y + down - pair.shift_px[1])) > pair.gate_px:
        return None
    (left, top), (height, width) = pair.origin_a, pair.a.shape
    ends = ((left, top), (left + width - 1, top + height - 1))
    points = tuple(
        PointPair(a_px=(ax, ay), b_px=(ax - x - right, ay - y - down), covariance_px2=SURE_PX2)
        for ax, ay in ends
    )
    return Match((x + right, y + down), 0.0, SURE_PX2, 1.0, "phase", points)

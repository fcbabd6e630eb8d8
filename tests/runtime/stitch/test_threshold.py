"""How much of an agreement chance explains, learned from places that do not overlap."""

import numpy as np
import pytest

from runtime.stitch.match.ladder import match_phase
from runtime.stitch.match.strips import Borders, cut, predict
from runtime.stitch.match.threshold import HIGHEST, LOWEST, Chance
from tests.runtime.stitch.stitch_scans import SHAPE_PX, section


def test_chance_stays_below_the_threshold_it_teaches():
    """Pairs cut from far apart must not pass; pairs that overlap must."""
    rng, image = np.random.default_rng(1), section().astype(np.uint8)
    height, width = SHAPE_PX
    passed = []
    for _ in range(12):
        y, x = (int(v) for v in rng.integers(0, 500, 2))
        far = ((y + 600) % 1100, (x + 700) % 1300)
        a, b = image[y : y + height, x : x + width], image[far[0] :, far[1] :][:height, :width]
        passed.append(_match(a, b))
    assert passed == [None] * 12
    for _ in range(4):
        y, x = (int(v) for v in rng.integers(0, 1000, 2))
        a, b = image[y : y + height, x : x + width], image[y + 2 :, x + 218 :][:height, :width]
        match = _match(a, b)
        assert match is not None
        assert match.shift_px == pytest.approx((218, 2), abs=0.02)


def _match(a, b):
    pair = predict(("a", (0.0, 0.0)), ("b", (218.0, 0.0)), shape_px=SHAPE_PX)
    assert pair is not None
    strips = cut(pair, Borders.of(a, depth_px=60), Borders.of(b, depth_px=60), gate_px=10)
    assert strips is not None
    chance = Chance.of(a, gate_px=10) + Chance.of(b, gate_px=10)
    return match_phase(strips, chance)


def test_the_threshold_falls_with_the_area():
    chance = Chance(lambda: (8.0, 9.0, 10.0, 11.0))
    assert not chance.exceeded(0.3, area_px=2_000)
    assert chance.exceeded(0.3, area_px=8_000)


def test_chance_is_learned_where_the_answer_depends_on_it_and_once():
    asked = []

    def learn():
        asked.append(1)
        return (0.0, 0.0)

    chance = Chance(learn)
    assert chance.exceeded(HIGHEST, area_px=1)
    assert not chance.exceeded(LOWEST - 1e-9, area_px=1_000_000)
    assert asked == []
    both = chance + chance
    assert both.exceeded(LOWEST, area_px=1)
    assert (both.scores, chance.scores, asked) == ((0.0,) * 4, (0.0,) * 2, [1])

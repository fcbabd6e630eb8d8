"""Which rung's match is taken."""

from dataclasses import replace

import numpy as np

from runtime.stitch.match.ladder import _slides, climb
from runtime.stitch.match.nearby import SURE_PX
from runtime.stitch.match.refined import Match
from runtime.stitch.match.strips import StripPair
from runtime.stitch.match.threshold import Chance
from runtime.tile import Alternative, PointPair


def match_of(variances_px2):
    xx, yy = variances_px2
    return Match((270.0, 3.0), 0.0, ((xx, 0.0), (0.0, yy)), 0.3, "phase", ())


def test_a_place_that_is_hardly_known_leaves_the_seam_to_the_next_rung():
    along_a_line = match_of((0.01, 2.1 * SURE_PX**2))
    known = match_of((0.01, 1.9 * SURE_PX**2))
    rungs = [lambda *_, found=found: found for found in (None, along_a_line, known)]
    assert climb(tuple(rungs), lambda _: None, Chance(tuple)) is known
    assert climb(tuple(rungs[:2]), lambda _: None, Chance(tuple)) is None


def test_of_two_places_that_few_blocks_tell_none_is_the_match():
    strips = np.zeros((512, 80), np.uint16)
    pair = StripPair(strips, strips, (432, 0), (0, 0), (450.0, 0.0), 24)
    one = replace(match_of((0.01, 0.01)), pairs=(PointPair(a_px=(440, 9), b_px=(9, 9)),) * 3)
    other = Alternative(dx_px=275.0, dy_px=-7.0, ncc=0.3, lead_nats=1.0)
    assert _slides(replace(one, alternatives=(other,)), pair)
    assert not _slides(one, pair)
    # Where they agree that well it is no noise.
    assert not _slides(replace(one, alternatives=(other,), ncc=0.9), pair)
    # Of a lattice most blocks tell, and other seams choose.
    assert not _slides(replace(one, alternatives=(other,), pairs=one.pairs * 2), pair)

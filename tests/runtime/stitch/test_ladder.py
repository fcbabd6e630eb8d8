"""Which rung's match is taken."""

from runtime.stitch.match.ladder import climb
from runtime.stitch.match.nearby import SURE_PX
from runtime.stitch.match.refined import Match


def match_of(variances_px2):
    xx, yy = variances_px2
    return Match((270.0, 3.0), 0.0, ((xx, 0.0), (0.0, yy)), 0.3, "phase", ())


def test_a_place_that_is_hardly_known_leaves_the_seam_to_the_next_rung():
    along_a_line = match_of((0.01, 2.1 * SURE_PX**2))
    known = match_of((0.01, 1.9 * SURE_PX**2))
    rungs = [lambda *_, found=found: found for found in (None, along_a_line, known)]
    assert climb(tuple(rungs), lambda _: None, ()) is known
    assert climb(tuple(rungs[:2]), lambda _: None, ()) is None

"""How surely a faint match is where it says.

A likelihood is steep at each of its crests, and of a seam fainter than its noise the true crest is
one of several within a few pixels (Weinstein and Weiss, IEEE Trans. Acoust., Speech, Signal
Process. 32, 1984, 1064). Its blocks all climb the one they start below, and agree there to a
fraction of a pixel. So all pixels of the overlap are asked how well they agree at every place
around, and the σ is how far from the match the places lie that they find likely.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from runtime.stitch.match.nearby import likely_places, seen_near
from runtime.stitch.match.refined import TURNED_RAD, Match, as_covariance
from runtime.stitch.match.strips import StripPair
from runtime.stitch.match.turned import RigidMotion


def as_surely(pair: StripPair, match: Match) -> Match | None:
    """Return the match with the σ that the places around it leave, None where nothing agrees there.

    It is never surer than it was.
    """
    turn_rad = match.rotation_rad if abs(match.rotation_rad) > TURNED_RAD else 0.0
    in_a, in_b = (
        np.array([getattr(point, end) for point in match.pairs]).mean(axis=0, keepdims=True)
        for end in ("a_px", "b_px")
    )
    still = RigidMotion(turn_rad, np.zeros(2))
    motion = replace(still, offset_px=(in_a - still.into_a(in_b))[0])
    seen = seen_near(pair, motion, in_a[0])
    if seen is None:
        return None
    return no_surer(match, float(likely_places(seen) @ (seen.off_px**2).sum(axis=1)))


def no_surer(match: Match, square_px2: float) -> Match:
    """Return the match, its variances as many times as large as let its square error on both axes
    together be `square_px2` at least.
    """
    (xx, _), (_, yy) = match.covariance_px2
    times = square_px2 / (xx + yy)
    if times <= 1:
        return match
    pairs = tuple(
        replace(point, covariance_px2=as_covariance(times * np.array(point.covariance_px2)))
        for point in match.pairs
    )
    covariance = as_covariance(times * np.array(match.covariance_px2))
    return replace(match, covariance_px2=covariance, pairs=pairs)

"""What two tiles agree on may be the sensor's: dust that looks alike on either side of it."""

from __future__ import annotations

from dataclasses import replace
from operator import itemgetter

from runtime.stitch.match.blocks import middle
from runtime.stitch.match.borders import Facing
from runtime.stitch.match.correlation import Floats
from runtime.stitch.match.phase import passed, stretches
from runtime.stitch.match.refined import Match
from runtime.stitch.match.repeats import periods_px
from runtime.stitch.match.strips import StripPair

SURELY_TURNED_RAD = 0.02
"""A sensor is not turned against itself; what looks so by less is a match of a few specks."""

OWN_SHARE = 0.7
"""A tile that agrees with itself by more than this share of its NCC with another one agrees by what
is the sensor's."""

THROUGHOUT = 0.8
"""Specks agree in a stretch or two of the seam: where half of it agrees by this share of the whole,
the specimen itself repeats, or there are like specks all along both sides."""

STAYS, STAYS_PX, STAYS_SHARE = 0.3, 0.2, 0.95
"""Where two tiles correlate by more than this at the same pixels, some of what they show may be the
sensor's: of a specimen that moved on by a tile it is some 0.03. What is the sensor's lies there in
both to within so much, and agrees by this share of their NCC."""


def by_the_sensor(match: Match, facing: Facing) -> bool:
    """Return whether a tile agrees as well with itself, laid as the match has the other one.

    Two specks that look alike, one on either side of the sensor, match in every pair of tiles, and
    always alike. A lattice agrees with itself too, but all along; so do like specks all along both
    sides, but they stay where they are while the stage moves on, and do not repeat. Of what does
    not agree all along, a tile's own strips do not count where chance reaches far less.
    """
    own = facing.own
    if own is None or abs(match.rotation_rad) > SURELY_TURNED_RAD:
        return False
    x, y = (round(way) for way in match.shift_px)
    along, share, _ = stretches(facing.straight, *passed(facing.straight), [(x, y)])
    all_along = _throughout(along[0], share[0])
    # Of several places one may be the specimen's: that the graph chooses.
    may_stay = facing.alike > STAYS and not match.alternatives
    if all_along and not may_stay:
        return False
    around = [(x + dx, y + dy) for dx in (-1, 0, 1) for dy in (-1, 0, 1)]
    along, share, _ = stretches(own, *passed(own), around)
    best, ncc = max(enumerate((along * share).sum(axis=1).tolist()), key=itemgetter(1))
    if ncc <= OWN_SHARE * match.ncc:
        return False
    if all_along or _throughout(along[best], share[best]):
        surely = may_stay and ncc > STAYS_SHARE * match.ncc
        return surely and _stays(match, facing.straight, own)
    return match.ncc <= 2 * facing.chance.level(area_px=own.area_px((x, y)))


def _stays(match: Match, pair: StripPair, own: StripPair) -> bool:
    """Return whether the same side of both tiles shows the same at the same pixels, as surely as
    the two match, and repeats by no period.
    """
    newer = pair.b is own.b
    before, now = (passed(one)[0 if newer else 1] for one in (pair, own))
    if periods_px(now):
        return False
    at_rest = replace(own, a=now, b=now, origin_a=(0, 0), origin_b=(0, 0), shift_px=(0.0, 0.0))
    around = [(0, 0), (-1, 0), (1, 0), (0, -1), (0, 1)]
    along, share, _ = stretches(at_rest, before, now, around)
    here, left, right, above, below = (along * share).sum(axis=1).tolist()
    sides = ((left, right), (above, below))
    bends = [2 * here - low - high for low, high in sides]
    if here < STAYS_SHARE * match.ncc or min(bends) <= 0:
        return False
    off_px = [(high - low) / (2 * bend) for (low, high), bend in zip(sides, bends, strict=True)]
    return bool(max(map(abs, off_px)) < STAYS_PX)


def _throughout(along: Floats, share: Floats) -> bool:
    """Return whether half of the stretches of a seam agree nearly as well as all of it does."""
    return float(middle(along)) > THROUGHOUT * float(along @ share)

"""A pair of tiles that are bent in a known way, seen as if they were not.

Opposite sides of two frames meet in an overlap, and a field bends them differently: on a scanned
beam the shift may run by forty pixels along one seam. So b is drawn as it would look if its frame
were bent there as a's is: then one shift holds along all of the seam, and what is too faint to be
found block by block is found by all blocks together. What was found is told in b's own pixels.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from runtime.distortion import Distortion
from runtime.stitch.match.refined import Match
from runtime.stitch.match.strips import MIN_OVERLAP_PX, XY, StripPair

PITCH_PX = 8
"""Pitch at which the field is worked out: straight lines between are true to a hundredth, in frames
of 200 px too; what they cut off is not noise, but makes every tile of a lens a little larger."""

LANES = 2
"""What a field leaves is small enough for narrow blocks, and is told from rim to rim by them."""

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


def straightened(pair: StripPair, field: Distortion) -> StripPair | None:
    """Return a pair between which one shift holds, b drawn as a's frame would show it; None where
    too little of b is left.
    """
    height, width = pair.b.shape
    at = _in_b(_grid(height, width) + pair.origin_b, pair.shift_px, field) - pair.origin_b
    nodes = (-(-height // PITCH_PX) + 1, -(-width // PITCH_PX) + 1)
    x, y = (_between(at[:, axis].reshape(nodes), height, width) for axis in (0, 1))
    # A pixel is drawn where both its coordinates lie in the crop; of the rest, whole rows and
    # columns at its rim go, for the matchers take rectangles.
    columns = _span((x >= 0).all(axis=0) & (x <= width - 1).all(axis=0))
    rows = _span((y >= 0).all(axis=1) & (y <= height - 1).all(axis=1))
    if min(columns.stop - columns.start, rows.stop - rows.start) < MIN_OVERLAP_PX:
        return None
    x, y = (np.ascontiguousarray(one[rows, columns]) for one in (x, y))
    drawn = cv2.remap(
        pair.b.astype(np.float32), x, y, cv2.INTER_LANCZOS4, borderMode=cv2.BORDER_REFLECT_101
    )
    origin = pair.origin_b[0] + columns.start, pair.origin_b[1] + rows.start
    return replace(pair, b=np.asarray(drawn, np.float32), origin_b=origin, lanes=LANES)


def as_taken(match: Match, shift_px: XY, field: Distortion) -> Match:
    """Return a match of a straightened pair in the pixels of the tiles as they were taken.

    `shift_px` is the place of b in a for which the pair was straightened.
    """
    a = np.array([point.a_px for point in match.pairs])
    b = _in_b(np.array([point.b_px for point in match.pairs]), shift_px, field)
    pairs = tuple(
        replace(point, b_px=(x, y)) for point, (x, y) in zip(match.pairs, b.tolist(), strict=True)
    )
    there = (a.min(axis=0) + a.max(axis=0)) / 2 - match.shift_px
    dx, dy = (there - _in_b(there[None], shift_px, field)[0]).tolist()
    others = tuple(
        replace(other, dx_px=other.dx_px + dx, dy_px=other.dy_px + dy)
        for other in match.alternatives
    )
    shift = match.shift_px[0] + dx, match.shift_px[1] + dy
    return replace(match, shift_px=shift, pairs=pairs, alternatives=others)


def _in_b(drawn_px: Floats, shift_px: XY, field: Distortion) -> Floats:
    """Return which pixels (n, 2) of b show what lies at places (n, 2) of the drawn one.

    That is what a shows there, were b at `shift_px`; within a gate's width of it the difference
    changes by a hundredth of itself.
    """
    found: Floats = field.bent(field.straightened(drawn_px + shift_px) - shift_px)
    return found


def _grid(height: int, width: int) -> Floats:
    """Return nodes (n, 2) x, y, row by row, that reach beyond a crop's last row and column."""
    rows = np.arange(-(-height // PITCH_PX) + 1) * PITCH_PX
    columns = np.arange(-(-width // PITCH_PX) + 1) * PITCH_PX
    return np.stack(np.meshgrid(columns, rows), axis=-1).reshape(-1, 2).astype(np.float64)


def _between(nodes: Floats, height: int, width: int) -> NDArray[np.float32]:
    """Return the value at every pixel (height, width) from that at the nodes."""
    scale = np.array([[1 / PITCH_PX, 0, 0], [0, 1 / PITCH_PX, 0]])
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    grown = cv2.warpAffine(nodes.astype(np.float32), scale, (width, height), flags=how)
    return np.asarray(grown, np.float32)


def _span(inside: Mask) -> slice:
    """Return from the first to the last that is inside, an empty span where none is."""
    found = np.flatnonzero(inside)
    return slice(int(found[0]), int(found[-1]) + 1) if len(found) else slice(0, 0)

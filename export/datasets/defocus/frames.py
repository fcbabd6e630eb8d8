"""Whole frames of known defocus, as a focus loop sees them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from export.datasets.defocus.specimens import KINDS
from export.datasets.defocus.stack import Scenery
from runtime.tile import Pixels

# That of a small camera; six crops of 192 px are a fifth of it.
FRAME_PX = (1024, 1024)
FRAME_STREAM = 37


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownFrame:
    """A frame (y, x), how far above focus it was taken, and of what: a kind of specimen, on which
    most is clear slide where it is `sparse`. `beyond` is what lies outside the range.
    """

    pixels: Pixels
    z_um: float
    kind: str
    sparse: bool
    beyond: bool = False


def known_frames(
    scenery: Scenery,
    count: int,
    *,
    seed: int,
    beyond: bool = False,
    shape: tuple[int, int] = FRAME_PX,
) -> Iterator[KnownFrame]:
    """Yield so many frames of every kind, and as many sparse ones, the same for one seed; all of
    them within the range, or all `beyond` it.
    """
    for number in range(2 * count * len(KINDS)):
        rng = np.random.default_rng([seed, FRAME_STREAM, number])
        kind, sparse = list(KINDS)[number % len(KINDS)], number // len(KINDS) % 2 == 1
        stack = scenery.draw(rng, shape, kind=kind, sparse=sparse, beyond=beyond)
        yield KnownFrame(
            pixels=stack.frame(0),
            z_um=float(stack.z_um[0]),
            kind=kind,
            sparse=sparse,
            beyond=beyond,
        )

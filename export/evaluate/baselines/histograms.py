"""Histograms of a whole image's LBP codes, with three treatments of its orientation.

Uniform patterns and rotation by bit shift: Ojala, Pietikainen, Maenpaa 2002,
doi:10.1109/TPAMI.2002.1017623. Rotation by discrete Fourier transform: Ahonen, Matas, He,
Pietikainen 2009, doi:10.1007/978-3-642-02230-2_7. All for eight neighbours.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from runtime.preprocess.code_classes import (
    CLASS_OF_CODE,
    CODE_CLASSES,
    CODES,
    NEIGHBOURS,
    rotations,
)

Shares = NDArray[np.float64]
Describe = Callable[[Shares], NDArray[np.float64]]


def _transitions() -> NDArray[np.int64]:
    """Return (256,): how often each code changes between 0 and 1 around the circle."""
    bits = (np.arange(CODES)[:, None] >> np.arange(NEIGHBOURS)) & 1
    return np.asarray((bits != np.roll(bits, 1, axis=1)).sum(axis=1))


UNIFORM_CODES = np.flatnonzero(_transitions() <= 2)  # 58 of them.
# Seven arcs of 1 to 7 set neighbours, each at its eight places around the circle.
ARCS = rotations()[[(1 << length) - 1 for length in range(1, NEIGHBOURS)]]


def code_shares(codes: NDArray[np.uint8]) -> Shares:
    """Return the (256,) shares of the codes in a map of any shape."""
    counts = np.bincount(codes.ravel(), minlength=CODES)
    return np.asarray(counts / codes.size, dtype=np.float64)


def uniform(shares: Shares) -> NDArray[np.float64]:
    """Return 59 shares: each uniform code (at most two transitions), and all others together."""
    kept = shares[UNIFORM_CODES]
    return np.append(kept, 1 - kept.sum())


def bit_shift(shares: Shares) -> NDArray[np.float64]:
    """Return 36 shares, one for all codes that are rotations of each other."""
    joined = np.bincount(CLASS_OF_CODE, weights=shares, minlength=CODE_CLASSES)
    return np.asarray(joined, dtype=np.float64)


def fourier(shares: Shares) -> NDArray[np.float64]:
    """Return 38 values (LBP-HF): 7 arc lengths x 5 magnitudes, none set, all set, not uniform.

    Turning the image by a neighbour moves every arc one place on, which changes the phases of the
    transform over the places and leaves its magnitudes; frequencies above half are mirrored.
    """
    magnitudes = np.abs(np.fft.rfft(shares[ARCS], axis=1))
    rest = 1 - shares[UNIFORM_CODES].sum()
    return np.concatenate([magnitudes.ravel(), [shares[0], shares[CODES - 1], rest]])


KINDS: dict[str, Describe] = {"uniform": uniform, "bit shift": bit_shift, "DFT": fourier}

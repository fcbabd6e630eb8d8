"""Codes that are rotations of one another, as one class.

Rotation by bit shift: Ojala, Pietikainen, Maenpaa 2002, doi:10.1109/TPAMI.2002.1017623. Of the 36
classes of eight neighbours nine are the uniform ones: so many neighbours set, all in a row.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

NEIGHBOURS, CODES = 8, 256


def rotations() -> NDArray[np.int64]:
    """Return (256, 8): every code with its neighbours shifted on by 0 to 7 places."""
    codes, places = np.arange(CODES)[:, None], np.arange(NEIGHBOURS)[None, :]
    return ((codes << places) | (codes >> (NEIGHBOURS - places))) & (CODES - 1)


# The smallest code of each class, and (256,) the class of every code.
SMALLEST_CODES, CLASS_OF_CODE = np.unique(rotations().min(axis=1), return_inverse=True)
CODE_CLASSES = len(SMALLEST_CODES)
# All codes, class after class, and where each class begins among them.
CODES_BY_CLASS = np.argsort(CLASS_OF_CODE, kind="stable")
CLASS_STARTS = np.searchsorted(CLASS_OF_CODE[CODES_BY_CLASS], np.arange(CODE_CLASSES))
TEXTURE_RADII_PX = (1, 2, 3)
TEXTURE_CHANNELS = len(TEXTURE_RADII_PX) * CODE_CLASSES

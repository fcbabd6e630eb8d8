"""Other specimens of the same kind: the same structures, stained and resolved more or less.

A model that has seen one animal would doubt the next one of its kind, whose section was cut thinner
or took up more of the stain, or was recorded by a detector that sees more of the fine. What differs
then is how strong the details of each size are, and the contrast of all of them.
"""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np

from export.datasets.cameras import Light

# Details are what each of these Gaussians, sigma in pixels, takes away from the one before.
BANDS_PX = (0.8, 1.6, 3.2)
# The finest band holds the grain of the picture itself, which another may have less of. Gains of
# the others, and contrast, are e to the power of a number by Gauss's law, or within a range.
FINEST_GAIN, LOG_GAIN_SIGMA, LOG_CONTRAST = (0.3, 1.2), 0.25, 0.35
BRIGHT_PERCENTILE = 90
# Nothing is cut off at either end: a guard that is shown black tissue no longer tells what is.
LEAST_LIGHT, LEAST_DEPTH = 0.002, 1e-3


def kindred(light: Light, rng: np.random.Generator) -> Light:
    """Return (y, x) light of another specimen, of the same structures: details of each size
    stronger or weaker, and everything further from the bright level or nearer to it, as far as
    there is room.
    """
    seen = _banded(light, rng)
    contrast = float(np.exp(rng.uniform(-LOG_CONTRAST, LOG_CONTRAST)))
    bright, darkest = float(np.percentile(seen[::8, ::8], BRIGHT_PERCENTILE)), float(seen.min())
    if contrast > 1:
        room = (bright - LEAST_LIGHT) / max(bright - darkest, LEAST_DEPTH)
        contrast = max(min(contrast, room), 1.0)
    seen = np.maximum(bright - (bright - seen) * np.float32(contrast), 0)
    return np.asarray(seen / max(float(seen.max()), 1.0), np.float32)


def _banded(light: Light, rng: np.random.Generator) -> Light:
    """Return the sum of what is left of all bands and of each band times a gain."""
    blurred = (cv2.GaussianBlur(light, (0, 0), sigma) for sigma in BANDS_PX)
    coarser = [light, *(np.asarray(one, np.float32) for one in blurred)]
    gains = [rng.uniform(*FINEST_GAIN), *np.exp(rng.normal(0, LOG_GAIN_SIGMA, len(BANDS_PX) - 1))]
    seen = coarser[-1].copy()
    for gain, (fine, coarse) in zip(gains, pairwise(coarser), strict=True):
        seen += np.float32(gain) * (fine - coarse)
    return seen

"""Strips of two tiles as a test makes them, and the committed section as a camera sees it."""

import numpy as np

from runtime.stitch.match.phase import band_pass, candidates
from runtime.stitch.match.strips import Borders, cut, predict
from tests.runtime.stitch.stitch_scans import SHAPE_PX, section


def strips_of(a, b, *, prior, gate_px):
    pair = predict(("a", (0.0, 0.0)), ("b", prior), shape_px=SHAPE_PX)
    assert pair is not None
    strips = cut(pair, *(Borders.of(p, depth_px=250) for p in (a, b)), gate_px=gate_px)
    assert strips is not None
    return strips


def peak_of(a, b, *, prior, gate_px):
    strips = strips_of(a, b, prior=prior, gate_px=gate_px)
    return candidates(strips, band_pass(strips.a), band_pass(strips.b))[0]


def noise(rng, shape, *, sigma):
    return rng.normal(0, sigma, shape).astype(np.float32)


def seen(at, *, pattern=0.0, contrast=1.0):
    """The section with its pixel (0, 0) at `at` (x, y), under a pattern of the sensor."""
    height, width = SHAPE_PX
    part = section()[at[1] : at[1] + height, at[0] : at[0] + width]
    return np.clip(16 * (contrast * part + pattern) + 4000, 0, 65535).astype(np.uint16)

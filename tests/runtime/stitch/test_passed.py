"""Crops are band-passed once, and each is taken for itself."""

from dataclasses import replace

import numpy as np

from runtime.stitch.match.phase import band_pass, passed
from runtime.stitch.match.strips import StripPair

SHAPE_PX = (64, 96)


def crop(seed):
    return np.random.default_rng(seed).integers(0, 4000, SHAPE_PX).astype(np.uint16)


def test_a_crop_is_never_taken_for_one_that_is_gone():
    pair = StripPair(crop(0), crop(1), (0, 0), (0, 0), (0.0, 0.0), 4)
    for seed in range(2, 60):
        # A view is a small object: the next one often lies where the last one was.
        other = replace(pair, b=crop(seed)[:])
        assert np.array_equal(passed(other)[1], band_pass(other.b))
        del other


def test_a_crop_that_pairs_share_is_passed_once():
    pair = StripPair(crop(0), crop(1), (0, 0), (0, 0), (0.0, 0.0), 4)
    itself = replace(pair, b=pair.a)
    assert passed(itself)[0] is passed(pair)[0]

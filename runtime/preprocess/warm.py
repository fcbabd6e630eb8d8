"""Compile every kernel for every pixel type into Numba's cache: no tile or seam waits for it."""

from __future__ import annotations

import numpy as np

from runtime.preprocess.differences import block_sums
from runtime.preprocess.inputs import sample
from runtime.preprocess.lbp import full_codes
from runtime.preprocess.spec import PreprocessSpec
from runtime.preprocess.strips import flattened


def warm_kernels() -> None:
    """Compile or load the kernels; seconds the first time on a machine, milliseconds after."""
    spec = PreprocessSpec(inputs=("intensity", "lbp1+lbp2+lbp3", "texture"))
    for dtype in (np.uint8, np.uint16):
        pixels = np.zeros((8, 8), dtype=dtype)
        sample(pixels, spec)
        full_codes(pixels)
        flattened(pixels)
        block_sums(pixels, *np.zeros((2, 2), np.int64))

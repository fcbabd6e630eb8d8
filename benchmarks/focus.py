"""Brenner sharpness of a 2048 x 2048 uint16 frame against the same sum in NumPy float64.

    python benchmarks/focus.py

Prints medians in milliseconds and the ratio; both run in this one process, turn about.
"""

from __future__ import annotations

import statistics
import time

import numpy as np
from numpy.typing import NDArray

from runtime.focus.sharpness import brenner_sum

ROUNDS = 40


def numpy_brenner(pixels: NDArray[np.uint16]) -> float:
    """Return the sum the usual way: converted to float64 so that it does not wrap."""
    values = pixels.astype(np.float64)
    return float(np.sum((values[:-2] - values[2:]) ** 2))


def main() -> None:
    """Time both and check that they agree."""
    pixels = np.random.default_rng(0).integers(0, 4096, (2048, 2048), dtype=np.uint16)
    assert brenner_sum(pixels) == int(numpy_brenner(pixels))
    ours, theirs = [], []
    for _ in range(ROUNDS):
        for function, times in ((brenner_sum, ours), (numpy_brenner, theirs)):
            start = time.perf_counter()
            function(pixels)
            times.append(1e3 * (time.perf_counter() - start))
    fast, slow = statistics.median(ours), statistics.median(theirs)
    print(f"brenner_sum {fast:.2f} ms, NumPy float64 {slow:.2f} ms: {slow / fast:.1f} times faster")


if __name__ == "__main__":
    main()

"""LBP codes at the sample points, against scikit-image on the whole image then nearest resize.

Counts differing codes (there must be none) on random, low-entropy, constant and real tiles at many
sizes, and times three radii on a 2048 x 2048 16-bit tile sampled at 224 x 224. Medians, one
process, both single-threaded.

    python benchmarks/lbp.py
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter

import cv2
import numpy as np
from skimage.feature import local_binary_pattern

from runtime.preprocess.lbp import lbp_codes
from runtime.preprocess.spec import sample_points
from runtime.tile import Pixels

RADII = (1, 2, 3)
REAL = Path(__file__).resolve().parents[1] / "export" / "data" / "s165_overview.png"
SIZES = [(1, 1), (1, 9), (7, 5), (8, 8), (9, 200), (63, 64), (224, 224), (225, 301), (448, 512)]


def peer(image: Pixels, side_px: int) -> np.ndarray:
    """Return scikit-image's codes of the whole image, then resized."""
    maps = [local_binary_pattern(image, 8, radius, method="default") for radius in RADII]
    resized = [cv2.resize(m, (side_px, side_px), interpolation=cv2.INTER_NEAREST) for m in maps]
    return np.stack(resized).astype(np.uint8)


def ours(image: Pixels, side_px: int) -> np.ndarray:
    """Return our codes at the sample points alone."""
    rows = sample_points(source_px=image.shape[0], target_px=side_px)
    columns = sample_points(source_px=image.shape[1], target_px=side_px)
    return lbp_codes(image, rows=rows, columns=columns, radii_px=RADII)


def images() -> list[tuple[str, Pixels]]:
    """Return named images of every kind and size."""
    rng = np.random.default_rng(0)
    cases: list[tuple[str, Pixels]] = []
    for size in SIZES:
        cases += [
            ("random uint8", rng.integers(0, 256, size, dtype=np.uint8)),
            ("random uint16", rng.integers(0, 65536, size, dtype=np.uint16)),
            ("low entropy", rng.integers(0, 3, size, dtype=np.uint8)),
            ("constant", np.full(size, 1000, np.uint16)),
        ]
    section = cv2.imread(str(REAL), cv2.IMREAD_GRAYSCALE)
    cases += [("real", section[y : y + 600, x : x + 700]) for y in (0, 600) for x in (500, 1200)]
    cases.append(("real uint16", section.astype(np.uint16) * 257))
    return cases


def seconds(call: Callable[[Pixels, int], object], image: Pixels, repeats: int) -> float:
    """Return the median time of a call."""
    times = []
    for _ in range(repeats):
        start = perf_counter()
        call(image, 224)
        times.append(perf_counter() - start)
    return median(times)


def main() -> None:
    """Print the differing codes, if any, and one JSON line."""
    warnings.simplefilter("ignore", UserWarning)  # scikit-image warns of float images only.
    different, codes = 0, 0
    for name, image in images():
        found, wanted = ours(image, 224), peer(image, 224)
        wrong = int((found != wanted).sum())
        if wrong:
            print(f"{name} {image.shape}: {wrong} codes differ")
        different, codes = different + wrong, codes + found.size
    tile = np.random.default_rng(1).integers(0, 4096, (2048, 2048), dtype=np.uint16)
    ours_s, peer_s = seconds(ours, tile, 21), seconds(peer, tile, 3)
    print(
        json.dumps(
            {
                "codes_compared": codes,
                "codes_different": different,
                "peer_ms": round(peer_s * 1e3, 1),
                "ours_ms": round(ours_s * 1e3, 2),
                "ratio": round(peer_s / ours_s),
            }
        )
    )


if __name__ == "__main__":
    main()

"""LBP codes, r = 1, 2, 3, against scikit-image on the whole image then OpenCV's nearest resize.

Counts differing codes (there must be none), at the sample points and at every pixel, borders
included, on random, low-entropy, constant and real tiles, 8 and 16 bits, sides from 1 to 2048; and
differing counts of the texture input, every pixel of the dithered tile in one cell and in 3 x 3,
against a histogram of scikit-image's codes of the same. Times a 2048 x 2048 16-bit tile sampled at
224 x 224, in full, and as texture of several densities: each round runs scikit-image once and then
each of ours, the median of five, and the ratios are medians over the rounds' pairs; beside it the
processor time of one call, which a busy machine does not stretch.

    python benchmarks/lbp.py
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter, process_time

import cv2
import numpy as np
from skimage.feature import local_binary_pattern

from runtime.preprocess.code_classes import CLASS_OF_CODE, CODE_CLASSES
from runtime.preprocess.lbp import full_codes, lbp_codes
from runtime.preprocess.spec import sample_points
from runtime.preprocess.texture import class_counts, dithered
from runtime.preprocess.warm import warm_kernels
from runtime.tile import Pixels

RADII, TARGET_PX = (1, 2, 3), 224
ROUNDS, REPEATS = 7, 5
# How many of a tile's codes are counted, and how finely the compared ones are shared out.
EVERY, DENSITIES, CELLS = 2**26, {"2^18": 2**18, "2^19": 2**19, "2^20": 2**20, "all": 2**26}, (1, 3)
DITHER_LEVELS = 2.7
ROOT = Path(__file__).resolve().parents[1]
REAL = (
    ROOT / "export" / "data" / "s165_overview.png",
    ROOT / "runtime/instrument/simulator/specimen/s3_section.webp",
)
SIZES = [
    *[(1, 1), (1, 2), (2, 1), (1, 9), (300, 1), (2, 2), (3, 3), (4, 7), (7, 5), (6, 6), (8, 8)],
    *[(9, 200), (63, 64), (100, 90), (223, 225), (224, 224), (225, 301), (448, 512), (511, 449)],
    *[(1000, 333), (1388, 1768), (2047, 2049)],
]


def peer_full(image: Pixels) -> np.ndarray:
    """Return scikit-image's codes of every pixel, (radius, y, x)."""
    maps = [local_binary_pattern(image, 8, radius, method="default") for radius in RADII]
    return np.stack(maps).astype(np.uint8)


def nearest(codes: np.ndarray) -> np.ndarray:
    """Return the maps resized to the network's input, nearest neighbour."""
    size = (TARGET_PX, TARGET_PX)
    return np.stack([cv2.resize(one, size, interpolation=cv2.INTER_NEAREST) for one in codes])


def ours_sampled(image: Pixels, *, threads: int = 1) -> np.ndarray:
    """Return our codes at the sample points alone."""
    rows = sample_points(source_px=image.shape[0], target_px=TARGET_PX)
    columns = sample_points(source_px=image.shape[1], target_px=TARGET_PX)
    return lbp_codes(image, rows=rows, columns=columns, radii_px=RADII, threads=threads)


def ours_counted(image: Pixels, *, cells: int, points: int = EVERY, threads: int) -> np.ndarray:
    """Return our counts of the codes' classes, (radius, class, y, x)."""
    return class_counts(
        image, dither_levels=DITHER_LEVELS, cells=cells, points=points, threads=threads
    )


def peer_counted(codes: np.ndarray, *, cells: int) -> np.ndarray:
    """Return the same of scikit-image's codes of every pixel."""
    height, width = codes.shape[1:]
    row, column = (np.arange(height) * cells // height)[:, None], np.zeros(width, np.int64)
    for border in np.arange(1, cells) * width // cells:
        column[border:] += 1
    counts = np.zeros((len(RADII), CODE_CLASSES, cells, cells), np.int64)
    for radius, one in enumerate(codes):
        np.add.at(counts[radius], (CLASS_OF_CODE[one], row, column[None, :]), 1)
    return counts


def tiles(rng: np.random.Generator) -> Iterator[tuple[str, Pixels]]:
    """Yield named images of every kind and size."""
    for size in SIZES:
        yield "random uint8", rng.integers(0, 256, size, dtype=np.uint8)
        yield "random uint16", rng.integers(0, 65536, size, dtype=np.uint16)
        yield "low entropy uint8", rng.integers(0, 3, size, dtype=np.uint8)
        yield "low entropy uint16", rng.integers(0, 2, size, dtype=np.uint16) * np.uint16(3001)
        yield "constant uint8", np.full(size, 255, np.uint8)
        yield "constant uint16", np.full(size, 1000, np.uint16)
    for path in REAL:
        section = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        for top, left in ((0, 500), (600, 1200), (900, 301)):
            tile = section[top : top + 601, left : left + 702]
            yield f"real uint8 {path.stem}", tile
            noise = rng.integers(0, 16, tile.shape, dtype=np.uint16)
            yield f"real 12 bits in uint16 {path.stem}", tile.astype(np.uint16) * 16 + noise
    yield "real uint16", section[:2048, :2048].astype(np.uint16) * 257


def compare() -> dict[str, int]:
    """Return how many tiles and codes were compared and how many codes differ."""
    count, codes, different, counts, miscounted = 0, 0, 0, 0, 0
    for name, image in tiles(np.random.default_rng(0)):
        wanted = peer_full(image)
        pairs = [(full_codes(image, threads=2), wanted)]
        pairs += [(ours_sampled(image, threads=n), nearest(wanted)) for n in (1, 2)]
        wrong = sum(int((found != right).sum()) for found, right in pairs)
        if wrong:
            print(f"{name} {image.shape}: {wrong} codes differ")
        seen = peer_full(dithered(image, dither_levels=DITHER_LEVELS))
        for cells in CELLS:
            right = peer_counted(seen, cells=cells)
            found = ours_counted(image, cells=cells, threads=2)
            miscounted, counts = miscounted + int((found != right).sum()), counts + right.size
        count, different = count + 1, different + wrong
        codes += sum(found.size for found, _ in pairs)
    return {
        "tiles": count,
        "codes_compared": codes,
        "codes_different": different,
        "counts_compared": counts,
        "counts_different": miscounted,
    }


def seconds(call: Callable[[Pixels], np.ndarray], tile: Pixels, *, repeats: int) -> float:
    """Return the median time of a call."""
    times = []
    for _ in range(repeats):
        start = perf_counter()
        call(tile)
        times.append(perf_counter() - start)
    return median(times)


def race() -> dict[str, dict[str, float]]:
    """Return the median milliseconds of each, and the median of its ratios to its round's peer."""
    tile = np.random.default_rng(1).integers(0, 4096, (2048, 2048), dtype=np.uint16)
    ours: dict[str, Callable[[Pixels], np.ndarray]] = {
        "sampled, 1 thread": partial(ours_sampled, threads=1),
        "sampled, 2 threads": partial(ours_sampled, threads=2),
        "every pixel, 1 thread": partial(full_codes, threads=1),
        "every pixel, 2 threads": partial(full_codes, threads=2),
        **{
            f"texture of {name} codes, {threads} thread{'s' * (threads > 1)}": partial(
                ours_counted, cells=8, points=points, threads=threads
            )
            for name, points in DENSITIES.items()
            for threads in (1, 2)
        },
    }
    peer_s: list[float] = []
    ours_s: dict[str, list[float]] = {name: [] for name in ours}
    for _ in range(ROUNDS):
        peer_s.append(seconds(lambda image: nearest(peer_full(image)), tile, repeats=1))
        for name, call in ours.items():
            ours_s[name].append(seconds(call, tile, repeats=REPEATS))
    found = {"scikit-image": {"ms": round(median(peer_s) * 1e3, 1), "ratio": 1.0}}
    for name, taken_s in ours_s.items():
        ratios = [theirs / own for theirs, own in zip(peer_s, taken_s, strict=True)]
        found[name] = {"ms": round(median(taken_s) * 1e3, 2), "ratio": round(median(ratios), 1)}
        found[name]["cpu_ms"] = cpu_ms(ours[name], tile)
    return found


def cpu_ms(call: Callable[[Pixels], np.ndarray], tile: Pixels) -> float:
    """Return the median processor time of a call, all its threads together."""
    times = []
    for _ in range(REPEATS):
        start = process_time()
        call(tile)
        times.append(process_time() - start)
    return round(median(times) * 1e3, 2)


def main() -> None:
    """Print the differing codes, if any, and one JSON line."""
    warnings.simplefilter("ignore", UserWarning)  # scikit-image warns of float images only.
    warm_kernels()
    print(json.dumps(compare() | {"tile_2048_uint16": race()}))


if __name__ == "__main__":
    main()

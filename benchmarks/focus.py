"""The Brenner gradient of a 2048 x 2048 uint16 frame beside NumPy, OpenCV and copying memory; and
what every other measure takes.

    python benchmarks/focus.py

The sum is exact, and all are timed turn about in one process. Bandwidths count what has to pass: a
copy reads and writes (as STREAM counts it), a sharpness only reads. A copy is timed on one thread,
as ours works on, and on two. At last ours and a copy are timed in pairs: out of the caches, where a
copy tells the bandwidth of memory, and with whatever of the frame the caches have kept.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import cv2
import numpy as np
from numpy.typing import NDArray

from runtime.focus.sharpness import MEASURES, brenner_sum

ROUNDS, PAIRS = 60, 400
# More than the caches of a machine that controls a microscope hold.
EVICTED_BYTES = 2**26
THREADS = 2
SIDE_PX = 2048
FRAME_BYTES = 2 * SIDE_PX**2

Pixels = NDArray[np.uint16]


def numpy_brenner(pixels: Pixels) -> int:
    """Return the sum the usual way: converted to float64 so that it does not wrap."""
    values = pixels.astype(np.float64)
    return round(float(np.sum((values[:-2] - values[2:]) ** 2)))


def opencv_brenner(pixels: Pixels) -> int:
    """Return the sum as the square of a norm, which is exact up to 2^50 and no further."""
    return round(cv2.norm(pixels[2:], pixels[:-2], cv2.NORM_L2SQR))


def copy_on(pool: ThreadPoolExecutor, target: Pixels, pixels: Pixels) -> None:
    """Copy a frame, each thread a band of it."""
    rows = SIDE_PX // THREADS
    bands = [slice(at * rows, (at + 1) * rows) for at in range(THREADS)]
    waiting = [pool.submit(np.copyto, target[band], pixels[band]) for band in bands[1:]]
    np.copyto(target[bands[0]], pixels[bands[0]])
    for one in waiting:
        one.result()


def turn_about(
    functions: dict[str, Callable[[], object]],
    *,
    rounds: int,
    before: Callable[[], object] = lambda: None,
) -> dict[str, list[float]]:
    """Return the milliseconds of every round of every function, `before` each of which another runs
    untimed.

    In another order every round: whoever comes after NumPy finds its frame out of the caches.
    """
    times: dict[str, list[float]] = {name: [] for name in functions}
    order, rng = list(functions), np.random.default_rng(1)
    for _ in range(rounds):
        rng.shuffle(order)
        for name in order:
            before()
            start = time.perf_counter()
            functions[name]()
            times[name].append(1e3 * (time.perf_counter() - start))
    return times


def print_pairs(title: str, pixels: Pixels, *, before: Callable[[], object]) -> None:
    """Time ours and a copy one after the other, so that other work meets both: their ratio hangs on
    it least.
    """
    target = np.empty_like(pixels)
    pairs = turn_about(
        {"ours": partial(brenner_sum, pixels), "copy": partial(np.copyto, target, pixels)},
        rounds=PAIRS,
        before=before,
    )
    shares = sorted(c / (2 * o) for o, c in zip(pairs["ours"], pairs["copy"], strict=True))
    quarter = PAIRS // 4
    print(
        f"in {PAIRS} pairs {title}: ours is {statistics.median(shares):.0%} of the bandwidth of a "
        f"copy (half of them {shares[quarter]:.0%} to {shares[-quarter]:.0%})"
    )


def main() -> None:
    """Check that the sums agree, time all, and print times and bandwidths."""
    pixels = np.random.default_rng(0).integers(0, 4096, (SIDE_PX, SIDE_PX), dtype=np.uint16)
    target = np.empty_like(pixels)
    wide = pixels.astype(np.int64)
    exact = int(((wide[2:] - wide[:-2]) ** 2).sum())
    assert brenner_sum(pixels) == numpy_brenner(pixels) == opencv_brenner(pixels) == exact
    with ThreadPoolExecutor(THREADS) as pool:
        times = turn_about(
            {
                "ours": partial(brenner_sum, pixels),
                "OpenCV": partial(opencv_brenner, pixels),
                "NumPy": partial(numpy_brenner, pixels),
                "copy, one thread": partial(np.copyto, target, pixels),
                f"copy, {THREADS} threads": partial(copy_on, pool, target, pixels),
            },
            rounds=ROUNDS,
        )
    # Beside other work the fastest round, too: the median is of the machine's other users.
    for summary, of in (("median", statistics.median), ("fastest", min)):
        ms = {name: of(values) for name, values in times.items()}
        read = {
            name: FRAME_BYTES * (2 if name.startswith("copy") else 1) / value / 1e6
            for name, value in ms.items()
        }
        copied = read["copy, one thread"]
        said = ", ".join(f"{name} {ms[name]:.2f} ms ({read[name]:.1f} GB/s)" for name in ms)
        print(f"{summary}: {said}; ours is {read['ours'] / copied:.0%} of the bandwidth of a copy")
    others = np.zeros(EVICTED_BYTES, np.uint8)
    print_pairs("out of the caches", pixels, before=lambda: np.add(others, 1, out=others))
    print_pairs("with what the caches kept", pixels, before=lambda: None)
    measured = turn_about({n: partial(one, pixels) for n, one in MEASURES.items()}, rounds=10)
    print(", ".join(f"{n} {statistics.median(v):.1f} ms" for n, v in measured.items()))


if __name__ == "__main__":
    main()

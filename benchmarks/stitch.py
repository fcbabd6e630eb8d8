"""Stitching against phase correlation with plain least squares, on tiles of known truth.

64 tiles of 512 x 512, 16 bit, 10 % overlap, stage jitter of 5 px (standard deviation), cut by
Fourier shift from the committed section with gain, offset and noise per tile. Three tools match
the same 112 pairs in one process, on one thread:

- nightscope: strips, top three peaks, NCC, sub-blocks, robust solve (`runtime.stitch`);
- skimage: `phase_cross_correlation` (upsampled 50 times) on the predicted strips, least squares;
- cv2: `phaseCorrelate` with a Hanning window on the predicted strips, least squares.

Errors are distances of tile corners from the truth after removing the common offset. The peers'
solves get no stage prior but a fixed first tile. Times include the solve; ratios are to nightscope.

    python benchmarks/stitch.py
"""

import statistics
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.registration import phase_cross_correlation

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from runtime.stitch.stitcher import Stitcher  # noqa: E402
from runtime.tile import Pixels  # noqa: E402

SIDE, SIZE_PX, OVERLAP, JITTER_PX = 8, 512, 0.1, 5.0
ROUNDS = 3
Floats = NDArray[np.float64]
Match = Callable[[NDArray[np.float32], NDArray[np.float32]], tuple[float, float]]
CASES = {"clean": (1.0, 20.0), "low contrast, heavy noise": (0.1, 40.0)}


@dataclass(frozen=True)
class Field:
    """A tile and where the stage says its centre is, (x, y) in pixels."""

    tile_id: str
    pixels: Pixels
    centre_px: Floats


@dataclass(frozen=True)
class Grid:
    """Tiles with their true corners (n, 2) x, y."""

    tiles: list[Field]
    truth_px: Floats


def cut(image: NDArray[np.float32], at_px: Floats) -> Floats:
    """Return the tile whose pixel (0, 0) lies at `at_px`, shifted exactly by Fourier."""
    margin = 16
    x, y = (int(np.floor(v)) for v in at_px)
    wide = image[y - margin : y + SIZE_PX + margin, x - margin : x + SIZE_PX + margin]
    fy, fx = np.fft.fftfreq(wide.shape[0])[:, None], np.fft.rfftfreq(wide.shape[1])
    ramp = np.exp(2j * np.pi * (fy * (at_px[1] - y) + fx * (at_px[0] - x)))
    moved: Floats = np.fft.irfft2(np.fft.rfft2(wide) * ramp, s=wide.shape)
    return moved[margin:-margin, margin:-margin]


def grid(*, contrast: float, noise: float, seed: int = 0) -> Grid:
    """Return the scan; the stage reports the nominal grid, one micrometre per pixel."""
    path = ROOT / "runtime/instrument/simulator/specimen/s3_section.webp"
    image = np.asarray(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE), np.float32)
    rng = np.random.default_rng(seed)
    tiles, truth = [], []
    for row in range(SIDE):
        for column in range(SIDE):
            nominal = 100 + SIZE_PX * (1 - OVERLAP) * np.array([column, row])
            at = nominal + rng.normal(0, JITTER_PX, 2)
            seen = 16 * contrast * cut(image, at) * rng.uniform(0.9, 1.1) + rng.uniform(170, 230)
            seen += rng.normal(0, noise, seen.shape)
            centre = nominal + (SIZE_PX - 1) / 2
            tiles.append(
                Field(f"r{row}_c{column}", np.clip(seen, 0, 65535).astype(np.uint16), centre)
            )
            truth.append(at)
    return Grid(tiles, np.array(truth))


def nightscope(made: Grid) -> Floats:
    """Return the corners (n, 2) by the product's own stitcher."""
    stitcher = Stitcher(
        px_from_stage=np.eye(2), stage_sigma_px=JITTER_PX, shape_px=(SIZE_PX, SIZE_PX)
    )
    pixels = {tile.tile_id: tile.pixels for tile in made.tiles}
    for tile in made.tiles:
        x, y = tile.centre_px
        stitcher.add(tile.tile_id, tile.pixels, x_um=x, y_um=y, earlier=pixels.__getitem__)
    placed = stitcher.solve()
    return np.array([(placed[t.tile_id].x_px, placed[t.tile_id].y_px) for t in made.tiles])


def by_skimage(a: NDArray[np.float32], b: NDArray[np.float32]) -> tuple[float, float]:
    """Return how far b's content lies in a, (x, y)."""
    (dy, dx), _, _ = phase_cross_correlation(a, b, upsample_factor=50)
    return float(dx), float(dy)


def by_cv2(a: NDArray[np.float32], b: NDArray[np.float32]) -> tuple[float, float]:
    """Return how far b's content lies in a, (x, y); inputs are copied, the call writes to them."""
    window = cv2.createHanningWindow((a.shape[1], a.shape[0]), cv2.CV_32F)
    (dx, dy), _ = cv2.phaseCorrelate(b.copy(), a.copy(), window)
    return dx, dy


def least_squares(made: Grid, match: Match) -> Floats:
    """Return the corners (n, 2) by matching predicted strips and solving without weights."""
    depth = round(SIZE_PX * OVERLAP)
    step = SIZE_PX * (1 - OVERLAP)
    # The strips start on whole pixels, so the crop of a begins where b is predicted, rounded.
    start = SIZE_PX - depth
    rows, shifts = [np.eye(SIDE**2)[0]], [np.array([0.0, 0.0])]
    for index, tile in enumerate(made.tiles):
        for other, right in ((index + 1, True), (index + SIDE, False)):
            if (tile.column if right else tile.row) == SIDE - 1:
                continue
            a, b = tile.pixels, made.tiles[other].pixels
            crops = (a[:, start:], b[:, :depth]) if right else (a[start:], b[:depth])
            found = np.array(match(*(crop.astype(np.float32) for crop in crops)))
            rows.append(np.eye(SIDE**2)[other] - np.eye(SIDE**2)[index])
            shifts.append(found + ((start, 0) if right else (0, start)))
    assert abs(start - step) < 1
    solved: Floats = np.linalg.lstsq(np.array(rows), np.array(shifts), rcond=None)[0]
    return solved


TOOLS: dict[str, Callable[[Grid], Floats]] = {
    "nightscope": nightscope,
    "skimage + least squares": lambda made: least_squares(made, by_skimage),
    "cv2 + least squares": lambda made: least_squares(made, by_cv2),
}


def errors_px(found: Floats, truth: Floats) -> Floats:
    """Return each tile's distance from the truth, the common offset removed."""
    off = found - truth
    return np.hypot(*(off - np.median(off, axis=0)).T)


def main() -> None:
    """Print one table per case."""
    cv2.setNumThreads(1)
    for case, (contrast, noise) in CASES.items():
        made = grid(contrast=contrast, noise=noise)
        print(f"\n{case}\n{'tool':26}{'median':>9}{'p95':>9}{'max px':>9}{'s':>8}{'ratio':>8}")
        base_s = 0.0
        for name, tool in TOOLS.items():
            times, found = [], made.truth_px
            for _ in range(ROUNDS):
                began_s = perf_counter()
                found = tool(made)
                times.append(perf_counter() - began_s)
            taken_s = statistics.median(times)
            base_s = base_s or taken_s
            off = np.percentile(errors_px(found, made.truth_px), [50, 95, 100])
            print(f"{name:26}" + "".join(f"{v:9.3f}" for v in off), end="")
            print(f"{taken_s:8.2f}{taken_s / base_s:8.2f}")


if __name__ == "__main__":
    main()

"""Scans with known truth, cut from the committed section."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates, spline_filter

from runtime.distortion import Distortion, exponents
from runtime.instrument.simulator.specimen import read_section
from runtime.stitch.stitcher import Stitcher
from runtime.tile import Matches, Pixels, Placement

SHAPE_PX = (224, 256)
START_PX = 40


@dataclass(frozen=True)
class Field:
    """A tile and where the stage says it was taken."""

    tile_id: str
    pixels: Pixels
    x_um: float
    y_um: float


def nothing_earlier(tile_id: str) -> Pixels:
    raise AssertionError(f"{tile_id} was read again")


def add(
    stitcher: Stitcher, field: Field, earlier: Callable[[str], Pixels] = nothing_earlier
) -> Matches:
    return stitcher.add(
        field.tile_id, field.pixels, x_um=field.x_um, y_um=field.y_um, earlier=earlier
    )


def recall(stitcher: Stitcher, field: Field, matches: Matches) -> None:
    stitcher.place(field.tile_id, matches, x_um=field.x_um, y_um=field.y_um)


@dataclass(frozen=True)
class Scan:
    tiles: list[Field]
    truth_px: dict[str, tuple[float, float]]

    def errors_px(self, placements: dict[str, Placement]) -> NDArray[np.float64]:
        """Return each tile's distance from the truth after removing the common offset."""
        off = np.array(
            [
                (placements[name].x_px - x, placements[name].y_px - y)
                for name, (x, y) in self.truth_px.items()
            ]
        )
        off -= np.median(off, axis=0)
        return np.hypot(*off.T)


@cache
def section() -> NDArray[np.float32]:
    """Return a richly textured part of the committed mussel section (CC0)."""
    return read_section()[2000:3400, 2000:3600].astype(np.float32)


@cache
def lattice() -> NDArray[np.float32]:
    """Return a specimen that repeats every 20 px, the size of the section."""
    y, x = np.indices(section().shape)
    wave = 120 + 60 * np.cos(2 * np.pi * x / 20) * np.cos(2 * np.pi * y / 20)
    speckle = np.random.default_rng(2).normal(0, 30, wave.shape)
    return (wave + cv2.GaussianBlur(speckle, (0, 0), 1.5)).astype(np.float32)


def cut(
    image: NDArray[np.float32], *, at_px: tuple[float, float], shape: tuple[int, int]
) -> NDArray[np.float32]:
    """Return the crop whose pixel (0, 0) lies at `at_px` (x, y), shifted exactly, by Fourier.

    Bilinear sampling would displace fine structure by a few hundredths of a pixel.
    """
    margin = 16
    x, y = (int(np.floor(v)) for v in at_px)
    wide = image[y - margin : y + shape[0] + margin, x - margin : x + shape[1] + margin]
    fy, fx = np.fft.fftfreq(wide.shape[0])[:, None], np.fft.rfftfreq(wide.shape[1])
    ramp = np.exp(2j * np.pi * (fy * (at_px[1] - y) + fx * (at_px[0] - x)))
    moved = np.fft.irfft2(np.fft.rfft2(wide - wide.mean()) * ramp, s=wide.shape) + wide.mean()
    return moved[margin:-margin, margin:-margin].astype(np.float32)


def nowhere(row: int, column: int) -> bool:
    return False


@cache
def scan(
    *,
    rows: int = 4,
    columns: int = 4,
    overlap: float = 0.15,
    jitter_px: float = 2.0,
    noise: float = 2.0,
    blank: Callable[[int, int], bool] = nowhere,
    pattern: Callable[[], NDArray[np.float32]] | None = None,
    seed: int = 0,
    image: Callable[[], NDArray[np.float32]] = section,
) -> Scan:
    """Return a serpentine scan of 16-bit tiles; the stage reports nominal positions in pixels.

    `pattern` makes what the sensor adds to every tile. The same arguments give the same tiles.
    """
    rng = np.random.default_rng(seed)
    height, width = SHAPE_PX
    step = (width * (1 - overlap), height * (1 - overlap))
    tiles, truth = [], {}
    for row in range(rows):
        for column in range(columns) if row % 2 == 0 else reversed(range(columns)):
            nominal = (START_PX + column * step[0], START_PX + row * step[1])
            at = tuple(np.add(nominal, rng.normal(0, jitter_px, 2)))
            seen = cut(image(), at_px=(float(at[0]), float(at[1])), shape=SHAPE_PX)
            if blank(row, column):
                seen = np.full_like(seen, 190.0)
            seen = seen * rng.uniform(0.85, 1.15) + rng.uniform(-8, 8)
            seen = seen + rng.normal(0, noise, seen.shape)
            if pattern is not None:
                seen = seen + pattern()
            tile_id = f"r{row}_c{column}"
            truth[tile_id] = (float(at[0]), float(at[1]))
            tiles.append(
                Field(
                    tile_id,
                    np.clip(16 * seen + 200, 0, 65535).astype(np.uint16),
                    x_um=nominal[0] + (width - 1) / 2,
                    y_um=nominal[1] + (height - 1) / 2,
                )
            )
    return Scan(tiles, truth)


@cache
def specimen() -> Pixels:
    """Return the section as a lens shows it: nothing finer than a few pixels."""
    return cv2.GaussianBlur(section(), (0, 0), 1.5)


@cache
def splines() -> NDArray[np.float64]:
    """Return the coefficients by which it is interpolated: the same for every tile."""
    return spline_filter(specimen(), order=3, mode="constant")


def exposed(at: Placement, distortion: Distortion | None = None) -> Pixels:
    """Return what a camera at a place sees of the section, 16 bit."""
    y, x = np.mgrid[0 : SHAPE_PX[0], 0 : SHAPE_PX[1]].astype(np.float64)
    points = np.column_stack([x.ravel(), y.ravel()])
    if distortion is not None:
        points = distortion.straightened(points)
    cos, sin = np.cos(at.theta_rad), np.sin(at.theta_rad)
    seen_x = at.x_px + cos * points[:, 0] - sin * points[:, 1]
    seen_y = at.y_px + sin * points[:, 0] + cos * points[:, 1]
    seen = map_coordinates(splines(), [seen_y, seen_x], order=3, output=np.float32, prefilter=False)
    return np.clip(16 * seen.reshape(SHAPE_PX), 0, 65535).astype(np.uint16)


def keystone(strength_px: float = 8.0) -> Distortion:
    """Return a field whose frames are wider at the bottom and longer at the right."""
    wanted = {(1, 1): (strength_px, strength_px), (2, 0): (-strength_px / 2, 0.0)}
    rows = [wanted.get(power, (0.0, 0.0)) for power in exponents(2)]
    return Distortion(SHAPE_PX, 2, np.array(rows))

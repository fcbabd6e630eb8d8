"""Scans of known truth for `stitching.py` and `ladder.py`: tiles of a real image at known poses.

A tile's pixel q (x, y from its centre) shows the place centre + R(theta) straight(q) of the source,
read there by Fourier shift, or by a cubic spline where tiles are turned or bent; `straight` is the
camera's distortion, if it has one. The stage reports the nominal grid. Every tile has its own gain,
pedestal and noise. Rows are taken to and fro.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from runtime.distortion import Distortion, exponents
from runtime.tile import Pixels, Placement

ROOT = Path(__file__).resolve().parents[2]
SECTION = ROOT / "runtime/instrument/simulator/specimen/s3_section.webp"
SIDE, SIZE_PX, JITTER_PX, MARGIN_PX = 8, 512, 5.0, 90
COUNTS_PER_GREY = 16.0
TEXTURED_SHARE = 0.25
SHADING, SPECKS = 0.15, 60
Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """What else may be wrong: the share of the area that is `blank`, beyond a slanting line; the
    camera turned against the stage; a stage that lies half its backlash behind its last move in x;
    dust and shading of the sensor, in every tile alike (`dust`: how dark, as a share).
    """

    blank: float = 0.35
    camera_deg: float = 0.5
    backlash_px: float = 4.0
    dust: float = 0.2


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What makes a scan hard: `contrast` and `noise` (standard deviation in counts of 16 per grey
    level of the source), `turn_deg` the most a tile is turned, `bend_px` what the camera's
    distortion does to a corner, `enlarged` how soft the source is, `pitch_px` of a periodic one,
    `jitter_px` the stage's standard deviation.
    """

    overlap: float = 0.1
    jitter_px: float = JITTER_PX
    contrast: float = 1.0
    noise: float = 20.0
    turn_deg: float = 0.0
    bend_px: float = 0.0
    enlarged: float = 1.0
    pitch_px: float = 0.0
    trouble: Trouble | None = None


KINDS = {
    "sharp": Kind(),
    "turned 0.5°": Kind(turn_deg=0.5),
    "5 % overlap": Kind(overlap=0.05),
    "quarter contrast, heavy noise": Kind(contrast=0.25, noise=100.0),
    "5 % and turned 0.5°": Kind(overlap=0.05, turn_deg=0.5),
    "15 % and turned 5°": Kind(overlap=0.15, turn_deg=5.0),
    "bent by 8 px": Kind(bend_px=8.0),
    "periodic, 12 px": Kind(pitch_px=12.0),
    "periodic, 24 px": Kind(pitch_px=24.0),
    "periodic, 40 px": Kind(pitch_px=40.0),
    "hard": Kind(trouble=Trouble()),
    "soft": Kind(enlarged=3.0),
    "soft, 5 % overlap": Kind(enlarged=3.0, overlap=0.05),
    "soft, quarter contrast": Kind(enlarged=3.0, contrast=0.25, noise=100.0),
}


@dataclass(frozen=True)
class Grid:
    """`tiles` by name; where the stage says their centres are, where they are (n, 2) x, y pixels,
    how they are turned (n,) in radians, and the share of each that shows specimen (n,).
    """

    kind: Kind
    tiles: dict[str, Pixels]
    stage_px: Floats
    truth_px: Floats
    theta_rad: Floats
    shown: Floats

    @property
    def order(self) -> list[int]:
        """The tiles in the order they are taken: each row the other way."""
        rows = np.arange(len(self.tiles)).reshape(SIDE, SIDE)
        rows[1::2] = rows[1::2, ::-1]
        return rows.ravel().tolist()

    @property
    def textured(self) -> NDArray[np.bool_]:
        """The tiles (n,) with enough specimen to be held by it."""
        return self.shown >= TEXTURED_SHARE

    def errors_px(self, centres_px: Floats) -> Floats:
        """Return each textured tile's distance from the truth, the common offset removed."""
        off = (centres_px - self.truth_px)[self.textured]
        return np.hypot(*(off - np.median(off, axis=0)).T)

    def shape_errors_px(self, centres_px: Floats) -> Floats:
        """Return what is left of the errors when the whole map may be moved, turned and scaled.

        Where tiles are turned or bent, the seams say little or nothing of how the map as a whole
        lies: only the stage does, to its jitter over the root of the number of tiles.
        """
        off = (centres_px - self.truth_px)[self.textured]
        truth_px = self.truth_px[self.textured]
        x, y = (truth_px - truth_px.mean(axis=0)).T
        none, one = np.zeros_like(x), np.ones_like(x)
        terms = np.stack([np.stack([x, -y, one, none], 1), np.stack([y, x, none, one], 1)], 1)
        fitted = np.linalg.lstsq(terms.reshape(-1, 4), off.ravel(), rcond=None)[0]
        return np.hypot(*(off - terms @ fitted).T)

    def apart_px(self, a: int, in_a: Floats, b: int, in_b: Floats) -> Floats:
        """Return how far apart points (n, 2) x, y of tiles a and b truly lie in the specimen."""
        bent, middle = bending(self.kind), np.full(2, (SIZE_PX - 1) / 2)
        at = []
        for tile, points in ((a, in_a), (b, in_b)):
            straight = points if bent is None else bent.straightened(points)
            at.append(self.truth_px[tile] + (straight - middle) @ turn(self.theta_rad[tile]).T)
        return np.hypot(*(at[0] - at[1]).T)


def turn(theta_rad: float) -> Floats:
    """Return the 2x2 rotation of x, y with y down."""
    c, s = np.cos(theta_rad), np.sin(theta_rad)
    return np.array([[c, -s], [s, c]])


def centres_px(placed: dict[str, Placement], names: list[str]) -> Floats:
    """Return where the tiles' centres lie by their placements, (n, 2) x, y."""
    middle = np.full(2, (SIZE_PX - 1) / 2)
    return np.array(
        [(placed[n].x_px, placed[n].y_px) + turn(placed[n].theta_rad) @ middle for n in names]
    )


def bending(kind: Kind) -> Distortion | None:
    """Return the camera's distortion: barrel and a keystone of a scanned beam, mixed."""
    if kind.bend_px == 0:
        return None
    wanted = {(3, 0): (1, 0), (1, 2): (1, 0), (0, 3): (0, 1), (2, 1): (0, 1), (1, 1): (0.4, -0.3)}
    rows = np.array([wanted.get(term, (0.0, 0.0)) for term in exponents(3)], dtype=float)
    shape = (SIZE_PX, SIZE_PX)
    scale = kind.bend_px / Distortion(shape, 3, rows).largest_px
    return Distortion(shape, 3, rows * scale)


def source_of(kind: Kind, path: Path | None, *, seed: int) -> NDArray[np.float32]:
    """Return the grey levels that tiles are cut from, (y, x), mirrored at its rim if too small."""
    if kind.pitch_px:
        return periodic(kind, seed=seed)
    image = np.asarray(cv2.imread(str(path or SECTION), cv2.IMREAD_GRAYSCALE), np.float32)
    wanted = int(np.ceil(extent_px(kind) / kind.enlarged)) + 8
    top, left = (max((n - wanted) // 2, 0) for n in image.shape)
    image = image[top : top + wanted, left : left + wanted]
    if kind.enlarged > 1:
        soft = cv2.resize(
            image, None, fx=kind.enlarged, fy=kind.enlarged, interpolation=cv2.INTER_CUBIC
        )
        image = np.asarray(soft, np.float32)
    short = [max(extent_px(kind) - n, 0) for n in image.shape]
    return np.pad(image, [(0, short[0]), (0, short[1])], mode="symmetric")


def periodic(kind: Kind, *, seed: int) -> NDArray[np.float32]:
    """Return a lattice of blobs, alike but for a tenth of their brightness and a little grain."""
    side, rng = extent_px(kind), np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side].astype(np.float32)
    phase = 2 * np.pi / kind.pitch_px
    lattice = (1 + np.cos(phase * x)) * (1 + np.cos(phase * y)) / 4
    cells = rng.normal(1, 0.02, (side, side)).astype(np.float32)
    grain = cv2.GaussianBlur(cells, (0, 0), 1.5)
    return np.asarray(60 + 120 * lattice * grain, np.float32)


def extent_px(kind: Kind) -> int:
    """Return the side of the source that a grid needs."""
    return int(np.ceil((SIDE - 1) * SIZE_PX * (1 - kind.overlap))) + SIZE_PX + 2 * MARGIN_PX


def made(kind: Kind, *, seed: int, source: Path | None = None) -> Grid:
    """Return a scan of 64 tiles of 512 x 512, 16 bit."""
    return scanned(kind, source_of(kind, source, seed=seed), seed=seed)


def scanned(kind: Kind, image: NDArray[np.float32], *, seed: int) -> Grid:
    """Return the scan of an image's grey levels, (y, x), of at least `extent_px`."""
    specimen = None
    rng = np.random.default_rng(seed)
    if kind.trouble is not None:
        specimen = within(image.shape, kind.trouble.blank)
        image = np.where(specimen, image, np.float32(np.median(image)))
    sensor = sensor_of(kind, np.random.default_rng([seed, 1]))
    look = reader(image, bending(kind))
    tiles, stage, truth, turns, shown = {}, [], [], [], []
    for row in range(SIDE):
        for column in range(SIDE):
            nominal = np.array([column, row]) * SIZE_PX * (1 - kind.overlap)
            nominal = MARGIN_PX + nominal + (SIZE_PX - 1) / 2
            at = taken_at(kind, nominal, row) + rng.normal(0, kind.jitter_px, 2)
            theta = np.deg2rad(rng.uniform(-kind.turn_deg, kind.turn_deg))
            seen = COUNTS_PER_GREY * kind.contrast * look(at, theta)
            seen = (seen * rng.uniform(0.9, 1.1) + rng.uniform(170, 230)) * sensor
            seen += rng.normal(0, kind.noise, seen.shape)
            tiles[f"r{row:03}_c{column:03}"] = np.clip(np.rint(seen), 0, 65535).astype(np.uint16)
            stage.append(nominal)
            truth.append(at)
            turns.append(theta)
            x, y = (int(v) - SIZE_PX // 2 for v in at)
            part = True if specimen is None else specimen[y : y + SIZE_PX, x : x + SIZE_PX]
            shown.append(float(np.mean(part)))
    return Grid(kind, tiles, *(np.array(of) for of in (stage, truth, turns, shown)))


def within(shape: tuple[int, ...], blank: float) -> NDArray[np.bool_]:
    """Return where the specimen is: before a slanting line that leaves a share `blank` beyond."""
    y, x = (np.arange(side) / side for side in shape)
    return np.asarray(x[None, :] + y[:, None] < 2 - (2 * blank) ** 0.5)


def sensor_of(kind: Kind, rng: np.random.Generator) -> Floats:
    """Return what the sensor makes of an even light, (y, x): shading, and specks of dust."""
    sensor = np.ones((SIZE_PX, SIZE_PX))
    if kind.trouble is None:
        return sensor
    y, x = np.mgrid[:SIZE_PX, :SIZE_PX] / (SIZE_PX / 2) - 1
    sensor -= SHADING * ((x - 0.2) ** 2 + (y + 0.1) ** 2) / 2
    for _ in range(SPECKS):
        speck_x, speck_y = rng.uniform(-1, 1, 2)
        radius = rng.uniform(3, 10) / (SIZE_PX / 2)
        away2 = ((x - speck_x) ** 2 + (y - speck_y) ** 2) / radius**2
        sensor *= 1 - kind.trouble.dust * np.exp(-(away2**2))
    return sensor


def taken_at(kind: Kind, nominal_px: Floats, row: int) -> Floats:
    """Return where in the camera's axes the stage goes for a nominal place."""
    if kind.trouble is None:
        return nominal_px
    middle = extent_px(kind) / 2
    behind = np.array([kind.trouble.backlash_px / 2 * (1 if row % 2 else -1), 0.0])
    turned = turn(np.deg2rad(kind.trouble.camera_deg)) @ (nominal_px - middle)
    at: Floats = middle + turned + behind
    return at


def reader(
    image: NDArray[np.float32], bent: Distortion | None
) -> Callable[[Floats, float], Floats]:
    """Return what cuts one tile at a centre (x, y), turned by an angle, with a camera's bend."""
    x, y = np.meshgrid(np.arange(SIZE_PX), np.arange(SIZE_PX))
    pixels = np.column_stack([x.ravel(), y.ravel()]).astype(float)
    from_middle = (pixels if bent is None else bent.straightened(pixels)) - (SIZE_PX - 1) / 2
    spline = cache(lambda: ndimage.spline_filter(image, order=3, output=np.float32))

    def look(centre_px: Floats, theta_rad: float) -> Floats:
        if theta_rad == 0 and bent is None:
            return moved(image, centre_px - (SIZE_PX - 1) / 2)
        way = from_middle @ turn(theta_rad).T + centre_px
        low = np.floor(way.min(axis=0)).astype(int) - 2
        part = spline()[low[1] : low[1] + 2 * SIZE_PX, low[0] : low[0] + 2 * SIZE_PX]
        seen = ndimage.map_coordinates(part, (way - low).T[::-1], order=3, prefilter=False)
        return np.asarray(seen, float).reshape(SIZE_PX, SIZE_PX)

    return look


def moved(image: NDArray[np.float32], at_px: Floats) -> Floats:
    """Return the tile whose pixel (0, 0) lies at `at_px`, shifted exactly by Fourier."""
    margin = 16
    x, y = (int(np.floor(v)) for v in at_px)
    wide = image[y - margin : y + SIZE_PX + margin, x - margin : x + SIZE_PX + margin]
    fy, fx = np.fft.fftfreq(wide.shape[0])[:, None], np.fft.rfftfreq(wide.shape[1])
    ramp = np.exp(2j * np.pi * (fy * (at_px[1] - y) + fx * (at_px[0] - x)))
    tile: Floats = np.fft.irfft2(np.fft.rfft2(wide) * ramp, s=wide.shape)
    return tile[margin:-margin, margin:-margin]

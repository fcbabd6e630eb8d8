"""A tile at a glance: as much of its frame as the watchman compares with others, in a few kB."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from runtime.calibrated.correct import Corrector
from runtime.tile import Pixels, Shot

Image = NDArray[np.float32]

# Longest side of what is compared: noise is averaged away, a field of view in the wrong place is
# not.
SIDE_PX = 256
# Detail is finer than the second and coarser than the first of these, on the shrunken picture.
DETAIL_PX = (3, 25)
# Of white noise detail has 0.12 of the energy that is finer still; of texture more than that.
TEXTURED = 0.5
# Brightness is compared on cells so many shrunken pixels wide.
CELL_PX = 4
# Of detail so many standard deviations are kept, in eight bits.
KEPT_SIGMAS = 4.0
# Detail is compared block by block, so that dust, which lies in few, has no voice; two frames show
# the same place where the median block agrees by so much. Neighbours that only resemble each other
# have 0.0 to 0.2, the same place under new noise 0.8 and more.
BLOCK_PX = 32
SAME_PLACE = 0.6
# A strip of noise does not resemble itself three pixels on, where detail ends; one that does by so
# much, of tiles that fit, agrees by 0.5 and more, and by chance by 0.2.
LAG_PX = 3
TELLS = 0.4
SMALLEST_PX = 8
# From here on a pixel counts as saturated, of full scale.
SATURATED = 0.98


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Glance:
    """What is kept of a frame: where it was taken and with what, its `detail` (y, x) in int8, the
    brightness of its cells, `levels` (y, x) float32 in corrected digital numbers.

    `peak` is the brightest hundredth, `saturated` the share of pixels at full scale; a `textured`
    one holds more than noise. One pixel of `detail` is `shrink` pixels of the camera wide.
    """

    tile_id: str
    phase: str
    x_um: float
    y_um: float
    z_um: float
    detail: NDArray[np.int8]
    levels: Image
    peak: float
    saturated: float
    texture: float
    shrink: int

    @property
    def textured(self) -> bool:
        """Return whether it shows more than noise."""
        return self.texture > TEXTURED


class Glancer:
    """Looks at the frames of one objective; `full_scale` is the camera's largest number."""

    def __init__(self, corrector: Corrector, *, full_scale: int) -> None:
        self._corrector, self._full_scale = corrector, full_scale

    def look(self, shot: Shot, raw: Pixels) -> Glance:
        """Return what is kept of a raw (y, x) frame."""
        shrink = max(1, round(max(raw.shape) / SIDE_PX))
        small = shrunk(raw, shrink)
        seen = self._corrector.shrunk(small, shrink)
        fine, coarse = (cv2.blur(seen, (side, side)) for side in DETAIL_PX)
        detail = np.asarray(cv2.subtract(fine, coarse), np.float32)
        finest = cv2.norm(seen, fine, cv2.NORM_L2) or 1.0
        spread = float(cv2.norm(detail, cv2.NORM_L2)) / detail.size**0.5 or 1.0
        levels = shrunk(seen, CELL_PX)
        at = shot.stage
        return Glance(
            tile_id=shot.tile_id,
            phase=shot.phase,
            x_um=at.x_um,
            y_um=at.y_um,
            z_um=at.z_um,
            detail=np.asarray(
                np.clip(detail * (127 / KEPT_SIGMAS / spread), -127, 127), dtype=np.int8
            ),
            levels=levels,
            peak=float(np.percentile(levels, 99)),
            saturated=float((small >= SATURATED * self._full_scale).mean()),
            texture=(spread * detail.size**0.5 / finest) ** 2,
            shrink=shrink,
        )


def shrunk(pixels: NDArray[np.generic], by: int) -> Image:
    """Return a (y, x) picture as float32, each pixel the mean of `by` x `by` of it."""
    height, width = (side // by * by for side in pixels.shape)
    whole = np.asarray(pixels[:height, :width])
    small = cv2.resize(whole, (width // by, height // by), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float32)


def alike(one: Glance, other: Glance) -> float:
    """Return how far two frames show the same detail in the same pixels: the correlation of the
    median block, 1 for the same, about 0 for others.
    """
    return _agreement(one.detail, other.detail)


def like_itself(one: Glance, *, shift_px: tuple[float, float]) -> float:
    """Return how far a frame shows the same detail as itself, `shift_px` (x, y) of the camera away,
    or as far on that way as leaves half of it: a correlation, as `alike`. A membrane or a scratch
    that runs that way does, and of a move along it no pixel tells.
    """
    height, width = one.detail.shape
    dx, dy = (shift / one.shrink for shift in shift_px)
    share = 0.5 / max(abs(dx) / width, abs(dy) / height, 0.5)
    x, y = round(share * dx), round(share * dy)
    return _agreement(*_overlapping(one.detail, one.detail, x, y))


def _agreement(one: NDArray[np.int8], other: NDArray[np.int8]) -> float:
    """Return the correlation of the median block of two pictures' detail."""
    a, b = (np.asarray(detail, np.float32) for detail in (one, other))
    side = min(BLOCK_PX, *one.shape)
    both, left, right = (shrunk(p * q, side) for p, q in ((a, b), (a, a), (b, b)))
    return float(np.median(both / np.sqrt(np.maximum(left * right, 1.0))))


def _overlapping(
    one: NDArray[np.int8], other: NDArray[np.int8], dx: int, dy: int
) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
    """Return what two pictures share if `one` lies (dx, dy) of their pixels from `other`."""
    height, width = one.shape
    here = one[max(-dy, 0) : height - max(dy, 0), max(-dx, 0) : width - max(dx, 0)]
    there = other[max(dy, 0) : height + min(dy, 0), max(dx, 0) : width + min(dx, 0)]
    return here, there


def brightness(
    one: Glance, other: Glance, *, shift_px: tuple[float, float], darkest: float
) -> float | None:
    """Return the ratio of two frames' brightness where they overlap, `one` over `other`; None
    where they do not, or the other has less than `darkest` there.

    `shift_px` is how far `one` lies from `other` in camera pixels, (x, y).
    """
    height, width = one.levels.shape
    cell = one.shrink * CELL_PX
    dx, dy = (round(shift / cell) for shift in shift_px)
    if abs(dx) >= width or abs(dy) >= height:
        return None
    here = one.levels[max(-dy, 0) : height - max(dy, 0), max(-dx, 0) : width - max(dx, 0)]
    there = other.levels[max(dy, 0) : height + min(dy, 0), max(dx, 0) : width + min(dx, 0)]
    below = float(there.mean())
    return float(here.mean()) / below if below > max(darkest, 0.0) else None


def fit(
    one: Glance, other: Glance, *, shift_px: tuple[float, float], reach_px: float
) -> float | None:
    """Return how well two frames agree where they overlap, at best within `reach_px` of where
    `shift_px` puts them: a correlation; None where there is too little in either to tell.
    """
    height, width = one.detail.shape
    dx, dy = (round(shift / one.shrink) for shift in shift_px)
    reach = int(np.ceil(reach_px / one.shrink)) + 1
    if min(height - abs(dy), width - abs(dx)) < SMALLEST_PX + 2 * reach:
        return None
    here, there = _overlapping(one.detail, other.detail, dx, dy)
    if min(_tells(here), _tells(there)) < TELLS:
        return None
    inner = here[reach:-reach, reach:-reach].astype(np.float32)
    agree = cv2.matchTemplate(there.astype(np.float32), inner, cv2.TM_CCOEFF_NORMED)
    return float(agree.max())


def _tells(strip: NDArray[np.int8]) -> float:
    """Return how far a strip resembles itself some pixels on, along its longer side."""
    along = strip if strip.shape[1] >= strip.shape[0] else strip.T
    a, b = (part.astype(np.float32) for part in (along[:, :-LAG_PX], along[:, LAG_PX:]))
    weight = float((a * a).sum()) * float((b * b).sum())
    return float((a * b).sum()) / float(np.sqrt(max(weight, 1.0)))


def displaced_px(one: Glance, other: Glance) -> tuple[tuple[float, float], float]:
    """Return how far `other` shows what `one` shows, (x, y) in camera pixels, and how well the two
    agree then: their correlation.
    """
    window = _window(one.detail.shape)
    a, b = (np.fft.rfft2(window * g.detail) for g in (one, other))
    found = np.fft.irfft2(np.conj(a) * b, s=one.detail.shape)
    weight = np.sqrt(
        float(((window * one.detail) ** 2).sum()) * float(((window * other.detail) ** 2).sum())
    )
    y, x = np.unravel_index(int(found.argmax()), found.shape)
    height, width = found.shape
    dy = (int(y) + height // 2) % height - height // 2
    dx = (int(x) + width // 2) % width - width // 2
    return (float(dx * one.shrink), float(dy * one.shrink)), float(found[y, x]) / max(weight, 1.0)


@lru_cache(maxsize=4)
def _window(shape: tuple[int, int]) -> Image:
    return np.asarray(np.outer(np.hanning(shape[0]), np.hanning(shape[1])), np.float32)

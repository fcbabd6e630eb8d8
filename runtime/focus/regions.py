"""Which parts of a frame tell about focus: those that change with z and nowhere saturate.

Dust and hot pixels of the sensor are as sharp at one z as at another, bare slide shows noise at
every z, and a saturated spot gains contrast out of focus, where it no longer is clipped. A focus
curve over the other parts has a lower floor and its top in the right place. The parts are chosen
once for a whole sweep or stack: chosen frame by frame, the choice would bend the curve.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runtime.focus.curve import MIN_ERRORS
from runtime.focus.sharpness import BRENNER, Measure
from runtime.tile import Pixels

CELL_PX = 128
# A cell counts if it rises by this share of what the one with the highest rise does.
TELLING = 0.1

Window = tuple[slice, slice]


@dataclass(frozen=True, slots=True)
class Regions:
    """Windows (rows, columns), all of one size, of frames of (height, width) `shape_px`."""

    shape_px: tuple[int, int]
    windows: tuple[Window, ...]

    @property
    def share(self) -> float:
        """Return which share of the frame they are."""
        rows, columns = self.windows[0]
        inside = (rows.stop - rows.start) * (columns.stop - columns.start) * len(self.windows)
        return float(inside / (self.shape_px[0] * self.shape_px[1]))

    def measure(self, whole: Measure) -> Measure:
        """Return the mean over the windows of what measures a whole frame.

        Each is divided by its own brightness, so that shading weighs none of them down.
        """

        def value(pixels: Pixels) -> float:
            return math.fsum(whole(pixels[at]) for at in self.windows) / len(self.windows)

        return Measure(value, whole.white_noise / self.share)


def whole_cells(shape: tuple[int, int], *, cell_px: int = CELL_PX) -> tuple[Window, ...]:
    """Return the windows of `cell_px` squares that fit into a (height, width) from its corner; what
    is smaller than one is one.
    """
    height, width = shape
    side_y, side_x = min(cell_px, height), min(cell_px, width)
    return tuple(
        (slice(y, y + side_y), slice(x, x + side_x))
        for y in range(0, height - side_y + 1, side_y)
        for x in range(0, width - side_x + 1, side_x)
    )


def informative_regions(
    frames: Iterable[Pixels], *, full_scale: int, measure: Measure = BRENNER
) -> Regions:
    """Return the cells in which `measure` changes from frame to frame and none saturates.

    The frames, all of one shape, are one field at several z, read once. Where nothing changes (an
    empty field) it is every cell that does not saturate; where all of them do, every cell.
    """
    windows: tuple[Window, ...] = ()
    shape = (0, 0)
    energies, brightest = [], []
    for pixels in frames:
        shape = pixels.shape
        windows = windows or whole_cells(shape)
        energies.append([_energy(pixels[at], measure) for at in windows])
        brightest.append([int(pixels[at].max()) for at in windows])
    if not windows:
        raise ValueError("informative_regions was given no frames")
    sound = np.max(brightest, axis=0) < full_scale
    rows, columns = windows[0]
    noise = measure.noise((rows.stop - rows.start) * (columns.stop - columns.start))
    chosen = sound & _telling(np.array(energies), sound, noise)
    if not chosen.any():
        chosen = sound if sound.any() else np.ones(len(windows), bool)
    kept = tuple(at for at, keep in zip(windows, chosen, strict=True) if keep)
    return Regions(shape, kept)


def _energy(pixels: Pixels, measure: Measure) -> float:
    """Return a measure without its division by the brightness: noise in the dark would top all."""
    return measure(pixels) * float(pixels.mean()) ** 2


def _telling(
    energies: NDArray[np.float64], sound: NDArray[np.bool_], noise: float
) -> NDArray[np.bool_]:
    """Return which cells rise, (frame, cell) given, by more than noise, whose relative error in one
    cell is `noise`, and not far less than the one that rises most.
    """
    rise, floor = np.ptp(energies, axis=0), energies.min(axis=0)
    most = rise[sound].max() if sound.any() else 0.0
    found: NDArray[np.bool_] = (rise > MIN_ERRORS * noise * np.abs(floor)) & (
        rise >= TELLING * most
    )
    return found

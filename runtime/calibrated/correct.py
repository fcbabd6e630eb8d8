"""Dark and flat-field correction of one frame.

Corrected = (raw - dark) / flat, with the flat field's mean over the frame made 1. An empty slide
of uniform light so keeps its mean level above dark, and loses its vignetting and the shadows of
dust on the sensor (which would otherwise correlate at zero shift and mislead the stitching). The
dark offset is gone from the result.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from runtime.calibrated.record import CalibrationRecord, read_array
from runtime.errors import CalibrationRefused
from runtime.tile import Pixels

# Below this share of the median flat level a pixel is dead or masked; dividing by it makes noise.
DEAD = 0.05


class Corrector:
    """Corrects frames of one camera, region of interest and objective."""

    def __init__(self, dark: NDArray[Any], flat: NDArray[Any]) -> None:
        """Take the mean dark frame in digital numbers and the flat field, both (y, x).

        Pixels whose flat or dark is not finite, or whose flat is below 5 % of its median, are
        passed on without gain. Raises ValueError when the shapes differ or nothing is lit.
        """
        if dark.shape != flat.shape or dark.ndim != 2:
            raise ValueError(f"dark is {dark.shape} and flat {flat.shape}; both must be one (y, x)")
        usable = np.isfinite(flat) & np.isfinite(dark)
        lit = usable & (flat > 0)
        if not lit.any():
            raise ValueError("flat field has no lit pixel")
        alive = usable & (flat > DEAD * float(np.median(flat[lit])))
        level = float(flat[alive].mean())
        self._dark = np.where(np.isfinite(dark), dark, 0).astype(np.float32)
        self._gain = np.ones(flat.shape, np.float32)
        self._gain[alive] = level / flat[alive]
        self._shrunk: dict[int, tuple[Any, Any]] = {}

    def apply(self, pixels: Pixels) -> Pixels:
        """Return the corrected frame: same shape and dtype, rounded, clipped to the dtype.

        Raises ValueError when the frame has another shape than the calibration.
        """
        if pixels.shape != self._gain.shape:
            raise ValueError(f"frame is {pixels.shape}; the calibration is for {self._gain.shape}")
        depth = cv2.CV_8U if pixels.dtype == np.uint8 else cv2.CV_16U
        above_dark = cv2.subtract(pixels, self._dark, dtype=cv2.CV_32F)
        return cast(Pixels, cv2.multiply(above_dark, self._gain, dtype=depth))

    def shrunk(self, small: NDArray[np.float32], by: int) -> NDArray[np.float32]:
        """Return the correction of a frame that was shrunk `by` times on either axis, by means.

        As good as the correction of the whole frame where light and dark level change slowly.
        """
        if by not in self._shrunk:
            height, width = self._dark.shape[0] // by * by, self._dark.shape[1] // by * by
            size = (width // by, height // by)
            self._shrunk[by] = (
                cv2.resize(self._dark[:height, :width], size, interpolation=cv2.INTER_AREA),
                cv2.resize(self._gain[:height, :width], size, interpolation=cv2.INTER_AREA),
            )
        dark, gain = self._shrunk[by]
        return np.asarray(cv2.multiply(cv2.subtract(small, dark), gain), np.float32)

    @classmethod
    def from_records(
        cls, dark: CalibrationRecord, flat: CalibrationRecord, *, folder: Path
    ) -> Corrector:
        """Return the corrector of two calibration records whose arrays lie in `folder`.

        Raises CalibrationRefused naming the record when an array is missing or does not fit.
        """
        dark_array, flat_array = (
            read_array(dark, "dark", folder=folder),
            read_array(flat, "flat", folder=folder),
        )
        try:
            return cls(dark_array, flat_array)
        except ValueError as error:
            raise CalibrationRefused(
                f"calibrations '{dark.name}' and '{flat.name}' do not fit together: {error}",
                remedy="run both again: nightscope calibrate dark, then flat-field",
            ) from None


class NoCorrection(Corrector):
    """Leaves frames as they are: recorded scans come corrected, or cannot be."""

    def __init__(self) -> None:
        super().__init__(np.zeros((1, 1)), np.ones((1, 1)))

    def apply(self, pixels: Pixels) -> Pixels:
        """Return the frame itself."""
        return pixels

    def shrunk(
        self,
        small: NDArray[np.float32],
        by: int,  # noqa: ARG002 - what it would need
    ) -> NDArray[np.float32]:
        """Return the shrunk frame itself."""
        return small

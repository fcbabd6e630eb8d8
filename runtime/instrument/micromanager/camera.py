"""A camera driven by Micro-Manager."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from runtime.errors import CameraFailed, HardwareFailed
from runtime.instrument.micromanager.core import ANSWER_S, Core
from runtime.ports import ANY_EXPOSURE_MS, CameraFrame, CameraInfo

T = TypeVar("T")

DTYPES: dict[int, np.dtype[Any]] = {1: np.dtype(np.uint8), 2: np.dtype(np.uint16)}
# Cameras round the exposure to their line time; beyond this it is another exposure.
EXPOSURE_TOLERANCE = 0.05
EXPOSURE_GRAIN_MS = 0.1


class MicroManagerCamera:
    """A `Camera` on the configuration's camera, in the region and binning it is set to."""

    def __init__(self, core: Core, *, timeout_s: float = ANSWER_S) -> None:
        """Read what the camera is. `timeout_s` is how long a frame may take beyond its exposure.

        Raises CameraFailed when the configuration has no camera, or one of other than 8-bit or
        16-bit grey.
        """
        self._core, self._timeout_s = core, timeout_s
        self._exposure_ms: float | None = None
        self._closed = False
        self._label: str = self._ask("camera", core.mm.getCameraDevice)
        if not self._label:
            raise CameraFailed(
                "the Micro-Manager configuration has no camera",
                remedy="give it one: 'Property,Core,Camera,<label>'",
            )
        self._dtype = self._pixel_type()
        self._info = self._describe()

    @property
    def info(self) -> CameraInfo:
        """Return what this camera is: the id holds device, region of interest and binning."""
        return self._info

    def capture(self, *, exposure_ms: float) -> CameraFrame:
        """Expose once, starting after this call, and return the frame.

        Raises CameraFailed when closed, when the exposure is not taken, when no frame comes within
        the exposure and the time-out, or when it is not what `info` promises.
        """
        if self._closed:
            raise CameraFailed(f"camera {self._label} is closed", remedy="open it again")
        if not exposure_ms > 0:
            raise CameraFailed("exposure out of range", value=f"{exposure_ms} ms", limit="above 0")
        self._set_exposure(exposure_ms)
        pixels = self._ask("frame", self._snap, timeout_s=exposure_ms / 1000 + self._timeout_s)
        self._refuse_unlike(pixels)
        pixels.setflags(write=False)
        return CameraFrame(pixels=pixels, at=self._core.instant())

    def close(self) -> None:
        """Take no more frames; the device is released when its core is closed."""
        self._closed = True

    def _snap(self) -> NDArray[Any]:
        self._core.mm.snapImage()
        return np.ascontiguousarray(self._core.mm.getImage())

    def _set_exposure(self, exposure_ms: float) -> None:
        if exposure_ms == self._exposure_ms:
            return
        self._exposure_ms = None
        self._ask("exposure", partial(self._core.mm.setExposure, self._label, exposure_ms))
        taken_ms = self._ask("exposure", partial(self._core.mm.getExposure, self._label))
        allowed_ms = max(EXPOSURE_TOLERANCE * exposure_ms, EXPOSURE_GRAIN_MS)
        if abs(taken_ms - exposure_ms) > allowed_ms:
            raise CameraFailed(
                f"camera {self._label} does not take this exposure",
                value=f"{exposure_ms:g} ms",
                limit=f"it set {taken_ms:g} ms",
                remedy="choose an exposure within the camera's range",
            )
        self._exposure_ms = exposure_ms

    def _pixel_type(self) -> np.dtype[Any]:
        mm = self._core.mm
        depth = self._ask("pixels", lambda: (mm.getBytesPerPixel(), mm.getNumberOfComponents()))
        if depth[1] != 1 or depth[0] not in DTYPES:
            raise CameraFailed(
                f"camera {self._label} gives no grey images we know",
                value=f"{depth[0]} bytes a pixel, {depth[1]} components",
                limit="8-bit or 16-bit grey",
                remedy="set its PixelType in the Micro-Manager configuration",
            )
        return DTYPES[depth[0]]

    def _describe(self) -> CameraInfo:
        mm, label = self._core.mm, self._label
        x_px, y_px, width_px, height_px = self._ask("region", partial(mm.getROI, label))
        binning = self._ask("binning", lambda: mm.getProperty(label, "Binning"))
        depth = int(self._ask("bit depth", mm.getImageBitDepth))
        simulated = self._core.is_simulated(label)
        mark = "-SIMULATED" if simulated else ""
        return CameraInfo(
            camera_id=f"micromanager-{self._core.identity(label)}{mark}@{x_px},{y_px}/bin{binning}",
            width_px=width_px,
            height_px=height_px,
            full_scale=2**depth - 1,
            exposure_ms=self._ask("exposure limits", self._exposures),
            simulated=simulated,
        )

    def _exposures(self) -> tuple[float, float]:
        """Return the shortest and longest exposure, where the device states any."""
        mm, label, exposure = self._core.mm, self._label, "Exposure"
        if not (mm.hasProperty(label, exposure) and mm.hasPropertyLimits(label, exposure)):
            return ANY_EXPOSURE_MS
        low_ms, high_ms = ANY_EXPOSURE_MS
        lowest_ms = mm.getPropertyLowerLimit(label, exposure)
        return max(low_ms, lowest_ms), min(high_ms, mm.getPropertyUpperLimit(label, exposure))

    def _refuse_unlike(self, pixels: NDArray[Any]) -> None:
        promised = (self._info.height_px, self._info.width_px)
        if pixels.shape != promised or pixels.dtype != self._dtype:
            raise CameraFailed(
                f"camera {self._label} changed its frames",
                value=f"{pixels.dtype} {pixels.shape}",
                limit=f"{self._dtype} {promised}",
                remedy="let no other program set its format",
            )

    def _ask(self, what: str, work: Callable[[], T], *, timeout_s: float = ANSWER_S) -> T:
        try:
            return self._core.ask(f"camera, {what}", work, timeout_s=timeout_s)
        except HardwareFailed as error:
            raise CameraFailed(
                error.what, value=error.value, limit=error.limit, remedy=error.remedy
            ) from error

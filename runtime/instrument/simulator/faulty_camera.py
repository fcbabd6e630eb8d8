"""A simulated camera that goes wrong: its frames are spoilt, late, or do not come."""

from __future__ import annotations

from collections import deque
from dataclasses import replace

import numpy as np

from runtime.errors import CameraFailed
from runtime.instrument.simulator.faults import WorldFaults
from runtime.instrument.simulator.sensor import FULL_SCALE, GAIN_DN_PER_E, OFFSET_DN, READ_NOISE_E
from runtime.ports import Camera, CameraFrame, CameraInfo, Clock
from runtime.tile import Pixels

REMEMBERED = 16
BEFORE_S = 0.25


class FaultyCamera:
    """A `Camera` in front of a good one; `faults` counts its frames."""

    def __init__(self, camera: Camera, faults: WorldFaults, *, clock: Clock) -> None:
        self._camera, self._faults, self._clock = camera, faults, clock
        self._good: deque[Pixels] = deque(maxlen=REMEMBERED + 1)
        self._given: Pixels | None = None

    @property
    def info(self) -> CameraInfo:
        """Return what the good camera is."""
        return self._camera.info

    def capture(self, *, exposure_ms: float) -> CameraFrame:
        """Return a frame as the faults of this moment leave it; CameraFailed from a dead camera."""
        self._faults.next_frame()
        if slow := self._faults.now("slow"):
            self._clock.sleep(duration_s=slow.delay_s)
        frame = self._camera.capture(exposure_ms=exposure_ms)
        if self._faults.now("dead"):
            raise CameraFailed("the simulated camera gives no frame", remedy="replug it")
        self._good.append(frame.pixels)
        pixels = self._spoilt(frame.pixels)
        pixels.setflags(write=False)
        self._given = pixels
        at = frame.at
        if self._faults.now("dated-before"):
            at = replace(at, monotonic_s=at.monotonic_s - exposure_ms / 1000 - BEFORE_S)
        return replace(frame, pixels=pixels, at=at)

    def close(self) -> None:
        """Release the good camera."""
        self._camera.close()

    def _spoilt(self, pixels: Pixels) -> Pixels:
        faults, before = self._faults, pixels if self._given is None else self._given
        if faults.now("black"):
            rng = np.random.default_rng(faults.frames)
            noise = rng.normal(OFFSET_DN, GAIN_DN_PER_E * READ_NOISE_E, pixels.shape)
            return np.rint(noise).astype(np.uint16)
        if faults.now("white"):
            return np.full_like(pixels, FULL_SCALE)
        if faults.now("frozen"):
            return before.copy()
        if faults.now("torn"):
            middle = pixels.shape[0] // 2
            torn = pixels.copy()
            torn[middle:] = before[middle:]
            return torn
        if late := faults.now("late"):
            return self._good[max(len(self._good) - 1 - late.frames_late, 0)].copy()
        return pixels

"""A live camera through OpenCV's VideoCapture (V4L2), or a video file standing in for one."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from runtime.errors import CameraFailed
from runtime.instrument.camera.capture import (
    Capture,
    as_grey,
    is_device,
    open_capture,
    refuse_absent,
)
from runtime.patience import leave_behind
from runtime.ports import ANY_EXPOSURE_MS, CameraFrame, CameraInfo, Clock
from runtime.tile import Pixels

T = TypeVar("T")

# Seconds without a frame after which a camera counts as stalled; several slow exposures long.
STALLED_S = 5.0
POLL_S = 0.005
# V4L2's unit of exposure time is 100 µs; UVC calls manual exposure "1".
V4L2_EXPOSURE_PER_MS = 10.0
V4L2_EXPOSURES_MS = (1 / V4L2_EXPOSURE_PER_MS, ANY_EXPOSURE_MS[1])
V4L2_MANUAL = 1
# Besides the driver's buffers, one frame may be half exposed when capture is called.
HALF_EXPOSED = 1
# What lay in a queue comes at once, what is exposed has to be waited for: so a driver is found out
# that says it keeps one frame and keeps four. More than this nobody keeps.
WAITED_S = 0.001
LONGEST_QUEUE = 64
GREY_16 = cv2.VideoWriter.fourcc("Y", "1", "6", " ")


class OpenCvCamera:
    """A `Camera` on a V4L2 device.

    One thread owns the capture, because a stalled driver blocks for longer than the board's
    watchdog allows; the control loop waits for it through its own clock.
    """

    def __init__(
        self,
        source: str,
        *,
        clock: Clock,
        timeout_s: float = STALLED_S,
        opener: Callable[[str], Capture] = open_capture,
    ) -> None:
        """Open the device and take one frame to learn its size.

        Raises CameraFailed, saying what to do, when it is absent, not ours to open, busy, or
        gives no frame.
        """
        self._source, self._clock, self._timeout_s = source, clock, timeout_s
        self._owner = ThreadPoolExecutor(max_workers=1, thread_name_prefix="camera")
        self._thread = self._owner.submit(threading.current_thread).result()
        self._exposure_ms: float | None = None
        self._closed = False
        refuse_absent(source)
        try:
            self._capture = self._wait_for(partial(opener, source))
            self._stale_frames = self._wait_for(self._configure)
            first = as_grey(self._wait_for(partial(self._grab, 0)))
        except CameraFailed:
            self._owner.shutdown(wait=False)
            raise
        self._info = CameraInfo(
            camera_id=f"v4l2-{source}" if is_device(source) else f"video-{Path(source).name}",
            width_px=first.shape[1],
            height_px=first.shape[0],
            full_scale=int(np.iinfo(first.dtype).max),
            exposure_ms=V4L2_EXPOSURES_MS if is_device(source) else ANY_EXPOSURE_MS,
        )
        self._dtype = first.dtype

    @property
    def info(self) -> CameraInfo:
        """Return what this camera is, with the size of its first frame."""
        return self._info

    def capture(self, *, exposure_ms: float) -> CameraFrame:
        """Return the first frame whose exposure began after this call.

        A video file ignores the exposure. Raises CameraFailed when closed, stalled, ended, when
        the device does not take the exposure, or when a frame comes in another size.
        """
        if self._closed:
            raise CameraFailed(f"camera {self._source} is closed", remedy="open it again")
        if exposure_ms <= 0:
            raise CameraFailed("exposure out of range", value=f"{exposure_ms} ms", limit="above 0")
        self._set_exposure(exposure_ms)
        slack_s = (self._stale_frames + 1) * exposure_ms / 1000
        grab = self._grab_waited if is_device(self._source) else self._grab
        raw = self._wait_for(partial(grab, self._stale_frames), slack_s=slack_s)
        pixels = as_grey(raw)
        self._refuse_unlike(pixels)
        pixels.setflags(write=False)
        return CameraFrame(pixels=pixels, at=self._clock.instant())

    def close(self) -> None:
        """Release the device; a driver that hangs is left to its thread."""
        if not self._closed:
            self._closed = True
            self._owner.submit(self._capture.release)
            self._owner.shutdown(wait=False)

    def _configure(self) -> int:
        """Set up the capture; return how many frames may be older than a call."""
        if not self._capture.isOpened():
            raise CameraFailed(
                f"camera {self._source} does not open",
                remedy="close other programs that use it, or replug it; `nightscope doctor` looks",
            )
        if not is_device(self._source):
            return HALF_EXPOSED
        self._capture.set(cv2.CAP_PROP_FOURCC, GREY_16)
        if int(self._capture.get(cv2.CAP_PROP_FOURCC)) == GREY_16:
            self._capture.set(cv2.CAP_PROP_CONVERT_RGB, 0)
        self._capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        return max(int(self._capture.get(cv2.CAP_PROP_BUFFERSIZE)), 1) + HALF_EXPOSED

    def _set_exposure(self, exposure_ms: float) -> None:
        if exposure_ms == self._exposure_ms or not is_device(self._source):
            return
        self._wait_for(partial(self._capture.set, cv2.CAP_PROP_AUTO_EXPOSURE, V4L2_MANUAL))
        wanted = exposure_ms * V4L2_EXPOSURE_PER_MS
        if not self._wait_for(partial(self._capture.set, cv2.CAP_PROP_EXPOSURE, wanted)):
            raise CameraFailed(
                f"camera {self._source} does not take an exposure time",
                value=f"{exposure_ms} ms",
                remedy="see `v4l2-ctl --list-ctrls` for what it takes",
            )
        self._exposure_ms = exposure_ms

    def _grab(self, stale_frames: int) -> NDArray[Any]:
        for _ in range(stale_frames + 1):
            if not self._capture.grab():
                raise self._ended()
        return self._retrieved()

    def _grab_waited(self, stale_frames: int) -> NDArray[Any]:
        """Return the first frame that was exposed from its beginning since the call: besides those
        that a driver says it keeps, all that come without waiting, and the one after, which was
        half exposed, are let go.
        """
        waited = 0
        for number in range(LONGEST_QUEUE):
            began_s = self._clock.now_s()
            if not self._capture.grab():
                raise self._ended()
            lasted_s = self._clock.now_s() - began_s
            waited = waited + 1 if lasted_s >= WAITED_S else 0
            if number >= stale_frames and waited > HALF_EXPOSED:
                return self._retrieved()
        raise CameraFailed(
            f"camera {self._source} gives frames faster than it can expose them",
            value=f"{LONGEST_QUEUE} without waiting",
            remedy="its frames may be older than the call: use another driver or format",
        )

    def _retrieved(self) -> NDArray[Any]:
        good, raw = self._capture.retrieve()
        if not good or raw is None:
            raise self._ended()
        return raw

    def _ended(self) -> CameraFailed:
        return CameraFailed(
            f"camera {self._source} gives no more frames",
            remedy="check its cable and its power, then resume the run",
        )

    def _wait_for(self, work: Callable[[], T], *, slack_s: float = 0.0) -> T:
        """Return what the camera's thread makes of `work`, waiting through the clock."""
        future: Future[T] = self._owner.submit(work)
        limit_s = self._timeout_s + slack_s
        deadline_s = self._clock.now_s() + limit_s
        while not future.done():
            if self._clock.now_s() > deadline_s:
                leave_behind(self._thread)
                raise CameraFailed(
                    f"camera {self._source} stalled",
                    value="no frame",
                    limit=f"{limit_s:.1f} s",
                    remedy="replug it, then resume the run",
                )
            self._clock.sleep(duration_s=POLL_S)
        try:
            return future.result()
        except cv2.error as error:
            raise CameraFailed(
                f"camera {self._source}: OpenCV: {error.err}", remedy="replug it, then resume"
            ) from error

    def _refuse_unlike(self, pixels: Pixels) -> None:
        promised = (self._info.height_px, self._info.width_px)
        if pixels.shape != promised or pixels.dtype != self._dtype:
            raise CameraFailed(
                f"camera {self._source} changed its frames",
                value=f"{pixels.dtype} {pixels.shape}",
                limit=f"{self._dtype} {promised}",
                remedy="let no other program set its format",
            )

"""A camera that is watched: every frame it gives is compared with those it gave before.

No sensor gives the same noise twice. Rows that come again, bit for bit, were not read out for this
frame: all of them, and the camera is frozen or a frame late; some, and the frame is torn.
"""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from runtime.instant import Instant
from runtime.ports import Camera, CameraFrame, CameraInfo
from runtime.record.rows import Doubt
from runtime.tile import Pixels

# Every so many rows tell frames apart.
PRINT_ROWS = 16
# A driver's queue is four to eight frames deep; a frame older than this is not looked for.
REMEMBERED = 32
# Of the rows that can tell, so many may be those of a frame before; one is chance in eight bits.
ONE_ROW = 1
WHOLE = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Witness:
    """A `Camera` whose frames are watched; `instant` is the time that they are dated by.

    `doubts` says what is wrong with the last frame; of a recording, which gives the same file
    wherever focus is sought, nothing is.
    """

    camera: Camera
    instant: Callable[[], Instant]
    live: bool
    doubts: list[Doubt] = field(default_factory=list[Doubt])
    _prints: deque[NDArray[np.int64]] = field(
        default_factory=lambda: deque[NDArray[np.int64]](maxlen=REMEMBERED)
    )

    @property
    def info(self) -> CameraInfo:
        """Return what the camera is."""
        return self.camera.info

    def capture(self, *, exposure_ms: float) -> CameraFrame:
        """Return the camera's frame, and note in `doubts` what is wrong with it."""
        called = self.instant()
        frame = self.camera.capture(exposure_ms=exposure_ms)
        self.doubts.clear()
        if self.live:
            self.doubts.extend(self._of(frame, called))
        return frame

    def close(self) -> None:
        """Release the camera."""
        self.camera.close()

    def _of(self, frame: CameraFrame, called: Instant) -> list[Doubt]:
        since_s = frame.at.since_s(called)
        if since_s is not None and since_s < 0:
            said = f"the frame was read out {-since_s * 1000:.0f} ms before it was asked for"
            return [Doubt(kind="late", reason=said)]
        rows = prints(frame.pixels)
        found = repeated(rows, list(self._prints))
        self._prints.append(rows)
        return found


def prints(pixels: Pixels) -> NDArray[np.int64]:
    """Return a number for every 16th row; -1 for one that is the same all along, as where nothing
    but black or white is seen: it could come again.
    """
    rows = np.ascontiguousarray(pixels[::PRINT_ROWS])
    told = (rows != rows[:, :1]).any(axis=1)
    found = (zlib.crc32(row) if tells else -1 for row, tells in zip(rows, told, strict=True))
    return np.fromiter(found, np.int64, len(rows))


def repeated(rows: NDArray[np.int64], before: list[NDArray[np.int64]]) -> list[Doubt]:
    """Return what the prints of a frame say against it, beside those of frames before, the last of
    them last.
    """
    telling = int((rows >= 0).sum())
    for back, earlier in enumerate(reversed(before), 1):
        if earlier.shape != rows.shape:
            continue
        again = int(((rows == earlier) & (rows >= 0)).sum())
        if again <= ONE_ROW:
            continue
        if again >= WHOLE * telling:
            if back == 1:
                return [Doubt(kind="frozen", reason="the same frame again, bit for bit")]
            said = f"the frame of {back} exposures before, bit for bit"
            return [Doubt(kind="late", reason=said)]
        said = f"{again / telling:.0%} of it is the frame of {back} before, bit for bit"
        return [Doubt(kind="torn", reason=said)]
    return []

"""Images for the page: downscaled, in eight bits, embedded as data URIs."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from runtime.errors import InputRefused
from runtime.stitch.map.export import picture_of
from runtime.stitch.map.seen import DAMAGED
from runtime.tile import Pixels

# Enough for a full-width screen, small enough to mail.
MAP_WIDTH_PX = 1800
FRAME_WIDTH_PX = 560
FRAMES_PX = 64 * FRAME_WIDTH_PX
"""Width of all frames together: those of a night of many visits are shown smaller."""
LEAST_WIDTH_PX = 160
JPEG_QUALITY = 82


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddedPicture:
    """An embedded image; `width_px, height_px` are those of the file it was made from."""

    uri: str
    width_px: int
    height_px: int


def map_picture(path: Path) -> EmbeddedPicture | None:
    """Return the mosaic's picture, or None when the run has not made one yet."""
    if not path.is_file():
        return None
    # Decoded from its bytes: by a name that is no text OpenCV takes the process down.
    pixels = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_GRAYSCALE)
    return None if pixels is None else _picture(np.asarray(pixels, np.uint8), MAP_WIDTH_PX)


def mosaic_picture(mosaic: Path) -> tuple[EmbeddedPicture, dict[str, Any]] | None:
    """Return what is drawn so far of a map in its folder, and where it lies, as `write_png` does;
    None where nothing is, or it cannot be read.
    """
    try:
        shown, where = picture_of(mosaic, MAP_WIDTH_PX)
    except (InputRefused, *DAMAGED):
        return None  # the night that pauses tells the rest all the same
    return _picture(shown, MAP_WIDTH_PX), where


def frame_picture(read: Callable[[], Pixels], *, of: int) -> EmbeddedPicture | None:
    """Return the picture of one `of` so many frames, its contrast stretched; None when it cannot
    be read.
    """
    width_px = min(FRAME_WIDTH_PX, max(LEAST_WIDTH_PX, FRAMES_PX // of))
    try:
        return _picture(stretched(read()), width_px)
    except InputRefused:
        return None


def stretched(pixels: Pixels) -> NDArray[np.uint8]:
    """Return (y, x) pixels in 8 bits, black and white at the 0.2 and 99.8 percentiles."""
    black, white = np.percentile(pixels, [0.2, 99.8])
    scaled = (pixels.astype(np.float32) - black) * (255 / max(white - black, 1))
    eight_bit: NDArray[np.uint8] = np.clip(np.rint(scaled), 0, 255).astype(np.uint8)
    return eight_bit


def jpeg(pixels: NDArray[np.uint8], *, width_px: int) -> bytes:
    """Return (y, x) pixels as JPEG, no wider than `width_px`."""
    height, width = pixels.shape
    shrink = min(1.0, width_px / width)
    if shrink < 1:
        size = (width_px, max(1, round(height * shrink)))
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
    _, encoded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return encoded.tobytes()


def _picture(pixels: NDArray[np.uint8], width_px: int) -> EmbeddedPicture:
    height, width = pixels.shape
    text = base64.b64encode(jpeg(pixels, width_px=width_px)).decode("ascii")
    return EmbeddedPicture(uri=f"data:image/jpeg;base64,{text}", width_px=width, height_px=height)

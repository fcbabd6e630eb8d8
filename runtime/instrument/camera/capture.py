"""OpenCV's side of a live camera: finding it, opening it, and the frames it gives."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from runtime.errors import CameraFailed
from runtime.tile import Pixels


class Capture(Protocol):
    """What is used of `cv2.VideoCapture`; tests put a stalling one in its place."""

    def isOpened(self) -> bool:  # noqa: N802 - OpenCV's own name
        """Return whether the device could be opened."""

    def grab(self) -> bool:
        """Take the next frame off the driver; False when there is none."""

    def retrieve(self) -> tuple[bool, NDArray[Any] | None]:
        """Return whether the frame grabbed last decodes, and its pixels."""

    def get(self, prop: int, /) -> float:
        """Return a property, 0 where the device has none."""

    def set(self, prop: int, value: float, /) -> bool:
        """Set a property; False where the device refuses."""

    def release(self) -> None:
        """Give the device back."""


def open_capture(source: str) -> Capture:
    """Return OpenCV's capture of a V4L2 index, a /dev path or a video file."""
    if is_device(source):
        return cv2.VideoCapture(device_path(source), cv2.CAP_V4L2)
    return cv2.VideoCapture(source)


def is_device(source: str) -> bool:
    """Return whether the source is a camera rather than a file."""
    return source.isdigit() or source.startswith("/dev/")


def device_path(source: str) -> str:
    """Return the path of a V4L2 index, or the path itself."""
    return f"/dev/video{source}" if source.isdigit() else source


def refuse_absent(source: str) -> None:
    """Raise CameraFailed when the device or file is not there, or not ours to read."""
    path = Path(device_path(source) if is_device(source) else source)
    if not path.exists():
        there = ", ".join(sorted(str(p) for p in Path("/dev").glob("video*"))) or "none"
        raise CameraFailed(
            f"camera {path} is absent",
            value=f"cameras here: {there}",
            remedy="plug it in, or mend [camera] device",
        )
    if not os.access(path, os.R_OK):
        raise CameraFailed(
            f"camera {path} may not be read by this user",
            remedy="add the user to the group 'video'",
        )


def as_grey(raw: NDArray[Any]) -> Pixels:
    """Return a raw frame as (y, x) uint8 or uint16; colour is reduced to luminance.

    Raises CameraFailed for a type of pixel that is neither.
    """
    if raw.ndim == 3 and raw.shape[2] == 3:
        raw = cv2.cvtColor(raw, cv2.COLOR_BGR2GRAY)
    if raw.ndim == 3 and raw.shape[2] == 1:
        raw = raw[..., 0]
    if raw.ndim != 2 or raw.dtype not in (np.uint8, np.uint16):
        raise CameraFailed(
            "the camera's frames are no images we know",
            value=f"{raw.dtype} {raw.shape}",
            limit="8-bit or 16-bit grey, or 8-bit colour",
            remedy="set its format with `v4l2-ctl --set-fmt-video`",
        )
    return np.ascontiguousarray(raw)

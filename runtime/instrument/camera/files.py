"""One recorded image file to grey pixels: TIFF, PNG, MRC and what else OpenCV reads."""

from __future__ import annotations

import struct
import warnings
import zlib
from pathlib import Path
from typing import Any

import cv2
import mrcfile
import numpy as np
import tifffile
from numpy.typing import NDArray

from runtime.errors import InputRefused
from runtime.tile import Pixels

TIFF_SUFFIXES = (".tif", ".tiff")
MRC_SUFFIXES = (".mrc", ".mrcs")
OTHER_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp")
IMAGE_SUFFIXES = TIFF_SUFFIXES + MRC_SUFFIXES + OTHER_SUFFIXES

# How whole files end: some decoders fill the rest of a cut one with grey and say nothing.
ENDINGS = {".png": b"IEND\xaeB`\x82", ".jpg": b"\xff\xd9", ".jpeg": b"\xff\xd9"}
ENDING_WITHIN = 64

# What tifffile and mrcfile are known to raise on files cut short or overwritten (found by fuzzing).
DAMAGED = (
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    MemoryError,
    RuntimeError,
    struct.error,
    zlib.error,
)
# A header that promises more is damaged: it is four times the largest camera's frame.
LARGEST_PX = 2**30
COPY_AGAIN = "copy the file again from its source"


def read_image(path: Path) -> Pixels:
    """Return a grey image, (y, x), uint8 or uint16 as stored, C-contiguous.

    Whole-numbered values of other types that fit 16 bits are converted exactly; a colour file
    whose channels agree is grey. Raises InputRefused, naming the file, for one that is missing,
    damaged, truncated, in colour, holds several pages, NaN, negative or fractional values.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputRefused(f"{path}: {error.strerror}", remedy="name a readable image") from None
    suffix = path.suffix.lower()
    if suffix not in IMAGE_SUFFIXES:
        raise InputRefused(f"{path}: unknown kind of image", limit=", ".join(IMAGE_SUFFIXES))
    if suffix in TIFF_SUFFIXES:
        stored = _read_tiff(path, content)
    elif suffix in MRC_SUFFIXES:
        stored = _read_mrc(path)
    else:
        stored = _decode(path, content)
    return _as_pixels(_grey(stored, path), path)


def says_simulated(path: Path) -> bool:
    """Return whether a file says that a simulated microscope took it; only TIFF files can.

    Raises InputRefused, naming the file, for a damaged one.
    """
    if path.suffix.lower() not in TIFF_SUFFIXES:
        return False
    try:
        with tifffile.TiffFile(path) as file:
            return "SIMULATED" in file.pages.first.description
    except DAMAGED as error:
        raise _damaged(path, error) from None


def _read_tiff(path: Path, content: bytes) -> NDArray[Any]:
    try:
        with tifffile.TiffFile(path) as file:
            pages = len(file.pages)
            if pages and file.pages.first.size > LARGEST_PX:
                raise ValueError(f"its header promises {file.pages.first.size} pixels")
            # tifffile reads LZW only with an extra package; OpenCV reads it by itself.
            lzw = bool(pages) and file.pages.first.compression == tifffile.COMPRESSION.LZW
            stored = None if pages != 1 or lzw else file.asarray()
    except DAMAGED as error:
        raise _damaged(path, error) from None
    if pages == 0:
        raise _damaged(path, "it holds no whole image")
    if pages > 1:
        raise InputRefused(
            f"{path}: holds several images", value=pages, limit=1, remedy="save one page a file"
        )
    return _decode(path, content) if stored is None else stored


def _read_mrc(path: Path) -> NDArray[Any]:
    try:
        # A size that contradicts the header is only a warning there.
        with warnings.catch_warnings(action="error"), mrcfile.open(path, mode="r") as file:
            stored = np.array(file.data)
    except (*DAMAGED, RuntimeWarning) as error:
        raise _damaged(path, error) from None
    # A section of one is how many programs write a single image.
    return stored[0] if stored.ndim == 3 and len(stored) == 1 else stored


def _decode(path: Path, content: bytes) -> NDArray[Any]:
    ending = ENDINGS.get(path.suffix.lower())
    if ending is not None and ending not in content[-ENDING_WITHIN:]:
        raise _damaged(path, "it ends too early")
    if not content:
        raise _damaged(path, "it is empty")
    stored = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    if stored is None:
        raise _damaged(path, "it does not decode")
    return np.asarray(stored)


def _damaged(path: Path, why: object) -> InputRefused:
    line = " ".join(str(why).split())
    return InputRefused(f"{path}: unreadable or truncated: {line}", remedy=COPY_AGAIN)


def _grey(stored: NDArray[Any], path: Path) -> NDArray[Any]:
    if stored.ndim == 2 and stored.size:
        return stored
    if stored.ndim == 3 and stored.shape[2] == 3:
        first = stored[..., 0]
        if all(np.array_equal(first, stored[..., channel]) for channel in (1, 2)):
            return first
        raise InputRefused(
            f"{path}: is a colour image", value=stored.shape, remedy="save one channel as grey"
        )
    raise InputRefused(
        f"{path}: is not one grey image", value=stored.shape, limit="(height, width)"
    )


def _as_pixels(grey: NDArray[Any], path: Path) -> Pixels:
    if grey.dtype in (np.uint8, np.uint16):
        native = grey.astype(grey.dtype.newbyteorder("="), copy=False)
        return np.ascontiguousarray(native)
    if grey.dtype.kind not in "iuf":
        raise InputRefused(f"{path}: pixels of type {grey.dtype}", limit="8 or 16-bit grey")
    if not np.isfinite(grey).all():
        raise InputRefused(f"{path}: holds NaN or infinite pixels", remedy=COPY_AGAIN)
    low, high = grey.min(), grey.max()
    if low < 0 or high > 65535 or (grey.dtype.kind == "f" and (grey != np.rint(grey)).any()):
        raise InputRefused(
            f"{path}: {grey.dtype} pixels that 16 bits cannot hold exactly",
            value=f"{low:g} to {high:g}",
            limit="whole numbers 0 to 65535",
            remedy="save it as 16-bit grey, all files with one scale",
        )
    return np.ascontiguousarray(grey, dtype=np.uint16)

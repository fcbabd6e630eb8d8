"""One recorded image file to grey pixels: TIFF, PNG, MRC and what else OpenCV reads."""

from __future__ import annotations

import struct
import warnings
import zlib
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Self

import cv2
import numpy as np
import tifffile
from mrcfile.mrcinterpreter import MrcInterpreter
from numpy.typing import NDArray

from runtime.errors import InputRefused
from runtime.tile import Pixels

TIFF_SUFFIXES = (".tif", ".tiff")
MRC_SUFFIXES = (".mrc", ".mrcs")
OTHER_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp")
IMAGE_SUFFIXES = TIFF_SUFFIXES + MRC_SUFFIXES + OTHER_SUFFIXES

# How whole files end: some decoders fill the rest of a cut one with grey and say nothing.
JPEG_END = b"\xff\xd9"
ENDINGS = {".png": b"IEND\xaeB`\x82", ".jpg": JPEG_END, ".jpeg": JPEG_END}
ENDING_WITHIN = 64
JPEG_BLOCK_PX, JPEG_FILLING = 8, 128
# Any data do in which no marker (255) occurs; the bits of these differ enough to be coefficients.
JPEG_MORE = bytes(range(1, 255))

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
# TIFF's eight orientations: step along rows and columns, after swapping the two or not.
ORIENTATIONS = {
    2: (1, -1, False), 3: (-1, -1, False), 4: (-1, 1, False),
    5: (1, 1, True), 6: (1, -1, True), 7: (-1, -1, True), 8: (-1, 1, True),
}  # fmt: skip
MRC_HEADER = 1024
MRC_BYTES = {0: 1, 1: 2, 2: 4, 6: 2, 12: 2}
IMOD_STAMP = 1146047817
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
        stored = _read_mrc(path, content)
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
    """Return the pixels of a file's only page, upright, black at 0.

    The page is read by itself: one file of an OME-TIFF set would else stand for all of them.
    """
    kept: _Kept | None = None
    try:
        with tifffile.TiffFile(path) as file:
            pages = len(file.pages)
            page: Any = file.pages.first if pages else None
            if page is not None and page.size > LARGEST_PX:
                raise ValueError(f"its header promises {page.size} pixels")
            kept = None if page is None else _Kept.of(page)
            # tifffile reads LZW only with an extra package; OpenCV reads it by itself.
            alone = page is not None and pages == 1
            stored = page.asarray() if alone and kept is not None and not kept.lzw else None
    except ImportError:
        raise _unread_coding(path, kept) from None
    except DAMAGED as error:
        if "imagecodecs" in str(error):
            raise _unread_coding(path, kept) from None
        raise _damaged(path, error) from None
    if pages > 1:
        raise InputRefused(
            f"{path}: holds several images", value=pages, limit=1, remedy="save one page a file"
        )
    if kept is None:
        raise _damaged(path, "it holds no whole image")
    if kept.palette:
        raise InputRefused(f"{path}: is a colour image by its palette", remedy="save it as grey")
    return _decode(path, content) if stored is None else kept.upright(stored)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """How a TIFF page keeps its pixels: what OpenCV undoes by itself and tifffile leaves."""

    coding: str
    bits: int
    lzw: bool
    palette: bool
    white_is_0: bool
    orientation: int

    @classmethod
    def of(cls, page: Any) -> Self:
        told = page.tags.get("Orientation")
        return cls(
            coding=getattr(page.compression, "name", str(page.compression)),
            bits=page.bitspersample,
            lzw=page.compression == tifffile.COMPRESSION.LZW,
            palette=page.photometric == tifffile.PHOTOMETRIC.PALETTE,
            white_is_0=page.photometric == tifffile.PHOTOMETRIC.MINISWHITE,
            orientation=1 if told is None else told.value,
        )

    def upright(self, stored: NDArray[Any]) -> NDArray[Any]:
        """Return the pixels as they are to be seen; `_grey` refuses what is no picture at all."""
        if stored.ndim < 2:
            return stored
        if self.white_is_0 and stored.dtype.kind == "u":
            stored = np.iinfo(stored.dtype).max - stored
        rows, columns, swapped = ORIENTATIONS.get(self.orientation, (1, 1, False))
        turned = stored.swapaxes(0, 1) if swapped else stored
        return turned[::rows, ::columns]


def _unread_coding(path: Path, kept: _Kept | None) -> InputRefused:
    return InputRefused(
        f"{path}: its pixels are coded in a way that is not read here",
        value="unknown" if kept is None else f"{kept.coding}, {kept.bits} bits a pixel",
        limit="uncompressed, LZW, ZLIB; 8 or 16 bits",
        remedy="save it again so",
    )


def _read_mrc(path: Path, content: bytes) -> NDArray[Any]:
    header, signed = bytearray(content[:MRC_HEADER]), True
    if len(header) == MRC_HEADER:
        # SerialEM writes 44 00 for the 44 44 (or 44 41) that the format names: little-endian.
        if header[212:216] == b"\x44\x00\x00\x00":
            header[213] = 0x44
        # IMOD's own bytes are unsigned unless its flags say else, which the format cannot.
        stamp, flags = struct.unpack_from("<2i", header, 152)
        signed = stamp != IMOD_STAMP or bool(flags & 1)
    try:
        whole = bytes(header) + content[MRC_HEADER : _mrc_end(header)]
        # A size that contradicts the header is only a warning there.
        with warnings.catch_warnings(action="error"), MrcInterpreter(BytesIO(whole)) as file:
            stored = np.array(file.data)
    except (*DAMAGED, RuntimeWarning) as error:
        raise _damaged(path, error) from None
    if stored.dtype == np.int8 and not signed:
        stored = stored.view(np.uint8)
    # A section of one is how many programs write a single image.
    return stored[0] if stored.ndim == 3 and len(stored) == 1 else stored


def _mrc_end(header: bytearray) -> int | None:
    """Return where the pixels end: some programs write on after them. None where nobody knows."""
    if len(header) < MRC_HEADER:
        return None
    order = ">" if header[212:214] == b"\x11\x11" else "<"
    nx, ny, nz, mode = (int(word) for word in struct.unpack_from(f"{order}4i", header))
    extended = int(struct.unpack_from(f"{order}i", header, 92)[0])
    if mode not in MRC_BYTES or min(nx, ny, nz) <= 0 or extended < 0:
        return None
    return MRC_HEADER + extended + nx * ny * nz * MRC_BYTES[mode]


def _decode(path: Path, content: bytes) -> NDArray[Any]:
    ending = ENDINGS.get(path.suffix.lower())
    if ending is not None and ending not in content[-ENDING_WITHIN:]:
        raise _damaged(path, "it ends too early")
    if not content:
        raise _damaged(path, "it is empty")
    stored = _decoded(content)
    if stored is None:
        raise _damaged(path, "it does not decode")
    if ending == JPEG_END and _filled_up(content, stored):
        raise _damaged(path, "its data end too early")
    return stored


def _decoded(content: bytes) -> NDArray[Any] | None:
    stored = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    return None if stored is None else np.asarray(stored)


def _filled_up(content: bytes, stored: NDArray[Any]) -> bool:
    """Return whether a JPEG with an end marker was cut before it, and filled up by the decoder.

    Blocks that it has no data for become grey. So may honest ones; but whoever still waits for data
    takes more of them for pixels, and a whole file shows the same with anything after its last.
    """
    if not (stored[-JPEG_BLOCK_PX:, -JPEG_BLOCK_PX:] == JPEG_FILLING).all():
        return False
    at = content.rfind(JPEG_END)
    longer = _decoded(content[:at] + JPEG_MORE + content[at:])
    return longer is None or not np.array_equal(stored, longer)


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

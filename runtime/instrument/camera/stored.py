"""How a file keeps its pixels, and one rule from there to a grey picture, whatever its format."""

from __future__ import annotations

import lzma
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.errors import InputRefused

# What readers are known to raise on files cut short or overwritten (found by fuzzing).
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
    lzma.LZMAError,
)
# A header that promises more is damaged: it is four times the largest camera's frame.
LARGEST_PX = 2**30
FREE_BYTES, MOST_TIMES = 2**27, 64
"""A picture may always need 128 MB; more than that only if its file is at least a 64th of it.

Scans of real specimens shrink by a factor of two to ten; what shrinks by hundreds is blank, or was
made to fill a memory.
"""
MOST_FILE_BYTES = 2**30
"""Of a file of one picture: 16 bits of twice the largest camera's pixels."""

# The eight orientations of TIFF and EXIF: step along rows and columns, the two swapped or not.
ORIENTATIONS = {
    2: (1, -1, False), 3: (-1, -1, False), 4: (-1, 1, False),
    5: (1, 1, True), 6: (1, -1, True), 7: (-1, -1, True), 8: (-1, 1, True),
}  # fmt: skip
EXTRA = "install 'nightscope[formats]' to read it, or save it again as 8 or 16-bit grey TIFF"
"""What to do about a file that only the optional readers know."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stored:
    """Pixels as a file keeps them, (y, x) or (y, x, channel), and what it says of them.

    `bits` of each pixel are used, 0 for all of them; `palette` is (colours, 3) of 16 bits; with
    `alpha` the last channel says how opaque a pixel is; `orientation` is TIFF's and EXIF's.
    """

    values: NDArray[Any]
    bits: int = 0
    orientation: int = 1
    white_is_0: bool = False
    palette: NDArray[Any] | None = None
    alpha: bool = False

    def grey(self, path: Path) -> NDArray[Any]:
        """Return the picture as it is to be seen, (y, x): upright, black at 0, of any real type.

        Raises InputRefused, naming the file, for colour, for transparency and for what is no single
        picture.
        """
        values = self._opaque(path)
        if self.palette is not None:
            if values.dtype.kind != "u":
                raise damaged(path, f"a palette is looked up by numbers, not by {values.dtype}")
            values = _looked_up(values, self.palette)
        values = _one_channel(values, path)
        if self.palette is None:
            values = self._black_at_0(values, path)
        rows, columns, swapped = ORIENTATIONS.get(self.orientation, (1, 1, False))
        turned = values.swapaxes(0, 1) if swapped else values
        return turned[::rows, ::columns]

    def _opaque(self, path: Path) -> NDArray[Any]:
        """Return the pixels without an alpha channel that hides nothing."""
        if not self.alpha or self.values.ndim != 3:
            return self.values
        alpha, values = self.values[..., -1], self.values[..., :-1]
        if not (alpha == _largest(alpha.dtype, self.bits)).all():
            raise InputRefused(
                f"{path}: is partly transparent", remedy="save it without an alpha channel"
            )
        return values[..., 0] if values.shape[2] == 1 else values

    def _black_at_0(self, values: NDArray[Any], path: Path) -> NDArray[Any]:
        """Return the pixels with black at 0; fewer than eight bits are spread over eight."""
        if values.dtype == np.bool_:
            values = values.astype(np.uint8)
        if self.white_is_0:
            if values.dtype.kind != "u":
                raise InputRefused(
                    f"{path}: has white at 0 in pixels of type {values.dtype}",
                    remedy="save it with black at 0",
                )
            values = values.dtype.type(_largest(values.dtype, self.bits)) - values
        if 0 < self.bits < 8 and values.dtype == np.uint8:
            values = values * np.uint8(255 // (2**self.bits - 1))
        return values


def truncated(path: Path, why: object) -> InputRefused:
    """Return the refusal of a file that ends before what it holds."""
    return InputRefused(
        f"{path}: unreadable or truncated: {_line(why)}",
        remedy="copy the file again from its source",
    )


def damaged(path: Path, why: object) -> InputRefused:
    """Return the refusal of a file that is all there and contradicts itself."""
    return InputRefused(
        f"{path}: damaged: {_line(why)}",
        remedy="save it again with the program that took it, or leave it out",
    )


def refuse_bomb(path: Path, promised: int, size: int) -> None:
    """Refuse a file of `size` bytes that becomes `promised` bytes of pixels, out of proportion."""
    if promised > max(FREE_BYTES, MOST_TIMES * size):
        raise InputRefused(
            f"{path}: becomes far more than it holds",
            value=f"{promised} bytes of pixels from {size}",
            limit=f"{max(FREE_BYTES, MOST_TIMES * size)} bytes",
            remedy="save a picture that is so empty uncompressed, or leave it out",
        )


def several(path: Path, count: object, *, remedy: str = "save one picture a file") -> InputRefused:
    """Return the refusal of a file that holds more than one picture."""
    return InputRefused(f"{path}: holds several images", value=count, limit=1, remedy=remedy)


def _line(why: object) -> str:
    return " ".join(str(why).split())[:200]


def _largest(dtype: np.dtype[Any], bits: int) -> int:
    if dtype.kind not in "iu":
        return 1
    return int(np.iinfo(dtype).max) if bits in (0, 8 * dtype.itemsize) else 2**bits - 1


def _looked_up(values: NDArray[Any], palette: NDArray[Any]) -> NDArray[Any]:
    """Return the colours of a palette's numbers: of 8 bits where those say all, else of 16."""
    high = palette >> 8
    exact = (palette == high * 257).all() or (palette == high << 8).all()
    colours = high.astype(np.uint8) if exact else palette.astype(np.uint16)
    return np.asarray(colours[np.minimum(values, len(palette) - 1)])


def _one_channel(values: NDArray[Any], path: Path) -> NDArray[Any]:
    if values.ndim == 2 and values.size:
        return values
    if values.ndim == 3 and values.shape[2] == 3 and values.size:
        first = values[..., 0]
        if all(np.array_equal(first, values[..., channel]) for channel in (1, 2)):
            return first
        raise InputRefused(
            f"{path}: is a colour image", value=values.shape, remedy="save one channel as grey"
        )
    raise InputRefused(
        f"{path}: is not one grey image",
        value=values.shape,
        limit="(height, width)",
        remedy="save one channel of one plane as grey",
    )

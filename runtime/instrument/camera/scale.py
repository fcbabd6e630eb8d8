"""From the numbers of a file to pixels: as they are, or by one scale for a whole scan."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.errors import InputRefused
from runtime.instrument.camera.files import TIFF_BEGIN, WHITEST, exactly, is_whole, read_values
from runtime.instrument.camera.ome_frames import AS_NAMED, FrameChoice
from runtime.instrument.camera.tiff_file import frame_read
from runtime.plain_file import is_plain
from runtime.tile import Pixels

SAMPLED = 9
"""Files read to learn what kind of numbers most of a scan's files hold."""

SIGNED_16 = np.dtype(np.int16)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """A pixel is (value - `zero`) / `step`, rounded, for files of one `dtype`."""

    dtype: str
    zero: float
    step: float

    def pixels(self, values: NDArray[Any], path: Path) -> Pixels:
        """Return values as uint16. Raises InputRefused, naming the file, for those beyond."""
        if values.dtype.name != self.dtype:
            raise InputRefused(
                f"{path}: holds {values.dtype} pixels, and the scan's scale is one for {self.dtype}"
            )
        scaled = np.rint((values.astype(np.float64) - self.zero) / self.step)
        if scaled.min() < 0 or scaled.max() > WHITEST:
            raise InputRefused(
                f"{path}: pixels beyond the scan's scale",
                value=f"{values.min():g} to {values.max():g}",
                limit=f"{self.zero:g} to {self.zero + WHITEST * self.step:g}",
                remedy="stitch the folder anew, now that it is whole",
            )
        return np.ascontiguousarray(scaled, dtype=np.uint16)

    @property
    def words(self) -> str:
        """What was done to the pixels, as a sentence for a person."""
        if self.step == 1:
            return f"{self.dtype} pixels are shown from {self.zero:g} on: that is black"
        white = self.zero + WHITEST * self.step
        return f"{self.dtype} pixels are shown by one scale: {self.zero:g} is 0, {white:g} is 65535"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadAs:
    """How the files of a scan are read: which row they keep first, by which scale, and which frame
    of files that hold several; `frames` are those that a sample of the files came to, in words.
    """

    bottom_first: bool = False
    scale: Scale | None = None
    choice: FrameChoice = AS_NAMED
    frames: tuple[str, ...] = ()

    @property
    def words(self) -> tuple[str, ...]:
        """What was done to the pixels, as sentences for a person."""
        scaled = () if self.scale is None else (self.scale.words,)
        if not self.frames:
            return scaled
        by = f"{self.choice.words} was asked for" if self.choice else "as the files name it"
        more = "" if self.choice else "; --frame names another"
        return (*scaled, f"of several frames a file that of {', '.join(self.frames)}: {by}{more}")

    def values(self, path: Path, section: int | None = None) -> NDArray[Any]:
        """Return a file's numbers, its upper row first. Raises InputRefused as `read_values`."""
        values = read_values(path, section, choice=self.choice)
        return values[::-1] if self.bottom_first else values

    def read(self, path: Path, section: int | None = None) -> Pixels:
        """Return a file's pixels, (y, x), uint8 or uint16, C-contiguous.

        Without a scale, whole numbers of other types that fit 16 bits are converted exactly. Raises
        InputRefused, naming the file, for what cannot be read or does not fit.
        """
        values = self.values(path, section)
        return exactly(values, path) if self.scale is None else self.scale.pixels(values, path)


AS_STORED = ReadAs()


def scan_reading(
    files: Sequence[Path],
    sections: Sequence[int | None] = (),
    *,
    bottom_first: bool = False,
    choice: FrameChoice = AS_NAMED,
) -> ReadAs:
    """Return how to read files that belong together: with one scale, where 16 bits need it.

    Where most of a sample hold signed or fractional numbers, all files are read for their span.
    Files that cannot be read have no say. `sections` are those of the files, where they have any;
    `choice` is which frame is read of files that hold several.
    """
    pictures = list(zip(files, sections or [None] * len(files), strict=True))
    apart = max(len(files) // SAMPLED, 1)
    sample = pictures[::apart]
    frames = tuple(dict.fromkeys(f for file, _ in sample if (f := _frame_of(file, choice))))
    as_stored = ReadAs(bottom_first=bottom_first, choice=choice, frames=frames)
    types: Counter[np.dtype[Any]] = Counter()
    for file, section in sample:
        values = _readable(file, section, choice)
        if values is not None:
            types[values.dtype.newbyteorder("=")] += 1
    if not types:
        return as_stored
    usual = types.most_common(1)[0][0]
    if usual in (np.uint8, np.uint16):
        return as_stored
    every = (_readable(file, section, choice) for file, section in pictures)
    return replace(as_stored, scale=scale_of(every, usual))


def _frame_of(file: Path, choice: FrameChoice) -> str:
    """Return which frame of a file is read, of how many; nothing where it holds one picture."""
    if not is_plain(file):
        return ""  # opening a pipe would wait for whoever writes into it
    try:
        with file.open("rb") as begin:
            read = frame_read(file, choice) if begin.read(4) in TIFF_BEGIN else None
    except (OSError, InputRefused):
        return ""
    return "" if read is None else f"{read[0].words} (of {read[1]})"


def scale_of(pictures: Iterable[NDArray[Any] | None], dtype: np.dtype[Any]) -> Scale | None:
    """Return the scale of all pictures of a type; None where 16 bits hold them as they are. Those
    that are None could not be read.
    """
    lows, highs, whole = [], [], True
    for values in pictures:
        if values is None or values.dtype.newbyteorder("=") != dtype:
            continue
        lows.append(float(values.min()))
        highs.append(float(values.max()))
        whole &= is_whole(values)
    low, high = min(lows), max(highs)
    if whole and low >= 0 and high <= WHITEST:
        return None
    if dtype == SIGNED_16:
        # What a part of the scan would be shown by, too.
        low, step = float(np.iinfo(dtype).min), 1.0
    elif whole and high - low <= WHITEST:
        step = 1.0
    else:
        step = (high - low) / WHITEST or 1.0
    return Scale(dtype=dtype.name, zero=low, step=step)


def _readable(file: Path, section: int | None, choice: FrameChoice) -> NDArray[Any] | None:
    try:
        return read_values(file, section, choice=choice)
    except InputRefused:
        return None

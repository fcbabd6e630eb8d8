"""A recorded focus stack: its planes in their order, what is no part of it, and what is missing."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

from runtime.errors import InputRefused
from runtime.instrument.camera.scale import Scale
from runtime.report.ending import by_reason, listed
from runtime.tile import Pixels

FEWEST = 3
# A camera's depth in a file of more: the full scale is the lowest of these that nothing exceeds.
FULL_SCALES = tuple(2**bits - 1 for bits in (8, 10, 12, 14, 16))
NOTHING_SATURATES = 2**16
NAMED = 8
"""How many names a sentence gives before it only counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StackPlane:
    """One plane of a stack: `number` is the last one in its file's name, or its place in z from 0
    up; `z_um` is where its file says that it lies; `brightest` is its highest pixel.
    """

    number: Fraction
    name: str
    z_um: float | None = None
    brightest: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """The planes in the order of their numbers, and what is wrong with them, in words.

    `read` reads the pixels of one, by one `scale` where their numbers need it. `left_out` holds
    files that are not part of the stack, and why; `missing` the numbers that a gap skips;
    `unsorted` the files whose names do not sort as their numbers do. `z_told_by` is who says where
    the planes lie, and `doubt` what was not believed of that.
    """

    planes: tuple[StackPlane, ...]
    stride: Fraction
    read: Callable[[StackPlane], Pixels]
    scale: Scale | None
    left_out: dict[str, str]
    missing: tuple[Fraction, ...]
    unsorted: tuple[str, ...] = ()
    z_told_by: str = ""
    doubt: str = ""

    def depth(self, plane: StackPlane) -> int:
        """Return how many steps of z a plane lies above the first."""
        return int((plane.number - self.planes[0].number) / self.stride)

    def saturates_at(self, told: int | None) -> int:
        """Return the pixel at which the camera saturates, `told` in the files' numbers or not: the
        lowest depth that nothing exceeds. Of numbers shown by a scale nobody but a person knows.
        """
        scale = self.scale
        if told is not None:
            return told if scale is None else math.ceil((told - scale.zero) / scale.step)
        if scale is not None:
            return NOTHING_SATURATES
        brightest = max(plane.brightest for plane in self.planes)
        return next(top for top in FULL_SCALES if top >= brightest)

    @property
    def words(self) -> list[str]:
        """Return what a person should know before believing the curve."""
        said = [f"left out: {by_reason(self.left_out, NAMED)}"] if self.left_out else []
        if self.missing:
            numbers = [f"{shown(number)}" for number in self.missing]
            said.append(f"missing: {listed(numbers[:NAMED], len(numbers))}")
        if self.unsorted:
            names = listed(self.unsorted[:NAMED], len(self.unsorted))
            said.append(f"sorted by number, which is not the order of the names: {names}")
        return [*said, self.doubt] if self.doubt else said


def shown(number: Fraction) -> int | float:
    """Return a plane's number as JSON and a table have it."""
    return int(number) if number.denominator == 1 else float(number)


def sound_stack(
    source: Path,
    planes: Sequence[StackPlane],
    read: Callable[[StackPlane], Pixels],
    *,
    scale: Scale | None,
    left_out: dict[str, str],
    remedy: str,
    z_told_by: str = "",
    doubt: str = "",
) -> Stack:
    """Return the stack of the planes that can be read and belong together, in the order given.

    Raises InputRefused for fewer than three; `remedy` says what to do about that.
    """
    sound = _readable(source, planes, read, left_out)
    if len(sound) < FEWEST:
        why = by_reason(left_out, NAMED)
        raise InputRefused(
            f"{source} holds no focus stack" + (f": {why}" if why else ""),
            value=f"{len(sound)} planes",
            limit=f"at least {FEWEST}",
            remedy=remedy,
        )
    found, names = [plane.number for plane in sound], [plane.name for plane in sound]
    stride = _stride(found)
    # No alphabet sorts what is below zero by its number; the pages of a file have no names.
    by_name = source.is_dir() and found[0] >= 0
    return Stack(
        planes=tuple(sound),
        stride=stride,
        read=read,
        scale=scale,
        left_out=left_out,
        missing=tuple(_skipped(found, stride)),
        unsorted=tuple(a for a, b in zip(names, sorted(names), strict=True) if by_name and a != b),
        z_told_by=z_told_by,
        doubt=doubt,
    )


def read_planes(stack: Stack) -> Iterator[Pixels]:
    """Yield the pixels of every plane in order, one at a time in memory."""
    return (stack.read(plane) for plane in stack.planes)


def _readable(
    source: Path,
    planes: Sequence[StackPlane],
    read: Callable[[StackPlane], Pixels],
    left_out: dict[str, str],
) -> list[StackPlane]:
    """Return the planes that can be read, are of the commonest size and depth, and are no copies of
    another.
    """
    kinds, sound = {}, []
    pictures: dict[bytes, str] = {}
    for plane in planes:
        name = plane.name
        try:
            pixels = read(plane)
        except InputRefused as error:
            left_out[name] = str(error).removeprefix(f"{source / name}: ")
            continue
        first = pictures.setdefault(hashlib.sha256(pixels.data).digest(), name)
        # A picture of one value may come again; noise never does.
        if first != name and pixels.min() != pixels.max():
            left_out[name] = f"is the picture of {first} again: stage or camera stood still"
            continue
        height, width = pixels.shape
        kinds[name] = f"{width} x {height} pixels of {8 * pixels.itemsize} bits"
        sound.append(replace(plane, brightest=int(pixels.max())))
    if not kinds:
        return []
    common = Counter(kinds.values()).most_common(1)[0][0]
    for name, kind in kinds.items():
        if kind != common:
            left_out[name] = f"{kind}, most have {common}"
    return [plane for plane in sound if kinds[plane.name] == common]


def _stride(numbers: list[Fraction]) -> Fraction:
    """Return the step that all steps are made of; only every other plane may be kept."""
    steps = [b - a for a, b in pairwise(numbers)]
    parts = math.lcm(*(step.denominator for step in steps))
    return Fraction(math.gcd(*(int(step * parts) for step in steps)), parts)


def _skipped(numbers: list[Fraction], stride: Fraction) -> Iterator[Fraction]:
    for low, high in pairwise(numbers):
        for at in range(1, int((high - low) / stride)):
            yield low + at * stride

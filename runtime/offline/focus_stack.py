"""A recorded focus stack: which files it is made of, in which order, and which are not there."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

from runtime.errors import InputRefused
from runtime.instrument.camera.files import is_image_name
from runtime.instrument.camera.scale import ReadAs, scan_reading
from runtime.offline.plane_names import numbered
from runtime.report.ending import by_reason, listed
from runtime.tile import Pixels

FEWEST = 3
# A camera's depth in a file of more: the full scale is the lowest of these that nothing exceeds.
FULL_SCALES = tuple(2**bits - 1 for bits in (8, 10, 12, 14, 16))
NOTHING_SATURATES = 2**16
FAR = 100
"""Planes that may be missing between two of a stack; what lies further off is of another."""
NAMED = 8
"""How many names a sentence gives before it only counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StackPlane:
    """One file of a stack, by the last number in its name; `brightest` is its highest pixel."""

    number: Fraction
    path: Path
    brightest: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """The planes in the order of their numbers, and what is wrong with the folder, in words.

    `read_as` is how their pixels are read. `left_out` holds files that are not part of the stack,
    and why; `missing` the numbers that a gap skips; `unsorted` the files whose names do not sort as
    their numbers do.
    """

    planes: tuple[StackPlane, ...]
    stride: Fraction
    read_as: ReadAs
    left_out: dict[str, str]
    missing: tuple[Fraction, ...]
    unsorted: tuple[str, ...]

    def depth(self, plane: StackPlane) -> int:
        """Return how many steps of z a plane lies above the first."""
        return int((plane.number - self.planes[0].number) / self.stride)

    def saturates_at(self, told: int | None) -> int:
        """Return the pixel at which the camera saturates, `told` in the files' numbers or not: the
        lowest depth that nothing exceeds. Of numbers shown by a scale nobody but a person knows.
        """
        scale = self.read_as.scale
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
        return said


def shown(number: Fraction) -> int | float:
    """Return a plane's number as JSON and a table have it."""
    return int(number) if number.denominator == 1 else float(number)


def find_stack(folder: Path) -> Stack:
    """Return the stack in a folder: the files that differ in the last number of their names only.

    Files are opened, so that one that cannot be read, has another size than most, or the very
    picture of another plane, is left out by name and not in the middle of the work. Signed and
    fractional pixels are read by one scale. Raises InputRefused for a folder that is none or leaves
    fewer than three planes.
    """
    if not folder.is_dir():
        raise InputRefused(
            f"{folder} is not a folder",
            remedy="name the folder of the stack, in which every plane is a file",
        )
    names = sorted(path.name for path in folder.iterdir() if is_image_name(path.name))
    numbers, left_out = numbered(names)
    numbers = _near(_told_apart(numbers, left_out), left_out)
    paths = [folder / name for name in numbers]
    read_as = scan_reading(paths)
    unread = [StackPlane(number=numbers[path.name], path=path) for path in paths]
    planes = _readable(unread, read_as, left_out)
    if len(planes) < FEWEST:
        why = by_reason(left_out, NAMED)
        raise InputRefused(
            f"{folder} holds no focus stack" + (f": {why}" if why else ""),
            value=f"{len(planes)} planes",
            limit=f"at least {FEWEST}, numbered in their names",
            remedy="name the files as plane_01.png, plane_02.png and so on, in the order of z",
        )
    found = [plane.number for plane in planes]
    stride = _stride(found)
    names = [plane.path.name for plane in planes]
    signed = found[0] < 0
    return Stack(
        planes=tuple(planes),
        stride=stride,
        read_as=read_as,
        left_out=left_out,
        missing=tuple(_skipped(found, stride)),
        # No alphabet sorts what is below zero by its number.
        unsorted=()
        if signed
        else tuple(a for a, b in zip(names, sorted(names), strict=True) if a != b),
    )


def read_planes(stack: Stack) -> Iterator[Pixels]:
    """Yield the pixels of every plane in order, one at a time in memory."""
    return (stack.read_as.read(plane.path) for plane in stack.planes)


def _told_apart(numbers: dict[str, Fraction], left_out: dict[str, str]) -> dict[str, Fraction]:
    """Return the files in the order of their numbers, one for each."""
    taken: dict[Fraction, str] = {}
    for name, number in numbers.items():
        first = taken.setdefault(number, name)
        if first != name:
            left_out[name] = f"has the number of {first}"
    return {name: number for number, name in sorted(taken.items())}


def _near(numbers: dict[str, Fraction], left_out: dict[str, str]) -> dict[str, Fraction]:
    """Return the files, in order, but for those whose number is far from most: a date, say."""
    groups: list[dict[str, Fraction]] = []
    furthest = FAR * _usual_step(list(numbers.values()))
    last = Fraction(0)
    for name, number in numbers.items():
        if not groups or number - last > furthest:
            groups.append({})
        groups[-1][name] = last = number
    most = max(groups, key=len, default={})
    far = (name for group in groups if group is not most for name in group)
    left_out |= dict.fromkeys(far, "its number is far from the others'")
    return most


def _readable(
    planes: Sequence[StackPlane], read_as: ReadAs, left_out: dict[str, str]
) -> list[StackPlane]:
    """Return the planes that can be read, are of the commonest size and depth, and are no copies of
    another.
    """
    kinds, sound = {}, []
    pictures: dict[bytes, str] = {}
    for plane in planes:
        name = plane.path.name
        try:
            pixels = read_as.read(plane.path)
        except InputRefused as error:
            left_out[name] = str(error).removeprefix(f"{plane.path}: ")
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
    return [plane for plane in sound if kinds[plane.path.name] == common]


def _usual_step(numbers: list[Fraction]) -> Fraction:
    """Return by how much neighbours' numbers differ, in the middle."""
    steps = sorted(b - a for a, b in pairwise(numbers))
    return steps[(len(steps) - 1) // 2] if steps else Fraction(1)


def _stride(numbers: list[Fraction]) -> Fraction:
    """Return the step that all steps are made of; only every other plane may be kept."""
    steps = [b - a for a, b in pairwise(numbers)]
    parts = math.lcm(*(step.denominator for step in steps))
    return Fraction(math.gcd(*(int(step * parts) for step in steps)), parts)


def _skipped(numbers: list[Fraction], stride: Fraction) -> Iterator[Fraction]:
    for low, high in pairwise(numbers):
        for at in range(1, int((high - low) / stride)):
            yield low + at * stride

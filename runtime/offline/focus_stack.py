"""A recorded focus stack: which files it is made of, in which order, and which are not there."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

from runtime.errors import InputRefused
from runtime.instrument.camera.files import is_image_name, read_image
from runtime.tile import Pixels

FEWEST = 3
NUMBER = re.compile(r"(.*?)(\d+)(\D*)")
# A camera's depth in a file of more: the full scale is the lowest of these that nothing exceeds.
FULL_SCALES = tuple(2**bits - 1 for bits in (8, 10, 12, 14, 16))


@dataclass(frozen=True, slots=True, kw_only=True)
class StackPlane:
    """One file of a stack, by the last number in its name; `brightest` is its highest pixel."""

    number: int
    path: Path
    brightest: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """The planes in the order of their numbers, and what is wrong with the folder, in words.

    `left_out` holds files that are not part of the stack, and why; `missing` the numbers that a gap
    skips; `unsorted` the files whose names do not sort as their numbers do.
    """

    planes: tuple[StackPlane, ...]
    stride: int
    left_out: dict[str, str]
    missing: tuple[int, ...]
    unsorted: tuple[str, ...]

    def depth(self, plane: StackPlane) -> int:
        """Return how many steps of z a plane lies above the first."""
        return (plane.number - self.planes[0].number) // self.stride

    @property
    def full_scale(self) -> int:
        """Return that of the camera: the lowest depth that nothing exceeds."""
        brightest = max(plane.brightest for plane in self.planes)
        return next(top for top in FULL_SCALES if top >= brightest)

    @property
    def words(self) -> list[str]:
        """Return what a person should know before believing the curve."""
        said = [f"{name} is left out: {why}" for name, why in self.left_out.items()]
        if self.missing:
            said.append(f"missing: {', '.join(map(str, self.missing))}")
        if self.unsorted:
            said.append(
                f"sorted by number, which is not the order of the names: {', '.join(self.unsorted)}"
            )
        return said


def find_stack(folder: Path) -> Stack:
    """Return the stack in a folder: the files that differ in the last number of their names only.

    Files are opened, so that one that cannot be read, or has another size than most, is left out
    by name and not in the middle of the work. Raises InputRefused for a folder that is none or
    leaves fewer than three planes.
    """
    if not folder.is_dir():
        raise InputRefused(f"{folder} is not a folder", remedy="name the folder of the stack")
    files = [path for path in folder.iterdir() if is_image_name(path.name)]
    left_out: dict[str, str] = {}
    planes = _readable(_numbered(sorted(files), left_out), left_out)
    if len(planes) < FEWEST:
        why = "; ".join(f"{name}: {why}" for name, why in left_out.items())
        raise InputRefused(
            f"{folder} holds no focus stack" + (f" ({why})" if why else ""),
            value=f"{len(planes)} planes",
            limit=f"at least {FEWEST}, numbered in their names",
            remedy="name the files as plane_01.png, plane_02.png and so on, in the order of z",
        )
    numbers = [plane.number for plane in planes]
    stride = _stride(numbers)
    there = set(numbers)
    skipped = (n for n in range(numbers[0], numbers[-1] + 1, stride) if n not in there)
    names = [plane.path.name for plane in planes]
    return Stack(
        planes=tuple(planes),
        stride=stride,
        left_out=left_out,
        missing=tuple(skipped),
        unsorted=tuple(a for a, b in zip(names, sorted(names), strict=True) if a != b),
    )


def read_planes(stack: Stack) -> Iterator[Pixels]:
    """Yield the pixels of every plane in order, one at a time in memory."""
    return (read_image(plane.path) for plane in stack.planes)


def _numbered(files: list[Path], left_out: dict[str, str]) -> list[StackPlane]:
    """Return the files of the commonest kind of name, by number; all others are left out."""
    kinds: dict[tuple[str, str], list[StackPlane]] = {}
    for path in files:
        found = NUMBER.fullmatch(path.stem)
        if found is None:
            left_out[path.name] = "no number in its name"
            continue
        kind = (found[1], found[3])
        kinds.setdefault(kind, []).append(StackPlane(number=int(found[2]), path=path))
    if not kinds:
        return []
    stack = max(kinds.values(), key=len)
    for others in kinds.values():
        if others is not stack:
            left_out |= {one.path.name: "named otherwise than most" for one in others}
    planes: dict[int, StackPlane] = {}
    for plane in stack:
        first = planes.setdefault(plane.number, plane)
        if first is not plane:
            left_out[plane.path.name] = f"has the number of {first.path.name}"
    return [planes[number] for number in sorted(planes)]


def _readable(planes: list[StackPlane], left_out: dict[str, str]) -> list[StackPlane]:
    """Return the planes that can be read and are of the commonest kind, size and depth."""
    kinds, sound = {}, []
    for plane in planes:
        try:
            pixels = read_image(plane.path)
        except InputRefused as error:
            left_out[plane.path.name] = str(error)
            continue
        height, width = pixels.shape
        kinds[plane.number] = f"{width} x {height} pixels of {8 * pixels.itemsize} bits"
        sound.append(replace(plane, brightest=int(pixels.max())))
    if not kinds:
        return []
    common = Counter(kinds.values()).most_common(1)[0][0]
    for plane in sound:
        if kinds[plane.number] != common:
            left_out[plane.path.name] = f"{kinds[plane.number]}, most have {common}"
    return [plane for plane in sound if kinds[plane.number] == common]


def _stride(numbers: list[int]) -> int:
    """Return by how much neighbours' numbers differ, mostly; only every other plane may be kept."""
    steps = [b - a for a, b in pairwise(numbers)]
    (step, _) = Counter(steps).most_common(1)[0]
    return step if all(one % step == 0 for one in steps) else 1

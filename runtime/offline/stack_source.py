"""Where a focus stack comes from: a folder of a file a plane, or one file of all planes."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.errors import InputRefused
from runtime.instrument.camera.files import exactly, is_image_name
from runtime.instrument.camera.scale import scale_of, scan_reading
from runtime.instrument.camera.z_planes import ZPlane
from runtime.instrument.camera.z_stack import ZStack, read_z_stack
from runtime.offline.focus_stack import Stack, StackPlane, sound_stack
from runtime.offline.plane_names import numbered
from runtime.plain_file import is_plain
from runtime.tile import Pixels

FAR = 100
"""Planes that may be missing between two of a stack; what lies further off is of another."""

BY_NAME = "name the files as plane_01.png, plane_02.png and so on, in the order of z"


def find_stack(source: Path, *, channel: str | None = None) -> Stack:
    """Return the stack in a folder, the files that differ in the last number of their names only;
    or in one TIFF of many pages, of a `channel` where that holds several.

    Planes are read, so that one that cannot be read, has another size than most, or the very
    picture of another, is left out by name and not in the middle of the work. Signed and fractional
    pixels are read by one scale. Raises InputRefused for what is neither, and for what leaves fewer
    than three planes.
    """
    if is_plain(source):
        return _in_file(source, channel)
    if not source.is_dir():
        raise InputRefused(
            f"{source} is not a folder, and no file",
            remedy="name the folder of the stack, in which every plane is a file, or one TIFF of "
            "many pages",
        )
    if channel is not None:
        raise InputRefused(
            f"{source} is a folder, whose planes are files of one channel",
            value=f"--channel {channel[:40]}",
            remedy="leave --channel out",
        )
    return _in_folder(source)


def _in_folder(folder: Path) -> Stack:
    names = sorted(path.name for path in folder.iterdir() if is_image_name(path.name))
    numbers, left_out = numbered(names)
    numbers = _near(_told_apart(numbers, left_out), left_out)
    read_as = scan_reading([folder / name for name in numbers])
    return sound_stack(
        folder,
        [StackPlane(number=number, name=name) for name, number in numbers.items()],
        lambda plane: read_as.read(folder / plane.name),
        scale=read_as.scale,
        left_out=left_out,
        remedy=BY_NAME,
    )


def _in_file(path: Path, channel: str | None) -> Stack:
    stored = read_z_stack(path, channel=channel)
    at = {f"page {plane.page}": plane for plane in stored.planes}
    kinds = (v.dtype for plane in stored.planes if (v := _values(stored, plane)) is not None)
    kind = next(kinds, np.dtype(np.uint16)).newbyteorder("=")
    whole = kind in (np.uint8, np.uint16)
    scale = None if whole else scale_of((_values(stored, one) for one in stored.planes), kind)

    def read(plane: StackPlane) -> Pixels:
        page, values = path / plane.name, stored.values(at[plane.name])
        return exactly(values, page) if scale is None else scale.pixels(values, page)

    z_um = stored.heights.z_um
    return sound_stack(
        path,
        [
            StackPlane(number=Fraction(plane.z_index), name=name, z_um=z_um.get(plane.z_index))
            for name, plane in at.items()
        ],
        read,
        scale=scale,
        left_out={},
        remedy="save all planes of the stack in it",
        z_told_by=stored.heights.told_by,
        doubt=stored.heights.doubt,
    )


def _values(stored: ZStack, plane: ZPlane) -> NDArray[Any] | None:
    try:
        return stored.values(plane)
    except InputRefused:
        return None


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


def _usual_step(numbers: list[Fraction]) -> Fraction:
    """Return by how much neighbours' numbers differ, in the middle."""
    steps = sorted(b - a for a, b in pairwise(numbers))
    return steps[(len(steps) - 1) // 2] if steps else Fraction(1)

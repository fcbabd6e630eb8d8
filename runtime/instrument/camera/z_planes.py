"""Which pages of a TIFF are the planes of a z-stack, and where they lie.

It is told by OME-XML, by ImageJ's description, or by nothing: then pages are planes in their order.
So is their z: by OME's positions, its step of z, or ImageJ's spacing.
Specification: https://docs.openmicroscopy.org/ome-model/6.3.1/ome-tiff/specification.html.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import tifffile

from runtime.errors import InputRefused
from runtime.instrument.camera.ome_frames import OmeFrames, element_name, frames_of, ome_root
from runtime.instrument.camera.pixel_size import UM_PER_UNIT
from runtime.instrument.camera.stored import several
from runtime.instrument.camera.tiff_file import PREVIEW, tag_of

SHOWN = 8
"""How many channels are named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ZPlane:
    """One plane: its place in z from 0 up, and its page from 0 up."""

    z_index: int
    page: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Heights:
    """Where planes lie, µm by their place in z, and who says so; empty where nobody does.

    `doubt` is what was not believed, in words.
    """

    z_um: dict[int, float]
    told_by: str = ""
    doubt: str = ""


Planes = tuple[tuple[ZPlane, ...], Heights]


def planes_of(path: Path, file: tifffile.TiffFile, channel: str | None) -> Planes:
    """Return the planes of a file in the order of z, of a `channel` where it holds several, and
    where they lie.

    Raises InputRefused for several channels of which none is chosen, for several fields or times,
    and for pictures that share a page.
    """
    pages: list[Any] = list(file.pages)
    text = str(file.pages.first.description)
    known = frames_of(path, text, pages=len(pages)) if len(pages) > 1 else None
    if known is not None:
        return _of_ome(path, text, known, channel)
    if file.imagej_metadata is not None:
        return _of_imagej(path, file.imagej_metadata, len(pages), channel)
    if channel is not None:
        raise _no_channel(path, channel, [])
    previews = {n for n, page in enumerate(pages) if tag_of(page, "NewSubfileType", 0) & PREVIEW}
    numbers = [number for number in range(len(pages)) if number not in previews]
    return _planes(enumerate(numbers)), Heights(z_um={})


def _planes(pages: Iterable[tuple[int, int]]) -> tuple[ZPlane, ...]:
    """Return the planes of (z, page) in the order of z."""
    return tuple(ZPlane(z_index=z, page=page) for z, page in sorted(pages))


def _of_ome(path: Path, text: str, known: OmeFrames, channel: str | None) -> Planes:
    first = min(known.frames, key=lambda frame: frame.page)
    channels = {frame.channel_index: frame.channel for frame in known.frames}
    numbers, names = sorted(channels), [name for _, name in sorted(channels.items())]
    usual = first.channel if known.named else None
    chosen = numbers[names.index(_channel(path, names, channel, usual=usual))]
    planes = _planes((f.z_index, f.page) for f in known.frames if f.channel_index == chosen)
    most = max(Counter(plane.z_index for plane in planes).values())
    if most > 1:
        raise several(path, f"{most} fields", remedy="save one field a file")
    return planes, _ome_heights(text, chosen, [plane.z_index for plane in planes])


def _ome_heights(text: str, channel: int, wanted: list[int]) -> Heights:
    """Return the positions of the planes, else their steps. A position that has no unit of length
    is one in a frame of reference that nobody knows.
    """
    root = ome_root(text)
    assert root is not None, "it told the frames"
    pixels = next(one for one in root.iter() if element_name(one) == "Pixels")
    positions = {z: um for z, um in _positions(pixels, channel) if um is not None}
    step_um = _um(pixels.get("PhysicalSizeZ"), pixels.get("PhysicalSizeZUnit", "µm"))
    if all(z in positions for z in wanted):
        if len({positions[z] for z in wanted}) == len(wanted):
            return Heights(z_um={z: positions[z] for z in wanted}, told_by="the file's positions")
        doubt = "the file states one z for several planes"
        return _steps(step_um, wanted, "the file's step of z", doubt=doubt)
    return _steps(step_um, wanted, "the file's step of z")


def _positions(pixels: ElementTree.Element, channel: int) -> Iterable[tuple[int, float | None]]:
    for one in pixels:
        if element_name(one) == "Plane" and int(one.get("TheC", "0")) == channel:
            z_um = _um(one.get("PositionZ"), one.get("PositionZUnit", ""))
            yield int(one.get("TheZ", "0")), z_um


def _of_imagej(path: Path, told: dict[str, Any], pages: int, channel: str | None) -> Planes:
    """ImageJ counts channels from 1, and keeps those of one z together."""
    channels, times = (int(told.get(what, 1)) for what in ("channels", "frames"))
    slices = int(told.get("slices", 1 if channels * times > 1 else told.get("images", pages)))
    if times > 1:
        remedy = "save one time a file; if they are heights, say so in ImageJ (Image > Properties)"
        raise several(path, f"{times} times", remedy=remedy)
    if channels * slices != pages:
        raise several(
            path, f"{channels * slices} on {pages}", remedy="save it as OME-TIFF, or a plane a file"
        )
    names = [str(number) for number in range(1, channels + 1)]
    at = names.index(_channel(path, names, channel, usual=None))
    planes = _planes((z, z * channels + at) for z in range(slices))
    step_um = _um(told.get("spacing"), str(told.get("unit", "")))
    return planes, _steps(step_um, list(range(slices)), "ImageJ's spacing")


def _steps(step_um: float | None, wanted: list[int], told_by: str, *, doubt: str = "") -> Heights:
    if not step_um:
        return Heights(z_um={}, doubt=doubt)
    return Heights(z_um={z: z * step_um for z in wanted}, told_by=told_by, doubt=doubt)


def _um(number: object, unit: str) -> float | None:
    """Return a length in µm; None where it is none, or of no unit of length."""
    try:
        value = float(str(number)) * UM_PER_UNIT[unit.strip()]
    except (ValueError, KeyError):
        return None
    return value if math.isfinite(value) else None


def _channel(path: Path, names: list[str], asked: str | None, *, usual: str | None) -> str:
    """Return the channel that is asked for, by itself the only one or the `usual`."""
    if asked is None:
        if len(names) == 1 or usual is not None:
            return usual or names[0]
        raise several(path, f"{len(names)} channels", remedy=_one_of(names))
    if asked not in names:
        raise _no_channel(path, asked, names)
    return asked


def _no_channel(path: Path, asked: str, names: list[str]) -> InputRefused:
    return InputRefused(
        f"{path}: has no such channel",
        value=asked[:40],
        limit=", ".join(name[:40] for name in names[:SHOWN]) or "it names none",
        remedy=_one_of(names) if len(names) > 1 else "leave --channel out",
    )


def _one_of(names: list[str]) -> str:
    more = "" if len(names) <= SHOWN else f" and {len(names) - SHOWN} more"
    listed = ", ".join(name[:40] for name in names[:SHOWN])
    return f"choose one with --channel: {listed}{more}"

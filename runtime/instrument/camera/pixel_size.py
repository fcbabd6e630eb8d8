"""What an image file says of its scale; nothing is taken for a size that nobody measured."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import tifffile

from runtime.errors import InputRefused
from runtime.instrument.camera.electron_file import calibration
from runtime.instrument.camera.files import ELECTRON_SUFFIXES, MRC_SUFFIXES, TIFF_SUFFIXES
from runtime.instrument.camera.mrc_file import voxel_angstrom
from runtime.instrument.camera.stored import DAMAGED
from runtime.plain_file import is_plain

UM_PER_UNIT = {
    "m": 1e6, "mm": 1e3, "cm": 1e4, "µm": 1.0, "μm": 1.0, "um": 1.0, "micron": 1.0,
    "microns": 1.0, r"\u00B5m": 1.0,
    "micrometer": 1.0, "nm": 1e-3, "nanometer": 1e-3, "Å": 1e-4, "angstrom": 1e-4,
}  # fmt: skip
SQUARE = 0.01
"""Sides of a pixel that differ by more than this share make no single size."""

CENTIMETRE = 3
"""TIFF's unit for scientific files; per inch is what printers and editors fill in."""

CM_PER_INCH, PRINTED_DPI = 2.54, (72, 96, 100, 150, 200, 240, 300, 360, 600, 1200)
"""Resolutions of screens and printers, which some programs convert to centimetres."""

ANGSTROM_UM = 1e-4
UNSET_ANGSTROM = 1.0
"""Voxel size that programs write into MRC when they know none."""


def pixel_size_um(path: Path) -> float | None:
    """Return the side of a pixel, micrometres; None where the file claims none, or not one.

    OME-XML, ImageJ's description and resolutions per centimetre are believed in TIFF, voxel sizes
    but 1 Å in MRC, the calibrations of DM, EMD and SER. A file that cannot be read says nothing.
    """
    if not is_plain(path):
        return None  # opening a pipe would wait for whoever writes into it
    suffix = path.suffix.lower()
    try:
        if suffix in TIFF_SUFFIXES:
            x, y = _of_tiff(path)
        elif suffix in MRC_SUFFIXES:
            x, y = _of_mrc(path)
        elif suffix in ELECTRON_SUFFIXES:
            x, y = _of_electron(path)
        else:
            return None
    except (*DAMAGED, InputRefused, ImportError, ElementTree.ParseError):
        return None
    if not 0 < x < math.inf or not 0 < y < math.inf or abs(x / y - 1) > SQUARE:
        return None
    return (x + y) / 2


def refuse_other_size(file: Path, *, given_um: float, by: str) -> None:
    """Raise InputRefused where a file states another pixel size than the one given, `by` whom."""
    stated_um = pixel_size_um(file)
    if stated_um is not None and abs(stated_um / given_um - 1) > SQUARE:
        raise InputRefused(
            f"{file}: states another pixel size than {by}",
            value=f"{stated_um:g} µm",
            limit=f"{given_um:g} µm",
            remedy="give the size that the file states, or save it without one",
        )


def _of_tiff(path: Path) -> tuple[float, float]:
    with tifffile.TiffFile(path) as file:
        page: Any = file.pages.first
        if page.is_ome:
            return _of_ome(page.description)
        per_x, per_y = (_per_unit(page, name) for name in ("XResolution", "YResolution"))
        if not per_x or not per_y:
            return 0.0, 0.0
        if page.is_imagej:
            told = re.search(r"^unit=(\S+)", page.description, re.MULTILINE)
            unit = UM_PER_UNIT.get(told[1], 0.0) if told else 0.0
            return unit / per_x, unit / per_y
        given = page.tags.get("ResolutionUnit")
        centimetres = given is not None and int(given.value) == CENTIMETRE
        if any(abs(per_x * CM_PER_INCH / dpi - 1) < SQUARE for dpi in PRINTED_DPI):
            return 0.0, 0.0
        return (1e4 / per_x, 1e4 / per_y) if centimetres else (0.0, 0.0)


def _of_ome(description: str) -> tuple[float, float]:
    sizes = []
    for element in ElementTree.fromstring(description).iter():
        if element.tag.endswith("}Pixels") or element.tag == "Pixels":
            for axis in "XY":
                size = float(element.get(f"PhysicalSize{axis}", 0))
                unit = element.get(f"PhysicalSize{axis}Unit", "µm")
                sizes.append(size * UM_PER_UNIT.get(unit, 0.0))
            break
    return (sizes[0], sizes[1]) if sizes else (0.0, 0.0)


def _per_unit(page: Any, name: str) -> float:
    tag = page.tags.get(name)
    if tag is None:
        return 0.0
    count, of = tag.value
    return float(count) / float(of) if of else 0.0


def _of_electron(path: Path) -> tuple[float, float]:
    sides, units = calibration(path, path.read_bytes())
    y, x = (
        side * UM_PER_UNIT.get(unit.strip("[]").replace("_", ""), 0.0)
        for side, unit in zip(sides, units, strict=True)
    )
    return x, y


def _of_mrc(path: Path) -> tuple[float, float]:
    x, y = voxel_angstrom(path)
    if x == y == UNSET_ANGSTROM:
        return 0.0, 0.0
    return x * ANGSTROM_UM, y * ANGSTROM_UM

"""A whole section with its tissue outlines, and its division into training and validation.

The rule of the labels: "tissue" is cell-bearing tissue (organs, epithelia, muscle) inside its own
outline; lumina wider than some 40 µm, mantle jelly, shell, and what grows on the shell are
"resin", as are empty resin and bare slide. A tile is tissue when at least `min_area_fraction` of
its area is. Outlines are drawn by hand, and then to the edge that can be seen
(`export.datasets.outlines`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from runtime.errors import InputRefused

# (y, x) of 0 and 1.
Mask = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class Section:
    """`image` is (y, x) uint8, `tissue` (y, x) uint8 of 0 and 1, both at `pixel_size_um`."""

    name: str
    image: NDArray[np.uint8]
    tissue: Mask
    pixel_size_um: float
    min_area_fraction: float

    @cached_property
    def grey(self) -> NDArray[np.float32]:
        """The image in floating point, from which patches are cut: converted once, not for each."""
        return self.image.astype(np.float32)

    def rows(self, start: float, stop: float) -> Section:
        """Return the part between two fractions of the height."""
        height = self.image.shape[0]
        part = slice(round(start * height), round(stop * height))
        return replace(self, image=self.image[part], tissue=self.tissue[part])

    def is_tissue(self, coverage: NDArray[np.float32] | float) -> Any:
        """Return whether a tile with that share of tissue counts as tissue."""
        return coverage >= self.min_area_fraction


def read_section(
    image: Path, labels: Path, *, image_pixel_size_um: float, pixel_size_um: float
) -> Section:
    """Return a section at the wanted pixel size; raises InputRefused naming the file at fault."""
    pixels = read_picture(
        image, image_pixel_size_um=image_pixel_size_um, pixel_size_um=pixel_size_um
    )
    plain = read_labels(labels)
    return Section(
        name=labels.stem.removesuffix("_labels"),
        image=pixels,
        tissue=paint(plain, shape=pixels.shape, pixel_size_um=pixel_size_um),
        pixel_size_um=pixel_size_um,
        min_area_fraction=float(plain["min_area_fraction"]),
    )


def read_picture(
    image: Path, *, image_pixel_size_um: float, pixel_size_um: float
) -> NDArray[np.uint8]:
    """Return (y, x) grey levels at the wanted pixel size; raises InputRefused."""
    pixels = cv2.imread(str(image), cv2.IMREAD_GRAYSCALE)
    if pixels is None:
        raise InputRefused(f"image {image} cannot be read", remedy="restore it from the repository")
    shrink = image_pixel_size_um / pixel_size_um
    if shrink != 1:
        pixels = cv2.resize(pixels, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
    return pixels.astype(np.uint8)


def read_labels(path: Path) -> dict[str, Any]:
    """Return a file of labels; raises InputRefused naming it, where it lacks any."""
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputRefused(f"labels {path} cannot be read: {error}") from None
    wanted = {"pixel_size_um", "classes", "positive", "min_area_fraction", "polygons"}
    if not isinstance(plain, dict) or wanted - plain.keys():
        raise InputRefused(f"labels {path} lack keys", limit=", ".join(sorted(wanted)))
    return plain


def paint(plain: dict[str, Any], *, shape: tuple[int, ...], pixel_size_um: float) -> Mask:
    """Return the (y, x) mask: polygons are painted in list order, later ones over earlier ones."""
    mask = np.zeros(shape, np.uint8)
    scale = plain["pixel_size_um"] / pixel_size_um
    for polygon in plain["polygons"]:
        points = np.rint(np.asarray(polygon["points"]) * scale).astype(np.int32)
        cv2.fillPoly(mask, [points], int(polygon["class"] == plain["positive"]))
    return mask

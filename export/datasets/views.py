"""What one network input shows: views cut as the runtime cuts them, in eight orientations."""

from __future__ import annotations

from typing import cast

import numpy as np
from numpy.typing import NDArray

from export.datasets.labelled import LabelledImages
from runtime.errors import InputRefused
from runtime.inference.view_input import FieldInPixels, FieldOfView
from runtime.inference.windows import TOLERANCE, View, view_slices
from runtime.tile import Pixels

ViewField = FieldOfView | FieldInPixels

# A cut shows this much less of a view's sides at most.
CUT_SHARE = 1 / 8


def dihedral(pixels: Pixels, variant: int) -> Pixels:
    """Return one of the eight symmetries of the square: quarter turns, from 4 on also mirrored."""
    turned = np.rot90(pixels, variant % 4)
    return cast("Pixels", np.ascontiguousarray(np.fliplr(turned) if variant >= 4 else turned))


def cut(view: View, rng: np.random.Generator) -> View:
    """Return a part of a view, of the same proportions, at a random place in it.

    Its codes are sampled at other pixels than the view's. On the device the origin of a tile is
    arbitrary, and a network that is only ever shown one sampling of an image memorises its codes.
    """
    share = rng.uniform(1 - CUT_SHARE, 1)

    def within(side: slice) -> slice:
        whole = side.stop - side.start
        kept = round(share * whole)
        start = side.start + int(rng.integers(whole - kept, endpoint=True))
        return slice(start, start + kept)

    rows, columns = view
    return within(rows), within(columns)


def upright_variants(variants: tuple[int, ...], *, square: bool) -> tuple[int, ...]:
    """Return the variants that keep the shape of a view: all for a square one, else the even."""
    return tuple(v for v in variants if square or v % 2 == 0)


def choose_field(
    images: LabelledImages, *, view_um: float | None = None, view_px: int | None = None
) -> ViewField:
    """Return the square field of one view; the images' shorter side where neither is given.

    In micrometres when the images agree in pixel size, so that the device checks the scale; in
    pixels when they do not. Raises InputRefused, naming the image, for one smaller than a view.
    """
    sizes_um = images.pixel_size_um
    if view_um is None:
        side_px = view_px or int(images.shape_px.min())
        if sizes_um.max() / sizes_um.min() > 1 + TOLERANCE:
            field: ViewField = FieldInPixels(height_px=side_px, width_px=side_px)
        else:
            side_um = side_px * float(np.median(sizes_um))
            field = FieldOfView(height_um=side_um, width_um=side_um)
    else:
        field = FieldOfView(height_um=view_um, width_um=view_um)
    for index in range(len(images)):
        views_of(images, index, field)
    return field


def views_of(images: LabelledImages, index: int, field: ViewField) -> list[View]:
    """Return rows and columns of one image's views; raises InputRefused when it holds none."""
    height, width = (int(side) for side in images.shape_px[index])
    wanted_px = field.sides_px(pixel_size_um=float(images.pixel_size_um[index]))
    found = view_slices((height, width), wanted_px)
    if not found:
        raise InputRefused(
            f"{images.names[index]} is smaller than one view",
            value=f"{width} x {height} px",
            limit=f"{wanted_px[1]:.0f} x {wanted_px[0]:.0f} px",
            remedy="leave it out, or choose a smaller view_um or view_px",
        )
    return found


def view_of_image(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return (views,) the image of every view, from the (images,) number of views each has."""
    return np.repeat(np.arange(len(counts)), counts)

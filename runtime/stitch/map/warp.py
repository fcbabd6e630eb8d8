"""A tile resampled onto the mosaic grid: moved, turned, and straightened by the shared distortion.

A tile's pixel at an undistorted place q (x, y from its pixel (0, 0)) lies in the mosaic at
p = (x_px, y_px) + R(theta) q. So a mosaic pixel p shows the tile's pixel bent(R^-1 (p - t)), where
`bent` is `Distortion.bent`, and the tile is read there by bicubic interpolation (Keys,
doi:10.1109/TASSP.1981.1163711).

Where a tile is neither turned nor bent, the four weights are the same for all its pixels: that is
a separable filter, several times faster than a general warp.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from runtime.distortion import Distortion
from runtime.stitch.map.boxes import Box
from runtime.tile import Pixels, Placement

CUBIC = -0.5
"""Keys' parameter: the one with which a straight line and a parabola come out as they were."""

LEAST_TURN_RAD = 1e-6
"""A turn that moves no pixel of a 4096 px tile by 0.005 px is none."""

PITCH_PX = 4
"""Pitch at which the distortion is tabled. It is a polynomial of low order over the whole tile:
straight lines between the nodes are true to 0.005 px where it moves a pixel by 10."""

MARGIN_PX = 3
"""What the filter reads around the pixels asked for."""

NO_SECOND_MAP = np.empty(0, np.float32)
"""Both coordinates stand in the first."""

Floats = NDArray[np.float64]
Image = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class View:
    """What a mosaic box shows of a tile: `values` (y, x) are its pixels.

    `depths_px` tells how deep inside the tile they lie, (y, x), or along y and along x where the
    sides of the tile are those of the mosaic.
    """

    values: Image
    depths_px: Image | tuple[Image, Image]

    @property
    def rim_px(self) -> Image:
        """How deep inside the tile each pixel lies (y, x).

        1 for a pixel of the outermost row or column, 0 or less where the tile does not reach.
        """
        return self.rim_within((slice(None), slice(None)))

    def rim_within(self, span: tuple[slice, slice]) -> Image:
        """Return `rim_px` of some (rows, columns)."""
        if isinstance(self.depths_px, tuple):
            y, x = self.depths_px
            rim: Image = np.minimum.outer(y[span[0]], x[span[1]])
            return rim
        return self.depths_px[span]


class Warp:
    """Draws tiles of `shape_px` (height, width) that share one `distortion`, or none."""

    def __init__(self, shape_px: tuple[int, int], distortion: Distortion | None = None) -> None:
        self.shape_px = shape_px
        self._reach_px = 0
        self._bend: Image | None = None
        if distortion is not None and distortion.largest_px > 0:
            self._reach_px = int(np.ceil(distortion.largest_px)) + 1
            self._bend = _bend(distortion, self._reach_px)

    def hull_px(self, place: Placement) -> tuple[float, float, float, float]:
        """Return a mosaic box (x0, y0, x1, y1) that a placed tile does not reach out of.

        The box ends one pixel beyond the centre of the last: a tile of width w covers x0 to x0 + w.
        """
        height, width = self.shape_px
        reach = self._reach_px
        if not _turned(place):
            x, y = place.x_px - reach, place.y_px - reach
            return x, y, x + width + 2 * reach, y + height + 2 * reach
        x_px = np.array([-reach, width - 1 + reach] * 2, np.float64)
        y_px = np.repeat([-reach, height - 1 + reach], 2).astype(np.float64)
        corners = np.column_stack([x_px, y_px]) @ _rotation(place.theta_rad).T
        corners += np.array([place.x_px, place.y_px])
        (x0, y0), (x1, y1) = corners.min(axis=0), corners.max(axis=0)
        return float(x0), float(y0), float(x1) + 1, float(y1) + 1

    def cut(self, place: Placement, box_px: Box) -> Box | None:
        """Return the part of a mosaic box whose pixels a placed tile may reach, or None."""
        x0, y0, x1, y1 = self.hull_px(place)
        left, top = max(int(np.ceil(x0)), box_px[0]), max(int(np.ceil(y0)), box_px[1])
        right = min(int(np.floor(x1 - 1)) + 1, box_px[2])
        bottom = min(int(np.floor(y1 - 1)) + 1, box_px[3])
        return (left, top, right, bottom) if left < right and top < bottom else None

    def slanted(self, place: Placement) -> bool:
        """Return whether a placed tile's sides are not those of the mosaic."""
        return self._bend is not None or _turned(place)

    def view(
        self,
        pixels: Pixels,
        place: Placement,
        box_px: Box,
        *,
        gain: float = 1.0,
        offset: float = 0.0,
        shading: Image | None = None,
    ) -> View:
        """Return what a mosaic box (x0, y0, x1, y1) shows of a tile.

        Its values are (gain + shading) * pixel + offset, where `shading` (y, x) covers the tile.
        Beyond the tile they are those of its rim.
        """
        if not self.slanted(place):
            return self._moved(pixels, place, box_px, gain, offset, shading)
        at = self._source_px(place, box_px)
        values = cv2.remap(
            _toned(pixels, gain, shading),
            at,
            NO_SECOND_MAP,
            cv2.INTER_CUBIC,
            borderMode=cv2.BORDER_REPLICATE,
        )
        height, width = self.shape_px
        x, y = at[..., 0], at[..., 1]
        rim = np.minimum(np.minimum(x, width - 1 - x), np.minimum(y, height - 1 - y)) + 1
        return View(np.asarray(values, np.float32) + np.float32(offset), rim)

    def _moved(
        self,
        pixels: Pixels,
        place: Placement,
        box_px: Box,
        gain: float,
        offset: float,
        shading: Image | None,
    ) -> View:
        """Return the view of a tile that is only moved."""
        height, width = self.shape_px
        rows = np.arange(box_px[1], box_px[3], dtype=np.float64) - place.y_px
        columns = np.arange(box_px[0], box_px[2], dtype=np.float64) - place.x_px
        (top, kernel_y), (left, kernel_x) = _kernel(float(rows[0])), _kernel(float(columns[0]))
        y0, x0 = max(top - MARGIN_PX, 0), max(left - MARGIN_PX, 0)
        y1 = min(top + len(rows) + MARGIN_PX, height)
        x1 = min(left + len(columns) + MARGIN_PX, width)
        part: Pixels | Image = pixels[y0:y1, x0:x1]
        if shading is not None:
            part, gain = _toned(part, gain, shading[y0:y1, x0:x1]), 1.0
        filtered = cv2.sepFilter2D(
            part,
            cv2.CV_32F,
            kernel_x * gain,
            kernel_y,
            anchor=(1, 1),
            delta=offset,
            borderType=cv2.BORDER_REPLICATE,
        )
        values = _window(np.asarray(filtered, np.float32), top - y0, left - x0, rows, columns)
        return View(values, (_depth(rows, height), _depth(columns, width)))

    def _source_px(self, place: Placement, box_px: Box) -> Image:
        """Return which pixel (y, x, 2) x, y of the tile each pixel of a mosaic box shows."""
        x = np.arange(box_px[0], box_px[2]) - place.x_px
        y = np.arange(box_px[1], box_px[3]) - place.y_px
        cos, sin = np.cos(place.theta_rad), np.sin(place.theta_rad)
        at = np.empty((len(y), len(x), 2), np.float32)
        at[..., 0] = np.add.outer(sin * y, cos * x)
        at[..., 1] = np.add.outer(cos * y, -sin * x)
        if self._bend is None:
            return at
        start_x, start_y = cos * x[0] + sin * y[0], cos * y[0] - sin * x[0]
        reach = self._reach_px
        turn = np.array([[cos, sin, start_x + reach], [-sin, cos, start_y + reach]]) / PITCH_PX
        bend = cv2.warpAffine(
            self._bend,
            turn,
            (len(x), len(y)),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
        source: Image = at + bend
        return source


def source_px(place: Placement, points_px: Floats) -> Floats:
    """Return where mosaic points (n, 2) x, y lie in a placed tile, its distortion left aside."""
    source: Floats = (points_px - (place.x_px, place.y_px)) @ _rotation(place.theta_rad)
    return source


def _toned(pixels: Pixels | Image, gain: float, shading: Image | None) -> Image:
    image = pixels.astype(np.float32)
    if shading is not None:
        image *= shading + np.float32(gain)
    elif gain != 1.0:
        image *= np.float32(gain)
    return image


def _turned(place: Placement) -> bool:
    return abs(place.theta_rad) > LEAST_TURN_RAD


def _rotation(theta_rad: float) -> Floats:
    cos, sin = np.cos(theta_rad), np.sin(theta_rad)
    return np.array([[cos, -sin], [sin, cos]])


def _bend(distortion: Distortion, reach_px: int) -> Image:
    """Return how far (y, x, 2) x, y from undistorted places the tile shows them.

    Index (i, j) is the place (j * PITCH_PX - reach, i * PITCH_PX - reach).
    """
    height, width = (n + 2 * reach_px for n in distortion.shape_px)
    y, x = np.mgrid[0 : height + PITCH_PX : PITCH_PX, 0 : width + PITCH_PX : PITCH_PX] - reach_px
    points = np.column_stack([x.ravel(), y.ravel()]).astype(np.float64)
    bend = distortion.bent(points) - points
    return np.asarray(bend.reshape(*x.shape, 2), np.float32)


def _kernel(start: float) -> tuple[int, Floats]:
    """Return the whole pixel at or before a place, and Keys' weights of it and its neighbours.

    The weights are those of the pixels -1, 0, 1, 2 from it.
    """
    whole = int(np.floor(start))
    f, a = start - whole, CUBIC
    near = np.array([f, 1 - f])
    far = near + 1
    inner = (a + 2) * near**3 - (a + 3) * near**2 + 1
    outer = a * far**3 - 5 * a * far**2 + 8 * a * far - 4 * a
    return whole, np.array([outer[0], inner[0], inner[1], outer[1]])


def _depth(at: Floats, size: int) -> Image:
    """Return how deep inside a tile's side of `size` pixels places lie; 1 at its outermost."""
    depth: Image = (np.minimum(at, size - 1 - at) + 1).astype(np.float32)
    return depth


def _window(image: Image, top: int, left: int, rows: Floats, columns: Floats) -> Image:
    """Return the part of an image that starts at (top, left), its rim repeated beyond it."""
    height, width = image.shape
    bottom, right = top + len(rows), left + len(columns)
    if top >= 0 and left >= 0 and bottom <= height and right <= width:
        return image[top:bottom, left:right]
    at_y = np.clip(np.arange(top, bottom), 0, height - 1)
    at_x = np.clip(np.arange(left, right), 0, width - 1)
    return image[np.ix_(at_y, at_x)]

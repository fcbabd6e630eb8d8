"""What is wrong with a scan's geometry, named, and the positions with that mended."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from runtime.errors import InputRefused
from runtime.instrument.camera.files import MRC_SUFFIXES
from runtime.instrument.camera.recorded import RecordedScan, RecordedTile
from runtime.instrument.camera.tile_configuration import TileEntry, format_tile_configuration
from runtime.offline.claims import Claim
from runtime.stitch.look.geometry import Geometry, Matrix

SEEN_SHARE = 0.03
"""A scale or an angle is named when it moves a neighbour by more than this share of a side."""

MENDED = "TileConfiguration.mended.txt"
RECORD = "mended.json"

Y_MIRRORED = "y is mirrored: rows run from bottom to top"
TURNS = {
    ((1, 0), (0, 1)): "",
    ((-1, 0), (0, 1)): "x is mirrored: columns run from right to left",
    ((1, 0), (0, -1)): Y_MIRRORED,
    ((-1, 0), (0, -1)): "x and y are both mirrored: the scan is turned by 180°",
    ((0, 1), (1, 0)): "x and y are swapped: rows are columns",
    ((0, -1), (1, 0)): "x and y are swapped and x is mirrored: the scan is turned by 90°",
    ((0, 1), (-1, 0)): "x and y are swapped and y is mirrored: the scan is turned by 270°",
    ((0, -1), (-1, 0)): "x and y are swapped and both mirrored",
}
"""The square turns and mirrors as rows of their matrix, in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mending:
    """What the pictures say against the claimed places (`says`, none for nothing), and the tiles
    where the pictures put them. `matrix` turns the pixels claimed by a `reading` of the names into
    seen ones.
    """

    says: tuple[str, ...]
    reading: str
    tiles: tuple[RecordedTile, ...]
    matrix: tuple[tuple[float, float], tuple[float, float]]
    remedy: str

    @property
    def sentence(self) -> str:
        """All of it on one line."""
        return "; ".join(self.says)

    def refusal(self, folder: Path, agreeing: int, matched: int) -> InputRefused:
        """Return the error that names it and says how to go on."""
        return InputRefused(
            f"{folder}: the pictures contradict the positions: {self.sentence}",
            value=f"{agreeing} of {matched} matched pairs of neighbours agree on it",
            remedy=f"{self.remedy} to stitch it so",
        )

    def again(self, claims: Sequence[Claim], scan: RecordedScan) -> Mending:
        """Return the same mending of a scan that has more tiles by now."""
        (claim,) = (claim for claim in claims if claim.says == self.reading)
        return replace(self, tiles=_put(claim, np.array(self.matrix), scan))

    def write(self, folder: Path) -> Path:
        """Write the mended positions as Fiji has them, and what was mended; return the first."""
        path = folder / MENDED
        entries = [TileEntry(name=tile.name, x_px=tile.x_px, y_px=tile.y_px) for tile in self.tiles]
        path.write_text(format_tile_configuration(entries), "utf-8", "surrogateescape")
        record = {"mended": list(self.says), "seen_from_claimed": self.matrix}
        (folder / RECORD).write_text(json.dumps(record, indent=1) + "\n")
        return path


def mending(claim: Claim, seen: Geometry, scan: RecordedScan, overlap: float | None) -> Mending:
    """Return what a geometry differs in from what was claimed; `overlap` is a grid's."""
    matrix = _balanced(seen, scan, overlap)
    seen = replace(seen, matrix=matrix)
    (ax, bx), (ay, by) = ((round(v) for v in row) for row in seen.turn.tolist())
    turn, size = TURNS[(ax, bx), (ay, by)], _of_size(seen, scan, overlap)
    says = tuple(part for part in (claim.says, turn, size, _of_angle(seen)) if part)
    remedy = "add --fix"
    if overlap is not None and says == (size,):
        remedy = f"give --overlap {np.mean(overlaps(seen, scan, overlap)):.2g}, or add --fix,"
    if turn == Y_MIRRORED:
        remedy = _upright(scan) or remedy
    (a, b), (c, d) = seen.matrix.tolist()
    return Mending(
        says=says,
        reading=claim.says,
        tiles=_put(claim, matrix, scan),
        matrix=((a, b), (c, d)),
        remedy=remedy,
    )


def _upright(scan: RecordedScan) -> str:
    """Return how the pictures may come to stand as the positions have it, "" where they do stand
    upright: only MRC keeps its lowest row first, or not, without saying so.
    """
    if scan.read_as.bottom_first:
        return "leave --flip out, or, where the files are right so, add --fix"
    if any(tile.file.suffix.lower() in MRC_SUFFIXES for tile in scan.tiles):
        return (
            "add --flip, for MRC may keep its lowest row first, or, where the files do not, --fix"
        )
    return ""


def _put(claim: Claim, matrix: Matrix, scan: RecordedScan) -> tuple[RecordedTile, ...]:
    """Return the tiles of a claim where a map puts them."""
    by_id = {tile.tile_id: tile for tile in scan.tiles}
    points = claim.points_px @ matrix.T
    return tuple(
        replace(by_id[tile_id], x_px=float(x), y_px=float(y))
        for tile_id, (x, y) in zip(claim.ids, points, strict=True)
    )


def _balanced(seen: Geometry, scan: RecordedScan, overlap: float | None) -> Matrix:
    """Return the map in which a grid's axis that no pair tells of overlaps as the other does.

    Without that, swapped axes of an oblong tile would keep the wrong one's length.
    """
    if overlap is None or all(seen.axes):
        return seen.matrix
    known, unknown = (0, 1) if seen.axes[0] else (1, 0)
    # Lengths of a claimed step in sides of the tile, along the axis on which it is seen.
    lengths = 1 - overlaps(seen, scan, overlap)
    matrix = seen.matrix.copy()
    matrix[:, unknown] *= lengths[known] / lengths[unknown]
    return matrix


def _of_size(seen: Geometry, scan: RecordedScan, overlap: float | None) -> str:
    x, y = seen.scales
    if overlap is None:
        if max(abs(x - 1), abs(y - 1)) < SEEN_SHARE:
            return ""
        both = f"{x:.3g}" if abs(x / y - 1) < SEEN_SHARE else f"{x:.3g} (x) and {y:.3g} (y)"
        return f"positions are not in pixels: one unit is {both} px"
    shared = overlaps(seen, scan, overlap)
    if np.abs(shared - overlap).max() < SEEN_SHARE:
        return ""
    along = [f"{part:.2g} along {axis}" for part, axis in zip(shared, "xy", strict=True)]
    return f"neighbours share {along[0]} and {along[1]} of a tile, not {overlap:g}"


def overlaps(seen: Geometry, scan: RecordedScan, overlap: float) -> Matrix:
    """Return the shares of a tile that neighbours along the claimed x and y have in common."""
    height, width = scan.shape_px
    side = np.array([width, height], np.float64)
    # The sides along which the claimed steps are seen.
    seen_side = np.abs(seen.turn).T @ side
    shares: Matrix = 1 - np.array(seen.scales) * side * (1 - overlap) / seen_side
    return shares


def _of_angle(seen: Geometry) -> str:
    return camera_turned(seen.angle_deg)


def camera_turned(angle_deg: float) -> str:
    """Return in words how far the camera is turned against the stage, "" for next to nothing."""
    if abs(np.radians(angle_deg)) < SEEN_SHARE:
        return ""
    return f"the camera is turned by {angle_deg:.1f}° against the stage"

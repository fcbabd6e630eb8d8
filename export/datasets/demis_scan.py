"""Pictures scanned as DEMIS's were: the stage errs, the camera turns, light and noise change.

Grids of tiles are cut from pictures whose every pixel is known, so that the truth is exact.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from export.datasets.demis import FORMAT, TRUTH, DemisGrid, DemisTile, DemisTruth
from export.datasets.pairs.images import image_files, micrographs, read_large
from export.datasets.pairs.made import MadeSource
from export.progress import Progress
from runtime.errors import ConfigRefused, DiskFull
from runtime.instrument.camera.tile_configuration import TileEntry, format_tile_configuration

Picture = NDArray[np.uint16]

OVERLAP = 0.2
# Cubic interpolation reads two pixels beyond; the others are for the rounding of places.
MARGIN_PX = 4
# One grey level of 8 bits, in which DEMIS tells its noise.
GREY = 257.0
FULL_SCALE = 65535
# The picture's grey levels are spread over the middle of the range: brighter and more contrast
# must still fit.
OUTERMOST, DARK, BRIGHT = 0.5, 0.2 * FULL_SCALE, 0.8 * FULL_SCALE
MADE = "made textures"
GRID_STREAM, CHOICE_STREAM = 31, 32


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanErrors:
    """What goes wrong from tile to tile, evenly drawn.

    Turned about its centre by -`rotation_deg` up to `rotation_deg`; moved by 0 to `shift_px` in any
    direction; brighter or darker by up to `brightness` grey levels of 255; the distance to the
    picture's mean times a factor in `contrast`; noise of standard deviation `noise` grey levels.
    """

    rotation_deg: float = 5.0
    shift_px: float = 30.0
    noise: float = 5.0
    brightness: float = 15.0
    contrast: tuple[float, float] = (0.8, 1.2)


@dataclass(frozen=True, slots=True, kw_only=True)
class GridPlan:
    """How many grids, of how many square tiles of `tile_px`; neighbours share a fifth of a side."""

    grids: int = 3
    rows: int = 3
    columns: int = 3
    tile_px: int = 1024

    @property
    def step_px(self) -> float:
        """How far the stage goes from tile to tile."""
        return self.tile_px * (1 - OVERLAP)

    def margin_px(self, errors: ScanErrors) -> int:
        """Return how far beyond its place a tile may reach: a turned one's corners stick out."""
        angle = np.deg2rad(min(errors.rotation_deg, 45.0))
        beyond = (np.cos(angle) + np.sin(angle) - 1) * self.tile_px / 2
        return int(np.ceil(beyond + errors.shift_px)) + MARGIN_PX

    def picture_shape(self, errors: ScanErrors) -> tuple[int, int]:
        """Return the (height, width) of the picture that one grid is cut from."""
        beside = self.tile_px + 2 * self.margin_px(errors)
        height, width = (
            int(np.ceil((count - 1) * self.step_px)) + beside for count in (self.rows, self.columns)
        )
        return height, width


def generate(
    out: Path,
    plan: GridPlan,
    errors: ScanErrors,
    *,
    images: Path | None,
    seed: int,
    progress: Progress,
) -> DemisTruth:
    """Write the data set into the folder `out` and return its truth, which is written last.

    Grids are cut from the images of a folder, one each in a random order, or from made textures.
    Raises ConfigRefused when `out` holds a data set, InputRefused naming an image that is unusable
    or smaller than a grid, and DiskFull.
    """
    if (out / TRUTH).exists():
        raise ConfigRefused(f"{out} holds a data set already", remedy="name another folder")
    names, pictures = _pictures(images, plan, plan.picture_shape(errors), seed)
    total, grids = plan.grids * plan.rows * plan.columns, []
    for number, picture in enumerate(pictures):
        name = f"grid_{number:03d}"
        rng = np.random.default_rng([seed, GRID_STREAM, number])
        _write_png(out / name / "reference.png", picture)
        tiles = []
        for tile in _tiles(name, plan, errors, rng):
            _write_png(out / tile.file, _scanned(picture, tile, plan.tile_px, errors, rng))
            tiles.append(tile)
            progress("tiles", number * plan.rows * plan.columns + len(tiles), total, name)
        _write_places(out / name, tiles)
        grids.append(_grid(name, plan, tiles))
    truth = DemisTruth(format=FORMAT, seed=seed, source=[*names], grids=tuple(grids))
    (out / TRUTH).write_text(truth.model_dump_json(indent=1) + "\n", encoding="utf-8")
    return truth


def _pictures(
    images: Path | None, plan: GridPlan, shape: tuple[int, int], seed: int
) -> tuple[list[str], Iterator[Picture]]:
    """Return of what the pictures are, and one for each grid."""
    rng = np.random.default_rng([seed, CHOICE_STREAM])
    if images is None:
        made = MadeSource()
        return [MADE], (_spread_out(made.patch(rng, shape)) for _ in range(plan.grids))
    files = image_files(images)
    chosen = [files[i] for i in rng.permutation(len(files))[: plan.grids]]
    found = micrographs((read_large(file, least_px=shape) for file in chosen), name=str(images))
    cut = (_spread_out(one.patch(rng, shape)) for one in islice(cycle(found), plan.grids))
    return sorted(file.name for file in chosen), cut


def _spread_out(patch: NDArray[np.float32]) -> Picture:
    """Return the patch in 16 bits, its darkest and brightest half percent outside the middle."""
    low, high = np.percentile(patch, [OUTERMOST, 100 - OUTERMOST])
    spread = DARK + (patch - low) * ((BRIGHT - DARK) / max(float(high - low), 1e-6))
    return _whole(spread)


def _tiles(
    grid: str, plan: GridPlan, errors: ScanErrors, rng: np.random.Generator
) -> Iterator[DemisTile]:
    """Yield the tiles of a grid, row by row, where they truly lie on the picture."""
    centre = np.full(2, (plan.tile_px - 1) / 2)
    for row in range(plan.rows):
        for column in range(plan.columns):
            nominal = plan.margin_px(errors) + plan.step_px * np.array([column, row])
            turned = np.deg2rad(rng.uniform(-errors.rotation_deg, errors.rotation_deg))
            away, moved = rng.uniform(0, 2 * np.pi), rng.uniform(0, errors.shift_px)
            cosine, sine = np.cos(turned), np.sin(turned)
            turn = np.array([[cosine, -sine], [sine, cosine]])
            there = nominal + centre + moved * np.array([np.cos(away), np.sin(away)])
            matrix = np.column_stack([turn, there - turn @ centre]).tolist()
            yield DemisTile(
                file=f"{grid}/tile_r{row:03d}_c{column:03d}.png",
                row=row,
                column=column,
                nominal_px=(float(nominal[0]), float(nominal[1])),
                to_reference=(tuple(matrix[0]), tuple(matrix[1])),
            )


def _scanned(
    picture: Picture, tile: DemisTile, tile_px: int, errors: ScanErrors, rng: np.random.Generator
) -> Picture:
    """Return the (tile_px, tile_px) counts of one tile."""
    matrix = np.array(tile.to_reference)
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    seen = cv2.warpAffine(picture, matrix, (tile_px, tile_px), flags=flags).astype(np.float32)
    mean, contrast = np.float32(picture.mean()), np.float32(rng.uniform(*errors.contrast))
    brighter = np.float32(GREY * rng.uniform(-errors.brightness, errors.brightness))
    noise = rng.standard_normal(seen.shape, dtype=np.float32) * np.float32(GREY * errors.noise)
    counts = mean + contrast * (seen - mean) + brighter + noise
    return _whole(counts)


def _whole(counts: NDArray[np.float32]) -> Picture:
    return np.asarray(np.clip(np.rint(counts), 0, FULL_SCALE), dtype=np.uint16)


def _grid(name: str, plan: GridPlan, tiles: list[DemisTile]) -> DemisGrid:
    return DemisGrid(
        name=name,
        rows=plan.rows,
        columns=plan.columns,
        tile_shape=(plan.tile_px, plan.tile_px),
        nominal_overlap=OVERLAP,
        reference=f"{name}/reference.png",
        tiles=tuple(tiles),
    )


def _write_places(folder: Path, tiles: list[DemisTile]) -> None:
    """Write where the stage says that the tiles lie, as `nightscope stitch` reads it."""
    entries = [
        TileEntry(name=Path(tile.file).name, x_px=tile.nominal_px[0], y_px=tile.nominal_px[1])
        for tile in tiles
    ]
    text = format_tile_configuration(entries)
    (folder / "TileConfiguration.txt").write_text(text, encoding="utf-8")


def _write_png(path: Path, pixels: Picture) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    _, encoded = cv2.imencode(".png", pixels)
    try:
        path.write_bytes(encoded.tobytes())
    except OSError as error:
        raise DiskFull(
            f"{path}: {error.strerror}", remedy="free some space, or name another folder"
        ) from None

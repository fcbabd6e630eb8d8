"""A contact sheet of the tiles that one method misclassified."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from export.evaluate.mistakes import WrongTile
from runtime.tile import Pixels

COLUMNS, MOST_TILES = 6, 48
TILE_IN, CAPTION_IN, DPI = 2.2, 0.62, 110
# As a microscopist sets the display: the darkest and brightest half per cent saturate.
DARK_PERCENT, BRIGHT_PERCENT = 0.5, 99.5
SHOWN_PX = 256

Load = Callable[[str], Pixels]


def draw_sheet(
    tiles: Sequence[WrongTile], classes: Sequence[str], load: Load, path: Path, *, title: str
) -> None:
    """Write the tiles, the most confident mistakes first, `load` reading an image by its name.

    Each says its name, seed, true class, and the class it was taken for with its score. Of more
    than 48 the rest is left out, and the title says so.
    """
    shown = tiles[:MOST_TILES]
    rows = max(-(-len(shown) // COLUMNS), 1)
    pictures = [_for_display(load(tile.name)) for tile in shown]
    tallest = max((picture.shape[0] / picture.shape[1] for picture in pictures), default=0.2)
    size = (COLUMNS * TILE_IN, rows * (TILE_IN * tallest + CAPTION_IN) + 0.4)
    figure = Figure(figsize=size, dpi=DPI, layout="constrained")
    figure.suptitle(_title(title, len(shown), len(tiles)), fontsize=10, x=0.01, ha="left")
    panels = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
    for axes in panels:
        axes.set_axis_off()
    for axes, tile, picture in zip(panels, shown, pictures, strict=False):
        axes.imshow(picture, cmap="gray", vmin=0, vmax=255)
        axes.set_title(_caption(tile, classes), fontsize=7, loc="left")
    figure.savefig(path)


def _title(title: str, shown: int, found: int) -> str:
    if found == 0:
        return f"{title}: nothing was misclassified"
    return f"{title}: {found} misclassified" + (f", first {shown}" if shown < found else "")


def _caption(tile: WrongTile, classes: Sequence[str]) -> str:
    return (
        f"{tile.name}  (seed {tile.seed})\n"
        f"is {classes[tile.target]}\n"
        f"taken for {classes[tile.predicted]}, {tile.score:.2f}"
    )


def _for_display(pixels: Pixels) -> NDArray[np.uint8]:
    """Return the image with its longer side at most `SHOWN_PX`, stretched to 8 bits."""
    scale = min(1.0, SHOWN_PX / max(pixels.shape))
    height, width = (max(1, round(side * scale)) for side in pixels.shape)
    small = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
    dark, bright = np.percentile(small, (DARK_PERCENT, BRIGHT_PERCENT))
    stretched = (small - dark) / max(float(bright - dark), 1.0)
    return np.asarray((np.clip(stretched, 0, 1) * 255).round(), dtype=np.uint8)

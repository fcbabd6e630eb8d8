"""Compile every kernel of matching and solving into Numba's cache, so that no tile waits for it."""

from __future__ import annotations

import gc
from functools import cache

import numpy as np

from runtime.compiler import let_go_of_compiler
from runtime.stitch.match.agreed import Agreed
from runtime.stitch.match.placed import Placed
from runtime.stitch.match.strips import StripPair
from runtime.stitch.match.turned import RigidMotion
from runtime.stitch.stitcher import Stitcher
from runtime.stitch.workers import workers
from runtime.tile import Pixels

SIDE_PX, STEP_PX, COLUMNS, ROWS = 96, 64, 4, 3
"""As many tiles as it takes until a new one is solved for with its neighbourhood alone."""

PITCH_PX = 8
"""Short enough that several places agree."""


@cache
def warm_kernels() -> None:
    """Compile or load the kernels; half a minute the first time on a machine, seconds after, and
    nothing again in one process.

    By stitching a dozen tiles that repeat, with noise, and placing the cells of one of them in
    itself: the kernels come in the types that a scan asks them for. What is loaded then is of no
    concern to the collector any more.
    """
    extent = (SIDE_PX + ROWS * STEP_PX, SIDE_PX + COLUMNS * STEP_PX)
    y, x = np.indices(extent) * (2 * np.pi / PITCH_PX)
    noise = np.random.default_rng(0).integers(0, 4000, extent)
    picture: Pixels = (noise + 2000 * (2 + np.cos(x) + np.cos(y))).astype(np.uint16)
    stitcher = Stitcher(px_from_stage=np.eye(2), stage_sigma_px=2.0, shape_px=(SIDE_PX, SIDE_PX))

    def tile(x: int, y: int) -> Pixels:
        return picture[y : y + SIDE_PX, x : x + SIDE_PX]

    steps = ((column * STEP_PX, row * STEP_PX) for row in range(ROWS) for column in range(COLUMNS))
    places = {f"{x}_{y}": (x, y) for x, y in steps}
    for name, (x, y) in places.items():
        stitcher.add(name, tile(x, y), x_um=x, y_um=y, earlier=lambda one: tile(*places[one]))
        stitcher.moved()
    # So the threads that draw the map are started, too, while there is memory for them.
    with workers():
        stitcher.solve()
    cells = np.indices((SIDE_PX, SIDE_PX))[:, ::8, ::8].reshape(2, -1).T.astype(np.float64)
    itself = StripPair(tile(0, 0), tile(0, 0), (0, 0), (0, 0), (0.0, 0.0), 0)
    Placed.of(itself, Agreed(RigidMotion(0.0, np.zeros(2)), cells, cells))
    let_go_of_compiler()
    gc.freeze()

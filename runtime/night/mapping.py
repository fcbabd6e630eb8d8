"""The growing map of one scan: its stitcher and its mosaic, sized from the plan."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from runtime.clock import SystemClock
from runtime.config.plan import Plan, PlannedTile
from runtime.distortion import Distortion
from runtime.instrument.rig import Rig
from runtime.record.run_folder import RunFolder
from runtime.stitch.map.mosaic import Mosaic
from runtime.stitch.match.learned import CellFinder
from runtime.stitch.stitcher import Stitcher

MARGIN_PX = 16


def map_of(
    folder: RunFolder,
    plan: Plan,
    planned: list[PlannedTile],
    rig: Rig,
    *,
    stage_from_px: NDArray[np.float64],
    distortion: Distortion | None,
    finder: CellFinder | None,
) -> tuple[Stitcher, Mosaic]:
    """Return an empty stitcher and mosaic for the planned tiles; `stage_from_px` is 2x2, µm/px.

    Both take out the calibrated `distortion`, if there is one. `finder` is the network that is
    asked for overlaps, None for none.
    """
    camera = rig.camera.info
    shape_px = (camera.height_px, camera.width_px)
    px_from_stage = np.linalg.inv(stage_from_px).astype(np.float64)
    pixel_size_um = float(np.sqrt(abs(np.linalg.det(stage_from_px))))
    # The rig comes to every tile from below: its slack is the same in all of them, and nothing for
    # the graph to tell. Recordings that were taken otherwise are what `nightscope stitch` is for.
    stitcher = Stitcher(
        px_from_stage=px_from_stage,
        stage_sigma_px=rig.stage_sigma_um / pixel_size_um,
        shape_px=shape_px,
        network=lambda: finder,
        known=distortion,
        calibrated=True,
    )
    mosaic = Mosaic(
        folder.mosaic,
        tile_shape_px=shape_px,
        pixel_size_um=pixel_size_um,
        dtype=np.dtype(np.uint16 if camera.full_scale > 255 else np.uint8),
        name=plan.name,
        simulated=rig.simulated,
        boot_id=SystemClock().instant().boot_id,
        bounds_px=_bounds_px(planned, px_from_stage, shape_px),
        distortion=distortion,
    )
    return stitcher, mosaic


def _bounds_px(
    planned: list[PlannedTile], px_from_stage: NDArray[np.float64], shape_px: tuple[int, int]
) -> tuple[float, float, float, float]:
    """Return (x0, y0, x1, y1) of the mosaic the plan covers, with room for the stage's errors."""
    centres = np.array([(t.x_um, t.y_um) for t in planned]) @ px_from_stage.T
    half = np.array(shape_px[::-1]) / 2 + MARGIN_PX
    x0, y0 = centres.min(axis=0) - half
    x1, y1 = centres.max(axis=0) + half
    return float(x0), float(y0), float(x1), float(y1)

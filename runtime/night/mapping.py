"""The growing map of one scan: its stitcher and its mosaic, sized from the plan."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from runtime.clock import SystemClock
from runtime.config.plan import PlannedTile
from runtime.distortion import Distortion
from runtime.instrument.rig import Rig
from runtime.record.run_folder import RunFolder
from runtime.record.trouble import again, trouble_is_told
from runtime.stitch.map.mosaic import Mosaic
from runtime.stitch.match.learned import CellFinder
from runtime.stitch.stitcher import Stitcher

MARGIN_PX = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """All that a map takes beside tiles and placements; the journal has it as a fact, so that it
    can be drawn again without an instrument.

    `stage_from_px` is 2x2, µm per px; `bounds_px` (x0, y0, x1, y1) is what the plan covers, with
    room for the stage's errors.
    """

    shape_px: tuple[int, int]
    full_scale: int
    simulated: bool
    stage_from_px: tuple[tuple[float, float], tuple[float, float]]
    stage_sigma_um: float
    bounds_px: tuple[float, float, float, float]

    @classmethod
    def of(
        cls, rig: Rig, planned: list[PlannedTile], *, stage_from_px: NDArray[np.float64]
    ) -> Self:
        """Return the ground of planned tiles on an instrument."""
        camera = rig.camera.info
        shape_px = (camera.height_px, camera.width_px)
        (m00, m01), (m10, m11) = stage_from_px.tolist()
        return cls(
            shape_px=shape_px,
            full_scale=camera.full_scale,
            simulated=rig.simulated,
            stage_from_px=((m00, m01), (m10, m11)),
            stage_sigma_um=rig.stage_sigma_um,
            bounds_px=_bounds_px(planned, np.linalg.inv(stage_from_px), shape_px),
        )

    @classmethod
    def read(cls, fact: dict[str, Any]) -> Self:
        """Return the ground from its fact in the journal. Raises TypeError for what is none."""
        return cls(**fact | {"shape_px": tuple(fact["shape_px"])})

    def fact(self) -> dict[str, Any]:
        """Return it as the journal keeps it."""
        return asdict(self)


def map_of(
    folder: RunFolder,
    name: str,
    ground: Ground,
    *,
    distortion: Distortion | None,
    finder: CellFinder | None,
    live: bool = True,
) -> tuple[Stitcher, Mosaic]:
    """Return an empty stitcher and mosaic on a ground.

    Both take out the calibrated `distortion`, if there is one. `finder` is the network that is
    asked for overlaps, None for none. A map that is not `live` takes the place of the one there is
    when it is settled, and owes nothing to it.
    """
    px_from_stage = np.linalg.inv(np.array(ground.stage_from_px, np.float64))
    pixel_size_um = float(np.sqrt(abs(np.linalg.det(ground.stage_from_px))))
    # The rig comes to every tile from below: its slack is the same in all of them, and nothing for
    # the graph to tell. Recordings that were taken otherwise are what `nightscope stitch` is for.
    stitcher = Stitcher(
        px_from_stage=px_from_stage.astype(np.float64),
        stage_sigma_px=ground.stage_sigma_um / pixel_size_um,
        shape_px=ground.shape_px,
        network=lambda: finder,
        known=distortion,
        calibrated=True,
    )

    def made() -> Mosaic:
        with trouble_is_told("making the map"):
            return Mosaic(
                folder.mosaic,
                tile_shape_px=ground.shape_px,
                pixel_size_um=pixel_size_um,
                dtype=np.dtype(np.uint16 if ground.full_scale > 255 else np.uint8),
                name=name,
                simulated=ground.simulated,
                boot_id=SystemClock().instant().boot_id if live else "",
                bounds_px=ground.bounds_px,
                distortion=distortion,
                live=live,
            )

    return stitcher, again(made)


def _bounds_px(
    planned: list[PlannedTile], px_from_stage: NDArray[Any], shape_px: tuple[int, int]
) -> tuple[float, float, float, float]:
    """Return (x0, y0, x1, y1) of the mosaic the plan covers, with room for the stage's errors."""
    centres = np.array([(t.x_um, t.y_um) for t in planned]) @ px_from_stage.T
    half = np.array(shape_px[::-1]) / 2 + MARGIN_PX
    x0, y0 = centres.min(axis=0) - half
    x1, y1 = centres.max(axis=0) + half
    return float(x0), float(y0), float(x1), float(y1)

"""A second look at a field that was good: is it the specimen that is strange, or the instrument?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runtime.instrument.rig import Rig
from runtime.night.glance import Glance, Glancer, brightness, displaced_px, fit
from runtime.night.suspicion import ALL_WHITE, BLACK, HALF
from runtime.night.witness import Witness
from runtime.record.rows import Doubt
from runtime.tile import Imaging, Shot

# As tiles that overlap, see `runtime.night.suspicion`; its focus may have moved.
AGREES = 0.4
# How far beside it is looked, of the shorter side: most of it is still seen; and at least so much
# further than a stage may err.
ASIDE, FURTHER = 0.15, 1.5
# A stage that errs by more than this many standard deviations has slipped.
SLIPPED_SIGMAS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownField:
    """Goes back to a good tile of the overview and compares.

    `imaging` is how the overview is taken, `stage_from_px` (2x2) its calibration.
    """

    rig: Rig
    witness: Witness
    imaging: Imaging
    glancer: Glancer
    stage_from_px: NDArray[np.float64]

    def look(self, known: Glance, *, here: Glance, objective: str) -> list[Doubt]:
        """Return what is wrong with the instrument, by frames taken beside where `known` was;
        nothing where it looks as it did. `here` is where the night stands, with `objective`, which
        is swung in again afterwards.

        Raises CameraFailed when no frame came.
        """
        other = objective != self.imaging.objective
        if other:
            self.rig.turret.select(objective=self.imaging.objective)
        # A stage that stands may stand there by chance, but not at both places.
        wrong = self._beside(known, here, 1) or self._beside(known, here, -1)
        if other:
            self.rig.turret.select(objective=objective)
        return wrong

    def _beside(self, known: Glance, here: Glance, way: int) -> list[Doubt]:
        seen, doubts = self._frame(known, here, way)
        return doubts or self._unlike(seen, known)

    def _frame(self, known: Glance, here: Glance, way: int) -> tuple[Glance, list[Doubt]]:
        """Take a frame a little towards where the night stands, or (`way` -1) away from it, on both
        axes: a stage of which one stands still would find back to the very place.
        """
        how = self.imaging
        height, width = (side * known.shrink for side in known.detail.shape)
        aside_um = max(ASIDE * min(height, width) * how.pixel_size_um, FURTHER * self._reach_um)
        travel = self.rig.stage.limits
        x_um = known.x_um + way * (aside_um if here.x_um >= known.x_um else -aside_um)
        y_um = known.y_um + way * (aside_um if here.y_um >= known.y_um else -aside_um)
        at = self.rig.approach(
            x_um=float(np.clip(x_um, *travel.x_um)),
            y_um=float(np.clip(y_um, *travel.y_um)),
            z_um=known.z_um,
        )
        frame = self.rig.expose(
            channel=how.light, brightness=how.brightness, exposure_ms=how.exposure_ms
        )
        shot = Shot(
            tile_id=known.tile_id,
            phase="overview",
            row=0,
            column=0,
            stage=at,
            imaging=how,
            taken=frame.at,
        )
        return self.glancer.look(shot, frame.pixels), list(self.witness.doubts)

    def _unlike(self, seen: Glance, known: Glance) -> list[Doubt]:
        if seen.peak < BLACK * known.peak:
            return [Doubt(kind="black", reason="it is black")]
        if seen.saturated >= ALL_WHITE > known.saturated:
            return [Doubt(kind="white", reason="it is white")]
        moved_um = seen.x_um - known.x_um, seen.y_um - known.y_um
        dx, dy = (float(px) for px in np.linalg.inv(self.stage_from_px) @ moved_um)
        ratio = brightness(seen, known, shift_px=(dx, dy), darkest=0.0)
        if ratio is not None and not HALF < ratio < 1 / HALF:
            said = f"it has {ratio:.0%} of the brightness it had"
            return [Doubt(kind="dim" if ratio < 1 else "bright", reason=said)]
        reach_px = self._reach_um / self.imaging.pixel_size_um
        agreement = fit(seen, known, shift_px=(dx, dy), reach_px=reach_px)
        if agreement is not None and agreement > AGREES:
            return []
        (x, y), agreement = displaced_px(known, seen)
        if agreement < AGREES:
            return [Doubt(kind="elsewhere", reason="something else is seen there")]
        # What lies at q in the frame taken now lay at q + (dx, dy).
        away_um = float(np.hypot(*(self.stage_from_px @ (x + dx, y + dy))))
        said = f"it lies {away_um:.0f} µm from where the stage was sent"
        return [Doubt(kind="elsewhere", reason=said)]

    @property
    def _reach_um(self) -> float:
        """How far off the stage may be."""
        return SLIPPED_SIGMAS * self.rig.stage_sigma_um

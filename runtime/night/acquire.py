"""Taking one tile: stage move, focus, exposure. Everything here runs in the control loop."""

from __future__ import annotations

from runtime.config.plan import PlannedTile
from runtime.errors import CameraFailed
from runtime.focus.keeper import FocusKeeper
from runtime.instant import Instant
from runtime.instrument.rig import Rig
from runtime.ports import CameraFrame
from runtime.record.rows import FocusRow
from runtime.tile import Imaging, Pixels, Shot

# A frame lost once is bad luck (a full USB bus); lost three times, the tile is given up.
FRAME_ATTEMPTS = 3


class Acquirer:
    """Takes planned tiles with one objective, a stage of `runtime.night.stages` at a time.

    `last_frame` is when the tile before was taken. The focus model is asked for that moment, so
    that the time the host takes in between cannot change the next tile.
    """

    def __init__(
        self, rig: Rig, keeper: FocusKeeper, imaging: Imaging, *, last_frame: Instant
    ) -> None:
        self._rig, self._keeper, self._imaging = rig, keeper, imaging
        self._last_frame = last_frame

    def move(self, planned: PlannedTile) -> None:
        """Go to the tile's place, arriving from below."""
        self._rig.approach(x_um=planned.x_um, y_um=planned.y_um)

    def focus(self, planned: PlannedTile) -> FocusRow:
        """Bring the tile into focus, as well as can be told; return how."""
        return self._keeper.focus_on(planned, at=self._last_frame)

    def expose(self, planned: PlannedTile, focus: FocusRow) -> tuple[Shot, Pixels]:
        """Return the shot and its raw (y, x) pixels.

        Raises CameraFailed when no usable frame came in several attempts.
        """
        frame = self._frame()
        stage = self._rig.position()
        self._last_frame = frame.at
        shot = Shot(
            tile_id=planned.tile_id,
            phase=planned.phase,
            region_id=planned.region_id,
            row=planned.row,
            column=planned.column,
            stage=stage,
            imaging=self._imaging,
            taken=frame.at,
            simulated=self._rig.simulated,
        )
        self._keeper.learn(focus, shot)
        return shot, frame.pixels

    def _frame(self) -> CameraFrame:
        how = self._imaging
        for attempt in range(FRAME_ATTEMPTS):
            try:
                return self._rig.expose(
                    channel=how.light, brightness=how.brightness, exposure_ms=how.exposure_ms
                )
            except CameraFailed:
                if attempt == FRAME_ATTEMPTS - 1:
                    raise
        raise AssertionError("unreachable")

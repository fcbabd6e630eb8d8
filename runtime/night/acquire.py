"""Taking one tile: stage move, focus, exposure. Everything here runs in the control loop."""

from __future__ import annotations

from dataclasses import dataclass

from runtime.config.plan import PlannedTile
from runtime.errors import CameraFailed
from runtime.focus.keeper import FocusKeeper
from runtime.instrument.rig import Rig
from runtime.ports import Frame
from runtime.record.budget import Meter
from runtime.record.rows import FocusRow
from runtime.tile import StagePosition, Tile

# A frame lost once is bad luck (a full USB bus); lost three times, the tile is given up.
FRAME_ATTEMPTS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """How the frames of one phase are exposed."""

    objective: str
    pixel_size_um: float
    channel: str
    brightness: float
    exposure_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A tile fresh from the camera, with the focus it was taken at."""

    tile: Tile
    focus: FocusRow
    region_id: str | None = None


class Acquirer:
    """Takes planned tiles with one objective.

    `last_frame_s` is the camera time of the last tile taken before, where drift is counted from.
    """

    def __init__(
        self,
        rig: Rig,
        keeper: FocusKeeper,
        exposure: Exposure,
        meter: Meter,
        *,
        last_frame_s: float,
    ) -> None:
        self._rig, self._keeper, self._exposure, self._meter = rig, keeper, exposure, meter
        self._time_s = last_frame_s

    def take(self, planned: PlannedTile, *, region_id: str | None = None) -> Taken:
        """Return the planned tile, in focus as well as can be told.

        Raises CameraFailed when no usable frame came in several attempts.
        """
        with self._meter.time("move", planned.tile_id):
            self._rig.approach(x_um=planned.x_um, y_um=planned.y_um)
        with self._meter.time("focus", planned.tile_id):
            focus = self._keeper.focus_on(planned, time_s=self._time_s)
        with self._meter.time("expose", planned.tile_id):
            frame = self._expose()
        self._time_s = frame.at.monotonic_s
        tile = self._tile(planned, frame, self._rig.position())
        at = tile.stage
        self._keeper.learn(focus, x_um=at.x_um, y_um=at.y_um, time_s=frame.at.monotonic_s)
        return Taken(tile=tile, focus=focus, region_id=region_id)

    def _expose(self) -> Frame:
        how = self._exposure
        for attempt in range(FRAME_ATTEMPTS):
            try:
                return self._rig.expose(
                    channel=how.channel, brightness=how.brightness, exposure_ms=how.exposure_ms
                )
            except CameraFailed:
                if attempt == FRAME_ATTEMPTS - 1:
                    raise
        raise AssertionError("unreachable")

    def _tile(self, planned: PlannedTile, frame: Frame, stage: StagePosition) -> Tile:
        how = self._exposure
        return Tile(
            tile_id=planned.tile_id,
            pixels=frame.pixels,
            stage=stage,
            pixel_size_um=how.pixel_size_um,
            exposure_ms=how.exposure_ms,
            light=how.channel,
            time_s=frame.at.monotonic_s,
            objective=how.objective,
            row=planned.row,
            column=planned.column,
            simulated=self._rig.simulated,
        )

"""Taking one tile: stage move, focus, exposure. Everything here runs in the control loop."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from runtime.config.plan import PlannedTile
from runtime.errors import CameraFailed
from runtime.focus.keeper import FocusKeeper
from runtime.instant import Instant
from runtime.instrument.rig import Rig
from runtime.night.watchman import Watchman
from runtime.ports import CameraFrame
from runtime.record.rows import Doubt, FocusRow, TileState
from runtime.tile import Imaging, Pixels, Shot, StackFrame

# A frame lost once is bad luck (a full USB bus); lost three times, the tile is given up.
FRAME_ATTEMPTS = 3


class Acquirer:
    """Takes planned tiles with one objective, a stage of `runtime.night.stages` at a time.

    `last_frame` is when the tile before was taken. The focus model is asked for that moment, so
    that the time the host takes in between cannot change the next tile. `watchman` is asked what is
    to be said of each; from one that is doubtful nothing is learnt before it is kept all the same.
    """

    def __init__(
        self,
        rig: Rig,
        keeper: FocusKeeper,
        imaging: Imaging,
        *,
        watchman: Watchman[Any],
        last_frame: Instant,
    ) -> None:
        self._rig, self._keeper, self._imaging = rig, keeper, imaging
        self._watchman, self._last_frame = watchman, last_frame
        self._doubts: list[Doubt] = []

    def move(self, planned: PlannedTile) -> None:
        """Go to the tile's place, arriving from below."""
        self._rig.approach(x_um=planned.x_um, y_um=planned.y_um)

    def focus(self, planned: PlannedTile) -> FocusRow:
        """Bring the tile into focus, as well as can be told; return how."""
        return self._keeper.focus_on(planned, at=self._last_frame)

    def expose(
        self, planned: PlannedTile, focus: FocusRow
    ) -> tuple[Shot, Pixels, tuple[StackFrame, ...]]:
        """Return the shot and its raw (y, x) pixels; of a tile of several frames those of the main
        one, and all of them in the order taken.

        Raises CameraFailed when no usable frame came in several attempts.
        """
        self._doubts.clear()
        how = self._imaging
        frames: tuple[StackFrame, ...] = ()
        if planned.frames:
            how, pixels, frames = self._stack(planned, focus.verdict.z_um)
            at = self._rig.instant()
        else:
            frame = self._frame(how)
            pixels, at = frame.pixels, frame.at
        stage = self._rig.position()
        shot = Shot(
            tile_id=planned.tile_id,
            phase=planned.phase,
            region_id=planned.region_id,
            row=planned.row,
            column=planned.column,
            stage=stage,
            imaging=how,
            taken=at,
            simulated=self._rig.simulated,
        )
        return shot, pixels, frames

    def watch(self, shot: Shot, raw: Pixels, focus: FocusRow) -> TileState:
        """Return what the watchman says of the tile, and learn from a good one."""
        state = self._watchman.look(shot, raw, tuple(self._doubts))
        if state.state == "good":
            self.learn(shot, focus)
        return state

    def learn(self, shot: Shot, focus: FocusRow) -> None:
        """Learn from a tile that goes into the journal: what a resumed run would know, no more."""
        self._last_frame = shot.taken
        self._keeper.learn(focus, shot)
        model = self._keeper.model
        if focus.looked and model.points:
            first = model.points[0]
            height_um, sigma_um = model.terms(at=shot.taken)["height"]
            since_s = shot.taken.since_s(first.at) or 0.0
            moved_um = (height_um - first.z_um, sigma_um)
            self._watchman.hear_focus(moved_um, since_first_s=since_s)

    def _stack(
        self, planned: PlannedTile, own_z_um: float
    ) -> tuple[Imaging, Pixels, tuple[StackFrame, ...]]:
        """Take all frames of a tile, in order, and go back to its own height.

        There an interrupted night would go on, so the next tile comes out the same either way.
        """
        assert planned.stack is not None
        frames: list[StackFrame] = []
        stands_um = 0.0
        for wanted in (*planned.frames, None):
            above_um = 0.0 if wanted is None else wanted.above_um
            if above_um != stands_um:
                self._rig.approach(z_um=own_z_um + above_um)
                stands_um = above_um
            if wanted is not None:
                how = replace(self._imaging, light=wanted.light, exposure_ms=wanted.exposure_ms)
                frames.append(
                    StackFrame(
                        light=wanted.light,
                        exposure_ms=wanted.exposure_ms,
                        above_um=above_um,
                        z_um=self._rig.position().z_um,
                        pixels=self._frame(how).pixels,
                    )
                )
        main = frames[planned.stack.main]
        how = replace(self._imaging, light=main.light, exposure_ms=main.exposure_ms)
        return how, main.pixels, tuple(frames)

    def _frame(self, how: Imaging) -> CameraFrame:
        for attempt in range(FRAME_ATTEMPTS):
            try:
                frame = self._rig.expose(
                    channel=how.light, brightness=how.brightness, exposure_ms=how.exposure_ms
                )
                self._doubts += self._watchman.witness.doubts
                return frame
            except CameraFailed:
                if attempt == FRAME_ATTEMPTS - 1:
                    raise
        raise AssertionError("unreachable")

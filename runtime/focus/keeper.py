"""Keeps one scan in focus: predict by the model, sweep where the prediction will not do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from runtime.config.plan import Plan, PlannedTile
from runtime.focus.loop import SweepRequest, sweep
from runtime.focus.model import FocusModel, FocusPoint
from runtime.instant import Instant
from runtime.instrument.rig import Rig
from runtime.record.rows import FocusRow, StoredTile
from runtime.tile import FocusVerdict, Pixels

# After an empty field, so many tiles are taken at the predicted z before another sweep is tried.
EMPTY_NEIGHBOURS = 2
# A short sweep is so many depths of field wide, and goes on once past an end by half of that. It is
# enough up to this σ, in depths of field; and it sees faint specimens that wide steps pass over.
NARROW_DEPTHS = 4
NARROW_SIGMA = 2.5


class FocusKeeper:
    """Finds z for every tile of a scan. The stage already stands at the tile's x and y.

    `model` learns from every good sweep; `should_stop` ends a sweep early.
    """

    def __init__(
        self,
        rig: Rig,
        plan: Plan,
        *,
        depth_of_field_um: float,
        correct: Callable[[Pixels], Pixels],
        should_stop: Callable[[], bool],
    ) -> None:
        low, high = rig.stage.limits.z_um
        self.model = FocusModel(
            depth_of_field_um=depth_of_field_um,
            limits_um=(low + rig.motion.approach_z_um, high),
            reach_um=plan.focus.range_um / 2,
        )
        self._rig, self._plan = rig, plan
        self._depth_of_field_um = depth_of_field_um
        self._correct, self._should_stop = correct, should_stop
        self._since_sweep = 0
        self._since_empty = EMPTY_NEIGHBOURS
        self._boot_id = ""

    def anchor(self, *, x_um: float, y_um: float) -> FocusPoint | None:
        """Sweep the whole range at a place known to hold something, and return the point found, or
        None.

        A scan that begins on empty tiles would otherwise have nothing to predict focus from.
        """
        self._rig.approach(x_um=x_um, y_um=y_um)
        verdict = self._sweep(self._plan.focus.start_z_um, narrow=False)
        if verdict.status != "ok":
            return None
        return FocusPoint(
            x_um=x_um,
            y_um=y_um,
            z_um=verdict.z_um,
            sigma_um=verdict.sigma_z_um,
            at=self._rig.instant(),
        )

    def restore(
        self,
        tiles: Sequence[StoredTile],
        focus: Mapping[str, FocusRow],
        *,
        anchors: Sequence[FocusPoint] = (),
        offset_um: tuple[float, float, float] = (0.0, 0.0, 0.0),
    ) -> None:
        """Learn anew what the journal holds, in the order that it came about.

        Of `anchors`, found before the first tile of a boot each, one of a boot without tiles comes
        before the next. `offset_um` (x, y, z) carries what was found with another objective over
        to this one; anchors are found with the overview's.
        """
        waiting = list(anchors)
        for tile in tiles:
            while any(point.at.boot_id == tile.shot.taken.boot_id for point in waiting):
                self.model.observe(_moved(waiting.pop(0), offset_um))
            row, at = focus[tile.tile_id], tile.shot.stage
            own = tile.shot.imaging.objective == self._plan.objective
            dx_um, dy_um, dz_um = (0.0, 0.0, 0.0) if own else offset_um
            self.learn(
                replace(row, verdict=replace(row.verdict, z_um=row.verdict.z_um + dz_um)),
                x_um=at.x_um + dx_um,
                y_um=at.y_um + dy_um,
                at=tile.shot.taken,
            )
        for point in waiting:
            self.model.observe(_moved(point, offset_um))

    def focus_on(self, tile: PlannedTile, *, at: Instant) -> FocusRow:
        """Bring the tile into focus and return how; the stage then stands at that z.

        `at` is the moment that the model is asked for.
        """
        row = self._find(tile, at)
        self._rig.approach(z_um=row.verdict.z_um)
        return row

    def learn(self, row: FocusRow, *, x_um: float, y_um: float, at: Instant) -> None:
        """Take in a tile's focus, at the place and time the tile was really taken.

        Fed with journaled values only, so that a resumed run predicts what this one would have.
        """
        if at.boot_id != self._boot_id:
            # Whatever made the last fields empty may have been the end of the boot before.
            self._boot_id, self._since_empty = at.boot_id, EMPTY_NEIGHBOURS
        self._since_sweep = 0 if row.source == "sweep" else self._since_sweep + 1
        self._since_empty = 0 if row.verdict.status == "empty" else self._since_empty + 1
        if row.source == "sweep" and row.verdict.status == "ok":
            self.model.observe(
                FocusPoint(
                    x_um=x_um,
                    y_um=y_um,
                    z_um=row.verdict.z_um,
                    sigma_um=row.verdict.sigma_z_um,
                    at=at,
                )
            )

    def _find(self, tile: PlannedTile, at: Instant) -> FocusRow:
        wanted = self._plan.focus
        start_z_um = wanted.start_z_um if tile.z_um is None else tile.z_um
        if wanted.policy == "fixed":
            fixed = FocusVerdict(status="ok", z_um=start_z_um, sigma_z_um=0.0)
            return FocusRow(tile_id=tile.tile_id, source="fixed", verdict=fixed)
        predicted = self.model.predict(x_um=tile.x_um, y_um=tile.y_um, at=at)
        told = wanted.policy == "every-tile" and tile.z_um is not None
        if predicted is None or told:
            verdict = self._sweep(start_z_um, narrow=False)
            return FocusRow(tile_id=tile.tile_id, source="sweep", verdict=verdict)
        if self._worth_a_sweep(tile, at):
            # A prediction that is not sure says where to begin, no more.
            narrow = predicted.sigma_um <= NARROW_SIGMA * self._depth_of_field_um
            verdict = self._sweep(predicted.z_um, narrow=narrow)
            return FocusRow(tile_id=tile.tile_id, source="sweep", verdict=verdict)
        verdict = FocusVerdict(status="ok", z_um=predicted.z_um, sigma_z_um=predicted.sigma_um)
        return FocusRow(tile_id=tile.tile_id, source="surface", verdict=verdict)

    def _worth_a_sweep(self, tile: PlannedTile, at: Instant) -> bool:
        """Return whether to sweep; the neighbours of an empty field are likely empty too."""
        wanted = self._plan.focus
        if wanted.policy == "every-tile":
            return True
        if self._since_empty < EMPTY_NEIGHBOURS and at.boot_id == self._boot_id:
            return False
        if self._since_sweep >= wanted.sweep_every:
            return True
        return bool(self.model.needs_look(x_um=tile.x_um, y_um=tile.y_um, at=at))

    def _sweep(self, start_z_um: float, *, narrow: bool) -> FocusVerdict:
        """Sweep the planned range, or a few depths of field around a prediction that can be relied
        on.
        """
        range_um = self._plan.focus.range_um
        if narrow:
            range_um = min(range_um, NARROW_DEPTHS * self._depth_of_field_um)
        return sweep(
            self._rig,
            request=SweepRequest(
                start_z_um=start_z_um,
                range_um=range_um,
                depth_of_field_um=self._depth_of_field_um,
                limits_um=self._rig.stage.limits.z_um,
            ),
            exposure_ms=self._plan.exposure_ms,
            channel=self._plan.light,
            brightness=self._plan.brightness,
            correct=self._correct,
            should_stop=self._should_stop,
        )


def _moved(point: FocusPoint, offset_um: tuple[float, float, float]) -> FocusPoint:
    dx_um, dy_um, dz_um = offset_um
    return replace(point, x_um=point.x_um + dx_um, y_um=point.y_um + dy_um, z_um=point.z_um + dz_um)

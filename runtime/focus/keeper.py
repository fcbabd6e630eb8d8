"""Keeps one scan in focus: predict by the model, look where the prediction will not do."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from runtime.config.plan import Plan, PlannedTile
from runtime.focus.autofocus import Focused
from runtime.focus.belief import Height
from runtime.focus.history import Before, found_at, in_order, moved
from runtime.focus.loop import find_focus
from runtime.focus.model import FocusModel, FocusPoint
from runtime.focus.search import FocusRequest
from runtime.focus.sight import Lamp
from runtime.focus.single_shot import SingleShot
from runtime.instant import Instant
from runtime.instrument.rig import Rig
from runtime.record.rows import FocusRow, StoredTile
from runtime.tile import FocusVerdict, Pixels, Shot

# After an empty field, so many tiles are taken at the predicted z before another sweep is tried.
EMPTY_NEIGHBOURS = 2
# A short sweep is so many depths of field wide, and goes on once past an end by half of that. It is
# enough up to this σ, in depths of field; and it sees faint specimens that wide steps pass over.
NARROW_DEPTHS = 4
NARROW_SIGMA = 2.5
# A measurer that was wrong so often on end is asked no more.
WRONG_TOO_OFTEN = 2


class FocusKeeper:
    """Finds z for every tile of a scan. The stage already stands at the tile's x and y.

    `model` learns from every focus found; `should_stop` ends a look early. `singles` are asked
    before a sweep.
    """

    def __init__(
        self,
        rig: Rig,
        plan: Plan,
        *,
        depth_of_field_um: float,
        correct: Callable[[Pixels], Pixels],
        should_stop: Callable[[], bool],
        singles: Sequence[SingleShot] = (),
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
        self._singles = tuple(singles)
        self._wrong = 0
        self._since_sweep = 0
        self._since_empty = EMPTY_NEIGHBOURS
        self._boot_id = ""

    def anchor(self, places: Sequence[tuple[float, float]]) -> list[FocusPoint]:
        """Look at places (x, y), learn from them, and return the points found: at the first, which
        is known to hold something, in the whole range where nothing tells more; at the others where
        the model then asks for it.

        A scan that begins on empty tiles would otherwise have nothing to predict focus from. Where
        the first shows nothing, there is nothing to begin with elsewhere either.
        """
        found: list[FocusPoint] = []
        for x_um, y_um in places:
            at = self._rig.instant()
            if found and not self.model.needs_look(x_um=x_um, y_um=y_um, at=at):
                continue
            self._rig.approach(x_um=x_um, y_um=y_um)
            known = self.model.predict(x_um=x_um, y_um=y_um, at=at)
            verdict = self._look(known, self._plan.focus.start_z_um).verdict
            if verdict.status == "ok":
                found.append(
                    FocusPoint(
                        x_um=x_um,
                        y_um=y_um,
                        z_um=verdict.z_um,
                        sigma_um=verdict.sigma_z_um,
                        at=self._rig.instant(),
                    )
                )
                self.model.observe(found[-1])
            elif not found:
                break
        return found

    def restore(
        self,
        tiles: Sequence[StoredTile],
        focus: Mapping[str, FocusRow],
        *,
        before: Before,
        offset_um: tuple[float, float, float] = (0.0, 0.0, 0.0),
    ) -> None:
        """Learn anew what the journal holds, in the order that it came about.

        `before` is what was known without a tile. `offset_um` (x, y, z) carries what was found with
        another objective over to this one; what was known before is so of the overview's.
        """
        for known in in_order(tiles, before):
            if isinstance(known, FocusPoint):
                self.model.observe(moved(known, offset_um))
                continue
            row, point = focus[known.tile_id], found_at(known.shot, focus[known.tile_id])
            own = known.shot.imaging.objective == self._plan.objective
            if point is not None:
                self.model.observe(point if own else moved(point, offset_um))
            self._count(row, known.shot.taken)

    def focus_on(self, tile: PlannedTile, *, at: Instant) -> FocusRow:
        """Bring the tile into focus and return how; the stage then stands at that z.

        `at` is the moment that the model is asked for.
        """
        row = self._find(tile, at)
        self._rig.approach(z_um=row.verdict.z_um)
        return row

    def learn(self, row: FocusRow, shot: Shot) -> None:
        """Take in the focus a shot was taken with, at the place and time it really was taken.

        Fed with what the journal will hold, so that a resumed run predicts what this one would
        have.
        """
        point = found_at(shot, row)
        if point is not None:
            self.model.observe(point)
        self._count(row, shot.taken)

    def _count(self, row: FocusRow, at: Instant) -> None:
        if at.boot_id != self._boot_id:
            # Whatever made the last fields empty may have been the end of the boot before.
            self._boot_id, self._since_empty = at.boot_id, EMPTY_NEIGHBOURS
        self._since_sweep = 0 if row.looked else self._since_sweep + 1
        self._since_empty = 0 if row.verdict.status == "empty" else self._since_empty + 1
        if row.looked and row.verdict.status == "ok":
            # What has to explain itself though it is well says that a measurer erred.
            self._wrong = self._wrong + 1 if row.verdict.reason else 0

    def _find(self, tile: PlannedTile, at: Instant) -> FocusRow:
        wanted = self._plan.focus
        start_z_um = wanted.start_z_um if tile.z_um is None else tile.z_um
        if wanted.policy == "fixed":
            fixed = FocusVerdict(status="ok", z_um=start_z_um, sigma_z_um=0.0)
            return FocusRow(tile_id=tile.tile_id, source="fixed", verdict=fixed)
        predicted = self.model.predict(x_um=tile.x_um, y_um=tile.y_um, at=at)
        if wanted.policy == "every-tile" and tile.z_um is not None:
            predicted = None
        if predicted is None or self._worth_a_sweep(tile, at):
            found = self._look(predicted, start_z_um)
            return FocusRow(tile_id=tile.tile_id, source=found.by, verdict=found.verdict)
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

    def _look(self, predicted: Height | None, start_z_um: float) -> Focused:
        """Look for focus a few depths of field around a prediction that can be relied on, else in
        the planned range, without any about `start_z_um`.
        """
        range_um, sigma_um = self._plan.focus.range_um, math.inf
        if predicted is not None:
            start_z_um, sigma_um = predicted.z_um, predicted.sigma_um
        # A prediction that is not sure says where to begin, no more.
        if sigma_um <= NARROW_SIGMA * self._depth_of_field_um:
            range_um = min(range_um, NARROW_DEPTHS * self._depth_of_field_um)
        return find_focus(
            self._rig,
            request=FocusRequest(
                start_z_um=start_z_um,
                start_sigma_um=sigma_um,
                range_um=range_um,
                depth_of_field_um=self._depth_of_field_um,
                limits_um=self._rig.stage.limits.z_um,
            ),
            lamp=Lamp(
                channel=self._plan.light,
                brightness=self._plan.brightness,
                exposure_ms=self._plan.exposure_ms,
            ),
            correct=self._correct,
            singles=self._singles if self._wrong < WRONG_TOO_OFTEN else (),
            should_stop=self._should_stop,
        )

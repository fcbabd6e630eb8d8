"""How a night comes to know where its stage stands: by switches, by a person, or by its own map.

A stage with switches is homed. One without is told by a person, once, before the run has left that
place; from then on, whenever the position is lost (the board restarted, a plug was pulled, another
process goes on with the run), it is looked for among the tiles (`runtime.night.relocation`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from runtime.calibrated.loaded import Calibrated
from runtime.config.plan import Plan, PlannedTile
from runtime.config.settings import Settings
from runtime.errors import InputRefused
from runtime.focus.belief import Height
from runtime.focus.sight import Lamp
from runtime.instrument.errors import OriginUnknown
from runtime.instrument.rig import Rig
from runtime.record.journal import Journal
from runtime.record.origins import EVENT, FOUND_AGAIN, FoundOrigin
from runtime.record.rows import StoredTile
from runtime.record.run_folder import RunFolder
from runtime.record.storage import read_pixels
from runtime.tile import Pixels, StageLimits

# What it needs takes long to load, and most nights lose no origin.
if TYPE_CHECKING:
    from runtime.night.relocation import Relocation

LOST_IN_A_ROW = 3
"""So many losses without a tile in between are no accident."""

LEFT = "origin_left"
"""The fact whether a stage that was told its origin may have left it since."""


def declare(rig: Rig, journal: Journal, *, origin_here: bool) -> None:
    """Home a stage; one without switches is told that it stands at its origin.

    Raises OriginUnknown where it was told before in this run and has moved, unless a person says
    (`origin_here`) that it was brought back.
    """
    if rig.declared is not None:
        if journal.fact(LEFT) and not origin_here:
            raise OriginUnknown(
                "it has no reference switches, and the run left its origin without taking a tile "
                "by which to find it"
            )
        journal.note(**{LEFT: True})
    rig.stage.home()


@dataclass(slots=True, kw_only=True)
class StageOrigin:
    """The origin of one run's stage, over one session. `heights` returns what predicts the z of
    focus at (x, y); `origin_here`: a person says that the stage stands at its origin.
    """

    rig: Rig
    folder: RunFolder
    journal: Journal
    plan: Plan
    planned: Sequence[PlannedTile]
    settings: Settings
    calibrated: Calibrated
    offset_um: tuple[float, float, float]
    heights: Callable[[], Callable[[float, float], Height | None]]
    should_stop: Callable[[], bool]
    origin_here: bool = False
    _losses: int = 0
    _tiles_then: int = field(default=-1)

    def establish(self) -> None:
        """Come to know where the stage stands at the beginning of a session.

        Raises OriginUnknown where a stage without switches cannot.
        """
        last = self.journal.last_tile()
        if self.rig.declared is None or last is None:
            declare(self.rig, self.journal, origin_here=self.origin_here)
            return
        if self.origin_here:
            self.rig.stage.home()
            at = last.shot.stage
            self.rig.approach(x_um=at.x_um, y_um=at.y_um, z_um=at.z_um)
        self._look_for_it(last)

    def find_again(self, error: Exception) -> None:
        """Find an origin that was lost in mid-session, as `error` says.

        Raises the error itself where no origin was lost, there is no tile to find it by, or it is
        lost again and again; OriginUnknown where it cannot be found.
        """
        stage, last = self.rig.declared, self.journal.last_tile()
        if stage is None or not stage.lost or last is None:
            raise error
        self._losses = self._losses + 1 if last.seq == self._tiles_then else 1
        self._tiles_then = last.seq
        if self._losses > LOST_IN_A_ROW:
            raise error
        self._tell("warning", "OriginLost", str(error))
        self._look_for_it(last)

    def _look_for_it(self, last: StoredTile) -> None:
        """Look for the origin, the stage being believed to stand where the last tile was taken."""
        believed = last.shot.stage
        visiting = last.shot.phase == "visit"
        found = self._relocation().find(
            believed, focus_z_um=believed.z_um - (self.offset_um[2] if visiting else 0.0)
        )
        self._keep(found)

    def _keep(self, found: FoundOrigin) -> None:
        with self.journal.transaction():
            now = asdict(self.rig.instant())
            kept = {"at": now, "offset_um": found.offset_um, **asdict(found)}
            self.journal.note(**{FOUND_AGAIN: [*self.journal.fact(FOUND_AGAIN, []), kept]})
            pixel_size_um = self.calibrated.pixel_size_um(self.plan.objective)
            self._tell("warning", EVENT, found.words(pixel_size_um))

    def _tell(self, level: str, kind: str, message: str) -> None:
        self.journal.event(at=self.rig.instant(), level=level, kind=kind, message=message)

    def _relocation(self) -> Relocation:
        from runtime.night.relocation import Relocation
        from runtime.stitch.look.place import KnownTile, TakenTiles

        stage, objective = self.rig.declared, self.plan.objective
        tiles = {tile.tile_id: tile for tile in self.journal.tiles("overview")}
        if not tiles:
            raise OriginUnknown("the run has no map yet by which to find it")
        assert stage is not None
        how = tiles[next(reversed(tiles))].shot.imaging
        stage_from_px = self.calibrated.stage_from_px(objective)
        return Relocation(
            rig=self.rig,
            stage=stage,
            objective=objective,
            wanted=self.plan.focus,
            lamp=Lamp(channel=how.light, brightness=how.brightness, exposure_ms=how.exposure_ms),
            correct=self.calibrated.corrector(objective).apply,
            depth_of_field_um=self.settings.objectives[objective].depth_of_field_um,
            stage_from_px=stage_from_px,
            overview=tiles,
            textured=[tile for name, tile in tiles.items() if not self._blank(name)],
            focus=self.journal.focus(),
            been=self._been(),
            scene=TakenTiles(
                [
                    KnownTile(tile_id=name, at_um=(tile.shot.stage.x_um, tile.shot.stage.y_um))
                    for name, tile in tiles.items()
                ],
                read=self._read,
                stage_from_px=stage_from_px,
                sigma_um=self.rig.stage_sigma_um,
            ),
            read=self._read,
            height=self.heights(),
            should_stop=self.should_stop,
        )

    def _blank(self, tile_id: str) -> bool:
        """Return whether a tile is known to show nothing."""
        matches = self.journal.matches_of(tile_id)
        return matches is not None and matches.blank

    def _been(self) -> StageLimits:
        """Return the box in which all places of this night lie, with the ways between them: where
        the stage stands if nobody but this night has moved it.
        """
        motion, focus = self.rig.motion, self.plan.focus
        taken = np.array(
            [(at.x_um, at.y_um, at.z_um) for at in (t.shot.stage for t in self.journal.tiles())]
        )
        meant = [(tile.x_um, tile.y_um) for tile in self.planned]
        seen = [self.settings.calibration.textured_field_um]
        places = np.vstack([taken[:, :2], meant, np.add(meant, self.offset_um[:2]), seen])
        (x0, y0), (x1, y1) = places.min(axis=0) - motion.approach_um, places.max(axis=0)
        heights = np.array([*taken[:, 2], focus.start_z_um])
        low, high = self.rig.stage.limits.z_um
        half_um = focus.range_um / 2
        z0 = max(low, heights.min() - half_um - motion.approach_z_um)
        z1 = min(high, heights.max() + half_um)
        return StageLimits(
            x_um=(float(x0), float(x1)), y_um=(float(y0), float(y1)), z_um=(float(z0), float(z1))
        )

    def _read(self, tile_id: str) -> Pixels | None:
        """Return a stored tile's corrected pixels, None for a file that cannot be read."""
        tile = self.journal.tile(tile_id)
        try:
            raw = read_pixels(self.folder.path / tile.file.file)
        except InputRefused:
            return None
        return self.calibrated.corrector(tile.shot.imaging.objective).apply(raw)

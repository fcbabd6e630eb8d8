"""The journey of a tile, on one screen.

plan -> [acquire: stage move -> focus -> exposure] -> belt -> [intake: store -> correct -> classify
-> register -> pose graph -> mosaic] -> labels -> regions -> visits (the same journey, another
objective) -> settled map. Acquisition is the control loop; intake runs on the compute worker, so
that compute hides behind the mechanics. Every step is a journal row, timed against its budget.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from runtime.config.plan import Plan, PlannedTile
from runtime.conveyor import Conveyor, alongside
from runtime.errors import CameraFailed, HardwareFailed, Stopped
from runtime.instrument.rig import Rig
from runtime.night.acquire import Acquirer, Taken
from runtime.night.intake import Intake, TileDone
from runtime.night.regions import find_regions
from runtime.night.visits import planned_frames
from runtime.record.journal import Journal
from runtime.tile import Region

# One lost field is an accident; this many in a row is a broken camera, and the night must pause.
LOST_IN_A_ROW = 3


class Watcher(Protocol):
    """Whoever looks on: the live line, or nobody."""

    def phase(self, name: str, *, total: int, done: int) -> None:
        """Hear that a phase begins."""

    def tile_done(self, tile: TileDone) -> None:
        """Hear that one more tile has gone all the way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """One run, from wherever its journal says it stands to the settled map.

    `acquirer` makes the taker of an objective's tiles; `should_stop` is asked between tiles.
    """

    plan: Plan
    planned: list[PlannedTile]
    rig: Rig
    journal: Journal
    acquirer: Callable[[str], Acquirer]
    intake: Intake
    offset_um: tuple[float, float, float]
    queue_tiles: int
    watcher: Watcher
    should_stop: Callable[[], bool]

    def run(self) -> None:
        """Take every planned tile, visit every region, settle the map.

        Raises Stopped when asked to stop, after finishing what was already exposed.
        """
        self.journal.note(state="scanning")
        self._take("overview", self.plan.objective, [(t, None) for t in self.planned])
        self._visit(self._regions())
        alongside(self.intake.settle, clock=self.rig.clock)

    def _regions(self) -> list[Region]:
        """Return the regions, found once, from the labels of the whole overview."""
        if self.plan.visits is None:
            return []
        if self.journal.fact("regions_found") is None:
            alongside(self.intake.settle, clock=self.rig.clock)
            tiles, journal = self.journal.tiles("overview"), self.journal
            journal.set_regions(
                find_regions(tiles, journal.labels(), journal.placements(), self.plan.visits)
            )
        return self.journal.regions()

    def _visit(self, regions: list[Region]) -> None:
        if self.plan.visits is None or not regions:
            return
        self.journal.note(state="visiting")
        wanted = self.plan.visits
        tiles = {t.tile_id: t for t in self.journal.tiles("overview")}
        frames = [
            (frame, region.region_id)
            for region in regions
            for frame in planned_frames(
                region, tiles, offset_um=self.offset_um, frames=wanted.frames_per_region
            )
        ]
        self._take("visit", wanted.objective, frames)
        taken = {t.tile_id for t in self.journal.tiles("visit")}
        for region in regions:
            if {f.tile_id for f, of in frames if of == region.region_id} <= taken:
                self.journal.mark_visited(region.region_id)

    def _take(
        self, phase: str, objective: str, planned: Iterable[tuple[PlannedTile, str | None]]
    ) -> None:
        """Take what the journal does not hold yet; intake follows on the compute worker."""
        known = {t.tile_id for t in self.journal.tiles()} | set(self.journal.skips())
        todo = [(tile, region) for tile, region in planned if tile.tile_id not in known]
        done = sum(t.phase == phase for t in self.journal.tiles())
        self.watcher.phase(phase, total=done + len(todo), done=done)
        if not todo:
            return
        self.rig.turret.select(objective=objective)
        acquirer = self.acquirer(objective)
        work = self.intake.overview if phase == "overview" else self.intake.visit
        lost = 0
        with Conveyor[Taken](work, size=self.queue_tiles, clock=self.rig.clock) as belt:
            for tile, region_id in todo:
                if self.should_stop():
                    raise Stopped("stopped on request", remedy="`nightscope resume` continues")
                try:
                    belt.put(acquirer.take(tile, region_id=region_id))
                except CameraFailed as error:
                    lost += 1
                    self._give_up(tile, error, lost)
                else:
                    lost = 0

    def _give_up(self, tile: PlannedTile, error: CameraFailed, lost_in_a_row: int) -> None:
        if lost_in_a_row >= LOST_IN_A_ROW:
            raise HardwareFailed(
                f"{lost_in_a_row} tiles in a row gave no frame: {error}",
                remedy="check the camera, then `nightscope resume` the run",
            ) from error
        self.journal.skip(tile_id=tile.tile_id, reason=str(error))

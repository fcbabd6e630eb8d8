"""The order of a night: the overview, then its regions, then the settled map.

What happens to a single tile is the table of `runtime.night.stages`: the control loop takes tiles
here, the compute worker takes them in behind it, so that compute hides behind the mechanics.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from runtime.config.plan import Plan, PlannedTile
from runtime.conveyor import Conveyor, Result, alongside
from runtime.errors import CameraFailed, HardwareFailed, Stopped
from runtime.instrument.rig import Rig
from runtime.night.acquire import Acquirer
from runtime.night.intake import Intake
from runtime.night.regions import find_regions
from runtime.night.second_looks import SecondLooks
from runtime.night.slip import Rift, Slip, rifts, slips
from runtime.night.stages import Journey, acquire, take_in
from runtime.night.visits import planned_frames
from runtime.night.watchman import Watchman
from runtime.record.budget import Meter
from runtime.record.journal import Journal
from runtime.record.rows import BEGUN
from runtime.tile import Region

# One lost field is an accident; this many in a row is a broken camera, and the night must pause.
LOST_IN_A_ROW = 3
SLIPS = "slips_told"


class Watcher(Protocol):
    """What a run reports its progress to: the live line, or nothing."""

    def phase(self, name: str, *, total: int, done: int) -> None:
        """Begin a phase."""

    def tile_done(self, tile: TileDone) -> None:
        """Take in a tile that has passed every stage."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TileDone:
    """What the live line shows of a finished tile."""

    tile_id: str
    label: str | None
    trusted: bool
    sigma_z_um: float
    residual_px: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """One run, from where its journal stands to the settled and judged map.

    `acquirer` makes the `Acquirer` of an objective; `should_stop` is asked between tiles.
    """

    plan: Plan
    planned: list[PlannedTile]
    rig: Rig
    journal: Journal
    acquirer: Callable[[str], Acquirer]
    watchman: Watchman[Journey]
    intake: Intake
    second_looks: SecondLooks
    meter: Meter
    offset_um: tuple[float, float, float]
    queue_tiles: int
    watcher: Watcher
    should_stop: Callable[[], bool]

    def run(self) -> None:
        """Take every planned tile, visit every region, settle the map and judge it.

        Raises Stopped when asked to stop, after finishing what was already exposed.
        """
        self.journal.note(state="scanning")
        self._take("overview", self.plan.objective, self.planned)
        self._look_again()
        self._visit(self._regions())
        for work in (self.intake.settle, self._tell_slips, self.intake.judge):
            self._alongside(work)
        self.journal.add_timings(self.meter.drain())

    def _tell_slips(self) -> None:
        """Tell, once each, where the settled map says that the stage slipped a little.

        Between two sessions it may stand elsewhere: it was homed anew, or time went by.
        """
        known, began = self.journal.fact(SLIPS, []), self.journal.fact(BEGUN, [])
        tiles, seams = self.journal.tiles("overview"), self.journal.seams()
        found: list[Slip | Rift] = [*rifts(tiles, seams)]
        found += slips(
            tiles,
            self.journal.placements(),
            seams,
            px_from_stage=self.watchman.suspicion.px_from_stage["overview"],
            stage_sigma_um=self.rig.stage_sigma_um,
        )
        fresh = [f for f in found if f.number not in began and f.after.tile_id not in known]
        for told in fresh:
            self.watchman.say("slip", told.words)
        self.journal.note(**{SLIPS: [*known, *(told.after.tile_id for told in fresh)]})

    def _look_again(self) -> None:
        """Look again at all overlaps that are left: where regions and seams lie depends on them."""
        while self._alongside(self.second_looks.one):
            self._stop_if_asked()

    def _regions(self) -> list[Region]:
        """Return the regions, found once, from the labels of the whole overview."""
        if self.plan.visits is None:
            return []
        if self.journal.fact("regions_found") is None:
            self._alongside(self.intake.settle)
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
            frame
            for region in regions
            for frame in planned_frames(
                region, tiles, offset_um=self.offset_um, frames=wanted.frames_per_region
            )
        ]
        self._take("visit", wanted.objective, frames)
        taken = {t.tile_id for t in self.journal.tiles("visit")}
        for region in regions:
            if {f.tile_id for f in frames if f.region_id == region.region_id} <= taken:
                self.journal.mark_visited(region.region_id)

    def _take(self, phase: str, objective: str, planned: Sequence[PlannedTile]) -> None:
        """Take what the journal does not hold yet; intake follows on the compute worker.

        What was doubtful, or gave no frame, is taken again in the end.
        """
        taken = self.journal.tiles()
        known = {tile.tile_id for tile in taken} | self._given_up()
        todo = [tile for tile in planned if tile.tile_id not in known]
        done = sum(tile.shot.phase == phase for tile in taken)
        self.watcher.phase(phase, total=done + len(todo), done=done)
        if not todo:
            return
        self.rig.turret.select(objective=objective)
        acquirer = self.acquirer(objective)
        self._pass(acquirer, todo)
        again = self.watchman.to_retake()
        if self.rig.recording is None:  # whose files do not get better
            again |= self.journal.lost()
        left = [tile for tile in todo if tile.tile_id in again]
        self.watchman.retaking = True
        self._pass(acquirer, left)
        self.watchman.retaking = False

    def _given_up(self) -> set[str]:
        """Return the tiles that a person has given up."""
        return self.journal.skips().keys() - self.journal.lost()

    def _pass(self, acquirer: Acquirer, todo: Sequence[PlannedTile]) -> None:
        """Take tiles once; those that the watchman vouches for, or must do with, go on."""
        lost = 0
        with self._belt() as belt:
            for tile in todo:
                if self.should_stop():
                    self._hand_on(self.watchman.rest(), acquirer, belt)
                self._stop_if_asked()
                if tile.tile_id in self._given_up():
                    continue  # since the pass began
                try:
                    journey = acquire(acquirer, Journey.to(tile), self.meter)
                except CameraFailed as error:
                    lost += 1
                    self._give_up(tile, error, lost)
                else:
                    lost = 0
                    self._hand_on(self.watchman.sort(journey), acquirer, belt)
            self._hand_on(self.watchman.rest(), acquirer, belt)

    def _hand_on(
        self, journeys: Sequence[Journey], acquirer: Acquirer, belt: Conveyor[Journey]
    ) -> None:
        busy = max(self.queue_tiles // 2, 1)
        for journey in journeys:
            assert journey.shot is not None
            assert journey.focus is not None
            if journey.state is not None and journey.state.state != "good":
                acquirer.learn(journey.shot, journey.focus)
            with self.meter.waiting():
                belt.put(replace(journey, hurried=belt.waiting >= busy))

    def _belt(self) -> Conveyor[Journey]:
        return Conveyor(
            self._take_in,
            size=self.queue_tiles,
            clock=self.rig.clock,
            idle=self.second_looks.one,
            asked=self.should_stop,
        )

    def _alongside(self, work: Callable[[], Result]) -> Result:
        return alongside(work, clock=self.rig.clock, asked=self.should_stop)

    def _stop_if_asked(self) -> None:
        if self.should_stop():
            raise Stopped("stopped on request", remedy="`nightscope resume` continues")

    def _take_in(self, journey: Journey) -> None:
        journey = take_in(self.intake, journey, self.meter)
        self.second_looks.note(journey)
        label, matches, focus = journey.label, journey.matches, journey.focus
        self.watcher.tile_done(
            TileDone(
                tile_id=journey.tile_id,
                label=label.name if label else None,
                trusted=label is None or label.trusted,
                sigma_z_um=focus.verdict.sigma_z_um if focus else 0.0,
                residual_px=self.intake.residual_px(matches) if matches else None,
            )
        )

    def _give_up(self, tile: PlannedTile, error: CameraFailed, lost_in_a_row: int) -> None:
        if lost_in_a_row >= LOST_IN_A_ROW and not self.watchman.retaking:
            raise HardwareFailed(
                f"{lost_in_a_row} tiles in a row gave no frame: {error}",
                remedy="check the camera, then `nightscope resume` the run",
            ) from error
        self.journal.skip(tile_id=tile.tile_id, reason=str(error))

"""Puts one scan together: the opened rig, the calibrations and the journal become a pipeline."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

import numpy as np

from runtime.calibrated.loaded import Calibrated
from runtime.config.plan import Focus, Plan, PlannedTile
from runtime.config.settings import Settings
from runtime.conveyor import Errand, Result, begin, result_of
from runtime.focus.belief import Height
from runtime.focus.first_looks import spread
from runtime.focus.history import ANCHORS, STARTED, Before
from runtime.focus.keeper import FocusKeeper
from runtime.focus.single_shot import SingleShot
from runtime.instrument.rig import Rig
from runtime.night.acquire import Acquirer
from runtime.night.equipment import microscope_of
from runtime.night.glance import Glancer
from runtime.night.intake import Intake
from runtime.night.known_field import KnownField
from runtime.night.measurers import measurers
from runtime.night.models import RunModels
from runtime.night.origin import StageOrigin
from runtime.night.pipeline import Pipeline, Watcher
from runtime.night.second_looks import SecondLooks
from runtime.night.stages import Journey, catch_up
from runtime.night.stop import StopRequest
from runtime.night.suspicion import Suspicion
from runtime.night.watchman import Watchman
from runtime.night.witness import Witness
from runtime.record.budget import Meter
from runtime.record.journal import Journal
from runtime.record.microscope import Microscope
from runtime.record.rows import StoredTile
from runtime.record.run_folder import RunFolder
from runtime.tile import Imaging

# A tile and its neighbour may both err: three standard deviations of their difference.
REACH_SIGMAS = 3 * 2**0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """Everything a scan is made of; `planned` is where the overview's tiles are to be taken,
    `witness` the rig's camera.
    """

    folder: RunFolder
    journal: Journal
    plan: Plan
    planned: list[PlannedTile]
    settings: Settings
    rig: Rig
    witness: Witness
    calibrated: Calibrated
    models: RunModels
    meter: Meter
    should_stop: StopRequest
    origin_here: bool = False

    def run(self, watcher: Watcher) -> None:
        """Find the microscope's place again, and scan to the settled map.

        Where a stage without switches loses its place on the way, it is found again by the map, and
        the scan goes on.
        """
        planned = self.planned
        self._singles(self.plan.objective)  # what is refused is refused before anything moves
        self._note(planned)
        preparing = begin(lambda: self._prepare(planned))
        origin = self._origin(planned)
        with self.meter.readying():
            origin.establish()
            self._return_to_last_tile()
        self._return_in_time()  # after the move, which takes time that no uninterrupted run has
        while True:
            try:
                with self.meter.readying():
                    self._anchor_focus(planned)
                intake, second_looks = self._result_of(preparing)
                self._pipeline(planned, intake, second_looks, watcher).run()
            except self.rig.trouble as error:
                origin.find_again(error)
                self._return_to_last_tile()
            else:
                return

    def _result_of(self, errand: Errand[Result]) -> Result:
        return result_of(errand, clock=self.rig.clock, asked=self.should_stop)

    def _pipeline(
        self,
        planned: list[PlannedTile],
        intake: Intake,
        second_looks: SecondLooks,
        watcher: Watcher,
    ) -> Pipeline:
        watchman = self._watchman()
        recalling = begin(lambda: watchman.recall(lambda tile: intake.read_back(tile)[1]))
        self._result_of(recalling)
        return Pipeline(
            plan=self.plan,
            planned=planned,
            rig=self.rig,
            journal=self.journal,
            acquirer=lambda objective: self._acquirer(objective, watchman),
            watchman=watchman,
            intake=intake,
            second_looks=second_looks,
            meter=self.meter,
            offset_um=self._offset_um,
            queue_tiles=self.settings.pipeline.queue_tiles,
            watcher=watcher,
            should_stop=self.should_stop,
        )

    def _origin(self, planned: list[PlannedTile]) -> StageOrigin:
        return StageOrigin(
            rig=self.rig,
            folder=self.folder,
            journal=self.journal,
            plan=self.plan,
            planned=planned,
            settings=self.settings,
            calibrated=self.calibrated,
            offset_um=self._offset_um,
            heights=self._heights,
            should_stop=self.should_stop,
            origin_here=self.origin_here,
        )

    def _heights(self) -> Callable[[float, float], Height | None]:
        """Return what predicts the z of focus at (x, y) by what the journal holds now."""
        model, now = self._restored(self.plan.objective).model, self.rig.instant()
        return lambda x_um, y_um: model.predict(x_um=x_um, y_um=y_um, at=now)

    @property
    def _offset_um(self) -> tuple[float, float, float]:
        visits = self.plan.visits
        return self.calibrated.offset_um(visits.objective) if visits else (0.0, 0.0, 0.0)

    def _note(self, planned: list[PlannedTile]) -> None:
        info = self.rig.camera.info
        self.journal.note(
            name=self.plan.name,
            simulated=self.rig.simulated,
            tiles_planned=len(planned),
            planned_ids=[tile.tile_id for tile in planned],
            plan=self.plan.model_dump(mode="json"),
            settings=self.settings.model_dump(mode="json"),
            tile_px=[info.height_px, info.width_px],
            recording=self.settings.model_dump(mode="json")["recording"],
            microscope=self._microscope.fact(),
            calibrations=[r.model_dump(mode="json") for r in self.calibrated.records],
            depth_of_field_um={
                name: o.depth_of_field_um for name, o in self.settings.objectives.items()
            },
        )

    @property
    def _microscope(self) -> Microscope:
        return microscope_of(self.rig, self.settings, self.calibrated)

    def _watchman(self) -> Watchman[Journey]:
        """Return who watches the frames of this session."""
        camera, overview = self.rig.camera.info, self.plan.objective
        correctors = self.calibrated.corrector
        glancers = {
            name: Glancer(correctors(name), full_scale=camera.full_scale)
            for name in self.plan.objectives
        }
        phases = dict(zip(("overview", "visit"), self.plan.objectives, strict=False))
        field = KnownField(
            rig=self.rig,
            witness=self.witness,
            imaging=self._imaging(self.plan),
            glancer=glancers[overview],
            stage_from_px=self.calibrated.stage_from_px(overview),
        )
        return Watchman(
            journal=self.journal,
            witness=self.witness,
            suspicion=Suspicion(
                px_from_stage={
                    phase: np.linalg.inv(self.calibrated.stage_from_px(name)).astype(np.float64)
                    for phase, name in phases.items()
                },
                full_scale=camera.full_scale,
                reach_um=REACH_SIGMAS * self.rig.stage_sigma_um,
            ),
            glancers=glancers.__getitem__,
            known_field=None if self.rig.recording is not None else field,
            say=self._say,
        )

    def _say(self, kind: str, message: str) -> None:
        """Enter into the log what somebody should look at."""
        at = self.rig.clock.instant()
        self.journal.event(at=at, level="finding", kind=kind, message=message)

    def _prepare(self, planned: list[PlannedTile]) -> tuple[Intake, SecondLooks]:
        """Return the compute side, brought up to the journal, and what it is to look at again; for
        a thread while the stage homes.

        Loaded only here, because what it needs takes as long to load as homing takes.
        """
        from runtime.night.mapping import Ground, map_of

        stage_from_px = self.calibrated.stage_from_px(self.plan.objective)
        ground = Ground.of(self.rig, planned, stage_from_px=stage_from_px)
        self.journal.note(ground=ground.fact())
        stitcher, mosaic = map_of(
            self.folder,
            self.plan.name,
            ground,
            distortion=self.calibrated.distortion,
            finder=self.models.finder,
        )
        intake = Intake(
            folder=self.folder,
            journal=self.journal,
            corrector=self.calibrated.corrector,
            classifier=self.models.classifier,
            stitcher=stitcher,
            mosaic=mosaic,
            microscope=self._microscope,
        )
        looks = SecondLooks(intake=intake, meter=self.meter, asks=self.models.finder is not None)
        catch_up(intake)
        looks.recall()
        return intake, looks

    def _return_to_last_tile(self) -> None:
        """Move to where the last journaled tile was taken.

        The drives' slack is then on the flank it was on, so the next tile comes out as it would
        have without the interruption.
        """
        tile = self.journal.last_tile()
        if tile is None:
            return
        last, at = tile.shot, tile.shot.stage
        self.rig.turret.select(objective=last.imaging.objective)
        self.rig.approach(x_um=at.x_um, y_um=at.y_um, z_um=at.z_um)

    def _return_in_time(self) -> None:
        """Take a simulated world back to when the last journaled tile was taken."""
        tile = self.journal.last_tile()
        if tile is not None:
            self.rig.resume_at(tile.shot.taken)

    def _anchor_focus(self, planned: list[PlannedTile]) -> None:
        """Find focus where the slide is known to hold something, before the first tile of a boot,
        and towards the corners of the scan where that does not tell of them.

        The focus model is as good as new from there. What a machine that was off for an unknown
        time knew of its focus only says where to look.
        """
        now = self.rig.instant()
        if self.plan.focus.points and self.journal.fact(STARTED) is None:
            self.journal.note(**{STARTED: asdict(now)})
        if self.plan.focus.policy != "surface" or self._same_boot(self.journal.last_tile()):
            return
        before = Before.read(self.journal, self.plan.focus)
        anchors = [point for point in before.anchors if point.at.boot_id != now.boot_id]
        self.rig.turret.select(objective=self.plan.objective)
        keeper = self._keeper(self.plan.objective, self.plan)
        keeper.restore(
            self.journal.tiles("overview"),
            self.journal.focus(),
            before=replace(before, anchors=tuple(anchors)),
        )
        places = [self.settings.calibration.textured_field_um, *spread(planned)]
        known = [*anchors, *keeper.anchor(places)]
        self.journal.note(**{ANCHORS: [asdict(point) for point in known]})

    def _same_boot(self, tile: StoredTile | None) -> bool:
        """Return whether there is a tile that was taken since the machine last started."""
        return tile is not None and self.rig.instant().since_s(tile.shot.taken) is not None

    def _visiting(self, objective: str) -> bool:
        return self.plan.visits is not None and objective == self.plan.visits.objective

    def _restored(self, objective: str) -> FocusKeeper:
        """Return the keeper of an objective's focus, its model rebuilt from the journal."""
        visiting = self._visiting(objective)
        keeper = self._keeper(objective, self._visiting_plan() if visiting else self.plan)
        keeper.restore(
            self.journal.tiles(None if visiting else "overview"),
            self.journal.focus(),
            before=Before.read(self.journal, self.plan.focus),
            offset_um=self._offset_um if visiting else (0.0, 0.0, 0.0),
        )
        return keeper

    def _acquirer(self, objective: str, watchman: Watchman[Journey]) -> Acquirer:
        """Return the taker of an objective's tiles, its focus model rebuilt from the journal."""
        plan = self._visiting_plan() if self._visiting(objective) else self.plan
        keeper = self._restored(objective)
        last, now = self.journal.last_tile(), self.rig.instant()
        since = last.shot.taken if last and self._same_boot(last) else now
        return Acquirer(self.rig, keeper, self._imaging(plan), watchman=watchman, last_frame=since)

    def _imaging(self, plan: Plan) -> Imaging:
        """Return how a plan's frames are taken, each through the plan's one objective."""
        return Imaging(
            objective=plan.objective,
            pixel_size_um=self.calibrated.pixel_size_um(plan.objective),
            light=plan.light,
            brightness=plan.brightness,
            exposure_ms=plan.exposure_ms,
        )

    def _keeper(self, objective: str, plan: Plan) -> FocusKeeper:
        return FocusKeeper(
            self.rig,
            plan,
            depth_of_field_um=self.settings.objectives[objective].depth_of_field_um,
            correct=self.calibrated.corrector(objective).apply,
            should_stop=self.should_stop,
            singles=self._singles(objective),
        )

    def _singles(self, objective: str) -> list[SingleShot]:
        """Return what is asked before a sweep."""
        return measurers(
            self.settings,
            self.calibrated.led_pairs.get(objective),
            objective=objective,
            network=self.models.regressor if objective == self.plan.objective else None,
        )

    def _visiting_plan(self) -> Plan:
        """Return the plan as the visits see it: a short sweep at every frame."""
        visits = self.plan.visits
        assert visits is not None
        focus = Focus(policy="every-tile", range_um=self.plan.focus.range_um)
        return self.plan.model_copy(
            update={
                "objective": visits.objective,
                "exposure_ms": visits.exposure_ms,
                "focus": focus,
            }
        )

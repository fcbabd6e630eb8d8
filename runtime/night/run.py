"""One run from its folder to its report; the journal says which part of it is still to do."""

from __future__ import annotations

import resource
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

from rich.console import Console

from runtime.calibrated.loaded import Calibrated
from runtime.config.plan import Plan
from runtime.config.settings import Settings
from runtime.conveyor import begin, result_of
from runtime.errors import Stopped
from runtime.instant import Instant
from runtime.instrument.rig import Rig
from runtime.night.fitness import check_settings
from runtime.night.live import LiveLine
from runtime.night.mend import mend
from runtime.night.models import RunModels, models_of
from runtime.night.origin import LEFT, declare
from runtime.night.outlook import Outlook
from runtime.night.preflight import preflight
from runtime.night.renewal import load_renewed
from runtime.night.scan import Scan
from runtime.night.sessions import begin_session
from runtime.night.stages import budgets
from runtime.night.stop import StopRequest
from runtime.night.told import told_why
from runtime.night.witness import Witness
from runtime.ports import Clock
from runtime.record.budget import Meter, stage_table
from runtime.record.journal import Journal
from runtime.record.run_folder import RunFolder, RunLock
from runtime.record.summary import late_stages, summarise
from runtime.report.attention import attention
from runtime.report.findings import findings
from runtime.report.run_data import read_run

FINISHED, UNFINISHED_BUSINESS = 0, 5
SLOWLY = 500
"""Files whose digests take long enough to be told how far it is."""


class OpenMicroscope(Protocol):
    """Opens the instrument of some settings; see `runtime.instrument.opening.open_microscope`."""

    def __call__(
        self, settings: Settings, *, truth: Path | None = None
    ) -> AbstractContextManager[Rig]:
        """Return the rig, made safe on leaving."""


class Calibrate(Protocol):
    """Runs the routines a plan needs; see `calibration.routines.ensure`."""

    def __call__(
        self,
        rig: Rig,
        settings: Settings,
        *,
        objectives: tuple[str, ...],
        progress: Callable[[str], None],
    ) -> object:
        """File the records in the settings' calibration folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Night:
    """One run under way. `clock` is the host's, whatever the instrument's is; `said` is what the
    user has been told of it; `origin_here`: a person says that the stage was brought to its origin.
    """

    folder: RunFolder
    journal: Journal
    plan: Plan
    settings: Settings
    open_microscope: OpenMicroscope
    calibrate: Calibrate
    console: Console
    clock: Clock
    should_stop: StopRequest
    said: set[str] = field(default_factory=set[str])
    origin_here: bool = False

    def go_on(self) -> None:
        """Do what the journal does not show as done, to the exported map."""
        check_settings(self.plan, self.settings)
        if self.journal.fact("created") is None:
            self.journal.note(created=asdict(self.clock.instant()))
            self._say_assumed()
        self.folder.make_ready()
        opening, warming = begin(self._models), begin(warm_kernels)
        if self.settings.calibration.automatic and not self.journal.fact("calibrated"):
            # A model that is refused is refused before anything moves.
            self._calibrate(result_of(opening, clock=self.clock, asked=self.should_stop))
        with self.open_microscope(self.settings, truth=self.folder.truth) as rig:
            # A tile's budget has no time for a compiler.
            result_of(warming, clock=rig.clock, asked=self.should_stop)
            self._scan(rig, result_of(opening, clock=rig.clock, asked=self.should_stop))

    def _models(self) -> RunModels:
        return models_of(self.folder, self.journal, self.plan, self.settings)

    def mend(self) -> None:
        """Look at every file of the run that the journal knows, before anything rests on it."""
        said = 0

        def asked(done: int, of: int) -> None:
            nonlocal said
            if self.should_stop():
                raise Stopped(
                    "stopped while checking files", remedy="`nightscope resume` begins anew"
                )
            if done * 10 // of > said and of >= SLOWLY:
                said = done * 10 // of
                self.console.print(f"checking files: {done} of {of}")

        mend(self.folder, self.journal, self.clock, said=asked)

    def finish(self) -> None:
        """Write what is derived, and that the run is finished."""
        peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        peak_mb = max(peak_mb, self.journal.fact("peak_memory_mb", 0.0))
        self.journal.note(peak_memory_mb=round(peak_mb, 1))
        finish().finish(self.folder, self.journal, self.clock)

    def rebuild(self) -> None:
        """Make map, exports and report again, from what is stored."""
        from runtime.night.rebuild import rebuild

        rebuild(self.folder, self.journal, self.plan, self.settings, self.clock)

    def _say_assumed(self) -> None:
        """Tell, now and in the log, what the plan left open."""
        for said in self.plan.assumed:
            self.console.print(f"assumed: {said}")
            now = self.clock.instant()
            self.journal.event(at=now, level="info", kind="assumed", message=said)

    def _scan(self, rig: Rig, models: RunModels) -> None:
        clock, start_s = self.clock, self.clock.now_s()
        frames = self.plan.frames_a_tile
        self.journal.set_stages(budgets(self.settings.budgets_ms, frames_a_tile=frames))
        meter = Meter(clock, self.journal.stages())
        calibrated = load_renewed(
            self.folder,
            self.journal,
            rig,
            self.plan,
            self.settings,
            calibrate=self._run_routines,
            clock=clock,
        )
        models = models.guarded(calibrated.guard, folder=self.folder.calibration)
        seen = self._look_ahead(rig, models, calibrated)
        live = LiveLine(
            self.console,
            meter=meter,
            clock=clock,
            simulated=rig.simulated,
            labels=[label for _, label in sorted(self.journal.labels().items())],
            visits=seen.visits,
            visit_s=seen.visit_s,
        )
        witness = Witness(camera=rig.camera, instant=rig.instant, live=rig.recording is None)
        rig = replace(rig, camera=witness)
        scan = Scan(
            folder=self.folder,
            journal=self.journal,
            plan=self.plan,
            planned=list(seen.planned),
            settings=self.settings,
            rig=rig,
            witness=witness,
            calibrated=calibrated,
            models=models,
            meter=meter,
            should_stop=self.should_stop,
            origin_here=self.origin_here,
        )
        try:
            with live:
                scan.run(live)
        finally:
            self.add_up(
                scan_s=clock.now_s() - start_s,
                stage_waited_s=meter.waited_s,
                readied_s=meter.readied_s,
            )
            if self.journal.fact("first_tile_s") is None:
                self.journal.note(first_tile_s=live.first_tile_s)

    def _look_ahead(self, rig: Rig, models: RunModels, calibrated: Calibrated | None) -> Outlook:
        """Refuse what would end the night later; say what it will be."""
        seen = preflight(
            self.plan,
            self.settings,
            rig,
            calibrated=calibrated,
            classifier=models.classifier,
            folder=self.folder.path,
            now=self.clock.instant(),
            known=self._moments(),
            taken=self.journal.tiles(),
        )
        fresh = [said for said in (*seen.words, *seen.told) if said not in self.said]
        self.said.update(fresh)
        for said in fresh:
            self.console.print(said, markup=False, highlight=False, soft_wrap=True)
        for said in fresh:
            if said not in seen.told:
                continue
            now = self.clock.instant()
            self.journal.event(at=now, level="warning", kind="preflight", message=said)
        return seen

    def _moments(self) -> list[Instant]:
        """Return when this machine is known to have worked on the run, by its own clock."""
        created = self.journal.fact("created")
        begun = [Instant(**created)] if created else []
        return [*begun, *(event.at for event in self.journal.events())]

    def add_up(self, **seconds: float) -> None:
        """Add to facts that are summed over the sessions of an interrupted run."""
        sums = {name: self.journal.fact(name, 0.0) + more for name, more in seconds.items()}
        self.journal.note(**sums)

    def _calibrate(self, models: RunModels) -> None:
        """Run every routine from the start.

        A half-calibrated microscope starts afresh, so that an interrupted calibration ends with
        the same records as one left in peace. A stage without switches goes back to its origin, so
        that it stands there when it is opened again.
        """
        self.journal.note(state="calibrating")
        start_s = self.clock.now_s()
        self.journal.keep("sealed", [])  # until there are others, none is missed
        for record in self.folder.calibration.iterdir():
            record.unlink()
        with self.open_microscope(self.settings) as rig:
            self._look_ahead(rig, models, None)
            declare(rig, self.journal, origin_here=self.origin_here)
            self._run_routines(rig)
            if rig.declared is not None:
                rig.approach(x_um=0.0, y_um=0.0, z_um=0.0)
        calibration_s = self.clock.now_s() - start_s
        with self.journal.transaction():
            self.folder.keep_sealed(self.journal)
            self.journal.note(calibrated=True, calibration_s=calibration_s, **{LEFT: False})

    def _run_routines(self, rig: Rig) -> None:
        """Run those routines whose records are missing or cannot serve."""
        self.calibrate(
            rig, self.settings, objectives=self.plan.objectives, progress=self._calibrating
        )

    def _calibrating(self, said: str) -> None:
        """Say which routine comes next, unless somebody asked to stop before it."""
        if self.should_stop():
            raise Stopped("stopped while calibrating", remedy="`nightscope resume` starts it again")
        self.console.print(f"calibrating: {said}")


def warm_kernels() -> None:
    """Compile what tiles are sampled, matched and placed with, on an errand's thread; imported
    there too. The example that a model is tried with when it is opened lacks what its guard counts.
    """
    from runtime.preprocess import warm as sampling
    from runtime.stitch import warm as stitching

    sampling.warm_kernels()
    stitching.warm_kernels()


def finish() -> ModuleType:
    """Return `runtime.night.finish`, loaded only at the end: the first tile does not wait."""
    from runtime.night import finish

    return finish


def carry_out(
    folder: RunFolder,
    *,
    open_microscope: OpenMicroscope,
    calibrate: Calibrate,
    console: Console,
    clock: Clock,
    settings_file: Path | None = None,
    origin_here: bool = False,
) -> dict[str, Any]:
    """Do a run, or what is left of it, to the finished map and report; return its summary.

    `calibrate` runs the routines where the settings allow that, `settings_file` says where devices
    are reached that were plugged in elsewhere. `origin_here`: a person says that a stage without
    switches, which has left its origin in this run, was brought back there. The summary's
    "exit_code" is 0, or 5 when something needs "attention", which says in words what. Raises
    NightscopeError, after the journal was told why, when the run must pause; it can then be
    resumed.
    """
    start_s = clock.now_s()
    with RunLock(folder):
        journal = Journal(folder.journal)
        try:
            folder.refuse_changed(journal)
            if settings_file is not None:
                folder.correct_plugs(journal, settings_file)
            plan, settings = folder.configuration(journal)
            stop = StopRequest()
            night = Night(
                folder=folder,
                journal=journal,
                plan=plan,
                settings=settings,
                open_microscope=open_microscope,
                calibrate=calibrate,
                console=console,
                clock=clock,
                should_stop=stop,
                origin_here=origin_here,
            )
            with (
                stop.listening(),
                told_why(folder, journal, clock, lambda: finish().renew_report(folder, journal)),
            ):
                night.mend()
                if journal.fact("state") != "finished" or given_up(journal, settings):
                    begin_session(folder, journal, clock.instant())
                    try:
                        night.go_on()
                    finally:
                        night.add_up(wall_s=clock.now_s() - start_s)
                    night.finish()
                elif journal.fact("unwritten") or not journal.kept("derived"):
                    night.rebuild()
                return conclude(folder, journal)
        finally:
            journal.close()


def given_up(journal: Journal, settings: Settings) -> bool:
    """Return whether tiles of a run gave no frame that may give one now; files do not."""
    return settings.recording is None and bool(journal.lost())


def conclude(folder: RunFolder, journal: Journal) -> dict[str, Any]:
    """Return the summary of a run with its exit code."""
    late, unwritten = late_stages(journal), journal.fact("unwritten") or {}
    summary = summarise(folder.path, journal)
    summary["late_stages"] = [row.stage for row in late]
    summary["unwritten"] = unwritten
    run = read_run(folder.path, journal)
    told = attention(run, findings(run), stage_table(run.timings, run.stages))
    summary["attention"] = list(told)
    summary["exit_code"] = UNFINISHED_BUSINESS if told else FINISHED
    return summary

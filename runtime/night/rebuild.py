"""A run's results made again from its stored tiles and its journal, without an instrument.

It walks the same table of stages as the night (`runtime.night.stages`): labels and matches that the
journal lacks are found again, then the map is solved for, drawn out of sight of the old one, judged
and exported.
"""

from __future__ import annotations

from functools import cache

from runtime.calibrated.correct import Corrector
from runtime.calibrated.loaded import Calibrated
from runtime.calibrated.record import CalibrationRecord
from runtime.calibrated.straight import distortion_of
from runtime.config.plan import Plan
from runtime.config.settings import Settings
from runtime.distortion import Distortion
from runtime.errors import InputRefused
from runtime.night.finish import finish, write_report
from runtime.night.intake import Intake
from runtime.night.mapping import Ground, map_of
from runtime.night.models import models_of
from runtime.night.second_looks import SecondLooks
from runtime.night.stages import budgets, recall
from runtime.ports import Clock
from runtime.record.budget import Meter
from runtime.record.journal import Journal
from runtime.record.run_folder import RunFolder


def rebuild(
    folder: RunFolder,
    journal: Journal,
    plan: Plan,
    settings: Settings,
    clock: Clock,
    *,
    labels: bool = False,
    matches: bool = False,
) -> None:
    """Make map, exports and report of a run again, of one that is not finished as far as it came.

    `labels` are found anew by the run's own model, `matches` by the whole ladder of matchers; else
    only what the journal lacks of them. The regions that were visited stay what they were.

    Raises InputRefused when no tile was taken yet, and for one that cannot be read.
    """
    fact = journal.fact("ground")
    if fact is None or not journal.tiles("overview"):
        raise InputRefused(
            f"{folder.path} holds no tile to make a map of",
            remedy=f"`nightscope resume {folder.path}` takes them",
        )
    records = [CalibrationRecord.model_validate(r) for r in journal.fact("calibrations") or ()]
    models = models_of(folder, journal, plan, settings).guarded(
        _guard(records, plan.objective), folder=folder.calibration
    )
    ground = Ground.read(fact)
    stitcher, mosaic = map_of(
        folder,
        plan.name,
        ground,
        distortion=_distortion(folder, records, ground, plan.objective),
        finder=models.finder,
        live=False,
    )

    @cache
    def corrector(objective: str) -> Corrector:
        return Calibrated.correction(records, folder=folder.calibration, objective=objective)

    intake = Intake(
        folder=folder,
        journal=journal,
        corrector=corrector,
        classifier=models.classifier,
        stitcher=stitcher,
        mosaic=mosaic,
    )
    journal.keep("derived", [])
    journal.forget(labels=labels and models.classifier is not None, matches=matches)
    recall(intake)
    if matches:
        _look_again(intake, clock)
    intake.settle()
    intake.judge()
    if journal.fact("state") == "finished":
        finish(folder, journal, clock)
    else:
        write_report(folder.path, journal)


def _look_again(intake: Intake, clock: Clock) -> None:
    """Climb the whole ladder where its first rungs found nothing, as a night does in the end."""
    looks = SecondLooks(intake=intake, meter=Meter(clock, budgets({})), asks=True)
    looks.recall()
    while looks.one():
        pass


def _guard(records: list[CalibrationRecord], objective: str) -> CalibrationRecord | None:
    return next(
        (r for r in reversed(records) if (r.kind, r.objective) == ("guard", objective)), None
    )


def _distortion(
    folder: RunFolder, records: list[CalibrationRecord], ground: Ground, objective: str
) -> Distortion | None:
    bent = [r for r in records if (r.kind, r.objective) == ("distortion", objective)]
    if not bent:
        return None
    return distortion_of(bent[-1], folder=folder.calibration, shape_px=ground.shape_px)

"""The table of routines in the order they depend on each other, and what runs them."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, Protocol

from calibration import (
    backlash,
    camera_stage,
    dark,
    distortion,
    flat_field,
    guard,
    led_pair,
    objective_offset,
)
from runtime.calibrated.loaded import require_record
from runtime.calibrated.record import CalibrationRecord, Kind
from runtime.config.settings import Settings
from runtime.errors import CalibrationRefused
from runtime.instrument.asked import Field, check_field, check_mounted
from runtime.instrument.rig import Rig

Progress = Callable[[str], None]


class Run(Protocol):
    """What every routine's `run` looks like."""

    def __call__(
        self, rig: Rig, settings: Settings, *, objective: str, folder: Path, progress: Progress
    ) -> CalibrationRecord:
        """Move the microscope, file the record, return it."""


class Refuse(Protocol):
    """Raises CalibrationRefused for what a routine cannot be done with; moves nothing."""

    def __call__(self, rig: Rig, settings: Settings, *, objective: str) -> None:
        """Look at instrument and settings."""


def _nothing(rig: Rig, settings: Settings, *, objective: str) -> None:
    """Refuse nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Routine:
    """One routine. Every `once_per` there is has a record of its own; a run does without those
    that are not `required`, and "all" without those that this microscope does not serve, or that
    are asked for `by_name` alone, as they take for good what lies under the objective. It looks at
    a `field` of the settings, if any, and relies on the record that it `needs`; what else it cannot
    be done with, `refuse` says.
    """

    kind: Kind
    once_per: Literal["camera", "stage", "objective", "overview objective", "other objective"]
    run: Run
    about: str
    field: Field | None = "textured_field_um"
    required: bool = True
    by_name: bool = False
    serves: Callable[[Rig, Settings], bool] = lambda _rig, _settings: True
    refuse: Refuse = _nothing
    needs: Kind | None = None


_TABLE = (
    Routine(
        kind="dark",
        once_per="camera",
        run=dark.run,
        about="camera with the light off",
        field=None,
    ),
    Routine(
        kind="flat-field",
        once_per="objective",
        run=flat_field.run,
        about="evenness of the light",
        field="empty_field_um",
        needs="dark",
    ),
    Routine(
        kind="camera-stage",
        once_per="objective",
        run=camera_stage.run,
        about="pixel size, rotation and handedness",
    ),
    Routine(
        kind="distortion",
        once_per="objective",
        run=distortion.run,
        about="how the lens bends the picture",
        required=False,
        needs="camera-stage",
    ),
    Routine(
        kind="backlash",
        once_per="stage",
        run=backlash.run,
        about="motion lost on reversals",
        needs="camera-stage",
    ),
    Routine(
        kind="objective-offset",
        once_per="other objective",
        run=objective_offset.run,
        about="from the overview objective to another",
        refuse=objective_offset.refuse_the_overview,
        needs="camera-stage",
    ),
    Routine(
        kind="led-pair",
        once_per="objective",
        run=led_pair.run,
        about="how two LEDs' pictures move apart with z",
        required=False,
        serves=led_pair.serves,
        refuse=led_pair.refuse_no_pair,
    ),
    Routine(
        kind="guard",
        once_per="overview objective",
        run=guard.run,
        about="what good tiles look like to the model that judges them",
        required=False,
        by_name=True,
        refuse=guard.refuse_without_a_guard,
        needs="flat-field",
    ),
)
ROUTINES: Mapping[str, Routine] = {routine.kind: routine for routine in _TABLE}


def quiet(message: str) -> None:
    """Report nothing."""


def planned(
    rig: Rig,
    settings: Settings,
    *,
    name: str,
    objective: str | None = None,
    progress: Progress = quiet,
) -> Sequence[Callable[[], CalibrationRecord]]:
    """Return what measures one routine, or "all" in order, each a record; nothing moves before.

    Without an objective, a routine that is made per objective runs for every one. "All" leaves out
    what this microscope does not serve, and of the overview objective its offset to itself. Raises
    CalibrationRefused for an unknown routine or objective, for one that needs another objective
    where there is none, for a record that is needed and is not made on the way, and for what a
    routine refuses; ConfigRefused for an objective that is not mounted and a field that the stage
    does not reach.
    """
    _refuse_unknown("routine", name, (*ROUTINES, "all"))
    if objective is not None:
        _refuse_unknown("objective", objective, tuple(settings.objectives))
    served = [
        routine
        for routine in _TABLE
        if routine.serves(rig, settings)
        and not routine.by_name
        and not (routine.once_per == "other objective" and objective == settings.lowest_objective)
    ]
    wanted = [
        (routine, of)
        for routine in (served if name == "all" else [ROUTINES[name]])
        for of in _chosen(routine, settings, objective)
    ]
    if not wanted:
        raise CalibrationRefused(
            f"'{name}' compares two objectives",
            value=", ".join(settings.objectives),
            remedy="name the other one in [objectives], or do without",
        )
    made: set[tuple[Kind, str]] = set()
    for routine, of in wanted:
        _refuse_impossible(rig, settings, routine, of)
        _refuse_unprepared(rig, settings, routine, of, made)
        made.add((routine.kind, _whose(routine, of)))
    return [partial(_run, rig, settings, routine, of, progress) for routine, of in wanted]


def run_routine(rig: Rig, settings: Settings, **how: Any) -> list[CalibrationRecord]:
    """Run what is `planned`, and return the records, passed or failed.

    Raises CalibrationRefused as that does, and when what a routine needs is missing. The light is
    off when it ends, whatever happened.
    """
    return [run() for run in planned(rig, settings, **how)]


def ensure(
    rig: Rig, settings: Settings, objectives: Sequence[str], progress: Progress = quiet
) -> list[CalibrationRecord]:
    """Run what is missing, stale, failed or foreign for a plan; return the new records.

    The first of `objectives` takes the overview. Raises CalibrationRefused when a new record does
    not pass either.
    """
    made = []
    for routine in (row for row in _TABLE if row.required):
        for objective in _needed(routine, objectives):
            if _serves(rig, settings, routine, objective):
                continue
            made.append(_run(rig, settings, routine, objective, progress))
            _require(rig, settings, routine, objective)
    return made


def _run(
    rig: Rig, settings: Settings, routine: Routine, objective: str, progress: Progress
) -> CalibrationRecord:
    folder = settings.calibration.folder
    try:
        return routine.run(rig, settings, objective=objective, folder=folder, progress=progress)
    finally:
        rig.light.off()


def _refuse_impossible(rig: Rig, settings: Settings, routine: Routine, objective: str) -> None:
    routine.refuse(rig, settings, objective=objective)
    if routine.field is not None:
        check_mounted((objective,), rig)
        check_field(routine.field, settings, rig)


def _refuse_unprepared(
    rig: Rig, settings: Settings, routine: Routine, objective: str, made: Set[tuple[Kind, str]]
) -> None:
    """Raise CalibrationRefused where the record that a routine needs is neither good nor `made`."""
    if routine.needs is None:
        return
    source = ROUTINES[routine.needs]
    both = routine.once_per == "other objective"
    for one in (settings.lowest_objective, objective) if both else (objective,):
        if (source.kind, _whose(source, one)) not in made:
            _require(rig, settings, source, one)


def _whose(routine: Routine, objective: str) -> str:
    """Return the objective that a record is filed under, "" for one of camera or stage."""
    return objective if routine.once_per.endswith("objective") else ""


def _refuse_unknown(what: str, name: str, known: tuple[str, ...]) -> None:
    if name not in known:
        near = difflib.get_close_matches(name.casefold(), known, 1, 0.5)
        raise CalibrationRefused(
            f"no {what} '{name}'",
            limit=", ".join(known),
            remedy=f"did you mean '{near[0]}'?" if near else "name one of these",
        )


def _chosen(routine: Routine, settings: Settings, objective: str | None) -> Sequence[str]:
    """Return the objectives a technician's call means, the overview first."""
    if objective is not None:
        return [objective]
    overview = settings.lowest_objective
    others = [name for name in settings.objectives if name != overview]
    return _needed(routine, [overview, *others])


def _needed(routine: Routine, objectives: Sequence[str]) -> Sequence[str]:
    if routine.once_per == "objective":
        return objectives
    return objectives[1:] if routine.once_per == "other objective" else objectives[:1]


def _serves(rig: Rig, settings: Settings, routine: Routine, objective: str) -> bool:
    try:
        _require(rig, settings, routine, objective)
    except CalibrationRefused:
        return False
    return True


def _require(rig: Rig, settings: Settings, routine: Routine, objective: str) -> None:
    """Raise CalibrationRefused unless the routine's newest record may be used."""
    pair = f"{settings.lowest_objective}>{objective}"
    require_record(
        rig,
        settings,
        folder=settings.calibration.folder,
        kind=routine.kind,
        objective=_whose(routine, objective),
        subject=pair if routine.once_per == "other objective" else None,
    )

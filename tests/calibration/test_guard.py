"""The guard of one instrument: from fifty good tiles to what is doubted from then on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from calibration.guard import ALLOWANCE, LEAST_TILES, QUANTILE, GuardFit, fit_guard, judge
from calibration.registry import file_away
from calibration.routines import ROUTINES, planned, run_routine
from runtime.calibrated.loaded import Calibrated, guard_of
from runtime.calibrated.record import latest
from runtime.errors import CalibrationRefused
from runtime.instrument.simulator.specimen import SECTION_PIXEL_UM, Specimen, read_section
from runtime.preprocess.spec import PreprocessSpec
from runtime.tasks.classify.calibrated_guard import calibrated_guard
from runtime.tasks.classify.descriptor import FEATURES, GROUPS, KIND, SPECIMEN, USUAL
from runtime.tasks.classify.guard import Evidence, Guard

MODELS = Guard(
    spec=PreprocessSpec(),
    mean=np.zeros(FEATURES),
    whitening=np.eye(len(GROUPS)),
    specimen_whitening=np.eye(int(SPECIMEN.sum())),
    towards=np.eye(int(KIND.sum()))[0],
    limit=11.0,
    specimen_limit=9.0,
    foreign_limit=4.0,
    blank_limit=0.98,
    least_score=0.6,
)
BOTH = ["resin", "tissue"] * 25


def tiles(count: int = 50, *, away: float = 0.0, spread: float = 1.0, seed: int = 0) -> np.ndarray:
    """Return features whose mean is known, and how far they lie from it."""
    return away + spread * np.random.default_rng(seed).standard_normal((count, FEATURES))


def doubted(guard: Guard, features: np.ndarray) -> float:
    """Return the share of tiles that a guard doubts."""
    away = features - guard.mean
    seen = [
        Evidence(
            features=one,
            squares=far,
            specimen=float(far[SPECIMEN].sum()),
            foreign=towards,
            blankness=0.1,
        )
        for one, far, towards in zip(
            features,
            (away[:, USUAL] @ guard.whitening.T) ** 2,
            away[:, KIND] @ guard.towards,
            strict=True,
        )
    ]
    return float(np.mean([bool(guard.judge([one], score=1.0).doubt) for one in seen]))


def moved(fit: GuardFit) -> Guard:
    return replace(
        MODELS,
        mean=fit.mean,
        limit=fit.limit,
        specimen_limit=fit.specimen_limit,
        foreign_limit=fit.foreign_limit,
    )


def test_the_mean_is_that_of_the_tiles_and_its_uncertainty_covers_the_truth() -> None:
    fits = [fit_guard(tiles(away=2.0, seed=seed), MODELS) for seed in range(20)]
    off = np.array([(fit.mean - 2.0) / fit.sigma for fit in fits])
    assert np.std(off) == pytest.approx(1.0, abs=0.1)
    assert np.mean([fit.moved for fit in fits]) == pytest.approx(
        2 * len(GROUPS) ** 0.5 / 11, rel=0.05
    )


def test_tiles_that_the_models_own_guard_doubts_are_trusted_and_strangers_are_not() -> None:
    good, foreign = tiles(200, away=1.5, seed=1), tiles(200, away=3.5, seed=2)
    assert doubted(MODELS, good) > 0.9
    fitted = moved(fit_guard(tiles(away=1.5), MODELS))
    assert doubted(fitted, good) < 0.05
    assert doubted(fitted, foreign) > 0.95


def test_limits_are_never_narrower_than_the_models_and_as_wide_as_the_tiles_ask() -> None:
    alike = fit_guard(tiles(spread=0.1), MODELS)
    assert (alike.limit, alike.specimen_limit) == (MODELS.limit, MODELS.specimen_limit)
    assert alike.foreign_limit == MODELS.foreign_limit
    wide = fit_guard(tiles(spread=1.5), MODELS)
    assert wide.limit > MODELS.limit
    assert fit_guard(tiles(spread=3.0), MODELS).foreign_limit > MODELS.foreign_limit
    assert np.quantile(wide.distances, QUANTILE) == pytest.approx(1 / ALLOWANCE)


@pytest.mark.parametrize(
    ("spread", "labels", "advice"),
    [
        (1.0, BOTH, ""),
        (1.0, BOTH[: LEAST_TILES - 1], "too little to see"),
        (1.0, ["resin"] * 50, "one kind of tile alone (resin)"),
        (1.0, ["resin"] * 48 + ["tissue"] * 2, "one kind of tile alone"),
        (3.0, BOTH, "tiles differ more than the model knows"),
    ],
    ids=["good", "few", "one class", "hardly a second", "unlike"],
)
def test_it_passes_what_can_serve_and_says_of_the_rest_what_to_do(
    spread: float, labels: list[str], advice: str
) -> None:
    fit = fit_guard(tiles(len(labels), spread=spread), MODELS)
    outcome = judge(fit, MODELS, labels=labels, blank=3)
    assert outcome.advice.startswith(advice)
    assert outcome.passed == (not advice)
    assert outcome.values["blank"].value == 3


def test_a_record_moves_the_guard_it_was_made_of_and_no_other(make_rig, make_settings, tmp_path):
    settings = make_settings(tmp_path)
    fit = fit_guard(tiles(away=1.0), MODELS)
    outcome = judge(fit, MODELS, labels=BOTH, blank=0)
    where = {"kind": "guard", "objective": "10x", "subject": "10x"}
    file_away(make_rig(settings), settings.calibration.folder, outcome=outcome, **where)
    record = guard_of(settings, pixel_size_um=0.5)
    assert record is not None
    found = calibrated_guard(MODELS, record, folder=settings.calibration.folder)
    assert (found.mean == fit.mean).all()
    assert (found.limit, found.specimen_limit) == (fit.limit, fit.specimen_limit)
    assert found.foreign_limit == fit.foreign_limit
    assert guard_of(settings, pixel_size_um=0.25) is None
    with pytest.raises(CalibrationRefused, match="made for another model"):
        calibrated_guard(
            replace(MODELS, mean=MODELS.mean + 1), record, folder=settings.calibration.folder
        )


def test_all_leaves_it_out_as_it_takes_for_good_what_it_sees() -> None:
    assert ROUTINES["guard"].by_name
    assert not ROUTINES["guard"].required


def test_frames_without_a_flat_field_are_not_what_a_run_will_show_the_model(
    make_rig, make_settings, tmp_path: Path
) -> None:
    settings = make_settings(tmp_path)
    rig = make_rig(settings, size_px=(448, 512))
    with pytest.raises(CalibrationRefused, match="'flat-field for 10x' is missing"):
        planned(rig, settings, name="guard")
    assert rig.stage.moves == []


@pytest.mark.slow
def test_the_routine_on_the_simulated_microscope(make_rig, make_settings, tmp_path: Path) -> None:
    settings = make_settings(tmp_path)
    section = Specimen(read_section, pixel_um=SECTION_PIXEL_UM)
    rig = make_rig(settings, specimen=section, size_px=(448, 512))
    run_routine(rig, settings, name="dark")
    run_routine(rig, settings, name="flat-field", objective="10x")
    (record,) = run_routine(rig, settings, name="guard")
    assert (record.objective, record.advice, record.simulated) == ("10x", "", True)
    assert record.value("tiles") + record.value("blank") == 49
    assert record.value("limit") >= 1
    assert not rig.light.lit
    assert latest(settings.calibration.folder, kind="guard", objective="10x") == record


@pytest.mark.slow
def test_a_run_loads_it_and_refuses_that_of_other_hardware(
    make_rig, make_settings, tmp_path: Path
) -> None:
    settings = make_settings(tmp_path)
    rig = make_rig(settings)
    for routine in ("dark", "flat-field", "camera-stage", "backlash"):
        run_routine(rig, settings, name=routine, objective="10x")
    assert Calibrated.load(rig, settings, objectives=["10x"]).guard is None
    outcome = judge(fit_guard(tiles(), MODELS), MODELS, labels=BOTH, blank=0)
    folder = settings.calibration.folder
    mine = file_away(rig, folder, kind="guard", objective="10x", subject="10x", outcome=outcome)
    loaded = Calibrated.load(rig, settings, objectives=["10x"])
    assert loaded.guard == mine
    assert mine in loaded.records
    file_away(rig, folder, kind="guard", objective="10x", subject="20x", outcome=outcome)
    with pytest.raises(CalibrationRefused, match="guard for 10x' belongs to another"):
        Calibrated.load(rig, settings, objectives=["10x"])

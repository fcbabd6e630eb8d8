"""Guard: what good tiles of this instrument look like to the model that judges them.

A model's guard knows many cameras, and not this one. Some fifty tiles of a specimen that the model
is good for say where this instrument's lie; what is further from them than they are from each other
is doubted from then on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibration.imaging import MicroscopeView, open_view
from calibration.outcome import Measured, Measurement
from calibration.registry import file_away
from runtime.calibrated.record import CalibrationRecord
from runtime.config.settings import Settings
from runtime.errors import CalibrationRefused, ModelRefused
from runtime.inference.shelf import ModelShelf, shelf_of
from runtime.instrument.rig import Rig
from runtime.tasks.classify.calibrated_guard import (
    FITTED_FROM,
    FOREIGN_LIMIT,
    LIMIT,
    MEAN,
    SPECIMEN_LIMIT,
)
from runtime.tasks.classify.classifier import TileClassifier
from runtime.tasks.classify.descriptor import KIND, SPECIMEN, USUAL
from runtime.tasks.classify.guard import Guard
from runtime.tasks.registry import RECORDS
from runtime.tile import BLANK_DOUBT, Picture

Features = NDArray[np.float64]

# Seven by seven places, neighbours overlapping a little.
SIDE, STEP = 7, 0.8
# Of the tiles that show something; fewer do not say how far apart good ones lie.
LEAST_TILES = 30
# A model of two kinds of tissue that has seen one of them here would doubt the other.
LEAST_OF_A_CLASS = 3
# The next specimen's tiles lie further out than those of the one that was looked at.
ALLOWANCE = 1.1
QUANTILE = 0.98
# Beyond that the model was not made for such pictures, and what it says of them is worth nothing.
WIDEST = 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardFit:
    """`mean` (features,) is that of the tiles, with the σ of each element; `limit` and
    `specimen_limit` are the distances beyond which a tile is doubted, `foreign_limit` how far it
    may lie towards what is foreign. `distances` (n,) are those of
    every tile from the mean of all others, as shares of `limit`; `moved` how far the mean lies from
    the model's, as a share of the model's own limit.
    """

    mean: Features
    sigma: Features
    limit: float
    specimen_limit: float
    foreign_limit: float
    distances: Features
    moved: float


def fit_guard(features: Features, guard: Guard) -> GuardFit:
    """Return mean and limits of the (n, features) features of good tiles, n at least 2.

    Distances are measured by the model's own whitening, each from the mean of the other tiles; a
    limit is what 2 % of them exceed and a tenth more, but never less than the model's own: fifty
    tiles of one specimen know less of specimens than training did.
    """
    count = len(features)
    mean = features.mean(axis=0)
    away = (features - mean) * (count / (count - 1))
    whole = np.linalg.norm(away[:, USUAL] @ guard.whitening.T, axis=1)
    specimen = np.linalg.norm(away[:, USUAL][:, SPECIMEN] @ guard.specimen_whitening.T, axis=1)
    limit = _limit(whole, least=guard.limit)
    return GuardFit(
        mean=mean,
        sigma=features.std(axis=0, ddof=1) / np.sqrt(count),
        limit=limit,
        specimen_limit=_limit(specimen, least=guard.specimen_limit),
        foreign_limit=_limit(away[:, KIND] @ guard.towards, least=guard.foreign_limit),
        distances=whole / limit,
        moved=float(np.linalg.norm(guard.whitening @ (mean - guard.mean)[USUAL])) / guard.limit,
    )


def _limit(distances: Features, *, least: float) -> float:
    return max(least, ALLOWANCE * float(np.quantile(distances, QUANTILE)))


def judge(fit: GuardFit, guard: Guard, *, labels: Sequence[str], blank: int) -> Measurement:
    """Return the measurement with its verdict; `labels` are those of the tiles that were fitted,
    `blank` how many more showed nothing.
    """
    # What is foreign lies beyond the distances as well, however wide the third limit has to be.
    wider = max(fit.limit / guard.limit, fit.specimen_limit / guard.specimen_limit)
    counts = Counter(labels)
    advice = ""
    if len(labels) < LEAST_TILES:
        advice = "too little to see: set calibration.textured_field_um to the specimen's middle"
    elif sorted(counts.values())[-2:-1] < [LEAST_OF_A_CLASS]:
        advice = f"one kind of tile alone ({', '.join(counts)}): take a place that shows two"
    elif wider > WIDEST:
        advice = "tiles differ more than the model knows: check focus and light, or train anew"
    spread = float(np.std(fit.distances)) / np.sqrt(2 * len(labels)) * fit.limit
    return Measurement(
        values={
            LIMIT: Measured(fit.limit, spread, ""),
            SPECIMEN_LIMIT: Measured(fit.specimen_limit, spread, ""),
            FOREIGN_LIMIT: Measured(fit.foreign_limit, spread, ""),
            "moved": Measured(fit.moved, 0.0, ""),
            "tiles": Measured(len(labels), 0.0, ""),
            "blank": Measured(blank, 0.0, ""),
        },
        residuals=tuple(float(one) for one in fit.distances),
        acceptance=(
            f"{LEAST_TILES} tiles that show something, {LEAST_OF_A_CLASS} of either of two classes,"
            f" limits ≤ {WIDEST:g} times the model's"
        ),
        passed=not advice,
        advice=advice,
        arrays={MEAN: fit.mean, FITTED_FROM: guard.mean},
    )


def refuse_without_a_guard(rig: Rig, settings: Settings, *, objective: str) -> None:
    """Raise CalibrationRefused for a model that has no guard, and what finding, opening and showing
    it frames of this camera raise.
    """
    classifier = _classifier(settings)
    if classifier.guard is None:
        raise CalibrationRefused(
            f"model {classifier.name} {classifier.version} has no guard to calibrate",
            remedy="name one that has in models.classifier",
        )
    info = rig.camera.info
    classifier.check_frame(
        shape_px=(info.height_px, info.width_px),
        pixel_size_um=settings.objectives[objective].pixel_size_um,
    )


def run(
    rig: Rig, settings: Settings, *, objective: str, folder: Path, progress: Callable[[str], None]
) -> CalibrationRecord:
    """Photograph fifty places of a good specimen about the textured field, and file the record."""
    classifier = _classifier(settings)
    assert classifier.guard is not None  # Else it was refused before.
    x_um, y_um = settings.calibration.textured_field_um
    progress(f"guard {objective}: {SIDE**2} tiles around ({x_um:g}, {y_um:g}) µm, taken for good")
    rig.approach(x_um=x_um, y_um=y_um)
    view = open_view(rig, settings, objective=objective, folder=folder)
    seen = _tiles(view, settings, classifier)
    told = [one for one in seen if one is not None]
    if len(told) < 2:
        raise CalibrationRefused(
            "there is nothing to see about the textured field",
            value=f"{len(seen) - len(told)} of {len(seen)} tiles blank",
            remedy="set calibration.textured_field_um to the specimen's middle",
        )
    fit = fit_guard(np.array([features for features, _ in told]), classifier.guard)
    labels = [label for _, label in told]
    outcome = judge(fit, classifier.guard, labels=labels, blank=len(seen) - len(told))
    return file_away(
        rig, folder, kind="guard", objective=objective, subject=objective, outcome=outcome
    )


def _classifier(settings: Settings) -> TileClassifier:
    """Return the classifier that the settings name, by itself the only one of the device."""
    models, shelf = settings.models, shelf_of(settings.models)
    name = _only_classifier(shelf) if models.classifier == "auto" else models.classifier
    return TileClassifier.open(
        shelf.find(name),
        keys=shelf.keyring,
        backend=models.backend,
        threads=models.threads,
        cache=models.cache,
    )


def _only_classifier(shelf: ModelShelf) -> str:
    names = sorted({row["name"] for row in shelf.rows(RECORDS) if row.get("task") == "classify"})
    if len(names) != 1:
        raise ModelRefused(
            f"{len(names)} classifiers in {shelf.models.folder}",
            value=", ".join(names),
            limit="one, or the one that models.classifier names",
            remedy="set models.classifier",
        )
    return str(names[0])


def _tiles(
    view: MicroscopeView, settings: Settings, classifier: TileClassifier
) -> list[tuple[Features, str] | None]:
    """Return features and label of every place, None where there is nothing to see."""
    size_um = settings.objectives[view.objective].pixel_size_um
    info = view.rig.camera.info
    middle = settings.calibration.textured_field_um
    limits = view.rig.stage.limits
    columns = _places(middle[0], STEP * size_um * info.width_px, limits.x_um)
    rows = _places(middle[1], STEP * size_um * info.height_px, limits.y_um)
    found: list[tuple[Features, str] | None] = []
    for y_um in rows:
        for x_um in columns:
            view.rig.approach(x_um=x_um, y_um=y_um)
            tile = _tile(view, classifier, size_um)
            # A tile out of focus is no good one; where there is nothing to see, nor is there focus.
            if tile is not None and _refocused(view):
                tile = _tile(view, classifier, size_um)
            found.append(tile)
    return found


def _refocused(view: MicroscopeView) -> bool:
    """Return whether there is focus; where there is none, z stays as it was."""
    z_um = view.rig.stage.position().z_um
    try:
        view.focus()
    except CalibrationRefused:
        view.rig.approach(z_um=z_um)
        return False
    return True


def _tile(
    view: MicroscopeView, classifier: TileClassifier, size_um: float
) -> tuple[Features, str] | None:
    raw = view.raw()
    picture = Picture(pixels=view.corrector.apply(raw), pixel_size_um=size_um)
    prepared = classifier.prepare(picture, raw=raw)
    label = classifier.judge(prepared)
    if label.doubt == BLANK_DOUBT:
        return None
    features: Any = np.mean([one.features for one in prepared.evidence], axis=0)
    return features, label.name


def _places(middle_um: float, step_um: float, limits_um: tuple[float, float]) -> Features:
    """Return seven places about the middle, closer together where the stage has no more room."""
    room = min(middle_um - limits_um[0], limits_um[1] - middle_um) * 0.95
    reach = min(step_um * (SIDE // 2), max(room, 0.0))
    return np.linspace(middle_um - reach, middle_um + reach, SIDE)

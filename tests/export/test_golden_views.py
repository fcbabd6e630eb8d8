"""Golden pictures are what an instrument would show, whatever the training was shown."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

pytest.importorskip("torch")

from export.datasets.augment import Exposure, expose
from export.datasets.labelled import DataSplit, LabelledImages
from export.datasets.reading import Data
from export.tasks.classify.golden import golden_views
from export.tasks.classify.guard import fit_guard
from runtime.inference.view_input import FieldInPixels
from runtime.preprocess.inputs import sample
from runtime.preprocess.spec import PreprocessSpec
from runtime.tasks.classify.guard import Guard

pytestmark = pytest.mark.export
SIDE_PX = 96
FIELD = FieldInPixels(height_px=SIDE_PX, width_px=SIDE_PX)
SPEC = PreprocessSpec(height_px=64, width_px=64)


def light(seed: int) -> np.ndarray:
    """Return a random field about the middle of the grey scale."""
    rng = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(SIDE_PX)[:, None], np.fft.rfftfreq(SIDE_PX)[None, :])
    spectrum = np.fft.rfft2(rng.standard_normal((SIDE_PX, SIDE_PX))) / (frequency + 0.01) ** 1.5
    smooth = np.fft.irfft2(spectrum)
    return np.clip(0.5 + rng.uniform(0.08, 0.12) * smooth / smooth.std(), 0, 1).astype(np.float32)


def bent(seed: int) -> np.ndarray:
    """Return that field as a training exposed it whose exposures are wider than any camera's."""
    exposure = Exposure(gamma=3.2, contrast=1.5, tilt=(0.2, 0.2))
    return expose(255 * light(seed), exposure, np.random.default_rng(seed))


def images(count: int, first: int) -> LabelledImages:
    return LabelledImages(
        source="made",
        classes=("a", "b"),
        load=lambda index: bent(first + index),
        light=lambda index: light(first + index),
        target=np.arange(count) % 2,
        specimen=np.full(count, str(first)),
        pixel_size_um=np.ones(count),
        names=np.arange(count).astype(str),
        shape_px=np.full((count, 2), SIDE_PX),
    )


@pytest.fixture(scope="module")
def data() -> Data:
    train, validation = images(150, 1000), images(100, 2000)
    return Data(parts=DataSplit(train=train, validation=validation, test=validation), field=FIELD)


def test_golden_pictures_are_not_bent_as_the_training_was(data: Data) -> None:
    views = golden_views(data)
    fields = [light(2000 + index) for index in (0, 48, 98, 1, 49, 99)]  # The classes in turn.
    assert len(views) == 6
    for view, seen in zip(views, fields, strict=True):
        assert view.dtype == np.uint16
        assert view.max() < 2**12
        # Coarsely, for optics blur.
        known, shown = (
            cv2.resize(one.astype(float), (12, 12), interpolation=cv2.INTER_AREA).ravel()
            for one in (seen, view)
        )
        slope, offset = np.polyfit(known, shown, 1)
        assert abs(offset) < 0.02 * slope  # Twice the light, twice the number.
    again = golden_views(data)
    assert all(np.array_equal(one, other) for one, other in zip(views, again, strict=True))


def test_the_guard_trusts_golden_pictures_where_it_doubts_what_was_trained_on(data: Data) -> None:
    fitted = fit_guard(data.parts, data.field, SPEC)
    assert fitted is not None
    guard = Guard(
        spec=SPEC,
        mean=fitted.mean,
        whitening=fitted.whitening,
        specimen_whitening=fitted.specimen_whitening,
        towards=fitted.towards,
        limit=fitted.limit,
        specimen_limit=fitted.specimen_limit,
        foreign_limit=fitted.foreign_limit,
        blank_limit=fitted.blank_limit,
        least_score=0.0,
    )

    def doubted(pixels: np.ndarray) -> bool:
        seen = guard.look(pixels, sample(pixels, SPEC, counted=True))
        return bool(guard.judge([seen], score=1.0).doubt)

    # Of usual views every sixth is doubted here, as the guard says itself.
    assert fitted.false_alarms == pytest.approx(1 / 6, abs=0.05)
    assert sum(map(doubted, golden_views(data))) <= 1
    assert all(doubted(data.parts.validation.load(index)) for index in range(0, 100, 20))


def test_of_a_folder_golden_pictures_are_the_images_themselves(data: Data) -> None:
    recorded = replace(data.parts.validation, light=None)
    first = golden_views(replace(data, parts=replace(data.parts, validation=recorded)))[0]
    assert np.array_equal(first, bent(2000))

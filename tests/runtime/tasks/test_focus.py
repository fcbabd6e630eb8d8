"""Defocus by a network: which crops it sees, what they say together, what is refused by name."""

from __future__ import annotations

import math
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from runtime.config.settings import ModelsSection
from runtime.errors import InputRefused, ModelRefused
from runtime.inference.backends import backends
from runtime.inference.opening import Model, open_model
from runtime.inference.session import Backend
from runtime.tasks.focus.crops import content, informative
from runtime.tasks.focus.finder import regressor_of
from runtime.tasks.focus.record import DEFOCUS, SPREAD, Defocusing
from runtime.tasks.focus.regressor import DefocusRegressor, told
from runtime.tasks.registry import RECORDS, work_of
from runtime.tile import Picture
from tests.runtime.inference import tiny_focus as tiny

if TYPE_CHECKING:
    Forge = Any

OPTICS = {"na": 0.3, "wavelength_um": 0.53, "pixel_size_um": 0.5, "sine": 0.2}
RECORD = Defocusing(
    range_um=20.0, na=(0.29, 0.31), wavelength_um=(0.52, 0.54), sine=(0.19, 0.21), sigma_scale=1.5
)


def opened(forge: Forge, backend: Backend = "onnxruntime") -> Model:
    return open_model(forge.write(), keys=forge.keys, tasks=RECORDS, backend=backend)


@pytest.fixture
def regressing(forge: Forge) -> Forge:
    return tiny.into_regressor(forge)


@pytest.mark.parametrize("backend", backends())
def test_a_frame_is_the_weighted_median_of_its_crops(regressing: Forge, backend: Backend) -> None:
    regressor = DefocusRegressor(opened(regressing, backend))
    frame = tiny.textured((128, 128))
    crops = informative(frame, side_px=tiny.SIDE, most=6)
    assert len(crops) == 6
    z_um = np.array([float(tiny.said(one)[DEFOCUS][0, 0]) for one in crops])
    weights = 1 / np.array([float(tiny.said(one)[SPREAD][0, 0]) for one in crops])
    found = regressor.measure(frame)
    below, above = (
        weights[one].sum() for one in (z_um < found.z_um - 1e-5, z_um > found.z_um + 1e-5)
    )
    assert np.abs(z_um - found.z_um).min() < 1e-5
    assert max(below, above) <= weights.sum() / 2
    assert found.sigma_um == pytest.approx(1.5 * math.sqrt(2) / weights.mean(), rel=1e-5)
    assert not found.doubt


def test_an_empty_frame_and_one_that_is_too_small_tell_nothing(regressing: Forge) -> None:
    regressor = DefocusRegressor(opened(regressing))
    bare = np.random.default_rng(0).poisson(2000, (128, 128)).astype(np.uint16)
    for frame in (bare, np.full((128, 128), 800, np.uint16), tiny.textured((60, 128))):
        assert regressor.measure(frame).sigma_um == math.inf


def test_it_works_as_any_other_task(regressing: Forge) -> None:
    model = opened(regressing)
    frame = tiny.textured((128, 128), seed=2)
    work = work_of(model, threads=1)
    found = work.answer(work.prepare([Picture(pixels=frame, pixel_size_um=0.5)]))
    assert found == DefocusRegressor(model).measure(frame)


def test_noise_is_no_content_whatever_the_light() -> None:
    rng = np.random.default_rng(1)
    frames = [rng.poisson(light, (64, 64)).astype(np.uint16) for light in (30, 400, 6000) * 100]
    assert sum(content(one) > 0 for one in frames) <= 1
    assert content(tiny.textured()) > 0.01


def test_the_crop_with_most_in_it_comes_first_and_bare_ones_not_at_all() -> None:
    frame = np.random.default_rng(2).poisson(2000, (256, 256)).astype(np.uint16)
    frame[:96, 160:] = tiny.textured((96, 96))
    crops = informative(frame, side_px=64, most=20)
    corners = [
        (top, left)
        for crop in crops
        for top in range(0, 193, 32)
        for left in range(0, 193, 32)
        if np.shares_memory(crop[:1, :1], frame[top : top + 1, left : left + 1])
    ]
    assert len(corners) == len(crops) >= 4
    assert corners[0][0] <= 32
    assert corners[0][1] >= 160
    assert all(top < 96 and left > 96 for top, left in corners)
    assert len(informative(frame, side_px=64, most=2)) == 2


def outputs(*pairs: tuple[float, float]) -> list[dict[str, np.ndarray]]:
    return [{DEFOCUS: np.float32([[z]]), SPREAD: np.float32([[b]])} for z, b in pairs]


def test_crops_that_disagree_widen_sigma_and_those_that_do_so_surely_are_doubted() -> None:
    unsure = told(outputs((2.0, 1.0), (6.0, 1.0), (-1.0, 1.0)), RECORD)
    assert unsure.z_um == 2.0
    assert unsure.sigma_um == pytest.approx(1.4826 * 3.0)
    assert not unsure.doubt
    sure = told(outputs((2.0, 0.1), (8.0, 0.1), (-9.0, 0.1)), RECORD)
    assert "the parts of its frame say -9.0 to 8.0 µm" in sure.doubt


def test_a_crop_counts_by_how_sure_it_is() -> None:
    one_knows = told(outputs((9.0, 8.0), (3.0, 0.5), (-7.0, 8.0)), RECORD)
    assert one_knows.z_um == 3.0
    assert one_knows.sigma_um == pytest.approx(RECORD.sigma_scale * 2**0.5 * 3 / (2 + 2 / 8))
    two_know = told(outputs((9.0, 8.0), (3.0, 0.5), (3.4, 0.5), (-7.0, 8.0), (-7.5, 8.0)), RECORD)
    assert two_know.z_um == 3.0
    assert not two_know.doubt


def test_at_the_end_of_the_range_it_does_not_know_how_far() -> None:
    assert told(outputs((19.8, 0.1)), RECORD).sigma_um == math.inf
    assert told(outputs((-25.0, 0.1)), RECORD).sigma_um == math.inf
    assert told(outputs((19.0, 0.1)), RECORD).sigma_um < 1


def test_a_crop_of_another_size_is_refused(regressing: Forge) -> None:
    regressor = DefocusRegressor(opened(regressing))
    with pytest.raises(InputRefused, match=r"a crop is not as large.*80 x 80 px.*64 x 64 px"):
        regressor.input.inputs([tiny.textured((80, 80))], lambda name: np.load(name))


@pytest.fixture
def models(regressing: Forge, tmp_path: Path) -> ModelsSection:
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    shutil.copy(regressing.write(), shelf / f"{tiny.NAME}-1.0.0.nsb")
    shutil.copytree(regressing.keys, shelf / "keys", ignore=lambda _, names: {"shelf"} & {*names})
    return ModelsSection(folder=shelf, cache=tmp_path / "cache", backend="onnxruntime")


def test_what_it_was_not_trained_for_is_refused_by_name(models: ModelsSection) -> None:
    regressor = regressor_of(models, tiny.NAME)
    assert regressor.name == "tiny-focus 1.0.0"
    regressor.refuse_others(**OPTICS)
    for changed, words in (
        ({"na": 0.5}, r"numerical aperture.*0\.5.*0\.29 to 0\.31"),
        ({"pixel_size_um": 0.25}, r"pixel size, µm.*0\.25.*0\.48 to 0\.52"),
        ({"wavelength_um": 0.63}, r"wavelength, µm.*0\.63.*0\.52 to 0\.54"),
        ({"sine": 0.1}, r"sine of an LED's angle.*0\.1.*0\.19 to 0\.21"),
    ):
        with pytest.raises(ModelRefused, match=f"tiny-focus 1.0.0 was not trained.*{words}"):
            regressor.refuse_others(**OPTICS | changed)


def test_a_bundle_for_another_task_or_none_at_all_is_refused(models: ModelsSection) -> None:
    with pytest.raises(ModelRefused, match=r"no model bundle 'none'.*limit tiny-focus-1\.0\.0"):
        regressor_of(models, "none")
    with pytest.raises(ModelRefused, match="task 'classify' is not one"):
        regressor_of(ModelsSection(cache=models.cache), "mussel-tissue")

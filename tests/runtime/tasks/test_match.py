"""The matcher: which cells choose each other, where they lie, and what it refuses by name."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile

from runtime.config.plan_file import load_plan
from runtime.config.settings import ModelsSection, parse_settings
from runtime.errors import InputRefused, ModelRefused
from runtime.inference.backends import backends
from runtime.inference.bundle import Bundle, open_bundle
from runtime.inference.opening import Model, open_model
from runtime.inference.session import Backend, Outputs
from runtime.night.models import open_classifier
from runtime.offline.classify import classify_folder
from runtime.tasks.match.matcher import StripMatcher, matches
from runtime.tasks.match.record import (
    BACK_CONFIDENCE,
    BACK_PARTNER,
    CELL_PX,
    CONFIDENCE,
    OFFSET,
    PARTNER,
    Matching,
)
from runtime.tasks.registry import RECORDS, work_of
from runtime.tile import Picture
from tests.night_fakes import PLAN, SETTINGS
from tests.runtime.inference import tiny_match as tiny

if TYPE_CHECKING:
    Forge = Any


@pytest.fixture
def matching(forge: Forge) -> Forge:
    return tiny.into_matcher(forge)


def opened(forge: Forge, backend: Backend = "onnxruntime") -> Model:
    return open_model(forge.write(), keys=forge.keys, tasks=RECORDS, backend=backend)


@pytest.fixture
def matcher(matching: Forge) -> StripMatcher:
    return StripMatcher(opened(matching))


def cells_px() -> np.ndarray:
    rows, columns = np.divmod(np.arange(tiny.CELLS), tiny.COLUMNS)
    return CELL_PX * np.stack([columns, rows], axis=1)


@pytest.mark.parametrize("backend", backends())
@pytest.mark.parametrize(("down", "across"), [(0, 0), (1, 0), (0, -2), (-1, 1)])
def test_cells_are_found_where_they_lie_and_by_so_much_off(
    matching: Forge, backend: Backend, down: int, across: int
) -> None:
    """The second strip begins so many cells further: what both show lies that much nearer."""
    world = tiny.specimen()
    second = tiny.cut(world, down=2 + down, across=2 + across)
    found = StripMatcher(opened(matching, backend)).match(tiny.cut(world), second)
    there = cells_px() - CELL_PX * np.array([across, down])
    height_px, width_px = tiny.SHAPE_PX
    inside = np.all((there >= 0) & (there < (width_px, height_px)), axis=1)
    assert np.array_equal(found.first_px, cells_px()[inside])
    assert np.allclose(found.second_px, there[inside] + tiny.OFF_PX[::-1], atol=1e-6)
    assert found.confidence.shape == (inside.sum(),)
    assert found.confidence.min() > 0.7


def test_strips_that_share_nothing_have_no_matches_nor_have_blank_ones(
    matcher: StripMatcher,
) -> None:
    strip, blank = tiny.cut(tiny.specimen()), np.full(tiny.SHAPE_PX, 900, np.uint16)
    for first, second in [(strip, tiny.cut(tiny.specimen(9))), (strip, blank), (blank, blank)]:
        found = matcher.match(first, second)
        assert found.first_px.shape == found.second_px.shape == (0, 2)
        assert found.confidence.shape == (0,)


def test_eight_bits_are_matched_like_sixteen(matcher: StripMatcher) -> None:
    world = (tiny.specimen() // 16).astype(np.uint8)
    found = matcher.match(tiny.cut(world), tiny.cut(world, across=3))
    assert len(found.confidence) == tiny.ROWS * (tiny.COLUMNS - 1)


def said(
    partner: list[int], back: list[int], confidence: list[float], off: list[list[float]]
) -> Outputs:
    return {
        PARTNER: np.array([partner]),
        BACK_PARTNER: np.array([back]),
        CONFIDENCE: np.array([confidence], np.float32),
        BACK_CONFIDENCE: np.ones((1, len(back)), np.float32),
        OFFSET: np.array([off], np.float32),
    }


def test_only_cells_that_choose_each_other_match() -> None:
    """Two rows of three cells; 0 and 5, 3 and 4 choose each other, 1 and 2 want what is taken."""
    one = said([5, 5, 4, 4, 0, 0], [5, 0, 0, 0, 3, 0], [0.9] * 6, [[0, 0]] * 6)
    found = matches(one, columns=3, least=0.2)
    assert found.first_px.tolist() == [[0, 0], [0, 8], [16, 8]]
    assert found.second_px.tolist() == [[16, 8], [8, 8], [0, 0]]


def test_only_matches_surer_than_the_least_are_told_and_each_with_its_own_numbers() -> None:
    off = [[0.5, -3], [1, 2], [4, 0.25], [0, 0]]
    one = said([0, 1, 2, 3], [0, 1, 2, 3], [0.2, 0.21, 0.9, np.nan], off)
    found = matches(one, columns=2, least=0.2)
    assert found.confidence.tolist() == pytest.approx([0.21, 0.9])
    assert found.first_px.tolist() == [[8, 0], [0, 8]]
    # Offsets are (y, x), places x, y.
    assert found.second_px.tolist() == [[8 + 2, 1], [0.25, 8 + 4]]
    assert not len(matches(one, columns=2, least=0.95).first_px)


def test_the_bundle_says_how_sure_is_sure(matching: Forge) -> None:
    world = tiny.specimen()
    noise = np.random.default_rng(3).normal(0, 1500, tiny.SHAPE_PX)
    faint = np.clip(tiny.cut(world) + noise, 0, 65535).astype(np.uint16)
    told = []
    for least in (0.01, 0.3, 0.9):
        matching.manifest["task"]["least_confidence"] = least
        told.append(len(StripMatcher(opened(matching)).match(tiny.cut(world), faint).confidence))
    assert told[0] > told[1] > told[2]


def test_its_work_is_what_it_matches(matching: Forge) -> None:
    model, world = opened(matching), tiny.specimen()
    strips = [tiny.cut(world), tiny.cut(world, down=3)]
    work = work_of(model, threads=2)
    found = work.answer(work.prepare([Picture(pixels=p, pixel_size_um=0.3) for p in strips]))
    wanted = StripMatcher(model).match(*strips)
    assert np.array_equal(found.second_px, wanted.second_px)
    assert np.array_equal(found.confidence, wanted.confidence)


def test_it_says_its_name_and_its_strips(matcher: StripMatcher) -> None:
    assert matcher.name == f"{tiny.NAME} 1.0.0"
    assert matcher.shape_px == tiny.SHAPE_PX


@pytest.mark.parametrize("shape", [(32, 72), (40, 64), (64, 32), (31, 64)])
@pytest.mark.parametrize("place", [0, 1])
def test_a_strip_of_another_size_is_refused_by_name(
    matcher: StripMatcher, shape: tuple[int, int], place: int
) -> None:
    strips = [tiny.cut(tiny.specimen()), tiny.cut(tiny.specimen())]
    strips[place] = np.zeros(shape, np.uint16)
    message = f"value {shape[1]} x {shape[0]} px; limit 64 x 32 px"
    with pytest.raises(InputRefused, match=message):
        matcher.match(*strips)


def test_a_model_for_another_task_does_not_match(shipped: Bundle, forge: Forge) -> None:
    classifier = open_model(forge.write(), keys=forge.keys, tasks=RECORDS, backend="onnxruntime")
    with pytest.raises(ModelRefused, match="is for another task; value classify; limit match"):
        StripMatcher(classifier)


def test_a_night_that_names_it_is_refused_by_name(matching: Forge, tmp_path: Path) -> None:
    bundle = matching.write()
    bundle.rename(bundle.with_name(f"{tiny.NAME}-1.0.0.nsb"))
    (tmp_path / "plan.yaml").write_text(f"{PLAN}model: {tiny.NAME}\n")
    plan = load_plan(tmp_path / "plan.yaml")
    models = ModelsSection(folder=tmp_path, cache=tmp_path / "cache")
    settings = parse_settings(SETTINGS, source=tmp_path / "settings.toml")
    with pytest.raises(ModelRefused, match=rf"{tiny.NAME}.*task 'match'.*limit classify"):
        open_classifier(plan, settings.model_copy(update={"models": models}))
    assert not (tmp_path / "cache").exists()


def test_a_folder_is_not_classified_with_it(matching: Forge, tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "tile.tif", tiny.specimen())
    with pytest.raises(ModelRefused, match=r"task 'match'.*limit classify"):
        classify_folder(
            tmp_path, model=matching.write(), keys=matching.keys, out=tmp_path / "labels.csv"
        )


BAD_MANIFESTS: dict[str, Callable[[dict[str, Any]], object]] = {
    "input.height_px": lambda m: m["input"].update(height_px=30),
    "input.height_px ": lambda m: m["input"].update(height_px=24),
    "input.width_px": lambda m: m["input"].update(width_px=4096),
    "input.lut": lambda m: m["input"].update(lut="lbp_mds.npy"),
    "task.least_confidence": lambda m: m["task"].update(least_confidence=0.0),
    "task.least_confidence ": lambda m: m["task"].pop("least_confidence"),
    "task.classes": lambda m: m["task"].update(classes=["a", "b"]),
    "golden.tolerance": lambda m: m["golden"]["tolerance"].pop(BACK_CONFIDENCE),
    "golden.examples": lambda m: m["golden"]["examples"][0]["pictures"].pop(),
    "origin.metrics": lambda m: m["origin"]["metrics"]["fp32"].pop("matched"),
}


@pytest.mark.parametrize("field", BAD_MANIFESTS)
def test_a_manifest_of_another_make_is_refused_by_field(matching: Forge, field: str) -> None:
    BAD_MANIFESTS[field](matching.manifest)
    with pytest.raises(ModelRefused, match=re.escape(field.strip())):
        open_bundle(matching.write(), keys=matching.keys, tasks=RECORDS)


def test_it_takes_pictures_of_any_pixel_size(matching: Forge) -> None:
    bundle = open_bundle(matching.write(), keys=matching.keys, tasks=RECORDS)
    assert bundle.manifest.input.pixel_size_um is None
    assert bundle.task(Matching).answers() == "where the cells of a strip lie in another"

"""Patches of outlined sections."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from pydantic import ValidationError

pytest.importorskip("torch")

from export.config.data import ExposuresConfig, SectionConfig, SectionsData
from export.datasets.augment import random_exposure
from export.datasets.overview import overview_tiles
from export.datasets.patches import COVERAGE_BINS, HEIGHT_PX, draw_patch
from export.datasets.section import Section, read_section
from export.datasets.sections import read_sections
from export.datasets.split import split
from runtime.errors import InputRefused

pytestmark = pytest.mark.export
CLASSES = ("resin", "tissue")


def made_section(seed: int = 0) -> Section:
    """A bright slide with a coarse, dark, grainy disc."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:1400, :1600]
    tissue = ((x - 800) ** 2 + (y - 700) ** 2 < 420**2).astype(np.uint8)
    grain = cv2.GaussianBlur(rng.normal(0, 120, tissue.shape).astype(np.float32), (0, 0), 3)
    image = 220 + rng.normal(0, 2, tissue.shape) - tissue * (70 + grain * 3)
    return Section(
        name="made",
        image=np.clip(image, 0, 255).astype(np.uint8),
        tissue=tissue,
        pixel_size_um=0.5,
        min_area_fraction=0.35,
    )


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> SectionsData:
    folder = tmp_path_factory.mktemp("sections")
    circle = [[800 + 420 * np.cos(a), 700 + 420 * np.sin(a)] for a in np.linspace(0, 6.28, 60)]
    labels = {
        "pixel_size_um": 0.5,
        "classes": ["resin", "tissue"],
        "positive": "tissue",
        "min_area_fraction": 0.35,
    }
    polygons = [{"class": "tissue", "points": circle}]
    places = []
    for name in ("one", "two"):
        cv2.imwrite(str(folder / f"{name}.png"), made_section().image)
        (folder / f"{name}_labels.json").write_text(json.dumps(labels | {"polygons": polygons}))
        places.append(
            SectionConfig(
                image=folder / f"{name}.png",
                labels=folder / f"{name}_labels.json",
                image_pixel_size_um=0.5,
                pixel_size_um=0.5,
                train_rows=(0.0, 0.5),
                validation_rows=(0.5, 1.0),
            )
        )
    return SectionsData(
        reader="sections",
        section=places[0],
        test_section=places[1],
        train_patches=40,
        validation_patches=20,
        scans=1,
    )


def test_the_same_seed_draws_the_same_patches(config: SectionsData) -> None:
    first, again, other = (
        read_sections(config, Path(), classes=CLASSES, seed=seed) for seed in (0, 0, 1)
    )
    assert np.array_equal(first.load(3), again.load(3))
    assert np.array_equal(first.target, again.target)
    assert not np.array_equal(first.load(3), other.load(3))


def test_parts_come_from_their_own_places(config: SectionsData) -> None:
    images = read_sections(config, Path(), classes=CLASSES, seed=0)
    parts = split(images, 5)
    assert (len(parts.train), len(parts.validation), len(parts.test)) == (40, 20, 49)
    assert set(parts.train.specimen.tolist()) == {"one train rows"}
    assert set(parts.test.specimen.tolist()) == {"two"}
    assert parts.validation.load(0).shape == (448, 512)
    assert parts.test.load(0).dtype == np.uint16


def test_cells_say_where_the_tissue_is(config: SectionsData) -> None:
    images = read_sections(config, Path(), classes=CLASSES, seed=0)
    assert images.cells is not None
    assert images.cells.shape == (109, 2, 14, 16)
    assert np.allclose(images.cells.sum(axis=1), 1)
    tissue = images.cells[:, 1].mean(axis=(1, 2))
    assert ((tissue >= 0.35) == (images.target == 1)).all()
    index = int(np.argmin(np.abs(tissue[:40] - 0.5)))
    coarse = cv2.resize(images.load(index), (16, 14), interpolation=cv2.INTER_AREA).astype(float)
    inside = images.cells[index, 1] > 0.9
    assert coarse[inside].mean() < coarse[images.cells[index, 1] < 0.1].mean()


def test_a_patch_is_exposed_anew_and_shows_the_same_place(config: SectionsData) -> None:
    images = read_sections(config, Path(), classes=CLASSES, seed=0)
    part = images.subset(np.array([7, 3]))
    assert part.redraw is not None
    once, twice = (part.redraw(1, np.random.default_rng(seed)) for seed in (1, 2))
    assert not np.array_equal(once, twice)
    assert once.dtype == images.load(3).dtype
    for other in (twice, images.load(3)):
        coarse = [cv2.resize(one, (16, 14), interpolation=cv2.INTER_AREA) for one in (once, other)]
        assert np.corrcoef(coarse[0].ravel(), coarse[1].ravel())[0, 1] > 0.9


def test_exposures_bend_slope_and_slip_no_further_than_they_may() -> None:
    within = ExposuresConfig(gamma=(0.4, 3.2), slope=0.2)
    drawn = [random_exposure(np.random.default_rng(seed), within) for seed in range(300)]
    gammas = np.log([one.gamma for one in drawn])
    assert np.log(0.4) <= gammas.min() < np.log(0.45)
    assert np.log(2.9) < gammas.max() <= np.log(3.2)
    # Evenly by its logarithm: as often below the middle as above.
    assert 0.4 < np.mean(gammas < np.log(0.4 * 3.2) / 2) < 0.6
    assert 0.17 < np.abs([one.tilt for one in drawn]).max() <= 0.2


def test_a_gamma_from_the_higher_end_is_refused() -> None:
    with pytest.raises(ValidationError, match="lower end first"):
        ExposuresConfig(gamma=(2.0, 0.5))


def test_rows_of_a_patch_slip_about_its_middle_no_further_than_they_may(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("export.datasets.patches.CLEAR_SHARE", 0)  # Bare slide does not slip.
    grain = np.random.default_rng(0).normal(0, 120, (500, 550)).astype(np.float32)
    image = cv2.resize(np.clip(128 + grain / 2, 0, 255), None, fx=8, fy=8).astype(np.uint8)
    plain = replace(made_section(), image=image, tissue=np.zeros_like(image))
    slips = np.array([slip(plain, seed, shear=0.12) for seed in range(6)])
    first, middle, last = slips.T
    assert (middle == 0).all()
    assert (np.abs(first + last) <= 1).all()
    assert 13 < np.abs(first).max() <= 0.12 * HEIGHT_PX / 2 + 1


def slip(section: Section, seed: int, *, shear: float) -> list[int]:
    """Return by how many px the first, a middle and the last row moved."""
    straight, slipped = (
        draw_patch(section, np.random.default_rng(seed), shear=most).pixels for most in (0, shear)
    )
    moved = range(-40, 41)
    found = []
    for row in (0, HEIGHT_PX // 2, HEIGHT_PX - 1):
        wanted = slipped[row, 40:-40]
        errors = [np.abs(np.roll(straight[row], by)[40:-40] - wanted).sum() for by in moved]
        found.append(moved[int(np.argmin(errors))])
    return found


def test_outlines_slip_with_the_pixels_and_scans_do_not(config: SectionsData) -> None:
    wider = config.model_copy(update={"exposures": ExposuresConfig(shear=0.12)})
    upright, slipped = (
        read_sections(one, Path(), classes=CLASSES, seed=0).cells for one in (config, wider)
    )
    assert upright is not None
    assert slipped is not None
    assert not np.array_equal(slipped[:40], upright[:40])
    assert np.array_equal(slipped[60:], upright[60:])
    rng = np.random.default_rng(0)
    for patch in (draw_patch(made_section(), rng, shear=0.12) for _ in range(20)):
        coarse = cv2.resize(patch.pixels, (64, 56), interpolation=cv2.INTER_AREA)
        if 0.1 < patch.coverage < 0.9:
            assert coarse[patch.tissue == 1].mean() < coarse[patch.tissue == 0].mean() - 20


def test_patches_reach_every_bin_and_keep_mask_and_pixels_together() -> None:
    section, rng = made_section(), np.random.default_rng(0)
    patches = [draw_patch(section, rng) for _ in range(60)]
    counts, _ = np.histogram(
        [patch.coverage for patch in patches], [low for low, _ in COVERAGE_BINS] + [1.01]
    )
    assert (counts > 0).all()
    for patch in patches:
        coarse = cv2.resize(patch.pixels, (64, 56), interpolation=cv2.INTER_AREA)
        if 0.1 < patch.coverage < 0.9:
            assert coarse[patch.tissue == 1].mean() < coarse[patch.tissue == 0].mean() - 20


def test_many_patches_show_the_rim_and_often_it_is_hardly_a_step() -> None:
    resin, rng = 180, np.random.default_rng(0)
    image = np.full((900, 900), resin, np.uint8)
    plain = replace(made_section(), image=image, tissue=np.zeros_like(image))
    patches = [draw_patch(plain, rng).pixels for _ in range(60)]
    steps = np.array([np.abs(pixels - resin).max() for pixels in patches])
    rims = steps[steps > 0]
    assert 0.25 < len(rims) / len(steps) < 0.6
    assert 0.3 < np.mean(rims <= 20) < 0.9


def test_a_scan_sees_the_disc_in_its_middle() -> None:
    tiles = overview_tiles(made_section(), np.random.default_rng(0), rows=3, columns=3)
    shares = np.array([tile.tissue.mean() for tile in tiles]).reshape(3, 3)
    assert shares[1, 1] > 0.95
    assert shares[0, 0] < 0.5


def test_holes_are_painted_over_and_scales_are_honoured(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "i.png"), np.full((100, 100), 9, np.uint8))
    square = [[0, 0], [199, 0], [199, 199], [0, 199]]
    hole = [[0, 0], [99, 0], [99, 99], [0, 99]]
    polygons = [{"class": "tissue", "points": square}, {"class": "resin", "points": hole}]
    labels = {
        "pixel_size_um": 0.25,
        "classes": ["resin", "tissue"],
        "positive": "tissue",
        "min_area_fraction": 0.3,
    }
    (tmp_path / "l.json").write_text(json.dumps(labels | {"polygons": polygons}))
    section = read_section(
        tmp_path / "i.png", tmp_path / "l.json", image_pixel_size_um=0.5, pixel_size_um=0.5
    )
    assert section.tissue.mean() == pytest.approx(0.75, abs=0.03)
    assert not section.tissue[:48, :48].any()


@pytest.mark.parametrize("content", ["", "[]", "{}"])
def test_bad_labels_are_named(tmp_path: Path, content: str) -> None:
    cv2.imwrite(str(tmp_path / "i.png"), np.full((10, 10), 9, np.uint8))
    (tmp_path / "l.json").write_text(content)
    with pytest.raises(InputRefused, match=r"l\.json"):
        read_section(
            tmp_path / "i.png", tmp_path / "l.json", image_pixel_size_um=1, pixel_size_um=1
        )

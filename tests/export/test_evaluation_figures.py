"""The pictures of an evaluation: written, of a sensible size, and not blank."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

pytest.importorskip("matplotlib")

from export.evaluate.figures import draw_mistakes, draw_reliability, pooled_reliability
from export.evaluate.methods import Method, paper_cells
from export.evaluate.mistakes import mistakes, wrong_tiles
from export.evaluate.results import FP32, INT8, Results, SeedResult
from export.evaluate.sheet import draw_sheet

pytestmark = pytest.mark.export

CLASSES = ("other", "wanted")
METHODS = [cell.method for cell in paper_cells(["compact"], texture="best")]


def made_up(seeds=3, images=24, error_rate=0.2):
    rng = np.random.default_rng(6)
    target = np.arange(images) % 2

    def scores():
        positive = np.where(rng.random(images) < error_rate, 1 - target, target)
        sure = rng.uniform(0.5, 1.0, images)
        table = np.stack([1 - sure, sure], axis=1)
        return np.where(positive[:, None] == 1, table, table[:, ::-1])

    return Results(
        classes=CLASSES,
        settings={},
        seeds=tuple(
            SeedResult(
                seed=seed,
                names=tuple(f"image{i:02d}.png" for i in range(images)),
                specimen=tuple(f"s{i // 4}" for i in range(images)),
                target=target,
                scores={method: {FP32: scores(), INT8: scores()} for method in METHODS},
                split={},
            )
            for seed in range(seeds)
        ),
    )


def ink(path):
    """Return the share of pixels that are not white."""
    return float((cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) < 250).mean())


def test_the_matrix_is_drawn(tmp_path):
    draw_mistakes(mistakes(made_up(), FP32), CLASSES, tmp_path / "m.png")
    assert ink(tmp_path / "m.png") > 0.05


def test_no_mistakes_still_give_a_picture(tmp_path):
    draw_mistakes(mistakes(made_up(error_rate=0.0), FP32), CLASSES, tmp_path / "m.png")
    assert 0 < ink(tmp_path / "m.png") < 0.2


def test_reliability_is_drawn_for_each_method(tmp_path):
    draw_reliability(made_up(), METHODS[:3], tmp_path / "r.png")
    draw_reliability(made_up(), METHODS[:1], tmp_path / "one.png")
    three, one = (cv2.imread(str(tmp_path / name)) for name in ("r.png", "one.png"))
    assert three.shape[1] == pytest.approx(3 * one.shape[1], abs=3)


def test_reliability_pools_the_seeds():
    bins = pooled_reliability(made_up(seeds=3), METHODS[0], FP32)
    assert bins.count.sum() == 3 * 24
    assert pooled_reliability(made_up(), Method("none", "such", "here"), FP32) is None


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_the_sheet_shows_the_tiles(tmp_path, dtype):
    results = made_up()
    rng = np.random.default_rng(1)

    def load(name):
        return rng.integers(0, np.iinfo(dtype).max, (60, 90), dtype=dtype)

    tiles = wrong_tiles(results, METHODS[0], FP32)
    draw_sheet(tiles, CLASSES, load, tmp_path / "sheet.png", title="compact")
    draw_sheet([], CLASSES, load, tmp_path / "empty.png", title="compact")
    assert ink(tmp_path / "sheet.png") > 0.2 > ink(tmp_path / "empty.png") > 0


def test_a_blank_tile_can_be_shown(tmp_path):
    tiles = wrong_tiles(made_up(), METHODS[0], FP32)[:1]
    draw_sheet(
        tiles, CLASSES, lambda name: np.zeros((8, 8), np.uint16), tmp_path / "s.png", title="t"
    )
    assert ink(tmp_path / "s.png") > 0

"""Grids like DEMIS's: every tile shows what its truth says, and the seed decides it all."""

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from export.__main__ import app
from export.datasets.demis import read_tile, read_truth
from export.datasets.demis_scan import GREY, GridPlan, ScanErrors, generate
from export.progress import silent
from runtime.errors import ConfigRefused, InputRefused
from runtime.instrument.camera.files import read_image
from runtime.instrument.camera.recorded import list_scan

pytestmark = pytest.mark.export

PLAN = GridPlan(grids=2, rows=2, columns=3, tile_px=160)
QUIET = ScanErrors(noise=0, brightness=0, contrast=(1, 1))


def made(out, plan=PLAN, errors=ScanErrors(), *, images=None, seed=0):  # noqa: B008
    return generate(out, plan, errors, images=images, seed=seed, progress=silent)


def folder_of(tmp_path, *sides):
    folder = tmp_path / "images"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number, side in enumerate(sides):
        grey = cv2.GaussianBlur(rng.normal(0, 1, (side, side)), (0, 0), 3)
        image = np.clip(128 + 30 * grey / grey.std(), 0, 255).astype(np.uint8)
        cv2.imwrite(str(folder / f"scan{number}.png"), image)
    return folder


def every_tile(folder):
    for grid in read_truth(folder).grids:
        reference = read_image(folder / grid.reference)
        for tile in grid.tiles:
            yield reference, tile, read_tile(folder, tile, shape_px=grid.tile_shape)


def test_a_tile_shows_what_lies_where_its_truth_says(tmp_path):
    """Sampled pixel by pixel at full precision, away from the cubic kernel's own rounding."""
    made(tmp_path / "set", errors=QUIET)
    for reference, tile, pixels in every_tile(tmp_path / "set"):
        rows, columns = np.indices(pixels.shape, dtype=np.float64)
        matrix = np.array(tile.to_reference)
        x, y = (m[0] * columns + m[1] * rows + m[2] for m in matrix)
        assert min(x.min(), y.min()) >= 0
        assert max(x.max() - reference.shape[1], y.max() - reference.shape[0]) <= -1

        def off(dx, x=x, y=y, reference=reference, pixels=pixels):
            there = np.float32(x + dx), np.float32(y)
            return np.mean(
                np.abs(cv2.remap(reference, *there, cv2.INTER_CUBIC).astype(float) - pixels)
            )

        assert off(0.0) < 0.02 * reference.std()
        assert off(0.0) < 0.5 * min(off(-0.1), off(0.1))


def test_tiles_err_within_the_ranges_and_lie_about_their_places(tmp_path):
    truth = made(tmp_path / "set", replace(PLAN, grids=6, tile_px=96))
    turns, away = [], []
    for grid in truth.grids:
        for tile in grid.tiles:
            matrix, middle = np.array(tile.to_reference), np.array([47.5, 47.5, 1])
            turns.append(np.rad2deg(np.arctan2(matrix[1, 0], matrix[0, 0])))
            away.append(np.hypot(*(matrix @ middle - middle[:2] - tile.nominal_px)))
            assert np.linalg.det(matrix[:, :2]) == pytest.approx(1)
    assert 4 < np.max(np.abs(turns)) <= 5
    assert 24 < np.max(away) <= 30
    assert abs(np.mean(turns)) < 1.5


def test_neighbours_share_a_fifth_where_the_stage_says(tmp_path):
    grid = made(tmp_path / "set").grids[0]
    step = np.subtract(grid.at(1, 2).nominal_px, grid.at(0, 1).nominal_px)
    assert step == pytest.approx([128, 128])
    assert grid.nominal_overlap == 0.2


def test_without_errors_a_tile_lies_at_its_place(tmp_path):
    none = replace(QUIET, rotation_deg=0, shift_px=0)
    for _, tile, _ in every_tile_of(tmp_path / "set", none):
        assert np.array(tile.to_reference) == pytest.approx(
            np.column_stack([np.eye(2), tile.nominal_px])
        )


def every_tile_of(folder, errors):
    made(folder, errors=errors)
    return every_tile(folder)


def test_noise_has_the_deviation_asked_for(tmp_path):
    loud, still = (
        [pixels for *_, pixels in every_tile_of(tmp_path / f"{n}", replace(QUIET, noise=n))]
        for n in (8, 0)
    )
    for one, other in zip(loud, still, strict=True):
        assert np.std(one.astype(float) - other) == pytest.approx(8 * GREY, rel=0.02)


def test_tiles_differ_in_tone(tmp_path):
    tones = [p.mean() / GREY for *_, p in every_tile_of(tmp_path / "set", ScanErrors(noise=0))]
    assert 4 < np.std(tones) < 20


def test_a_seed_is_a_data_set(tmp_path):
    def written(name, seed):
        made(tmp_path / name, seed=seed)
        files = sorted(f for f in (tmp_path / name).rglob("*") if f.is_file())
        return [file.read_bytes() for file in files]

    assert written("one", 3) == written("again", 3)
    assert written("other", 4) != written("third", 5)


def test_the_truth_is_read_back_and_the_stages_places_by_stitch(tmp_path):
    truth = made(tmp_path / "set", seed=7)
    assert read_truth(tmp_path / "set") == truth
    assert (truth.seed, truth.source) == (7, ["made textures"])
    grid = truth.grids[1]
    listed = list_scan(tmp_path / "set" / grid.name)
    assert {(t.name, t.x, t.y) for t in listed.tiles} == {
        (tile.file.split("/")[1], *tile.nominal_px) for tile in grid.tiles
    }


def test_grids_are_cut_from_the_images_of_a_folder(tmp_path):
    folder = folder_of(tmp_path, 500, 520)
    truth = made(tmp_path / "set", images=folder)
    assert truth.source == ["scan0.png", "scan1.png"]
    image = read_image(folder / "scan0.png").astype(np.float32)
    found = [
        cv2.matchTemplate(
            image, read_image(tmp_path / "set" / g.reference).astype(np.float32)[100:200, 100:200],
            cv2.TM_CCOEFF_NORMED,
        ).max()
        for g in truth.grids
    ]  # fmt: skip
    assert sum(match > 0.99 for match in found) == 1


def test_an_image_smaller_than_a_grid_is_named(tmp_path):
    folder = folder_of(tmp_path, 300)
    with pytest.raises(InputRefused, match=r"scan0\.png is too small; value 300 x 300 px; limit 4"):
        made(tmp_path / "set", images=folder)
    assert not (tmp_path / "set").exists()


def test_a_data_set_is_not_written_over(tmp_path):
    made(tmp_path / "set")
    with pytest.raises(ConfigRefused, match="holds a data set already"):
        made(tmp_path / "set")


def test_the_verb_writes_a_data_set(tmp_path):
    arguments = ["--grids", "1", "--rows", "1", "--columns", "2", "--tile-px", "96"]
    ended = CliRunner().invoke(app, ["demis-generate", "--out", str(tmp_path / "set"), *arguments])
    assert ended.exit_code == 0, ended.output
    assert json.loads(ended.stdout) == {"dataset": str(tmp_path / "set"), "grids": 1, "tiles": 2}
    assert len(read_truth(tmp_path / "set").grids[0].tiles) == 2

"""The focus curve of a recorded stack: its best plane, and every file accounted for."""

import csv
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile

from runtime.errors import InputRefused
from runtime.focus.sharpness import MEASURES
from runtime.instrument.camera.files import read_image
from runtime.offline.focus_curve import focus_curve
from runtime.offline.stack_source import find_stack

DATA = Path(os.environ.get("NIGHTSCOPE_DATA", "../shared/data"))
TEXTURE = np.random.default_rng(5).normal(size=(160, 200)).astype(np.float32)


def plane(defocus, *, contrast=400.0):
    blurred = cv2.GaussianBlur(TEXTURE, (0, 0), float(np.hypot(1.0, 0.7 * defocus)))
    noise = np.random.default_rng(int(1000 + 10 * defocus)).normal(0, 3, TEXTURE.shape)
    return (1000 + contrast * blurred + noise).astype(np.uint16)


def write(folder, name, pixels):
    assert cv2.imwrite(str(folder / name), pixels)


@pytest.fixture
def stack(tmp_path):
    """Nine planes, z01.png to z09.png, sharpest at z06.png."""
    folder = tmp_path / "stack"
    folder.mkdir()
    for number in range(1, 10):
        write(folder, f"z{number:02}.png", plane(number - 6))
    return folder


@pytest.mark.parametrize("region", ["informative", "full"])
def test_every_measure_names_the_sharpest_plane(stack, tmp_path, region):
    found = focus_curve(stack, out=tmp_path / "out", step_um=0.5, region=region)
    assert {name: best["plane"] for name, best in found["best"].items()} == dict.fromkeys(
        MEASURES, 6
    )
    assert all(best["top"] == pytest.approx(2.5, abs=0.1) for best in found["best"].values())
    assert (found["exit_code"], found["words"]) == (0, [])


@pytest.mark.slow
def test_the_table_and_the_picture_show_the_curve(stack, tmp_path):
    found = focus_curve(stack, out=tmp_path / "out", step_um=0.5, region="full")
    with Path(found["csv"]).open() as file:
        rows = list(csv.DictReader(file))
    assert [row["file"] for row in rows] == sorted(path.name for path in stack.iterdir())
    assert [float(row["z_um"]) for row in rows] == [0.5 * at for at in range(9)]
    for name, measure in MEASURES.items():
        values = [measure(read_image(stack / row["file"])) for row in rows]
        assert [float(row[name]) for row in rows] == pytest.approx(values, rel=1e-5)
    picture = cv2.imread(found["png"])
    assert picture.shape == (520, 900, 3)
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 20


def test_missing_planes_are_named_and_keep_their_place(stack, tmp_path):
    (stack / "z04.png").unlink()
    found = focus_curve(stack, out=tmp_path / "out", step_um=1.0)
    assert found["missing"] == [4]
    assert "missing: 4" in found["words"]
    assert found["exit_code"] == 5
    assert found["best"]["brenner"]["top"] == pytest.approx(5, abs=0.2)


def test_planes_whose_names_do_not_sort_as_their_numbers_are_said(tmp_path):
    for number in range(6, 13):
        write(tmp_path, f"z{number}.png", plane(number - 9))
    found = focus_curve(tmp_path, out=tmp_path / "out")
    assert found["best"]["brenner"]["plane"] == 9
    assert "z10.png" in found["unsorted"]
    assert any("not the order of the names" in words for words in found["words"])


def test_every_other_number_is_a_stride_and_nothing_is_missing(tmp_path):
    for number in range(30, 48, 2):
        write(tmp_path, f"mito_{number:04}.png", plane((number - 40) / 2))
    stack = find_stack(tmp_path)
    assert (stack.stride, stack.missing) == (2, ())
    assert [stack.depth(one) for one in stack.planes] == list(range(9))


def test_files_that_do_not_belong_are_left_out_by_name(stack, tmp_path):
    write(stack, "overview.png", plane(0))
    write(stack, "dark7.png", plane(0))
    write(stack, "z07.tif", plane(0))
    write(stack, "z11.png", plane(0)[:80])
    write(stack, "z12.png", (plane(0) >> 4).astype(np.uint8))
    (stack / "z03.png").write_bytes((stack / "z03.png").read_bytes()[:900])
    found = focus_curve(stack, out=tmp_path / "out")
    left_out = found["left_out"]
    assert left_out["overview.png"] == "no number in its name"
    assert left_out["dark7.png"] == "named otherwise than most"
    assert left_out["z07.tif"] == "has the number of z07.png"
    assert "200 x 80 pixels" in left_out["z11.png"]
    assert "8 bits" in left_out["z12.png"]
    assert "truncated" in left_out["z03.png"]
    assert found["planes"] == 8
    assert found["missing"] == [3]
    assert found["best"]["brenner"]["plane"] == 6


def test_a_top_at_the_end_is_doubted(stack, tmp_path):
    for number in (7, 8, 9):
        (stack / f"z{number:02}.png").unlink()
    found = focus_curve(stack, out=tmp_path / "out")
    assert found["exit_code"] == 5
    assert "brenner is highest at the last plane: the sharpest may lie beyond" in found["words"]


def test_an_empty_field_is_doubted(tmp_path):
    for number in range(5):
        write(tmp_path, f"{number}.png", plane(number, contrast=0.0))
    found = focus_curve(tmp_path, out=tmp_path / "out")
    assert "brenner rises no more than noise does" in found["words"]


def test_saturation_is_said_of_whole_frames(stack, tmp_path):
    found = focus_curve(stack, out=tmp_path / "out", region="full", full_scale=1100)
    assert any("saturated" in words for words in found["words"])


@pytest.mark.parametrize("names", [[], ["1.png", "2.png"], ["a.png", "b.png", "c.png"]])
def test_a_folder_without_a_stack_is_refused(tmp_path, names):
    for name in names:
        write(tmp_path, name, plane(0))
    with pytest.raises(InputRefused, match="no focus stack"):
        focus_curve(tmp_path, out=tmp_path / "out")


def test_what_is_no_folder_is_refused(tmp_path):
    with pytest.raises(InputRefused, match="is not a folder, and no file"):
        focus_curve(tmp_path / "absent", out=tmp_path / "out")


@pytest.mark.parametrize(("brightest", "top"), [(0, 255), (255, 255), (256, 1023), (4095, 4095)])
def test_the_full_scale_is_the_lowest_depth_that_nothing_exceeds(tmp_path, brightest, top):
    for number in range(3):
        write(tmp_path, f"{number}.png", np.full((8, 8), brightest * (number == 1), np.uint16))
    assert find_stack(tmp_path).saturates_at(None) == top


HEIGHTS = {
    "below zero": [f"z{at}.tif" for at in range(-4, 5)],
    "decimal": [f"z_{at / 2:+.1f}um.tif" for at in range(-4, 5)],
    "decimal without a unit": [f"stack {1 + at / 2:g}.tif" for at in range(9)],
}


@pytest.mark.parametrize("names", HEIGHTS.values(), ids=HEIGHTS)
def test_heights_are_in_the_order_of_z(tmp_path, names):
    for at, name in enumerate(names):
        write(tmp_path, name, plane(at - 5))
    found = focus_curve(tmp_path, out=tmp_path / "out", step_um=0.5)
    assert (found["left_out"], found["missing"]) == ({}, [])
    assert {best["file"] for best in found["best"].values()} == {names[5]}
    assert found["best"]["brenner"]["top"] == pytest.approx(2.5, abs=0.1)


def test_a_date_among_the_numbers_makes_no_gap_of_millions(stack, tmp_path):
    write(stack, "z20261130.png", plane(2))
    found = focus_curve(stack, out=tmp_path / "out")
    assert found["left_out"] == {"z20261130.png": "its number is far from the others'"}
    assert (found["planes"], found["missing"]) == (9, [])


def test_many_missing_planes_are_counted(stack, tmp_path):
    (stack / "z09.png").rename(stack / "z99.png")
    found = focus_curve(stack, out=tmp_path / "out")
    assert found["missing"] == list(range(9, 99))
    assert "missing: 9, 10, 11, 12, 13, 14, 15, 16 and 82 more" in found["words"]


@pytest.mark.parametrize("kind", [np.int16, np.float32])
def test_signed_and_fractional_pixels_are_measured_by_one_scale(tmp_path, kind):
    for number in range(1, 10):
        values = (plane(number - 6).astype(np.float32) - 1100) / (1 if kind is np.int16 else 4000)
        tifffile.imwrite(tmp_path / f"z{number}.tif", values.astype(kind))
    found = focus_curve(tmp_path, out=tmp_path / "out")
    assert found["left_out"] == {}
    assert {best["plane"] for best in found["best"].values()} == {6}
    assert found["region_share"] > 0.5, "no cell is taken for saturated"


def test_where_numbers_are_scaled_the_full_scale_is_still_the_files_own(tmp_path):
    for number in range(3):
        values = np.full((8, 8), -200 + 100 * number, np.int16)
        tifffile.imwrite(tmp_path / f"z{number}.tif", values)
    stack = find_stack(tmp_path)
    brightest = stack.read(stack.planes[-1]).max()
    assert stack.saturates_at(0) == brightest
    assert stack.saturates_at(None) > brightest


def test_a_stage_that_stood_still_is_told_by_the_picture(stack, tmp_path):
    (stack / "z04.png").write_bytes((stack / "z03.png").read_bytes())
    found = focus_curve(stack, out=tmp_path / "out")
    assert "is the picture of z03.png again" in found["left_out"]["z04.png"]
    assert found["exit_code"] == 5


def test_a_stack_taken_downwards_ends_where_its_last_plane_is(stack, tmp_path):
    for number in (7, 8, 9):
        (stack / f"z{number:02}.png").unlink()
    found = focus_curve(stack, out=tmp_path / "out", step_um=-0.5)
    assert "brenner is highest at the last plane: the sharpest may lie beyond" in found["words"]


@pytest.mark.skipif(not (DATA / "focus_adipose").is_dir(), reason="needs the real stacks")
@pytest.mark.slow
@pytest.mark.parametrize("region", ["informative", "full"])
def test_of_a_real_brightfield_stack_every_measure_finds_plane_10(tmp_path, region):
    found = focus_curve(DATA / "focus_adipose" / "S1", out=tmp_path, region=region)
    assert {best["plane"] for best in found["best"].values()} == {10}
    assert found["exit_code"] == 0


@pytest.mark.skipif(not (DATA / "focus_lightsheet").is_dir(), reason="needs the real stacks")
@pytest.mark.parametrize("region", ["full", pytest.param("informative", marks=pytest.mark.slow)])
def test_of_a_real_light_sheet_stack_every_measure_finds_a_plane_beside_focus(tmp_path, region):
    """In focus would be number 51, which is not there: 50 and 52 are 0.05 µm off."""
    found = focus_curve(DATA / "focus_lightsheet", out=tmp_path, region=region)
    assert {best["plane"] for best in found["best"].values()} <= {50, 52}
    assert found["missing"] == []


@pytest.mark.skipif(not (DATA / "focus_sem").is_dir(), reason="needs the real images")
def test_of_real_scanned_beam_images_the_far_sighted_measures_know_the_order():
    """The narrow ones see mostly noise there: of Brenner's curve it is two thirds."""
    name = "series_0_def-13324_astx-466_asty219_{}.png"
    worse, base, better = (
        read_image(DATA / "focus_sem" / name.format(which))
        for which in ("pert-5000", "base", "pert5000")
    )
    for measure in ("normalised-variance", "vollath-f4", "band-power"):
        values = [MEASURES[measure](one) for one in (worse, base, better)]
        assert values == sorted(values), measure
        assert values[2] > 1.15 * values[1] > 1.15 * 1.15 * values[0], measure

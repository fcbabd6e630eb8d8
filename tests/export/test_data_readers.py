"""Readers and the checks before any training: every fault is named."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("torch")

from export.config.training import TrainingConfig
from export.datasets.folder import read_folder
from export.datasets.inspection import inspect
from export.datasets.labelled import LabelledImages
from export.datasets.reading import read_data, read_images
from export.datasets.uhcs import read_uhcs
from export.datasets.vnc import PATCH_PX, read_vnc
from export.progress import silent
from runtime.errors import ConfigRefused, InputRefused

pytestmark = pytest.mark.export
CLASSES = ("plain", "spotted")
SHARED = Path(os.environ.get("NIGHTSCOPE_DATA", "../shared/data"))


def write_folder(folder: Path, *, specimens: int = 3, each: int = 4) -> list[str]:
    """Write noise images and return the lines of their table, heading first."""
    rng = np.random.default_rng(0)
    lines = ["file,target,specimen,pixel_size_um"]
    for index in range(specimens * each):
        name = f"{index:02d}.png"
        cv2.imwrite(str(folder / name), rng.integers(0, 255, (48, 64), dtype=np.uint8))
        lines.append(f"{name},{CLASSES[index % 2]},s{index // each},0.5")
    write_table(folder, lines)
    return lines


def write_table(folder: Path, lines: list[str]) -> None:
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")


def checked(folder: Path, *, mixed_sizes: bool = False) -> LabelledImages:
    return inspect(read_folder(folder, classes=CLASSES), mixed_sizes=mixed_sizes, progress=silent)


def settings(**data: object) -> TrainingConfig:
    return TrainingConfig.model_validate(
        {
            "name": "made",
            "version": "0.1.0",
            "classes": CLASSES,
            "licence": "none",
            "data": {"reader": "folder", **data},
            "network": {"architectures": ["compact"]},
            "fusion": {"kind": "none", "inputs": ["intensity"]},
        }
    )


def test_a_folder_is_read_with_all_it_says(tmp_path: Path) -> None:
    write_folder(tmp_path)
    images = checked(tmp_path)
    assert images.counts() == {"plain": 6, "spotted": 6}
    assert images.specimen.tolist()[3:5] == ["s0", "s1"]
    assert (images.shape_px == (48, 64)).all()
    assert (images.pixel_size_um == 0.5).all()
    assert np.array_equal(images.load(5), cv2.imread(str(tmp_path / "05.png"), -1))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("nine.png,plain,s0,0.5", r"nine\.png, which does not exist"),
        ("00.png,plain,s0,0.5", r"labels 00\.png twice"),
        ("x.png,striped,s0,0.5", r"x\.png, which does not exist"),
        ("03.png,plain,,0.5", r"line 14: no specimen"),
        ("03.png,plain,s0,nought", r"line 14: pixel_size_um is no positive number"),
        ("03.png,plain,s0,-1", r"line 14: pixel_size_um is no positive number"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, message: str) -> None:
    write_table(tmp_path, [*write_folder(tmp_path), line])
    with pytest.raises(InputRefused, match=message):
        read_folder(tmp_path, classes=CLASSES)


def test_an_unknown_target_is_named(tmp_path: Path) -> None:
    lines = write_folder(tmp_path)
    write_table(tmp_path, [*lines[:-1], lines[-1].replace("spotted", "striped")])
    with pytest.raises(InputRefused, match=r"11\.png has an unknown target; value striped"):
        read_folder(tmp_path, classes=CLASSES)


def test_an_image_without_a_label_is_named(tmp_path: Path) -> None:
    write_table(tmp_path, write_folder(tmp_path)[:-1])
    with pytest.raises(InputRefused, match=r"11\.png has no line"):
        read_folder(tmp_path, classes=CLASSES)


@pytest.mark.parametrize("text", ["", "file,target\n", "file,target,specimen,pixel_size_um\n"])
def test_a_table_that_says_nothing_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(InputRefused, match=r"labels\.csv"):
        read_folder(tmp_path, classes=CLASSES)


def spoil_depth(file: Path) -> None:
    cv2.imwrite(str(file), cv2.imread(str(file), -1).astype(np.uint16) * 16)


def spoil_size(file: Path) -> None:
    cv2.imwrite(str(file), cv2.imread(str(file), -1)[:40])


def spoil_colour(file: Path) -> None:
    rng = np.random.default_rng(5)
    cv2.imwrite(str(file), rng.integers(0, 255, (48, 64, 3), dtype=np.uint8))


def spoil_content(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:200])


def spoil_copy(file: Path) -> None:
    file.write_bytes((file.parent / "02.png").read_bytes())


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (spoil_depth, r"mixed bit depths: .*07\.png differs from .*00\.png; value uint16"),
        (spoil_size, r"mixed sizes: .*07\.png.*value 64 x 40 px; limit 64 x 48 px"),
        (spoil_colour, r"07\.png: is a colour image"),
        (spoil_content, r"07\.png: unreadable or truncated"),
        (spoil_copy, r"07\.png is a copy of .*02\.png"),
    ],
    ids=["depth", "size", "colour", "damaged", "copy"],
)
def test_an_image_that_cannot_serve_is_named(tmp_path: Path, spoil: object, message: str) -> None:
    write_folder(tmp_path)
    spoil(tmp_path / "07.png")  # type: ignore[operator]
    with pytest.raises(InputRefused, match=message):
        checked(tmp_path)


def test_nan_is_named(tmp_path: Path) -> None:
    import tifffile

    lines = write_folder(tmp_path)
    tifffile.imwrite(tmp_path / "n.tif", np.full((48, 64), np.nan, np.float32))
    write_table(tmp_path, [*lines, "n.tif,plain,s0,0.5"])
    with pytest.raises(InputRefused, match=r"n\.tif: holds NaN"):
        checked(tmp_path)


def test_sixteen_bit_tiff_and_mrc_stand_side_by_side(tmp_path: Path) -> None:
    import mrcfile
    import tifffile

    rng = np.random.default_rng(1)
    first, second = rng.integers(0, 4000, (2, 48, 64), dtype=np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", first)
    mrcfile.write(tmp_path / "b.mrc", second)
    write_table(
        tmp_path,
        ["file,target,specimen,pixel_size_um", "a.tif,plain,s0,0.1", "b.mrc,spotted,s1,0.1"],
    )
    images = checked(tmp_path)
    assert np.array_equal(images.load(0), first)
    assert np.array_equal(images.load(1), second)


def test_mixed_sizes_may_be_allowed_but_none_smaller_than_a_view(tmp_path: Path) -> None:
    write_folder(tmp_path)
    spoil_size(tmp_path / "07.png")
    assert checked(tmp_path, mixed_sizes=True).shape_px[7].tolist() == [40, 64]
    config = settings(mixed_sizes=True, view_px=48)
    with pytest.raises(InputRefused, match=r"07\.png is smaller than one view.*64 x 40 px"):
        read_data(config, tmp_path, base=tmp_path, seed=0)


def test_a_reader_of_files_needs_a_folder(tmp_path: Path) -> None:
    with pytest.raises(ConfigRefused, match="--data"):
        read_images(settings(), None, base=tmp_path, seed=0)


def test_the_steel_reader_takes_pixel_sizes_from_the_scale_bar(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    for name, grey in (("7", 10), ("8", 20)):
        cv2.imwrite(str(tmp_path / "images" / f"{name}.png"), np.full((48, 64), grey, np.uint8))
    (tmp_path / "labels.csv").write_text(
        "id,target,sample_key,micron_bar,micron_bar_px\n7,plain,a,20,100\n8,spotted,b,5,50\n"
    )
    images = read_uhcs(tmp_path, classes=CLASSES)
    assert images.pixel_size_um.tolist() == [0.2, 0.1]
    assert images.specimen.tolist() == ["a", "b"]


def test_patches_are_clearly_with_or_without_and_balanced(tmp_path: Path) -> None:
    for part in ("raw", "mitochondria"):
        (tmp_path / part).mkdir()
    rng = np.random.default_rng(0)
    inside = np.zeros((4 * PATCH_PX, 4 * PATCH_PX), np.uint8)
    inside[:40, :40] = 255  # a tenth of the first patch
    inside[PATCH_PX : PATCH_PX + 10, :10] = 255  # a sliver of one below: left out
    raw = rng.integers(0, 255, inside.shape, dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "raw" / "00.png"), raw)
    cv2.imwrite(str(tmp_path / "mitochondria" / "00.png"), inside)
    images = read_vnc(tmp_path, classes=("without", "with"))
    assert images.counts() == {"without": 1, "with": 1}
    found = images.load(int(np.flatnonzero(images.target == 1)[0]))
    assert np.array_equal(found, raw[:PATCH_PX, :PATCH_PX])
    again = read_vnc(tmp_path, classes=("without", "with"))
    assert images.names.tolist() == again.names.tolist()


@pytest.mark.skipif(not (SHARED / "uhcs_sem").is_dir(), reason="UHCSDB is not here")
def test_the_steel_images_divide_by_sample() -> None:
    from export.config.training import read_config

    path = Path(__file__).parents[2] / "export" / "configs" / "uhcs_compact_late.toml"
    images = read_uhcs(SHARED / "uhcs_sem", classes=read_config(path).classes)
    assert images.counts() == {"other": 150, "widmanstatten": 52}

"""Signed and fractional numbers become pixels by one scale for a scan, and it is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mrcfile
import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from runtime.errors import InputRefused
from runtime.instrument.camera.recorded import load_scan
from runtime.instrument.camera.scale import ReadAs, Scale, scan_reading

RNG = np.random.default_rng(11)


def written(folder: Path, pictures: list[NDArray[Any]]) -> list[Path]:
    files = [folder / f"r0_c{number}.mrc" for number in range(len(pictures))]
    for file, values in zip(files, pictures, strict=True):
        with mrcfile.new(file) as made:
            made.set_data(values)
    return files


def test_signed_numbers_keep_every_difference(tmp_path: Path) -> None:
    pictures = [RNG.integers(-300, 900, (8, 9)).astype(np.int16) + 100 * k for k in range(4)]
    files = written(tmp_path, pictures)
    read_as = scan_reading(files)
    assert read_as.scale == Scale(dtype="int16", zero=-32768, step=1)
    for file, values in zip(files, pictures, strict=True):
        assert np.array_equal(read_as.read(file).astype(int) - 32768, values)


def test_fractions_of_all_files_share_the_span_of_all(tmp_path: Path) -> None:
    pictures = [RNG.normal(0.1 * k, 1, (8, 9)).astype(np.float32) for k in range(12)]
    files = written(tmp_path, pictures)
    scale = scan_reading(files).scale
    assert scale is not None
    for file, values in zip(files, pictures, strict=True):
        got = scan_reading(files).read(file) * scale.step + scale.zero
        assert np.abs(got - values).max() <= 0.51 * scale.step
    low, high = (float(edge) for edge in (min(map(np.min, pictures)), max(map(np.max, pictures))))
    assert (scale.zero, scale.step) == pytest.approx((low, (high - low) / 65535))


@pytest.mark.parametrize("dtype", [np.uint16, np.int16, np.float32])
def test_what_fits_as_it_is_has_no_scale(tmp_path: Path, dtype: type) -> None:
    pixels = RNG.integers(0, 30_000, (8, 9)).astype(dtype)
    (file,) = written(tmp_path, [pixels])
    assert scan_reading([file]).scale is None
    assert np.array_equal(ReadAs().read(file), pixels)


def test_a_file_of_another_type_or_beyond_the_scale_is_refused(tmp_path: Path) -> None:
    scale = ReadAs(scale=Scale(dtype="float32", zero=0.0, step=0.5))
    beyond, other = tmp_path / "beyond.tif", tmp_path / "other.tif"
    tifffile.imwrite(beyond, np.full((8, 9), 40_000, np.float32))
    tifffile.imwrite(other, np.full((8, 9), 40, np.uint16))
    with pytest.raises(InputRefused, match=r"beyond the scan's scale; value 40000 .* 0 to 32767.5"):
        scale.read(beyond)
    with pytest.raises(InputRefused, match="holds uint16 pixels, and the scan's scale is one for"):
        scale.read(other)


def test_a_damaged_file_has_no_say(tmp_path: Path) -> None:
    files = written(tmp_path, [RNG.normal(0, 1, (8, 9)).astype(np.float32) for _ in range(3)])
    before = scan_reading(files[:2]).scale
    files[2].write_bytes(b"")
    assert scan_reading(files).scale == before


def test_a_scan_is_read_by_its_scale(tmp_path: Path) -> None:
    written(tmp_path, [np.full((8, 9), k - 1, np.int16) for k in range(3)])
    scan = load_scan(tmp_path, pattern="r{row}_c{col}.mrc", overlap=0.1)
    assert [int(scan.read(tile)[0, 0]) for tile in scan.tiles] == [32767, 32768, 32769]


def test_a_lowest_row_that_is_first_is_put_last(tmp_path: Path) -> None:
    values = RNG.integers(0, 9, (8, 9)).astype(np.uint16)
    (file,) = written(tmp_path, [values])
    assert np.array_equal(scan_reading([file], bottom_first=True).read(file), values[::-1])

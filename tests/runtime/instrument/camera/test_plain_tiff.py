"""The plainest TIFF is read as the general reader reads it, and nothing that is less plain."""

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from runtime.errors import InputRefused
from runtime.instrument.camera.plain_tiff import read_plain_tiff
from runtime.instrument.camera.tiff_file import read_tiff

HERE = Path("tile.tif")
SHAPE = (9, 14)


def written(dtype: str = "<u2", shape: tuple[int, ...] = SHAPE, **how: Any) -> bytes:
    pixels = np.random.default_rng(3).integers(0, 200, shape).astype(dtype)
    file = BytesIO()
    tifffile.imwrite(file, pixels, **{"photometric": "minisblack"} | how)
    return file.getvalue()


@pytest.mark.parametrize("dtype", ["u1", "<u2"])
@pytest.mark.parametrize("metadata", [{}, None])
def test_a_plain_picture_is_the_general_reader_s(dtype: str, metadata: dict[str, str]) -> None:
    content = written(dtype, metadata=metadata)
    plain, known = read_plain_tiff(content), read_tiff(HERE, content)
    assert plain is not None
    assert plain.values.dtype == known.values.dtype
    assert np.array_equal(plain.values, known.values)
    assert plain.values.flags.writeable
    assert plain.values.flags.c_contiguous
    assert (plain.bits, plain.orientation, plain.white_is_0, plain.palette, plain.alpha) == (
        known.bits, known.orientation, known.white_is_0, known.palette, known.alpha,
    )  # fmt: skip


@pytest.mark.parametrize(
    "content",
    [
        written(photometric="miniswhite"),
        written(compression="zlib"),
        written(">u2", byteorder=">"),
        written("i2"),
        written("f4"),
        written(bigtiff=True),
        written(shape=(3, *SHAPE)),
        written(shape=(*SHAPE, 3), photometric="rgb"),
        written(rowsperstrip=4),
        written(imagej=True),
        written(description="of two", metadata=None),
        written(extratags=[(274, 3, 1, 3, True)]),
        written(extratags=[(65000, 3, 1, 1, True)]),
        written(subfiletype=1),
        written()[:200],
        written()[:-1],
        b"II*\0",
        b"II*\0\xff\xff\xff\xff" + bytes(40),
    ],
)
def test_what_is_less_plain_is_left_to_the_general_reader(content: bytes) -> None:
    assert read_plain_tiff(content) is None


def test_a_damaged_header_is_never_read_as_another_picture() -> None:
    random, whole, read = np.random.default_rng(8), written(), 0
    pixels = whole.index(b"tifffile.py")
    for _ in range(3000):
        content = bytearray(whole)
        for at in random.integers(4, pixels, random.integers(1, 4)):
            content[at] = random.choice([0, 1, 2, 4, random.integers(256)])
        plain = read_plain_tiff(bytes(content))
        if plain is None:
            continue
        read += 1
        try:
            known = read_tiff(HERE, bytes(content))
        except InputRefused as refusal:
            raise AssertionError(f"{content[:pixels].hex()} was read") from refusal
        assert np.array_equal(plain.values, known.values)
        assert plain.bits == known.bits
    assert read > 100

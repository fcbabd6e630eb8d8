"""Files of electron microscopes' own programs: read where ncempy is, else refused by name."""

from __future__ import annotations

import gc
import json
import struct
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from runtime.errors import InputRefused
from runtime.instrument.camera.electron_file import read_electron
from runtime.instrument.camera.files import read_image
from runtime.instrument.camera.pixel_size import pixel_size_um

GREY = np.random.default_rng(5).integers(0, 60_000, (20, 28), dtype=np.uint16)
SHORT, ULONG, FLOAT, GROUP, TAG, ARRAY = 2, 5, 6, 20, 21, 20


def gatan(pixels: NDArray[Any], *, images: int = 1, version: int = 3) -> bytes:
    """Return Gatan's DM3 or DM4: big-endian tags in groups, little-endian values.

    DM4 counts in eight bytes for DM3's four, and says of every tag how long it is.
    """
    count = "Q" if version == 4 else "I"

    def group(*entries: bytes) -> bytes:
        return struct.pack(f">BB{count}", 1, 0, len(entries)) + b"".join(entries)

    def entry(kind: int, name: str, content: bytes) -> bytes:
        length = struct.pack(">Q", len(content)) if version == 4 else b""
        return struct.pack(">BH", kind, len(name)) + name.encode() + length + content

    def value(kind: int, layout: str, number: float) -> bytes:
        return b"%%%%" + struct.pack(f">2{count}", 1, kind) + struct.pack(f"<{layout}", number)

    def array(kind: int, content: bytes, size: int) -> bytes:
        told = struct.pack(f">4{count}", 3, ARRAY, kind, len(content) // size)
        return b"%%%%" + told + content

    units = array(4, "nm".encode("utf-16-le"), 2)
    axis = group(
        entry(TAG, "Origin", value(FLOAT, "f", 0)),
        entry(TAG, "Scale", value(FLOAT, "f", 4.0)),
        entry(TAG, "Units", units),
    )
    axes = group(entry(GROUP, "", axis), entry(GROUP, "", axis))
    sides = [entry(TAG, "", value(ULONG, "I", side)) for side in pixels.shape[::-1]]
    image = group(
        entry(GROUP, "ImageData", group(
            entry(GROUP, "Calibrations", group(entry(GROUP, "Dimension", axes))),
            entry(TAG, "Data", array(4, pixels.tobytes(), 2)),
            entry(TAG, "DataType", value(ULONG, "I", 10)),
            entry(GROUP, "Dimensions", group(*sides)),
        )),
    )  # fmt: skip
    root = group(entry(GROUP, "ImageList", group(*[entry(GROUP, "", image)] * images)))
    return struct.pack(f">I{count}I", version, len(root) + 4, 1) + root


def ser(pixels: NDArray[Any], *, images: int = 1) -> bytes:
    """Return TIA's series of pictures, which lie bottom row first."""
    begin = 30
    height, width = pixels.shape
    axis = struct.pack("<ddi", 0, 4e-9, 0)
    picture = axis * 2 + struct.pack("<hii", 2, width, height) + pixels[::-1].tobytes()
    offsets = [begin + 8 * images + at * len(picture) for at in range(images)]
    header = struct.pack("<3h4i", 0x4949, 0x0197, 0x0210, 0x4122, 0x4152, images, images)
    header += struct.pack("<ii", begin, 0)
    assert len(header) == begin
    tags = struct.pack(f"<{images}i", *[0] * images)
    return header + struct.pack(f"<{images}i", *offsets) + tags + picture * images


def berkeley(path: Path) -> None:
    emd = pytest.importorskip("ncempy.io.emd")
    emd.emdWriter(path, GREY, pixel_size=(4.0, 4.0), pixel_unit=("nm", "nm"))


def velox(path: Path, images: int = 1) -> None:
    h5py = pytest.importorskip("h5py")
    told = {
        "BinaryResult": {
            "PixelUnitX": "m", "PixelUnitY": "m", "Detector": "BF",
            "PixelSize": {"width": "4e-9", "height": "4e-9"},
        },
        "Acquisition": {"AcquisitionStartDatetime": {"DateTime": "0"}},
        "Stage": {},
    }  # fmt: skip
    with h5py.File(path, "w") as file:
        for at in range(images):
            group = file.create_group(f"Data/Image/{at:032x}")
            group["Data"] = GREY[..., None]
            group["Metadata"] = np.frombuffer(json.dumps(told).encode(), np.uint8)[:, None]


KINDS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "DM3": ("a.dm3", lambda path: path.write_bytes(gatan(GREY))),
    "DM4": ("a.dm4", lambda path: path.write_bytes(gatan(GREY, version=4))),
    "SER": ("a.ser", lambda path: path.write_bytes(ser(GREY))),
    "HDF5": ("a.emd", berkeley),
    "HDF5 of Velox": ("a.emd", velox),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_and_its_scale_are_read(tmp_path: Path, kind: str) -> None:
    pytest.importorskip("ncempy")
    name, write = KINDS[kind]
    write(tmp_path / name)
    assert np.array_equal(read_image(tmp_path / name), GREY)
    assert pixel_size_um(tmp_path / name) == pytest.approx(0.004)


@pytest.mark.parametrize("kind", ["DM3", "DM4", "SER"])
def test_without_the_reader_a_file_is_refused_by_its_format(tmp_path: Path, kind: str) -> None:
    if find_spec("ncempy") is not None:
        pytest.skip("ncempy reads it")
    name, write = KINDS[kind]
    write(tmp_path / name)
    with pytest.raises(InputRefused, match=rf"is a {kind} file.*nightscope\[formats\]"):
        read_image(tmp_path / name)


@pytest.mark.parametrize("kind", ["DM3", "DM4", "SER", "velox"])
def test_several_pictures_are_refused(tmp_path: Path, kind: str) -> None:
    pytest.importorskip("ncempy")
    if kind == "velox":
        velox(tmp_path / "a.emd", images=2)
    else:
        version = 4 if kind == "DM4" else 3
        forged = gatan(GREY, images=3, version=version)
        content = ser(GREY, images=2) if kind == "SER" else forged
        (tmp_path / "a.emd").write_bytes(content)
    with pytest.raises(InputRefused, match="holds several images; value 2"):
        read_image(tmp_path / "a.emd")


@pytest.mark.parametrize("kind", ["DM3", "DM4", "SER", "HDF5"])
@pytest.mark.parametrize("share", [0.3, 0.9])
def test_a_part_of_a_file_is_refused(tmp_path: Path, kind: str, share: float) -> None:
    pytest.importorskip("ncempy")
    name, write = KINDS[kind]
    path = tmp_path / name
    write(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(InputRefused, match=name):
        read_image(path)


def test_a_file_is_let_go_of_while_its_picture_is_held(tmp_path: Path) -> None:
    """A reader that cannot close what it opened says so when it is collected, in a later test."""
    pytest.importorskip("ncempy")
    path = tmp_path / "a.dm3"
    path.write_bytes(gatan(GREY))
    held = read_image(path), read_electron(path, gatan(GREY))
    gc.collect()
    path.unlink()
    assert np.array_equal(held[0], held[1].values)


def test_hdf5_without_a_picture_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("ncempy")
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "a.emd", "w") as file:
        file["numbers"] = GREY
    with pytest.raises(InputRefused, match="without a picture that EMD describes"):
        read_image(tmp_path / "a.emd")

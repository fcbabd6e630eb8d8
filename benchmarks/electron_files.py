"""Pictures as electron microscopes' own programs write them, byte by byte: DM3, DM4, SER, EMD."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

ULONG, FLOAT, GROUP, TAG, ARRAY = 5, 6, 20, 21, 20


def gatan(pixels: NDArray[Any], *, images: int = 1, version: int = 3) -> bytes:
    """Return Gatan's DM3 or DM4: big-endian tags in groups, little-endian values.

    DM4 counts in eight bytes for DM3's four, and says of every tag how long it is. A pixel is 4 nm.
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


def berkeley(path: Path, pixels: NDArray[Any]) -> None:
    """Write a picture as Berkeley's EMD. Raises ImportError without ncempy."""
    from ncempy.io.emd import emdWriter

    emdWriter(path, pixels, pixel_size=(4.0, 4.0), pixel_unit=("nm", "nm"))


def velox(path: Path, pixels: NDArray[Any], *, images: int = 1) -> None:
    """Write a picture, or several, as Velox' EMD. Raises ImportError without h5py."""
    import h5py

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
            group["Data"] = pixels[..., None]
            group["Metadata"] = np.frombuffer(json.dumps(told).encode(), np.uint8)[:, None]

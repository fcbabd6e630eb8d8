"""HDF5 files of electron microscopes: EMD as Berkeley describes it, and as Velox writes it.

They are read by h5py and ncempy, which the extra `formats` installs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.errors import InputRefused
from runtime.instrument.camera.stored import damaged, refuse_bomb, several

HDF5_BEGIN = b"\x89HDF\r\n\x1a\n"
VELOX = "Data/Image"
SQUARE_ARRAY = 2
"""Dimensions of a picture; what has more is a series."""
HEAP_BEGIN = b"GCOL\x01\0\0\0"
HEAD = 16
"""Bytes before a heap's objects, and before each of them."""

Calibrated = tuple[NDArray[Any], Sequence[float], Sequence[str]]
"""Pixels, their sides and the unit of each, (y, x)."""


def read_hdf5(path: Path, content: bytes) -> Calibrated:
    """Return the only picture of an EMD file.

    Raises InputRefused, naming the file, for several, for none, and for more than so small a file
    can hold; ImportError without h5py and ncempy; what they raise for damage.
    """
    import h5py

    refuse_endless(path, content)
    with h5py.File(path, "r") as file:
        if VELOX in file:
            for group in file[VELOX].values():
                refuse_bomb(path, group["Data"].nbytes, len(content))
            return _of_velox(path)
        pictures = list(_described(file))
        if not pictures:
            raise InputRefused(
                f"{path}: is an HDF5 file without a picture that EMD describes",
                remedy="save the picture as TIFF",
            )
        if len(pictures) > 1 or pictures[0]["data"].ndim > SQUARE_ARRAY:
            raise several(path, len(pictures) if len(pictures) > 1 else pictures[0]["data"].shape)
        return _of_berkeley(path, pictures[0], len(content))


def refuse_endless(path: Path, content: bytes) -> None:
    """Refuse a file in which a list of texts has no end: HDF5's own library would never return."""
    width = content[14] if content[8] < 2 else content[10]
    at = content.find(HEAP_BEGIN)
    while at >= 0:
        if not _ends(content, at, width):
            raise damaged(path, f"the list of texts at byte {at} has no end")
        at = content.find(HEAP_BEGIN, at + 1)


def _ends(content: bytes, heap: int, width: int) -> bool:
    """Return whether the objects of a heap follow each other to its end; sizes have `width`."""
    end = heap + int.from_bytes(content[heap + 8 : heap + 8 + width], "little")
    at = heap + HEAD
    while at + HEAD <= min(end, len(content)):
        is_free = content[at : at + 2] == b"\0\0"
        size = int.from_bytes(content[at + 8 : at + 8 + width], "little")
        step = size if is_free else HEAD + -(-size // 8) * 8
        if step == 0 or at + step > end:
            return False
        at += step
    return True


def _described(file: Any) -> Iterator[Any]:
    found: list[Any] = []

    def look(_: str, one: Any) -> None:
        if one.attrs.get("emd_group_type") == 1:
            found.append(one)

    file.visititems(look)
    yield from found


def _of_berkeley(path: Path, group: Any, size: int) -> Calibrated:
    """Return the picture of a group. ncempy's reader of these prints what it thinks of a file."""
    data = group["data"]
    refuse_bomb(path, data.nbytes, size)
    axes = [group[f"dim{number + 1}"] for number in range(data.ndim)]
    for axis in axes:
        refuse_bomb(path, axis.nbytes, size)
    units = [_text(axis.attrs.get("units", "")) for axis in axes]
    return np.asarray(data[()]), [_step(axis[()]) for axis in axes], units


def _of_velox(path: Path) -> Calibrated:
    from ncempy.io.emdVelox import fileEMDVelox

    with fileEMDVelox(path) as velox:
        if len(velox.list_data) != 1:
            raise several(path, len(velox.list_data))
        values, told = velox.getDataset(0)
    return np.asarray(values), told["pixelSize"][::-1], told["pixelUnit"][::-1]


def _text(attribute: Any) -> str:
    """Return what an attribute says: text, bytes, or an array of one of them."""
    one = np.asarray(attribute).ravel()[0]
    return one.decode() if isinstance(one, bytes) else str(one)


def _step(along: NDArray[Any]) -> float:
    return abs(float(along[1] - along[0])) if len(along) > 1 else 0.0

"""Files of electron microscopes' own programs: DM3 and DM4, EMD (Berkeley's and Velox'), SER.

They are read by ncempy, which the extra `formats` installs; without it they are refused by name.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from runtime.errors import InputRefused
from runtime.instrument.camera.hdf5_file import (
    HDF5_BEGIN,
    SQUARE_ARRAY,
    Calibrated,
    read_hdf5,
)
from runtime.instrument.camera.stored import DAMAGED, EXTRA, Stored, damaged, several

SER_BEGIN = b"II\x97\x01"
DM_BEGIN = {b"\x00\x00\x00\x03": "DM3", b"\x00\x00\x00\x04": "DM4"}


def kind_of(content: bytes) -> str | None:
    """Return which of these formats a file's content has, None for none of them."""
    if content.startswith(HDF5_BEGIN):
        return "HDF5"
    if content.startswith(SER_BEGIN):
        return "SER"
    return DM_BEGIN.get(content[:4])


def read_electron(path: Path, content: bytes) -> Stored:
    """Return the only picture of a file. Raises InputRefused, naming the file and its format, for
    several pictures, damage, and where ncempy is not installed.
    """
    values, _, _ = _read(path, content)
    return Stored(values=values)


def calibration(path: Path, content: bytes) -> tuple[Sequence[float], Sequence[str]]:
    """Return the pixel's sides and their units, (y, x). Raises InputRefused as `read_electron`."""
    _, sides, units = _read(path, content)
    return sides, units


def _read(path: Path, content: bytes) -> Calibrated:
    kind = kind_of(content) or "unknown"
    try:
        values, sides, units = read_hdf5(path, content) if kind == "HDF5" else _of_file(path, kind)
    except InputRefused:
        raise
    except ImportError:
        raise InputRefused(f"{path}: is a {kind} file", remedy=EXTRA) from None
    except (*DAMAGED, AssertionError) as error:
        raise damaged(path, error) from None
    if values.ndim > SQUARE_ARRAY:
        raise several(path, values.shape)
    return values, sides, units


def _of_file(path: Path, kind: str) -> Calibrated:
    if kind == "SER":
        from ncempy.io.ser import fileSER

        with fileSER(path) as ser:
            count = int(ser.head["ValidNumberElements"])
            if count != 1:
                raise several(path, count)
            values, told = ser.getDataset(0)
            sides = [abs(float(one["CalibrationDelta"])) for one in told["Calibration"]]
            return np.asarray(values), sides[::-1], ["m"] * len(sides)
    from ncempy.io.dm import fileDM

    # In memory it would map the file, and could not let go of one that turns out to be damaged.
    with fileDM(path, on_memory=False) as dm:
        # The first of several is the preview.
        count = int(dm.numObjects) - (dm.numObjects > 1)
        if count != 1:
            raise several(path, count)
        read = dm.getDataset(0)
        return np.asarray(read["data"]), read["pixelSize"], read["pixelUnit"]

"""Files of electron microscopes that the fuzzers begin with; HDF5 where it can be written."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.electron_files import berkeley, gatan, ser, velox

DEEP: Any = np.random.default_rng(9).integers(0, 65536, (12, 16), dtype=np.uint16)


@cache
def gatans(version: int) -> list[bytes]:
    """Return a picture of DM3 or DM4, and one behind its preview."""
    return [gatan(DEEP, version=version), gatan(DEEP, images=2, version=version)]


@cache
def series() -> list[bytes]:
    """Return series of one picture and of two."""
    return [ser(DEEP), ser(DEEP, images=2)]


@cache
def emds() -> list[bytes]:
    """Return Berkeley's EMD and Velox'."""
    writers: tuple[Callable[[Path], object], ...] = (
        lambda path: berkeley(path, DEEP),
        lambda path: velox(path, DEEP),
    )
    found = []
    with TemporaryDirectory() as folder:
        for number, write in enumerate(writers):
            path = Path(folder) / f"{number}.emd"
            write(path)
            found.append(path.read_bytes())
    return found


KINDS: dict[str, Callable[[], list[bytes]]] = {
    "dm3": lambda: gatans(3),
    "dm4": lambda: gatans(4),
    "ser": series,
    **({"emd": emds} if find_spec("ncempy") and find_spec("h5py") else {}),
}
"""By the suffix of their names."""

"""The order in which calibration records were filed: by their number, whatever any clock said."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterable
from pathlib import Path

NUMBER = re.compile(r"[^@]*@([0-9]+)")
DIGITS = 4


def filed(folder: Path, stem: str) -> list[Path]:
    """Return the files of a calibration's records in the order in which they were filed.

    A controller whose clock lost its battery dates a record years ahead or back; the next one is
    the newest all the same.
    """
    return _in_order(folder.glob(f"{glob.escape(stem)}@*.json"))


def newest(folder: Path) -> dict[str, Path]:
    """Return the file of the newest record of every calibration in a folder, by its stem."""
    return {path.name.split("@")[0]: path for path in _in_order(folder.glob("*@*.json"))}


def next_number(folder: Path, stem: str) -> str:
    """Return the number that a calibration's next record is filed under."""
    there = filed(folder, stem)
    return f"{_number(there[-1]) + 1 if there else 1:0{DIGITS}d}"


def _in_order(paths: Iterable[Path]) -> list[Path]:
    return sorted(paths, key=lambda path: (_number(path), path.name))


def _number(path: Path) -> int:
    found = NUMBER.match(path.name)
    return int(found[1]) if found else 0

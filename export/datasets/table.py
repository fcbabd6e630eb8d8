"""labels.csv: which image is of which class and specimen; every fault names the file and line."""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from pathlib import Path

from runtime.errors import InputRefused
from runtime.instrument.camera.files import IMAGE_SUFFIXES

PARTS = ("train", "validation", "test")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One labelled file; `part` is "" where the table leaves the division open."""

    file: str
    target: str
    specimen: str
    pixel_size_um: float
    part: str = ""


def read_rows(path: Path, columns: tuple[str, ...]) -> list[dict[str, str]]:
    """Return the rows of a CSV file with those columns, none of them empty.

    Raises InputRefused naming the file and the column or line at fault.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, strict=True)
            given, found = reader.fieldnames or (), list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputRefused(
            f"{path} cannot be read: {error}", remedy=f"it needs columns {', '.join(columns)}"
        ) from None
    absent = [name for name in columns if name not in given]
    if absent:
        raise InputRefused(f"{path} lacks columns", value=absent, limit=", ".join(columns))
    if not found:
        raise InputRefused(f"{path} labels no image", remedy="give it one line for every image")
    for line, row in enumerate(found, start=2):
        empty = [name for name in columns if not (row[name] or "").strip()]
        if empty:
            raise InputRefused(f"{path} line {line}: no {', '.join(empty)}")
    return [{key: (row[key] or "").strip() for key in row if key} for row in found]


def read_table(path: Path) -> list[Row]:
    """Return the rows of a table with file, target, specimen, pixel_size_um and perhaps part."""
    rows = []
    for line, row in enumerate(
        read_rows(path, ("file", "target", "specimen", "pixel_size_um")), start=2
    ):
        where = f"{path} line {line}"
        part = row.get("part", "")
        if part and part not in PARTS:
            raise InputRefused(f"{where}: unknown part", value=part, limit=", ".join(PARTS))
        size_um = positive(row["pixel_size_um"], where=f"{where}: pixel_size_um")
        rows.append(
            Row(
                file=row["file"],
                target=row["target"],
                specimen=row["specimen"],
                pixel_size_um=size_um,
                part=part,
            )
        )
    return rows


def positive(text: str, *, where: str) -> float:
    """Return a finite number above zero, or raise InputRefused saying where it stands."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise InputRefused(f"{where} is no positive number", value=text)
    return value


def check_files(rows: list[Row], folder: Path, *, table: Path) -> None:
    """Raise InputRefused for a file labelled twice or missing, or an image without a label."""
    seen: set[str] = set()
    for row in rows:
        if row.file in seen:
            raise InputRefused(f"{table} labels {row.file} twice", remedy="keep one of the lines")
        seen.add(row.file)
        if not (folder / row.file).is_file():
            raise InputRefused(
                f"{table} labels {folder / row.file}, which does not exist",
                remedy="copy the image there, or remove its line",
            )
    unlabelled = sorted(
        path.name
        for path in folder.iterdir()
        if path.suffix.lower() in IMAGE_SUFFIXES and path.name not in seen
    )
    if unlabelled:
        raise InputRefused(
            f"{folder / unlabelled[0]} has no line in {table}",
            value=f"{len(unlabelled)} such images",
            remedy="label it, or move it elsewhere",
        )

"""Images in a folder with their labels.csv; the same path serves every data set of files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from export.datasets.labelled import LabelledImages
from export.datasets.table import Row, check_files, read_table
from runtime.errors import InputRefused
from runtime.instrument.camera.pixel_size import refuse_other_size
from runtime.instrument.camera.scale import scan_reading

TABLE = "labels.csv"


def read_folder(folder: Path, *, classes: tuple[str, ...]) -> LabelledImages:
    """Return the images that `folder`/labels.csv lists: file, target, specimen, pixel_size_um.

    8- and 16-bit TIFF, PNG and MRC. A column `part` (train, validation, test) fixes the division.
    Raises InputRefused naming the file at fault.
    """
    table = folder / TABLE
    return from_rows(read_table(table), folder, table=table, classes=classes)


def from_rows(
    rows: list[Row], folder: Path, *, table: Path, classes: tuple[str, ...]
) -> LabelledImages:
    """Return the images of a table's rows, their files checked; a few are opened, or all for their
    one scale where they hold signed or fractional numbers.
    """
    check_files(rows, folder, table=table)
    files = [folder / row.file for row in rows]
    parts = np.array([row.part for row in rows])
    if (parts == "").any() and (parts != "").any():
        raise InputRefused(
            f"{table}: {rows[int(np.argmax(parts == ''))].file} has no part but others have",
            remedy="give every line a part, or none",
        )
    for file, row in zip(files, rows, strict=True):
        refuse_other_size(file, given_um=row.pixel_size_um, by=f"its line in {table}")
    read_as = scan_reading(files)
    return LabelledImages(
        source=folder.name,
        classes=classes,
        load=lambda index: read_as.read(files[index]),
        target=_targets(rows, classes, table),
        specimen=np.array([row.specimen for row in rows]),
        pixel_size_um=np.array([row.pixel_size_um for row in rows]),
        names=np.array([str(file) for file in files]),
        part=None if (parts == "").any() else parts,
    )


def _targets(rows: list[Row], classes: tuple[str, ...], table: Path) -> np.ndarray:
    for row in rows:
        if row.target not in classes:
            raise InputRefused(
                f"{table}: {row.file} has an unknown target",
                value=row.target,
                limit=", ".join(classes),
                remedy="name the configuration's classes as the table does",
            )
    return np.array([classes.index(row.target) for row in rows], dtype=np.int64)

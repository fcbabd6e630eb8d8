"""SEM images of ultra-high-carbon steel: Widmanstätten cementite or not.

UHCSDB, DeCost, Hecht, Francis, Webler, Picard, Holm 2017, doi:10.1007/s40192-017-0097-0. The
images here are cropped above the instrument's caption bar: it is nowhere in them.
"""

from __future__ import annotations

from pathlib import Path

from export.datasets.folder import TABLE, from_rows
from export.datasets.labelled import LabelledImages
from export.datasets.table import Row, positive, read_rows

COLUMNS = ("id", "target", "sample_key", "micron_bar", "micron_bar_px")


def read_uhcs(folder: Path, *, classes: tuple[str, ...]) -> LabelledImages:
    """Return the images of `folder`/images; the specimen is the sample key, and the pixel size
    comes from the scale bar. Raises InputRefused naming the file at fault.
    """
    table = folder / TABLE
    rows = [
        Row(
            file=f"{row['id']}.png",
            target=row["target"],
            specimen=row["sample_key"],
            pixel_size_um=positive(row["micron_bar"], where=f"{table}: {row['id']} micron_bar")
            / positive(row["micron_bar_px"], where=f"{table}: {row['id']} micron_bar_px"),
        )
        for row in read_rows(table, COLUMNS)
    ]
    return from_rows(rows, folder / "images", table=table, classes=classes)

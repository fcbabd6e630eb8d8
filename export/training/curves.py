"""Learning curves: a table and a picture of the loss and every metric by epoch."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from runtime.record.storage import write_durably

Row = dict[str, float]
PARTS = {"train": "--", "validation": "-"}


PICTURE = "curves.png"


def write_curves(folder: Path, rows: list[Row]) -> None:
    """Write curves.csv into a folder.

    A row, one an epoch, holds "epoch" and for the loss and every metric "train_<name>" and
    "validation_<name>".
    """
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_durably(folder / "curves.csv", text.getvalue().encode())


def draw_curves(folder: Path, rows: list[Row], *, title: str) -> None:
    """Write curves.png, of the same rows: it takes as long as many a small network's epoch."""
    write_durably(folder / PICTURE, _picture(rows, title))


def _picture(rows: list[Row], title: str) -> bytes:
    names = [name.removeprefix("train_") for name in rows[0] if name.startswith("train_")]
    figure = Figure(figsize=(4.5 * len(names), 3.6), layout="constrained")
    canvas = FigureCanvasAgg(figure)
    epochs = [row["epoch"] for row in rows]
    axes = figure.subplots(1, len(names), squeeze=False)[0]
    for plot, name in zip(axes, names, strict=True):
        for part, style in PARTS.items():
            values = [row[f"{part}_{name}"] for row in rows]
            plot.plot(epochs, values, style, marker=".", label=part)
        plot.set(xlabel="epoch", ylabel=name.replace("_", " "))
        plot.grid(alpha=0.3)
        plot.legend()
    figure.suptitle(title)
    buffer = io.BytesIO()
    canvas.print_png(buffer)
    return buffer.getvalue()

"""Learning curves: a table and a picture of loss and accuracy by epoch."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from runtime.record.storage import write_durably

COLUMNS = (
    "epoch",
    "train_loss",
    "validation_loss",
    "train_accuracy",
    "validation_accuracy",
)
Rows = list[dict[str, float]]


def write_curves(folder: Path, rows: Rows, *, title: str) -> None:
    """Write curves.csv and curves.png into a folder; `rows` hold the COLUMNS, one an epoch."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_durably(folder / "curves.csv", text.getvalue().encode())
    write_durably(folder / "curves.png", _picture(rows, title))


def _picture(rows: Rows, title: str) -> bytes:
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    canvas = FigureCanvasAgg(figure)
    epochs = [row["epoch"] for row in rows]
    for axes, name in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        for part, style in (("train", "--"), ("validation", "-")):
            axes.plot(epochs, [row[f"{part}_{name}"] for row in rows], style, marker=".",
                      label=part)  # fmt: skip
        axes.set(xlabel="epoch", ylabel=name)
        axes.grid(alpha=0.3)
        axes.legend()
    figure.suptitle(title)
    buffer = io.BytesIO()
    canvas.print_png(buffer)
    return buffer.getvalue()

"""Label every image of a folder and write the table; a bad file costs only its own row."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from dataclasses import asdict, fields
from functools import partial
from pathlib import Path
from typing import Any

from runtime.errors import InputRefused
from runtime.instrument.camera.files import IMAGE_SUFFIXES
from runtime.instrument.camera.scale import ReadAs, scan_reading
from runtime.offline.streaming import AnswerStream
from runtime.record.storage import write_durably
from runtime.tasks.classify.classifier import TileClassifier
from runtime.tile import Label, Picture

Progress = Callable[[int, int], None]


def classify_folder(
    folder: Path,
    *,
    model: Path,
    keys: Path,
    out: Path,
    pixel_size_um: float | None = None,
    bottom_first: bool = False,
    threads: int = 1,
    cache: Path | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Write `out`, a CSV of file, label, score, one score per class, strangeness, doubt, error;
    return the summary.

    With `bottom_first` files keep their lowest row first. Signed and fractional numbers are read by
    one scale for the folder ("scale"). The next few images are read while one is labelled. `cache`
    is as in `open_model`.
    Without a pixel size the images are taken to have the one the model was trained for, and the
    summary's "pixel_size_assumed" says so. A file that cannot be read or labelled has no label and
    its error in the last column; "exit_code" is then 5. A label with a doubt is not to be trusted;
    "doubted" counts them. Raises ModelRefused for the model or the pixel size, InputRefused for a
    folder without images.
    """
    files = _images(folder)
    classifier = TileClassifier.open(model, keys=keys, threads=threads, cache=cache)
    size_um = classifier.pixel_size_um if pixel_size_um is None else pixel_size_um
    classifier.check_pixel_size(pixel_size_um=size_um)
    rows, counts = [], dict.fromkeys(classifier.classes, 0)
    read_as = scan_reading(files, bottom_first=bottom_first)
    loads = (partial(_pictures, file, size_um=size_um, read_as=read_as) for file in files)
    outcomes = AnswerStream(classifier.work).outcomes(loads)
    for done, (file, outcome) in enumerate(zip(files, outcomes, strict=True), start=1):
        row = _row(file, outcome)
        rows.append(row)
        if row["label"]:
            counts[row["label"]] += 1
        if progress is not None:
            progress(done, len(files))
    write_durably(out, _table(rows, classifier.classes))
    failed = {row["file"]: row["error"] for row in rows if row["error"]}
    return {
        "model": f"{classifier.name} {classifier.version}",
        "backend": str(classifier.choice),
        "files": len(files),
        "labels": counts,
        "doubted": sum(bool(row.get("doubt")) for row in rows),
        "failed": failed,
        "out": str(out),
        "pixel_size_um": size_um,
        "pixel_size_assumed": pixel_size_um is None,
        "scale": None if read_as.scale is None else asdict(read_as.scale),
        "exit_code": 5 if failed else 0,
    }


def _images(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise InputRefused(f"{folder} is not a folder", remedy="name the folder of the images")
    found = [path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES]
    if not found:
        raise InputRefused(f"{folder} holds no images", limit=", ".join(IMAGE_SUFFIXES))
    return sorted(found)


def _row(file: Path, outcome: Label | InputRefused) -> dict[str, Any]:
    if isinstance(outcome, InputRefused):
        return {"file": file.name, "label": "", "score": "", "error": str(outcome)}
    return {"file": file.name, "label": outcome.name, "error": "", **_scores(outcome)}


def _pictures(file: Path, *, size_um: float, read_as: ReadAs) -> list[Picture]:
    return [Picture(pixels=read_as.read(file), pixel_size_um=size_um)]


# What else a label says of an image has a column of its own, whatever that comes to be.
BESIDE_SCORES = [
    field.name for field in fields(Label) if field.name not in ("name", "score", "scores", "model")
]


def _scores(label: Label) -> dict[str, str]:
    shown = {f"score_{name}": f"{score:.4f}" for name, score in label.scores.items()}
    beside = {name: _shown(getattr(label, name)) for name in BESIDE_SCORES}
    return {"score": f"{label.score:.4f}", **shown, **beside}


def _shown(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def _table(rows: list[dict[str, Any]], classes: tuple[str, ...]) -> bytes:
    scores = [f"score_{name}" for name in classes]
    columns = ["file", "label", "score", *scores, *BESIDE_SCORES, "error"]
    buffer = io.StringIO(newline="")
    writer = csv.DictWriter(buffer, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue().encode()

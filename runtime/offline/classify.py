"""Label every image of a folder and write the table; a bad file costs only its own row."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, fields
from functools import partial
from pathlib import Path
from typing import Any, Literal

from runtime.calibrated.loaded import guard_of
from runtime.calibrated.record import CalibrationRecord
from runtime.config.settings import Settings
from runtime.errors import InputRefused, ModelRefused
from runtime.inference.signature import Keyring
from runtime.inference.task import Work
from runtime.instrument.camera.files import IMAGE_SUFFIXES, is_image_name
from runtime.instrument.camera.ome_frames import AS_NAMED, FrameChoice
from runtime.instrument.camera.pixel_size import pixel_size_um as stated_pixel_size_um
from runtime.instrument.camera.scale import ReadAs, scan_reading
from runtime.offline.run_frames import RunFrames, run_frames
from runtime.offline.streaming import AnswerStream
from runtime.record.run_folder import RunFolder
from runtime.record.storage import write_durably
from runtime.report.ending import Ending, Sentences, by_reason, listed
from runtime.report.printable import cell
from runtime.report.wording import counted, date
from runtime.tasks.classify.calibrated_guard import guarded
from runtime.tasks.classify.classifier import PreparedPicture, TileClassifier
from runtime.tile import BLANK_DOUBT, Label, Picture

Progress = Callable[[int, int], None]

NAMED = 4
"""How many files a sentence names before it only counts."""

SAME_SIZE = 0.01
"""Share by which a pixel size may differ from another and still be the same, rounded otherwise."""


def classify_folder(
    folder: Path,
    *,
    model: Path,
    keys: Path | Keyring,
    out: Path,
    pixel_size_um: float | None = None,
    bottom_first: bool = False,
    choice: FrameChoice = AS_NAMED,
    backend: Literal["auto", "onnxruntime", "openvino"] = "auto",
    threads: int = 1,
    cache: Path | None = None,
    instrument: Settings | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Write `out`, a CSV of file, label, score, one score per class, strangeness, doubt, error, its
    texts as `cell` shows them; return the summary.

    Frames of a run, in its own folder, are corrected as it corrected them. With `bottom_first`
    files keep their lowest row first; `choice` is which frame is labelled of files that hold
    several ("frames" says which, in words), and is not corrected. Signed and fractional numbers are
    read by one scale for the folder ("scale"). `backend` and `cache` are as in `open_model`. An
    image has the pixel size given, else the one that its file states, else that the model was
    trained for, and "pixel_size_assumed" says so. The guard is as `instrument` calibrated it for
    pixels of that size, if it did ("guard" names the record). A file that cannot be read, or
    labelled at its pixel size, has no label and its error in the last column. "left_out" are files
    that are no images by name. A label with a doubt is not to be trusted: "blank" counts those of
    images that show nothing, "doubted" all others, "doubts" by reason. "words" tell a person all
    that, "ending" by what it is good for; "exit_code" is 5 where files have no label or labels are
    doubted. Raises ModelRefused for the model or the pixel size given, InputRefused for a folder
    without images.
    """
    _refuse_no_table(out)
    files, left_out = _images(folder, out)
    classifier = TileClassifier.open(
        model, keys=keys, backend=backend, threads=threads, cache=cache
    )
    sizes = _Sizes(given_um=pixel_size_um, assumed_um=classifier.pixel_size_um)
    classifier, guard = _as_calibrated(classifier, instrument, pixel_size_um or sizes.assumed_um)
    classifier.check_pixel_size(pixel_size_um=pixel_size_um or sizes.assumed_um)
    read_as = scan_reading(files, bottom_first=bottom_first, choice=choice)
    # The light of another frame is another one.
    frames = RunFrames() if choice else run_frames(folder)
    pictures = partial(_pictures, read_as=read_as, frames=frames, classifier=classifier)
    loads = (partial(pictures, file, size_um=sizes.of(file)) for file in files)
    outcomes = AnswerStream(_work(classifier)).outcomes(loads)
    rows = list(_rows(files, outcomes, progress))
    write_durably(out, _table(rows, classifier.classes))
    about = {
        "model": f"{classifier.name} {classifier.version}",
        "backend": str(classifier.choice),
        "left_out": left_out,
        "out": str(out),
        "guard": None if guard is None else guard.name,
    }
    notes = (*_guard_words(guard), *sizes.words, *read_as.words, *frames.words)
    return about | _told(rows, classifier.classes, left_out, sizes, read_as, notes)


def _as_calibrated(
    classifier: TileClassifier, instrument: Settings | None, pixel_size_um: float
) -> tuple[TileClassifier, CalibrationRecord | None]:
    """Return the classifier guarded as the instrument calibrated it, and by which record."""
    if instrument is None:
        return classifier, None
    record = guard_of(instrument, pixel_size_um=pixel_size_um)
    if record is None:
        return classifier, None
    return guarded(classifier, record, folder=instrument.calibration.folder), record


def _guard_words(record: CalibrationRecord | None) -> Sentences:
    if record is None:
        return ()
    made = date(record.made.wall_s)
    return (f"what is doubted is as calibrated for {record.objective} on {made}",)


def _told(
    rows: list[dict[str, Any]],
    classes: tuple[str, ...],
    left_out: dict[str, str],
    sizes: _Sizes,
    read_as: ReadAs,
    notes: Sentences,
) -> dict[str, Any]:
    """Return what the summary says of the rows of a table; `notes` is what was taken for given."""
    failed = {row["file"]: row["error"] for row in rows if row["error"]}
    counts = {name: sum(row["label"] == name for row in rows) for name in classes}
    doubts = Counter(row["doubt"] for row in rows if row.get("doubt"))
    blank = doubts.pop(BLANK_DOUBT, 0)
    ending = _ending(counts, doubts, blank, failed, left_out, notes)
    return {
        "files": len(rows),
        "labels": counts,
        "blank": blank,
        "doubted": doubts.total(),
        "doubts": dict(doubts.most_common()),
        "failed": failed,
        "pixel_size_um": sizes.usual_um,
        "pixel_size_assumed": sizes.assumed,
        "scale": None if read_as.scale is None else asdict(read_as.scale),
        "frames": list(read_as.frames),
        "words": ending.words,
        "ending": ending,
        "exit_code": ending.exit_code,
    }


class _Sizes:
    """The pixel size of every image, and where it is from: the user, the file, or the model."""

    def __init__(self, *, given_um: float | None, assumed_um: float) -> None:
        self.given_um, self.assumed_um = given_um, assumed_um
        self._used: Counter[float] = Counter()
        self._stated: Counter[float] = Counter()
        self.assumed = False

    def of(self, file: Path) -> float:
        stated_um = stated_pixel_size_um(file)
        if stated_um is not None:
            self._stated[round(stated_um, 9)] += 1
        elif self.given_um is None:
            self.assumed = True
        size_um = self.given_um or stated_um or self.assumed_um
        self._used[size_um] += 1
        return size_um

    @property
    def usual_um(self) -> float:
        return self._used.most_common(1)[0][0]

    @property
    def words(self) -> list[str]:
        given = self.given_um
        sizes = [
            f"{size:g} µm ({count})"
            for size, count in self._stated.most_common(NAMED)
            if given is None or abs(size / given - 1) > SAME_SIZE
        ]
        stated = ", ".join(sizes)
        if given is not None:
            told = f"a pixel is {given:g} µm as given, not {stated} as files state"
            return [told] if sizes else []
        words = [f"pixel size as the files state: {stated}"] if sizes else []
        if self.assumed:
            words.append(
                f"where no file states it a pixel is assumed to be {self.assumed_um:g} µm, as the"
                " model was trained for: give --pixel-size-um"
            )
        return words


def _ending(
    counts: dict[str, int],
    doubts: Counter[str],
    blank: int,
    failed: dict[str, str],
    left_out: dict[str, str],
    notes: Sentences,
) -> Ending:
    labels = ", ".join(f"{count} {name}" for name, count in counts.items())
    attention: list[str] = []
    others = [f"{counted(blank, 'image')} blank: nothing to label (column doubt)"] if blank else []
    if doubts:
        reasons = [f"{count} {reason}" for reason, count in doubts.most_common()]
        attention.append(
            f"{counted(doubts.total(), 'label')} not to be trusted (column doubt): "
            + listed(reasons[:NAMED], len(reasons))
        )
    if failed:
        attention.append(
            f"{counted(len(failed), 'file')} without a label: {by_reason(failed, NAMED)}"
        )
    if left_out:
        others.append(f"{counted(len(left_out), 'file')} left out: {by_reason(left_out, NAMED)}")
    return Ending(
        done=(f"{counted(sum(counts.values()), 'image')} labelled: {labels}",),
        assumed=notes,
        left_out=tuple(others),
        attention=tuple(attention),
    )


def _refuse_no_table(out: Path) -> None:
    """Refuse to write where a folder is, and over an image."""
    if out.is_dir():
        raise InputRefused(
            f"{out} is a folder, and the table is a file",
            limit="a name such as labels.csv",
            remedy=f"give --out {out / 'labels.csv'}",
        )
    if is_image_name(out.name):
        raise InputRefused(
            f"{out} is an image by its name, and no table",
            limit="a name such as labels.csv",
            remedy="give --out another name",
        )


def _images(folder: Path, out: Path) -> tuple[list[Path], dict[str, str]]:
    """Return a folder's images by their names, and why its other files are none."""
    if not folder.is_dir():
        raise InputRefused(f"{folder} is not a folder", remedy="name the folder of the images")
    run = RunFolder(folder)
    if run.journal.is_file():
        raise InputRefused(f"{folder} is a run, not its frames", remedy=f"name {run.tiles}")
    files = sorted(path for path in folder.iterdir() if not path.is_dir() and path != out)
    found = [path for path in files if is_image_name(path.name)]
    if not found:
        raise InputRefused(f"{folder} holds no images", limit=", ".join(IMAGE_SUFFIXES))
    others = {path.name: "no image by its name" for path in files if path not in set(found)}
    return found, others


def _rows(
    files: list[Path], outcomes: Iterable[Label | InputRefused], progress: Progress | None
) -> Iterator[dict[str, Any]]:
    for done, (file, outcome) in enumerate(zip(files, outcomes, strict=True), start=1):
        yield _row(file, outcome)
        if progress is not None:
            progress(done, len(files))


def _row(file: Path, outcome: Label | InputRefused) -> dict[str, Any]:
    if isinstance(outcome, InputRefused):
        # Its name has a column of its own; without it what is wrong with several is said once.
        why = str(outcome).removeprefix(f"{file}: ")
        return {"file": file.name, "label": "", "score": "", "error": why}
    return {"file": file.name, "label": outcome.name, "error": "", **_scores(outcome)}


def _work(classifier: TileClassifier) -> Work[PreparedPicture, Label]:
    """Return what the classifier does with a picture, and with it as it was before correction."""

    def prepare(pictures: Sequence[Picture]) -> PreparedPicture:
        return classifier.prepare(pictures[0], raw=pictures[-1].pixels)

    return Work(prepare=prepare, answer=classifier.judge)


def _pictures(
    file: Path, *, size_um: float, read_as: ReadAs, frames: RunFrames, classifier: TileClassifier
) -> list[Picture]:
    """Return the image as a model takes it, and as it was read where it is corrected.

    Raises InputRefused for one of another pixel size.
    """
    try:
        classifier.check_pixel_size(pixel_size_um=size_um)
    except ModelRefused as refusal:
        raise InputRefused(f"{file}: {refusal}") from None
    raw = read_as.read(file)
    pixels = frames.corrected(file, raw, bottom_first=read_as.bottom_first)
    seen = [raw] if pixels is None else [pixels, raw]
    return [Picture(pixels=one, pixel_size_um=size_um) for one in seen]


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
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([cell(name) for name in columns])
    writer.writerows([cell(row.get(name, "")) for name in columns] for row in rows)
    return buffer.getvalue().encode()

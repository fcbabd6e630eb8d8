"""The int8 scores of a classifier: exported, quantised, run in ONNX Runtime as on a device."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from export import quantise
from export.convert.graph import to_parts
from export.datasets.prepared import PreparedViews
from export.networks.fusion import FusedClassifier
from export.progress import Progress, silent
from export.quantise import to_int8
from runtime.inference.backends import open_session
from runtime.preprocess.inputs import Inputs
from runtime.tasks.classify.record import SCORES

CALIBRATION_VIEWS = 128


def integer_scores(
    classifier: FusedClassifier,
    train: PreparedViews,
    test: PreparedViews,
    *,
    kept: Path,
    threads: int,
    progress: Progress = silent,
) -> NDArray[np.float32]:
    """Return the (test views, classes) scores of the classifier with every layer but its tail int8.

    Calibrated on views spread evenly over the training views, without the gate and the fall-back
    that a shipped model gets: the table is to show what int8 costs. `kept` is the file that holds
    the scores between runs, for this very model, quantiser and views. Raises ModelRefused for a
    classifier whose int8 model is too large for one ONNX file.
    """
    names = classifier.inputs
    parts = to_parts(classifier, view_inputs(test, 0, names))
    key = f"{parts.digest()} {quantiser_digest()} {test.fingerprint(*names)}"
    if kept.is_file():
        with np.load(kept) as found:
            if str(found["key"]) == key:
                return np.asarray(found["scores"])
    progress("quantising", 0, 1)
    chosen = np.linspace(0, len(train.image) - 1, min(CALIBRATION_VIEWS, len(train.image)))
    int8 = to_int8(parts, [view_inputs(train, int(view), names) for view in chosen.round()])
    scores = onnx_scores(int8, test, names, threads=threads)
    kept.parent.mkdir(parents=True, exist_ok=True)
    np.savez(kept, key=np.array(key), scores=scores)
    return scores


def onnx_scores(
    model: bytes, prepared: PreparedViews, names: tuple[str, ...], *, threads: int
) -> NDArray[np.float32]:
    """Return the (views, classes) scores of an ONNX model in ONNX Runtime, a view at a time."""
    session = open_session(model, backend="onnxruntime", threads=threads)
    views = range(len(prepared.image))
    seen = (view_inputs(prepared, view, names) for view in views)
    return np.stack([session.run(one)[SCORES][0] for one in seen])


def view_inputs(prepared: PreparedViews, view: int, names: tuple[str, ...]) -> Inputs:
    """Return the named inputs of one view, as it is."""
    inputs = prepared.inputs(view)
    return {name: inputs[name] for name in names}


def quantiser_digest(sources: Path = Path(quantise.__file__).parent) -> str:
    """Return the SHA-256 of the quantiser's sources and ONNX Runtime's release, in hexadecimal, so
    that scores of another quantiser are not reused.
    """
    digest = hashlib.sha256(onnxruntime.__version__.encode())
    for path in sorted(sources.rglob("*.py")):
        digest.update(path.relative_to(sources).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()

"""From a configuration and a seed to artefacts: train, export, quantise, measure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.bundle.artefacts import Artefacts
from export.bundle.card import model_card
from export.config.training import TrainingConfig, read_config
from export.convert.graph import to_parts
from export.convert.parts import LARGEST_BYTES, VOTE, ModelParts
from export.datasets.labelled import LabelledImages
from export.datasets.prepared import PreparedViews
from export.datasets.reading import Data, PreparedSplit, prepare_parts, read_data
from export.networks.fusion import FusedClassifier
from export.progress import Progress, silent
from export.quantise import Quantised, model_outputs, part_outputs, quantise
from export.tasks.classify.depths import accuracy_by_depth
from export.tasks.classify.earned import streams_said
from export.tasks.classify.fuse import train_classifier
from export.tasks.classify.golden import golden_views
from export.tasks.classify.guard import FittedGuard, fit_guard, least_score
from export.tasks.classify.judge import ClassJudge
from export.tasks.classify.metrics import measure
from export.tasks.classify.words import words_of
from export.texture.lbp_table import stored_table
from runtime.inference.session import Backend, Outputs
from runtime.inference.view_input import FieldOfView, ViewInput
from runtime.inference.windows import TOLERANCE
from runtime.preprocess.inputs import Inputs
from runtime.preprocess.spec import PreprocessSpec
from runtime.tasks.classify.record import SCORES, Classification, Trust

# How far a score may lie from the expected one on a back end that was not seen.
LEAST_TOLERANCE = 0.02
CALIBRATION_VIEWS = 128
LUT = "lbp_mds.npy"
REFERENCE: Backend = "onnxruntime"
# How far beyond the trained pixel sizes a model still serves.
SLACK = 1 + TOLERANCE
SCALARS = ("accuracy", "balanced_accuracy", "log_loss", "calibration_error")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Exported:
    """The classifier in both precisions; the fp32 one may be too large for one file."""

    fp32: ModelParts
    quantised: Quantised

    def outputs(self, part: PreparedViews) -> dict[str, Outputs]:
        """Return by precision what it gives out for every view."""
        views = ViewInputs(part)
        return {
            "fp32": part_outputs(self.fp32, views),
            "int8": model_outputs(self.quantised.int8, views, backend=REFERENCE),
        }


def make_classifier(
    config: Path, folder: Path | None, *, seed: int, out: Path, progress: Progress = silent
) -> Artefacts:
    """Return the artefacts of a configuration file; `folder` holds the images where they are in
    one. See `build`.
    """
    settings, base = read_config(config), config.parent
    data = read_data(settings, folder, base=base, seed=seed, progress=progress)
    lut = stored_table().coordinates
    return build(settings, data, lut, seed=seed, out=out, base=base, progress=progress)


def build(
    config: TrainingConfig,
    data: Data,
    lut: NDArray[np.float32],
    *,
    seed: int,
    out: Path,
    base: Path = Path(),
    progress: Progress = silent,
) -> Artefacts:
    """Return the artefacts of one seed; checkpoints and curves go into `out`/streams.

    `lut` is the (256, 3) table of LBP codes; files the configuration names are relative to `base`.
    The artefacts have no fp32 model where one ONNX file cannot hold it. Raises ModelRefused when
    int8 is less accurate than its gate allows on the validation images.
    """
    prepared = prepare_parts(
        data, config.spec(), lut, turned_texture=config.turned_texture, progress=progress
    )
    classifier = train_classifier(
        config, prepared, seed=seed, out=out / "streams", base=base, progress=progress
    )
    prepared, spec = _seen_by(classifier, prepared)
    examples = _spread_views(prepared.train, CALIBRATION_VIEWS)
    parts = to_parts(classifier, examples[0])
    exported = _Exported(
        fp32=parts,
        quantised=quantise(
            parts,
            examples,
            ViewInputs(prepared.validation),
            _judge(prepared.validation),
            progress=progress,
        ),
    )
    validated = exported.outputs(prepared.validation)
    guard = fit_guard(data.parts, data.field, spec, progress=progress)
    task = Classification(
        classes=config.classes,
        trust=None if guard is None else _trust(guard, validated["int8"], prepared.validation),
    )
    about = _about(config, data, task, spec) | {
        "networks": {"cuts": [VOTE + stream for stream in parts.streams]},
        "origin": {
            "training": _training(config, data, classifier, seed=seed),
            "quantisation": _quantisation(exported.quantised),
            "metrics": _metrics(exported, validated, prepared, progress),
        },
    }
    return Artefacts(
        about=about,
        fp32=_one_file(parts, progress),
        int8=exported.quantised.int8,
        golden=[[view] for view in golden_views(data)],
        arrays={LUT: lut} | ({} if guard is None else guard.arrays()),
        card=model_card(about, words_of(task, ViewInput.model_validate(about["input"]))),
    )


def _seen_by(
    classifier: FusedClassifier, prepared: PreparedSplit
) -> tuple[PreparedSplit, PreprocessSpec]:
    """Return the views with no other inputs than the classifier's, which may have left some out."""
    train, validation, test = (
        part.seeing(classifier.inputs)
        for part in (prepared.train, prepared.validation, prepared.test)
    )
    return PreparedSplit(train=train, validation=validation, test=test), train.spec


def _one_file(parts: ModelParts, progress: Progress) -> bytes | None:
    """Return the fp32 model, or say that there cannot be one."""
    if parts.fit_one_file():
        return parts.joined()
    size, limit = parts.size_bytes / 1e9, LARGEST_BYTES / 1e9
    progress("fp32 model", 1, 1, f"left out: {size:.2f} GB, one ONNX file holds {limit:.2f} GB")
    return None


def _spread_views(prepared: PreparedViews, count: int) -> list[Inputs]:
    """Return views spread evenly over the set, each in an orientation of its own."""
    views, ways = len(prepared), len(prepared.shown)
    chosen = np.unique(np.linspace(0, views - 1, count).round().astype(int))
    return [prepared.inputs(int(view), int(view) % ways) for view in chosen]


@dataclass(frozen=True, slots=True)
class ViewInputs:
    """The inputs of every view as it is, made on demand: together they may not fit into memory."""

    prepared: PreparedViews

    def __len__(self) -> int:
        return len(self.prepared)

    def __getitem__(self, view: int, /) -> Inputs:
        return self.prepared.inputs(view)

    def __iter__(self) -> Iterator[Inputs]:
        return map(self.prepared.inputs, range(len(self)))


def _judge(prepared: PreparedViews) -> ClassJudge:
    return ClassJudge(target=prepared.target, image=prepared.image)


def _quantisation(quantised: Quantised) -> dict[str, Any]:
    """Return what the manifest says of the quantisation, as plain JSON values."""
    return {
        "kept_fp32": list(quantised.kept),
        "reached": {name: found["accuracy"] for name, found in quantised.metrics.items()},
        "gate": quantised.tolerance["accuracy"],
    }


def _trust(guard: FittedGuard, validated: Outputs, part: PreparedViews) -> Trust:
    scores = part.image_scores(validated[SCORES])
    return guard.trust(least_score=least_score(scores))


def _metrics(
    exported: _Exported,
    validated: dict[str, Outputs],
    prepared: PreparedSplit,
    progress: Progress,
) -> dict[str, dict[str, float]]:
    """Return by precision the metrics of images on validation, and on test as "test_...", the
    accuracy also in every depth of the camera.

    Of int8 also the "agreement": the share of images that it decides as fp32 does.
    """
    tested = exported.outputs(prepared.test)
    sets = {"": (prepared.validation, validated), "test_": (prepared.test, tested)}
    found: dict[str, dict[str, float]] = {"fp32": {}, "int8": {}}
    for prefix, (part, said) in sets.items():
        fp32, int8 = (_judge(part).decide(said[name]) for name in ("fp32", "int8"))
        found["int8"][f"{prefix}agreement"] = float((fp32 == int8).mean())
        depths = accuracy_by_depth(part, exported.outputs, progress=progress)
        for precision, outputs in said.items():
            scores = part.image_scores(outputs[SCORES])
            values = measure(scores, part.image_target).to_json()
            values = {name: values[name] for name in SCALARS} | depths[precision]
            found[precision] |= {f"{prefix}{name}": value for name, value in values.items()}
            found[precision][f"{prefix}tiles"] = float(len(scores))
    return found


def _about(
    config: TrainingConfig, data: Data, task: Classification, spec: PreprocessSpec
) -> dict[str, Any]:
    kind = "field_um" if isinstance(data.field, FieldOfView) else "field_px"
    return {
        "name": config.name,
        "version": config.version,
        "task": task.model_dump(mode="json"),
        "input": {
            "pixel_size_um": _pixel_sizes(config, data.parts.train),
            kind: data.field.model_dump(),
            "preprocessing": spec.to_json(),
            "lut": LUT,
        },
        "golden": {"tolerance": {SCORES: LEAST_TOLERANCE}},
        "budgets_ms": config.budgets_ms,
    }


def _training(
    config: TrainingConfig, data: Data, classifier: FusedClassifier, *, seed: int
) -> dict[str, Any]:
    streams = streams_said(config, classifier, data.parts, seed=seed)
    return {
        "data": data.parts.train.source,
        "licence": config.licence,
        "split": f"{data.parts.summary()}; {streams}",
        "seeds": [seed],
    }


def _pixel_sizes(config: TrainingConfig, train: LabelledImages) -> list[float]:
    """Return the range the model is for: the configuration's, or what it was trained on."""
    if config.pixel_size_um != "from-data":
        return list(config.pixel_size_um)
    sizes_um = train.pixel_size_um
    return [float(sizes_um.min()) / SLACK, float(sizes_um.max()) * SLACK]

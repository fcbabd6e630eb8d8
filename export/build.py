"""From a configuration and a seed to artefacts: train, export, quantise, measure."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.artefacts import Artefacts
from export.config import TrainingConfig
from export.datasets.augment import expose
from export.datasets.examples import ExampleSource
from export.datasets.overview import CAMERA
from export.datasets.patches import HEIGHT_PX, WIDTH_PX, draw_patch
from export.datasets.section import Section
from export.evaluate import Examples, drawn_examples, metrics, overview_examples
from export.graph import to_onnx
from export.networks.compact import CELL_PX
from export.quantise import check_gate, quantise
from export.train import Progress, train
from runtime.preprocess.inputs import Inputs
from runtime.preprocess.spec import PreprocessSpec

CALIBRATION_EXAMPLES, GOLDEN_DRAWS, GOLDEN_TILES = 128, 40, 6
VALIDATION_SEED, CALIBRATION_SEED, GOLDEN_SEED = 101, 102, 103
OVERVIEWS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """The sections of one configuration, cut as it says."""

    training: Section
    validation: Section
    test: Section | None


def read_data(config: TrainingConfig, base: Path) -> Data:
    """Return the sections; paths in the configuration are relative to `base`."""
    whole = config.section.load(base)
    return Data(
        training=whole.rows(*config.section.train_rows),
        validation=whole.rows(*config.section.validation_rows),
        test=None if config.test_section is None else config.test_section.load(base),
    )


def build(
    config: TrainingConfig,
    data: Data,
    lut: NDArray[np.float32],
    *,
    seed: int,
    examples: int,
    progress: Progress,
) -> Artefacts:
    """Return the artefacts of one seed, measured on `examples` validation examples.

    Raises ModelRefused when int8 fails its gate.
    """
    spec = PreprocessSpec(width_px=256)
    fusion = train(data.training, spec, lut, config.recipe, seed=seed, progress=progress)
    calibration = _draw(data.training, spec, lut, CALIBRATION_EXAMPLES, CALIBRATION_SEED).inputs
    fp32 = to_onnx(fusion, calibration[0])
    int8 = quantise(fp32, calibration)
    validation = _draw(data.validation, spec, lut, examples, VALIDATION_SEED)
    measured = {"fp32": metrics(fp32, validation), "int8": metrics(int8, validation)}
    check_gate(
        fp32_accuracy=measured["fp32"]["accuracy"], int8_accuracy=measured["int8"]["accuracy"]
    )
    return Artefacts(
        about=_about(config, data, spec, seed=seed, measured=measured),
        fp32=fp32,
        int8=int8,
        lut=lut,
        golden=_golden(data.validation),
    )


def test_metrics(artefacts: Artefacts, test: Section) -> dict[str, dict[str, dict[str, float]]]:
    """Return metrics by precision on the section never seen: whole scans, and random patches."""
    spec = PreprocessSpec.from_json(artefacts.about["preprocessing"])
    scans = [overview_examples(test, spec, artefacts.lut, seed=seed) for seed in range(OVERVIEWS)]
    sets = {
        "overview": _joined(scans),
        "patches": _draw(test, spec, artefacts.lut, 384, VALIDATION_SEED),
    }
    models = {"fp32": artefacts.fp32, "int8": artefacts.int8}
    return {
        precision: {name: metrics(model, examples) for name, examples in sets.items()}
        for precision, model in models.items()
    }


def _draw(
    section: Section, spec: PreprocessSpec, lut: NDArray[np.float32], count: int, seed: int
) -> Examples:
    source = ExampleSource(section, spec, lut, cell_px=CELL_PX)
    return drawn_examples(source, count=count, seed=seed, limit=section.min_area_fraction)


def _joined(parts: list[Examples]) -> Examples:
    inputs: list[Inputs] = [one for part in parts for one in part.inputs]
    return Examples(
        inputs=inputs,
        coverage=np.concatenate([part.coverage for part in parts]),
        target=np.concatenate([part.target for part in parts]),
        limit=parts[0].limit,
    )


def _golden(section: Section) -> list[NDArray[np.uint16]]:
    """Return camera tiles evenly spread from no tissue to most tissue."""
    rng = np.random.default_rng(GOLDEN_SEED)
    patches = [draw_patch(section, rng) for _ in range(GOLDEN_DRAWS)]
    patches.sort(key=lambda patch: patch.coverage)
    chosen = np.linspace(0, GOLDEN_DRAWS - 1, GOLDEN_TILES).round().astype(int)
    return [expose(patches[index].pixels, CAMERA, rng) for index in chosen]


def _about(
    config: TrainingConfig,
    data: Data,
    spec: PreprocessSpec,
    *,
    seed: int,
    measured: dict[str, dict[str, float]],
) -> dict[str, Any]:
    pixel_um = data.training.pixel_size_um
    rows = config.section
    return {
        "name": config.name,
        "version": config.version,
        "task": "tile-classification",
        "classes": list(config.classes),
        "pixel_size_um": list(config.pixel_size_um),
        "field_um": {"height_um": HEIGHT_PX * pixel_um, "width_um": WIDTH_PX * pixel_um},
        "preprocessing": spec.to_json(),
        "budgets_ms": config.budgets_ms,
        "metrics": measured,
        "training": {
            "data": f"section {data.training.name}",
            "licence": config.licence,
            "split": f"rows {rows.train_rows} train, {rows.validation_rows} validate",
            "seeds": [seed],
        },
    }

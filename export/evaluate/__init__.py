"""How good is a model, in the precision and on the back end the device will run?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from export.datasets.examples import ExampleSource
from export.datasets.overview import overview_tiles
from export.datasets.section import Section
from runtime.inference.session import Session, open_session
from runtime.preprocess.inputs import Inputs, to_input
from runtime.preprocess.spec import PreprocessSpec

# Tiles whose share of tissue is this close to the limit are a matter of where the outline runs.
NEAR_THE_LIMIT = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Examples:
    """Single-tile inputs, their share of tissue (n,), and their class (n,)."""

    inputs: list[Inputs]
    coverage: NDArray[np.float32]
    target: NDArray[np.int64]
    limit: float


def drawn_examples(source: ExampleSource, *, count: int, seed: int, limit: float) -> Examples:
    """Return random augmented examples, as hard as in training: a third lie about the limit."""
    batch = source.batch(count, np.random.default_rng([seed, 2]))
    inputs = [{k: v[i : i + 1] for k, v in batch.inputs.items()} for i in range(count)]
    return Examples(inputs=inputs, coverage=batch.coverage, target=batch.target, limit=limit)


def overview_examples(
    section: Section,
    spec: PreprocessSpec,
    lut: NDArray[np.float32],
    *,
    seed: int,
) -> Examples:
    """Return the tiles of one simulated overview scan of the section."""
    tiles = overview_tiles(section, np.random.default_rng([seed, 3]))
    coverage = np.array([share for _, share in tiles], dtype=np.float32)
    return Examples(
        inputs=[to_input(tile, spec, lut) for tile, _ in tiles],
        coverage=coverage,
        target=section.is_tissue(coverage).astype(np.int64),
        limit=section.min_area_fraction,
    )


def metrics(model: bytes, examples: Examples) -> dict[str, float]:
    """Return accuracy, accuracy away from the limit, log loss and expected calibration error."""
    scores = score(open_session(model, backend="onnxruntime", threads=2), examples.inputs)
    right = scores.argmax(axis=1) == examples.target
    clear = np.abs(examples.coverage - examples.limit) > NEAR_THE_LIMIT
    likelihood = scores[np.arange(len(scores)), examples.target]
    return {
        "accuracy": float(right.mean()),
        "accuracy_clear": float(right[clear].mean()),
        "log_loss": float(-np.log(np.maximum(likelihood, 1e-7)).mean()),
        "calibration_error": _calibration_error(scores.max(axis=1), right),
        "tiles": float(len(scores)),
    }


def score(session: Session, inputs: list[Inputs]) -> NDArray[np.float32]:
    """Return the (n, classes) scores."""
    return np.stack([session.run(one) for one in inputs])


def _calibration_error(
    confidence: NDArray[np.float32], right: NDArray[np.bool_], *, bins: int = 10
) -> float:
    """Return the expected calibration error (Guo et al. 2017, arXiv:1706.04599)."""
    index = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = [
        (index == b).mean() * abs(confidence[index == b].mean() - right[index == b].mean())
        for b in range(bins)
        if (index == b).any()
    ]
    return float(sum(gaps))

"""From a configuration and a seed to artefacts: train, export, quantise, measure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from export.bundle.artefacts import Artefacts
from export.bundle.card import model_card
from export.networks.loftr.network import Loftr
from export.progress import Progress, silent
from export.quantise import Quantised, quantise
from export.tasks.match.config import MatchConfig, read_match_config
from export.tasks.match.convert import to_matching_parts
from export.tasks.match.data import PairSplit, read_pairs
from export.tasks.match.judge import TOLERANCE, enough, measure
from export.tasks.match.pairs import PLACES, PairSamples
from export.tasks.match.task import MatchTask
from export.tasks.match.words import words_of
from export.training.engine import TrainingJob, train
from runtime.inference.session import Outputs
from runtime.preprocess.inputs import Inputs
from runtime.tasks.match.record import BACK_CONFIDENCE, CONFIDENCE, Matching
from runtime.tile import Pixels

CALIBRATION_PAIRS, JUDGED_PAIRS, GOLDEN_PAIRS = 48, 128, 3
# The device tells cells of far less confidence than the network is judged by: of a faint seam there
# are no others, and what agrees by chance is found out by the ladder.
TOLD = 0.02
# How far a confidence may lie from the expected one on a back end that was not seen.
LEAST_TOLERANCE = 0.05


def make_matcher(
    config: Path, folder: Path | None, *, seed: int, out: Path, progress: Progress = silent
) -> Artefacts:
    """Return the artefacts of a configuration file, the images of which lie in `folder`."""
    settings = read_match_config(config)
    return build(
        settings, read_pairs(settings, folder, seed=seed), seed=seed, out=out, progress=progress
    )


def build(
    config: MatchConfig, data: PairSplit, *, seed: int, out: Path, progress: Progress = silent
) -> Artefacts:
    """Return the artefacts of one seed; checkpoints and curves go into `out`/loftr.

    Raises ModelRefused when int8 matches less, or worse, than its gate allows on validation pairs.
    """
    task = MatchTask(config=config, train=data.train, validation=data.validation, data=data.digest)
    job = TrainingJob(task=task, recipe=config.recipe, seed=seed, out=out / task.label)
    parts = to_matching_parts(cast("Loftr", train(job, progress)), config.packed)
    judged = data.of_shape(config.packed.shape)
    views = StripViews(judged.validation, JUDGED_PAIRS)
    quantised = quantise(
        parts,
        list(StripViews(judged.train, CALIBRATION_PAIRS)),
        views,
        PairJudge(places_px=views.places_px(), columns=config.packed.cells[1]),
        progress=progress,
    )
    about = _about(config, quantised, seed=seed)
    return Artefacts(
        about=about,
        fp32=parts.joined(),
        int8=quantised.int8,
        golden=[_strips(judged.validation, pair) for pair in range(GOLDEN_PAIRS)],
        card=model_card(about, words_of(config)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PairJudge:
    """Judges the outputs for pairs of which it is known where their cells lie: `places_px`, (pairs,
    cells, 2) as (y, x), in strips so many `columns` of cells wide.
    """

    places_px: NDArray[np.float32]
    columns: int

    @property
    def tolerance(self) -> Mapping[str, float]:
        """How far int8 may fall below fp32, by measure."""
        return TOLERANCE

    def metrics(self, outputs: Outputs) -> Mapping[str, float]:
        """Return how many cells are matched, and how well."""
        return measure(outputs, self.places_px, columns=self.columns)

    def decide(self, outputs: Outputs) -> NDArray[Any]:
        """Return which pairs have matches enough to be evidence."""
        return enough(outputs)


@dataclass(frozen=True, slots=True)
class StripViews:
    """The inputs of the first `count` pairs as they are, drawn on demand."""

    pairs: PairSamples
    count: int

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, pair: int, /) -> Inputs:
        return dict(self.pairs.read(pair, None).inputs)

    def __iter__(self) -> Any:
        return (self[pair] for pair in range(self.count))

    def places_px(self) -> NDArray[np.float32]:
        """Return where their cells lie, (count, cells, 2)."""
        return np.stack([self.pairs.read(one, None).targets[PLACES] for one in range(self.count)])


def _strips(pairs: PairSamples, pair: int) -> list[Pixels]:
    drawn = pairs.draw(pair, None)
    return [drawn.first, drawn.second]


def _about(config: MatchConfig, quantised: Quantised, *, seed: int) -> dict[str, Any]:
    task = Matching(least_confidence=TOLD)
    height_px, width_px = config.packed.shape
    metrics = {
        precision: {**found, "tiles": float(JUDGED_PAIRS)}
        for precision, found in quantised.metrics.items()
    }
    metrics["int8"]["agreement"] = quantised.alike / quantised.decisions
    return {
        "name": config.name,
        "version": config.version,
        "task": task.model_dump(mode="json"),
        "networks": {},
        "input": {"height_px": height_px, "width_px": width_px},
        "golden": {"tolerance": {CONFIDENCE: LEAST_TOLERANCE, BACK_CONFIDENCE: LEAST_TOLERANCE}},
        "origin": {
            "training": _training(config, seed=seed),
            "quantisation": {
                "kept_fp32": list(quantised.kept),
                "reached": {name: found["matched"] for name, found in quantised.metrics.items()},
                "gate": quantised.tolerance["matched"],
            },
            "metrics": metrics,
        },
        "budgets_ms": config.budgets_ms,
    }


def _training(config: MatchConfig, *, seed: int) -> dict[str, Any]:
    data = config.data
    # Where there are no folders, textures are all there is.
    share = data.textures if data.train else 1.0
    learnt = (f"{share:.0%} made-up textures", *map(str, data.train))
    judged = ("made-up textures of another seed", *map(str, data.validation))
    return {
        "data": ", ".join(learnt),
        "licence": config.licence,
        "split": f"validation: {', '.join(judged)}",
        "seeds": [seed],
    }

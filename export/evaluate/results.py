"""What an evaluation found, seed by seed, and the file that keeps it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.evaluate.methods import Method
from export.tasks.classify.metrics import Metrics, measure

Scores = NDArray[np.float64]
FP32, INT8 = "fp32", "int8"


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedResult:
    """One split: its n test images, the specimen of each, and the (n, classes) scores of each
    method and precision.

    `split` counts images and specimens by set.
    """

    seed: int
    names: tuple[str, ...]
    specimen: tuple[str, ...]
    target: NDArray[np.int64]
    scores: Mapping[Method, Mapping[str, Scores]]
    split: Mapping[str, int]

    def metrics(self, method: Method, precision: str) -> Metrics | None:
        """Return the metrics, or None where this method was not run in that precision."""
        scores = self.scores.get(method, {}).get(precision)
        return None if scores is None else measure(scores, self.target)

    def agreement(self, method: Method) -> float | None:
        """Return the share of images that int8 gives the class that fp32 gives them, or None."""
        by_precision = self.scores.get(method, {})
        if INT8 not in by_precision:
            return None
        fp32, int8 = (by_precision[precision].argmax(axis=1) for precision in (FP32, INT8))
        return float((fp32 == int8).mean())


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """All seeds of one evaluation. `settings` says how the networks were trained, as text."""

    classes: tuple[str, ...]
    settings: Mapping[str, str]
    seeds: tuple[SeedResult, ...]

    @property
    def methods(self) -> list[Method]:
        """Every method of any seed, in the order in which they were run."""
        return list(dict.fromkeys(method for one in self.seeds for method in one.scores))

    def values(self, method: Method, precision: str, metric: str) -> list[float]:
        """Return one metric by seed, without the seeds that have none."""
        found = (one.metrics(method, precision) for one in self.seeds)
        values = (getattr(metrics, metric) for metrics in found if metrics is not None)
        return [float(value) for value in values if value is not None]

    def agreements(self, method: Method) -> list[float]:
        """Return by seed how often int8 decides as fp32, without the seeds that have no int8."""
        found = (one.agreement(method) for one in self.seeds)
        return [value for value in found if value is not None]

    def write(self, path: Path) -> None:
        """Write everything as JSON."""
        plain = {
            "classes": list(self.classes),
            "settings": dict(self.settings),
            "seeds": [_seed_to_json(one) for one in self.seeds],
        }
        path.write_text(json.dumps(plain, indent=1) + "\n")

    @classmethod
    def read(cls, path: Path) -> Results:
        """Return what `write` wrote."""
        plain = json.loads(path.read_text())
        return cls(
            classes=tuple(plain["classes"]),
            settings=plain["settings"],
            seeds=tuple(_seed_from_json(one) for one in plain["seeds"]),
        )


def _seed_to_json(one: SeedResult) -> dict[str, Any]:
    return {
        "seed": one.seed,
        "split": dict(one.split),
        "names": list(one.names),
        "specimen": list(one.specimen),
        "target": one.target.tolist(),
        "methods": [
            {
                "group": method.group,
                "row": method.row,
                "column": method.column,
                "precision": precision,
                "metrics": measure(scores, one.target).to_json(),
                "scores": np.round(scores, 7).tolist(),
            }
            for method, by_precision in one.scores.items()
            for precision, scores in by_precision.items()
        ],
    }


def _seed_from_json(plain: dict[str, Any]) -> SeedResult:
    scores: dict[Method, dict[str, Scores]] = {}
    for entry in plain["methods"]:
        method = Method(entry["group"], entry["row"], entry["column"])
        scores.setdefault(method, {})[entry["precision"]] = np.array(entry["scores"])
    return SeedResult(
        seed=plain["seed"],
        names=tuple(plain["names"]),
        specimen=tuple(plain["specimen"]),
        target=np.array(plain["target"], dtype=np.int64),
        scores=scores,
        split=plain["split"],
    )

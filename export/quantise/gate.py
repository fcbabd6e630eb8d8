"""The gate: int8 must be as good as fp32 on the validation views, if need be with layers kept in
fp32.

What "as good" means is the task's: its metrics, its decisions, and how much of a metric int8 may
lose. Nothing here knows what the outputs are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from export.convert.parts import ModelParts
from export.progress import Progress, silent
from export.quantise.integer import CalibratedModel
from export.quantise.outputs import (
    Views,
    model_outputs,
    part_outputs,
    replaced,
    stream_votes,
    tail_outputs,
    votes,
)
from runtime.errors import ModelRefused
from runtime.inference.backends import backends
from runtime.inference.session import Outputs
from runtime.preprocess.inputs import Inputs

# The share of the decisions on which int8 is to be as fp32: metrics alone are blind to decisions
# that change for the better as often as for the worse. One may differ however few there are: an
# image on the edge falls to either side for next to nothing.
AGREEMENT = 0.99
# Views that layers' harm is measured on, spread evenly: more would change the order little.
RANKING_VIEWS = 16


class Judge(Protocol):
    """A task's judgement of what a model gives out for the views it was made for."""

    @property
    def tolerance(self) -> Mapping[str, float]:
        """How far int8 may fall below fp32, by the name of the metric."""

    def metrics(self, outputs: Outputs) -> Mapping[str, float]:
        """Return the metrics of (views, ...) outputs by name; more is better."""

    def decide(self, outputs: Outputs) -> NDArray[Any]:
        """Return the decisions that follow from (views, ...) outputs, (decisions,)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantised:
    """An int8 model that passed, the layers it keeps in fp32, the metrics by precision and how far
    int8 might have fallen below, and how many of how many decisions are alike in both.
    """

    int8: bytes
    kept: tuple[str, ...]
    metrics: Mapping[str, Mapping[str, float]]
    tolerance: Mapping[str, float]
    alike: int
    decisions: int

    @property
    def accurate(self) -> bool:
        """Whether int8 is as good as fp32 by every metric that has a tolerance."""
        return not self.worse

    @property
    def worse(self) -> list[str]:
        """The metrics that int8 loses too much of."""
        fp32, int8 = self.metrics["fp32"], self.metrics["int8"]
        return [name for name, off in self.tolerance.items() if int8[name] < fp32[name] - off]

    @property
    def agreeing(self) -> bool:
        """Whether int8 decides as fp32 nearly everywhere."""
        return self.decisions - self.alike <= max(1, (1 - AGREEMENT) * self.decisions)


def quantise(
    parts: ModelParts,
    examples: list[Inputs],
    views: Views,
    judge: Judge,
    *,
    progress: Progress = silent,
) -> Quantised:
    """Return the int8 model of a network, judged on every back end installed here.

    `examples`, single tiles from `to_input`, calibrate; `judge` knows the `views`. While int8 falls
    too far below fp32 in any back end, or decides otherwise than fp32 more than once in a hundred
    (and more than once), the most sensitive layers are left in fp32: one, two, four and so on up to
    half of them. The fp32 it is judged against runs stream by stream, for its whole may be too
    large. Where the agreement cannot be had, the accurate model that comes nearest is returned.
    Raises ModelRefused when none is accurate.
    """
    fp32 = part_outputs(parts, views)
    calibrated = CalibratedModel(parts, examples)
    tried: list[Quantised] = []
    for kept in _ladder(calibrated, views, progress):
        tried.append(_judged(calibrated.int8(keep=kept), kept, fp32, views, judge))
        one = tried[-1]
        note = f"{one.alike} of {one.decisions} decided as fp32, {len(kept)} layers kept fp32"
        progress("int8", len(tried), len(tried), note)
        if one.accurate and one.agreeing:
            break
    best = max(tried, key=lambda one: (one.accurate, one.alike))
    if not best.accurate:
        raise _refusal(best)
    return best


def _judged(
    int8: bytes, kept: tuple[str, ...], fp32: Outputs, views: Views, judge: Judge
) -> Quantised:
    """Return the model with the figures of the worst back end: the device may choose any."""
    found = [model_outputs(int8, views, backend=backend) for backend in backends()]
    measured, wanted = [judge.metrics(one) for one in found], judge.decide(fp32)
    worst = {name: min(one[name] for one in measured) for name in measured[0]}
    return Quantised(
        int8=int8,
        kept=kept,
        metrics={"fp32": judge.metrics(fp32), "int8": worst},
        tolerance=judge.tolerance,
        alike=min(int((judge.decide(one) == wanted).sum()) for one in found),
        decisions=len(wanted),
    )


def _ladder(
    calibrated: CalibratedModel, views: Views, progress: Progress
) -> Iterator[tuple[str, ...]]:
    """Yield the layers to keep in fp32: none, and then more and more of the most sensitive."""
    yield ()
    ranking = most_sensitive_first(calibrated, views, progress=progress)
    keep = 1
    while keep <= len(ranking) // 2:
        yield tuple(ranking[:keep])
        keep *= 2


def most_sensitive_first(
    calibrated: CalibratedModel, views: Views, *, progress: Progress = silent
) -> list[str]:
    """Return the names of the quantisable layers, the one that moves the outputs most first.

    The harm of a layer is the mean absolute difference from the fp32 outputs with it alone in int8;
    only its own stream is run for that.
    """
    chosen = np.unique(np.linspace(0, len(views) - 1, RANKING_VIEWS).round().astype(int))
    few, tail = [views[view] for view in chosen], calibrated.parts.tail
    said = votes(calibrated.parts, few)
    wanted = tail_outputs(tail, said)
    harm = {}
    for done, layer in enumerate(calibrated.layers, start=1):
        found = tail_outputs(tail, replaced(said, stream_votes(calibrated.only(layer), few)))
        harm[layer] = sum(float(np.abs(found[name] - wanted[name]).mean()) for name in wanted)
        progress("int8, layer by layer", done, len(calibrated.layers))
    return sorted(harm, key=lambda layer: -harm[layer])


def _refusal(best: Quantised) -> ModelRefused:
    name = best.worse[0]
    return ModelRefused(
        f"int8 loses too much {name} on the validation images, half the layers kept in fp32",
        value=f"{best.metrics['int8'][name]:.4f} against {best.metrics['fp32'][name]:.4f}",
        limit=f"{best.tolerance[name]:.3f} below fp32",
        remedy="train longer, or calibrate with more examples",
    )

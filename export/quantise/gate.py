"""The gate: int8 decides as fp32 on the validation images, if need be with layers kept fp32."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from export.convert.parts import Parts
from export.progress import Progress, silent
from export.quantise.calibrated import Calibrated
from export.quantise.sensitivity import most_sensitive_first
from export.quantise.validation import Scores, Validation
from export.quantise.votes import part_scores
from runtime.errors import ModelRefused
from runtime.inference.backends import backends
from runtime.preprocess.inputs import Inputs

# How much accuracy int8 may lose against fp32 on the validation images.
GATE = 0.003
# The share of the validation images on which int8 is to decide as fp32: accuracy alone is blind to
# decisions that change for the better as often as for the worse. One may differ however few there
# are: an image on the edge falls to either side for next to nothing.
AGREEMENT = 0.99


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantised:
    """An int8 model that passed, the layers it keeps in fp32, accuracy by precision, and how many
    of how many validation images both precisions decide alike.
    """

    int8: bytes
    kept: tuple[str, ...]
    accuracy: dict[str, float]
    alike: int
    images: int

    @property
    def accurate(self) -> bool:
        """Whether int8 is as accurate as fp32, up to the gate."""
        return self.accuracy["int8"] >= self.accuracy["fp32"] - GATE

    @property
    def agreeing(self) -> bool:
        """Whether int8 decides as fp32 nearly everywhere."""
        return self.images - self.alike <= max(1, (1 - AGREEMENT) * self.images)

    def about(self) -> dict[str, Any]:
        """Return what the manifest says of the quantisation, as plain JSON values."""
        return {"kept_fp32": list(self.kept), "reached": self.accuracy, "gate": GATE}


def quantise(
    parts: Parts, examples: list[Inputs], validation: Validation, *, progress: Progress = silent
) -> Quantised:
    """Return the int8 model of a classifier, judged on every back end installed here.

    `examples`, single tiles from `to_input`, calibrate. While int8 loses more than `GATE` of
    accuracy on the validation images in any back end, or decides otherwise than fp32 on more than
    one in a hundred (and more than one), the most sensitive layers are left in fp32: one, two, four
    and so on up to half of them. The fp32 it is judged against runs stream by stream, for its whole
    may be too large. Where the agreement cannot be had, the accurate model that comes nearest is
    returned. Raises ModelRefused when none is accurate.
    """
    judge = _Judge(validation, part_scores(parts, validation.inputs))
    calibrated = Calibrated(parts, examples)
    tried: list[Quantised] = []
    for kept in _ladder(calibrated, validation.inputs, progress):
        tried.append(judge.judged(calibrated.int8(keep=kept), kept))
        one = tried[-1]
        note = f"{one.alike} of {one.images} decided as fp32, {len(kept)} layers kept fp32"
        progress("int8", len(tried), len(tried), note)
        if one.accurate and one.agreeing:
            break
    best = max(tried, key=lambda one: (one.accurate, one.alike))
    if not best.accurate:
        raise _refusal(best)
    return best


class _Judge:
    """Holds int8 against the (views, classes) scores of fp32 on the validation images."""

    def __init__(self, validation: Validation, fp32: Scores) -> None:
        self._validation, self._fp32 = validation, fp32

    def judged(self, int8: bytes, kept: tuple[str, ...]) -> Quantised:
        """Return the model with the figures of the worst back end: the device may choose any."""
        scores = [self._validation.scores(int8, backend) for backend in backends()]
        return Quantised(
            int8=int8,
            kept=kept,
            accuracy={
                "fp32": self._validation.accuracy(self._fp32),
                "int8": min(map(self._validation.accuracy, scores)),
            },
            alike=min(self._validation.alike(self._fp32, one) for one in scores),
            images=self._validation.images,
        )


def _ladder(
    calibrated: Calibrated, views: list[Inputs], progress: Progress
) -> Iterator[tuple[str, ...]]:
    """Yield the layers to keep in fp32: none, and then more and more of the most sensitive."""
    yield ()
    ranking = most_sensitive_first(calibrated, views, progress=progress)
    keep = 1
    while keep <= len(ranking) // 2:
        yield tuple(ranking[:keep])
        keep *= 2


def _refusal(best: Quantised) -> ModelRefused:
    return ModelRefused(
        "int8 loses too much accuracy on the validation images, half the layers kept in fp32",
        value=f"{best.accuracy['int8']:.4f} against {best.accuracy['fp32']:.4f}",
        limit=f"{GATE:.3f} below fp32",
        remedy="train longer, or calibrate with more examples",
    )

"""The gate: int8 is as good as fp32 on the validation images, if need be with layers kept fp32."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from export.parts import Parts
from export.quantise.calibrated import Calibrated
from export.quantise.sensitivity import most_sensitive_first
from export.quantise.validation import Validation
from export.quantise.votes import part_scores
from runtime.errors import ModelRefused
from runtime.inference.backends import backends
from runtime.preprocess.inputs import Inputs

# How much accuracy int8 may lose against fp32 on the validation images.
GATE = 0.003


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantised:
    """An int8 model that passed, the layers it keeps in fp32, and accuracy by precision."""

    int8: bytes
    kept: tuple[str, ...]
    accuracy: dict[str, float]

    def about(self) -> dict[str, Any]:
        """Return what the manifest says of the quantisation, as plain JSON values."""
        return {"kept_fp32": list(self.kept), "accuracy": self.accuracy, "gate": GATE}


def quantise(parts: Parts, examples: list[Inputs], validation: Validation) -> Quantised:
    """Return the int8 model of a classifier, judged on every back end installed here.

    `examples`, single tiles from `to_input`, calibrate. When int8 loses more than `GATE` of
    accuracy on the validation images in any back end, the most sensitive layers are left in fp32:
    one, two, four and so on up to half of them. The fp32 it is judged against runs stream by
    stream, for its whole may be too large. Raises ModelRefused when nothing helps.
    """
    wanted = validation.accuracy(part_scores(parts, validation.inputs))
    calibrated = Calibrated(parts, examples)
    int8 = calibrated.int8()
    reached = _accuracy(int8, validation)
    ranking: list[str] = []
    keep = 0
    while reached < wanted - GATE:
        ranking = ranking or most_sensitive_first(calibrated, validation.inputs)
        keep = max(1, 2 * keep)
        if keep > len(calibrated.layers) // 2:
            raise _refusal(wanted, reached)
        int8 = calibrated.int8(keep=ranking[:keep])
        reached = _accuracy(int8, validation)
    return Quantised(
        int8=int8, kept=tuple(ranking[:keep]), accuracy={"fp32": wanted, "int8": reached}
    )


def _accuracy(model: bytes, validation: Validation) -> float:
    """Return the accuracy of the worst back end: the device may choose any."""
    return min(validation.accuracy(validation.scores(model, backend)) for backend in backends())


def _refusal(wanted: float, reached: float) -> ModelRefused:
    return ModelRefused(
        "int8 loses too much accuracy on the validation images, half the layers kept in fp32",
        value=f"{reached:.4f} against {wanted:.4f}",
        limit=f"{GATE:.3f} below fp32",
        remedy="train longer, or calibrate with more examples",
    )

"""How much each layer alone harms the scores when it is in int8: measured, one at a time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from export.quantise.qdq import Calibrated
from export.quantise.validation import Validation

# Views the harm is measured on, spread evenly: more would change the order little.
VIEWS = 16


def most_sensitive_first(fp32: bytes, calibrated: Calibrated, validation: Validation) -> list[str]:
    """Return the names of the quantisable layers, the one that moves the scores most first.

    The harm of a layer is the mean absolute difference from the fp32 scores with it alone in int8.
    """
    chosen = np.unique(np.linspace(0, len(validation.inputs) - 1, VIEWS).round().astype(int))
    few = replace(
        validation,
        inputs=[validation.inputs[view] for view in chosen],
        target=validation.target[chosen],
        image=None,
    )
    wanted = few.scores(fp32, "onnxruntime")
    harm = {
        layer: float(np.abs(few.scores(calibrated.only(layer), "onnxruntime") - wanted).mean())
        for layer in calibrated.layers
    }
    return sorted(harm, key=lambda layer: -harm[layer])

"""How much each layer alone harms the scores when it is in int8: measured, one at a time."""

from __future__ import annotations

import numpy as np

from export.progress import Progress, silent
from export.quantise.calibrated import Calibrated
from export.quantise.votes import all_votes, replaced, stream_votes, tail_scores
from runtime.preprocess.inputs import Inputs

# Views the harm is measured on, spread evenly: more would change the order little.
VIEWS = 16


def most_sensitive_first(
    calibrated: Calibrated, views: list[Inputs], *, progress: Progress = silent
) -> list[str]:
    """Return the names of the quantisable layers, the one that moves the scores most first.

    The harm of a layer is the mean absolute difference from the fp32 scores with it alone in int8;
    only its own stream is run for that.
    """
    chosen = np.unique(np.linspace(0, len(views) - 1, VIEWS).round().astype(int))
    few, tail = [views[view] for view in chosen], calibrated.parts.tail
    votes = all_votes(calibrated.parts, few)
    wanted = tail_scores(tail, votes)
    harm = {}
    for done, layer in enumerate(calibrated.layers, start=1):
        changed = replaced(votes, stream_votes(calibrated.only(layer), few))
        harm[layer] = float(np.abs(tail_scores(tail, changed) - wanted).mean())
        progress("int8, layer by layer", done, len(calibrated.layers))
    return sorted(harm, key=lambda layer: -harm[layer])

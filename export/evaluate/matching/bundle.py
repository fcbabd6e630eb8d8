"""A small LoFTR as the device runs it: a signed bundle for the task "match", asked as the ladder's
last rung asks it.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from export.evaluate.matching.matcher import PointMatches, TilePair
from runtime.config.settings import SHIPPED_MODELS
from runtime.errors import ModelRefused
from runtime.inference.backends import backends
from runtime.inference.bundle import open_bundle
from runtime.inference.manifest import Precision
from runtime.inference.opening import Model, open_model
from runtime.inference.session import Choice
from runtime.stitch.match.learned import match_learned
from runtime.tasks.match.matcher import StripMatcher
from runtime.tasks.match.record import Matching
from runtime.tasks.registry import RECORDS


class BundleMatcher:
    """The model of a bundle in one precision, on OpenVINO where it is installed.

    Its keys are those beside the bundle in a folder `keys`, else the shipped ones.
    """

    def __init__(self, name: str, path: Path, precision: Precision) -> None:
        self.name = name
        self._matcher = StripMatcher(_opened(path, precision))

    def match(self, pair: TilePair) -> PointMatches:
        """Return the points on which the rung's match rests, none where it has none."""
        match = match_learned(pair.strips, self._matcher)
        if match is None:
            return PointMatches.none()
        in_a, in_b = (np.array([getattr(p, end) for p in match.pairs]) for end in ("a_px", "b_px"))
        spread = np.array([np.trace(point.covariance_px2) for point in match.pairs])
        return PointMatches(in_a, in_b, 1 / spread)


def _opened(path: Path, precision: Precision) -> Model:
    beside = path.parent / "keys"
    keys = beside if beside.is_dir() else SHIPPED_MODELS / "keys"
    bundle = open_bundle(path, keys=keys, tasks=RECORDS)
    bundle.task(Matching)
    held = bundle.manifest.networks.models
    if precision not in held:
        raise ModelRefused(
            f"bundle {path} has no {precision} model",
            value=", ".join(held),
            remedy="name a precision that it has, or pack it with both",
        )
    choice = Choice(backend=backends()[-1], precision=precision)
    threads = len(os.sched_getaffinity(0))
    return open_model(path, keys=keys, tasks=RECORDS, threads=threads, choice=choice)

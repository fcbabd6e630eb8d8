"""A small LoFTR as the device runs it: a signed bundle for the task "match", on windows along the
seam, as the ladder's last rung looks at them.
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
from runtime.stitch.match.learned import cells
from runtime.tasks.match.matcher import StripMatcher
from runtime.tasks.match.record import CELL_PX, Matching
from runtime.tasks.registry import RECORDS


class BundleMatcher:
    """The model of a bundle in one precision, on OpenVINO where it is installed.

    Its keys are those beside the bundle in a folder `keys`, else the shipped ones.
    """

    def __init__(self, name: str, path: Path, precision: Precision) -> None:
        self.name = name
        self._matcher = StripMatcher(_opened(path, precision))

    def match(self, pair: TilePair) -> PointMatches:
        """Return the cells that choose each other, each as sure as the next: the ladder has no
        other use for them.
        """
        strips = pair.strips
        if any(strip.min() == strip.max() for strip in (strips.a, strips.b)):
            return PointMatches.none()
        a_px, b_px = cells(strips, self._matcher)
        # Windows overlap a little: what both of them found counts once.
        _, once = np.unique(np.floor(a_px / CELL_PX), axis=0, return_index=True)
        return PointMatches.of_crops(strips, a_px[once], b_px[once], np.ones(len(once)))


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

"""Filling the caches at install, so that the first scan starts as fast as any other."""

from __future__ import annotations

import numpy as np

from runtime.clock import SystemClock
from runtime.config.settings import Models
from runtime.inference.bundle import SUFFIX
from runtime.preprocess.warm import warm_kernels
from runtime.tasks.classify.classifier import TileClassifier
from runtime.tile import Picture

FIELD_PX = (448, 512)


def warm_caches(models: Models) -> float:
    """Compile the kernels and measure every shipped model's back ends; return the seconds taken."""
    clock = SystemClock()
    start_s = clock.now_s()
    warm_kernels()
    for path in sorted(models.folder.glob(f"*{SUFFIX}")):
        classifier = TileClassifier.open(
            path,
            keys=models.folder / "keys",
            backend=models.backend,
            threads=models.threads,
            cache=models.cache,
        )
        for pixels in (np.full(FIELD_PX, 100, np.uint8), np.full(FIELD_PX, 100, np.uint16)):
            classifier.classify(Picture(pixels=pixels, pixel_size_um=classifier.pixel_size_um))
    return clock.now_s() - start_s

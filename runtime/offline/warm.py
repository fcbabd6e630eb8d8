"""Filling the caches at install, so that the first scan starts as fast as any other."""

from __future__ import annotations

import numpy as np

from runtime.clock import SystemClock
from runtime.config.settings import ModelsSection
from runtime.focus.sharpness import warm_kernels as warm_focus
from runtime.inference.opening import open_model
from runtime.inference.shelf import shelf_of
from runtime.preprocess.warm import warm_kernels as warm_preprocessing
from runtime.stitch.warm import warm_kernels as warm_stitching
from runtime.tasks.registry import RECORDS, work_of
from runtime.tile import Picture


def warm_caches(models: ModelsSection) -> float:
    """Compile the kernels and measure every shipped model's back ends; return the seconds taken.

    Every model also works once on pictures of either depth, as large as its golden ones.
    """
    clock = SystemClock()
    start_s = clock.now_s()
    warm_preprocessing()
    warm_focus()
    warm_stitching()
    shelf = shelf_of(models)
    for path in shelf.bundles():
        model = open_model(
            path,
            keys=shelf.keyring,
            tasks=RECORDS,
            backend=models.backend,
            threads=models.threads,
            cache=models.cache,
        )
        work, size_um = (
            work_of(model, threads=models.threads),
            model.bundle.manifest.input.middle_um,
        )
        for dtype in (np.uint8, np.uint16):
            blank = [np.full(one.shape, 100, dtype) for one in model.bundle.pictures(0)]
            work.answer(work.prepare([Picture(pixels=p, pixel_size_um=size_um) for p in blank]))
    return clock.now_s() - start_s

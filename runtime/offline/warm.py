"""Filling the caches at install, so that the first scan starts as fast as any other."""

from __future__ import annotations

import numpy as np

from runtime.clock import SystemClock
from runtime.config.settings import ModelsSection
from runtime.inference.bundle import SUFFIX
from runtime.inference.opening import open_model
from runtime.preprocess.warm import warm_kernels
from runtime.stitch.graph.pose_graph import PoseGraph
from runtime.stitch.match.subpixel import refine
from runtime.tasks.registry import RECORDS, work_of
from runtime.tile import Picture, PointPair, Shift


def warm_caches(models: ModelsSection) -> float:
    """Compile the kernels and measure every shipped model's back ends; return the seconds taken.

    Every model also works once on pictures of either depth, as large as its golden ones.
    """
    clock = SystemClock()
    start_s = clock.now_s()
    warm_kernels()
    texture = np.random.default_rng(0).normal(size=(64, 64)).astype(np.float32)
    refine(texture, texture)
    _warm_graph()
    for path in sorted(models.folder.glob(f"*{SUFFIX}")):
        model = open_model(
            path,
            keys=models.folder / "keys",
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


def _warm_graph() -> None:
    """Place two tiles by one seam: every kernel of the pose graph has a part in it."""
    graph = PoseGraph(1.0, shape_px=(8, 8))
    pairs = tuple(PointPair(a_px=(7.0, y), b_px=(0.0, y)) for y in (0.0, 2.0, 5.0, 7.0))
    seam = Shift(a="a", b="b", dx_px=7.0, dy_px=0.0, pairs=pairs)
    graph.extend("a", prior_px=(0.0, 0.0), blank=False, shifts=())
    graph.extend("b", prior_px=(7.0, 0.0), blank=False, shifts=(seam,))
    graph.solve()

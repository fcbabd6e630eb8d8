import numpy as np

from runtime.stitch.graph import elimination_kernel, linear_kernel, near_kernel
from runtime.stitch.match import (
    correlation_kernel,
    judge_kernel,
    likelihood_kernel,
    noise_kernel,
    peaks_kernel,
    placed_kernel,
)
from runtime.stitch.match.placed import Placed
from runtime.stitch.stitcher import Stitcher
from runtime.stitch.warm import warm_kernels
from tests.runtime.stitch.stitch_scans import SHAPE_PX, add, lattice, scan
from tests.runtime.stitch.test_placed import Turned

MODULES = (
    elimination_kernel, linear_kernel, near_kernel, correlation_kernel, judge_kernel,
    likelihood_kernel, noise_kernel, peaks_kernel, placed_kernel,
)  # fmt: skip


def compiled() -> dict[str, int]:
    """How many versions there are of every kernel."""
    return {
        f"{module.__name__}.{name}": len(value.signatures)
        for module in MODULES
        for name, value in vars(module).items()
        if hasattr(value, "signatures")
    }


def test_a_scan_finds_its_kernels_compiled() -> None:
    warm_kernels()
    before = compiled()
    for made in (scan(rows=3, columns=4), scan(rows=3, columns=4, image=lattice)):
        stitcher = Stitcher(px_from_stage=np.eye(2), stage_sigma_px=2.0, shape_px=SHAPE_PX)
        for tile in made.tiles:
            add(stitcher, tile)
            stitcher.moved()
        stitcher.solve()
    turned = Turned(1.0, seed=0)
    assert Placed.of(turned.pair, turned.cells()) is not None
    assert {name for name, count in compiled().items() if count > before[name]} == set()
    assert sum(before.values()) > 10  # what others call comes from the cache uncounted

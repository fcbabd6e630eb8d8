"""The shipped network on a specimen it was not trained on: seams that nothing else matches."""

import subprocess
import sys

import numpy as np
import pytest

from runtime.config.settings import SHIPPED_MODELS, ModelsSection
from runtime.inference.bundle import find_bundle, open_bundle
from runtime.stitch.stitcher import Stitcher, no_network
from runtime.tasks.match.finder import SHIPPED, StripFinder, finder_of
from runtime.tasks.registry import RECORDS
from tests.runtime.stitch.oracle import faint_scan
from tests.runtime.stitch.stitch_scans import SHAPE_PX, Field, Scan, add

NOISE = 16 * 85.0


@pytest.fixture(scope="module")
def finder(tmp_path_factory):
    found = finder_of(ModelsSection(cache=tmp_path_factory.mktemp("cache"), backend="onnxruntime"))
    assert isinstance(found, StripFinder)
    return found


def matched(made, network):
    """Return the shifts found in a scan, without those that nothing was found in."""
    stitcher = Stitcher(
        px_from_stage=np.eye(2), stage_sigma_px=2.0, shape_px=SHAPE_PX, network=network
    )
    shifts = [shift for tile in made.tiles for shift in add(stitcher, tile).shifts]
    return [shift for shift in shifts if shift.method != "none"]


def off_px(made, shift):
    there = np.subtract(made.truth_px[shift.b], made.truth_px[shift.a])
    return float(np.hypot(*(there - (shift.dx_px, shift.dy_px))))


@pytest.mark.slow
def test_faint_seams_that_nothing_else_matches_are_matched_where_they_lie(finder):
    made = faint_scan(rows=3, columns=4, noise=NOISE)
    without = matched(made, no_network)
    found = matched(made, lambda: finder)
    more = [shift for shift in found if shift.method == "loftr"]
    assert len(found) == len(without) + len(more)
    assert len(more) >= 3
    assert max(off_px(made, shift) for shift in more) < 2.0


@pytest.mark.slow
def test_tiles_that_show_other_places_are_not_matched(finder):
    made = faint_scan(rows=3, columns=4, noise=NOISE)
    elsewhere = [made.tiles[(7 * n + 5) % 12].pixels for n in range(12)]
    moved = [
        Field(tile.tile_id, pixels, tile.x_um, tile.y_um)
        for tile, pixels in zip(made.tiles, elsewhere, strict=True)
    ]
    assert matched(Scan(moved, made.truth_px), lambda: finder) == []


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads the kernel's count of memory")
def test_the_network_takes_less_than_80_megabytes():
    """In a fresh process that has the kernels and nothing else: bundle, library and first look."""
    code = """
import numpy as np
from pathlib import Path
from runtime.config.settings import ModelsSection
from runtime.preprocess.strips import flattened
from runtime.tasks.match.finder import finder_of
def held_mb(field):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(one.split()[1]) / 1024 for one in lines if one.startswith(field))
strips = np.random.default_rng(0).integers(0, 4096, (2, 128, 512), dtype=np.uint16)
flattened(strips[0])
Path("/proc/self/clear_refs").write_text("5")
before_mb = held_mb("VmRSS")
found = finder_of(ModelsSection(backend="onnxruntime"))
for _ in range(3):
    found.find(*strips)
print(held_mb("VmHWM") - before_mb)
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert ran.returncode == 0, ran.stderr.decode()
    assert float(ran.stdout) < 80


def test_the_card_in_the_bundle_is_the_one_beside_it():
    bundle = open_bundle(
        find_bundle(SHIPPED_MODELS, SHIPPED), keys=SHIPPED_MODELS / "keys", tasks=RECORDS
    )
    assert bundle.files["card.md"] == (SHIPPED_MODELS / f"{SHIPPED}.md").read_bytes()

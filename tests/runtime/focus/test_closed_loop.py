"""A scan over a bad line, from an empty journal through a restart in its middle to its end."""

import numpy as np
import pytest

from tests.runtime.focus.bare_slide import Slide
from tests.runtime.focus.closed_loop import bench_of, plan_of, scan

HALF_DEPTH_UM = 3.8


@pytest.mark.slow
@pytest.mark.parametrize("asked", [("pair",), ("network", "pair")])
def test_a_tilted_drifting_slide_is_kept_in_focus_by_few_looks_and_bare_tiles_are_told(
    tmp_path, asked
):
    slide = Slide.drawn(1, rows=8, columns=8)
    with bench_of(slide, tmp_path) as bench:
        singles = [getattr(bench, one)() for one in asked]
        found = scan(bench, slide, plan=plan_of(), singles=singles)
        low_um, high_um = bench.z_limits_um
    away, bare = np.abs(found.away_um), np.array(found.bare)
    called = np.array([row.verdict.status == "empty" for row in found.rows]) | found.blank
    assert np.percentile(away[~bare], 95) <= HALF_DEPTH_UM
    assert found.exposures <= 1.3 * len(bare)
    assert called.tolist() == bare.tolist()
    assert low_um <= found.z_sent_um[0] < found.z_sent_um[1] <= high_um
    assert not found.lit
    assert {singles[0].name} <= {row.source for row in found.rows}
    # The board did restart, and the line was bad.
    assert {point.at.boot_id for point in found.anchors} == {"boot-1", "boot-2"}
    assert found.damaged > 50

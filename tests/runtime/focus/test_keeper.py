"""What a scan knows of its focus after the controller has started again."""

import pytest

from runtime.config.plan import Plan, PlannedTile
from runtime.focus.keeper import FocusKeeper
from runtime.instant import Instant
from runtime.record.rows import FocusRow
from runtime.tile import FocusVerdict
from tests.runtime.focus.bench import Bench, rig_of
from tests.runtime.made import shot, stored

HOUR_S = 3600.0
# The evening began half a day after the controller had; focus sinks by 3 µm an hour.
EVENING_S = 12 * HOUR_S
MORNING = Instant(boot_id="morning", monotonic_s=60.0, wall_s=0.0)


def tile(number, x_um=0.0):
    return PlannedTile(
        tile_id=f"t{number}", index=number, row=0, column=number, x_um=x_um, y_um=0.0
    )


def keeper_of(bench, *, range_um=60.0):
    plan = Plan(
        name="p",
        objective="10x",
        grid={"rows": 1, "columns": 1, "centre_um": (0, 0)},
        focus={"range_um": range_um, "sweep_every": 100},
    )
    return FocusKeeper(
        rig_of(bench),
        plan,
        depth_of_field_um=7.6,
        correct=lambda pixels: pixels,
        should_stop=lambda: False,
    )


def restored(bench, *, last="ok"):
    """A keeper that was told of an evening's sweeps; the last field may have been empty."""
    keeper, tiles, focus = keeper_of(bench), [], {}
    for n in range(16):
        at_s = n * HOUR_S / 8
        row, column = divmod(n * 7 % 16, 4)  # so that no slope looks like drift
        where_um = (column * 50.0, row * 50.0, 0.0)
        taken = shot(f"e{n}", at_um=where_um, time_s=EVENING_S + at_s)
        status = last if n == 15 else "ok"
        verdict = FocusVerdict(status=status, z_um=5.0 - 3.0 * at_s / HOUR_S, sigma_z_um=0.1)
        tiles.append(stored(taken, seq=n))
        focus[f"e{n}"] = FocusRow(tile_id=f"e{n}", source="sweep", verdict=verdict)
    keeper.restore(tiles, focus)
    return keeper


def test_within_one_boot_the_surface_goes_on_and_follows_the_drift():
    bench = Bench()
    last = Instant(boot_id="test", monotonic_s=EVENING_S + 2 * HOUR_S, wall_s=0.0)
    row = restored(bench).focus_on(tile(0), at=last)
    assert (row.source, bench.frames) == ("surface", 0)
    assert row.verdict.z_um == pytest.approx(-1.0, abs=0.5)


@pytest.mark.parametrize("last", ["ok", "empty"])
def test_after_a_boot_the_first_tile_is_swept_however_good_the_surface_was(last):
    """Seconds since boot begin anew: the drift of an evening must not be run backwards."""
    bench = Bench(best_z_um=-18.0, boot_id="morning")
    row = restored(bench, last=last).focus_on(tile(0), at=MORNING)
    assert (row.source, row.verdict.status) == ("sweep", "ok")
    assert row.verdict.z_um == pytest.approx(-18.0, abs=0.6)


def test_after_that_sweep_the_surface_serves_again():
    bench = Bench(best_z_um=-18.0, boot_id="morning")
    keeper = restored(bench)
    row = keeper.focus_on(tile(0), at=MORNING)
    keeper.learn(row, x_um=0.0, y_um=0.0, at=MORNING)
    frames = bench.frames
    again = keeper.focus_on(tile(1, x_um=60.0), at=MORNING)
    assert (again.source, bench.frames) == ("surface", frames)
    assert again.verdict.z_um == pytest.approx(-18.0, abs=0.8)


def test_no_prediction_goes_further_than_half_a_sweep_from_what_was_found():
    """A slope measured over a few tiles says nothing of z a whole slide away."""
    bench = Bench()
    keeper = keeper_of(bench, range_um=20.0)
    for n, z_um in enumerate((0.0, 1.0, 2.0)):
        found = FocusVerdict(status="ok", z_um=z_um, sigma_z_um=0.1)
        row = FocusRow(tile_id=f"e{n}", source="sweep", verdict=found)
        keeper.learn(row, x_um=n * 50.0, y_um=0.0, at=MORNING)
    keeper.focus_on(tile(0, x_um=20_000.0), at=MORNING)
    # Half a sweep for the start, half a sweep for the sweep, and half for going on past its end.
    assert max(bench.visited) <= 2.0 + 3 * 20.0 / 2

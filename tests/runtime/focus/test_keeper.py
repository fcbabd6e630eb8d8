"""When a scan sweeps and when it predicts, and what it knows after the controller started again."""

from dataclasses import replace

import pytest

from runtime.config.plan import Plan, PlannedTile
from runtime.focus.first_looks import spread
from runtime.focus.history import Before
from runtime.focus.keeper import FocusKeeper
from runtime.focus.model import FocusPoint
from runtime.focus.sight import Lamp
from runtime.focus.single_shot import Defocus
from runtime.instant import Instant
from runtime.record.rows import FocusRow
from runtime.tile import FocusVerdict
from tests.runtime.focus.bench import Bench, rig_of
from tests.runtime.made import imaging, shot, stored

HOUR_S = 3600.0
# The evening began half a day after the controller had; focus sinks by 3 µm an hour.
EVENING_S = 12 * HOUR_S
MORNING = Instant(boot_id="morning", monotonic_s=60.0, wall_s=0.0)
TWENTY = replace(imaging(), objective="20x")


def tile(number, x_um=0.0):
    return PlannedTile(
        tile_id=f"t{number}", index=number, row=0, column=number, x_um=x_um, y_um=0.0
    )


def taken(at, x_um=0.0):
    return replace(shot(at_um=(x_um, 0.0, 0.0)), taken=at)


def keeper_of(bench, *, objective="10x", range_um=60.0, singles=(), **focus):
    plan = Plan(
        name="p",
        objective=objective,
        grid={"rows": 1, "columns": 1, "centre_um": (0, 0)},
        focus={"range_um": range_um, "sweep_every": 100, **focus},
    )
    return FocusKeeper(
        rig_of(bench),
        plan,
        depth_of_field_um=7.6,
        correct=lambda pixels: pixels,
        should_stop=lambda: False,
        singles=singles,
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
    keeper.restore(tiles, focus, before=Before())
    return keeper


def test_within_one_boot_the_model_goes_on_and_follows_the_drift():
    bench = Bench()
    last = Instant(boot_id="test", monotonic_s=EVENING_S + 2 * HOUR_S, wall_s=0.0)
    row = restored(bench).focus_on(tile(0), at=last)
    assert (row.source, bench.frames) == ("surface", 0)
    assert row.verdict.z_um == pytest.approx(-1.0, abs=0.5)


@pytest.mark.parametrize("last", ["ok", "empty"])
def test_after_a_boot_the_first_tile_is_swept_however_good_the_model_was(last):
    """Seconds since boot begin anew: the drift of an evening must not be run backwards."""
    bench = Bench(best_z_um=-18.0, boot_id="morning")
    row = restored(bench, last=last).focus_on(tile(0), at=MORNING)
    assert (row.source, row.verdict.status) == ("sweep", "ok")
    assert row.verdict.z_um == pytest.approx(-18.0, abs=0.6)


def test_after_that_sweep_the_model_serves_again():
    bench = Bench(best_z_um=-18.0, boot_id="morning")
    keeper = restored(bench)
    row = keeper.focus_on(tile(0), at=MORNING)
    keeper.learn(row, taken(MORNING))
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
        keeper.learn(row, taken(MORNING, x_um=n * 50.0))
    keeper.focus_on(tile(0, x_um=20_000.0), at=MORNING)
    # Half a sweep for the start, half a sweep for the sweep, and half for going on past its end.
    assert max(bench.visited) <= 2.0 + 3 * 20.0 / 2


EVENING = Instant(boot_id="bench", monotonic_s=0.0, wall_s=0.0)


def scan(keeper, bench, *, contrasts):
    """Take tiles at one place, each with a contrast; return how the z of each was found."""
    rows = []
    for number, contrast in enumerate(contrasts):
        bench.contrast = contrast
        row = keeper.focus_on(tile(number), at=EVENING)
        keeper.learn(row, taken(EVENING))
        rows.append(row)
    return rows


def test_after_so_many_predicted_tiles_one_is_swept():
    bench = Bench()
    rows = scan(keeper_of(bench, sweep_every=3), bench, contrasts=[1.0] * 9)
    assert "".join(row.source[1] for row in rows) == "wuuuwuuuw"


def test_a_predicted_tile_costs_no_frame_and_says_how_sure_it_is():
    bench = Bench()
    keeper = keeper_of(bench)
    scan(keeper, bench, contrasts=[1.0])
    frames, told = bench.frames, keeper.model.predict(x_um=0, y_um=0, at=EVENING)
    row = keeper.focus_on(tile(1), at=EVENING)
    assert bench.frames == frames
    assert (row.verdict.z_um, row.verdict.sigma_z_um) == (told.z_um, told.sigma_um)
    assert bench.z_um == pytest.approx(told.z_um)


def test_the_two_neighbours_of_an_empty_field_are_not_swept():
    bench = Bench()
    contrasts = [1.0, 1.0, 0.0, 1.0, 1.0, 1.0]
    rows = scan(keeper_of(bench, sweep_every=1), bench, contrasts=contrasts)
    assert "".join(row.source[1] for row in rows) == "wuwuuw"
    assert [row.verdict.status for row in rows] == ["ok", "ok", "empty", "ok", "ok", "ok"]


def test_a_failed_sweep_stays_at_the_prediction_and_teaches_nothing():
    bench = Bench()
    keeper = keeper_of(bench, sweep_every=1)
    good, _, empty = scan(keeper, bench, contrasts=[1.0, 1.0, 0.0])
    assert empty.verdict.status == "empty"
    assert empty.verdict.z_um == pytest.approx(good.verdict.z_um, abs=0.05)
    assert bench.z_um == pytest.approx(empty.verdict.z_um)
    assert len(keeper.model.points) == 1


def test_every_tile_is_swept_when_the_plan_says_so():
    bench = Bench()
    rows = scan(keeper_of(bench, policy="every-tile"), bench, contrasts=[1.0] * 3)
    assert [row.source for row in rows] == ["sweep"] * 3


def test_a_fixed_focus_moves_there_and_looks_at_nothing():
    bench = Bench()
    (row,) = scan(keeper_of(bench, policy="fixed", start_z_um=-4.0), bench, contrasts=[1.0])
    assert (row.source, row.verdict.z_um, bench.z_um) == ("fixed", -4.0, -4.0)
    assert bench.frames == 0


def test_a_sweep_near_a_prediction_is_a_short_one():
    bench = Bench()
    keeper = keeper_of(bench, sweep_every=1)
    scan(keeper, bench, contrasts=[1.0])
    whole = bench.frames
    predicted, swept = scan(keeper, bench, contrasts=[1.0, 1.0])
    assert (predicted.source, swept.source) == ("surface", "sweep")
    assert bench.frames - whole < whole / 1.5


def test_another_objective_takes_over_what_was_found_by_its_offset():
    keeper = keeper_of(Bench(), objective="20x")
    found = FocusVerdict(status="ok", z_um=5.0, sigma_z_um=0.1)
    focus = {name: FocusRow(tile_id=name, source="sweep", verdict=found) for name in ("e0", "f0")}
    here = {"at_um": (10.0, 20.0, 5.0)}
    overview, visit = stored(shot("e0", **here)), stored(shot("f0", how=TWENTY, **here))
    keeper.restore([overview, visit], focus, before=Before(), offset_um=(1.0, -2.0, 3.0))
    carried, own = keeper.model.points
    assert (carried.x_um, carried.y_um, carried.z_um) == (11.0, 18.0, 8.0)
    assert (own.x_um, own.y_um, own.z_um) == (10.0, 20.0, 5.0)


def test_the_journal_is_learnt_in_the_order_of_its_boots():
    """Time only goes on: the anchor of a boot comes before its tiles, and after those before it;
    what was given with the run comes first, whatever it says of its time.
    """
    boots, keeper = ("given", "evening", "night", "morning"), keeper_of(Bench())
    given, *anchors = (
        FocusPoint(x_um=0, y_um=0, z_um=1, sigma_um=0.1, at=replace(MORNING, boot_id=boot))
        for boot in boots
    )
    tiles = [
        stored(replace(shot(boot), taken=replace(MORNING, boot_id=boot, monotonic_s=90.0)), seq=n)
        for n, boot in enumerate(("evening", "morning"))
    ]
    found = FocusVerdict(status="ok", z_um=1.0, sigma_z_um=0.1)
    focus = {t.tile_id: FocusRow(tile_id=t.tile_id, source="sweep", verdict=found) for t in tiles}
    keeper.restore(tiles, focus, before=Before(given=(given,), anchors=tuple(anchors)))
    order = [(point.at.boot_id, point.at.monotonic_s) for point in keeper.model.points]
    assert order == [
        ("given", 60.0), ("evening", 60.0), ("evening", 90.0),
        ("night", 60.0), ("morning", 60.0), ("morning", 90.0),
    ]  # fmt: skip


@pytest.mark.parametrize(("sigma_um", "short"), [(1.0, True), (20.0, False)])
def test_how_far_a_sweep_reaches_is_told_by_the_prediction(sigma_um, short):
    bench = Bench()
    keeper = keeper_of(bench, policy="every-tile")
    keeper.model.observe(FocusPoint(x_um=0, y_um=0, z_um=5, sigma_um=sigma_um, at=EVENING))
    row = keeper.focus_on(tile(0), at=EVENING)
    assert row.verdict.z_um == pytest.approx(5.0, abs=0.6)
    assert (max(bench.visited) - min(bench.visited) < 4 * 7.6 + 6.1) == short


def test_the_anchor_is_what_a_whole_sweep_finds_or_nothing():
    bench = Bench(best_z_um=-20.0)
    (anchor,) = keeper_of(bench).anchor([(0.5, -0.5)])
    assert (anchor.x_um, anchor.y_um) == (0.5, -0.5)
    assert anchor.z_um == pytest.approx(-20.0, abs=0.6)
    empty = Bench(contrast=0.0)
    assert keeper_of(empty).anchor([(0.0, 0.0), (0.9, 0.9)]) == []
    assert empty.frames == 8


def test_other_places_are_looked_at_as_long_as_the_model_does_not_know_them():
    bench = Bench()
    keeper = keeper_of(bench)
    points = keeper.anchor([(0.0, 0.0), (900.0, 0.0), (900.0, 900.0), (890.0, 890.0), (5.0, 5.0)])
    assert [(point.x_um, point.y_um) for point in points] == [(0, 0), (900, 0), (900, 900)]
    assert keeper.model.points == tuple(points)


def test_first_looks_lie_towards_the_corners_of_a_scan_that_is_worth_them():
    tiles = [replace(tile(n, 100.0 * (n % 7)), y_um=80.0 * (n // 7)) for n in range(49)]
    assert spread(tiles) == [(100.0, 80.0), (500.0, 80.0), (500.0, 400.0), (100.0, 400.0)]
    assert spread(tiles[:24]) == []


class Knows:
    """A measurer that knows how far the bench stands from focus, in its own sign."""

    name = "knows"
    lamps = (Lamp(channel="led", brightness=0.5, exposure_ms=10.0),)

    def __init__(self, bench, *, sign=1):
        self._bench, self._sign = bench, sign

    def measure(self, frames):
        away_um = self._bench.carriage_um + 0.5 - self._bench.best_z_um
        return Defocus(z_um=self._sign * away_um, sigma_um=0.2)


def test_a_measurer_is_asked_before_a_sweep_and_teaches_the_surface():
    bench = Bench(best_z_um=8.0)
    keeper = keeper_of(bench, sweep_every=1, singles=[Knows(bench)])
    rows = scan(keeper, bench, contrasts=[1.0] * 3)
    assert [row.source for row in rows] == ["knows", "surface", "knows"]
    assert [row.verdict.exposures for row in rows] == [2, 0, 1]
    assert bench.frames == 3
    assert bench.z_um == pytest.approx(8.0, abs=0.1)
    assert len(keeper.model.points) == 2


def test_a_measurer_that_was_wrong_twice_is_asked_no_more_after_a_resume_either():
    bench = Bench(best_z_um=8.0)
    keeper = keeper_of(bench, policy="every-tile", singles=[Knows(bench, sign=-1)])
    rows = scan(keeper, bench, contrasts=[1.0] * 3)
    assert [row.source for row in rows] == ["sweep"] * 3
    looks = [row.verdict.exposures - len(row.verdict.curve) for row in rows]
    assert looks == [2, 2, 0]
    again = keeper_of(bench, policy="every-tile", singles=[Knows(bench, sign=-1)])
    tiles = [stored(shot(row.tile_id), seq=n) for n, row in enumerate(rows[:2])]
    again.restore(tiles, {row.tile_id: row for row in rows}, before=Before())
    row = again.focus_on(tile(3), at=EVENING)
    assert row.verdict.exposures == len(row.verdict.curve)

"""The watchman through whole nights: what cannot be true pauses them, and is taken again."""

from __future__ import annotations

from contextlib import suppress

import pytest

from runtime.errors import InstrumentDoubted
from tests import faulty_bench as faults
from tests.faulty_bench import FaultyBench
from tests.night_fakes import PLAN, Night

PLAN_16 = PLAN.replace("rows: 3, columns: 3", "rows: 4, columns: 4").replace("0.25", "0.4")
# Tiles until the night pauses, from the one at which the fault begins.
PAUSES_WITHIN = 5
SPOILT = {
    "black": faults.black,
    "white": faults.white,
    "frozen": faults.frozen,
    "torn": faults.torn,
    "late": faults.late_by(2),
    "dim": faults.dimmed_to(0.3),
}


def night_at(folder, **fault):
    return Night(folder, FaultyBench(**fault), plan=PLAN_16)


def outcome(night):
    """Return what no fault may change."""
    with night.journal() as journal:
        return night.files(), journal.placements(), [t.tile_id for t in journal.tiles()]


def paused(night):
    """Return how a night pauses."""
    with pytest.raises(InstrumentDoubted) as stopped:
        night.go_on()
    return stopped.value


def states(night):
    with night.journal() as journal:
        return {name: state.state for name, state in journal.states().items()}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    night = night_at(tmp_path_factory.mktemp("watch") / "night", mended=True)
    assert night.go_on()["exit_code"] == 0
    return night


def check(night, undisturbed, kind):
    """A night pauses in time and says why, and goes on as if nothing had been."""
    error = paused(night)
    assert error.exit_code == 4
    assert f" is {kind}: " in str(error)
    assert "`nightscope resume` the run: it takes them again" in str(error)
    assert not night.bench.lit
    tiles_shown = len(night.bench.frames) - night.bench.begins - 1  # one is the known field's
    assert tiles_shown <= PAUSES_WITHIN
    with night.journal() as journal:
        assert journal.fact("state") == "paused"
        assert [e.kind for e in journal.events()] == ["InstrumentDoubted"]
        stored = {tile.tile_id for tile in journal.tiles()}
        assert len(stored) <= night.bench.begins
        again = {name for name, state in journal.states().items() if state.state == "to retake"}
    assert again
    assert not again & stored
    page = (night.path / "report.html").read_text()
    assert ("as far as it is drawn" in page) or len(stored) < 3
    night.bench.mended = True
    if not stored:  # whoever is switched on again begins at the beginning
        night.bench.own_s = 0.0
    assert night.go_on()["exit_code"] == 0
    assert outcome(night) == outcome(undisturbed)
    assert set(states(night).values()) == {"good"}


@pytest.mark.parametrize("kind", ["black", "frozen"])
def test_a_dead_camera_pauses_the_night_and_the_map_is_as_if_it_had_not(
    kind, tmp_path, undisturbed
):
    check(night_at(tmp_path, spoil=SPOILT[kind]), undisturbed, kind)


@pytest.mark.slow
@pytest.mark.parametrize("begins", [1, 2, 6, 12])
@pytest.mark.parametrize("kind", SPOILT)
def test_every_fault_of_camera_and_lamp_pauses_the_night(kind, begins, tmp_path, undisturbed):
    spoil = faults.late_by(2) if kind == "late" else SPOILT[kind]
    named = "frozen" if (kind, begins) == ("late", 1) else kind  # there is one to come again
    check(night_at(tmp_path, spoil=spoil, begins=begins), undisturbed, named)


@pytest.mark.slow
def test_a_frame_that_is_dated_before_the_call_is_late(tmp_path, undisturbed):
    check(night_at(tmp_path, spoil=faults.dated_before), undisturbed, "late")


@pytest.mark.slow
@pytest.mark.parametrize("axes", ["x", "y", "both"])
def test_a_stage_that_stands_while_its_counter_arrives(axes, tmp_path, undisturbed):
    misplace, begins = {
        "x": (faults.stuck_x, 5),
        "y": (faults.stuck_y, 4),
        "both": (faults.stuck, 5),
    }[axes]
    check(night_at(tmp_path, misplace=misplace, begins=begins), undisturbed, "still")


@pytest.mark.slow
@pytest.mark.parametrize("begins", [3, 5, 7, 10])
def test_a_stage_that_slips_is_never_called_fine(begins, tmp_path):
    """At the end of a row the next tile agrees with the first that lies elsewhere, and so on; where
    overlaps are too small for one tile to tell, those of the whole map do.
    """
    night = night_at(tmp_path, misplace=faults.slipped, begins=begins)
    with suppress(InstrumentDoubted):
        night.go_on()
    with night.journal() as journal:
        state, said = journal.fact("state"), [event.message for event in journal.events()]
    told = "is elsewhere:" if state == "paused" else "slipped far"
    assert any(told in message for message in said), (state, said)


@pytest.mark.slow
@pytest.mark.parametrize("kind", SPOILT)
def test_one_bad_frame_is_taken_again_at_the_end(kind, tmp_path):
    night = night_at(tmp_path, spoil=SPOILT[kind], begins=6, ends=7)
    assert night.go_on()["exit_code"] == 0
    with night.journal() as journal:
        order = [tile.tile_id for tile in journal.tiles()]
        assert order[-1] == "r001_c001"
        assert len(order) == 16
    assert set(states(night).values()) == {"good"}


@pytest.mark.slow
def test_a_lamp_that_fades_is_told_and_ends_no_night(tmp_path):
    night = night_at(tmp_path, spoil=faults.fading_by(0.015), begins=2)
    summary = night.go_on()
    assert summary["exit_code"] == 5
    (said,) = summary["noticed"]
    assert "the lamp has 8" in said or "the lamp has 9" in said
    assert said in (night.path / "report.html").read_text()
    assert set(states(night).values()) == {"good"}
    with night.journal() as journal:
        last = list(journal.states().values())[-1]
    assert last.lamp == pytest.approx((1 - 0.015) ** 13, rel=0.03)


@pytest.mark.slow
def test_one_tile_does_not_tell_of_a_lamp_that_fades(tmp_path):
    night = night_at(tmp_path, spoil=faults.dimmed_to(0.8), begins=6, ends=7)
    summary = night.go_on()
    with night.journal() as journal:
        lamps = [state.lamp for state in journal.states().values()]
    assert min(lamps) < 0.85
    assert (summary["noticed"], summary["exit_code"]) == ([], 0)


@pytest.mark.slow
def test_focus_that_sinks_by_more_than_drift_is_told(tmp_path):
    def sink(bench):
        bench.own_s += 4.0
        bench.best_z_um = 2.0 - 45.0 * bench.own_s / 3600

    plan = PLAN_16.replace("policy: fixed", "policy: every-tile").replace("rows: 4", "rows: 6")
    night = Night(tmp_path, FaultyBench(on_frame=sink, mended=True), plan=plan)
    summary = night.go_on()
    assert summary["exit_code"] == 5
    assert any("focus has sunk by" in said for said in summary["noticed"])

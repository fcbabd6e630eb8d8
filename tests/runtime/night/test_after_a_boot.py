"""A controller that starts again in mid-scan: what its clock counted before means nothing now."""

import signal

import pytest

from runtime.errors import Stopped
from tests.night_fakes import PLAN, Bench, Night

SURFACE = PLAN.replace(
    "{policy: fixed, start_z_um: 2, range_um: 60}",
    "{policy: surface, start_z_um: 0, range_um: 60, sweep_every: 100}",
)
HALF_A_DAY_S = 43_200.0
SUNK_UM = 17.0


def stop_in_the_middle_row(bench):
    if bench.frames[-1][1] > -10 and len(bench.frames) > 17 and not bench.resumed:
        signal.raise_signal(signal.SIGTERM)


def focus_of(night):
    """Return (source, z) of every tile in the order taken."""
    with night.journal() as journal:
        rows = journal.focus()
        return [(rows[t.tile_id].source, rows[t.tile_id].verdict.z_um) for t in journal.tiles()]


def stopped(path, plan=SURFACE):
    """Return a night that was stopped half a day after its controller had started."""
    night = Night(path, Bench(own_s=HALF_A_DAY_S), plan=plan)
    night.bench.on_frame = stop_in_the_middle_row
    with pytest.raises(Stopped):
        night.go_on()
    return night


@pytest.fixture
def interrupted(tmp_path):
    return stopped(tmp_path / "night")


def test_the_next_tile_after_a_boot_is_taken_in_focus_found_anew(interrupted):
    night, before = interrupted, focus_of(interrupted)
    night.bench = Bench(boot_id="next", best_z_um=2.0 - SUNK_UM)
    night.go_on()
    after = focus_of(night)[len(before) :]
    assert 0 < len(before) < 9
    assert len(before) + len(after) == 9
    assert all(z_um == pytest.approx(2.0, abs=1.0) for _, z_um in before)
    assert all(z_um == pytest.approx(2.0 - SUNK_UM, abs=1.0) for _, z_um in after)
    with night.journal() as journal:
        anchors = journal.fact("focus_anchors")
    assert [anchor["at"]["boot_id"] for anchor in anchors] == ["bench", "next"]


def test_within_one_boot_nothing_is_looked_for_again(interrupted):
    night, before = interrupted, focus_of(interrupted)
    night.bench = Bench(best_z_um=2.0)
    night.go_on()
    assert {source for source, _ in focus_of(night)[len(before) :]} == {"surface"}
    assert len(night.bench.frames) == 9 - len(before)


@pytest.mark.slow
def test_a_resumed_night_predicts_bit_for_bit_what_an_undisturbed_one_does(tmp_path):
    plan = SURFACE.replace("sweep_every: 100", "sweep_every: 2")
    whole = Night(tmp_path / "whole", Bench(own_s=HALF_A_DAY_S), plan=plan)
    whole.go_on()
    night = stopped(tmp_path / "night", plan)
    before = len(focus_of(night))
    night.bench = Bench()
    night.go_on()
    undisturbed, resumed = (n.read(lambda journal: journal.focus()) for n in (whole, night))
    assert 2 < before < 9
    assert [row.source for row in list(resumed.values())[before:]].count("surface") > 1
    assert resumed == undisturbed

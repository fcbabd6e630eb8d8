"""The journey of a tile through a whole night, on a microscope inside the test."""

import errno
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from runtime.errors import ConfigRefused, DiskFull, HardwareFailed, Stopped
from runtime.record.run_folder import RunFolder, RunLock
from runtime.stitch.map.mosaic import Mosaic
from tests.night_fakes import BEST_Z_UM, PLAN, Bench, Night

ROOT = Path(__file__).parents[3]
DIES = """
import os, signal, sys
from pathlib import Path
from tests.night_fakes import Bench, Night

def die(bench):
    if len(bench.frames) == 5:
        os.kill(os.getpid(), signal.SIGKILL)

Night(Path(sys.argv[1]), Bench(on_frame=die)).go_on()
"""
# Middles of the tiles in the order taken: three rows, forth and back, 60 by 48 µm apart.
PLACES_UM = [(x, y) for y, way in ((-48, 1), (0, -1), (48, 1)) for x in (-60 * way, 0, 60 * way)]
ROW = PLAN.replace(
    "rows: 3, columns: 3, centre_um: [0, 0]", "rows: 1, columns: 3, centre_um: [0, -48]"
)


def place(frame_um):
    """Return which tile of the plan a frame was taken at."""
    near = [abs(frame_um[0] - x) + abs(frame_um[1] - y) for x, y in PLACES_UM]
    return near.index(min(near))


def losing(*tiles, times=3):
    """Return a `lose` that keeps back the first frames of some tiles."""
    return lambda bench: (
        place(bench.frames[-1]) in tiles
        and sum(place(f) == place(bench.frames[-1]) for f in bench.frames) <= times
    )


def at_frame(number, act):
    """Return an `on_frame` that acts once, while the frame of that number is exposed."""
    return lambda bench: act(bench) if len(bench.frames) == number else None


def outcome(night):
    """Return what no interruption may change."""
    with night.journal() as journal:
        places = {
            name: (round(p.x_px, 2), round(p.y_px, 2), p.flag)
            for name, p in journal.placements().items()
        }
        order = [tile.tile_id for tile in journal.tiles()]
    return order, places, night.files()


@pytest.fixture
def night(tmp_path):
    return Night(tmp_path / "night", Bench())


@pytest.fixture
def row(tmp_path):
    """A night of the first row alone: enough where all is decided within a tile."""
    return Night(tmp_path / "row", Bench(), plan=ROW)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """(night, summary) of one that nobody disturbed."""
    night = Night(tmp_path_factory.mktemp("undisturbed") / "night", Bench())
    return night, night.go_on()


def test_every_planned_tile_is_taken_once_in_order_and_its_file_is_the_frame(undisturbed):
    night, summary = undisturbed
    assert (summary["exit_code"], summary["tiles_done"], summary["tiles_skipped"]) == (0, 9, 0)
    assert [place(frame) for frame in night.bench.frames] == list(range(9))
    order, places, files = outcome(night)
    assert len(set(order)) == len(order) == 9
    assert sorted(files) == sorted(f"{name}.tif" for name in order)
    assert {flag for _, _, flag in places.values()} == {""}
    assert night.read(lambda journal: journal.fact("state")) == "finished"


def test_every_place_is_reached_from_below_and_left_in_the_dark(undisturbed):
    """The bench itself refuses to move with the light on, and to expose without."""
    bench = undisturbed[0].bench
    assert all(all(axes) for axes in bench.rising)
    assert not bench.lit
    assert {frame[2] for frame in bench.frames} == {BEST_Z_UM}


def test_the_map_the_report_and_the_seams_are_there_in_the_morning(undisturbed):
    night, summary = undisturbed
    for name in ("map.png", "map.ome.tif", "report.html"):
        assert (night.path / name).stat().st_size > 0
    seams = night.read(lambda journal: journal.seams())
    assert len(seams) == 12
    assert {seam.method for seam in seams} == {"phase"}
    assert summary["simulated"] is True
    assert "SIMULATED" in (night.path / "report.html").read_text()


def test_homing_counts_as_mechanics_and_all_of_them_are_less_than_the_scan(undisturbed):
    night, summary = undisturbed
    readied_s, scan_s = (night.read(lambda j, f=f: j.fact(f)) for f in ("readied_s", "scan_s"))
    assert 0 < readied_s < scan_s
    assert readied_s / scan_s < summary["mechanics_share"] + 0.001 < 1


def test_tiles_are_placed_where_the_stage_was_sent(undisturbed):
    _, places, _ = outcome(undisturbed[0])
    first = places["r000_c000"]
    x_px, y_px = (places["r002_c002"][axis] - first[axis] for axis in (0, 1))
    assert (x_px, y_px) == pytest.approx((240, 192), abs=0.3)


def test_a_frame_lost_twice_is_taken_again(row):
    row.bench.lose = losing(1, times=2)
    assert row.go_on()["exit_code"] == 0
    assert [place(frame) for frame in row.bench.frames] == [0, 1, 1, 1, 2]
    assert row.read(lambda journal: journal.skips()) == {}


def test_a_tile_that_gave_no_frame_is_taken_again_at_the_end(night, undisturbed):
    night.bench.lose = losing(1)
    summary = night.go_on()
    assert [place(frame) for frame in night.bench.frames] == [0, 1, 1, 1, *range(2, 9), 1]
    assert (summary["exit_code"], summary["tiles_done"], summary["tiles_skipped"]) == (0, 9, 0)
    assert night.read(lambda journal: journal.skips()) == {}
    assert set(outcome(night)[0]) == set(outcome(undisturbed[0])[0])


def test_one_that_gives_none_then_either_is_given_up_and_the_night_goes_on(row):
    row.bench.lose = losing(1, times=6)
    summary = row.go_on()
    assert [place(frame) for frame in row.bench.frames] == [0, 1, 1, 1, 2, 1, 1, 1]
    assert (summary["exit_code"], summary["tiles_done"], summary["tiles_skipped"]) == (5, 2, 1)
    assert row.read(lambda j: j.skips()) == {"r000_c001": "the frame never came"}
    assert "the frame never came" in (row.path / "report.html").read_text()


def test_what_was_given_up_is_taken_when_the_finished_night_is_resumed(row):
    row.bench.lose = losing(1, times=6)
    assert row.go_on()["exit_code"] == 5
    before = len(row.bench.frames)
    summary = row.go_on()
    assert [place(frame) for frame in row.bench.frames[before:]] == [1]
    assert (summary["exit_code"], summary["tiles_done"], summary["tiles_skipped"]) == (0, 3, 0)
    assert row.read(lambda journal: journal.fact("state")) == "finished"


def test_every_tile_of_a_simulated_microscope_says_so(undisturbed):
    night = undisturbed[0]
    with night.journal() as journal:
        assert {tile.shot.simulated for tile in journal.tiles()} == {True}
    assert all(b"SIMULATED" in content for content in night.files().values())


def test_a_tile_given_up_is_tried_again_by_a_resumed_night(row):
    row.bench.lose = losing(0)
    row.bench.on_frame = at_frame(4, lambda bench: signal.raise_signal(signal.SIGINT))
    with pytest.raises(Stopped):
        row.go_on()
    assert list(row.read(lambda journal: journal.skips())) == ["r000_c000"]
    before = len(row.bench.frames)
    assert row.go_on()["exit_code"] == 0
    assert [place(frame) for frame in row.bench.frames[before:]] == [0, 2]


def test_three_tiles_lost_in_a_row_pause_the_night_resumably(night):
    night.bench.lose = losing(3, 4, 5, times=10**9)
    with pytest.raises(HardwareFailed, match="3 tiles in a row gave no frame") as failed:
        night.go_on()
    assert failed.value.exit_code == 4
    with night.journal() as journal:
        assert journal.fact("state") == "paused"
        assert len(journal.skips()) == 2
        assert len(journal.tiles()) == 3
        assert "3 tiles in a row" in journal.events()[-1].message
    assert not night.bench.lit
    night.bench.lose = losing()
    summary = night.go_on()
    assert (summary["exit_code"], summary["tiles_done"], summary["tiles_skipped"]) == (0, 9, 0)


def test_lost_tiles_with_a_good_one_between_do_not_pause(night):
    night.bench.lose = losing(0, 1, 3, 4, 6, 7, times=10**9)
    assert night.go_on()["tiles_skipped"] == 6


def test_asked_to_stop_the_tile_in_hand_is_finished_and_the_rest_comes_later(night, undisturbed):
    night.bench.on_frame = at_frame(4, lambda bench: signal.raise_signal(signal.SIGTERM))
    with pytest.raises(Stopped) as stopped:
        night.go_on()
    assert stopped.value.exit_code == 130
    with night.journal() as journal:
        taken = journal.tiles()
        assert len(taken) == 4
        assert journal.fact("state") == "paused"
    assert night.go_on()["exit_code"] == 0
    assert outcome(night) == outcome(undisturbed[0])


@pytest.mark.slow
def test_killed_by_the_kernel_it_ends_as_if_nothing_had_happened(night, undisturbed):
    died = subprocess.run([sys.executable, "-c", DIES, str(night.path)], cwd=ROOT, check=False)
    assert died.returncode == -signal.SIGKILL
    assert night.read(lambda journal: journal.fact("state")) == "scanning"
    assert night.go_on()["exit_code"] == 0
    assert 9 - 4 <= len(night.bench.frames) <= 9
    assert outcome(night) == outcome(undisturbed[0])


def test_a_resumed_night_first_stands_where_and_when_the_last_tile_was_taken(row):
    row.bench.on_frame = at_frame(2, lambda bench: signal.raise_signal(signal.SIGTERM))
    with pytest.raises(Stopped):
        row.go_on()
    before, row.bench = row.bench, Bench()
    moved = []
    row.bench.on_frame = at_frame(1, lambda bench: moved.extend(bench.moves))
    row.go_on()
    assert before.frames[-1] in moved
    assert [at.monotonic_s for at in row.bench.resumed] == [pytest.approx(before.own_s)]


def test_a_full_disk_pauses_and_what_was_not_derived_is_derived_later(
    night, undisturbed, monkeypatch
):
    drawn, draw = [], Mosaic.update

    def full(self, *arguments):
        drawn.append(1)
        if len(drawn) == 4:  # the first is an empty map's
            raise OSError(errno.ENOSPC, "no space left")
        return draw(self, *arguments)

    monkeypatch.setattr(Mosaic, "update", full)
    with pytest.raises(DiskFull) as failed:
        night.go_on()
    assert failed.value.exit_code == 7
    with night.journal() as journal:
        assert journal.fact("state") == "paused"
        stored = {tile.tile_id for tile in journal.tiles()}
    assert not (night.path / ".ballast").exists()
    assert "no room left while drawing the map" in (night.path / "report.html").read_text()
    night.bench = Bench()
    assert night.go_on()["exit_code"] == 0
    assert len(night.bench.frames) == 9 - len(stored)
    assert outcome(night) == outcome(undisturbed[0])


def test_a_frame_in_which_the_board_went_dark_is_taken_again(row):
    def trip(bench):
        bench.trips += 1

    row.bench.on_frame = at_frame(2, trip)
    assert row.go_on()["exit_code"] == 0
    assert [place(frame) for frame in row.bench.frames] == [0, 1, 1, 2]


def test_a_board_that_always_goes_dark_gives_no_frame(row):
    def trip(bench):
        bench.trips += place(bench.frames[-1]) == 1

    row.bench.on_frame = trip
    assert row.go_on()["exit_code"] == 5
    (reason,) = row.read(lambda journal: journal.skips()).values()
    assert "the board went dark during every exposure" in reason


def test_a_late_stage_ends_the_night_with_its_name_and_exit_code_5(row):
    row.budgets_ms = {"store": 1e-6}
    summary = row.go_on()
    assert (summary["exit_code"], summary["late_stages"]) == (5, ["store"])
    (store,) = [one for one in summary["budgets"] if one["stage"] == "store"]
    assert store["misses"] == 3


def test_a_night_that_is_finished_moves_nothing(tmp_path):
    night = Night(tmp_path / "night", Bench(), plan=SMALL)
    night.go_on()
    moves, frames = len(night.bench.moves), len(night.bench.frames)
    assert night.go_on()["exit_code"] == 0
    assert (len(night.bench.moves), len(night.bench.frames)) == (moves, frames)


SMALL = """
name: bench
objective: 10x
grid: {rows: 1, columns: 2, centre_um: [0, 0]}
overlap: 0.25
focus: {policy: fixed, start_z_um: 2, range_um: 60}
"""


def test_a_plan_that_changed_is_refused_before_anything_moves(tmp_path):
    night = Night(tmp_path / "night", Bench(), plan=SMALL)
    night.bench.on_frame = at_frame(1, lambda bench: signal.raise_signal(signal.SIGINT))
    with pytest.raises(Stopped):
        night.go_on()
    plan = night.path / "plan.yaml"
    plan.write_text(plan.read_text().replace("columns: 2", "columns: 3"))
    moves = len(night.bench.moves)
    with pytest.raises(ConfigRefused, match="changed since the run began"):
        night.go_on()
    assert len(night.bench.moves) == moves


def test_only_one_process_works_on_a_run(tmp_path):
    night = Night(tmp_path / "night", Bench(), plan=SMALL)
    night.bench.on_frame = at_frame(1, lambda bench: signal.raise_signal(signal.SIGINT))
    with pytest.raises(Stopped):
        night.go_on()
    with RunLock(RunFolder(night.path)), pytest.raises(ConfigRefused, match="another process"):
        night.go_on()
    assert night.go_on()["tiles_done"] == 2

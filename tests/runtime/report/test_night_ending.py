"""The last screen of a night, its exit code and its report say the same."""

from __future__ import annotations

import signal
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from runtime.cli.commands.runs import runs
from runtime.cli.screen import SCREEN_LINES, lines
from runtime.clock import SystemClock
from runtime.errors import Stopped
from runtime.instant import Instant
from runtime.night.run import conclude
from runtime.night.sessions import begin_session, state_now
from runtime.record.journal import Journal
from runtime.record.run_folder import RunFolder, RunLock
from runtime.report.ending import Ending
from runtime.report.night_ending import night_ending
from runtime.report.wall_clock import clock_steps
from runtime.tile import Label
from tests.night_fakes import PLAN, Bench, Night

ROW = PLAN.replace(
    "rows: 3, columns: 3, centre_um: [0, 0]", "rows: 1, columns: 2, centre_um: [0, 0]"
)
NOW = Instant(boot_id="b", monotonic_s=1000.0, wall_s=1.8e9)


def ended(night: Night, *, code: int = 0, reason: str = "") -> Ending:
    with night.journal() as journal:
        return night_ending(night.path, journal, code=code, reason=reason)


@pytest.fixture(scope="module")
def row(tmp_path_factory: pytest.TempPathFactory) -> tuple[Night, dict[str, Any]]:
    night = Night(tmp_path_factory.mktemp("row") / "night", Bench(), plan=ROW)
    return night, night.go_on()


def test_a_good_night_needs_nothing_and_says_where_its_map_lies(
    row: tuple[Night, dict[str, Any]],
) -> None:
    night, summary = row
    assert (summary["exit_code"], summary["attention"]) == (0, [])
    ending = ended(night)
    assert ending.done[0].startswith("bench: 2 of 2 tiles taken in ")
    assert ending.assumed == ("the instrument is SIMULATED, or a part of it",)
    assert ending.attention == ()
    assert [what for what, _ in ending.results] == ["map", "full map", "report"]
    for width in (80, 60):
        shown = lines(ending, width=width)
        assert len(shown) <= SCREEN_LINES
        assert "Needs attention: nothing" in shown
    assert "Nothing needs your attention." in (night.path / "report.html").read_text()


WANTED = {"labels": ["tissue"], "min_score": 0.8, "min_tiles": 2, "objective": "20x"}


@pytest.mark.parametrize(
    ("scores", "says"),
    [
        ((), "no region to visit was found: no tile was labelled tissue"),
        ((0.6, 0.7), "of 2 tiles labelled tissue the surest has a score of 0.70; visits want 0.8"),
    ],
)
def test_no_region_where_visits_were_wanted_is_told_with_the_reason(
    row: tuple[Night, dict[str, Any]], scores: tuple[float, ...], says: str
) -> None:
    night, _ = row
    with night.journal() as journal:
        plan = journal.fact("plan")
        journal.note(plan=plan | {"visits": WANTED})
        for number, score in enumerate(scores):
            label = Label(name="tissue", score=score, scores={"tissue": score}, model="m 1.0.0")
            journal.set_label(f"r000_c00{number}", label)
        summary = conclude(RunFolder(night.path), journal)
        journal.note(plan=plan)
        journal._db.execute("DELETE FROM labels")
    assert summary["exit_code"] == 5
    assert says in summary["attention"][0]


def test_a_stopped_night_says_why_what_is_left_and_how_to_go_on(tmp_path: Path) -> None:
    night = Night(tmp_path / "night", Bench(), plan=ROW)
    night.bench.on_frame = lambda bench: (
        signal.raise_signal(signal.SIGTERM) if len(bench.frames) == 1 else None
    )
    with pytest.raises(Stopped) as stopped:
        night.go_on()
    ending = ended(night, code=130, reason=str(stopped.value))
    assert ending.left_out[0] == "1 tile still to take"
    assert ending.attention[0].startswith("paused: stopped on request")
    assert ending.attention[1] == f"`nightscope resume {night.path}` goes on"
    assert ending.attention[-1] == "the exit code is 130: stopped on request"
    before_s = night.read(lambda journal: journal.fact("wall_s"))
    assert before_s > 0, "a session that paused counts"
    with night.journal() as journal:
        journal.note(state="scanning")
        assert state_now(RunFolder(night.path), journal) == "interrupted"
        with RunLock(RunFolder(night.path)):
            assert state_now(RunFolder(night.path), journal) == "scanning"
    summary = night.go_on()
    assert summary["exit_code"] == 0
    assert summary["wall_s"] > before_s
    (event,) = [e for e in night.read(lambda journal: journal.events()) if e.kind == "interrupted"]
    assert "died while scanning; 1 tiles were safe" in event.message
    assert "interrupted 1 time" in ended(night).done[0]
    assert "died while scanning" in (night.path / "report.html").read_text()


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    folder = RunFolder(tmp_path / "run")
    folder.create(plan_text=ROW, settings_text="")
    return folder


@pytest.mark.parametrize("state", ["calibrating", "scanning", "visiting"])
def test_a_run_whose_process_is_gone_is_listed_as_interrupted(
    folder: RunFolder, state: str
) -> None:
    from rich.console import Console

    journal = Journal(folder.journal)
    journal.note(state=state)
    journal.close()
    quiet = Console(quiet=True)
    assert [run["state"] for run in runs(root=folder.path.parent, console=quiet)["runs"]] == [
        "interrupted"
    ]
    with RunLock(folder):
        assert runs(root=folder.path.parent, console=quiet)["runs"][0]["state"] == state


def test_a_session_after_a_restart_says_that_the_machine_went_down(folder: RunFolder) -> None:
    journal = Journal(folder.journal)
    before = replace(SystemClock().instant(), boot_id="before")
    journal.note(state="scanning", session={"pid": 17} | asdict(before))
    begin_session(folder, journal, SystemClock().instant())
    (event,) = journal.events()
    journal.close()
    assert event.message == "the machine went down while scanning; 0 tiles were safe"


@pytest.mark.parametrize(
    ("later", "says"),
    [
        (replace(NOW, monotonic_s=1010.0, wall_s=1.8e9 + 10), []),
        (replace(NOW, monotonic_s=1010.0, wall_s=1.8e9 + 40), []),
        (replace(NOW, monotonic_s=1010.0, wall_s=1.8e9 - 7190), ["set back by 2 h 0 min"]),
        (replace(NOW, monotonic_s=1010.0, wall_s=1.8e9 + 7210), ["set forward by 2 h 0 min"]),
        (Instant(boot_id="c", monotonic_s=3.0, wall_s=1.7e9), ["ran backwards over a restart"]),
        (Instant(boot_id="c", monotonic_s=3.0, wall_s=1.9e9), []),
    ],
)
def test_steps_of_the_clock_are_told(later: Instant, says: list[str]) -> None:
    told = list(clock_steps([NOW, later]))
    assert len(told) == len(says)
    assert all(words in one for words, one in zip(says, told, strict=True))

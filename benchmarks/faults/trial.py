"""One fault, one night: what it did, what one reads, and what verify and resume then do."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.faults.child import Child, Ended, called
from benchmarks.faults.terminal import Pipe, Terminal
from benchmarks.nothing_lost.night import acknowledged
from runtime.night.stages import budgets
from runtime.record.journal import Journal
from runtime.record.run_folder import RunFolder
from tests.simulated import by_itself

TILES = 16
PLAN = """
name: faults
objective: 10x
grid: {rows: 4, columns: 4, centre_um: [0, 0]}
overlap: 0.2
focus: {range_um: 80}
"""
CAMERA = "width_px = 256\nheight_px = 224"
# A busy machine is slow, and slow is not what most faults are about.
PATIENT = "[budgets_ms]\n" + "".join(f"{row.stage} = 1e6\n" for row in budgets({}))
HEAD = (
    "| fault | the night | exit code | one reads | `verify` | `resume`, mended |",
    "|---|---|---|---|---|---|",
)
SHORT = 260
NEVER = ("Traceback", "internal error")
WITHIN = 5
"""Tiles after which a dead camera or lamp has to be noticed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A fault and the written outcome. `faults` are sections of the simulator's file; `child` runs
    in the night's process before it begins; `acts` by the time the journal holds `tiles`; `mend`
    sets right what is not the simulator's. The night has to end with one of `codes` and say `says`.

    `terminal` is what the night is started from: "closed" or "held" once that is due, or a "pipe".

    `equal`: after `resume`, which ends with `then`, tiles and places are those of an undisturbed
    night. `soon`: at most five tiles are to be taken again.
    """

    name: str
    codes: tuple[int, ...]
    says: str = ""
    faults: str = ""
    plan: str = PLAN
    settings: Callable[[str, Trial], str] = lambda settings, _: settings
    child: Callable[[Trial], Callable[[], None]] = lambda _: lambda: None
    tiles: int = 6
    before: Callable[[Trial], None] = lambda _: None
    acts: Callable[[Trial], None] = lambda _: None
    mend: Callable[[Trial], None] = lambda _: None
    resumed_as: Callable[[], None] = lambda: None
    terminal: str = ""
    then: tuple[int, ...] = (0,)
    equal: bool = True
    soon: bool = False
    resumable: bool = True


@dataclass(frozen=True, slots=True)
class Place:
    """Where all nights are spent: calibrations that they share, and what comes out undisturbed."""

    work: Path
    calibrations: Path
    undisturbed: dict[str, Any]

    @staticmethod
    def made(work: Path) -> Place:
        """Spend the night that calibrates, and one that nobody disturbs."""
        folder = work / "sound"
        folder.mkdir()
        settings = by_itself(speed=1000, camera=CAMERA) + PATIENT
        (folder / "settings.toml").write_text(settings)
        (folder / "plan.yaml").write_text(PLAN)
        first = called("run", "plan.yaml", "--out", "first", folder=folder)
        assert first.code == 0, first.read
        place = Place(work, folder / "first" / "calibration", {})
        trial = Trial(Case(name="undisturbed", codes=(0,), equal=False), place)
        trial.run()
        assert not trial.findings, trial.findings
        return Place(work, place.calibrations, outcome(trial.run_folder))


@dataclass
class Trial:
    """A night with one fault in a folder of its own."""

    case: Case
    place: Place
    findings: list[str] = field(default_factory=list)
    row: str = ""
    night: Child | None = None
    terminal: Terminal | Pipe | None = None
    held: list[Any] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        """Return where plan and settings lie."""
        return self.place.work / "trial"

    @property
    def run_folder(self) -> Path:
        """Return the run."""
        return self.folder / "run"

    def run(self) -> None:
        """Spend the night, mend the fault, and go on."""
        self._lay_out()
        ended = self._spend()
        self._judge(ended)
        (self.folder / "faults.toml").unlink(missing_ok=True)
        first = self._verified()
        self.case.mend(self)
        then = self._go_on() if self.run_folder.exists() and self.case.resumable else ""
        did = _did(ended.code, self.case)
        cells = (self.case.name, did, str(ended.code), _said(ended), first, then)
        self.row = "| " + " | ".join(cell.replace("|", "/") for cell in cells) + " |"

    def _lay_out(self) -> None:
        while self.folder.is_mount():
            subprocess.run(["umount", str(self.folder)], check=True)
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()
        settings = by_itself(speed=1000, camera=CAMERA).replace(
            "automatic = true", f'folder = "{self.place.calibrations}"'
        )
        settings = settings.replace("speed = 1000", 'speed = 1000\nfaults = "faults.toml"')
        (self.folder / "settings.toml").write_text(self.case.settings(settings + PATIENT, self))
        (self.folder / "plan.yaml").write_text(self.case.plan)
        (self.folder / "faults.toml").write_text(self.case.faults)
        self.case.before(self)

    def _spend(self) -> Ended:
        prepare = self.case.child(self)
        arguments = ["run", "plan.yaml", "--out", "run"]
        if self.case.terminal:
            self.terminal = front = _front(self.case.terminal, self.run_folder)
            self.night = front.begin(arguments, self.folder, prepare)
            return front.wait(self.meanwhile())
        self.night = Child([*arguments, "--json"], self.folder, prepare)
        self.night.start()
        return self.night.wait(meanwhile=self.meanwhile())

    def meanwhile(self) -> Callable[[], None]:
        """Return what lets the fault happen once the journal holds so many tiles."""
        waiting = [self.case.acts]

        def look() -> None:
            journal = self.run_folder / "journal.sqlite"
            if waiting and journal.exists() and len(acknowledged(journal)) >= self.case.tiles:
                waiting.pop()(self)

        return look

    def _judge(self, ended: Ended) -> None:
        case = self.case
        if ended.code is None:
            self.findings.append("it hung")
        elif ended.code not in case.codes:
            self.findings.append(f"exit code {ended.code}: {ended.err[-800:]}")
        self.findings += [f"{word}: {ended.read[-1500:]}" for word in NEVER if word in ended.read]
        if case.says and case.says not in ended.read:
            self.findings.append(f"does not say {case.says!r}: {ended.read[-800:]}")
        if not self.run_folder.exists():
            return
        now = outcome(self.run_folder)
        if ended.code == 0 and (now["state"] != "finished" or now["missing"]):
            self.findings.append(f"exit code 0, {now['state']}, {now['missing']} tiles missing")
        if case.soon and now["retake"] > WITHIN:
            self.findings.append(f"{now['retake']} tiles before it paused")

    def _verified(self) -> str:
        if not self.run_folder.exists():
            return "there is no run"
        ended = called("verify", "run", folder=self.folder)
        if ended.code not in (0, 5) or any(word in ended.read for word in NEVER):
            self.findings.append(f"verify: {ended.code} {ended.read[-800:]}")
        flaws = ended.result.get("flaws", [])
        return f"{ended.code}" + (f": {len(flaws)} not as recorded" if flaws else "")

    def _go_on(self) -> str:
        ended = called("resume", "run", folder=self.folder, prepare=self.case.resumed_as)
        if ended.code not in self.case.then or any(word in ended.read for word in NEVER):
            self.findings.append(f"resume: {ended.code} {ended.read[-1500:]}")
        now, wanted = outcome(self.run_folder), self.place.undisturbed
        whole = called("verify", "run", folder=self.folder)
        if ended.code in (0, 5) and (whole.code != 0 or now["missing"]):
            self.findings.append(f"then verify: {whole.code}, {now['missing']} tiles missing")
        same = all(now[what] == wanted.get(what) for what in ("tiles", "places"))
        if self.case.equal and wanted and not same:
            self.findings.append("tiles or places are not those of an undisturbed night")
        return f"{ended.code}, {'the same map' if same else _apart(now, wanted)}"


def outcome(run: Path) -> dict[str, Any]:
    """Return what a run has come to: tiles by digest, places, and how many are missing."""
    journal = Journal(RunFolder(run).journal)
    try:
        tiles = {tile.tile_id: tile.file.sha256 for tile in journal.tiles("overview")}
        places = {
            name: (p.x_px, p.y_px, p.theta_rad, p.flag)
            for name, p in journal.placements().items()
        }  # fmt: skip
        planned = int(journal.fact("tiles_planned", TILES))
        states = [row.state for row in journal.states().values()]
        retake = states.count("to retake")
        state = str(journal.fact("state"))
    finally:
        journal.close()
    return {
        "state": state, "tiles": tiles, "places": places, "missing": planned - len(tiles),
        "retake": retake,
    }  # fmt: skip


def _front(kind: str, run_folder: Path) -> Terminal | Pipe:
    return Pipe() if kind == "pipe" else Terminal(kind, run_folder)


def _apart(now: dict[str, Any], wanted: dict[str, Any]) -> str:
    """Return how far two maps differ that share a first tile, at most, in words."""
    if now["missing"] or not wanted:
        return "as it was"
    here, there = now["places"], wanted["places"]
    if here.keys() != there.keys():
        return "a whole map"
    first = min(here)
    away = max(
        abs((here[name][axis] - here[first][axis]) - (there[name][axis] - there[first][axis]))
        for name in here
        for axis in (0, 1)
    )
    return f"a whole map, places within {away:.2f} px"


def _did(code: int | None, case: Case) -> str:
    if code is not None and code < 0:
        return "is cut off"
    words = {0: "finishes", 5: "finishes", 130: "pauses", 3: "refuses", 6: "refuses"}
    return words.get(code or 0, "pauses") if case.resumable else "refuses"


def _said(ended: Ended) -> str:
    """Return what a person reads of it, on one line."""
    told = ended.result
    if told.get("error"):
        said = str(told["error"])
    elif told.get("attention"):
        said = "; ".join(told["attention"])
    elif ended.code is not None and ended.code < 0:
        said = "nothing: there is no time"
    else:
        said = "nothing needs attention"
    said = " ".join(said.split())
    return said if len(said) <= SHORT else said[: SHORT - 2] + " …"

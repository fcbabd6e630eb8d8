"""The faults, and what is written down for each: how the night ends, and what comes out after."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from benchmarks.faults.terminal import Terminal
from benchmarks.faults.trial import CAMERA, PATIENT, PLAN, Case, Trial
from benchmarks.nothing_lost.shim import Blow, watch
from runtime.config.settings import KEYS, SHIPPED_MODELS
from runtime.conveyor import Conveyor
from runtime.record.journal import Journal
from tests.simulated import by_itself

FINE, TOLD, PAUSED, REFUSED, DISK, STOPPED, KILLED = 0, 5, 4, 3, 7, 130, -9
FOR_GOOD = 10**9
MIDDLE = 36
"""The frame of the seventh of sixteen tiles."""
LABELLED = PLAN.replace("rows: 4, columns: 4", "rows: 3, columns: 3") + "model: mussel-tissue\n"
VISITING = LABELLED + "visits: {labels: [tissue], objective: 20x, max_regions: 1, max_tiles: 2}\n"


LONG = (
    PLAN.replace("rows: 4, columns: 4", "rows: 10, columns: 8")
    .replace("focus: {", "exposure_ms: 1275\nbrightness: 0.004\nfocus: {policy: every-tile, ")
)  # fmt: skip
"""A plan of twenty simulated minutes, in as much light as the others."""


def fault(kind: str, **more: object) -> str:
    """Return the section of a fault that begins in the middle of the night."""
    lines = {"kind": f'"{kind}"', "after_frames": MIDDLE} | more
    return "[[fault]]\n" + "".join(f"{key} = {value}\n" for key, value in lines.items())


# -- in the night's own process --------------------------------------------------------------------


def at_a_tile(act: Callable[[], None], *, tile: int = 6) -> Callable[[Trial], Callable[[], None]]:
    """Have something happen in the compute thread after a tile is in the journal."""

    def prepare() -> None:
        real, count = Journal.add_tile, [0]

        def add_tile(self: Journal, *given: object) -> None:
            real(self, *given)  # type: ignore[arg-type]
            count[0] += 1
            if count[0] == tile:
                act()

        Journal.add_tile = add_tile  # type: ignore[method-assign, assignment]

    return lambda _: prepare


def failing(
    error: int, *, times: int = FOR_GOOD, below: str = ""
) -> Callable[[Trial], Callable[[], None]]:
    """Have calls fail that change files of the run, or of a folder in it, from a tile on."""

    def prepared(trial: Trial) -> Callable[[], None]:
        blow = Blow(fail_from=2, fail_for=times, error=error)
        return at_a_tile(lambda: watch(trial.run_folder / below, blow))(trial)

    return prepared


def no_more_memory() -> None:
    """Let the process grow no more, and take what it has left for its frames."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    with suppress(MemoryError):
        while True:
            TAKEN.append(bytes(50_000))


TAKEN: list[bytes] = []


class Gone(BaseException):
    """What a compute thread dies of."""


def dies_without_a_word(trial: Trial) -> Callable[[], None]:
    """Have the compute thread die as one does that the kernel kills: nobody is told."""

    def work(self: Conveyor[object]) -> None:
        while (item := self._next()) is not None:
            self._work(item)

    def die() -> None:
        raise Gone

    prepare = at_a_tile(die)(trial)

    def prepared() -> None:
        prepare()
        Conveyor._run = work  # type: ignore[method-assign, assignment]
        threading.excepthook = lambda _: None

    return prepared


def clock_jumps(seconds: float) -> Callable[[Trial], Callable[[], None]]:
    """Have somebody set the computer's clock."""
    real = time.time

    def jump() -> None:
        time.time = lambda: real() + seconds

    return at_a_tile(jump)


def another_boot() -> None:
    """Go on after the machine was started anew."""
    import runtime.clock

    runtime.clock._boot_id = lambda: "the next boot"  # type: ignore[assignment]


def with_other_keys() -> None:
    """Go on where NIGHTSCOPE_KEYS names a folder without the key of the run's model."""
    os.environ[KEYS] = "/var/empty"


# -- from outside ----------------------------------------------------------------------------------


def kill(trial: Trial) -> None:
    """Send SIGKILL."""
    assert trial.night is not None
    os.kill(trial.night.process, signal.SIGKILL)


def ask(number: signal.Signals) -> Callable[[Trial], None]:
    """Send a signal."""

    def send(trial: Trial) -> None:
        assert trial.night is not None
        os.kill(trial.night.process, number)

    return send


def hold_journal(trial: Trial) -> None:
    """Write to the journal from another program, and never commit."""
    other = sqlite3.connect(
        trial.run_folder / "journal.sqlite", isolation_level=None, check_same_thread=False
    )
    other.execute("BEGIN IMMEDIATE")
    trial.held.append(other)


def let_go(trial: Trial) -> None:
    """Close that program."""
    for other in trial.held:
        other.close()


def the_terminal_is_touched(trial: Trial) -> None:
    """Close or hold it now."""
    assert isinstance(trial.terminal, Terminal)
    trial.terminal.touch()


def on_a_small_disk(trial: Trial) -> None:
    """Lay the night out on a file system of 24 MB; needs the right to mount one."""
    kept = {file.name: file.read_bytes() for file in trial.folder.iterdir() if file.is_file()}
    command = ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(trial.folder)]
    subprocess.run(command, check=True)
    for name, content in kept.items():
        (trial.folder / name).write_bytes(content)


def fill_it(trial: Trial) -> None:
    """Fill it to the last byte."""
    with suppress(OSError), (trial.folder / "somebody's").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


def make_room(trial: Trial) -> None:
    """Take that away again."""
    (trial.folder / "somebody's").unlink()


def block_the_picture(trial: Trial) -> None:
    """Lay a folder where the map's picture is to be written."""
    (trial.run_folder / "map.png").mkdir()
    (trial.run_folder / "map.png" / "somebody's").touch()


def unblock_the_picture(trial: Trial) -> None:
    """Take it away again."""
    shutil.rmtree(trial.run_folder / "map.png", ignore_errors=True)


def edit_plan(trial: Trial) -> None:
    """Edit the run's own plan, and stop the night."""
    plan = trial.run_folder / "plan.yaml"
    plan.write_text(plan.read_text() + "exposure_ms: 20\n")
    ask(signal.SIGTERM)(trial)


def spoil_tiles(trial: Trial) -> None:
    """Alter a tile's file, take another away, and kill the night."""
    kill(trial)
    first, second, *_ = sorted((trial.run_folder / "tiles").iterdir())
    content = bytearray(first.read_bytes())
    content[len(content) // 2] ^= 1
    first.write_bytes(content)
    second.unlink()


def own_shelf(trial: Trial) -> None:
    """Lay out a shelf of models for this night alone."""
    shutil.copytree(SHIPPED_MODELS, trial.folder / "models")


def on_own_shelf(settings: str, trial: Trial) -> str:
    """Name that shelf, and show the model whole frames."""
    return whole_frames(settings, trial) + '\n[models]\nfolder = "models"\n'


def whole_frames(_: str, __: Trial) -> str:
    """Return settings whose camera shows as much as the model needs; it calibrates by itself."""
    return by_itself(speed=1000, camera="width_px = 512\nheight_px = 448") + PATIENT


def newer_bundle(trial: Trial) -> None:
    """Lay something newer on the shelf, that no key here has signed, and kill the night."""
    bundle = next((trial.folder / "models").glob("mussel-tissue-*.nsb"))
    bundle.replace(bundle.with_name("mussel-tissue-99.0.0.nsb"))
    shutil.rmtree(trial.folder / "models" / "keys")
    kill(trial)


def calibrating_first(_: str, __: Trial) -> str:
    """Return settings of an instrument that calibrates by itself."""
    return by_itself(speed=1000, camera=CAMERA) + PATIENT


def slow_is_late(settings: str, _: Trial) -> str:
    """Return settings whose exposures have their own budget."""
    return settings.replace("expose = 1e6\n", "")


SOON = {"codes": (PAUSED,), "soon": True}

CASES = (
    # -- camera
    Case(name="camera: black frames", faults=fault("black"), says="is black", **SOON),
    Case(name="camera: white frames", faults=fault("white"), says="is white", **SOON),
    Case(name="camera: frozen", faults=fault("frozen"), says="is frozen", **SOON),
    Case(name="camera: two frames late", faults=fault("late"), says="is late", **SOON),
    Case(
        name="camera: frames read out before they were asked for",
        faults=fault("dated-before"), says="before it was asked for", **SOON,
    ),
    Case(name="camera: torn frames", faults=fault("torn"), says="is torn", **SOON),
    Case(name="camera: dead", faults=fault("dead"), says="gave no frame", **SOON),
    Case(
        name="camera: three frames of one tile lost",
        faults=fault("dead", for_frames=3), codes=(FINE,), equal=False,
    ),
    Case(
        name="camera: slow, 1 s more a frame", faults=fault("slow"),
        settings=slow_is_late, codes=(TOLD,), says="late, beyond their budgets", then=(TOLD,),
    ),
    # -- lamp
    Case(name="lamp: dead", faults=fault("lamp-dead"), says="is black", **SOON),
    Case(
        name="lamp: loses two thirds at once",
        faults=fault("lamp-dims", lost_share=0.67), says="is dim", **SOON,
    ),
    Case(
        name="lamp: fades, 1 % a frame", faults=fault("lamp-fades", lost_share=0.01),
        codes=(TOLD,), says="the lamp has", then=(TOLD,), equal=False,
    ),
    Case(name="lamp: another channel shines", faults=fault("lamp-elsewhere"), **SOON),
    # -- stage
    Case(
        name="stage: x stands still", faults=fault("stuck", axes='"x"'), equal=False, **SOON,
    ),
    Case(
        name="stage: all stands still, counters arrive", faults=fault("stuck"), equal=False,
        **SOON,
    ),
    Case(
        name="stage: slips by 100 µm, and its frames overlap by too little for one to tell",
        faults=fault("slips"), codes=(TOLD,), says="slipped far", then=(TOLD,), equal=False,
    ),
    Case(
        name="stage: slips by 60 µm", plan=PLAN.replace("0.2", "0.5"),
        faults=fault("slips", slip_um=[60.0, 0.0]), says="elsewhere", equal=False, **SOON,
    ),
    Case(
        name="stage: slips by 6 µm", faults=fault("slips", slip_um=[5.0, -3.5]),
        codes=(TOLD,), says="slipped", then=(TOLD,), equal=False,
    ),
    Case(
        name="stage: z sinks by 100 µm an hour", plan=LONG,
        faults=fault("sinks", sink_um_per_h=100.0), codes=(TOLD,), says="focus has climbed by",
        then=(TOLD,), equal=False,
    ),
    # -- board
    Case(name="board: unplugged, plugged in elsewhere", faults=fault("board-unplugged"),
         codes=(PAUSED,)),
    Case(name="board: restarts", faults=fault("board-reboots"), codes=(FINE, TOLD, PAUSED)),
    # -- disk
    Case(
        name="disk: one I/O error in a tile's file",
        child=failing(errno.EIO, times=1, below="tiles"), codes=(FINE,),
    ),
    Case(name="disk: I/O errors that stay", child=failing(errno.EIO), codes=(DISK,),
         says="check disk, cable"),
    Case(
        name="disk: full", before=on_a_small_disk, acts=fill_it, mend=make_room, codes=(DISK,),
        says="free space",
    ),
    Case(name="disk: read-only", child=failing(errno.EROFS), codes=(DISK,), says="check disk"),
    Case(
        name="disk: a tile altered, one gone, and the night killed",
        acts=spoil_tiles, codes=(KILLED,), then=(FINE, TOLD), equal=False,
    ),
    Case(
        name="disk: map.png cannot be written", acts=block_the_picture, codes=(TOLD,),
        says="map.png was not written", mend=unblock_the_picture,
    ),
    # -- journal
    Case(
        name="journal: another program holds it", acts=hold_journal, mend=let_go, codes=(DISK,),
        says="held by another program",
    ),
    # -- computer
    Case(name="memory: short", child=at_a_tile(no_more_memory), codes=(DISK,), says="memory"),
    Case(
        name="compute thread: dies without a word", child=dies_without_a_word, codes=(DISK,),
        says="ended without a word",
    ),
    Case(
        name="compute thread: stuck, and the night asked to stop (SIGTERM)",
        child=at_a_tile(lambda: time.sleep(10**6)), acts=ask(signal.SIGTERM), codes=(STOPPED,),
        says="was left behind",
    ),
    Case(name="process: killed (`kill -9`)", acts=kill, codes=(KILLED,)),
    Case(
        name="computer: restarts", acts=kill, codes=(KILLED,), resumed_as=another_boot,
    ),
    Case(name="Ctrl-C", acts=ask(signal.SIGINT), codes=(STOPPED,), says="stopped on request"),
    # -- clock
    Case(name="clock: set back by an hour", child=clock_jumps(-3600), codes=(FINE, TOLD),
         then=(FINE, TOLD)),
    Case(name="clock: set ahead by a year", child=clock_jumps(3.2e7), codes=(FINE, TOLD),
         then=(FINE, TOLD)),
    # -- terminal
    Case(name="terminal: closed (SIGHUP)", terminal="closed", acts=the_terminal_is_touched,
         codes=(FINE,)),
    Case(name="terminal: held (Ctrl-S)", terminal="held", acts=the_terminal_is_touched,
         codes=(FINE,)),
    Case(name="output: piped to a program that ended", terminal="pipe", codes=(FINE,)),
    # -- somebody meddles
    Case(
        name="plan: a label that the model does not know",
        plan=VISITING.replace("tissue]", "tisue]"), settings=calibrating_first,
        codes=(REFUSED,), says="tisue", resumable=False,
    ),
    Case(
        name="plan: edited in the middle", acts=edit_plan, codes=(STOPPED,), then=(REFUSED,),
        equal=False,
    ),
    Case(
        name="model: a newer one laid on the shelf, the keys taken away, and the night killed",
        plan=LABELLED, settings=on_own_shelf, before=own_shelf, acts=newer_bundle,
        codes=(KILLED,), equal=False,
    ),
    Case(
        name="keys: NIGHTSCOPE_KEYS names others when it goes on",
        plan=LABELLED, settings=whole_frames, acts=kill, codes=(KILLED,),
        resumed_as=with_other_keys, equal=False,
    ),
)  # fmt: skip

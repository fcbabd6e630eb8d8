"""The firmware's images on a simulated MCU, with a stage, an LED array and a pty around it."""

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pytest

from firmware_bridge.drivers.native.board import NativeBoard, NativeOptions
from tests.firmware.built import BUILD, FIRMWARE, build
from tests.firmware.patient_clock import PatientClock

CYCLES_PER_S = 16_000_000
CYCLES_PER_MS = CYCLES_PER_S // 1000
# Homing seeks to the switch, so that the origin lies this far from it.
PULLOFF_STEPS = 100
WAIT_S = 60.0


@dataclass(frozen=True)
class Event:
    """Something that changed on a pin, at a simulated cycle."""

    cycle: int
    what: str
    values: tuple[str, ...]


class SimulatedBoard:
    """One image under simavr. `port` is the stable name of its serial line."""

    def __init__(self, mcu: str, port: Path, *, from_switch: int) -> None:
        self.port = str(port)
        self.events: list[Event] = []
        self._changed = threading.Condition()
        image = BUILD / f"{mcu}.elf"
        self._process = subprocess.Popen(
            [BUILD / "simbench", mcu, image, port, str(from_switch)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.wait("plugged")

    def order(self, command: str) -> int:
        """Give a command; return the place in `events` from which its effects follow."""
        assert self._process.stdin is not None
        mark = len(self.events)
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()
        return mark

    def wait(self, what: str, *values: str, since: int = 0) -> Event:
        """Return the first such event at or after `since`, waiting for it."""

        def found() -> Event | None:
            return next(
                (
                    e
                    for e in self.events[since:]
                    if e.what == what and e.values[: len(values)] == values
                ),
                None,
            )

        with self._changed:
            assert self._changed.wait_for(found, WAIT_S), f"no {what} {values}: {self.events[-9:]}"
            event = found()
        assert event is not None
        return event

    def carriages(self) -> tuple[int, ...]:
        """Return where the stage truly stands, steps from the origin that homing finds."""
        where = self.wait("where", since=self.order("where"))
        return tuple(int(value) - PULLOFF_STEPS for value in where.values)

    def heard_cycle(self) -> int:
        """Return when the last byte from the host reached the board."""
        return int(self.wait("heard", since=self.order("ping")).values[0])

    def close(self) -> None:
        """Switch it off."""
        with suppress(BrokenPipeError):
            self.order("quit")
        self._process.wait(WAIT_S)
        self._reader.join(WAIT_S)
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            stream.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            cycle, *words = line.split()
            if not cycle.isdigit():
                continue  # simavr's own words on loading the image
            with self._changed:
                self.events.append(Event(int(cycle), words[0], tuple(words[1:])))
                self._changed.notify_all()


Simulate = Callable[..., SimulatedBoard]


def absent(what: str) -> NoReturn:
    """Skip, or fail where the tools were promised: a check that never runs checks nothing."""
    if os.environ.get("NIGHTSCOPE_FIRMWARE_TOOLS") == "required":
        pytest.fail(what)
    pytest.skip(what)


@pytest.fixture(scope="session")
def compiler() -> None:
    """A C compiler and make, which the host's build of the core needs."""
    if shutil.which("make") is None or shutil.which("cc") is None:
        absent("needs make and a C compiler: apt-get install make gcc libc6-dev")


@pytest.fixture(scope="session")
def images() -> None:
    """Both images and the bench they run on, built."""
    missing = [tool for tool in ("avr-gcc", "make", "cc") if shutil.which(tool) is None]
    if not Path("/usr/include/simavr/sim_avr.h").exists():
        missing.append("libsimavr-dev")
    if not Path("/usr/include/libelf.h").exists():
        missing.append("libelf-dev")
    if missing:
        absent(
            f"needs {', '.join(missing)}: apt-get install gcc-avr avr-libc libsimavr-dev libelf-dev"
        )
    build(*(BUILD / name for name in ("atmega328p.elf", "atmega2560.elf", "simbench")))


@pytest.fixture
def simulate(images: None, tmp_path: Path) -> Iterator[Simulate]:
    """Start a board: an MCU's name, and how far its carriages stand from the switches."""
    boards: list[SimulatedBoard] = []

    def start(mcu: str = "atmega328p", *, from_switch: int = 150) -> SimulatedBoard:
        boards.append(SimulatedBoard(mcu, tmp_path / f"tty{len(boards)}", from_switch=from_switch))
        return boards[-1]

    yield start
    for board in boards:
        board.close()


@pytest.fixture
def connect() -> Iterator[Callable[[str], NativeBoard]]:
    """Open the real driver on a port; closed at the end."""
    opened: list[NativeBoard] = []

    def connect_to(port: str) -> NativeBoard:
        opened.append(
            NativeBoard.open(port, clock=PatientClock(), options=NativeOptions(reopen_s=30))
        )
        return opened[-1]

    yield connect_to
    for board in opened:
        board.close()


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    """Start a host as a process of its own: lights up, moves, and keeps beating until killed."""
    started: list[subprocess.Popen[str]] = []

    def start(port: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("living_host.py"), port],
            cwd=FIRMWARE.parents[1],
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "at work"
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()

"""Emulated boards for the suites that every brand runs; each brand adds a file beside this one.

A file `tests/boards/<brand>.py` holds `BENCHES`, the builds of that brand's boards. Nothing else is
told of them: detection and the contracts take every bench there is.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from pathlib import Path

from firmware_bridge.board.pty_host import Firmware, PtyHost
from firmware_bridge.drivers.brand import BoardOptions
from runtime.clock import SystemClock

FOLDER = Path(__file__).parent


@dataclass(frozen=True, kw_only=True)
class Emulated:
    """A board not yet switched on, the options it needs, and what is really so.

    `host` runs its firmware behind a port. `true_steps` are in the steps that the driver's stage
    counts; `true_light` names what is lit.
    """

    firmware: Firmware
    options: BoardOptions
    true_steps: Callable[[], tuple[int, int, int]] = lambda: (0, 0, 0)
    true_light: Callable[[], set[str]]

    @cached_property
    def host(self) -> PtyHost:
        return PtyHost(self.firmware, clock=SystemClock())


@dataclass(frozen=True, kw_only=True)
class Bench:
    """One build of a brand's boards, under a name for test ids, and the parts that it has."""

    name: str
    brand: str
    parts: frozenset[str]
    emulate: Callable[[], Emulated]


def benches() -> list[Bench]:
    """Return every bench of every brand."""
    stems = sorted(path.stem for path in FOLDER.glob("*.py"))
    modules = [import_module(f"tests.boards.{stem}") for stem in stems if stem != "bench"]
    return [bench for module in modules for bench in getattr(module, "BENCHES", ())]

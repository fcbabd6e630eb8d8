"""The serial boards of an instrument: each found, given its options, and opened once."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from firmware_bridge.drivers import registry
from firmware_bridge.drivers.brand import BoardOptions, OpenBoard
from firmware_bridge.find.detect import locate
from firmware_bridge.find.pins import AUTO
from runtime.clock import HeartbeatClock
from runtime.config.port_settings import BoardSection
from runtime.config.strict import read_record
from runtime.errors import ConfigRefused, HardwareFailed

# The shortest watchdog is 100 ms, and a board must hear from the control loop several times within
# it. A board's own `beat` stays silent as long as its watchdog allows.
BEAT_S = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """A board that was found: the ports it is to serve and the options they give it."""

    port: str
    driver: str
    options: dict[str, Any] = field(default_factory=dict[str, Any])
    serves: list[str] = field(default_factory=list[str])

    @property
    def sections(self) -> str:
        """Return the sections of the ports, as people wrote them."""
        return " and ".join(f"[{port}]" for port in self.serves)

    def add(self, name: str, section: BoardSection) -> None:
        """Let the board serve one more port; what two ports say of one board must agree."""
        self.serves.append(name)
        for key, value in section.options.items():
            if self.options.setdefault(key, value) != value:
                raise ConfigRefused(
                    f"{self.sections} are one board, which cannot have two values of '{key}'",
                    value=value,
                    limit=self.options[key],
                    remedy="give it in one of them",
                )


class Boards:
    """Opens boards and keeps them awake: every wait by `clock` is a heartbeat to each of them.

    So a long move of the stage on one board does not darken the light on another.
    """

    def __init__(self, stack: ExitStack) -> None:
        """Take the stack that closes what is opened."""
        self.clock = HeartbeatClock(self._beat, period_s=BEAT_S)
        self._stack = stack
        self._boards: list[OpenBoard] = []

    def open(self, sections: Mapping[str, BoardSection]) -> dict[str, OpenBoard]:
        """Return the board of every port ("stage", "light", "turret"); one may serve several.

        All are found and all settings are checked before the first is opened. Raises ConfigRefused
        for a setting the board's driver does not use, HardwareFailed for a board that lacks what
        is asked of it, and BridgeError where a board is absent or does not answer.
        """
        found: dict[str, _Found] = {}
        asked: dict[tuple[str, str], tuple[str, str]] = {}
        for name, section in sections.items():
            pin = (section.port, section.driver)
            # Asking restarts some boards. "auto" may mean another board for another port.
            if section.port == AUTO or pin not in asked:
                asked[pin] = locate(
                    section.port, driver=section.driver, offering=name, clock=self.clock
                )
            port, driver = asked[pin]
            board = found.setdefault(os.path.realpath(port), _Found(port=port, driver=driver))
            if board.driver != driver:
                raise ConfigRefused(
                    f"[{board.serves[0]}] and [{name}] are one board, which has one driver",
                    value=driver,
                    limit=board.driver,
                    remedy=f"name the same driver in both, or another port than {port}",
                )
            board.add(name, section)
        told = [(wanted, _read(wanted)) for wanted in found.values()]
        boards: dict[str, OpenBoard] = {}
        for wanted, options in told:
            row = registry.brand(wanted.driver)
            opened = self.add(row.open(wanted.port, clock=self.clock, options=options))
            boards |= {name: _having(name, opened) for name in wanted.serves}
        return boards

    def add(self, board: OpenBoard) -> OpenBoard:
        """Return a board just opened, from now on kept awake, and closed at the end."""
        self._stack.callback(board.close)
        self._boards.append(board)
        return board

    def trips(self) -> int:
        """Return how often a watchdog found this computer late, on all boards together."""
        return sum(board.watchdog.rearmed for board in self._boards if board.watchdog)

    def without_failsafe(self) -> tuple[str, ...]:
        """Return the ids of the boards that do not go dark by themselves."""
        return tuple(board.unique_id for board in self._boards if not board.failsafe)

    def _beat(self) -> None:
        for board in self._boards:
            if board.watchdog is not None:
                board.watchdog.beat()


def check_boards(sections: Mapping[str, BoardSection]) -> None:
    """Raise ConfigRefused for a driver that is unknown or cannot serve its port, and for a setting
    that it does not use.

    Nothing is asked of any board: settings for a driver "auto" are checked when it is found.
    """
    for name, section in sections.items():
        if section.driver == AUTO:
            continue
        if section.driver not in registry.names():
            raise ConfigRefused(
                f"[{name}] names an unknown driver",
                value=section.driver,
                limit=", ".join((*registry.names(), AUTO)),
                remedy="name one of these; docs/boards.md says what each drives",
            )
        if name not in registry.brand(section.driver).offers:
            raise ConfigRefused(
                f"[{name}] names a driver whose boards have no {name}",
                value=section.driver,
                limit=", ".join(row.name for row in registry.BRANDS if name in row.offers),
                remedy="name one of these; docs/boards.md says what each drives",
            )
        found = _Found(port=section.port, driver=section.driver)
        found.add(name, section)
        _read(found)


def _having(port: str, board: OpenBoard) -> OpenBoard:
    if getattr(board, port) is None:
        raise HardwareFailed(
            f"the board of [{port}] has no {port}",
            value=f"{board.driver} {board.unique_id}",
            remedy="name a board that has one: see `nightscope bridge probe`",
        )
    return board


def _read(found: _Found) -> BoardOptions:
    """Return what the board cannot say of itself."""
    record, source = registry.brand(found.driver).options, f"{found.sections} driver"
    return read_record(record, found.options, source=f"{source} = '{found.driver}'")

"""The driver of GRBL 1.1 controllers: absolute jogs, one line in flight, verified by status.

GRBL has no watchdog: when this computer dies, a jog runs to its end and the spindle output, which
carries the lamp, stays on. `failsafe` is therefore False, and an unattended run must accept the
board by name.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from firmware_bridge.clock import MonotonicClock
from firmware_bridge.drivers.brand import BoardOptions
from firmware_bridge.drivers.grbl.controller import BANNER, QUERY, GrblController
from firmware_bridge.drivers.grbl.light import GrblLight
from firmware_bridge.drivers.grbl.report import (
    ALARM,
    ALARMS,
    OK,
    OPTIONS,
    SETTING,
    VERSION,
    Machine,
)
from firmware_bridge.drivers.grbl.stage import GrblStage
from firmware_bridge.drivers.line_board import opened
from firmware_bridge.errors import FirmwareIncompatible, PositionUnknown, ReplyTimeout
from firmware_bridge.line.inventory import usb_serial_number
from firmware_bridge.text.dialogue import TRIES
from firmware_bridge.text.lines import LineSession

JOG_CANCEL = b"\x85"
# Any version: one that cannot be driven is refused by name when the board is opened.
GREETED = re.compile(r"\[VER:([^\]:]+):[^\]]*\]|(Grbl [\d.]+\w?) \['\$' for help\]")
STILL_S = 30.0
POLL_S = 0.01
# `$$` is 34 lines, and a controller that has something else to do pauses between two of them.
SETTINGS_PAUSE_S = 0.6
SETTINGS_ROUNDS = 24
# A name misread twice alike is not believed to be another board's.
SURELY_ANOTHER = 5
NEEDED = (10, 13, 20, 22, 23, 27, 30, 100, 101, 102, 110, 111, 112, 130, 131, 132)
# The driver writes no setting: it would wear the EEPROM and deafen the controller meanwhile.
REQUIRED = (
    (10, 1, "$10=1", "machine positions in its status reports"),
    (13, 0, "$13=0", "reports in millimetres"),
    # Before soft limits, which GRBL refuses without it.
    (22, 1, "$22=1", "homing, or a restart would go unnoticed"),
    (20, 1, "$20=1", "soft limits, or a damaged line could drive into the end of the travel"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class GrblOptions(BoardOptions):
    """`origin_um` is the machine position the stage calls zero; where homing ends unless given."""

    origin_um: tuple[int, int, int] | None = None


DEFAULT = GrblOptions()


class GrblBoard(GrblController):
    """An open controller with its stage and lamp."""

    def __init__(
        self,
        lines: LineSession,
        *,
        clock: MonotonicClock,
        options: GrblOptions,
    ) -> None:
        super().__init__(lines, clock=clock, reopen_s=options.reopen_s)
        self._come_to_rest()
        version = self._version()
        self.firmware = f"Grbl {version.group(1)}.{version.group(2)}"
        self.machine = Machine(
            name=version.group(3),
            settings=self._settings(),
            options=self.dialogue.agreed(b"$I\n", OPTIONS).group(1),
        )
        self._require_settings()
        self.unique_id = self.machine.name or usb_serial_number(lines.port) or f"grbl@{lines.port}"
        self.dialogue.watch = self._watch
        self.light: GrblLight = GrblLight(self)
        self.stage: GrblStage = GrblStage(self, origin_um=options.origin_um)

    @classmethod
    def open(cls, port: str, *, clock: MonotonicClock, options: GrblOptions = DEFAULT) -> GrblBoard:
        """Return the controller on `port`, dark and still.

        Raises PortAbsent, PortBusy, ReplyTimeout when nothing there answers like GRBL,
        FirmwareIncompatible for other versions and for settings that cannot be worked with.
        """
        return opened(
            port,
            clock=clock,
            board_on=lambda lines: cls(lines, clock=clock, options=options),
        )

    def _greet_again(self) -> bool:
        """Return whether the controller is unlocked: after a restart it would be locked until
        homed.

        It is the one we knew if it has its name, and its USB plug the same number, where there is
        one. Settings are no part of that: what was changed meanwhile is said as such.
        """
        kept = self.state() != "Alarm"
        self._come_to_rest()
        self._require_same(self._name_told(), self.machine.name)
        if self._changed():  # over a bad line a setting may be misread; hardly twice
            changed = self._changed()
            if changed:
                raise FirmwareIncompatible(
                    "GRBL's settings were changed while it was away",
                    value=", ".join(f"${n}={told:g}" for n, told in changed.items()),
                    limit=", ".join(f"${n}={self.machine.settings[n]:g}" for n in changed),
                    remedy="set them back, or open the board again and home",
                )
        return kept

    def _name_told(self) -> str:
        """Return the name it says it has; one other than before only if it says so again and again.

        GRBL compares nothing it stores, so neither do we mind capitals.
        """
        told = self._version().group(3)
        if told.casefold() != self.machine.name.casefold():
            sure = self.dialogue.agreed(b"$I\n", VERSION, times=SURELY_ANOTHER)
            told = sure.group(3)
        return self.machine.name if told.casefold() == self.machine.name.casefold() else told

    def _changed(self) -> dict[int, float]:
        """Return those of the settings the driver relies on that are not what they were."""
        told = self._settings()
        return {n: told[n] for n in NEEDED if told[n] != self.machine.settings[n]}

    def _come_to_rest(self) -> None:
        """End what an earlier host left running. Raises ReplyTimeout when this is no GRBL."""
        self.rouse()
        deadline_s = self.clock.now_s() + STILL_S
        while (state := self.state()) not in ("Idle", "Alarm"):
            if self.clock.now_s() > deadline_s:
                raise self.dialogue.silent(QUERY, TRIES)
            if state == "Jog":
                self.dialogue.lines.write(JOG_CANCEL)
            elif state != "Home":
                self.reset()
            self.clock.sleep(duration_s=POLL_S)

    def _version(self) -> re.Match[str]:
        try:
            return self.dialogue.agreed(b"$I\n", VERSION)
        except ReplyTimeout:
            raise FirmwareIncompatible(
                "this controller is no GRBL 1.1",
                value=self.dialogue.lines.port,
                limit="1.1",
                remedy="flash GRBL 1.1h",
            ) from None

    def _settings(self) -> dict[int, float]:
        """Return `$$`, each value once it was read twice more often than any other."""
        seen: defaultdict[int, Counter[float]] = defaultdict(Counter)
        for _ in range(SETTINGS_ROUNDS):
            for number, value in self._settings_told():
                seen[number][value] += 1
            believed = {
                n: values.most_common(1)[0][0] for n, values in seen.items() if _led(values)
            }
            if all(number in believed for number in NEEDED):
                return believed
        raise self.dialogue.silent(b"$$\n", SETTINGS_ROUNDS)

    def _settings_told(self) -> Iterator[tuple[int, float]]:
        """Ask for the settings once and yield them as they come, until the "ok" behind them.

        An "ok" before them is that of something else: asking again for each such one would have a
        slow controller tell them ten times.
        """
        lines, begun = self.dialogue.lines, False
        lines.write(b"$$\n")
        while (line := lines.next_line(timeout_s=SETTINGS_PAUSE_S)) is not None:
            found = SETTING.fullmatch(line)
            if found is not None:
                begun = True
                yield int(found.group(1)), float(found.group(2))
            elif begun and OK.fullmatch(line):
                return

    def _require_settings(self) -> None:
        told = self.machine.settings
        unfit = [row for row in REQUIRED if int(told[row[0]]) & 1 != row[1]]
        if unfit:
            send = ", then ".join(setting for _, _, setting, _ in unfit)
            raise FirmwareIncompatible(
                f"GRBL's settings do not fit: we need {'; '.join(why for *_, why in unfit)}",
                value=", ".join(f"${number}={told[number]:g}" for number, *_ in unfit),
                limit=", ".join(setting for _, _, setting, _ in unfit),
                remedy=f"send {send} once with a terminal and open the board again",
            )

    def _watch(self, line: str) -> None:
        self._heard_banner(line, BANNER)
        alarm = ALARM.fullmatch(line)
        if alarm is not None:
            self.stage.forget()
            number = int(alarm.group(1))
            # After 1 and 2 it answers nothing, not even a question, until it is reset; after most
            # others it starts again by itself, and its banner is no news then.
            self.reset()
            raise PositionUnknown(
                f"GRBL raised an alarm: {ALARMS.get(number, 'see its list of alarms')}",
                value=line,
                remedy="clear the cause, then home",
            )


def _led(values: Counter[float]) -> bool:
    """Return whether the most frequent value leads the next by two.

    A lead of one is not enough: over many rounds a bad line damages a value in the same way twice.
    """
    (_, most), (_, second) = (*values.most_common(2), (0.0, 0))[:2]
    return most - second >= 2


def grbl_firmware(heard: bytes) -> str | None:
    """Return the version that a banner or an answer to `$I` names, or None where there is none."""
    found = GREETED.search(heard.decode("ascii", errors="replace"))
    return (found.group(2) or f"Grbl {found.group(1)}") if found else None

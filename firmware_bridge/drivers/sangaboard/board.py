"""The driver of Sangaboards: relative moves without ids, made safe by reading positions back.

A Sangaboard has no watchdog: when this computer dies, a move runs to its end and the LEDs stay on.
`failsafe` is therefore False, and an unattended run must accept the board by name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from firmware_bridge.clock import MonotonicClock
from firmware_bridge.drivers.brand import BoardOptions
from firmware_bridge.drivers.line_board import LineBoard, opened
from firmware_bridge.drivers.position import MotorAxis
from firmware_bridge.drivers.sangaboard.light import SangaboardLight
from firmware_bridge.drivers.sangaboard.stage import Motors, SangaboardStage
from firmware_bridge.errors import FirmwareIncompatible, ReplyTimeout
from firmware_bridge.line.inventory import usb_serial_number
from firmware_bridge.text.dialogue import TRIES
from firmware_bridge.text.lines import LineSession

VERSION = re.compile(r"(?:Sangaboard Firmware|OpenFlexure Motor Board) v(\d+)\.(\d+)\S*")
# Any version: one whose manners are unknown is refused by name when the board is opened.
GREETED = re.compile(r"(?:Sangaboard Firmware|OpenFlexure Motor Board) v\S+")
DONE = re.compile(r"done\.?")
TOLD_BLOCKING = re.compile(r"blocking_moves (true|false)")
STEP_DELAY = re.compile(r"minimum step delay (\d+)")
RAMP_TIME = re.compile(r"ramp[_ ]time (\d+)")
LED_CHANNELS = re.compile(r"CC:(\d+) PWM:(\d+)")
ENDSTOPS = re.compile(r"(?:-1|0|1) (?:-1|0|1) (?:-1|0|1)")
UNKNOWN = re.compile(r"Type 'help' .*|Command not recognised.*|Invalid command")
SURELY_UNKNOWN = 5
# Opening the port may have reset the board: an AVR's boot loader takes up to two seconds, so it is
# asked for longer than that.
GREETINGS = 2
SETTING_TRIES = 8


OPENFLEXURE_XY = MotorAxis(step_nm=88, travel_um=(-5984, 5984))
OPENFLEXURE_Z = MotorAxis(step_nm=50, travel_um=(-2000, 2000))


@dataclass(frozen=True, slots=True, kw_only=True)
class SangaboardOptions(BoardOptions):
    """The axes, for the board reports neither step nor travel, and where the origin is.

    The axes are an OpenFlexure stage's nominal ones unless given; the camera-stage calibration
    measures the true steps. `origin_here` declares the place where the stage is homed first the
    origin, once, on a board without switches: someone must have brought it there by hand.
    """

    x: MotorAxis = OPENFLEXURE_XY
    y: MotorAxis = OPENFLEXURE_XY
    z: MotorAxis = OPENFLEXURE_Z
    origin_here: bool = False

    @classmethod
    def by_hand(cls) -> SangaboardOptions:
        """Return options under which the stage may be homed wherever it stands."""
        return cls(origin_here=True)


DEFAULT = SangaboardOptions()


class SangaboardBoard(LineBoard):
    """An open board."""

    driver = "sangaboard"

    def __init__(
        self,
        lines: LineSession,
        *,
        clock: MonotonicClock,
        options: SangaboardOptions,
    ) -> None:
        super().__init__(lines, clock=clock, reopen_s=options.reopen_s)
        self.firmware = self._greet()
        self.motors = self._told_motors()
        self.unique_id = usb_serial_number(lines.port) or f"sangaboard@{lines.port}"
        self.dialogue.watch = self._watch
        self.stage: SangaboardStage = SangaboardStage(
            self,
            motors=self.motors,
            axes=tuple(
                axis.described(name)
                for name, axis in (("x", options.x), ("y", options.y), ("z", options.z))
            ),
            origin_here=options.origin_here,
        )
        leds = self._knows(b"led_channels?\n", LED_CHANNELS)
        self.light: SangaboardLight | None = (
            SangaboardLight(self, *(int(n) for n in leds.groups())) if leds else None
        )

    @classmethod
    def open(
        cls, port: str, *, clock: MonotonicClock, options: SangaboardOptions = DEFAULT
    ) -> SangaboardBoard:
        """Return the board on `port`, dark and still.

        Raises PortAbsent, PortBusy, ReplyTimeout when nothing there answers like a Sangaboard,
        FirmwareIncompatible for versions whose behaviour is unknown.
        """
        return opened(
            port,
            clock=clock,
            board_on=lambda lines: cls(lines, clock=clock, options=options),
        )

    def _greet_again(self) -> bool:
        """Return False: some firmware reports the old position after a restart, so nothing
        disproves one.
        """
        self._require_same(self._greet(), self.firmware)
        if not self.motors.blocking_only:
            self._moves_in_background()
        return False

    def _greet(self) -> str:
        for _ in range(GREETINGS):
            try:
                found = self.dialogue.agreed(b"version\n", VERSION)
            except ReplyTimeout:
                continue
            if (int(found.group(1)), int(found.group(2))) == (0, 4) or found.group(1) == "1":
                return found.group()
            raise FirmwareIncompatible(
                "this Sangaboard's manners are unknown",
                value=found.group(),
                limit="v0.4 or v1",
                remedy="flash firmware v1",
            )
        raise self.dialogue.silent(b"version\n", GREETINGS * TRIES)

    def _told_motors(self) -> Motors:
        blocking_only = self.firmware.startswith("OpenFlexure")
        if not blocking_only:
            self._moves_in_background()
        return Motors(
            blocking_only=blocking_only,
            step_delay_us=int(self.dialogue.agreed(b"dt?\n", STEP_DELAY).group(1)),
            ramp_time_us=int(self.dialogue.agreed(b"ramp_time?\n", RAMP_TIME).group(1)),
            has_endstops=self._knows(b"endstops?\n", ENDSTOPS) is not None,
        )

    def _moves_in_background(self) -> None:
        """Set non-blocking moves; asked first, because setting it writes EEPROM."""
        for _ in range(SETTING_TRIES):
            told = self.dialogue.agreed(b"blocking_moves?\n", TOLD_BLOCKING)
            if told.group(1) == "false":
                return
            self.dialogue.once(b"blocking_moves false\n", DONE)
        raise self.dialogue.silent(b"blocking_moves false\n", SETTING_TRIES)

    def _knows(self, question: bytes, answer: re.Pattern[str]) -> re.Match[str] | None:
        """Return the answer of a board built with a feature, or None of one without.

        Not to know a question is also the answer to a damaged one, and is to come more often.
        """
        either = re.compile(f"(?:{answer.pattern})|{UNKNOWN.pattern}")
        told = answer.fullmatch(self.dialogue.agreed(question, either).group())
        if told is None:
            sure = self.dialogue.agreed(question, either, times=SURELY_UNKNOWN)
            told = answer.fullmatch(sure.group())
        return told

    def _watch(self, line: str) -> None:
        self._heard_banner(line, self.firmware)


def sangaboard_firmware(heard: bytes) -> str | None:
    """Return the version that a banner or an answer names, or None where there is none."""
    found = GREETED.search(heard.decode("ascii", errors="replace"))
    return found.group() if found else None

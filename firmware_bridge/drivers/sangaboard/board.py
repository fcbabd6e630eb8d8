"""The driver of Sangaboards: relative moves without ids, made safe by reading positions back.

A Sangaboard has no watchdog: when this computer dies, a move runs to its end and the LEDs stay on.
`failsafe` is therefore False, and an unattended run must accept the board by name.
"""

from __future__ import annotations

import re

from firmware_bridge.clock import Clock
from firmware_bridge.drivers.line_board import REOPEN_S, LineBoard, opened
from firmware_bridge.drivers.sangaboard.light import SangaboardLight
from firmware_bridge.drivers.sangaboard.stage import Motors, SangaboardStage
from firmware_bridge.errors import FirmwareIncompatible, ReplyTimeout
from firmware_bridge.line.inventory import usb_serial_number
from firmware_bridge.plant import AxisDescription
from firmware_bridge.text.dialogue import TRIES
from firmware_bridge.text.lines import LineSession

# The board reports neither step nor travel. These are an OpenFlexure stage's nominal values; the
# camera-stage calibration measures the true ones.
OPENFLEXURE_AXES = (
    AxisDescription(name="x", step_nm=88, limits_steps=(-68_000, 68_000)),
    AxisDescription(name="y", step_nm=88, limits_steps=(-68_000, 68_000)),
    AxisDescription(name="z", step_nm=50, limits_steps=(-40_000, 40_000)),
)
VERSION = re.compile(r"(?:Sangaboard Firmware|OpenFlexure Motor Board) v(\d+)\.(\d+)\S*")
DONE = re.compile(r"done\.?")
TOLD_BLOCKING = re.compile(r"blocking_moves (true|false)")
STEP_DELAY = re.compile(r"minimum step delay (\d+)")
RAMP_TIME = re.compile(r"ramp[_ ]time (\d+)")
LED_CHANNELS = re.compile(r"CC:(\d+) PWM:(\d+)")
ENDSTOPS = re.compile(r"(?:-1|0|1) (?:-1|0|1) (?:-1|0|1)")
UNKNOWN = re.compile(r"Type 'help' .*|Command not recognised.*|Invalid command")
# Opening the port may have reset the board: an AVR's boot loader takes up to two seconds, so it is
# asked for longer than that.
GREETINGS = 2
SETTING_TRIES = 8


class SangaboardBoard(LineBoard):
    """An open board."""

    driver = "sangaboard"

    def __init__(
        self,
        lines: LineSession,
        *,
        clock: Clock,
        axes: tuple[AxisDescription, ...] = OPENFLEXURE_AXES,
        origin_here: bool = False,
        board_id: str | None = None,
        reopen_s: float = REOPEN_S,
    ) -> None:
        super().__init__(lines, clock=clock, reopen_s=reopen_s)
        self.firmware = self._greet()
        self.motors = self._told_motors()
        self.unique_id = board_id or usb_serial_number(lines.port) or f"sangaboard@{lines.port}"
        self.dialogue.watch = self._watch
        self.stage: SangaboardStage = SangaboardStage(
            self, motors=self.motors, axes=axes, origin_here=origin_here
        )
        leds = self._knows(b"led_channels?\n", LED_CHANNELS)
        self.light: SangaboardLight | None = (
            SangaboardLight(self, *(int(n) for n in leds.groups())) if leds else None
        )

    @classmethod
    def open(
        cls,
        port: str,
        *,
        clock: Clock,
        axes: tuple[AxisDescription, ...] = OPENFLEXURE_AXES,
        origin_here: bool = False,
        board_id: str | None = None,
        reopen_s: float = REOPEN_S,
    ) -> SangaboardBoard:
        """Return the board on `port`, dark and still.

        `origin_here` lets `home()` declare the present position the origin, once, on a board
        without reference switches; `reopen_s` is how long an unplugged line is waited for. Raises
        PortAbsent, PortBusy, ReplyTimeout when nothing there answers like a Sangaboard,
        FirmwareIncompatible for versions whose manners are unknown.
        """
        return opened(
            port,
            clock=clock,
            board_on=lambda lines: cls(
                lines,
                clock=clock,
                axes=axes,
                origin_here=origin_here,
                board_id=board_id,
                reopen_s=reopen_s,
            ),
        )

    def _greet_again(self) -> bool:
        """Nothing proves it: after a restart some firmware tells the very position it had."""
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
        """Return the answer of a board built with a feature, or None of one without."""
        either = re.compile(f"(?:{answer.pattern})|{UNKNOWN.pattern}")
        told = self.dialogue.agreed(question, either).group()
        return answer.fullmatch(told)

    def _watch(self, line: str) -> None:
        self._heard_banner(line, self.firmware)

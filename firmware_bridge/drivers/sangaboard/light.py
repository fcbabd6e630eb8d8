"""A Sangaboard's LEDs: constant-current channels and PWM channels, set to absolute values."""

from __future__ import annotations

import re
from contextlib import ExitStack

from firmware_bridge.drivers.illumination import check_illumination
from firmware_bridge.drivers.line_board import LineBoard

DECIMALS = 2


class SangaboardLight:
    """The channels `cc` and `pwm0`, `pwm1`, ... as the board reports them.

    Setting a value is absolute, so it may be repeated until the board has echoed it.
    """

    failsafe = False

    def __init__(self, board: LineBoard, cc_channels: int, pwm_channels: int) -> None:
        self._board = board
        self._commands = {"cc": "led_cc"} if cc_channels else {}
        self._commands |= {f"pwm{n}": f"led_pwm {n}" for n in range(pwm_channels)}
        self.channels: tuple[str, ...] = tuple(self._commands)

    def on(self, *, channel: str, brightness: float) -> None:
        """Light one channel at 0 to 1; all others go off first. Raises Rejected, ReplyTimeout."""
        check_illumination(channel, brightness, self.channels)
        with self._board.talking():
            for other in self.channels:
                if other != channel:
                    self._set(other, 0.0)
            # Any brightness above 0 gives light.
            faintest = 10**-DECIMALS
            self._set(channel, max(brightness, faintest) if brightness > 0 else 0.0)

    def off(self) -> None:
        """Everything dark: all channels are told, also when one does not answer."""
        with self._board.talking(), ExitStack() as stack:
            for channel in self.channels:
                stack.callback(self._set, channel, 0.0)

    def _set(self, channel: str, brightness: float) -> None:
        value = f"{brightness:.{DECIMALS}f}"
        echoed = re.compile(
            rf"(?i)(?:CC|PWM)\D*(?:\d\D)?{re.escape(value.rstrip('0').rstrip('.'))}\.?0*"
        )
        command = f"{self._commands[channel]} {value}\n".encode("ascii")
        self._board.dialogue.ask(command, echoed)

"""An LED array with illuminate's firmware: commands with dots, replies that end in -==-.

After the public command list of zfphil/illuminate and the Micro-Manager adapter that drives it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from firmware_bridge.board.pty_host import Send
from firmware_bridge.plant import Plant

END = "-==-"
VERSION = 1.14
HALVES = {"t": "top", "b": "bottom", "l": "left", "r": "right"}


class IlluminateFirmware:
    """One array. `lit` names what is on: a pattern's name or `led N` for every single LED.

    Patterns named like one of the plant's light channels light that channel.
    """

    def __init__(self, plant: Plant, *, led_count: int = 64, serial_number: int = 21) -> None:
        self._plant, self.led_count, self._serial_number = plant, led_count, serial_number
        self._commands: dict[str, Callable[[list[str]], str]] = {
            "about": self._about,
            "version": lambda _: f"{VERSION}",
            "machine": lambda _: self._mode(machine=True),
            "human": lambda _: self._mode(machine=False),
            "pprops": lambda _: self._properties(),
            "pp": lambda _: self._properties(),
            "sn": lambda _: f"{self._serial_number}",
            "na": self._aperture,
            "sb": self._brightness,
            "l": self._leds,
            "x": lambda _: self._show(),
            "bf": lambda _: self._show("brightfield"),
            "df": lambda _: self._show("darkfield"),
            "ff": lambda _: self._show("full"),
            "dpc": self._half,
            "scf": self._scan,
        }

    def power_on(self, send: Send, _now_s: float, /) -> None:
        """Boot, dark, in the human-readable mode."""
        self._send = send
        self._line = bytearray()
        self._machine = self._scanning = False
        self.level, self.na_percent = 255, 25
        self.lit: tuple[str, ...] = ()

    def power_off(self, _now_s: float, /) -> None:
        """Dark."""
        self.lit = ()
        self._plant.power_off()

    def tick(self, _now_s: float, /) -> None:
        """Do nothing: an array has no time of its own, and no watchdog."""

    def next_event_s(self) -> float | None:
        """Return None."""
        return None

    def receive(self, data: bytes, _now_s: float, /) -> None:
        """Act on every complete line."""
        for byte in data:
            if byte == ord("\n"):
                line, self._line = self._line.decode("latin-1").strip(), bytearray()
                self._handle(line)
            else:
                self._line.append(byte)

    def _handle(self, line: str) -> None:
        if self._scanning:
            # Any command ends a sequence and is itself thrown away.
            self._scanning = False
            return self._answer("")
        name, *arguments = re.split(r"[.]", line)
        run = self._commands.get(name)
        try:
            if run is None:
                raise ValueError(f"Command not recognized: {name}")
            reply = run(arguments)
        except ValueError as error:
            reply = f"ERROR (illuminate): {error}"
        return self._answer(reply)

    def _answer(self, reply: str) -> None:
        lines = (reply, END) if reply else (END,)
        self._send("".join(f"{line}\r\n" for line in lines).encode("latin-1"))

    def _say(self, machine: str, human: str) -> str:
        return machine if self._machine else human

    def _mode(self, *, machine: bool) -> str:
        self._machine = machine
        return self._say("", "Using human-readable mode.")

    def _about(self, _arguments: list[str]) -> str:
        return "Illuminate | LED array controller"

    def _properties(self) -> str:
        return json.dumps(
            {
                "device_name": "emulated array",
                "serial_number": self._serial_number,
                "led_count": self.led_count,
                "bit_depth": 8,
                "color_channel_count": 1,
                "interface_version": VERSION,
            }
        )

    def _aperture(self, arguments: list[str]) -> str:
        if arguments:
            self.na_percent = _number(arguments[0], 0, 100)
        return self._say(f"NA.{self.na_percent}", f"Current NA is 0.{self.na_percent:02d}")

    def _brightness(self, arguments: list[str]) -> str:
        if arguments:
            self.level = _number(arguments[0], 0, 255)
        return self._say(f"SB.{self.level}", f"Current brightness value is {self.level}.")

    def _leds(self, arguments: list[str]) -> str:
        if not arguments:
            raise ValueError("no LED given")
        numbers = [_number(argument, 0, self.led_count - 1) for argument in arguments]
        return self._show(*(f"led {number}" for number in numbers))

    def _half(self, arguments: list[str]) -> str:
        side = arguments[0][:1] if arguments else "t"
        if side not in HALVES:
            raise ValueError(f"unknown half {side}")
        return self._show(HALVES[side])

    def _scan(self, _arguments: list[str]) -> str:
        self._scanning = True
        return ""

    def _show(self, *names: str) -> str:
        self.lit = names
        self._plant.set_light(channel=0, level=0)
        for name in names:
            if name in self._plant.board.channels:
                channel = self._plant.board.channels.index(name)
                self._plant.set_light(channel=channel, level=self.level)
        return ""


def _number(word: str, low: int, high: int) -> int:
    if not word.isdecimal() or not low <= int(word) <= high:
        raise ValueError(f"{word} is not a number from {low} to {high}")
    return int(word)

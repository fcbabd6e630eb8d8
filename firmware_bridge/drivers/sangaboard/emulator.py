"""A Sangaboard: ASCII lines, relative moves, no ids, no checksum, no watchdog.

Behaviour after the public firmware (v0.4 and v1.0-beta sources of the OpenFlexure and Bath Open
Instrumentation groups) and replies noted by users of v1.0.4. Its quirks are kept on purpose.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from firmware_bridge.board.motion import OpenLoopMotors
from firmware_bridge.board.pty_host import Send
from firmware_bridge.plant import Plant, Steps

# Arduino's Stream waits this long for the rest of a line, then hands over what there is.
LINE_TIMEOUT_S = 1.0
# The UART's ring buffer while the main loop is busy; what does not fit is lost.
RX_BUFFER = 64
# An AVR's EEPROM takes 3.3 ms a byte, and the main loop waits.
EEPROM_BYTE_S = 0.0033
LONG_BYTES = 4
V1_RETREAT_STEPS, V04_RETREAT_STEPS = 5000, 3500


@dataclass(frozen=True, slots=True, kw_only=True)
class SangaboardBuild:
    """What firmware was flashed. `word_bits` is the width of the processor's int.

    `saves_position` tells whether every move's end is written to EEPROM; `endstops` whether the
    board homes, and prints debug numbers nobody asked for.
    """

    banner: str
    blocking_only: bool = False
    word_bits: int = 32
    saves_position: bool = False
    endstops: bool = False
    eeprom: bool = True
    leds_cc: int = 0
    leds_pwm: int = 0
    step_delay_us: int = 1000
    boot_s: float = 0.05


V04 = SangaboardBuild(
    banner="OpenFlexure Motor Board v0.4", blocking_only=True, word_bits=16, saves_position=True
)
V1_BETA = SangaboardBuild(banner="Sangaboard Firmware v1.0-beta", word_bits=16)
V1 = SangaboardBuild(
    banner="Sangaboard Firmware v1.0.4", eeprom=False, leds_cc=1, leds_pwm=2, step_delay_us=1000
)


class SangaboardFirmware:
    """One board. `crashes` counts the lines that crashed it."""

    def __init__(self, plant: Plant, *, build: SangaboardBuild = V1) -> None:
        self._plant, self.build = plant, build
        self._motion = OpenLoopMotors(plant)
        self._stored: Steps = (0, 0, 0)
        self._blocking_stored = True
        self.step_delay_us, self.ramp_time_us = build.step_delay_us, 0
        self.crashes = 0
        self._commands = self._table()

    # Power.
    def power_on(self, send: Send, now_s: float, /) -> None:
        """Boot: the position comes back from EEPROM, whether it is true or not."""
        self._send = send
        self._rx, self._line, self._last_byte_s = bytearray(), bytearray(), now_s
        self._busy_until_s = now_s + self.build.boot_s
        self._booting, self._in_blocking_move, self._homing = True, False, 0
        self._notify_stopped = False
        self._blocking = self._blocking_stored
        self._motion.set_count(self._stored)

    def power_off(self, now_s: float, /) -> None:
        """Motors and LEDs lose their current."""
        self._motion.halt(now_s)
        self._plant.power_off()

    # Time and bytes.
    def receive(self, data: bytes, now_s: float, /) -> None:
        """Put bytes into the ring buffer and work on them unless busy."""
        self.tick(now_s)
        room = RX_BUFFER - len(self._rx) if self._busy(now_s) else len(data)
        self._rx += data[:room]
        self._last_byte_s = now_s
        self.tick(now_s)

    def tick(self, now_s: float, /) -> None:
        """Finish what is due, then read lines until busy again."""
        if self._booting and now_s >= self._busy_until_s:
            self._booting = False
            self._print(self.build.banner)
        due_s = self._motion.due_s
        if due_s is not None and now_s >= due_s:
            self._arrive(now_s)
        while not self._busy(now_s) and self._read_line(now_s):
            pass

    def next_event_s(self) -> float | None:
        """Return the end of boot, motion, EEPROM write or line time-out, whichever is first."""
        events = [self._motion.due_s] if self._motion.due_s is not None else []
        if self._booting or self._rx:
            events.append(self._busy_until_s)
        if self._line:
            events.append(self._last_byte_s + LINE_TIMEOUT_S)
        return min(events, default=None)

    def _busy(self, now_s: float) -> bool:
        return now_s < self._busy_until_s or self._in_blocking_move

    def _read_line(self, now_s: float) -> bool:
        end = self._rx.find(b"\n")
        if end >= 0:
            self._line += self._rx[:end]
            del self._rx[: end + 1]
        else:
            self._line += self._rx
            self._rx.clear()
            if not self._line or now_s < self._last_byte_s + LINE_TIMEOUT_S:
                return False
        line, self._line = self._line.decode("latin-1"), bytearray()
        self._handle(line, now_s)
        return True

    # Commands match by prefix, first in the table first.
    def _table(self) -> list[tuple[str, Callable[[str, float], None]]]:
        after = " " if self.build.blocking_only else ""
        table: list[tuple[str, Callable[[str, float], None]]] = [("version", self._version)]
        for axis, name in enumerate("xyz"):
            table.append((f"mr{name}{after}", self._single(axis)))
        table += [
            (f"mr{after}", self._move),
            ("release", lambda _a, _n: self._print("done")),
            ("p?" if self.build.blocking_only else "p", self._position),
            ("ramp_time", self._ramp_time),
            ("min_step_delay", self._step_delay),
            ("dt", self._step_delay),
            ("zero", self._zero),
        ]
        if not self.build.blocking_only:
            table += [
                ("stop", self._stop),
                ("moving", lambda _a, _n: self._print(str(self._motion.moving).lower())),
                ("blocking_moves", self._blocking_moves),
            ]
        if self.build.leds_cc or self.build.leds_pwm:
            table += [
                ("led_channels?", self._channels),
                ("led_cc", self._led_cc),
                ("led_pwm", self._led_pwm),
            ]
        if self.build.endstops:
            table += [("endstops?", self._endstops), ("home_min", self._home)]
        return table

    def _handle(self, line: str, now_s: float) -> None:
        for prefix, run in self._commands:
            if line.startswith(prefix):
                return run(line[len(prefix) :], now_s)
        if self.build.leds_cc:
            return self._print(
                f"Command not recognised: '{line}', Type 'help' for a list of commands."
            )
        return self._print("Type 'help' for a list of commands.")

    def _print(self, text: str) -> None:
        self._send(f"{text}\r\n".encode("latin-1"))

    def _version(self, _arguments: str, _now_s: float) -> None:
        self._print(self.build.banner)

    def _position(self, _arguments: str, now_s: float) -> None:
        self._print("{} {} {}".format(*self._motion.position(now_s)))

    def _single(self, axis: int) -> Callable[[str, float], None]:
        def move(arguments: str, now_s: float) -> None:
            words = arguments.split()
            if not words:
                return self._crash(now_s)
            steps = _wrapped(_leading_int(words[0]), self.build.word_bits)
            delta = [0, 0, 0]
            delta[axis] = steps
            return self._start((delta[0], delta[1], delta[2]), now_s)

        return move

    def _move(self, arguments: str, now_s: float) -> None:
        words = arguments.split()
        if len(words) < 3:
            if self.build.blocking_only:
                return self._print("Error: command is mr <int> <int> <int>")
            return self._crash(now_s)  # It reads and frees pointers that were never set.
        x, y, z = (_leading_int(word) for word in words[:3])
        return self._start((x, y, z), now_s)

    def _start(self, delta: Steps, now_s: float) -> None:
        here = self._motion.position(now_s)
        x, y, z = (a + b for a, b in zip(here, delta, strict=True))
        farthest = max(abs(d) for d in delta)
        paced_s = (farthest * self.step_delay_us + 2 * self.ramp_time_us) / 1e6
        self._motion.begin(target=(x, y, z), now_s=now_s, at_least_s=paced_s)
        if self.build.blocking_only:
            self._in_blocking_move = True
        elif self._blocking:
            self._notify_stopped = True
        else:
            self._print("done.")
        self.tick(now_s)

    def _arrive(self, now_s: float) -> None:
        self._motion.finish()
        if self._homing:
            return self._home_next(now_s)
        if self.build.saves_position:
            self._stored = self._motion.count
            self._write_eeprom(3 * LONG_BYTES, now_s)
        if self._in_blocking_move:
            self._in_blocking_move = False
            self._print("done.")
        elif self._notify_stopped:
            self._notify_stopped = False
            self._print("stopped")
        return None

    def _stop(self, _arguments: str, now_s: float) -> None:
        self._motion.halt(now_s)
        self._homing = 0
        self._print("Move aborted")

    def _zero(self, _arguments: str, now_s: float) -> None:
        self._motion.set_count((0, 0, 0))
        self._stored = (0, 0, 0)
        self._print("position reset to 0 0 0")
        self._write_eeprom(3 * LONG_BYTES, now_s)

    def _step_delay(self, arguments: str, now_s: float) -> None:
        if arguments.strip().startswith("?"):
            return self._print(f"minimum step delay {self.step_delay_us}")
        self.step_delay_us = _leading_int(arguments.strip())
        return self._written(now_s)

    def _ramp_time(self, arguments: str, now_s: float) -> None:
        if arguments.strip().startswith("?"):
            return self._print(f"ramp_time {self.ramp_time_us}")
        self.ramp_time_us = _leading_int(arguments.strip())
        return self._written(now_s)

    def _blocking_moves(self, arguments: str, now_s: float) -> None:
        if arguments.strip().startswith("?"):
            return self._print(f"blocking_moves {str(self._blocking).lower()}")
        self._blocking = self._blocking_stored = arguments.strip().startswith("t")
        return self._written(now_s)

    def _written(self, now_s: float) -> None:
        self._write_eeprom(LONG_BYTES, now_s)
        self._print("done.")

    def _write_eeprom(self, length: int, now_s: float) -> None:
        if self.build.eeprom:
            self._busy_until_s = now_s + length * EEPROM_BYTE_S

    # Lights: constant-current channels first, then PWM, in the order of the plant's channels.
    def _channels(self, _arguments: str, _now_s: float) -> None:
        self._print(f"CC:{self.build.leds_cc} PWM:{self.build.leds_pwm}")

    def _led_cc(self, arguments: str, _now_s: float) -> None:
        if not arguments.startswith("?"):
            self._light(0, _leading_float(arguments))
        self._print(f"CC LED:{_leading_float(arguments):.2f}")

    def _led_pwm(self, arguments: str, _now_s: float) -> None:
        words = arguments.split()
        if len(words) < 2:
            return self._print("Error: led_pwm <channel> <brightness>")
        channel, value = _leading_int(words[0]), _leading_float(words[1])
        if not 0 <= channel < self.build.leds_pwm:
            return self._print("Error: no such channel")
        self._light(self.build.leds_cc + channel, value)
        return self._print(f"PWM LED {channel}:{value:.2f}")

    def _light(self, channel: int, brightness: float) -> None:
        if channel < len(self._plant.board.channels):
            level = round(min(1.0, max(0.0, brightness)) * 255)
            self._plant.set_light(channel=channel, level=level)

    # Homing: to the switches, away, slowly back, away again. The word "done." comes early.
    def _endstops(self, _arguments: str, now_s: float) -> None:
        at_switch = (("-1" if n == 0 else "0") for n in self._motion.position(now_s))
        self._print(" ".join(at_switch))

    def _home(self, arguments: str, now_s: float) -> None:
        if not arguments.strip() and not self.build.blocking_only:
            return self._crash(now_s)  # It reads which axes through a pointer that was never set.
        self._homing = 1
        self._in_blocking_move = self.build.blocking_only
        self._say_started()
        return self._motion.begin_home(now_s)

    def _home_next(self, now_s: float) -> None:
        away = V04_RETREAT_STEPS if self.build.blocking_only else V1_RETREAT_STEPS
        phase, self._homing = self._homing, self._homing + 1
        if phase in (1, 3):
            self._motion.set_count((0, 0, 0))
            if not self.build.blocking_only:
                for axis in (-1, -2, -3):  # Debug numbers nobody asked for.
                    self._print(f"{axis}")
                    self._print(f"Endstop hit:{axis}")
        if phase == 2:
            self._say_started()
            return self._motion.begin(target=(0, 0, 0), now_s=now_s)
        if phase == 3 and not self.build.blocking_only:
            self._print("done.")
        if phase < 4:
            self._say_started()
            return self._motion.begin(target=(away, away, away), now_s=now_s)
        self._homing = 0
        if self._in_blocking_move:
            self._in_blocking_move = False
            self._print("done.")
        return None

    def _say_started(self) -> None:
        if not self.build.blocking_only and not self._blocking:
            self._print("done.")

    def _crash(self, now_s: float) -> None:
        self.crashes += 1
        self.power_off(now_s)
        self.power_on(self._send, now_s)


def _leading_int(word: str) -> int:
    """Return what C's atol makes of a word: the digits it starts with, or 0."""
    found = re.match(r"[+-]?\d+", word)
    return _wrapped(int(found.group()), 32) if found else 0


def _leading_float(words: str) -> float:
    found = re.match(r"\s*[+-]?(\d+\.?\d*|\.\d+)", words)
    return float(found.group()) if found else 0.0


def _wrapped(value: int, bits: int) -> int:
    half = 1 << (bits - 1)
    return (value + half) % (1 << bits) - half

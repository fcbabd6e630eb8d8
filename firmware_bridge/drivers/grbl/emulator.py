"""A GRBL 1.1h controller: realtime bytes, a 128-byte receive buffer, jogs, alarms.

After the public documentation of gnea/grbl (`interface.md`, `commands.md`, `jogging.md`,
`settings.md`, code lists) and its sources (GPL-3.0, read, not copied). Where the real one makes a
host wait or goes deaf, so does this. Homing runs towards the positive end, which is the plant's
step 0, so machine positions are negative, as GRBL's are.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from firmware_bridge.board.pty_host import Send
from firmware_bridge.drivers.grbl.emulator_blocks import jog, move
from firmware_bridge.drivers.grbl.emulator_machine import (
    Block,
    Planner,
    Reports,
    defaults,
    lines,
    position_shown,
)
from firmware_bridge.drivers.grbl.emulator_parser import (
    HOMING_OFF,
    LOCKED_OUT,
    LONGEST_LINE,
    NEGATIVE,
    NOT_IDLE,
    NUMBER,
    SOFT_LIMITS_NEED_HOMING,
    TOO_LONG,
    TRAVEL_EXCEEDED,
    UNKNOWN_SYSTEM,
    UNUSED_WORDS,
    GrblError,
    LineReader,
    Modes,
    single,
    words,
)
from firmware_bridge.plant import Plant

BANNER = "Grbl 1.1h ['$' for help]"
HELP = "[HLP:$$ $# $G $I $N $x=val $Nx=line $J=line $SLP $C $X $H ~ ! ? ctrl-x]"
UNLOCK_HINT = "[MSG:'$H'|'$X' to unlock]"
# The ring keeps one of its 128 bytes free.
RX_BUFFER = 127
# After an alarm the main loop waits for the line to drain: it reads nothing and answers nothing.
ALARM_PAUSE_S = 0.5
END_S = 0.005
# While a byte of EEPROM is written interrupts are off, and the UART holds two bytes at most.
EEPROM_BYTE_S = 0.0034
SETTING_BYTES = 5
STATUS, HOLD, RESUME, RESET, DOOR, JOG_CANCEL, FLOOD = 0x3F, 0x21, 0x7E, 0x18, 0x84, 0x85, 0xA0
ALARM_HARD_LIMIT, ALARM_SOFT_LIMIT, ALARM_RESET_IN_MOTION, ALARM_HOMING_RESET = 1, 2, 3, 6


class GrblFirmware:
    """One controller. `flood` is the coolant output, `spindle` the output's speed, 0 when off.

    The spindle output drives the plant's light channel 0, as it does on microscopes built on GRBL.
    """

    def __init__(
        self, plant: Plant, *, name: str = "", settings: dict[str, float] | None = None
    ) -> None:
        self._plant, self._name = plant, name.upper()
        self._planner = Planner(plant)
        self._motion = self._planner.motion
        self.settings = defaults(plant) | (settings or {})
        self.flood = False
        self.spindle = 0.0
        self.state = "Idle"

    # Power.
    def power_on(self, send: Send, now_s: float, /) -> None:
        """Boot; with homing enabled the controller comes up locked."""
        self._send = send
        self._deaf_until_s = now_s
        self._motion.set_count((0, 0, 0))
        self.state = "Alarm" if self.settings["22"] else "Idle"
        self._initialise()

    def power_off(self, now_s: float, /) -> None:
        """Motors and outputs lose their current."""
        self._planner.flush(now_s)
        self._plant.power_off()

    def trip_hard_limit(self, now_s: float) -> None:
        """Close a limit switch: motion and lamp die, and only a reset gets through."""
        self._planner.flush(now_s)
        self._set_spindle(0.0)
        self._raise_alarm(ALARM_HARD_LIMIT, now_s)

    def _initialise(self) -> None:
        self._rx, self._line = bytearray(), LineReader()
        self._critical = self._braking = self._suspended = False
        self._status_asked = self._reset_asked = False
        self._pause_until_s: float | None = None
        self._parser, self._reports = Modes(), Reports()
        self._set_spindle(0.0)
        self.flood = False
        self._line_out(f"\r\n{BANNER}")
        if self.state == "Alarm":
            self._line_out(UNLOCK_HINT)

    # Time and bytes.
    def receive(self, data: bytes, now_s: float, /) -> None:
        """Take realtime bytes out at once and buffer the rest; deaf while EEPROM is written."""
        self.tick(now_s)
        for byte in data:
            if now_s < self._deaf_until_s or (self._critical and byte != RESET):
                continue
            if not self._realtime(byte, now_s) and byte < 0x80 and len(self._rx) < RX_BUFFER:
                self._rx.append(byte)
        self.tick(now_s)

    def tick(self, now_s: float, /) -> None:
        """End what is due, begin the next motion, and read lines while there is room."""
        due_s = self._motion.due_s
        if due_s is not None and now_s >= due_s:
            self._arrive(now_s)
        if self._pause_until_s is not None and now_s >= self._pause_until_s:
            self._pause_over(now_s)
        while self._may_read() and self._read_line(now_s):
            pass

    def next_event_s(self) -> float | None:
        """Return the end of the motion or the pause under way, whichever is first, or None."""
        ends = (self._motion.due_s, self._pause_until_s)
        return min((end_s for end_s in ends if end_s is not None), default=None)

    def _may_read(self) -> bool:
        """Return whether the main loop comes to the next line: it waits for much."""
        waiting = self._critical or self._braking or self._suspended or self._pause_until_s
        return not waiting and self.state not in ("Home", "Hold", "Door") and not self._planner.full

    def _read_line(self, now_s: float) -> bool:
        while self._rx:
            line = self._line.take(self._rx.pop(0))
            if line is not None:
                self._execute(line, now_s)
                return True
        return False

    def _execute(self, line: str, now_s: float) -> None:
        try:
            if len(line) > LONGEST_LINE:
                raise GrblError(TOO_LONG)
            if line.startswith("$"):
                self._system(line, now_s)
            elif line:
                if self.state in ("Alarm", "Jog"):
                    raise GrblError(LOCKED_OUT)
                self._gcode(line, now_s)
        except GrblError as refusal:
            self._line_out(f"error:{refusal.number}")
            return
        if self.state != "Home" and self._pause_until_s is None:
            self._line_out("ok")

    def _line_out(self, text: str) -> None:
        self._send(f"{text}\r\n".encode("latin-1"))

    # Realtime bytes.
    def _realtime(self, byte: int, now_s: float) -> bool:
        if byte == STATUS:
            # Whatever is asked while the main loop is away is answered once, when it is back.
            self._status_asked = self.state == "Home" or self._pause_until_s is not None
            if not self._status_asked:
                self._report(now_s)
        elif byte == RESET:
            self._reset(now_s)
        elif byte == HOLD:
            self._hold(now_s)
        elif byte == DOOR:
            self._door(now_s)
        elif byte == JOG_CANCEL:
            self._cancel_jog(now_s)
        elif byte == RESUME:
            self._resume(now_s)
        elif byte == FLOOD:
            if self.state in ("Idle", "Run", "Hold"):
                self.flood = not self.flood
        else:
            return False
        return True

    def _hold(self, now_s: float) -> None:
        if self.state == "Jog":
            self._cancel_jog(now_s)
        elif self.state in ("Run", "Idle"):
            self._planner.hold(now_s)
            self.state = "Hold"

    def _door(self, now_s: float) -> None:
        """Stop, and take the outputs' power until the cycle is resumed."""
        if self.state in ("Idle", "Run", "Hold", "Jog"):
            self._line_out("[MSG:Check Door]")
            self._planner.flush(now_s)
            self._braking = False
            self._set_spindle(0.0)
            self.state = "Door"

    def _resume(self, now_s: float) -> None:
        self._suspended = self._suspended and self._braking
        if self.state == "Door":
            self._set_spindle(self._parser.spindle if self._parser.spindle_on else 0.0)
        if self.state in ("Hold", "Door"):
            self.state = "Idle"
            self._next(now_s)

    def _cancel_jog(self, now_s: float) -> None:
        """Slow down to a stand. Meanwhile nothing is read, and the state is still Jog.

        A second cancel that meets the end suspends the controller, which then calls itself Idle.
        """
        due_s = self._motion.due_s
        if self._braking and due_s is not None and due_s - now_s < END_S:
            self._suspended = True
        if self.state == "Jog" and not self._braking:
            slowest = min(self.settings[f"12{index}"] for index in range(3))
            self._planner.brake(deceleration_mm_s2=slowest, now_s=now_s)
            self._braking = self._motion.moving
            self.state = "Jog" if self._braking else "Idle"

    def _reset(self, now_s: float) -> None:
        """Motors and outputs die in the interrupt; the rest is done when the main loop is back."""
        moving, homing = self._motion.moving, self.state == "Home"
        self._planner.flush(now_s)
        self._set_spindle(0.0)
        if moving:
            self._raise_alarm(ALARM_HOMING_RESET if homing else ALARM_RESET_IN_MOTION, now_s)
        if self._pause_until_s is not None:
            self._reset_asked = True
        else:
            self._restart()

    def _restart(self) -> None:
        self.state = "Alarm" if self.state == "Alarm" else "Idle"
        self._initialise()

    def _raise_alarm(self, number: int, now_s: float) -> None:
        self.state = "Alarm"
        self._alarm = number
        self._line_out(f"ALARM:{number}")
        self._pause_until_s = now_s + ALARM_PAUSE_S

    def _pause_over(self, now_s: float) -> None:
        """Come back from an alarm. After a limit a reset asked for in the meantime is forgotten."""
        self._pause_until_s = None
        if self._alarm in (ALARM_HARD_LIMIT, ALARM_SOFT_LIMIT):
            self._critical, self._reset_asked = True, False
            self._line_out("[MSG:Reset to continue]")
        elif self._reset_asked:
            self._restart()
        elif self._status_asked:
            self._status_asked = False
            self._report(now_s)

    def _report(self, now_s: float) -> None:
        state = f"{self.state}:0" if self.state in ("Hold", "Door") else self.state
        machine_mm = self._planner.machine_mm(self._motion.position(now_s))
        position = position_shown(machine_mm, self._parser.offset_mm, self.settings)
        running = self._planner.running
        feed = running.feed_mm_min if running else 0
        rest = self._reports.rest(
            busy=self.state not in ("Idle", "Alarm"),
            offset_mm=self._parser.offset_mm,
            outputs="S" * (self.spindle > 0) + "F" * self.flood,
        )
        self._line_out(f"<{state}|{position}|FS:{feed:.0f},{self.spindle:.0f}{rest}>")

    # Lines that start with $.
    def _system(self, line: str, now_s: float) -> None:
        if line.startswith("$J"):
            return self._jog(line, now_s)
        plain: dict[str, Callable[[], None]] = {
            "$": lambda: self._line_out(HELP),
            "$$": self._dump,
            "$I": self._build_info,
            "$X": self._unlock,
            "$H": lambda: self._home(now_s),
        }
        if line in ("$I", "$H") and self.state not in ("Idle", "Alarm"):
            raise GrblError(NOT_IDLE)
        if line == "$$" and self.state == "Run":
            raise GrblError(NOT_IDLE)
        if line in plain:
            return plain[line]()
        if line.startswith("$I="):
            return self._write_name(line[3:], now_s)
        return self._write_setting(line, now_s)

    def _dump(self) -> None:
        for line in lines(self.settings):
            self._line_out(line)

    def _build_info(self) -> None:
        self._line_out(f"[VER:1.1h.20190830:{self._name}]")
        self._line_out("[OPT:V,15,128]")

    def _write_name(self, name: str, now_s: float) -> None:
        """Keep a name as it stands in the line: in capitals, without spaces."""
        self._name = name
        self._deaf_until_s = now_s + (len(name) + 1) * EEPROM_BYTE_S

    def _unlock(self) -> None:
        if self.state == "Alarm":
            self.state = "Idle"
            self._line_out("[MSG:Caution: Unlocked]")

    def _write_setting(self, line: str, now_s: float) -> None:
        number, equals, value = line[1:].partition("=")
        if not equals or number not in self.settings:
            raise GrblError(UNKNOWN_SYSTEM)
        if self.state not in ("Idle", "Alarm"):
            raise GrblError(NOT_IDLE)
        if NUMBER.fullmatch(value) is None:
            raise GrblError(2)
        if float(value) < 0:
            raise GrblError(NEGATIVE)
        if number == "20" and float(value) and not self.settings["22"]:
            raise GrblError(SOFT_LIMITS_NEED_HOMING)
        self.settings[number] = float(value)
        if number == "22" and not float(value):
            self.settings["20"] = 0.0
        self._deaf_until_s = now_s + SETTING_BYTES * EEPROM_BYTE_S

    def _home(self, now_s: float) -> None:
        if not self.settings["22"]:
            raise GrblError(HOMING_OFF)
        self.state = "Home"
        self._motion.begin_home(now_s)

    # Motions.
    def _jog(self, line: str, now_s: float) -> None:
        if self.state not in ("Idle", "Jog"):
            raise GrblError(NOT_IDLE)
        block = jog(line, self._parser, end_mm=self._planner.end_mm())
        if self.settings["20"] and not self._reachable(block.target):
            raise GrblError(TRAVEL_EXCEEDED)
        self._plan(block, now_s)

    def _gcode(self, line: str, now_s: float) -> None:
        found = words(line)
        values = single(found)
        parser = self._parser
        machine = parser.apply(found, values)
        self._set_spindle(parser.spindle if parser.spindle_on else 0.0)
        if set(values) & set("XYZ"):
            end_mm, rapid_mm_min = self._planner.end_mm(), self.settings["110"]
            block = move(values, parser, machine=machine, end_mm=end_mm, rapid_mm_min=rapid_mm_min)
            return self._move(block, now_s)
        if set(values) - set("FS"):
            raise GrblError(UNUSED_WORDS)
        return None

    def _move(self, block: Block, now_s: float) -> None:
        if self.settings["20"] and not self._reachable(block.target):
            self._planner.flush(now_s)
            self._set_spindle(0.0)
            return self._raise_alarm(ALARM_SOFT_LIMIT, now_s)
        return self._plan(block, now_s)

    def _reachable(self, target: tuple[float, float, float]) -> bool:
        return all(-self.settings[f"13{index}"] <= value <= 0 for index, value in enumerate(target))

    def _plan(self, block: Block, now_s: float) -> None:
        self._planner.add(block)
        if self.state == "Idle":
            self._next(now_s)

    def _next(self, now_s: float) -> None:
        highest_mm_min = min(self.settings[f"11{index}"] for index in range(3))
        block = self._planner.next(highest_mm_min=highest_mm_min, now_s=now_s)
        self.state = "Idle" if block is None else "Jog" if block.jog else "Run"

    def _arrive(self, now_s: float) -> None:
        self._motion.finish()
        self._braking = False
        if self.state != "Home":
            return self._next(now_s)
        pulled_off = -self.settings["27"]
        self._motion.begin(
            target=self._planner.steps((pulled_off, pulled_off, pulled_off)), now_s=now_s
        )
        self._motion.finish()
        if self._status_asked:
            self._status_asked = False
            self._report(now_s)
        self.state = "Idle"
        return self._line_out("ok")

    def _set_spindle(self, speed: float) -> None:
        self.spindle = min(speed, self.settings["30"])
        if self._plant.board.channels:
            level = math.ceil(self.spindle / self.settings["30"] * 255)
            self._plant.set_light(channel=0, level=level)

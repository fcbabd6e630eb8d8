"""A GRBL 1.1h controller: realtime bytes, a 128-byte receive buffer, jogs, alarms.

After the public documentation of gnea/grbl (`interface.md`, `commands.md`, `jogging.md`,
`settings.md`, code lists). Homing runs towards the positive end, which is the plant's step 0, so
machine positions are negative, as GRBL's are.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from firmware_bridge.board.pty_host import Send
from firmware_bridge.drivers.grbl.emulator_machine import (
    REPORT_MPOS,
    Block,
    Planner,
    defaults,
    lines,
)
from firmware_bridge.drivers.grbl.emulator_parser import (
    BAD_JOG,
    HOMING_OFF,
    LOCKED_OUT,
    NEGATIVE,
    NO_AXIS_WORDS,
    NO_FEED,
    NOT_IDLE,
    NUMBER,
    SAME_GROUP,
    SOFT_LIMITS_NEED_HOMING,
    TOO_LONG,
    TRAVEL_EXCEEDED,
    UNKNOWN_SYSTEM,
    UNUSED_WORDS,
    GrblError,
    Modes,
    single,
    words,
)
from firmware_bridge.plant import Plant

BANNER = "Grbl 1.1h ['$' for help]"
UNLOCK_HINT = "[MSG:'$H'|'$X' to unlock]"
# The ring keeps one of its 128 bytes free.
RX_BUFFER = 127
LINE_BUFFER = 80
# While a byte of EEPROM is written interrupts are off, and the UART holds two bytes at most.
EEPROM_BYTE_S = 0.0034
SETTING_BYTES = 5
STATUS, HOLD, RESUME, RESET, JOG_CANCEL, FLOOD = 0x3F, 0x21, 0x7E, 0x18, 0x85, 0xA0
ALARM_HARD_LIMIT, ALARM_SOFT_LIMIT, ALARM_RESET_IN_MOTION, ALARM_HOMING_RESET = 1, 2, 3, 6
MM_PER_INCH = 25.4


class GrblFirmware:
    """One controller. `flood` is the coolant output, `spindle` the output's speed, 0 when off.

    The spindle output drives the plant's light channel 0, as it does on microscopes built on GRBL.
    """

    def __init__(
        self, plant: Plant, *, name: str = "", settings: dict[str, float] | None = None
    ) -> None:
        self._plant, self._name = plant, name
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
        self._critical = False
        self._motion.set_count((0, 0, 0))
        self.state = "Alarm" if self.settings["22"] else "Idle"
        self._initialise()

    def power_off(self, _now_s: float, /) -> None:
        """Motors and outputs lose their current."""
        self._plant.power_off()

    def trip_hard_limit(self, now_s: float) -> None:
        """Close a limit switch: motion dies, and only a reset gets through."""
        self._planner.flush(now_s)
        self._raise_alarm(ALARM_HARD_LIMIT)
        self._critical = True
        self._line_out("[MSG:Reset to continue]")

    def _initialise(self) -> None:
        self._rx, self._line = bytearray(), bytearray()
        self._overflowed = False
        self._parser = Modes()
        self._set_spindle(0.0)
        self.flood = False
        self._line_out("")
        self._line_out(BANNER)
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
        """End the motion that is due, begin the next, and read lines while there is room."""
        due_s = self._motion.due_s
        if due_s is not None and now_s >= due_s:
            self._arrive(now_s)
        while self._may_read() and self._read_line(now_s):
            pass

    def next_event_s(self) -> float | None:
        """Return the end of the motion under way, or None."""
        return self._motion.due_s

    def _may_read(self) -> bool:
        return self.state not in ("Home", "Hold") and not self._critical and not self._planner.full

    def _read_line(self, now_s: float) -> bool:
        while self._rx:
            byte = self._rx.pop(0)
            if byte in b"\r\n":
                self._execute(now_s)
                return True
            if len(self._line) >= LINE_BUFFER - 1:
                self._overflowed = True
            elif byte > 0x20 and byte != ord("/"):
                self._line.append(byte)
        return False

    def _execute(self, now_s: float) -> None:
        line, self._line = self._line.decode("latin-1").upper(), bytearray()
        overflowed, self._overflowed = self._overflowed, False
        try:
            if overflowed:
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
        if self.state != "Home":
            self._line_out("ok")

    def _line_out(self, text: str) -> None:
        self._send(f"{text}\r\n".encode("latin-1"))

    # Realtime bytes.
    def _realtime(self, byte: int, now_s: float) -> bool:
        if byte == STATUS:
            if self.state != "Home":
                self._report(now_s)
        elif byte == RESET:
            self._reset(now_s)
        elif byte == HOLD:
            self._hold(now_s)
        elif byte == JOG_CANCEL:
            self._cancel_jog(now_s)
        elif byte == RESUME:
            if self.state == "Hold":
                self.state = "Idle"
                self._next(now_s)
        elif byte == FLOOD:
            if self.state in ("Idle", "Run", "Hold"):
                self.flood = not self.flood
        else:
            return False
        return True

    def _hold(self, now_s: float) -> None:
        if self.state == "Jog":
            self._cancel_jog(now_s)
        elif self.state == "Run":
            self._planner.hold(now_s)
            self.state = "Hold"
        elif self.state == "Idle":
            self.state = "Hold"

    def _cancel_jog(self, now_s: float) -> None:
        if self.state == "Jog":
            self._planner.flush(now_s)
            self.state = "Idle"

    def _reset(self, now_s: float) -> None:
        moving = self._motion.moving
        homing = self.state == "Home"
        self._planner.flush(now_s)
        if moving:
            self._raise_alarm(ALARM_HOMING_RESET if homing else ALARM_RESET_IN_MOTION)
        elif self._critical:
            self.state = "Alarm"
        elif self.state == "Hold":
            self.state = "Idle"
        self._critical = False
        self._initialise()

    def _raise_alarm(self, number: int) -> None:
        self.state = "Alarm"
        self._line_out(f"ALARM:{number}")

    def _report(self, now_s: float) -> None:
        state = "Hold:0" if self.state == "Hold" else self.state
        position = self._planner.machine_mm(self._motion.position(now_s))
        kind = "MPos"
        if not int(self.settings["10"]) & REPORT_MPOS:
            kind = "WPos"
            position = [p - o for p, o in zip(position, self._parser.offset_mm, strict=True)]
        unit = MM_PER_INCH if self.settings["13"] else 1.0
        digits = 4 if self.settings["13"] else 3
        shown = ",".join(f"{value / unit:.{digits}f}" for value in position)
        running = self._planner.running
        feed = running.feed_mm_min if running else 0
        self._line_out(f"<{state}|{kind}:{shown}|FS:{feed:.0f},{self.spindle:.0f}>")

    # Lines that start with $.
    def _system(self, line: str, now_s: float) -> None:
        if line.startswith("$J"):
            return self._jog(line, now_s)
        plain: dict[str, Callable[[], None]] = {
            "$": lambda: self._line_out(
                "[HLP:$$ $# $G $I $N $x=val $Nx=line $J=line $SLP $C $X $H ~ ! ? ctrl-x]"
            ),
            "$$": self._dump,
            "$I": self._build_info,
            "$X": self._unlock,
            "$H": lambda: self._home(now_s),
        }
        if line in ("$$", "$I", "$H") and self.state not in ("Idle", "Alarm"):
            raise GrblError(NOT_IDLE)
        if line in plain:
            return plain[line]()
        return self._write_setting(line, now_s)

    def _dump(self) -> None:
        for line in lines(self.settings):
            self._line_out(line)

    def _build_info(self) -> None:
        self._line_out(f"[VER:1.1h.20190830:{self._name}]")
        self._line_out("[OPT:V,15,128]")

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
        self._deaf_until_s = now_s + SETTING_BYTES * EEPROM_BYTE_S

    def _home(self, now_s: float) -> None:
        if not self.settings["22"]:
            raise GrblError(HOMING_OFF)
        self.state = "Home"
        self._motion.begin_home(now_s)

    # Motions.
    def _jog(self, line: str, now_s: float) -> None:
        if self.state not in ("Idle", "Jog"):
            raise GrblError(LOCKED_OUT if self.state == "Alarm" else NOT_IDLE)
        if not line.startswith("$J="):
            raise GrblError(BAD_JOG if line[2:] else UNKNOWN_SYSTEM)
        found = words(line[3:])
        codes = [value for letter, value in found if letter == "G"]
        if any(code not in (20, 21, 53, 90, 91) for code in codes) or any(
            letter in "MST" for letter, _ in found
        ):
            raise GrblError(BAD_JOG)
        if {90, 91} <= set(codes) or {20, 21} <= set(codes) or len(set(codes)) < len(codes):
            raise GrblError(SAME_GROUP)
        values = single(found)
        if values.get("F", 0.0) <= 0:
            raise GrblError(NO_FEED)
        inches = 20 in codes or (self._parser.inches and 21 not in codes)
        relative = 91 in codes or (self._parser.relative and 90 not in codes)
        block = self._block(values, inches, relative and 53 not in codes, 53 in codes, jog=True)
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
            self._gcode_move(values, machine, now_s)
        elif set(values) - set("FS"):
            raise GrblError(UNUSED_WORDS)

    def _gcode_move(self, values: dict[str, float], machine: bool, now_s: float) -> None:
        parser = self._parser
        if parser.motion_code == 0:
            values["F"] = self.settings["110"]
        elif parser.feed_mm_min <= 0:
            raise GrblError(NO_FEED)
        else:
            values["F"] = parser.feed_mm_min
        relative = parser.relative and not machine
        block = self._block(values, parser.inches, relative, machine, jog=False)
        if self.settings["20"] and not self._reachable(block.target):
            self._planner.flush(now_s)
            self._raise_alarm(ALARM_SOFT_LIMIT)
            self._critical = True
            return self._line_out("[MSG:Reset to continue]")
        return self._plan(block, now_s)

    def _block(
        self, values: dict[str, float], inches: bool, relative: bool, machine: bool, *, jog: bool
    ) -> Block:
        if not set(values) & set("XYZ"):
            raise GrblError(NO_AXIS_WORDS)
        if set(values) - set("XYZFSN"):
            raise GrblError(UNUSED_WORDS)
        unit = MM_PER_INCH if inches else 1.0
        target = self._planner.end_mm()
        for index, letter in enumerate("XYZ"):
            if letter in values:
                offset = 0.0 if machine else self._parser.offset_mm[index]
                base = target[index] if relative else offset
                target[index] = base + values[letter] * unit
        return Block(
            target=(target[0], target[1], target[2]), feed_mm_min=values["F"] * unit, jog=jog
        )

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
        if self.state != "Home":
            return self._next(now_s)
        pulled_off = -self.settings["27"]
        self._motion.begin(
            target=self._planner.steps((pulled_off, pulled_off, pulled_off)), now_s=now_s
        )
        self._motion.finish()
        self.state = "Idle"
        return self._line_out("ok")

    def _set_spindle(self, speed: float) -> None:
        self.spindle = min(speed, self.settings["30"])
        if self._plant.board.channels:
            level = math.ceil(self.spindle / self.settings["30"] * 255)
            self._plant.set_light(channel=0, level=level)

"""The driver of LED arrays with illuminate's firmware: light only.

The array has no watchdog: when this computer dies, its LEDs stay on. `failsafe` is therefore
False, and an unattended run must accept the board by name.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from firmware_bridge.clock import MonotonicClock
from firmware_bridge.drivers.brand import BoardOptions, require_within
from firmware_bridge.drivers.illuminate.light import FINISHED, MACHINE, IlluminateLight
from firmware_bridge.drivers.line_board import LineBoard, opened
from firmware_bridge.errors import FirmwareIncompatible
from firmware_bridge.text.dialogue import ROUNDS
from firmware_bridge.text.lines import LineSession


@dataclass(frozen=True, slots=True, kw_only=True)
class IlluminateOptions(BoardOptions):
    """`led_groups` are light channels of our own, each the LEDs it lights, by number.

    `na` is the objective's aperture, which bounds bright field and half circles; the array's own
    setting unless given.
    """

    led_groups: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    na: float | None = None

    def __post_init__(self) -> None:
        BoardOptions.__post_init__(self)
        if self.na is not None:
            require_within("na", self.na, above=0, at_most=1)
        for name, leds in self.led_groups.items():
            if not leds:
                raise ValueError(f"led_groups.{name} must name at least one LED")


DEFAULT = IlluminateOptions()


class IlluminateBoard(LineBoard):
    """An open array. `properties` are those it reports (`pprops`)."""

    driver = "illuminate"
    stage = None

    def __init__(
        self,
        lines: LineSession,
        *,
        clock: MonotonicClock,
        options: IlluminateOptions,
    ) -> None:
        super().__init__(lines, clock=clock, reopen_s=options.reopen_s)
        self.dialogue.ask(MACHINE, FINISHED)
        self.properties = self._read_properties()
        self.firmware = f"illuminate {self.properties.get('interface_version', '')}".strip()
        serial_number = self.properties.get("serial_number", lines.port)
        self.unique_id = f"illuminate-{serial_number}"
        self.light: IlluminateLight = IlluminateLight(
            self, led_count=self.led_count, led_groups=options.led_groups, na=options.na
        )

    @classmethod
    def open(
        cls, port: str, *, clock: MonotonicClock, options: IlluminateOptions = DEFAULT
    ) -> IlluminateBoard:
        """Return the array on `port`, dark.

        Raises PortAbsent, PortBusy, ReplyTimeout when nothing there answers like illuminate,
        Rejected ("bad-index") for an LED the array has not.
        """
        return opened(
            port,
            clock=clock,
            board_on=lambda lines: cls(lines, clock=clock, options=options),
        )

    @property
    def led_count(self) -> int:
        """Return how many LEDs the array has."""
        return int(str(self.properties["led_count"]))

    def _greet_again(self) -> bool:
        self.dialogue.ask(MACHINE, FINISHED)
        self._require_same(self._read_properties(), self.properties)
        self.light.set_aperture()
        return False

    def _watch(self, line: str) -> None:
        """Do nothing: an array has no position to lose, and says nothing when it starts."""

    def _read_properties(self) -> dict[str, object]:
        """Return `pprops` once it has come twice alike, so that damaged digits are not believed."""
        seen: Counter[str] = Counter()
        brace = re.compile(r"\{.*\}.*")
        for _ in range(ROUNDS):
            found = self.dialogue.ask(b"pprops\n", brace)
            text = found.group().removesuffix("-==-")
            seen[text] += 1
            if seen[text] == 2:
                return _properties(text, self.dialogue.lines.port)
        raise self.dialogue.silent(b"pprops\n", ROUNDS)


def _properties(text: str, port: str) -> dict[str, object]:
    try:
        properties = json.loads(text)
    except ValueError:
        properties = {}
    if not isinstance(properties.get("led_count"), int):
        raise FirmwareIncompatible(
            "this LED array does not say how many LEDs it has",
            value=port,
            limit="led_count in the answer to pprops",
            remedy="flash illuminate's firmware of 2019 or later",
        )
    return dict(properties)


def illuminate_firmware(heard: bytes) -> str | None:
    """Return "illuminate" where an answer ends as only its answers do, or None."""
    return "illuminate" if b"-==-" in heard else None

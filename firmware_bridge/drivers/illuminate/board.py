"""The driver of LED arrays with illuminate's firmware: light only.

The array has no watchdog: when this computer dies, its LEDs stay on. `failsafe` is therefore
False, and an unattended run must accept the board by name.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from firmware_bridge.clock import Clock
from firmware_bridge.drivers.illuminate.light import IlluminateLight
from firmware_bridge.drivers.line_board import REOPEN_S, LineBoard, opened
from firmware_bridge.errors import FirmwareIncompatible
from firmware_bridge.text.dialogue import ROUNDS
from firmware_bridge.text.lines import LineSession

END = re.compile(r".*-==-")
NO_GROUPS: Mapping[str, Sequence[int]] = MappingProxyType({})


class IlluminateBoard(LineBoard):
    """An open array. `properties` is what it says of itself (`pprops`)."""

    driver = "illuminate"
    stage = None

    def __init__(
        self,
        lines: LineSession,
        *,
        clock: Clock,
        led_groups: Mapping[str, Sequence[int]] = NO_GROUPS,
        na: float | None = None,
        board_id: str | None = None,
        reopen_s: float = REOPEN_S,
    ) -> None:
        super().__init__(lines, clock=clock, reopen_s=reopen_s)
        self.dialogue.ask(b"machine\n", END)
        self.properties = self._read_properties()
        self.firmware = f"illuminate {self.properties.get('interface_version', '')}".strip()
        serial_number = self.properties.get("serial_number", lines.port)
        self.unique_id = board_id or f"illuminate-{serial_number}"
        self.light: IlluminateLight = IlluminateLight(
            self, led_count=self.led_count, led_groups=led_groups, na=na
        )

    @classmethod
    def open(
        cls,
        port: str,
        *,
        clock: Clock,
        led_groups: Mapping[str, Sequence[int]] = NO_GROUPS,
        na: float | None = None,
        board_id: str | None = None,
        reopen_s: float = REOPEN_S,
    ) -> IlluminateBoard:
        """Return the array on `port`, dark.

        `led_groups` are the LEDs to light together, by the channel's name; `na` is the objective's
        aperture, which bounds bright field and half circles (the array's own setting unless
        given); `reopen_s` is how long an unplugged line is waited for. Raises PortAbsent,
        PortBusy, ReplyTimeout when nothing there answers like illuminate, Rejected ("bad-index")
        for an LED the array has not.
        """
        return opened(
            port,
            clock=clock,
            board_on=lambda lines: cls(
                lines,
                clock=clock,
                led_groups=led_groups,
                na=na,
                board_id=board_id,
                reopen_s=reopen_s,
            ),
        )

    @property
    def led_count(self) -> int:
        """Return how many LEDs the array has."""
        return int(str(self.properties["led_count"]))

    def _greet_again(self) -> bool:
        self.dialogue.ask(b"machine\n", END)
        self._require_same(self._read_properties(), self.properties)
        self.light.set_aperture()
        return False

    def _watch(self, line: str) -> None:
        """Do nothing: an array has no position to lose, and says nothing when it starts."""

    def _read_properties(self) -> dict[str, object]:
        """Return `pprops` once it has come twice alike, so that no damaged digit is believed."""
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

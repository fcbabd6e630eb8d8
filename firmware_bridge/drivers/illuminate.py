"""The driver of LED arrays with illuminate's firmware: light only.

The array has no watchdog: when this computer dies, its LEDs stay on. `failsafe` is therefore
False, and an unattended run must accept the board by name.
"""

from __future__ import annotations

import json
import re
import threading
from collections import Counter

from firmware_bridge.clock import Clock
from firmware_bridge.dialogue import ROUNDS, Dialogue
from firmware_bridge.drivers.illuminate_light import IlluminateLight
from firmware_bridge.errors import BridgeError, FirmwareIncompatible
from firmware_bridge.lineproto import LineSession

END = re.compile(r".*-==-")


class IlluminateBoard:
    """An open array. `properties` is what it says of itself (`pprops`)."""

    driver = "illuminate"
    failsafe = False
    stage = None
    turret = None

    def __init__(
        self,
        lines: LineSession,
        *,
        clock: Clock,
        leds: tuple[int, ...] = (),
        na: float | None = None,
        board_id: str | None = None,
    ) -> None:
        self.lock = threading.RLock()
        self.dialogue = Dialogue(lines, clock=clock)
        self.dialogue.ask(b"machine\n", END)
        self.properties = self._read_properties()
        self.firmware = f"illuminate {self.properties.get('interface_version', '')}".strip()
        serial_number = self.properties.get("serial_number", lines.port)
        self.unique_id = board_id or f"illuminate-{serial_number}"
        self.light = IlluminateLight(self, leds=leds, na=na)

    @classmethod
    def open(
        cls,
        port: str,
        *,
        clock: Clock,
        leds: tuple[int, ...] = (),
        na: float | None = None,
        board_id: str | None = None,
    ) -> IlluminateBoard:
        """Return the array on `port`, dark.

        `leds` are the single LEDs to offer as channels `led N`, `na` the objective's aperture that
        bounds bright field and half circles (the array's own setting unless given). Raises
        PortAbsent, PortBusy, ReplyTimeout when nothing there answers like illuminate.
        """
        lines = LineSession(port, clock=clock)
        try:
            board = cls(lines, clock=clock, leds=leds, na=na, board_id=board_id)
            board.light.off()
        except BridgeError:
            lines.close()
            raise
        return board

    @property
    def led_count(self) -> int:
        """Return how many LEDs the array has."""
        return int(str(self.properties["led_count"]))

    @property
    def retries(self) -> int:
        """Return how often a command had to be repeated."""
        return self.dialogue.retries

    def beat(self) -> None:
        """Do nothing: this board has no watchdog to feed."""

    def close(self) -> None:
        """Dark, port released; may be called twice.

        The port is released even when the array can no longer be told.
        """
        try:
            self.light.off()
        except BridgeError:
            return
        finally:
            self.dialogue.lines.close()

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

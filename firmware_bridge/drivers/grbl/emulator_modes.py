"""G-code's modal state: what stays set from one line to the next."""

from __future__ import annotations

from dataclasses import dataclass, field

from firmware_bridge.drivers.grbl.emulator_words import UNSUPPORTED, Refused


@dataclass(slots=True)
class Modes:
    """The modes of GRBL's parser; a reset restores these defaults."""

    relative: bool = False
    inches: bool = False
    feed_mm_min: float = 0.0
    spindle_on: bool = False
    spindle: float = 0.0
    motion_code: float = 0.0
    offset_mm: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])

    def apply(self, found: list[tuple[str, float]], values: dict[str, float]) -> bool:
        """Take over a line's codes; return whether its target is a machine position (G53).

        Raises Refused for codes the emulator does not know.
        """
        machine = False
        for letter, code in found:
            if letter == "G" and code in (90, 91):
                self.relative = code == 91
            elif letter == "G" and code in (20, 21):
                self.inches = code == 20
            elif letter == "G" and code in (0, 1):
                self.motion_code = code
            elif letter == "G" and code == 53:
                machine = True
            elif letter == "M" and code in (3, 4, 5):
                self.spindle_on = code != 5
            elif letter in "GM":
                raise Refused(UNSUPPORTED)
        self.spindle = values.get("S", self.spindle)
        self.feed_mm_min = values.get("F", self.feed_mm_min)
        return machine

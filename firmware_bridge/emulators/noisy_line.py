"""A bad cable in front of an emulated board: bytes lost, doubled and flipped, both ways."""

from __future__ import annotations

from random import Random

from firmware_bridge.emulators.pty_host import Firmware, Send


class NoisyLine:
    """Firmware behind a line that damages bytes; otherwise the firmware itself.

    `fault_rate` is the probability of each fault for each byte: lost, doubled, one bit flipped.
    The faults are a function of `seed` and of how many bytes went by. `quiet` lets all pass.
    """

    def __init__(self, firmware: Firmware, *, seed: int, fault_rate: float) -> None:
        self._firmware, self._random, self._rate = firmware, Random(seed), fault_rate
        self.faults = 0
        self.quiet = False

    def power_on(self, send: Send, now_s: float, /) -> None:
        """Boot the board; what it says goes through the bad cable."""
        self._firmware.power_on(
            lambda text: send(self._damaged(text.encode("latin-1")).decode("latin-1")), now_s
        )

    def receive(self, data: bytes, now_s: float, /) -> None:
        """Hand on what is left of the host's bytes."""
        self._firmware.receive(self._damaged(data), now_s)

    def tick(self, now_s: float, /) -> None:
        """Let time pass."""
        self._firmware.tick(now_s)

    def next_event_s(self) -> float | None:
        """Return the board's next event."""
        return self._firmware.next_event_s()

    def power_off(self) -> None:
        """Cut the board's supply."""
        self._firmware.power_off()

    def _damaged(self, data: bytes) -> bytes:
        return data if self.quiet else b"".join(self._passed(byte) for byte in data)

    def _passed(self, byte: int) -> bytes:
        kept = b"" if self._hit() else bytes((byte,))
        if self._hit():
            kept += kept
        if kept and self._hit():
            kept = bytes((kept[0] ^ 1 << self._random.randrange(8),)) + kept[1:]
        return kept

    def _hit(self) -> bool:
        hit = self._random.random() < self._rate
        self.faults += hit
        return hit

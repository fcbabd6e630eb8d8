"""A native board on a real pseudo-terminal: the bytes, the timing and the watchdog of firmware."""

from __future__ import annotations

import secrets
from collections.abc import Callable

from firmware_bridge.board.board import Board
from firmware_bridge.board.pty_host import PtyHost, Send
from firmware_bridge.clock import MonotonicClock
from firmware_bridge.frames.codec import FrameSplitter, encode
from firmware_bridge.frames.protocol import NO_NONCE, PROTOCOL_MAJOR, ResetCause
from firmware_bridge.plant import Plant


class BoardEmulator(PtyHost):
    """An emulated board driving `plant`. Use as a context manager, or `start` and `stop`.

    `trigger` pulses a camera; without it the board has no trigger output. The watchdog of a
    `patient` board never trips: a simulated instrument has a time of its own, in which the host
    takes none.
    """

    def __init__(
        self,
        plant: Plant,
        *,
        clock: MonotonicClock,
        watchdog_ms: int = 500,
        watchdog_range_ms: tuple[int, int] = (100, 5000),
        protocol_major: int = PROTOCOL_MAJOR,
        trigger: Callable[[], None] | None = None,
        patient: bool = False,
    ) -> None:
        self._native = NativeFirmware(
            plant,
            watchdog_ms=watchdog_ms,
            watchdog_range_ms=watchdog_range_ms,
            protocol_major=protocol_major,
            trigger=trigger,
            patient=patient,
        )
        super().__init__(self._native, clock=clock)

    def reboot(self, cause: ResetCause = ResetCause.BROWN_OUT) -> None:
        """Reset the board as a dip of its supply would; returns when it has restarted."""
        self._native.reset_cause = cause
        self.reset()


class NativeFirmware:
    """`Board` behind frames; `reset_cause` is why it starts the next time."""

    def __init__(
        self,
        plant: Plant,
        *,
        watchdog_ms: int,
        watchdog_range_ms: tuple[int, int],
        protocol_major: int,
        trigger: Callable[[], None] | None,
        patient: bool = False,
    ) -> None:
        self._plant, self._protocol_major, self._trigger = plant, protocol_major, trigger
        self._patient = patient
        self._watchdog_ms, self._watchdog_range_ms = watchdog_ms, watchdog_range_ms
        self.reset_cause = ResetCause.POWER_ON

    def power_on(self, send: Send, _now_s: float, /) -> None:
        """Boot, dark and without an origin."""
        self._splitter = FrameSplitter()
        self._board = Board(
            self._plant,
            send=lambda frame: send(encode(frame)),
            boot_nonce=NO_NONCE + 1 + secrets.randbelow(0xFFFF_FFFF),
            watchdog_ms=self._watchdog_ms,
            watchdog_range_ms=self._watchdog_range_ms,
            reset_cause=self.reset_cause,
            protocol_major=self._protocol_major,
            trigger=self._trigger,
            patient=self._patient,
        )

    def receive(self, data: bytes, now_s: float, /) -> None:
        """Act on every whole frame."""
        for frame in self._splitter.feed(data):
            self._board.receive(frame, now_s)

    def tick(self, now_s: float, /) -> None:
        """Let motions end and the watchdog run out."""
        self._board.tick(now_s)

    def next_event_s(self) -> float | None:
        """Return when one of these is due."""
        return self._board.next_event_s()

    def power_off(self, now_s: float, /) -> None:
        """Stop and go dark."""
        self._board.power_off(now_s)

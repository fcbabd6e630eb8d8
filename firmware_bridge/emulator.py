"""A board on a real pseudo-terminal: the bytes, the timing and the watchdog of firmware.

It runs in a thread of the host process that sleeps in `select` until bytes come or the board has
something due. Whoever opens `port` cannot tell it from a board on a cable.
"""

from __future__ import annotations

import os
import secrets
import select
import threading
import tty
from collections.abc import Callable
from queue import Empty, SimpleQueue

from firmware_bridge.board import Board
from firmware_bridge.clock import Clock
from firmware_bridge.codec import Frame, FrameSplitter, encode
from firmware_bridge.plant import Plant
from firmware_bridge.protocol import NO_NONCE, PROTOCOL_MAJOR, ResetCause

READ_CHUNK = 4096
JOIN_TIMEOUT_S = 2.0


class BoardEmulator:
    """An emulated board driving `plant`. Use as a context manager, or `start` and `stop`."""

    def __init__(
        self,
        plant: Plant,
        *,
        clock: Clock,
        watchdog_ms: int = 500,
        watchdog_range_ms: tuple[int, int] = (100, 5000),
        protocol_major: int = PROTOCOL_MAJOR,
    ) -> None:
        self._plant, self._clock = plant, clock
        self._watchdog_ms, self._watchdog_range_ms = watchdog_ms, watchdog_range_ms
        self._protocol_major = protocol_major
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.port = os.ttyname(self._slave)
        self._wake_read, self._wake_write = os.pipe()
        self._orders: SimpleQueue[Callable[[], bool]] = SimpleQueue()
        self._splitter = FrameSplitter()
        self._board = self._boot(ResetCause.POWER_ON)
        self._thread = threading.Thread(target=self._run, name=f"board {self.port}", daemon=True)

    def __enter__(self) -> BoardEmulator:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Power the board on."""
        self._thread.start()

    def stop(self) -> None:
        """Power it off and take the port away. Call it once."""
        self._order(self._power_off)
        self._thread.join(JOIN_TIMEOUT_S)
        for descriptor in (self._master, self._slave, self._wake_read, self._wake_write):
            os.close(descriptor)

    def reboot(self, cause: ResetCause = ResetCause.BROWN_OUT) -> None:
        """Reset the board as a dip of its supply would; returns when it has restarted."""
        restarted = threading.Event()

        def restart() -> bool:
            self._board.power_off(self._clock.now_s())
            self._splitter.reset()
            self._board = self._boot(cause)
            restarted.set()
            return True

        self._order(restart)
        restarted.wait(JOIN_TIMEOUT_S)

    def _order(self, order: Callable[[], bool]) -> None:
        self._orders.put(order)
        os.write(self._wake_write, b"o")

    def _power_off(self) -> bool:
        self._board.power_off(self._clock.now_s())
        return False

    def _boot(self, cause: ResetCause) -> Board:
        return Board(
            self._plant,
            send=self._transmit,
            boot_nonce=NO_NONCE + 1 + secrets.randbelow(0xFFFF_FFFF),
            watchdog_ms=self._watchdog_ms,
            watchdog_range_ms=self._watchdog_range_ms,
            reset_cause=cause,
            protocol_major=self._protocol_major,
        )

    def _transmit(self, frame: Frame) -> None:
        try:
            os.write(self._master, encode(frame))
        except BlockingIOError:
            return  # Nobody reads the line: a serial transmitter would not wait either.

    def _run(self) -> None:
        powered = True
        while powered:
            due_s = self._board.next_event_s()
            wait_s = None if due_s is None else max(0.0, due_s - self._clock.now_s())
            ready, _, _ = select.select([self._master, self._wake_read], [], [], wait_s)
            if self._master in ready:
                for frame in self._splitter.feed(os.read(self._master, READ_CHUNK)):
                    self._board.receive(frame, self._clock.now_s())
            self._board.tick(self._clock.now_s())
            if self._wake_read in ready:
                powered = self._obey()

    def _obey(self) -> bool:
        os.read(self._wake_read, READ_CHUNK)
        powered = True
        while True:
            try:
                powered = self._orders.get_nowait()() and powered
            except Empty:
                return powered

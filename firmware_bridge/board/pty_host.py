"""A board on a real pseudo-terminal: the bytes and the timing of firmware.

It runs in a thread of the host process that sleeps in `select` until bytes come or the board has
something due. Whoever opens `port` cannot tell it from a board on a cable.
"""

from __future__ import annotations

import os
import select
import threading
import tty
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Protocol

from firmware_bridge.clock import MonotonicClock

READ_CHUNK = 4096
LOOK_S = 0.1

Send = Callable[[bytes], None]


class Firmware(Protocol):
    """What runs on an emulated board; called from one thread only."""

    def power_on(self, send: Send, now_s: float, /) -> None:
        """Boot; `send` puts bytes on the line."""

    def receive(self, data: bytes, now_s: float, /) -> None:
        """Take in what arrived at the serial receiver."""

    def tick(self, now_s: float, /) -> None:
        """Let time pass."""

    def next_event_s(self) -> float | None:
        """Return when `tick` must be called next, or None while nothing is pending."""

    def power_off(self, now_s: float, /) -> None:
        """Lose the supply: everything dark, all that is not in EEPROM forgotten."""


class PtyHost:
    """An emulated board on `port`. Use as a context manager, or `start` and `stop`."""

    def __init__(self, firmware: Firmware, *, clock: MonotonicClock) -> None:
        self._firmware, self._clock = firmware, clock
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.port = os.ttyname(self._slave)
        self._wake_read, self._wake_write = os.pipe()
        self._orders: SimpleQueue[Callable[[], bool]] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=f"board {self.port}", daemon=True)
        self._stopped = False

    def __enter__(self) -> PtyHost:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Power the board on."""
        self._thread.start()

    def stop(self) -> None:
        """Power it off and take the port away, as a plug that is pulled; then do nothing more."""
        if self._stopped:
            return
        self._stopped = True
        self._order(lambda: False)
        self._thread.join()  # however late: it reads from what is closed next
        for descriptor in (self._master, self._slave, self._wake_read, self._wake_write):
            os.close(descriptor)

    def reset(self) -> None:
        """Press the reset button; returns when the board has restarted."""
        self.do(self._restart)

    def replace(self, firmware: Firmware) -> None:
        """Put another board in its place; returns when that one runs."""

        def swap(now_s: float) -> None:
            self._firmware.power_off(now_s)
            self._firmware = firmware
            firmware.power_on(self._transmit, now_s)

        self.do(swap)

    def do(self, action: Callable[[float], None]) -> None:
        """Run `action(now_s)` on the board's own thread and wait for it. What asks on that thread,
        from within the board, cannot wait: it is done when the board has done what it is at.
        """
        done = threading.Event()

        def order() -> bool:
            action(self._clock.now_s())
            done.set()
            return True

        self._order(order)
        if threading.current_thread() is self._thread:
            return
        while not done.wait(LOOK_S) and self._thread.is_alive():
            pass

    def _restart(self, now_s: float) -> None:
        self._firmware.power_off(now_s)
        self._firmware.power_on(self._transmit, now_s)

    def _order(self, order: Callable[[], bool]) -> None:
        self._orders.put(order)
        os.write(self._wake_write, b"o")

    def _transmit(self, data: bytes) -> None:
        try:
            os.write(self._master, data)
        except BlockingIOError:
            return  # Nobody reads the line: a serial transmitter would not wait either.

    def _run(self) -> None:
        self._firmware.power_on(self._transmit, self._clock.now_s())
        powered = True
        while powered:
            due_s = self._firmware.next_event_s()
            wait_s = None if due_s is None else max(0.0, due_s - self._clock.now_s())
            ready, _, _ = select.select([self._master, self._wake_read], [], [], wait_s)
            if self._master in ready:
                self._firmware.receive(os.read(self._master, READ_CHUNK), self._clock.now_s())
            self._firmware.tick(self._clock.now_s())
            if self._wake_read in ready:
                powered = self._obey()
        self._firmware.power_off(self._clock.now_s())

    def _obey(self) -> bool:
        os.read(self._wake_read, READ_CHUNK)
        powered = True
        while True:
            try:
                powered = self._orders.get_nowait()() and powered
            except Empty:
                return powered

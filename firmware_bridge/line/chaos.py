"""A bad cable: a pseudo-terminal in front of a real port that damages what passes, by a seed.

Tests prove recovery with it; users find out with it how bad a line their instrument survives.
"""

from __future__ import annotations

import os
import select
import tempfile
import threading
import tty
from collections.abc import Callable
from pathlib import Path
from queue import Empty, SimpleQueue

from firmware_bridge.clock import MonotonicClock
from firmware_bridge.line.faults import Faults, Lane
from firmware_bridge.line.transport import open_port

READ_CHUNK = 4096
LOOK_S = 0.1
Tap = Callable[[str, bytes], None]


class ChaosProxy:
    """Stands between a host, which opens `port`, and the board on `upstream`.

    `port` is a stable name, like those under /dev/serial/by-id: it vanishes when the line closes
    and is back when it reopens. `tap` is called with "host" or "board" and the undamaged bytes
    that one sent. Use as a context manager, or `start` and `stop`. Raises PortAbsent or PortBusy.
    """

    def __init__(
        self,
        upstream: str,
        *,
        clock: MonotonicClock,
        faults: Faults | None = None,
        seed: int = 0,
        tap: Tap | None = None,
    ) -> None:
        self._faults = faults or Faults()
        self._clock, self._tap = clock, tap
        self._board = open_port(upstream)
        self._folder = Path(tempfile.mkdtemp(prefix="serial-"))
        self.port = str(self._folder / "line")
        self._to_board = Lane(self._faults, seed=f"{seed} to board")
        self._to_host = Lane(self._faults, seed=f"{seed} to host")
        self._reopens_s = float("inf")
        self._master: int | None = None
        self._slave: int | None = None
        self._wake_read, self._wake_write = os.pipe()
        self._orders: SimpleQueue[tuple[Callable[[], None], threading.Event]] = SimpleQueue()
        self._running = True
        self._plug_in()
        self._thread = threading.Thread(target=self._run, name=f"chaos {upstream}", daemon=True)

    def __enter__(self) -> ChaosProxy:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def damaged(self) -> int:
        """Return how many bytes were dropped, duplicated or flipped."""
        return self._to_board.damaged + self._to_host.damaged

    def start(self) -> None:
        """Begin to pass bytes."""
        self._thread.start()

    def stop(self) -> None:
        """Close the line for good and release the board's port. Call it once."""
        self._order(self._end)
        self._thread.join()  # however late: it reads from what is closed next
        self._board.close()
        os.close(self._wake_read)
        os.close(self._wake_write)
        self._folder.rmdir()

    def close_line(self) -> None:
        """Pull the plug: the port vanishes under whoever has it open."""
        self._order(self._unplug)

    def reopen_line(self) -> None:
        """Put the plug back."""
        self._order(self._plug_in)

    def _order(self, order: Callable[[], None]) -> None:
        """Have the proxy's thread do something and wait until it has."""
        done = threading.Event()
        self._orders.put((order, done))
        os.write(self._wake_write, b"o")
        while not done.wait(LOOK_S) and self._thread.is_alive():
            pass

    def _end(self) -> None:
        self._running = False
        self._unplug()

    def _plug_in(self) -> None:
        self._reopens_s = float("inf")
        if self._master is None:
            self._master, self._slave = os.openpty()
            tty.setraw(self._slave)
            os.set_blocking(self._master, False)
            Path(self.port).symlink_to(os.ttyname(self._slave))

    def _unplug(self) -> None:
        if self._master is not None and self._slave is not None:
            Path(self.port).unlink()
            os.close(self._slave)
            os.close(self._master)
        self._master = self._slave = None
        self._to_board.clear()
        self._to_host.clear()

    def _run(self) -> None:
        try:
            while self._running:
                self._serve()
        except OSError:  # the board's own port went away: to the host, the plug was pulled
            self._unplug()

    def _serve(self) -> None:
        sources = [self._wake_read, self._board.fileno()]
        if self._master is not None:
            sources.append(self._master)
        ready, _, _ = select.select(sources, [], [], self._pause_s())
        if self._board.fileno() in ready:
            self._pass_on("board", self._board.fileno(), self._to_host)
        if self._master is not None and self._master in ready:
            self._pass_on("host", self._master, self._to_board)
        self._deliver()
        if self._clock.now_s() >= self._reopens_s:
            self._plug_in()
        if self._wake_read in ready:
            self._obey()

    def _pause_s(self) -> float | None:
        due_s = min(self._to_board.due_s, self._to_host.due_s, self._reopens_s)
        return None if due_s == float("inf") else max(0.0, due_s - self._clock.now_s())

    def _pass_on(self, sender: str, source: int, lane: Lane) -> None:
        data = os.read(source, READ_CHUNK)
        if self._tap is not None:
            self._tap(sender, data)
        if self._master is None:
            return  # nobody is plugged in
        now_s = self._clock.now_s()
        if lane.put(data, now_s):
            self._unplug()
            self._reopens_s = now_s + self._faults.reopen_s

    def _deliver(self) -> None:
        now_s = self._clock.now_s()
        to_board, to_host = self._to_board.take(now_s), self._to_host.take(now_s)
        if to_board:
            _put(self._board.fileno(), to_board)
        if to_host and self._master is not None:
            _put(self._master, to_host)

    def _obey(self) -> None:
        os.read(self._wake_read, READ_CHUNK)
        while True:
            try:
                order, done = self._orders.get_nowait()
            except Empty:
                return
            order()
            done.set()


def _put(descriptor: int, data: bytes) -> None:
    try:
        os.write(descriptor, data)
    except BlockingIOError:
        return  # a full line loses bytes, like any other bad line

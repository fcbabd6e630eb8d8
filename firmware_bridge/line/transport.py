"""Bytes through one serial port. One thread owns the port from opening to closing.

Nobody else touches the file descriptor: writers hand bytes over, received bytes go to a callback,
and a port that vanishes says so once.
"""

from __future__ import annotations

import errno
import os
import select
import termios
import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue

import serial

from firmware_bridge.errors import PortAbsent, PortBusy

BAUD = 115200
READ_CHUNK = 4096
WRITE_TIMEOUT_S = 1.0
# Closing a USB port, the kernel waits for up to 30 s until what was written is out.
JOIN_TIMEOUT_S = 40.0
BUSY = (errno.EAGAIN, errno.EWOULDBLOCK, errno.EBUSY)


class Transport:
    """An open port. `received` and `lost` are called from the owner thread.

    `lost` is called at most once, with the reason, when the port fails without having been closed.
    """

    def __init__(
        self,
        port: str,
        *,
        received: Callable[[bytes], None],
        lost: Callable[[str], None],
        baud: int = BAUD,
        dtr: bool = True,
    ) -> None:
        self._serial = open_port(port, baud=baud, dtr=dtr)
        self._received, self._lost = received, lost
        self._outbox: SimpleQueue[bytes] = SimpleQueue()
        self._wake_read, self._wake_write = os.pipe()
        self._closing = self._gone = False
        self._handing_over = threading.Lock()
        self._owner = threading.Thread(target=self._own, name=f"serial {port}", daemon=True)
        self._owner.start()

    def write(self, data: bytes) -> None:
        """Hand bytes to the owner thread; returns at once. Bytes for a lost port vanish."""
        with self._handing_over:
            if not (self._gone or self._closing):
                self._outbox.put(data)
                os.write(self._wake_write, b"w")

    def close(self) -> None:
        """Send what was handed over, release the port and join its thread. Call it once."""
        with self._handing_over:  # a stop from another thread may come at any moment
            self._closing = True
            os.write(self._wake_write, b"c")
        self._owner.join(JOIN_TIMEOUT_S)
        os.close(self._wake_read)
        os.close(self._wake_write)

    def _own(self) -> None:
        try:
            while self._serve():
                pass
        except (OSError, termios.error) as failure:  # pyserial's own errors are OSErrors
            self._gone = True
            if not self._closing:
                self._lost(str(failure))
        finally:
            self._serial.close()

    def _serve(self) -> bool:
        port = self._serial.fileno()
        ready, _, _ = select.select([port, self._wake_read], [], [])
        if port in ready:
            self._received(self._serial.read(min(READ_CHUNK, max(1, self._serial.in_waiting))))
        if self._wake_read in ready:
            os.read(self._wake_read, READ_CHUNK)
            self._flush()
        return not self._closing

    def _flush(self) -> None:
        while True:
            try:
                data = self._outbox.get_nowait()
            except Empty:
                return
            self._serial.write(data)


def open_port(port: str, *, baud: int = BAUD, dtr: bool = True) -> serial.Serial:
    """Return the port, opened for us alone, 8N1 without flow control.

    DTR is held at `dtr` and hang-up-on-close is disabled, because an edge on DTR resets many
    boards. Raises PortAbsent or PortBusy.
    """
    line = serial.Serial(baudrate=baud, timeout=0, write_timeout=WRITE_TIMEOUT_S, exclusive=True)
    line.port, line.dtr = port, dtr
    try:
        line.open()
        _keep_dtr_on_close(line.fileno())
    except (OSError, termios.error) as failure:
        line.close()
        raise _refusal(port, failure) from None
    return line


def _keep_dtr_on_close(descriptor: int) -> None:
    attributes = termios.tcgetattr(descriptor)
    attributes[2] &= ~termios.HUPCL
    termios.tcsetattr(descriptor, termios.TCSANOW, attributes)


def _refusal(port: str, failure: Exception) -> PortAbsent | PortBusy:
    if getattr(failure, "errno", None) in BUSY:
        return PortBusy(
            "serial port in use",
            value=port,
            limit="one process",
            remedy="close the other program that holds it (lsof names it)",
        )
    if getattr(failure, "errno", None) == errno.EACCES:
        return PortAbsent(
            "serial port not permitted",
            value=port,
            remedy="give this user the port's group (often dialout) and log in again",
        )
    return PortAbsent(
        "serial port cannot be opened",
        value=port,
        remedy="check cable and power, and that settings name the right port",
    )

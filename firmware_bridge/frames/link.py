"""Frames over a port that can be opened again: the transport and the codec joined."""

from __future__ import annotations

from collections.abc import Callable

from firmware_bridge.frames.codec import DELIMITER, MAX_STUFFED, Frame, FrameSplitter, encode
from firmware_bridge.line.transport import Transport


class Link:
    """One serial line. `frame_came` and `line_lost` are called from the port's owner thread."""

    def __init__(
        self,
        port: str,
        *,
        frame_came: Callable[[Frame], None],
        line_lost: Callable[[], None],
    ) -> None:
        self.port = port
        self.lost_because = ""
        self._frame_came, self._line_lost = frame_came, line_lost
        self._splitter = FrameSplitter()
        self._transport: Transport | None = None

    @property
    def corrupt(self) -> int:
        """Return how many damaged frames were received and ignored."""
        return self._splitter.corrupt

    @property
    def lost(self) -> bool:
        """Return whether the port is closed or has vanished."""
        return self._transport is None or bool(self.lost_because)

    def open(self) -> None:
        """Open the port, closing it first if need be. Raises PortAbsent or PortBusy."""
        self.close()
        self._splitter.reset()
        self._transport = Transport(self.port, received=self._receive, lost=self._lose)

    def close(self) -> None:
        """Release the port; may be called twice."""
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.close()
        self.lost_because = ""

    def send(self, frame: Frame) -> None:
        """Send one frame; on a lost line it vanishes, as on any other bad line."""
        if self._transport is not None:
            self._transport.write(encode(frame))

    def resynchronise(self) -> None:
        """End any frame the board has received in part."""
        if self._transport is not None:
            self._transport.write(DELIMITER * MAX_STUFFED)

    def _receive(self, data: bytes) -> None:
        for frame in self._splitter.feed(data):
            self._frame_came(frame)

    def _lose(self, reason: str) -> None:
        self.lost_because = reason or "the port closed"
        self._line_lost()

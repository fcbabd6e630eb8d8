"""The line between the service and the process that has the instrument open.

Orders go one way and answers the other, each a line of JSON; behind an answer that says so comes a
picture. Either end that is gone is an end of file for the other.
"""

from __future__ import annotations

import json
import select
import socket
from contextlib import suppress
from typing import Any

Message = dict[str, Any]


class OrderLine:
    """One end of a line, of a pair of connected sockets."""

    def __init__(self, end: socket.socket) -> None:
        self._end, self._heard = end, end.makefile("rb")

    def tell(self, message: Message, content: bytes = b"") -> None:
        """Send a message, and what belongs to it. Raises OSError where nobody is there."""
        line = json.dumps(message | {"bytes": len(content)}).encode()
        self._end.sendall(line + b"\n" + content)

    def hear(self, *, within_s: float | None = None) -> tuple[Message, bytes]:
        """Return the next message and what belongs to it.

        Raises EOFError where the other end is gone, TimeoutError when it says nothing in time;
        after that the line is of no more use.
        """
        self._end.settimeout(within_s)
        line = self._heard.readline()
        if not line.endswith(b"\n"):
            raise EOFError("the line ended")
        message: Message = json.loads(line)
        content = self._heard.read(message["bytes"])
        if len(content) < message["bytes"]:
            raise EOFError("the line ended within a picture")
        return message, content

    def waits(self) -> bool:
        """Return whether there is something to hear, be it that the other end is gone."""
        return bool(select.select([self._end], [], [], 0)[0])

    def let_go(self) -> None:
        """Have the other end hear that there are no more orders."""
        with suppress(OSError):  # it went first
            self._end.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Give the line back."""
        self._heard.close()
        self._end.close()

"""What a service tells systemd: that it is ready, that it is alive, what it does (sd_notify(3))."""

from __future__ import annotations

import os
import socket
from contextlib import suppress

SOCKET = "NOTIFY_SOCKET"


def tell(**fields: str | int) -> bool:
    """Send fields as READY=1; return whether anybody listens. One that is gone is nobody."""
    address = os.environ.get(SOCKET, "")
    if not address.startswith(("/", "@")):
        return False
    message = "\n".join(f"{name}={value}" for name, value in fields.items()).encode()
    where = "\0" + address[1:] if address.startswith("@") else address
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as connection:
        connection.setblocking(False)
        connection.sendto(message, where)
        return True
    return False

"""How settings name a board: by its port, its USB serial number, its own id, or not at all.

A pin is `serial:NUMBER` for the serial number in the USB descriptor, `id:NAME` for the board's
unique id, "auto" for the only board there is, or the path of a port.
"""

from __future__ import annotations

import os

from firmware_bridge.find.likely import likely_ports
from firmware_bridge.line.inventory import PortRecord

SERIAL_PIN, ID_PIN, AUTO = "serial:", "id:", "auto"


def candidates(pin: str) -> list[PortRecord]:
    """Return the ports on which the board may be, the likeliest first; of a path, just that."""
    known = likely_ports()
    if pin.startswith(SERIAL_PIN):
        return [port for port in known if port.serial_number == pin.removeprefix(SERIAL_PIN)]
    if pin == AUTO or pin.startswith(ID_PIN):
        return known
    device = os.path.realpath(pin)
    found = next((port for port in known if os.path.realpath(port.device) == device), None)
    return [PortRecord(device=pin) if found is None else found.at(pin)]


def fits(pin: str, *, unique_id: str | None) -> bool:
    """Return whether the board found on one of the candidates is the one meant."""
    if not pin.startswith(ID_PIN):
        return True
    # Without regard to case: GRBL keeps the name it is given in capitals.
    return unique_id is not None and unique_id.casefold() == pin.removeprefix(ID_PIN).casefold()


def known_port(pin: str) -> str | None:
    """Return the port a pin means if that can be told without asking any board, or None."""
    if pin == AUTO or pin.startswith(ID_PIN):
        return None
    if not pin.startswith(SERIAL_PIN):
        return pin
    ports = candidates(pin)
    return ports[0].stable_name if len(ports) == 1 else None

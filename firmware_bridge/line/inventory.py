"""The serial ports of this computer and what their USB descriptors say."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

from serial.tools import list_ports

BY_ID = Path("/dev/serial/by-id")


@dataclass(frozen=True, slots=True, kw_only=True)
class PortRecord:
    """One serial port; `serial_number` is the USB descriptor's, None for other ports."""

    device: str
    vendor_id: int | None = None
    product_id: int | None = None
    serial_number: str | None = None
    description: str = ""

    def at(self, device: str) -> PortRecord:
        """Return the same port under another of its names."""
        return replace(self, device=device)

    @property
    def stable_name(self) -> str:
        """Return the name that stays when the board is plugged in again, where udev gives one."""
        links = sorted(BY_ID.glob("*")) if BY_ID.is_dir() else []
        target = os.path.realpath(self.device)
        return next((str(link) for link in links if os.path.realpath(link) == target), self.device)


def serial_ports() -> list[PortRecord]:
    """Return this computer's serial ports."""
    return [
        PortRecord(
            device=port.device,
            vendor_id=port.vid,
            product_id=port.pid,
            serial_number=port.serial_number,
            description=port.description or "",
        )
        for port in list_ports.comports()
    ]


def usb_serial_number(device: str) -> str | None:
    """Return the USB serial number of a port, or None when it has none."""
    target = os.path.realpath(device)
    ports = (p for p in serial_ports() if os.path.realpath(p.device) == target)
    return next((port.serial_number for port in ports), None)

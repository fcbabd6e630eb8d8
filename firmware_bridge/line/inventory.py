"""The serial ports of this computer and what their USB descriptors say."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

from serial.tools import list_ports

# Vendor and product numbers of boards met in the field, by the driver tried first. They order the
# candidates and decide nothing: clones share them, and one chip carries many firmwares.
LIKELY: dict[tuple[int, int], str] = {
    (0x16C0, 0x0483): "illuminate",  # Teensy, USB serial
    (0x2341, 0x8036): "sangaboard",  # Arduino Leonardo: Sangaboard v0.3
    (0x2E8A, 0x0005): "sangaboard",  # RP2040: Sangaboard v0.5
    (0x2E8A, 0x000A): "sangaboard",
    (0x2341, 0x0043): "grbl",  # Arduino Uno
    (0x2341, 0x0010): "native",  # Arduino Mega 2560
    (0x2341, 0x0042): "native",
}
BY_ID = Path("/dev/serial/by-id")
BRIDGE_VENDORS = (0x1A86, 0x0403, 0x10C4, 0x067B)  # CH340, FTDI, CP210x, PL2303: any board


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

    @property
    def likely_driver(self) -> str | None:
        """Return the driver to try first, guessed from the USB descriptor."""
        if self.vendor_id is None or self.product_id is None:
            return None
        return LIKELY.get((self.vendor_id, self.product_id))

    @property
    def rank(self) -> int:
        """Return 0 for a known board, 1 for a USB bridge, 2 for other USB, 3 for the rest."""
        if self.likely_driver is not None:
            return 0
        if self.vendor_id is None:
            return 3
        return 1 if self.vendor_id in BRIDGE_VENDORS else 2


def list_serial_ports() -> list[PortRecord]:
    """Return this computer's serial ports, the likeliest boards first."""
    found = [
        PortRecord(
            device=port.device,
            vendor_id=port.vid,
            product_id=port.pid,
            serial_number=port.serial_number,
            description=port.description or "",
        )
        for port in list_ports.comports()
    ]
    return sorted(found, key=lambda port: (port.rank, port.device))


def usb_serial_number(device: str) -> str | None:
    """Return the USB serial number of a port, or None when it has none."""
    target = os.path.realpath(device)
    ports = (p for p in list_serial_ports() if os.path.realpath(p.device) == target)
    return next((port.serial_number for port in ports), None)

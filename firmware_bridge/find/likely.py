"""The order in which ports and brands are tried. USB descriptors decide the order, and nothing
else: clones share vendor and product numbers, and one chip carries many firmwares.
"""

from __future__ import annotations

from firmware_bridge.drivers.brand import Brand
from firmware_bridge.drivers.registry import BRANDS
from firmware_bridge.line.inventory import PortRecord, serial_ports

BRIDGE_VENDORS = (0x1A86, 0x0403, 0x10C4, 0x067B)  # CH340, FTDI, CP210x, PL2303: any board


def likely_brands(port: PortRecord) -> list[Brand]:
    """Return every brand, those first whose USB numbers the port has."""
    return sorted(BRANDS, key=lambda row: not _known(port, row))


def rank(port: PortRecord) -> int:
    """Return 0 for a known board, 1 for a USB bridge, 2 for other USB, 3 for the rest."""
    if any(_known(port, row) for row in BRANDS):
        return 0
    if port.vendor_id is None:
        return 3
    return 1 if port.vendor_id in BRIDGE_VENDORS else 2


def likely_ports() -> list[PortRecord]:
    """Return this computer's serial ports, the likeliest boards first."""
    return sorted(serial_ports(), key=lambda port: (rank(port), port.device))


def _known(port: PortRecord, row: Brand) -> bool:
    return (port.vendor_id, port.product_id) in row.greeting.usb_ids

"""Every brand of board that can be driven: a row a brand, in the order in which they are asked."""

from __future__ import annotations

from firmware_bridge.drivers.brand import Brand, Greeting
from firmware_bridge.drivers.grbl.board import GrblBoard, GrblOptions, grbl_firmware
from firmware_bridge.drivers.illuminate.board import (
    IlluminateBoard,
    IlluminateOptions,
    illuminate_firmware,
)
from firmware_bridge.drivers.native.board import NativeBoard, NativeOptions
from firmware_bridge.drivers.native.greeting import hello, native_firmware
from firmware_bridge.drivers.sangaboard.board import (
    SangaboardBoard,
    SangaboardOptions,
    sangaboard_firmware,
)
from firmware_bridge.errors import FirmwareIncompatible

# Questions begin with a line end, so that no board joins one to what it heard before. The USB
# numbers are those of boards met in the field.
BRANDS = (
    Brand(
        name="native",
        versions="protocol 1",
        parts={"stage": "yes", "light": "yes", "turret": "yes"},
        dark_after="500 ms after the last heartbeat",
        greeting=Greeting(
            data=hello(),
            shown="HELLO",
            firmware=native_firmware,
            usb_ids=((0x2341, 0x0010), (0x2341, 0x0042)),  # Arduino Mega 2560
        ),
        options=NativeOptions,
        opener=NativeBoard.open,
    ),
    Brand(
        name="sangaboard",
        versions="v0.4, v1",
        parts={"stage": "yes", "light": "v1 with LED channels"},
        dark_after=None,
        greeting=Greeting(
            data=b"\nversion\n",
            shown="version",
            firmware=sangaboard_firmware,
            # Arduino Leonardo (Sangaboard v0.3), RP2040 (v0.5) twice.
            usb_ids=((0x2341, 0x8036), (0x2E8A, 0x0005), (0x2E8A, 0x000A)),
        ),
        options=SangaboardOptions,
        opener=SangaboardBoard.open,
    ),
    Brand(
        name="grbl",
        versions="1.1",
        parts={"stage": "yes", "light": "spindle output"},
        dark_after=None,
        greeting=Greeting(
            data=b"\n$I\n",
            shown="$I",
            firmware=grbl_firmware,
            usb_ids=((0x2341, 0x0043),),  # Arduino Uno
        ),
        options=GrblOptions,
        opener=GrblBoard.open,
    ),
    Brand(
        name="illuminate",
        versions="2019 and later",
        parts={"light": "yes"},
        dark_after=None,
        greeting=Greeting(
            data=b"\nversion\n",
            shown="version",
            firmware=illuminate_firmware,
            usb_ids=((0x16C0, 0x0483),),  # Teensy
        ),
        options=IlluminateOptions,
        opener=IlluminateBoard.open,
    ),
)


def names() -> tuple[str, ...]:
    """Return the names of all brands: what a driver may be called."""
    return tuple(row.name for row in BRANDS)


def brand(name: str) -> Brand:
    """Return the row of a name. Raises FirmwareIncompatible, which lists the names there are."""
    for row in BRANDS:
        if row.name == name:
            return row
    raise FirmwareIncompatible(
        "unknown driver", value=name, limit=", ".join(names()), remedy="name one of them"
    )

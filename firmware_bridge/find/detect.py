"""Which board is on which port: descriptors order the candidates, the handshake decides.

Probing opens each port for itself alone and asks only what moves nothing. A native board that is
greeted goes dark, and a board that resets when its port is opened restarts.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

from firmware_bridge.clock import MonotonicClock
from firmware_bridge.drivers.brand import PARTS, Brand
from firmware_bridge.drivers.registry import BRANDS, brand
from firmware_bridge.errors import BridgeError, PortAbsent, Rejected
from firmware_bridge.find.likely import likely_brands, likely_ports
from firmware_bridge.find.pins import AUTO, candidates, fits, known_port
from firmware_bridge.line.inventory import PortRecord
from firmware_bridge.line.transport import Transport

LISTEN_S = 0.1
ANSWER_S = 0.15
POLL_S = 0.005
# A board that the opening has reset sits in its boot loader for up to two seconds.
ROUNDS = 4
# What is kept of a chatty port.
HEARD_BYTES = 16_384


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """The brand of the board that answered, and the firmware it names."""

    brand: Brand
    firmware: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PortFinding:
    """What was found on one port.

    `driver` is None when no board was recognised, and then `rejected` says why for every driver;
    with a driver, `rejected` holds the reason why the board cannot be used, if there is one. A port
    or board that refused did so by `refusal`.
    `failsafe` tells whether the board goes dark by itself when this computer dies.
    """

    port: PortRecord
    driver: str | None = None
    firmware: str = ""
    unique_id: str | None = None
    failsafe: bool | None = None
    offers: tuple[str, ...] = ()
    rejected: tuple[str, ...] = ()
    refusal: BridgeError | None = None

    @property
    def usable(self) -> bool:
        """Return whether the board opened and can be driven."""
        return self.driver is not None and not self.rejected

    @property
    def summary(self) -> str:
        """Return what the board is, in a few words."""
        return f"{self.driver} with {', '.join(self.offers) or 'nothing'}, id {self.unique_id}"


def probe(pins: Sequence[str] | None = None, *, clock: MonotonicClock) -> list[PortFinding]:
    """Return one finding a port, likeliest first; every serial port unless some are pinned.

    A pin that fits no port is a finding too.
    """
    if pins is None:
        return [probe_port(record, clock=clock) for record in likely_ports()]
    return [finding for pin in pins for finding in _pinned(pin, clock)]


def _pinned(pin: str, clock: MonotonicClock) -> list[PortFinding]:
    found = [probe_port(record, clock=clock) for record in candidates(pin)]
    fitting = [finding for finding in found if fits(pin, unique_id=finding.unique_id)]
    reason = "no serial port fits" if not found else "no board found has this id"
    return fitting or [PortFinding(port=PortRecord(device=pin), rejected=(reason,))]


def probe_port(port: PortRecord, *, clock: MonotonicClock) -> PortFinding:
    """Return what is on one port; a port that cannot be opened is a finding too."""
    try:
        identity = _handshake(port, clock)
    except BridgeError as refusal:
        return PortFinding(port=port, rejected=(str(refusal),), refusal=refusal)
    if identity is None:
        asked = likely_brands(port)
        reasons = (f"{row.name}: no answer to {row.greeting.shown}" for row in asked)
        return PortFinding(port=port, rejected=tuple(reasons))
    return _describe(port, identity, clock)


def identify(heard: bytes) -> Identity | None:
    """Return which board the bytes heard so far prove, or None."""
    for row in BRANDS:
        firmware = row.greeting.firmware(heard)
        if firmware is not None:
            return Identity(brand=row, firmware=firmware)
    return None


def resolve(
    pin: str, *, clock: MonotonicClock, driver: str = AUTO, offering: str = ""
) -> PortFinding:
    """Return the usable board that a pin means (see `pins`).

    `driver` and `offering` ("stage", "light") pass over boards of other kinds. Raises PortAbsent
    when no usable board fits, naming why, or what the one port said that is meant, and Rejected
    ("ambiguous") when more than one fits.
    """
    found = [probe_port(record, clock=clock) for record in candidates(pin)]
    fitting = [
        finding
        for finding in found
        if finding.usable
        and fits(pin, unique_id=finding.unique_id)
        and driver in (AUTO, finding.driver)
        and (not offering or offering in finding.offers)
    ]
    if len(fitting) > 1:
        raise Rejected(
            "more than one board fits",
            code="ambiguous",
            value=pin,
            limit=", ".join(finding.port.device for finding in fitting),
            remedy="pin the board by its USB serial number or unique id",
        )
    if not fitting:
        raise _none_fits(pin, found)
    return fitting[0]


def _none_fits(pin: str, found: Sequence[PortFinding]) -> BridgeError:
    """Return what is wrong, with what to do said once: as a port has it, if that alone is meant."""
    refusals = [finding.refusal for finding in found if finding.refusal is not None]
    if refusals and known_port(pin) is not None:
        return refusals[0]
    reasons = [f"{f.port.device}: {'; '.join(f.rejected) or f.summary}" for f in found]
    return PortAbsent(
        "no usable board fits",
        value=pin,
        limit=" | ".join(reasons) or "no such port",
        remedy="check cable and power; `nightscope bridge probe` lists every port",
    )


def locate(
    pin: str, *, clock: MonotonicClock, driver: str = AUTO, offering: str = ""
) -> tuple[str, str]:
    """Return the port and the driver of the board that a pin and a driver's name mean.

    Nothing is asked of a board that these two name already. Raises as `resolve` does, and
    FirmwareIncompatible for an unknown driver.
    """
    if driver != AUTO:
        brand(driver)
    if driver != AUTO and (port := known_port(pin)) is not None:
        return port, driver
    found = resolve(pin, clock=clock, driver=driver, offering=offering)
    return found.port.stable_name, found.driver or driver


class _Ear:
    """What has come in on a port since it was opened, up to HEARD_BYTES."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._heard = b""
        self.lost = ""

    def receive(self, data: bytes) -> None:
        with self._lock:
            self._heard = (self._heard + data)[-HEARD_BYTES:]

    def lose(self, reason: str) -> None:
        self.lost = reason

    @property
    def heard(self) -> bytes:
        with self._lock:
            return self._heard


def _handshake(port: PortRecord, clock: MonotonicClock) -> Identity | None:
    """Listen for a boot banner, then send each brand's greeting in turn. Raises PortAbsent,
    PortBusy.
    """
    ear = _Ear()
    transport = Transport(port.device, received=ear.receive, lost=ear.lose)
    try:
        identity = _listen(ear, LISTEN_S, clock)
        for _ in range(ROUNDS):
            for row in likely_brands(port):
                if identity is not None or ear.lost:
                    return identity
                transport.write(row.greeting.data)
                identity = _listen(ear, ANSWER_S, clock)
        return identity
    finally:
        transport.close()


def _listen(ear: _Ear, duration_s: float, clock: MonotonicClock) -> Identity | None:
    end_s = clock.now_s() + duration_s
    while True:
        identity = identify(ear.heard)
        if identity is not None or clock.now_s() >= end_s:
            return identity
        clock.sleep(duration_s=POLL_S)


def _describe(port: PortRecord, identity: Identity, clock: MonotonicClock) -> PortFinding:
    try:
        board = identity.brand.open(port.device, clock=clock)
    except BridgeError as refusal:
        return PortFinding(
            port=port,
            driver=identity.brand.name,
            firmware=identity.firmware,
            rejected=(str(refusal),),
            refusal=refusal,
        )
    try:
        return PortFinding(
            port=port,
            driver=identity.brand.name,
            firmware=identity.firmware,
            unique_id=board.unique_id,
            failsafe=board.failsafe,
            offers=tuple(part for part in PARTS if getattr(board, part) is not None),
        )
    finally:
        board.close()

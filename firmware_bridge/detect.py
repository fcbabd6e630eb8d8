"""Which board is on which port: descriptors order the candidates, the handshake decides.

Probing opens each port for itself alone and asks only what moves nothing. A native board that is
greeted goes dark, and a board that resets when its port is opened restarts.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

from firmware_bridge.clock import Clock
from firmware_bridge.drivers.native import NativeBoard
from firmware_bridge.drivers.opening import OpenBoard, open_board
from firmware_bridge.errors import BridgeError, PortAbsent, Rejected
from firmware_bridge.handshake import Identity, identify, questions
from firmware_bridge.ports_inventory import PortRecord, list_serial_ports
from firmware_bridge.transport import Transport

LISTEN_S = 0.1
ANSWER_S = 0.15
POLL_S = 0.005
# A board that the opening has reset sits in its boot loader for up to two seconds.
ROUNDS = 4
# What is kept of a chatty port.
HEARD_BYTES = 16_384
SERIAL_PIN, ID_PIN = "serial:", "id:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one port turned out to be.

    `driver` is None when no board was recognised, and then `rejected` says why for every driver;
    with a driver, `rejected` holds the reason why the board cannot be used, if there is one.
    `failsafe` tells whether the board goes dark by itself when this computer dies.
    """

    port: PortRecord
    driver: str | None = None
    firmware: str = ""
    unique_id: str | None = None
    failsafe: bool | None = None
    offers: tuple[str, ...] = ()
    rejected: tuple[str, ...] = ()

    @property
    def usable(self) -> bool:
        """Return whether the board opened and can be driven."""
        return self.driver is not None and not self.rejected


def probe(ports: Sequence[str] | None = None, *, clock: Clock) -> list[Finding]:
    """Return one finding a port, likeliest first; every serial port unless some are named."""
    known = list_serial_ports()
    if ports is not None:
        records = {record.device: record for record in known}
        known = [records.get(port, PortRecord(device=port)) for port in ports]
    return [probe_port(record, clock=clock) for record in known]


def probe_port(port: PortRecord, *, clock: Clock) -> Finding:
    """Return what is on one port; a port that cannot be opened is a finding too."""
    try:
        identity = _handshake(port, clock)
    except BridgeError as refusal:
        return Finding(port=port, rejected=(str(refusal),))
    if identity is None:
        reasons = (f"{q.driver}: no answer to {q.shown}" for q in questions(port.likely_driver))
        return Finding(port=port, rejected=tuple(reasons))
    return _describe(port, identity, clock)


def resolve(pin: str, *, clock: Clock, ports: Sequence[str] | None = None) -> Finding:
    """Return the usable board that a setting pins.

    `pin` is `serial:NUMBER` for a USB serial number, `id:NAME` for a board's unique id, or a
    port's path. Raises PortAbsent when no usable board fits, naming why, and Rejected
    ("ambiguous") when more than one does.
    """
    if not pin.startswith((SERIAL_PIN, ID_PIN)):
        ports = [pin]
    elif pin.startswith(SERIAL_PIN) and ports is None:
        wanted = pin.removeprefix(SERIAL_PIN)
        ports = [p.device for p in list_serial_ports() if p.serial_number == wanted]
    found = probe(ports, clock=clock)
    fitting = [finding for finding in found if finding.usable and _fits(finding, pin)]
    if len(fitting) > 1:
        raise Rejected(
            "more than one board fits",
            code="ambiguous",
            value=pin,
            limit=", ".join(finding.port.device for finding in fitting),
            remedy="pin the board by its USB serial number or unique id",
        )
    if not fitting:
        reasons = [f"{f.port.device}: {'; '.join(f.rejected) or 'another board'}" for f in found]
        raise PortAbsent(
            "no usable board fits",
            value=pin,
            limit=" | ".join(reasons) or "no such port",
            remedy="check cable and power; `nightscope bridge probe` lists every port",
        )
    return fitting[0]


def _fits(finding: Finding, pin: str) -> bool:
    if pin.startswith(SERIAL_PIN):
        return finding.port.serial_number == pin.removeprefix(SERIAL_PIN)
    if pin.startswith(ID_PIN):
        return finding.unique_id == pin.removeprefix(ID_PIN)
    return finding.port.device == pin


class _Ear:
    """What a port has said since it was opened, up to HEARD_BYTES."""

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


def _handshake(port: PortRecord, clock: Clock) -> Identity | None:
    """Listen for a banner, then ask around. Raises PortAbsent, PortBusy."""
    ear = _Ear()
    transport = Transport(port.device, received=ear.receive, lost=ear.lose)
    try:
        identity = _listen(ear, LISTEN_S, clock)
        for _ in range(ROUNDS):
            for question in questions(port.likely_driver):
                if identity is not None or ear.lost:
                    return identity
                transport.write(question.data)
                identity = _listen(ear, ANSWER_S, clock)
        return identity
    finally:
        transport.close()


def _listen(ear: _Ear, duration_s: float, clock: Clock) -> Identity | None:
    end_s = clock.now_s() + duration_s
    while True:
        identity = identify(ear.heard)
        if identity is not None or clock.now_s() >= end_s:
            return identity
        clock.sleep(duration_s=POLL_S)


def _describe(port: PortRecord, identity: Identity, clock: Clock) -> Finding:
    try:
        board = open_board(port.device, driver=identity.driver, clock=clock)
    except BridgeError as refusal:
        return Finding(
            port=port,
            driver=identity.driver,
            firmware=identity.firmware,
            rejected=(str(refusal),),
        )
    parts = {"stage": board.stage, "light": board.light, "turret": board.turret}
    try:
        return Finding(
            port=port,
            driver=identity.driver,
            firmware=identity.firmware,
            unique_id=_unique_id(board),
            failsafe=board.failsafe,
            offers=tuple(name for name, part in parts.items() if part is not None),
        )
    finally:
        board.close()


def _unique_id(board: OpenBoard) -> str:
    return board.description.unique_id if isinstance(board, NativeBoard) else board.unique_id

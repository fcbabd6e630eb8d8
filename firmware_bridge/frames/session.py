"""Commands that happen exactly once over a line that loses and repeats bytes, or goes away.

When the line goes quiet the session climbs a ladder: bounded repetition, then resynchronisation,
then reopening with back-off, the last two ending in HELLO. The same boot nonce in the answer means
that outstanding ids can still be asked for; a new one that they cannot.

Methods may be called from several threads: a stop goes out while another thread waits for a move.
"""

from __future__ import annotations

import secrets
import threading

from firmware_bridge.clock import MonotonicClock
from firmware_bridge.errors import (
    BridgeError,
    DeviceRebooted,
    FirmwareIncompatible,
    LinkLost,
    PortAbsent,
    PortBusy,
    Rejected,
    ReplyTimeout,
    Stalled,
)
from firmware_bridge.frames.codec import Frame, FrameType
from firmware_bridge.frames.exchange import TRIES, Exchange
from firmware_bridge.frames.protocol import (
    NO_FLAGS,
    NO_NONCE,
    PROTOCOL_MAJOR,
    HelloReply,
    HelloRequest,
    Opcode,
    Reason,
    RequestFlag,
    State,
    unpack_reason,
)
from firmware_bridge.frames.ticket import Ticket
from firmware_bridge.line.backoff import attempts

RECOVERIES = 6
OUTCOME_LOST = "outcome-lost"


class BoardSession:
    """One conversation with one board; `hello` is how it introduced itself."""

    def __init__(
        self, port: str, *, clock: MonotonicClock, watchdog_ms: int = 500, reopen_s: float = 10.0
    ) -> None:
        self.recoveries = 0
        self._clock, self._reopen_s, self._port = clock, reopen_s, port
        self._recovery = threading.RLock()
        self._exchange = Exchange(port, clock=clock, watchdog_ms=watchdog_ms)
        self._exchange.link.open()
        try:
            self.hello = self._first_contact()
        except BridgeError:
            self._exchange.link.close()
            raise

    @property
    def corrupt(self) -> int:
        """Return how many damaged frames came in."""
        return self._exchange.link.corrupt

    @property
    def retries(self) -> int:
        """Return how many frames were sent more than once."""
        return self._exchange.retries

    @property
    def state(self) -> State:
        """Return the board's state, from its last frame."""
        return self._exchange.state

    def call(
        self,
        opcode: Opcode,
        payload: bytes = b"",
        *,
        urgent: bool = False,
        flags: RequestFlag = NO_FLAGS,
    ) -> Frame:
        """Return the outcome of one command, DONE or REJECTED. See `finish` for errors."""
        return self.finish(self.start(opcode, payload, urgent=urgent, flags=flags))

    def start(
        self,
        opcode: Opcode,
        payload: bytes = b"",
        *,
        urgent: bool = False,
        flags: RequestFlag = NO_FLAGS,
    ) -> Ticket:
        """Send one command and return its ticket without waiting.

        Raises Rejected ("queue-full") when the board could not remember one more outcome.
        """
        ticket = self._exchange.ticket(opcode, payload, urgent=urgent, flags=flags)
        self._exchange.send(ticket)
        return ticket

    def finish(self, ticket: Ticket) -> Frame:
        """Wait for a command's outcome, feeding the watchdog meanwhile, and return it.

        Raises LinkLost or ReplyTimeout when every recovery failed, DeviceRebooted when the board
        restarted, Stalled when a motion did not end, Rejected ("outcome-lost") when another host
        took the board over in between.
        """
        try:
            for _ in range(RECOVERIES):
                reply = self._exchange.wait(ticket)
                if reply is not None and not _asks_for_hello(reply):
                    return reply
                if ticket.overdue(self._clock.now_s()):
                    raise self._stalled(ticket)
                if ticket.failure is None:
                    self._recover()
                if ticket.failure is not None:
                    raise ticket.failure
                ticket.tries = 0
                self._exchange.send(ticket)
            raise self._silent()
        finally:
            self._exchange.retire(ticket)

    def beat(self) -> None:
        """Feed the board's watchdog; cheap, and silent when anything was sent just now."""
        self._exchange.beat()

    def close(self) -> None:
        """Leave the board dark and idle and release the port; may be called twice.

        A board that cannot be reached any more goes dark by its own watchdog.
        """
        try:
            if not self._exchange.link.lost:
                self._exchange.wait(self.start(Opcode.GOODBYE, urgent=True))
        finally:
            self._exchange.link.close()

    def _first_contact(self) -> HelloReply:
        reply = self._greet(NO_NONCE)
        if reply is None:
            raise self._silent()
        return reply

    def _greet(self, nonce: int) -> HelloReply | None:
        """Say HELLO, in a new session unless `nonce` resumes one; None when nobody answers."""
        if nonce == NO_NONCE:
            self._exchange.session = secrets.randbelow(0xFFFF) + 1
        request = HelloRequest(watchdog_ms=self._exchange.watchdog_ms, boot_nonce=nonce)
        ticket = self.start(Opcode.HELLO, request.pack(), urgent=True)
        reply = self._exchange.wait(ticket)
        self._exchange.retire(ticket)
        return None if reply is None else self._agreed(reply)

    def _agreed(self, reply: Frame) -> HelloReply:
        if reply.type == FrameType.REJECTED:
            reason, detail = unpack_reason(reply.payload)
            raise FirmwareIncompatible(
                f"the board refuses our protocol ({reason.code})",
                value=f"board version {detail}",
                limit=f"host version {PROTOCOL_MAJOR}",
                remedy="flash the firmware that belongs to this release",
            )
        hello = HelloReply.unpack(reply.payload)
        if hello.watchdog_ms > self._exchange.watchdog_ms:
            raise FirmwareIncompatible(
                "the board's watchdog is slower than asked",
                value=f"{hello.watchdog_ms} ms",
                limit=f"{self._exchange.watchdog_ms} ms",
                remedy="raise watchdog_ms in the settings or flash newer firmware",
            )
        self._exchange.watchdog_ms, self._exchange.ring = hello.watchdog_ms, hello.ring
        return hello

    def _recover(self) -> None:
        """Get the conversation going again, or raise; outstanding tickets survive or fail."""
        with self._recovery:
            self.recoveries += 1
            hello = None
            if not self._exchange.link.lost:
                self._exchange.link.resynchronise()
                hello = self._greet(self.hello.boot_nonce)
            self._reconcile(hello or self._reopen())

    def _reopen(self) -> HelloReply:
        failure: BridgeError = self._silent()
        for _ in attempts(self._clock, within_s=self._reopen_s):
            failure = self._silent()
            try:
                self._exchange.link.open()
                hello = self._greet(self.hello.boot_nonce)
                if hello is not None:
                    return hello
            except (PortAbsent, PortBusy) as refusal:
                failure = self._lost(refusal)
        raise failure

    def _reconcile(self, hello: HelloReply) -> None:
        """Keep outstanding ids when the board still knows them; otherwise fail them by name."""
        if hello.boot_nonce != self.hello.boot_nonce:
            self._exchange.fail_all(lambda: _rebooted(hello))
        elif hello.resumed:
            return
        else:
            self._exchange.fail_all(_outcome_lost)
        self.hello = self._first_contact()

    def _stalled(self, ticket: Ticket) -> Stalled:
        self._exchange.retire(ticket)
        self.call(Opcode.STOP, urgent=True)
        return Stalled(
            f"{Opcode(ticket.frame.opcode).name} did not end in time and was stopped",
            remedy="free the axis, home, and resume",
        )

    def _silent(self) -> ReplyTimeout:
        return ReplyTimeout(
            "the board does not answer",
            value=self._port,
            limit=f"{TRIES} tries",
            remedy="check that this port is the board's and that its firmware runs",
        )

    def _lost(self, refusal: BridgeError) -> LinkLost:
        return LinkLost(
            f"serial line lost ({refusal.what})",
            value=self._port,
            limit=f"{self._reopen_s:g} s",
            remedy="check cable and power, then resume",
        )


def _rebooted(hello: HelloReply) -> DeviceRebooted:
    cause = hello.reset_cause.name.lower().replace("_", "-")
    return DeviceRebooted(
        "the board restarted",
        value=f"cause {cause}",
        remedy="its light is off and its position unknown: home, then resume",
    )


def _outcome_lost() -> Rejected:
    return Rejected(
        "another host took the board over", code=OUTCOME_LOST, remedy="close the other program"
    )


def _asks_for_hello(reply: Frame) -> bool:
    rejected = reply.type == FrameType.REJECTED
    return rejected and unpack_reason(reply.payload)[0] is Reason.NO_SESSION

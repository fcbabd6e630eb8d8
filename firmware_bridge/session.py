"""Commands that happen exactly once over a line that loses and repeats bytes.

Every command has an id; it is sent until its outcome comes back, and the board answers a repeated
id from memory. When the line goes quiet the session climbs a ladder: bounded repetition, then
resynchronisation, then reopening with back-off, each ending in HELLO. The same boot nonce in the
answer means that outstanding ids can still be asked for; a new one that they cannot.

Methods may be called from several threads: a stop goes out while another thread waits for a move.
"""

from __future__ import annotations

import secrets
import threading
from queue import Empty

from firmware_bridge.clock import Clock
from firmware_bridge.codec import Frame, FrameType
from firmware_bridge.errors import (
    BridgeError,
    DeviceRebooted,
    FirmwareIncompatible,
    FrameCorrupt,
    LinkLost,
    PortAbsent,
    PortBusy,
    Rejected,
    ReplyTimeout,
    Stalled,
)
from firmware_bridge.link import Link
from firmware_bridge.protocol import (
    ACCEPTED_REPLY,
    NO_NONCE,
    HelloReply,
    HelloRequest,
    Opcode,
    Reason,
    State,
    unpack,
    unpack_reason,
)
from firmware_bridge.roundtrip import RoundTrip
from firmware_bridge.ticket import Ticket

TRIES = 24
RECOVERIES = 6
SHORTEST_PAUSE_S, LONGEST_PAUSE_S = 0.05, 1.0
# Five heartbeats may be lost in a row, and one control-loop period of half the time-out missed.
BEATS_PER_WATCHDOG = 10
OUTCOME_LOST = "outcome-lost"


class Session:
    """One conversation with one board. `state` is what its last frame said of it."""

    def __init__(
        self, port: str, *, clock: Clock, watchdog_ms: int = 500, reopen_s: float = 10.0
    ) -> None:
        self.retries = 0
        self.recoveries = 0
        self.state = State(0)
        self._clock, self._reopen_s, self._watchdog_ms = clock, reopen_s, watchdog_ms
        self._round_trip = RoundTrip()
        self._lock = threading.Lock()
        self._recovery = threading.RLock()
        self._outstanding: dict[int, Ticket] = {}
        self._session = 0
        self._last_id = 0
        self._fed_s = float("-inf")
        self._ring = 2
        self._link = Link(port, frame_came=self._dispatch, line_lost=self._wake_all)
        self._link.open()
        try:
            self.hello = self._first_contact()
        except BridgeError:
            self._link.close()
            raise

    @property
    def corrupt(self) -> int:
        """Return how many damaged frames came in."""
        return self._link.corrupt

    def call(self, opcode: Opcode, payload: bytes = b"", *, urgent: bool = False) -> Frame:
        """Return the outcome of one command, DONE or REJECTED. See `finish` for errors."""
        return self.finish(self.start(opcode, payload, urgent=urgent))

    def start(self, opcode: Opcode, payload: bytes = b"", *, urgent: bool = False) -> Ticket:
        """Send one command and return its ticket without waiting.

        Raises Rejected ("queue-full") when the board could not remember one more outcome.
        """
        ticket = self._ticket(opcode, payload, urgent=urgent)
        self._send(ticket)
        return ticket

    def finish(self, ticket: Ticket) -> Frame:
        """Wait for a command's outcome, feeding the watchdog meanwhile, and return it.

        Raises LinkLost or ReplyTimeout when every recovery failed, DeviceRebooted when the board
        restarted, Stalled when a motion did not end, Rejected ("outcome-lost") when another host
        took the board over in between.
        """
        try:
            for _ in range(RECOVERIES):
                reply = self._await(ticket)
                if reply is not None and not _asks_for_hello(reply):
                    return reply
                self._recover()
                if ticket.failure is not None:
                    raise ticket.failure
                self._send(ticket)
            raise self._silent()
        finally:
            with self._lock:
                self._outstanding.pop(ticket.frame.command_id, None)

    def beat(self) -> None:
        """Feed the board's watchdog; cheap, and silent when anything was sent just now."""
        now_s = self._clock.now_s()
        if now_s - self._fed_s >= self._beat_s:
            self._fed_s = now_s
            self._link.send(
                Frame(
                    type=FrameType.URGENT,
                    session=self._session,
                    command_id=0,
                    opcode=Opcode.HEARTBEAT,
                )
            )

    def close(self) -> None:
        """Leave the board dark and idle and release the port; may be called twice.

        A board that cannot be reached any more goes dark by its own watchdog.
        """
        if not self._link.lost:
            ticket = self._ticket(Opcode.GOODBYE, urgent=True)
            self._send(ticket)
            self._await(ticket)
        self._link.close()

    @property
    def _beat_s(self) -> float:
        return self._watchdog_ms / 1000 / BEATS_PER_WATCHDOG

    # Sending and matching.
    def _ticket(self, opcode: Opcode, payload: bytes = b"", *, urgent: bool = False) -> Ticket:
        with self._lock:
            ticket = Ticket(
                Frame(
                    type=FrameType.URGENT if urgent else FrameType.REQUEST,
                    session=self._session,
                    command_id=self._free_id(opcode, urgent=urgent),
                    opcode=opcode,
                    payload=payload,
                )
            )
            self._outstanding[ticket.frame.command_id] = ticket
            return ticket

    def _free_id(self, opcode: Opcode, *, urgent: bool) -> int:
        """Return the next id whose place in the board's ring no outstanding command needs.

        One place is kept for urgent commands; HELLO needs none, since boards do not remember it.
        """
        taken = {command_id % self._ring for command_id in self._outstanding}
        if opcode is Opcode.HELLO:
            taken = set()
        elif len(taken) >= self._ring - (not urgent):
            raise Rejected(
                "too many commands outstanding",
                code=Reason.QUEUE_FULL.code,
                value=len(taken) + 1,
                limit=self._ring - 1,
                remedy="wait for one to finish",
            )
        while True:
            self._last_id = (self._last_id + 1) % 0x10000
            if self._last_id % self._ring not in taken:
                return self._last_id

    def _send(self, ticket: Ticket) -> None:
        now_s = self._clock.now_s()
        self._fed_s = now_s
        ticket.sent(now_s=now_s, timeout_s=self._round_trip.timeout_s(tries=ticket.tries + 1))
        self._link.send(ticket.frame)

    def _dispatch(self, reply: Frame) -> None:
        with self._lock:
            ticket = self._outstanding.get(reply.command_id)
        if ticket is not None and ticket.answers(reply):
            ticket.replies.put(reply)

    def _wake_all(self) -> None:
        with self._lock:
            for ticket in self._outstanding.values():
                ticket.replies.put(None)

    def _await(self, ticket: Ticket) -> Frame | None:
        """Return the outcome, or None when the tries are used up or the line is lost."""
        while not self._link.lost and ticket.failure is None:
            now_s = self._clock.now_s()
            if now_s > ticket.give_up_s:
                raise self._stalled(ticket)
            if now_s >= ticket.resend_s:
                if ticket.tries >= TRIES:
                    return None
                self.retries += ticket.tries > 0
                self._send(ticket)
            self.beat()
            wait_s = min(ticket.resend_s - now_s, self._beat_s)
            try:
                reply = ticket.replies.get(timeout=max(0.0, wait_s))
            except Empty:
                continue
            if reply is not None and self._is_outcome(ticket, reply):
                return reply
        return None

    def _is_outcome(self, ticket: Ticket, reply: Frame) -> bool:
        now_s = self._clock.now_s()
        self.state = State(reply.flags)
        if ticket.tries == 1:
            self._round_trip.measured(now_s - ticket.sent_s)
        if reply.type != FrameType.ACCEPTED:
            return True
        try:
            left_ms, ahead = unpack(ACCEPTED_REPLY, reply.payload)
        except FrameCorrupt:
            return False
        ticket.accepted(
            now_s=now_s,
            left_s=left_ms / 1000,
            ahead=ahead,
            timeout_s=self._round_trip.timeout_s(tries=1),
        )
        return False

    # Recovery.
    def _first_contact(self) -> HelloReply:
        reply = self._greet(NO_NONCE)
        if reply is None:
            raise self._silent()
        return reply

    def _greet(self, nonce: int) -> HelloReply | None:
        """Say HELLO, in a new session unless `nonce` resumes one; None when nobody answers."""
        if nonce == NO_NONCE:
            self._session = secrets.randbelow(0xFFFF) + 1
        request = HelloRequest(watchdog_ms=self._watchdog_ms, boot_nonce=nonce)
        ticket = self._ticket(Opcode.HELLO, request.pack(), urgent=True)
        self._send(ticket)
        reply = self._await(ticket)
        with self._lock:
            self._outstanding.pop(ticket.frame.command_id, None)
        return None if reply is None else self._agreed(reply)

    def _agreed(self, reply: Frame) -> HelloReply:
        if reply.type == FrameType.REJECTED:
            reason, detail = unpack_reason(reply.payload)
            raise FirmwareIncompatible(
                f"the board refuses our protocol ({reason.code})",
                value=f"board {detail}",
                limit=f"host {HelloRequest(watchdog_ms=0).major}",
                remedy="flash the firmware that belongs to this release",
            )
        hello = HelloReply.unpack(reply.payload)
        if hello.watchdog_ms > self._watchdog_ms or hello.ring < 2:
            raise FirmwareIncompatible(
                "the board's watchdog is slower than asked",
                value=f"{hello.watchdog_ms} ms",
                limit=f"{self._watchdog_ms} ms",
                remedy="raise watchdog_ms in the settings or flash newer firmware",
            )
        self._watchdog_ms, self._ring = hello.watchdog_ms, hello.ring
        return hello

    def _recover(self) -> None:
        """Get the conversation going again, or raise; outstanding tickets survive or fail."""
        with self._recovery:
            self.recoveries += 1
            if not self._link.lost:
                self._link.resynchronise()
                hello = self._greet(self.hello.boot_nonce)
                if hello is not None:
                    return self._reconcile(hello)
            return self._reconcile(self._reopen())

    def _reopen(self) -> HelloReply:
        deadline_s = self._clock.now_s() + self._reopen_s
        pause_s = SHORTEST_PAUSE_S
        failure: BridgeError = self._silent()
        while True:
            try:
                self._link.open()
                hello = self._greet(self.hello.boot_nonce)
                if hello is not None:
                    return hello
            except (PortAbsent, PortBusy) as refusal:
                failure = LinkLost(
                    f"serial line lost ({refusal.what})",
                    value=self._link.port,
                    limit=f"{self._reopen_s:g} s",
                    remedy="check cable and power, then resume",
                )
            if self._clock.now_s() >= deadline_s:
                raise failure
            self._clock.sleep(duration_s=pause_s)
            pause_s = min(LONGEST_PAUSE_S, 2 * pause_s)

    def _reconcile(self, hello: HelloReply) -> None:
        """Keep outstanding ids when the board still knows them; otherwise fail them by name."""
        if hello.resumed and hello.boot_nonce == self.hello.boot_nonce:
            return
        rebooted = hello.boot_nonce != self.hello.boot_nonce
        with self._lock:
            for ticket in self._outstanding.values():
                ticket.failure = self._rebooted(hello) if rebooted else self._outcome_lost()
                ticket.replies.put(None)
        self.hello = self._first_contact()

    # The errors' texts.
    def _silent(self) -> ReplyTimeout:
        return ReplyTimeout(
            "the board does not answer",
            value=self._link.port,
            limit=f"{TRIES} tries",
            remedy="check that this port is the board's and that its firmware runs",
        )

    def _stalled(self, ticket: Ticket) -> Stalled:
        with self._lock:
            self._outstanding.pop(ticket.frame.command_id, None)
        self.call(Opcode.STOP, urgent=True)
        return Stalled(
            f"{Opcode(ticket.frame.opcode).name} did not end in time and was stopped",
            remedy="free the axis, home, and resume",
        )

    def _rebooted(self, hello: HelloReply) -> DeviceRebooted:
        return DeviceRebooted(
            "the board restarted",
            value=f"cause {hello.reset_cause.name.lower().replace('_', '-')}",
            remedy="its light is off and its position unknown: home, then resume",
        )

    def _outcome_lost(self) -> Rejected:
        return Rejected(
            "another host took the board over",
            code=OUTCOME_LOST,
            remedy="close the other program",
        )


def _asks_for_hello(reply: Frame) -> bool:
    return reply.type == FrameType.REJECTED and unpack_reason(reply.payload)[0] in (
        Reason.NO_SESSION,
    )

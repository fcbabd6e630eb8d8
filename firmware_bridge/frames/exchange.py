"""Commands out, their own replies back: ids, repetition, time-outs. No recovery, no meaning.

The board answers a repeated id from memory, so repeating a frame is always safe.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import Empty

from firmware_bridge.clock import MonotonicClock
from firmware_bridge.errors import BridgeError, FrameCorrupt, Rejected
from firmware_bridge.frames.codec import Frame, FrameType
from firmware_bridge.frames.link import Link
from firmware_bridge.frames.protocol import (
    ACCEPTED_REPLY,
    NO_FLAGS,
    Opcode,
    Reason,
    RequestFlag,
    State,
    unpack,
)
from firmware_bridge.frames.ticket import Ticket
from firmware_bridge.line.roundtrip import RoundTrip

TRIES = 24
# Five heartbeats may be lost in a row, and one control-loop period of half the time-out missed.
BEATS_PER_WATCHDOG = 10
ALL_IDS = 0x10000


class Exchange:
    """The commands of one session on one link; callable from several threads.

    `session`, `ring` and `watchdog_ms` are what HELLO agreed on. `state` is what the board's last
    frame said of it, `retries` how many frames were sent again.
    """

    def __init__(self, port: str, *, clock: MonotonicClock, watchdog_ms: int) -> None:
        self.session = 0
        self.ring = 2
        self.watchdog_ms = watchdog_ms
        self.state = State(0)
        self.retries = 0
        self.link = Link(port, frame_came=self._dispatch, line_lost=self._wake_all)
        self._clock = clock
        self._round_trip = RoundTrip()
        self._lock = threading.Lock()
        self._outstanding: dict[int, Ticket] = {}
        self._last_id = 0
        self._fed_s = float("-inf")

    def ticket(
        self,
        opcode: Opcode,
        payload: bytes = b"",
        *,
        urgent: bool = False,
        flags: RequestFlag = NO_FLAGS,
    ) -> Ticket:
        """Return a new command, not yet sent.

        Raises Rejected ("queue-full") when the board could not remember one more outcome.
        """
        with self._lock:
            ticket = Ticket(
                Frame(
                    type=FrameType.URGENT if urgent else FrameType.REQUEST,
                    session=self.session,
                    command_id=self._free_id(opcode, urgent=urgent),
                    opcode=opcode,
                    flags=flags,
                    payload=payload,
                )
            )
            self._outstanding[ticket.frame.command_id] = ticket
            return ticket

    def send(self, ticket: Ticket) -> None:
        """Send a command, for the first time or again."""
        now_s = self._clock.now_s()
        self._fed_s = now_s
        ticket.sent(now_s=now_s, timeout_s=self._round_trip.timeout_s(tries=ticket.tries + 1))
        self.link.send(ticket.frame)

    def wait(self, ticket: Ticket) -> Frame | None:
        """Repeat a command until its outcome comes, feeding the watchdog, and return that.

        None when the tries are used up, the line is lost, the ticket has failed, or a motion is
        overdue (`ticket.overdue` tells).
        """
        while not self.link.lost and ticket.failure is None:
            now_s = self._clock.now_s()
            if ticket.overdue(now_s):
                return None
            if now_s >= ticket.resend_s:
                if ticket.tries >= TRIES:
                    return None
                self.retries += ticket.tries > 0
                self.send(ticket)
            self.beat()
            self._clock.sleep(duration_s=0.0)  # a clock that feeds other boards does so now
            reply = self._next_reply(ticket, wait_s=min(ticket.resend_s - now_s, self._beat_s))
            if reply is not None and self._is_outcome(ticket, reply):
                return reply
        return None

    def retire(self, ticket: Ticket) -> None:
        """Forget a command: whatever still comes for it is ignored."""
        with self._lock:
            self._outstanding.pop(ticket.frame.command_id, None)

    def fail_all(self, failure: Callable[[], BridgeError]) -> None:
        """End every outstanding command with an error of its own."""
        with self._lock:
            for ticket in self._outstanding.values():
                ticket.failure = failure()
                ticket.replies.put(None)

    def beat(self) -> None:
        """Feed the board's watchdog; silent when anything was sent just now."""
        now_s = self._clock.now_s()
        if now_s - self._fed_s >= self._beat_s:
            self._fed_s = now_s
            self.link.send(
                Frame(
                    type=FrameType.URGENT,
                    session=self.session,
                    command_id=0,
                    opcode=Opcode.HEARTBEAT,
                )
            )

    @property
    def _beat_s(self) -> float:
        return self.watchdog_ms / 1000 / BEATS_PER_WATCHDOG

    def _free_id(self, opcode: Opcode, *, urgent: bool) -> int:
        """Return the next id whose place in the board's ring no outstanding command needs.

        One place is kept for urgent commands; HELLO needs none, since boards do not remember it.
        """
        taken = {command_id % self.ring for command_id in self._outstanding}
        if opcode is Opcode.HELLO:
            taken = set()
        elif len(taken) >= self.ring - (not urgent):
            raise Rejected(
                "too many commands outstanding",
                code=Reason.QUEUE_FULL.code,
                value=len(taken) + 1,
                limit=self.ring - 1,
                remedy="wait for one to finish",
            )
        while True:
            self._last_id = (self._last_id + 1) % ALL_IDS
            free = self._last_id not in self._outstanding
            if free and self._last_id % self.ring not in taken:
                return self._last_id

    def _next_reply(self, ticket: Ticket, *, wait_s: float) -> Frame | None:
        try:
            return ticket.replies.get(timeout=max(0.0, wait_s))
        except Empty:
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
        timeout_s = self._round_trip.timeout_s(tries=1)
        ticket.accepted(now_s=now_s, left_s=left_ms / 1000, ahead=ahead, timeout_s=timeout_s)
        return False

    def _dispatch(self, reply: Frame) -> None:
        with self._lock:
            ticket = self._outstanding.get(reply.command_id)
        if ticket is not None and ticket.answers(reply):
            ticket.replies.put(reply)

    def _wake_all(self) -> None:
        with self._lock:
            for ticket in self._outstanding.values():
                ticket.replies.put(None)

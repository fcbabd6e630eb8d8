"""The session against a board that is played by the test, byte by byte, on a real pty."""

import os
import select
import threading
import tty
from contextlib import contextmanager
from dataclasses import replace

import pytest

from firmware_bridge.drivers.native.board import NativeBoard
from firmware_bridge.errors import (
    FirmwareIncompatible,
    LimitHit,
    NotHomed,
    Rejected,
    ReplyTimeout,
    SafetyLatched,
    Stalled,
)
from firmware_bridge.frames import exchange
from firmware_bridge.frames.codec import Frame, FrameSplitter, FrameType, encode
from firmware_bridge.frames.protocol import (
    ACCEPTED_REPLY,
    REJECTED_REPLY,
    STEPS,
    BoardStatus,
    HelloReply,
    Kind,
    Opcode,
    Reason,
    ResetCause,
    State,
    pack_axis,
)
from firmware_bridge.frames.session import BoardSession
from firmware_bridge.frames.ticket import Ticket
from firmware_bridge.line.roundtrip import FIRST_TIMEOUT_S, LONGEST_S, SHORTEST_S, RoundTrip
from firmware_bridge.plant import AxisDescription
from runtime.clock import SystemClock

HELLO = HelloReply(
    firmware=(1, 0, 0),
    boot_nonce=1,
    watchdog_ms=500,
    reset_cause=ResetCause.POWER_ON,
    resumed=True,
    ring=8,
    axes=3,
    channels=1,
    objectives=1,
)


class SlowClock(SystemClock):
    """Time of a host in no hurry: it asks again where an answer is lost, not where it is late."""

    def now_s(self):
        return super().now_s() / 20


def answer(request, kind=FrameType.DONE, payload=b"", **changed):
    fields = {
        "session": request.session,
        "command_id": request.command_id,
        "opcode": request.opcode,
    }
    return Frame(type=kind, payload=payload, **{**fields, **changed})


@contextmanager
def scripted_board(script, *, hello=HELLO):
    """A pty whose far end answers HELLO, and every other request with what `script` returns."""
    master, slave = os.openpty()
    tty.setraw(slave)
    ended, end = os.pipe()

    def play():
        splitter = FrameSplitter()
        while ended not in (ready := select.select([master, ended], [], [])[0]):
            for request in splitter.feed(os.read(ready[0], 4096)):
                if request.opcode == Opcode.HELLO:
                    replies = [answer(request, payload=hello.pack())] if hello else []
                elif request.opcode in (Opcode.HEARTBEAT, Opcode.GOODBYE):
                    replies = [answer(request)] if request.opcode == Opcode.GOODBYE else []
                else:
                    replies = script(request)
                os.write(master, b"".join(encode(reply) for reply in replies))

    thread = threading.Thread(target=play, daemon=True)
    thread.start()
    yield os.ttyname(slave)
    os.write(end, b"e")
    thread.join()
    for descriptor in (master, slave, ended, end):
        os.close(descriptor)


@contextmanager
def session_with(script, clock, **wanted):
    with scripted_board(script, **wanted) as port:
        session = BoardSession(port, clock=clock, reopen_s=0.1)
        yield session
        session.close()


def test_late_reply_never_answers_another_command(clock):
    earlier = []

    def script(request):
        before = [old for old in earlier if old.command_id != request.command_id]
        late = [answer(old, payload=b"late") for old in before]
        near_misses = [
            answer(request, payload=b"session", session=request.session ^ 1),
            answer(request, payload=b"opcode", opcode=request.opcode ^ 1),
            answer(request, payload=b"id", command_id=request.command_id + 1),
        ]
        earlier.append(request)
        return [*late, *near_misses, answer(request, payload=b"mine")]

    with session_with(script, clock) as session:
        for opcode in (Opcode.STATUS, Opcode.LIGHT, Opcode.STATUS, Opcode.STATUS):
            assert session.call(opcode).payload == b"mine"


def test_repeated_frames_are_byte_for_byte_the_same():
    seen = []

    def script(request):
        seen.append(request)
        return [answer(request)] if len(seen) == 3 else []

    with session_with(script, SlowClock()) as session:
        session.call(Opcode.MOVE_BY, STEPS.pack(1, 2, 3))
        assert seen == [seen[0]] * 3
        assert session.retries == 2


def test_accepted_is_not_done(clock):
    seen = []

    def script(request):
        seen.append(request)
        accepted = answer(request, FrameType.ACCEPTED, ACCEPTED_REPLY.pack(30, 0))
        return [accepted] if len(seen) == 1 else [answer(request, payload=b"arrived")]

    with session_with(script, clock) as session:
        assert session.call(Opcode.HOME).payload == b"arrived"


def test_motion_that_never_ends_is_stopped_and_reported(clock, monkeypatch):
    monkeypatch.setattr("firmware_bridge.frames.ticket.MOTION_SLACK_S", 0.05)
    seen = []

    def script(request):
        seen.append(request.opcode)
        moving = answer(request, FrameType.ACCEPTED, ACCEPTED_REPLY.pack(0, 0))
        return [answer(request)] if request.opcode == Opcode.STOP else [moving]

    with session_with(script, clock) as session, pytest.raises(Stalled, match="HOME did not end"):
        session.call(Opcode.HOME)
    assert seen[-1] == Opcode.STOP


def test_board_that_falls_silent_gives_a_typed_error(clock, monkeypatch):
    monkeypatch.setattr(exchange, "TRIES", 3)
    monkeypatch.setattr("firmware_bridge.frames.session.RECOVERIES", 2)
    with (
        session_with(lambda request: [], clock) as session,
        pytest.raises(ReplyTimeout, match=r"does not answer; value /dev/pts/\d+; limit 24 tries"),
    ):
        session.call(Opcode.STATUS)
    assert session.recoveries == 2


def test_port_without_a_board_gives_a_typed_error(clock, monkeypatch):
    monkeypatch.setattr(exchange, "TRIES", 3)
    with (
        scripted_board(lambda request: [], hello=None) as port,
        pytest.raises(ReplyTimeout, match="check that this port is the board's"),
    ):
        BoardSession(port, clock=clock)


def test_board_taken_over_by_another_host_loses_outcomes_by_name(clock):
    def script(request):
        return [answer(request, FrameType.REJECTED, REJECTED_REPLY.pack(Reason.NO_SESSION, 0))]

    forgotten = replace(HELLO, resumed=False)
    with (
        session_with(script, clock, hello=forgotten) as session,
        pytest.raises(Rejected, match="another host") as caught,
    ):
        session.call(Opcode.MOVE_BY, STEPS.pack(1, 2, 3))
    assert caught.value.code == "outcome-lost"


def test_watchdog_slower_than_asked_is_refused(clock):
    with (
        scripted_board(lambda request: []) as port,
        pytest.raises(FirmwareIncompatible, match="value 500 ms; limit 200 ms"),
    ):
        BoardSession(port, clock=clock, watchdog_ms=200)


def test_a_place_stays_free_for_stop(clock):
    def script(request):
        return [answer(request)] if request.opcode == Opcode.STOP else []

    with session_with(script, clock) as session:
        tickets = [session.start(Opcode.STATUS) for _ in range(7)]
        with pytest.raises(Rejected, match="too many commands outstanding; value 8; limit 7"):
            session.start(Opcode.STATUS)
        assert session.call(Opcode.STOP, urgent=True).type == FrameType.DONE
    places = {ticket.frame.command_id % 8 for ticket in tickets}
    assert len(places) == 7


def stage_on(script, clock):
    """Return a driver's stage on a board that is homed at the origin and moves as `script` says."""

    def everything(request):
        if request.opcode == Opcode.STATUS:
            status = BoardStatus(steps=(0, 0, 0), channel=0, level=0, objective=0)
            return [answer(request, payload=status.pack(), flags=State.HOMED)]
        if request.opcode == Opcode.DESCRIBE:
            kind, index = request.payload
            axis = AxisDescription(name="xyz"[index], step_nm=100, limits_steps=(-99, 99))
            return [answer(request, payload=pack_axis(axis) if kind == Kind.AXIS else b"name")]
        return script(request)

    return session_with(everything, clock, hello=HELLO)


def test_stage_that_misses_its_target_is_sent_again_once(clock):
    ends, said = [STEPS.pack(4, 0, 0), STEPS.pack(50, 0, 0)], {}

    def script(request):
        # On a busy machine a request may be sent again: a board then repeats its answer.
        if request.command_id not in said:
            said[request.command_id] = ends.pop(0)
        return [answer(request, payload=said[request.command_id])]

    with stage_on(script, clock) as session:
        assert NativeBoard(session).stage.move_to(x_um=5.0).x_um == 5.0
    assert ends == []


def test_stage_that_keeps_missing_has_stalled(clock):
    with (
        stage_on(lambda request: [answer(request, payload=STEPS.pack(4, 0, 0))], clock) as session,
        pytest.raises(Stalled, match=r"value \(4, 0, 0\) steps; limit \(50, 0, 0\) steps"),
    ):
        NativeBoard(session).stage.move_to(x_um=5.0)


@pytest.mark.parametrize(
    ("reason", "error"),
    [
        (Reason.LIMIT, LimitHit),
        (Reason.STALLED, Stalled),
        (Reason.NOT_HOMED, NotHomed),
        (Reason.LATCHED, SafetyLatched),
        (Reason.STALE, Rejected),
    ],
)
def test_every_refusal_is_a_typed_error(clock, reason, error):
    def script(request):
        if request.opcode == Opcode.REARM:
            return [answer(request)]
        flags = State.LATCHED if reason is Reason.LATCHED else 0
        payload = REJECTED_REPLY.pack(reason, 1)
        return [answer(request, FrameType.REJECTED, payload, flags=flags)]

    with stage_on(script, clock) as session, pytest.raises(error, match=reason.code) as caught:
        NativeBoard(session).stage.move_to(x_um=5.0)
    assert getattr(caught.value, "axis", "y") == "y"


def test_round_trip_follows_what_it_measures_within_bounds():
    trip = RoundTrip()
    assert trip.timeout_s(tries=1) == FIRST_TIMEOUT_S
    for _ in range(50):
        trip.measured(0.0001)
    assert trip.timeout_s(tries=1) == SHORTEST_S
    for duration_s in (0.01, 0.03) * 50:
        trip.measured(duration_s)
    # Mean 20 ms, mean deviation 10 ms: 20 + 4 · 10 ms, give or take the last sample's weight.
    assert 0.055 < trip.timeout_s(tries=1) < 0.065
    waits = [trip.timeout_s(tries=n) for n in range(1, 30)]
    assert waits == sorted(waits)
    assert waits[-1] == LONGEST_S
    assert 2 * waits[0] < waits[-1]


def test_an_answer_to_a_repeated_request_says_nothing_of_the_round_trip(monkeypatch):
    """It may answer either of the two (Karn and Partridge, doi:10.1145/118544.118549)."""
    seen, measured = [], []
    monkeypatch.setattr(RoundTrip, "measured", lambda _, duration_s: measured.append(duration_s))

    def script(request):
        seen.append(request)
        return [answer(request)] if len(seen) != 2 else []

    with session_with(script, SlowClock()) as session:
        known = len(measured)
        session.call(Opcode.STATUS)
        assert len(measured) == known + 1
        session.call(Opcode.STATUS)
        assert len(seen) == 3
        assert len(measured) == known + 1


def test_reply_must_match_in_session_id_and_opcode():
    mine = Frame(type=FrameType.REQUEST, session=1, command_id=2, opcode=3)
    assert Ticket(mine).answers(answer(mine))
    for field in ("session", "command_id", "opcode"):
        assert not Ticket(mine).answers(answer(mine, **{field: 9}))

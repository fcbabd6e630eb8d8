"""The board's promises, with time as an argument: once only, dark in time, latched, limits."""

import struct
from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from firmware_bridge.board.bench_plant import BenchPlant
from firmware_bridge.board.board import Board
from firmware_bridge.board.outcomes import RING, OutcomeRing
from firmware_bridge.frames.codec import Frame, FrameType
from firmware_bridge.frames.protocol import (
    LIGHT_REQUEST,
    NO_NONCE,
    REQUEST_LENGTH,
    STEPS,
    HelloReply,
    HelloRequest,
    Opcode,
    Reason,
    State,
    unpack_reason,
)

SESSION, NONCE = 77, 4711


class Wire:
    """A board with its world, and a host that forgets nothing it was told."""

    def __init__(self, *, steps_per_s=float("inf"), homed=True, patient=False):
        self.plant = BenchPlant(steps_per_s=steps_per_s)
        self.heard = []
        self.now_s = 0.0
        self.last_id = 0
        self.board = Board(self.plant, send=self.heard.append, boot_nonce=NONCE, patient=patient)
        self.say(Opcode.HELLO, HelloRequest(watchdog_ms=500).pack())
        if homed:
            self.say(Opcode.HOME)

    def frame(self, opcode, payload=b"", session=SESSION):
        self.last_id += 1
        return Frame(
            type=FrameType.REQUEST,
            session=session,
            command_id=self.last_id,
            opcode=opcode,
            payload=payload,
        )

    def deliver(self, frame):
        """Return what the board answered to one frame."""
        before = len(self.heard)
        self.board.receive(frame, self.now_s)
        return self.heard[before:]

    def say(self, opcode, payload=b"", session=SESSION):
        return self.deliver(self.frame(opcode, payload, session))

    def advance(self, duration_s):
        self.now_s += duration_s
        self.board.tick(self.now_s)


def reason(reply):
    assert reply.type == FrameType.REJECTED
    return unpack_reason(reply.payload)[0]


def by(x):
    return STEPS.pack(x, 0, 0)


def test_repeated_relative_move_moves_once_and_is_answered_alike():
    wire = Wire()
    move = wire.frame(Opcode.MOVE_BY, by(10))
    first = wire.deliver(move)
    assert [reply.type for reply in first] == [FrameType.ACCEPTED, FrameType.DONE]
    assert wire.deliver(move) == first[1:]
    assert wire.plant.steps == (10, 0, 0)


def test_id_that_fell_out_of_memory_is_refused_not_executed():
    wire = Wire()
    move = wire.frame(Opcode.MOVE_BY, by(10))
    wire.deliver(move)
    for _ in range(RING):
        wire.say(Opcode.STATUS)
    assert reason(wire.deliver(move)[0]) is Reason.STALE
    assert wire.plant.steps == (10, 0, 0)


def test_an_id_used_for_two_commands_gets_no_second_answer():
    """Whichever answer it got would be the other's."""
    wire = Wire(steps_per_s=100)
    move = wire.frame(Opcode.MOVE_BY, by(50))
    wire.deliver(move)
    other = replace(move, opcode=Opcode.HOME, payload=b"")
    assert wire.deliver(other) == []
    wire.advance(0.5)
    assert wire.deliver(other) == []
    assert wire.deliver(move)[0].type == FrameType.DONE
    assert wire.plant.steps == (50, 0, 0)


def test_repeated_frame_of_a_move_under_way_is_accepted_again():
    wire = Wire(steps_per_s=100)
    move = wire.frame(Opcode.MOVE_BY, by(50))
    wire.deliver(move)
    wire.advance(0.2)
    (again,) = wire.deliver(move)
    assert again.type == FrameType.ACCEPTED
    assert struct.unpack("<IB", again.payload) == (300, 0)
    assert State(again.flags) & State.MOVING
    wire.advance(0.3)
    assert wire.heard[-1].type == FrameType.DONE
    assert wire.plant.steps == (50, 0, 0)


def test_watchdog_trips_at_its_time_and_not_before():
    wire = Wire(steps_per_s=100)
    wire.say(Opcode.LIGHT, LIGHT_REQUEST.pack(1, 200))
    move = wire.frame(Opcode.MOVE_BY, by(100))
    wire.deliver(move)
    wire.advance(0.499)
    assert wire.plant.light == (1, 200)
    wire.advance(0.001)
    assert wire.plant.light is None
    assert not wire.plant.powered
    assert wire.plant.steps == (50, 0, 0)
    assert reason(wire.heard[-1]) is Reason.LATCHED


def test_trip_latches_until_rearmed():
    wire = Wire()
    wire.advance(0.5)
    assert wire.say(Opcode.HEARTBEAT) == []
    assert reason(wire.say(Opcode.LIGHT, LIGHT_REQUEST.pack(1, 200))[0]) is Reason.LATCHED
    assert reason(wire.say(Opcode.MOVE_BY, by(1))[0]) is Reason.LATCHED
    assert wire.say(Opcode.LIGHT, LIGHT_REQUEST.pack(0, 0))[0].type == FrameType.DONE
    assert (wire.plant.light, wire.plant.steps) == (None, (0, 0, 0))
    wire.say(Opcode.REARM)
    wire.say(Opcode.LIGHT, LIGHT_REQUEST.pack(1, 200))
    assert wire.plant.light == (1, 200)


def test_heartbeats_and_commands_feed_the_watchdog():
    wire = Wire()
    for opcode in (Opcode.HEARTBEAT, Opcode.STATUS) * 5:
        wire.advance(0.4)
        wire.say(opcode)
    assert not wire.board.latched


def test_a_patient_board_never_finds_its_host_late():
    wire = Wire(patient=True)
    wire.say(Opcode.LIGHT, LIGHT_REQUEST.pack(0, 255))
    wire.advance(1e6)
    assert not wire.board.latched
    assert wire.plant.light == (0, 255)
    assert wire.board.next_event_s() is None


def test_strangers_do_not_feed_the_watchdog():
    wire = Wire()
    wire.advance(0.4)
    assert reason(wire.say(Opcode.STATUS, session=SESSION + 1)[0]) is Reason.NO_SESSION
    wire.advance(0.1)
    assert wire.board.latched


def test_stop_overtakes_the_queue_and_names_what_it_ended():
    wire = Wire(steps_per_s=100)
    moves = [wire.frame(Opcode.MOVE_BY, by(100)) for _ in range(6)]
    answers = [wire.deliver(move)[0] for move in moves]
    assert reason(answers[-1]) is Reason.QUEUE_FULL
    wire.advance(0.25)
    *ended, stopped = wire.say(Opcode.STOP)
    assert [reason(reply) for reply in ended] == [Reason.STOPPED] * 5
    assert STEPS.unpack(stopped.payload) == wire.plant.steps == (25, 0, 0)
    assert reason(wire.deliver(moves[0])[0]) is Reason.STOPPED


def test_targets_outside_the_travel_and_without_origin_are_refused():
    wire = Wire(homed=False)
    assert reason(wire.say(Opcode.MOVE_TO, by(1))[0]) is Reason.NOT_HOMED
    wire.say(Opcode.HOME)
    (refused,) = wire.say(Opcode.MOVE_TO, STEPS.pack(0, 0, 20_001))
    assert unpack_reason(refused.payload) == (Reason.LIMIT, 2)
    assert wire.plant.moves == 1


@pytest.mark.parametrize("opcode", [op for op in Opcode if op is not Opcode.HEARTBEAT])
def test_wrong_payload_lengths_are_refused(opcode):
    wire = Wire()
    (refused,) = wire.say(opcode, bytes(REQUEST_LENGTH[opcode] + 1))
    assert reason(refused) is Reason.BAD_PAYLOAD


def test_opcode_of_a_later_protocol_is_refused_by_name():
    (refused,) = Wire().say(0x7F)
    assert reason(refused) is Reason.UNKNOWN_OPCODE


def test_same_session_resumes_another_with_nonce_is_not_adopted():
    wire = Wire()
    wire.say(Opcode.LIGHT, LIGHT_REQUEST.pack(1, 200))
    resume = HelloRequest(watchdog_ms=500, boot_nonce=NONCE).pack()
    assert HelloReply.unpack(wire.say(Opcode.HELLO, resume)[0].payload).resumed
    stranger = wire.say(Opcode.HELLO, resume, session=SESSION + 1)[0]
    assert not HelloReply.unpack(stranger.payload).resumed
    assert wire.plant.light == (1, 200)
    assert reason(wire.say(Opcode.STATUS, session=SESSION + 1)[0]) is Reason.NO_SESSION


def test_first_contact_of_another_host_goes_dark_and_forgets():
    wire = Wire(steps_per_s=100)
    wire.say(Opcode.LIGHT, LIGHT_REQUEST.pack(1, 200))
    wire.say(Opcode.MOVE_BY, by(100))
    first = HelloRequest(watchdog_ms=500, boot_nonce=NO_NONCE).pack()
    wire.say(Opcode.HELLO, first, session=SESSION + 1)
    assert wire.plant.light is None
    assert not wire.plant.powered
    assert reason(wire.say(Opcode.STATUS)[0]) is Reason.NO_SESSION


def test_goodbye_leaves_it_dark_and_unguarded():
    wire = Wire()
    wire.say(Opcode.LIGHT, LIGHT_REQUEST.pack(1, 200))
    wire.say(Opcode.GOODBYE)
    assert wire.plant.light is None
    assert wire.board.next_event_s() is None


class AnyLine(RuleBasedStateMachine):
    """A line that loses, repeats and reorders frames at will, against the sum of what was acked."""

    @initialize()
    def power_on(self):
        self.wire = Wire()
        self.sent = []
        self.effects = {}

    @rule(delta=st.integers(-50, 50))
    def send(self, delta):
        self.sent.append((self.wire.frame(Opcode.MOVE_BY, by(delta)), delta))

    @rule(data=st.data())
    def deliver(self, data):
        if self.sent:
            frame, delta = data.draw(st.sampled_from(self.sent[-3 * RING :]))
            before = self.wire.plant.steps[0]
            replies = self.wire.deliver(frame)
            moved = self.wire.plant.steps[0] - before
            if replies[-1].type == FrameType.DONE and frame.command_id not in self.effects:
                self.effects[frame.command_id] = delta
                assert moved == delta
            else:
                assert moved == 0

    @rule(data=st.data())
    def deliver_for_another_session(self, data):
        if self.sent:
            frame, _ = data.draw(st.sampled_from(self.sent))
            alien = Frame(
                type=frame.type,
                session=SESSION + 1,
                command_id=frame.command_id,
                opcode=frame.opcode,
                payload=frame.payload,
            )
            assert reason(self.wire.deliver(alien)[0]) is Reason.NO_SESSION

    @invariant()
    def position_is_the_sum_of_acknowledged_moves(self):
        if hasattr(self, "wire"):
            assert self.wire.plant.steps[0] == sum(self.effects.values())


AnyLine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestAnyLine = AnyLine.TestCase


def test_a_late_outcome_is_not_taken_for_that_of_the_command_in_its_place():
    def frame(kind: FrameType, command_id: int) -> Frame:
        return Frame(type=kind, session=SESSION, command_id=command_id, opcode=Opcode.STATUS)

    ring = OutcomeRing()
    ring.begin(frame(FrameType.REQUEST, 3))
    ring.begin(frame(FrameType.REQUEST, 3 + RING))
    ring.conclude(frame(FrameType.DONE, 3))
    assert ring.outcome(3 + RING) is None
    ring.conclude(frame(FrameType.DONE, 3 + RING))
    assert ring.outcome(3 + RING) is not None

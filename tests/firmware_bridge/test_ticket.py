"""When a command is sent again, and when it is given up."""

import pytest

from firmware_bridge.frames.codec import Frame, FrameType
from firmware_bridge.frames.protocol import Opcode
from firmware_bridge.frames.ticket import ASK_AGAIN_S, Ticket


@pytest.fixture
def ticket():
    ticket = Ticket(Frame(type=FrameType.REQUEST, session=1, command_id=1, opcode=Opcode.HOME))
    ticket.sent(now_s=10.0, timeout_s=0.02)
    return ticket


def test_a_short_motion_is_asked_after_when_it_should_have_ended(ticket):
    ticket.accepted(now_s=10.0, left_s=0.3, ahead=0, timeout_s=0.02)
    assert ticket.resend_s == pytest.approx(10.32)


def test_a_lost_done_of_homing_is_noticed_long_before_its_longest_time(ticket):
    ticket.accepted(now_s=10.0, left_s=65.0, ahead=0, timeout_s=0.02)
    assert ticket.resend_s == pytest.approx(10.0 + ASK_AGAIN_S + 0.02)


def test_a_board_whose_clock_is_slow_is_waited_for_while_it_goes_on(ticket):
    """At a quarter of our speed: as firmware under a simulator on a busy machine."""
    ticket.accepted(now_s=10.0, left_s=20.0, ahead=0, timeout_s=0.02)
    for now_s in range(11, 90):
        assert not ticket.overdue(now_s)
        left_s = max(0.0, 20.0 - (now_s - 10) / 4)
        ticket.accepted(now_s=now_s, left_s=left_s, ahead=0, timeout_s=0.02)
    assert not ticket.overdue(90.0)
    for now_s in range(90, 96):
        ticket.accepted(now_s=now_s, left_s=0.0, ahead=0, timeout_s=0.02)
    assert ticket.overdue(97.0)


def test_asking_again_does_not_put_off_giving_up(ticket):
    ticket.accepted(now_s=10.0, left_s=65.0, ahead=0, timeout_s=0.02)
    for now_s in range(11, 146):
        assert not ticket.overdue(now_s)
        ticket.accepted(now_s=now_s, left_s=max(0.001, 75.0 - now_s), ahead=0, timeout_s=0.02)
    assert ticket.overdue(146.0)

"""One command on its way: what was sent, how often, and what came back."""

from __future__ import annotations

from dataclasses import dataclass, field
from queue import SimpleQueue

from firmware_bridge.errors import BridgeError
from firmware_bridge.frames.codec import Frame

# A motion may take twice what the board announced, and this much for ramps and slow clocks.
MOTION_SLACK_S = 5.0
# The time a board announces is the longest that the motion can take, a minute for HOME: a lost DONE
# must not cost that much.
ASK_AGAIN_S = 1.0


@dataclass(slots=True, eq=False)
class Ticket:
    """A command until its outcome is known.

    `replies` carries frames from the owner thread; None means that the line was lost. `failure` is
    set when the outcome can no longer be learnt, because the board restarted.
    """

    frame: Frame
    replies: SimpleQueue[Frame | None] = field(default_factory=SimpleQueue)
    tries: int = 0
    sent_s: float = 0.0
    resend_s: float = 0.0
    ahead: int | None = None
    left_s: float = float("inf")
    give_up_s: float = float("inf")
    failure: BridgeError | None = None

    def sent(self, *, now_s: float, timeout_s: float) -> None:
        """Note that the frame went out, and when to send it again."""
        self.tries += 1
        self.sent_s = now_s
        self.resend_s = now_s + timeout_s

    def accepted(self, *, now_s: float, left_s: float, ahead: int, timeout_s: float) -> None:
        """Note that the board works on it: ask again when it should have ended, or every second.

        `left_s` is the rest of the motion under way, `ahead` how many motions come before ours.
        """
        self.tries = 0
        self.resend_s = now_s + min(left_s, ASK_AGAIN_S) + timeout_s
        give_up_s = now_s + 2 * left_s + MOTION_SLACK_S
        if ahead != self.ahead:
            self.ahead, self.give_up_s = ahead, give_up_s
        elif left_s < self.left_s:
            # It goes on, by a clock slower than ours: not what a stalled motion does.
            self.give_up_s = max(self.give_up_s, give_up_s)
        self.left_s = left_s

    def overdue(self, now_s: float) -> bool:
        """Return whether a motion should have ended long ago."""
        return now_s > self.give_up_s

    def answers(self, reply: Frame) -> bool:
        """Return whether `reply` belongs to this very command."""
        mine = self.frame
        return (reply.session, reply.command_id, reply.opcode) == (
            mine.session,
            mine.command_id,
            mine.opcode,
        )

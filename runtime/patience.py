"""Waiting for a thread, and giving up on one that does not end."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from runtime.errors import ComputeStuck, Stopped

if TYPE_CHECKING:  # the command line asks who was left behind, and comes up without NumPy
    from runtime.ports import Clock

WAIT_S = 0.01
GRACE_S = 60.0
"""How long a night that was asked to stop, or ends by an error, waits for the work in hand."""
LONGEST_S = 900.0
"""What no tile takes, nor a piece of what can wait: whoever is at one for so long is stuck."""

_left_behind: list[threading.Thread] = []


def never() -> bool:
    """Return that nobody asked to stop."""
    return False


def leave_behind(thread: threading.Thread) -> None:
    """Give up a thread that does not end: the process ends without it."""
    _left_behind.append(thread)


def left_behind() -> bool:
    """Return whether a thread was given up in this process and has not ended since."""
    return any(thread.is_alive() for thread in _left_behind)


class Patience:
    """How long one thread is waited for: `longest_s` while it shows no progress, `GRACE_S` from
    when somebody `asked` to stop.

    What is counted is what was waited, not what the clock says went by: a process that stood still
    itself, as after Ctrl-Z, has waited for nobody.
    """

    def __init__(
        self,
        thread: threading.Thread,
        *,
        clock: Clock,
        asked: Callable[[], bool] = never,
        progress: Callable[[], int] = lambda: 0,
        longest_s: float = math.inf,
    ) -> None:
        self._thread, self._clock, self._asked = thread, clock, asked
        self._progress, self._seen, self._longest_s = progress, progress(), longest_s
        self._waited_s = self._asked_s = 0.0

    def wait(self) -> None:
        """Wait a little, by the clock that feeds the board.

        Raises Stopped where somebody asked and the thread has not ended its work in `GRACE_S`,
        ComputeStuck after `longest_s`; the thread is left behind then.
        """
        self._clock.sleep(duration_s=WAIT_S)
        if (now := self._progress()) != self._seen:
            self._seen, self._waited_s, self._asked_s = now, 0.0, 0.0
        self._waited_s += WAIT_S
        if self._asked():
            self._asked_s += WAIT_S
        if self._asked_s > GRACE_S:
            leave_behind(self._thread)
            raise Stopped(
                "stopped on request; a compute thread did not end its work, and was left behind",
                limit=f"{GRACE_S:g} s",
                remedy="`nightscope resume` continues",
            )
        if self._waited_s > self._longest_s:
            leave_behind(self._thread)
            raise ComputeStuck(
                "a compute thread has been at one tile for too long",
                limit=f"{self._longest_s:g} s",
                remedy="see that the disk answers; `nightscope resume` goes on from there",
            )

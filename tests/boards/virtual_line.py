"""Boards of lines on a cable in virtual time: no threads, no waiting, the same every time.

The clock is the only thing that lets time pass, and while it does, firmware and cable do what is
due, in its order. So a board that pauses for half a second costs a test nothing, and one seed is
one history.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from unittest.mock import patch

from firmware_bridge.board.pty_host import Firmware
from firmware_bridge.errors import PortAbsent
from firmware_bridge.line.faults import Faults, Lane

# Whoever is due at once, again and again, is served in steps of so much.
STEP_S = 1e-4


class VirtualClock:
    """Time that passes only where it is waited for; `cables` are served meanwhile.

    `watch` sees the time whenever some has passed.
    """

    def __init__(self) -> None:
        self._now_s = 0.0
        self.cables: list[Cable] = []
        self.watch: Callable[[float], None] = lambda _now_s: None
        self._acts: list[tuple[float, Callable[[], None]]] = []

    def now_s(self) -> float:
        return self._now_s

    def after(self, duration_s: float, act: Callable[[], None]) -> None:
        """Have something done when so much time has passed."""
        self._acts = sorted([*self._acts, (self._now_s + duration_s, act)], key=lambda a: a[0])

    def sleep(self, *, duration_s: float) -> None:
        end_s = self._now_s + max(0.0, duration_s)
        while (due_s := self._due_s()) <= end_s:
            self._now_s = max(self._now_s, due_s)
            while self._acts and self._acts[0][0] <= self._now_s:
                self._acts.pop(0)[1]()
            for cable in self.cables:
                cable.serve(self._now_s)
            self.watch(self._now_s)
        self._now_s = end_s

    def _due_s(self) -> float:
        acts = [self._acts[0][0]] if self._acts else []
        return min([*acts, *(cable.due_s for cable in self.cables)], default=math.inf)


class Cable:
    """A board that runs `firmware`, and the line from it to whoever opens `port`."""

    port = "/dev/virtual"

    def __init__(
        self,
        firmware: Firmware,
        *,
        clock: VirtualClock,
        faults: Faults | None = None,
        seed: int = 0,
    ) -> None:
        faults = faults or Faults()
        self._firmware, self._clock = firmware, clock
        self._to_board = Lane(faults, seed=f"{seed} to board")
        self._to_host = Lane(faults, seed=f"{seed} to host")
        self._served_s = -1.0
        self._host: VirtualTransport | None = None
        self.plugged = True
        firmware.power_on(self._said, clock.now_s())
        clock.cables.append(self)

    @property
    def due_s(self) -> float:
        """Return when something happens next, infinity when nothing will."""
        board_s = self._firmware.next_event_s()
        lanes_s = min(self._to_board.due_s, self._to_host.due_s)
        due_s = lanes_s if board_s is None else min(board_s, lanes_s)
        return due_s if due_s > self._served_s else self._served_s + STEP_S

    def serve(self, now_s: float) -> None:
        """Let everything happen that is due by now."""
        self._served_s = now_s
        heard = self._to_board.take(now_s)
        if heard:
            self._firmware.receive(heard, now_s)
        self._firmware.tick(now_s)
        said = self._to_host.take(now_s)
        if said and self._host is not None:
            self._host.received(said)

    def unplug(self) -> None:
        """Pull the plug: the port vanishes under whoever has it open, with what is under way."""
        self.plugged = False
        self._to_board.clear()
        self._to_host.clear()
        if self._host is not None:
            self._host.lost("unplugged")

    def replug(self) -> None:
        """Put the plug back."""
        self.plugged = True

    def restart(self, firmware: Firmware | None = None) -> None:
        """Take the board's power and give it back, to another board if one is given."""
        self._firmware.power_off(self._clock.now_s())
        self._firmware = firmware or self._firmware
        self._firmware.power_on(self._said, self._clock.now_s())

    def connect(
        self,
        port: str,
        *,
        received: Callable[[bytes], None],
        lost: Callable[[str], None],
        **_: object,
    ) -> "VirtualTransport":
        """Open the port. Raises PortAbsent while it is unplugged."""
        if not self.plugged:
            raise PortAbsent("serial port cannot be opened", value=port)
        self._host = VirtualTransport(self, received=received, lost=lost)
        return self._host

    def let_go(self) -> None:
        """Have nobody hear the board any more; what was sent still arrives."""
        self._host = None

    def sent(self, data: bytes) -> None:
        """Take what the host sends, now."""
        if self.plugged:
            self._to_board.put(data, self._clock.now_s())
            self._served_s = -1.0

    def _said(self, data: bytes) -> None:
        if self.plugged:
            self._to_host.put(data, self._clock.now_s())


class VirtualTransport:
    """What a host holds of an open port: `Transport` by shape."""

    def __init__(
        self, cable: Cable, *, received: Callable[[bytes], None], lost: Callable[[str], None]
    ) -> None:
        self._cable, self.received, self.lost = cable, received, lost

    def write(self, data: bytes) -> None:
        self._cable.sent(data)

    def close(self) -> None:
        self._cable.let_go()


@contextmanager
def plugged_in(
    firmware: Firmware, *, faults: Faults | None = None, seed: int = 0
) -> Iterator[tuple[Cable, VirtualClock]]:
    """Yield a cable to a board that runs `firmware`, and the clock to open it with."""
    clock = VirtualClock()
    cable = Cable(firmware, clock=clock, faults=faults, seed=seed)
    with patch("firmware_bridge.text.lines.Transport", cable.connect):
        yield cable, clock

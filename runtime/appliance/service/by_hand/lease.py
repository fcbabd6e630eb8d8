"""Who has the instrument by hand: one person at a time, for as long as they go on looking.

    nobody ─▶ opening ─▶ open ─▶ letting go ─▶ nobody
                 │         │          │
                 └─────────┴──────────┴─▶ killed, where the process does not answer or go

A lease that nobody renews ends by itself: a browser that went away takes no instrument along. While
somebody has it no night begins, and while a night has it nobody gets it; both are decided under the
queue's own lock.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_urlsafe
from typing import Any

from runtime.appliance.service.by_hand.instrument_process import (
    InstrumentProcess,
    InstrumentSilent,
)
from runtime.appliance.service.kept.announcements import Announcements
from runtime.appliance.service.kept.store import ServiceStore
from runtime.appliance.service.refusal import CONFLICT, UNFIT, RequestRefused
from runtime.ports import Clock

LEASE_S = 60.0
"""Since the last order; after that the instrument is closed."""
QUIET_S = 2 * LEASE_S
"""After so long without an order the process goes by itself, whatever became of the service."""
CLOSE_S = 20.0
"""For the process to make the instrument safe."""
OPEN_S = 300.0
"""Homing a long stage takes minutes."""
TURN_S = 5.0
"""How long an order waits for the one before it."""


@dataclass(eq=False, slots=True, kw_only=True)
class Lease:
    """One person's hold of the instrument. `about` is what the process told of it; `ending_s` is
    since when it is let go.
    """

    by: str
    since_s: float
    ends_s: float
    key: str = field(default_factory=lambda: token_urlsafe(18))
    about: dict[str, Any] = field(default_factory=dict[str, Any])
    turn: threading.Lock = field(default_factory=threading.Lock)
    ending_s: float | None = None
    why: str = ""
    killed: bool = False


@dataclass(slots=True, kw_only=True)
class InstrumentLease:
    """The instrument of `settings`, to be lent. Called from many threads; `step` from the keeper's,
    once a tick.
    """

    store: ServiceStore
    announcements: Announcements
    clock: Clock
    settings: Path
    process: InstrumentProcess
    draining: bool = False
    _held: Lease | None = None
    _stray_s: float | None = None
    # Never taken around an announcement: that takes the store's lock, which is taken before this.
    _mutex: threading.Lock = field(default_factory=threading.Lock)

    # -- who has it --------------------------------------------------------------------------

    def taken(self) -> str:
        """Return why no night can begin, in words; empty where nothing is in its way."""
        with self._mutex:
            if self._held is not None:
                return f"{self._held.by} has the instrument open by hand; plans wait for that"
            if self.process.alive():
                return "a process of an earlier service has the instrument; plans wait for it"
        return ""

    @property
    def busy(self) -> bool:
        """Return whether a process still has the instrument."""
        return bool(self.taken())

    def shown(self) -> dict[str, Any] | None:
        """Return who has it and since when, as the API says it."""
        held = self._held
        return None if held is None else {"by": held.by, "since": held.since_s}

    def about(self) -> dict[str, Any] | None:
        """Return what the process told of the instrument that is open."""
        held = self._held
        return None if held is None or not held.about else held.about

    # -- taking and giving back --------------------------------------------------------------

    def open(self, *, by: str, objective: str | None) -> dict[str, Any]:
        """Open the instrument and home its stage; return the lease's key and what there is.

        Raises RequestRefused while a night or somebody else has it, and where it cannot be opened.
        """
        now = self.clock.instant()
        held = Lease(by=by, since_s=now.wall_s, ends_s=self.clock.now_s() + OPEN_S)
        with held.turn:
            order = {"settings": str(self.settings), "objective": objective, "quiet_s": QUIET_S}
            with self.store.transaction():
                self._refuse_a_night()
                self._take(held, order)
            answer, _ = self._answered(held, lambda: self.process.answer(within_s=OPEN_S))
            held.about = answer
            held.ends_s = self.clock.now_s() + LEASE_S
        self._say(f"{by} opened the instrument by hand")
        return {"lease": held.key, "lease_s": LEASE_S} | answer

    def order(
        self, key: str, what: str, given: dict[str, Any], *, within_s: float
    ) -> tuple[dict[str, Any], bytes]:
        """Have an order obeyed for whoever holds the lease of a key; return what came of it.

        Raises RequestRefused where the lease is over, another order is being obeyed, or the
        instrument refuses; one that fails or does not answer is closed.
        """
        held = self._of(key)
        if not held.turn.acquire(timeout=TURN_S):
            raise RequestRefused(
                CONFLICT,
                "the instrument is busy with the order before",
                remedy="wait for it, or close the instrument",
            )
        try:
            self._of(key)  # it may have ended meanwhile
            asked = {"do": what, "with": given}
            return self._answered(held, lambda: self.process.ask(asked, within_s=within_s))
        finally:
            held.ends_s = self.clock.now_s() + LEASE_S
            held.turn.release()

    def close(self, key: str | None, *, by: str) -> None:
        """Give the instrument back, without a key whoever has it; return when it is safe, or at the
        latest when it is to be killed.
        """
        with self._mutex:
            held = self._held
        if held is None or (key is not None and key != held.key):
            return  # it is closed already, for whoever asks
        self._let_go(held, f"{by} closed the instrument")
        if self.process.wait(within_s=CLOSE_S):
            self._over(held)

    # -- once a tick -------------------------------------------------------------------------

    def step(self) -> None:
        """End a lease that ran out; see to it that what was let go is gone."""
        held, now_s = self._held, self.clock.now_s()
        if held is None:
            self._see_off_a_stray(now_s)
        elif held.ending_s is None:
            if self.draining:
                self._let_go(held, "the service ends: the instrument is closed")
            elif not held.turn.locked() and now_s > held.ends_s:
                words = f"nobody looked for {LEASE_S:.0f} s: the instrument {held.by} had is closed"
                self._let_go(held, words)
            elif held.about and not self.process.alive():
                self._let_go(held, "the process that had the instrument ended by itself")
        elif not self.process.alive():
            self._over(held)
        elif now_s - held.ending_s > CLOSE_S:
            self._kill(held)

    def _see_off_a_stray(self, now_s: float) -> None:
        """A service that died leaves a process that goes by itself, unless a driver hangs."""
        with self._mutex:
            if self._held is not None or not self.process.alive():
                self._stray_s = None
            elif self._stray_s is None:
                self._stray_s = now_s
            elif now_s - self._stray_s > CLOSE_S:
                self.process.kill()

    # -- how it ends -------------------------------------------------------------------------

    def _answered(self, held: Lease, ask: Any) -> tuple[dict[str, Any], bytes]:
        try:
            answer, content = ask()
        except InstrumentSilent as silent:
            if held.ending_s is not None:
                raise _closed_meanwhile() from None
            self._let_go(held, f"{silent.what}: closed")
            self._kill(held)
            if self.process.wait(within_s=TURN_S):
                self._over(held)
            raise RequestRefused(
                CONFLICT, silent.what, value=silent.value, remedy=silent.remedy
            ) from None
        if held.ending_s is not None:
            raise _closed_meanwhile()
        if (refused := answer.get("refused")) is None:
            return answer["done"], content
        if answer["over"]:
            self._let_go(held, f"{refused['what']}: the instrument is closed")
            if self.process.wait(within_s=CLOSE_S):
                self._over(held)
        raise RequestRefused(CONFLICT if answer["over"] else UNFIT, **refused)

    def _let_go(self, held: Lease, why: str) -> None:
        with self._mutex:
            if held.ending_s is not None:
                return
            held.ending_s, held.why = self.clock.now_s(), why
            self.process.let_go()

    def _kill(self, held: Lease) -> None:
        """End the process of a lease, unless that is over and the process another one's."""
        with self._mutex:
            if self._held is held:
                held.killed = True
                self.process.kill()

    def _over(self, held: Lease) -> None:
        """Lend it to the next, once it is known to be dark."""
        with self._mutex:
            if self._held is not held:
                return
            words = held.why if held.key else self._whether_dark()
            self.process.forget()
            self._held = None
            if held.killed and held.key:
                words += "; its process did not go and was killed"
                if boards := ", ".join(held.about.get("unwatched", ())):
                    words += f"; {boards} may be lit, and is opened once more, dark"
                    self._held = self._darkening()
        self._say(words)

    def _darkening(self) -> Lease:
        """Return the service's own lease, in which the instrument is opened dark, and closed: of a
        board that does not watch its host nobody else knows that.
        """
        now = self.clock.instant()
        self.process.start({"settings": str(self.settings), "objective": None, "quiet_s": 0})
        ending_s = self.clock.now_s() + OPEN_S
        return Lease(by="the service", key="", since_s=now.wall_s, ends_s=0, ending_s=ending_s)

    def _whether_dark(self) -> str:
        """Return in words what became of the opening that was to make it dark."""
        try:
            answer, _ = self.process.answer(within_s=TURN_S)
        except InstrumentSilent as silent:
            answer = {"refused": {"what": silent.what}}
        if "refused" not in answer:
            return "the instrument was opened once more, and is dark"
        return f"look whether a light is on: {answer['refused']['what']}"

    # -- who may -----------------------------------------------------------------------------

    def _refuse_a_night(self) -> None:
        item = self.store.in_hand()
        if item is not None:
            raise RequestRefused(
                CONFLICT,
                f"the night {item.name} has the microscope",
                value=item.state,
                remedy="wait until it has ended, or abort it: its specimen lies on the stage",
            )

    def _take(self, held: Lease, order: dict[str, Any]) -> None:
        with self._mutex:
            if self.draining:
                raise RequestRefused(CONFLICT, "the service ends", remedy="ask the next one")
            if (now := self._held) is not None:
                raise RequestRefused(
                    CONFLICT,
                    f"{now.by} has the instrument open by hand",
                    limit="one at a time",
                    remedy="ask them to close it, or wait until they have left its page for "
                    f"{LEASE_S:.0f} s",
                )
            try:
                self.process.start(order)
            except BlockingIOError:
                raise RequestRefused(
                    CONFLICT,
                    "a process of an earlier service still has the instrument",
                    remedy=f"it ends within {CLOSE_S:.0f} s; open it then",
                ) from None
            self._held = held

    def _of(self, key: str) -> Lease:
        with self._mutex:
            held = self._held
        if held is None or held.key != key or held.ending_s is not None:
            other = "" if held is None or held.key == key else f": {held.by} has it now"
            raise RequestRefused(
                CONFLICT,
                f"the instrument is not open for this page any more{other}",
                limit=f"{LEASE_S:.0f} s without an order",
                remedy="open it again",
            )
        return held

    def _say(self, words: str) -> None:
        self.announcements.say("instrument", words)


def _closed_meanwhile() -> RequestRefused:
    return RequestRefused(CONFLICT, "the instrument was closed meanwhile", remedy="open it again")

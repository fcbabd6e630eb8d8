"""Keeps the nights going: one step a tick, by what is written down, so that a service that died is
taken up by the next where it was.

    waiting ─▶ running ─▶ done │ failed        the process ended, and `outcomes` says with what
                 │  ▲
                 ▼  │ resume                   paused by a person, or something a person must see to
                held

Whether a process runs is asked of the system, never remembered. What was asked of a night stands in
the queue before it is done: a pause outlives the power as a night does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from runtime.appliance.service.kept.announcements import Announcements
from runtime.appliance.service.kept.records import QueuedPlan
from runtime.appliance.service.kept.store import ServiceStore
from runtime.appliance.service.nights.night_process import NightProcess
from runtime.appliance.service.nights.outcomes import judge
from runtime.appliance.service.nights.progress import JournalWatch, NightEvent, TileNews
from runtime.config.service_settings import ServiceSection
from runtime.errors import ConfigRefused
from runtime.instant import Instant
from runtime.ports import Clock
from runtime.record.run_folder import RunFolder, is_held
from runtime.record.storage import make_folder, write_durably
from runtime.report.wall_clock import look_at_the_clock

LAST_WORDS_S = 30.0
"""After being asked twice, and told not to wait for the tile in hand."""
ELSEWHERE = "another process works on this run; waiting for it"

Process = Callable[[str], NightProcess]


@dataclass(slots=True)
class InHand:
    """The night that has the microscope, as far as this service remembers it; all that must not be
    forgotten stands in the queue.
    """

    item_id: int
    process: NightProcess
    watch: JournalWatch
    begun_s: float
    started: Instant
    watched: bool = False
    asked_s: float | None = None
    asked: int = 0
    again_s: float = 0.0
    stalled: bool = False
    first_taken: int | None = None


@dataclass(slots=True, kw_only=True)
class Keeper:
    """One step a tick. `process` gives the process of a night by name, `settings` the file that is
    used where a plan names none, `on_news` hears of tiles and of the nights' own logs. `taken` says
    in words who has the instrument open by hand, which is nobody where it says nothing.
    """

    store: ServiceStore
    section: ServiceSection
    settings: Path
    announcements: Announcements
    clock: Clock
    process: Process
    on_news: Callable[[str, list[TileNews], list[NightEvent]], None]
    taken: Callable[[], str] = lambda: ""
    hand: InHand | None = None
    waits_for: str = ""
    draining: bool = False

    def step(self) -> None:
        """Look at the night in hand, or begin the next one that is due."""
        item = self.store.in_hand()
        if item is None:
            self.hand = None
            self._begin_next()
            return
        if self.hand is None or self.hand.item_id != item.id:
            self.hand = self._take_up(item)
        self._look(self.hand, item)
        if self.hand.process.alive():
            self.hand.watched = True
            self._watch(self.hand, item)
        elif item.state != "running":
            pass  # until a person says how it goes on
        elif self.hand.watched or self.hand.process.has_said() or item.wanted != "run":
            self._ended(self.hand, item)
        else:
            self._start(self.hand, item)

    def folder_of(self, item: QueuedPlan) -> RunFolder:
        """Return the run folder of an item that has one."""
        return RunFolder(self.section.runs / item.run)

    # -- a night in hand ---------------------------------------------------------------------

    def _take_up(self, item: QueuedPlan) -> InHand:
        return InHand(
            item_id=item.id,
            process=self.process(f"night-{item.id}"),
            watch=JournalWatch(self.folder_of(item), changed_s=self.clock.now_s()),
            begun_s=self.clock.now_s(),
            started=self.clock.instant(),
        )

    def _look(self, hand: InHand, item: QueuedPlan) -> None:
        tiles, events = hand.watch.look(self.clock.now_s())
        if hand.first_taken is None and hand.watch.progress.planned:
            hand.first_taken = hand.watch.progress.taken
            hand.begun_s = self.clock.now_s()
        if tiles or events:
            self.on_news(item.run, tiles, events)

    def _watch(self, hand: InHand, item: QueuedPlan) -> None:
        """Have a process that runs stop where that is wanted, or where it stands still."""
        now_s = self.clock.now_s()
        idle_s = now_s - hand.watch.changed_s
        if item.wanted == "run" and not self.draining and idle_s > self.section.stalled_after_s:
            if not hand.stalled:
                words = f"nothing journaled for {idle_s:.0f} s: ended, and resumed"
                self.announcements.say("stalled", words, run=item.run)
            hand.stalled = True
        if item.wanted != "run" or self.draining or hand.stalled:
            self._end(hand, now_s)

    def _end(self, hand: InHand, now_s: float) -> None:
        """Ask politely, then urgently, then not at all."""
        grace_s = LAST_WORDS_S if hand.stalled else self.section.stop_within_s
        waited_s = 0.0 if hand.asked_s is None else now_s - hand.asked_s
        if hand.asked_s is None:
            hand.asked_s, hand.asked = now_s, 1
            hand.process.ask_to_stop()
        elif hand.asked == 1 and waited_s > grace_s:
            hand.asked = 2
            hand.process.ask_to_stop()
        elif waited_s > grace_s + LAST_WORDS_S:
            hand.process.kill()

    def _ended(self, hand: InHand, item: QueuedPlan) -> None:
        """Write down what became of a night whose process is over."""
        self._look(hand, item)
        code, said = hand.process.ending()
        asked, stalled = hand.asked > 0, hand.stalled
        hand.watched, hand.asked_s, hand.asked, hand.stalled = False, None, 0, False
        progress = hand.watch.progress
        goes_on = item.wanted == "run" and said.get("state") != "finished"
        if stalled and goes_on:
            code, said = None, {"kind": "HardwareFailed", "error": "it stood still"}
        elif goes_on and (asked or self.draining):
            return  # it ended because it was to: it goes on at once, or with the next service
        begun = self.folder_of(item).journal.is_file()
        verdict = judge(item, progress, begun=begun, code=code, said=said)
        self.store.change(item.id, lambda now: _judged(now, item, verdict.item))
        self.announcements.say(verdict.kind, verdict.words, run=item.run)
        hand.again_s = self.clock.now_s() + verdict.again_in_s

    def _start(self, hand: InHand, item: QueuedPlan) -> None:
        """Start a night, or go on with it, as soon as the clock and the last attempt allow.

        The night's own look ahead comes before its first move: clock, disk, calibrations, every
        device; after a reboot it finds its focus again, and its place by image.
        """
        if self.draining or self.clock.now_s() < hand.again_s or not self._clock_is_right():
            return
        folder = self.folder_of(item)
        if waits_for := self.taken() or (ELSEWHERE if is_held(folder) else ""):
            self.waits_for = waits_for
            return
        self.waits_for = ""
        if folder.journal.is_file():
            verb = ["resume", str(folder.path)]
        else:
            plan = self.section.state / "plans" / f"{item.id}.yaml"
            make_folder(plan.parent)
            write_durably(plan, item.plan.encode())
            settings = self.settings.parent / item.settings if item.settings else self.settings
            verb = ["run", str(plan), "--settings", str(settings), "--out", str(folder.path)]
        hand.process.start(verb)
        hand.watched = True
        hand.watch.changed_s = hand.begun_s = self.clock.now_s()
        hand.first_taken = None
        told = "goes on" if verb[0] == "resume" else "starts"
        self.announcements.say(verb[0], f"{item.name} {told}", run=item.run)

    # -- the next ----------------------------------------------------------------------------

    def _begin_next(self) -> None:
        """Give the microscope to the first item that waits and is due."""
        now = self.clock.instant()
        due = [
            item
            for item in self.store.items()
            if item.state == "waiting" and (item.start_at is None or item.start_at <= now.wall_s)
        ]
        waited_for, self.waits_for = self.waits_for, self.waits_for if due else ""
        if not due or self.draining or not self._clock_is_right():
            return
        if taken := self.taken():
            if taken != waited_for:
                self.announcements.say("waiting", f"{due[0].name} waits: {taken}")
            self.waits_for = taken
            return
        run = f"{_day(now)}-{_slug(due[0].name)}-{due[0].id}"
        self.store.change(
            due[0].id,
            # It may have been held since it was read, or the instrument taken in hand.
            lambda item: (
                replace(item, state="running", run=run, wanted="run")
                if item.state == "waiting" and not self.taken()
                else item
            ),
        )

    def _clock_is_right(self) -> bool:
        """Return whether the clock may be: one without a battery comes up years ago, and is set
        when the network is there. A step since the last that happened is told.
        """
        now = self.clock.instant()
        known = [happening.at for happening in self.store.happenings(latest=1)]
        try:
            odd = look_at_the_clock(now, known=known)
        except ConfigRefused as error:
            if self.waits_for != str(error):
                self.announcements.say("clock", f"waiting: {error}")
            self.waits_for = str(error)
            return False
        for said in odd:
            self.announcements.say("clock", said)
        self.waits_for = ""
        return True


def _judged(now: QueuedPlan, then: QueuedPlan, verdict: QueuedPlan) -> QueuedPlan:
    """Return an item as judged, what was asked of it meanwhile kept: then that is still to be done
    by whoever looks at what runs.
    """
    asked_since = now.wanted != then.wanted and verdict.state == "held"
    return replace(
        now,
        state="running" if asked_since else verdict.state,
        reason=verdict.reason,
        attempts=verdict.attempts,
        tiles_then=verdict.tiles_then,
    )


def _day(now: Instant) -> str:
    return datetime.fromtimestamp(now.wall_s).astimezone().strftime("%Y-%m-%d")


def _slug(name: str) -> str:
    """Return a plan's name as part of a folder's: letters, digits and hyphens."""
    kept = "".join(one if one.isalnum() and one.isascii() else "-" for one in name.lower())
    return "-".join(part for part in kept.split("-") if part)[:40] or "night"

"""What people may do to the queue and to the night in hand; each is durable before it is answered.

Two operators may ask at once: every change is made to what stands there now, and one that no longer
fits is refused with what came in between. Who did what is announced to both.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from runtime.appliance.service.kept.announcements import Announcements
from runtime.appliance.service.kept.records import QueuedPlan, Wanted
from runtime.appliance.service.kept.store import ServiceStore
from runtime.appliance.service.refusal import BAD, CONFLICT, UNKNOWN, RequestRefused
from runtime.config.plan_file import parse_plan_text, plan_text
from runtime.config.service_settings import ServiceSection
from runtime.config.settings import load_settings
from runtime.record.journal import Journal
from runtime.record.rows import BY_A_PERSON
from runtime.record.run_folder import RunFolder
from runtime.report.wall_clock import EARLIEST, LATEST

MOST_WAITING = 200
KEPT_OVER = 200
"""Of the plans that are done or failed: their runs keep what came of them."""
NOTHING_RUNS = "`nightscope queue list` shows what there is"
Change = Callable[[QueuedPlan], QueuedPlan]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanQueue:
    """The queue of a service. `settings` is what a plan runs with unless it names others beside
    it; `by` is always who asks.
    """

    store: ServiceStore
    section: ServiceSection
    settings: Path
    announcements: Announcements

    def add(
        self, plan: str, *, by: str, settings: str | None = None, start_at: float | None = None
    ) -> QueuedPlan:
        """Queue a plan, its text or its name below the plans, behind all others; return it.

        Raises ConfigRefused for a plan that cannot be used with those settings, RequestRefused for
        a name that leads elsewhere, and for a queue that is full.
        """
        file = self._settings(settings)
        text = plan if "\n" in plan or ":" in plan else self._named(plan)
        wanted = parse_plan_text(text, source="plan").on(load_settings(file))
        _refuse_time(start_at)
        with self.store.transaction():
            items = self.store.items()
            for item in [one for one in items if one.over][:-KEPT_OVER]:
                self.store.remove_item(item.id)
            if sum(not item.over for item in items) >= MOST_WAITING:
                raise RequestRefused(
                    CONFLICT, "the queue is full", limit=MOST_WAITING, remedy="remove what waits"
                )
            item = QueuedPlan(
                id=self.store.next_id(),
                name=wanted.name,
                plan=text,
                settings=settings or "",
                by=by,
                position=1 + max((item.position for item in items), default=-1),
                start_at=start_at,
            )
            self.store.put_item(item)
        self._say("queued", f"{by} queued {item.name}")
        return item

    def move(self, item_id: int, position: int, *, by: str) -> QueuedPlan:
        """Put an item at a place among those that have not begun, counted from 0."""
        with self.store.transaction():
            item = self._item(item_id)
            if not item.to_come:
                raise _conflict(item, "it has begun already")
            self.store.place(item_id, position)
        self._say("queue", f"{by} moved {item.name} to place {position}")
        return self._item(item_id)

    def hold(self, item_id: int, held: bool, *, by: str) -> QueuedPlan:
        """Keep an item that waits from starting, or let it start."""
        former, state = ("waiting", "held") if held else ("held", "waiting")

        def change(item: QueuedPlan) -> QueuedPlan:
            if item.in_hand or item.state not in (former, state):
                raise _conflict(item, "only a plan that waits can be held, and one held released")
            return replace(item, state="held" if held else "waiting")

        return self._change(item_id, change, f"{by} {'held' if held else 'released'}")

    def start_at(self, item_id: int, at_s: float | None, *, by: str) -> QueuedPlan:
        """Have an item start at a time (Unix, s), or as soon as its turn comes."""
        _refuse_time(at_s)

        def change(item: QueuedPlan) -> QueuedPlan:
            if item.in_hand or item.over:
                raise _conflict(item, "it has started already")
            return replace(item, start_at=at_s)

        return self._change(item_id, change, f"{by} set the start of")

    def remove(self, item_id: int, *, by: str) -> QueuedPlan:
        """Take an item out of the queue; its run folder, if there is one, stays."""
        with self.store.transaction():
            item = self._item(item_id)
            if item.in_hand:
                raise _conflict(item, "it has the microscope: abort it first")
            self.store.remove_item(item_id)
        self._say("queue", f"{by} removed {item.name}")
        return item

    # -- the night in hand -------------------------------------------------------------------

    def ask(self, wanted: Wanted, *, by: str, night: int | None = None) -> QueuedPlan:
        """Have the night in hand run, pause or be given up, once the tile in hand is done; `night`
        is its id, where whoever asks means no other.
        """

        def change(item: QueuedPlan) -> QueuedPlan:
            if not item.in_hand:
                raise _conflict(item, "it has ended meanwhile")
            if item.state == "running":
                return replace(item, wanted=wanted, attempts=0)
            if wanted == "run":
                return replace(item, state="running", wanted="run", attempts=0, reason="")
            if wanted == "abort":
                return replace(item, state="failed", wanted="abort", reason=f"aborted by {by}")
            return item

        words = {"run": "resumed", "pause": "asked to pause", "abort": "aborted"}[wanted]
        return self._change(self._in_hand(night).id, change, f"{by} {words}")

    def skip(
        self,
        *,
        by: str,
        tile: str | None = None,
        region: str | None = None,
        night: int | None = None,
    ) -> list[str]:
        """Have the night in hand give up a tile, or all frames of a region, that it has not taken
        yet; return their ids. The report says who gave them up.
        """
        item = self._in_hand(night)
        folder = RunFolder(self.section.runs / item.run)
        if not folder.journal.is_file():
            raise _conflict(item, "it has not planned its tiles yet")
        journal = Journal(folder.journal)
        try:
            named = _frames_of(journal, tile, region)
            taken = {row.tile_id for row in journal.tiles()} | set(journal.skips())
            left = [one for one in named if one not in taken]
            if not left:
                raise RequestRefused(
                    CONFLICT,
                    "nothing is left of it: taken, or given up before",
                    value=tile or region,
                    remedy="name one that is still to come",
                )
            with journal.transaction():
                for one in left:
                    journal.skip(tile_id=one, reason=f"{BY_A_PERSON}{by}")
        finally:
            journal.close()
        self._say("skipped", f"{by} skipped {tile or region}", run=item.run)
        return left

    def _in_hand(self, night: int | None) -> QueuedPlan:
        item = self.store.in_hand()
        if item is None or (night is not None and item.id != night):
            raise RequestRefused(
                CONFLICT,
                "no night runs" if item is None else "another night has begun meanwhile",
                value=night,
                limit=None if item is None else item.id,
                remedy=NOTHING_RUNS,
            )
        return item

    def _change(self, item_id: int, change: Change, words: str) -> QueuedPlan:
        changed = self.store.change(item_id, change)
        if changed is None:
            raise _gone(item_id)
        self._say("queue", f"{words} {changed.name}", run=changed.run)
        return changed

    def _item(self, item_id: int) -> QueuedPlan:
        item = self.store.item(item_id)
        if item is None:
            raise _gone(item_id)
        return item

    def _say(self, kind: str, words: str, *, run: str = "") -> None:
        self.announcements.say(kind, words, run=run)

    def _named(self, name: str) -> str:
        file = self.section.plans / (name if name.endswith((".yaml", ".yml")) else f"{name}.yaml")
        return plan_text(_inside(self.section.plans, file, name))

    def _settings(self, name: str | None) -> Path:
        if name is None:
            return self.settings
        folder = self.settings.parent
        return _inside(folder, folder / name, name, ending=".toml")


def _inside(folder: Path, file: Path, name: str, ending: str = "") -> Path:
    """Return a file right in a folder. Raises RequestRefused for a name that leads elsewhere."""
    plain = name.isprintable() and not name.startswith(".") and "/" not in name and len(name) < 200
    if not plain or not name.endswith(ending):
        raise RequestRefused(
            BAD,
            "not the name of a file there",
            value=name[:80],
            limit=f"a file in {folder.name}" + (f", *{ending}" if ending else ""),
            remedy="give the plain name, without a folder, or the text of the plan itself",
        )
    return file


def _frames_of(journal: Journal, tile: str | None, region: str | None) -> list[str]:
    """Return the ids meant. Raises RequestRefused for what the night has not planned."""
    regions = {found.region_id: found for found in journal.regions()}
    visits = ((journal.fact("plan") or {}).get("visits")) or {}
    frames = {
        name: [f"{name}_f{index}" for index in range(visits.get("frames_per_region", 1))]
        for name in regions
    }
    planned = {*(journal.fact("planned_ids") or ())}.union(*frames.values())
    if region is not None and region in frames:
        return frames[region]
    if tile is not None and tile in planned:
        return [tile]
    raise RequestRefused(
        UNKNOWN,
        "the night has planned no such tile or region",
        value=tile or region,
        remedy="name it as the report does: r003_c007, or a region's id",
    )


def _refuse_time(at_s: float | None) -> None:
    if at_s is not None and not EARLIEST <= at_s < LATEST:
        raise RequestRefused(
            BAD,
            "'start_at' is no time a night can start at",
            value=at_s,
            limit="seconds since 1970, 2025 to 2099",
            remedy="give Unix time, or null for as soon as its turn comes",
        )


def _gone(item_id: int) -> RequestRefused:
    return RequestRefused(UNKNOWN, "no such plan in the queue", value=item_id, remedy=NOTHING_RUNS)


def _conflict(item: QueuedPlan, why: str) -> RequestRefused:
    return RequestRefused(
        CONFLICT,
        f"{item.name}: {why}",
        value=item.state,
        remedy="look at the queue as it is now, then ask again",
    )

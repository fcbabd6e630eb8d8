"""What the service says of itself: the state that pages watch, health, and the heartbeat's file."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from runtime.appliance.service.kept.records import QueuedPlan
from runtime.appliance.service.nights.keeper import InHand, Keeper
from runtime.record.storage import free_mb, standing_folder

STARTING = ("created", "calibrating")
LISTED_OVER = 20
"""Of the plans that are done or failed so many are listed: the others lie among the runs."""
HEARTBEAT = "heartbeat"
PASSING = ("clock", "disk_free_bytes")
"""What changes all the time, and is not worth a message of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """Whether a night that runs still journals: `row` is its newest row, `age_s` how long ago its
    files were last seen to grow; `stage` what its newest tile went through last.
    """

    ok: bool
    night: int | None
    state: str
    stage: str
    row: int
    age_s: float

    def as_json(self) -> dict[str, Any]:
        """Return it for whoever asks, token or not: it names no plan and no file."""
        night = None
        if self.night is not None:
            night = {
                "id": self.night,
                "state": self.state,
                "stage": self.stage,
                "row": self.row,
                "age_s": round(self.age_s, 1),
            }
        return {"ok": self.ok, "night": night}

    def write(self, folder: Path) -> None:
        """Write it where a shell reads it in milliseconds: one word, and the rest as JSON.

        It is not synced: what it says is only true while the machine is up.
        """
        part = folder / f".{HEARTBEAT}.part"
        part.write_text(f"{'ok' if self.ok else 'stalled'} {json.dumps(self.as_json())}\n")
        part.replace(folder / HEARTBEAT)


def heartbeat_of(keeper: Keeper, item: QueuedPlan | None, now_s: float) -> Heartbeat:
    """Return the heartbeat of the night in hand, healthy where there is none that runs."""
    hand = keeper.hand
    if item is None or hand is None:
        return Heartbeat(ok=True, night=None, state="", stage="", row=-1, age_s=0.0)
    progress = hand.watch.progress
    age_s = now_s - hand.watch.changed_s
    return Heartbeat(
        ok=not (hand.watched and (hand.stalled or age_s > keeper.section.stalled_after_s)),
        night=item.id,
        state=_night_state(hand, item),
        stage=progress.stage or progress.state,
        row=progress.seq,
        age_s=age_s,
    )


def state_of(
    keeper: Keeper,
    items: Iterable[QueuedPlan],
    *,
    instrument: str,
    by_hand: dict[str, Any] | None,
) -> dict[str, Any]:
    """Return the state as the API gives it; `by_hand` is who has the instrument open so."""
    items = list(items)
    item = next((one for one in items if one.in_hand), None)
    now = keeper.clock.instant()
    return {
        "night": None if item is None else _night(keeper, item),
        "queue": _queue(items),
        "waits_for": keeper.waits_for,
        "by_hand": by_hand,
        "disk_free_bytes": int(free_mb(standing_folder(keeper.section.runs)) * 1e6),
        "clock": datetime.fromtimestamp(now.wall_s, tz=UTC).isoformat(timespec="seconds"),
        "instrument": instrument,
    }


def same_but_for_time(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Return whether two states differ in nothing but what changes all the time."""
    return {k: v for k, v in one.items() if k not in PASSING} == {
        k: v for k, v in other.items() if k not in PASSING
    }


def _night(keeper: Keeper, item: QueuedPlan) -> dict[str, Any]:
    hand = keeper.hand
    if hand is None or hand.item_id != item.id:
        hand = None
    progress = None if hand is None else hand.watch.progress
    return {
        "id": item.id,
        "name": item.name,
        "folder": item.run,
        "state": "starting" if hand is None else _night_state(hand, item),
        "stage": "" if progress is None else progress.stage or progress.state,
        "reason": item.reason or keeper.waits_for,
        "tiles": 0 if progress is None else progress.planned,
        "done": 0 if progress is None else progress.done,
        "visits": 0 if progress is None else progress.visits,
        "visits_done": 0 if progress is None else progress.visits_done,
        "eta_s": None if hand is None else _eta_s(hand),
        "tile": None if progress is None or progress.seq < 0 else progress.seq,
        "stage_um": None if progress is None else progress.stage_um,
        "started": None if progress is None else progress.created_s,
    }


def _night_state(hand: InHand, item: QueuedPlan) -> str:
    if item.state == "held":
        return "paused"
    if hand.stalled:
        return "stalled"
    if item.wanted != "run" or hand.asked:
        return "stopping"
    if not hand.watched or hand.watch.progress.state in STARTING:
        return "starting"
    return "scanning"


def _eta_s(hand: InHand) -> int | None:
    """Return how long what is known to be left takes at the pace so far; None before there is
    one. Regions that are not found yet are not in it.
    """
    progress = hand.watch.progress
    fresh = progress.taken - (hand.first_taken or 0)
    if fresh <= 0 or not hand.watched:
        return None
    left = max(progress.planned + progress.visits - progress.taken, 0)
    return round((hand.watch.changed_s - hand.begun_s) / fresh * left)


def _queue(items: list[QueuedPlan]) -> list[dict[str, Any]]:
    over = [item for item in items if item.over][-LISTED_OVER:]
    coming = [item for item in items if item.to_come]
    listed = [*over, *(item for item in items if item.in_hand), *coming]
    return [item_as_json(item, coming) for item in listed]


def item_as_json(item: QueuedPlan, coming: list[QueuedPlan]) -> dict[str, Any]:
    """Return an item as the API gives it; `position` is its place among those `coming`."""
    places = {one.id: at for at, one in enumerate(coming)}
    return {
        "id": item.id,
        "name": item.name,
        "plan": item.plan,
        "settings": item.settings or None,
        "start_at": item.start_at,
        "position": places.get(item.id),
        "state": item.state,
        "reason": item.reason,
        "run": item.run or None,
        "by": item.by,
    }

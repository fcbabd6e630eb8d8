"""What becomes of a night whose process ended: done, tried again, held for a person, given up."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from runtime.appliance.service.kept.records import QueuedPlan
from runtime.appliance.service.nights.progress import NightProgress
from runtime.errors import (
    CameraFailed,
    HardwareFailed,
    InferenceStalled,
    InstrumentDoubted,
    MemoryShort,
    Stopped,
)

WAITS_S = (5.0, 30.0, 120.0)
"""Before a night is tried again: a plug that came loose, a bus that comes up after the power."""
AGAIN = (HardwareFailed, CameraFailed, InferenceStalled, MemoryShort)
NEVER_AGAIN = InstrumentDoubted.__name__
HARDWARE, INTERNAL = HardwareFailed.exit_code, 1
REASON = 480


@dataclass(frozen=True, slots=True)
class NightOutcome:
    """The item as it is now, what to announce of it (`kind` and `words`), and in how many seconds
    it is to be tried again, if it is "running" still.
    """

    item: QueuedPlan
    kind: str
    words: str
    again_in_s: float = 0.0


def judge(
    item: QueuedPlan,
    progress: NightProgress,
    *,
    begun: bool,
    code: int | None,
    said: dict[str, Any],
) -> NightOutcome:
    """Return what becomes of an item whose process ended with `code`, None where that is not known,
    and said its last word; `begun`: there is a run folder by now.
    """
    reason = str(said.get("error") or _death(code))[:REASON]
    if progress.finished or said.get("state") == "finished":
        return _finished(item, said)
    if item.wanted == "abort":
        return NightOutcome(replace(item, state="failed", reason="aborted"), "aborted", "aborted")
    if item.wanted == "pause":
        words = f"paused, {progress.taken} tiles are safe"
        return NightOutcome(replace(item, state="held", reason="paused"), "paused", words)
    if _may_pass(code, str(said.get("kind", ""))):
        return _once_more(item, progress, reason)
    if begun:
        held = replace(item, state="held", reason=reason, attempts=0)
        return NightOutcome(held, "attention", f"paused: {reason}")
    return NightOutcome(replace(item, state="failed", reason=reason), "refused", reason)


def _finished(item: QueuedPlan, said: dict[str, Any]) -> NightOutcome:
    attention = [str(one) for one in said.get("attention") or ()]
    reason = "; ".join(attention)[:REASON]
    done = replace(item, state="done", reason=reason)
    if attention:
        return NightOutcome(done, "attention", f"finished, and needs attention: {reason}")
    return NightOutcome(done, "finished", "finished, and nothing needs attention")


def _once_more(item: QueuedPlan, progress: NightProgress, reason: str) -> NightOutcome:
    attempts = 1 if progress.taken > item.tiles_then else item.attempts + 1
    item = replace(item, attempts=attempts, tiles_then=progress.taken, reason=reason)
    if attempts > len(WAITS_S):
        held = replace(item, state="held", attempts=0)
        words = f"paused after {attempts} attempts without a tile: {reason}"
        return NightOutcome(held, "attention", words)
    wait_s = WAITS_S[attempts - 1]
    words = f"{reason}; tried again in {wait_s:.0f} s"
    return NightOutcome(item, "trouble", words, again_in_s=wait_s)


def _may_pass(code: int | None, kind: str) -> bool:
    """Return whether what ended a night may be gone at the next attempt: hardware that was not
    there, memory, a crash. What a person has to decide, or the disk, is not.
    """
    if kind:
        return kind in {one.__name__ for one in AGAIN} or (code == HARDWARE and kind != NEVER_AGAIN)
    return code is None or code < 0 or code == INTERNAL


def _death(code: int | None) -> str:
    if code is not None and code < 0:
        return f"the night's process was killed by signal {-code}"
    if code == Stopped.exit_code:
        return "the night's process was stopped from outside"
    return "the night's process died" + ("" if code is None else f" with exit code {code}")

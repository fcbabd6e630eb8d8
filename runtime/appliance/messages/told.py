"""What was already told of a run: the same news not twice, and never a flood."""

from __future__ import annotations

from runtime.appliance.messages.message import Message
from runtime.config.message_settings import MessagesSection
from runtime.instant import Instant
from runtime.record.journal import Journal

FACT = "messages"
DAY_S, MINUTE_S = 86_400.0, 60.0


def may_be_sent(
    message: Message, journal: Journal, section: MessagesSection, *, now: Instant
) -> bool:
    """Return whether a message is wanted, is news, and is not one too many.

    A clock that ran backwards counts as no time at all, so that it cannot open the gate.
    """
    if message.occasion not in section.on:
        return False
    ages_s = {news: max(now.wall_s - at, 0.0) for news, at in _sent(journal).items()}
    if sum(age_s < DAY_S for age_s in ages_s.values()) >= section.most_per_day:
        return False
    return ages_s.get(message.news, DAY_S) >= section.quiet_min * MINUTE_S


def note_sent(message: Message, journal: Journal, *, now: Instant) -> None:
    """Record that a message left."""
    kept = {news: at for news, at in _sent(journal).items() if now.wall_s - at < DAY_S}
    journal.note(**{FACT: kept | {message.news: now.wall_s}})


def told_since(journal: Journal, wall_s: float) -> bool:
    """Return whether anything was sent of a run since a moment, Unix time."""
    return any(at >= wall_s for at in _sent(journal).values())


def _sent(journal: Journal) -> dict[str, float]:
    """Return when each piece of news was sent last, Unix time."""
    found: dict[str, float] | None = journal.fact(FACT)
    return found or {}

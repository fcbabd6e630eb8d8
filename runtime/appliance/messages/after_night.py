"""A night that has ended is told; whatever fails in that changes nothing about the night."""

from __future__ import annotations

from contextlib import suppress

from rich.console import Console

from runtime.appliance.messages.message import Message
from runtime.appliance.messages.of_night import messages_of
from runtime.appliance.messages.sending import send
from runtime.appliance.messages.told import may_be_sent, note_sent
from runtime.config.message_settings import MessagesSection
from runtime.errors import NightscopeError
from runtime.instant import Instant
from runtime.ports import Clock
from runtime.record.journal import Journal
from runtime.record.run_folder import RunFolder
from runtime.record.trouble import trouble_is_told


def tell(folder: RunFolder, console: Console, *, clock: Clock, code: int, reason: str = "") -> None:
    """Send what there is to say of a night that ended with exit code `code`.

    What could not be sent is in the journal's log, and said on the console.
    """
    with suppress(NightscopeError, OSError, MemoryError), trouble_is_told():
        journal = Journal(folder.journal)
        try:
            _, settings = folder.configuration(journal)
            if settings.messages.targets is None:
                return
            now = clock.instant()
            for message in messages_of(
                folder, journal, settings, code=code, reason=reason, now=now
            ):
                if failed := deliver(message, journal, settings.messages, now=now):
                    console.print(failed)
        finally:
            journal.close()


def deliver(message: Message, journal: Journal, section: MessagesSection, *, now: Instant) -> str:
    """Send a message of a run, if it is wanted and is news; return why it was not taken, or ""."""
    if section.targets is None or not may_be_sent(message, journal, section, now=now):
        return ""
    try:
        failures = send(message, section.targets)
    except NightscopeError as error:
        failures = (str(error),)
    note_sent(message, journal, now=now)
    if not failures:
        journal.event(at=now, level="info", kind="message sent", message=message.title)
        return ""
    words = f"message '{message.occasion}' was not sent: {'; '.join(failures)}"
    journal.event(at=now, level="warning", kind="message", message=words)
    return words

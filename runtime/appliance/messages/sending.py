"""Messages leave by Apprise, in bounded time; what fails is said and does no harm."""

from __future__ import annotations

import logging
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import cv2

from runtime.appliance.messages.message import Message
from runtime.config.message_settings import Occasion
from runtime.errors import ConfigRefused
from runtime.plain_file import read_text

if TYPE_CHECKING:
    from apprise import Apprise

MOST_BYTES = 2**16
WAIT_S = 30.0
"""A night that has ended does not wait longer for a mail server."""
PICTURE_PX = 1280
SIGNS: dict[Occasion, str] = {
    "finished": "success",
    "attention": "warning",
    "paused": "warning",
    "stalled": "failure",
    "hardware": "failure",
    "disk": "failure",
    "calibration": "info",
}


def send(message: Message, targets: Path) -> tuple[str, ...]:
    """Send a message to every address of the file `targets`; return what failed, in words.

    An address is named by its service alone, for the rest of it is secret. Raises ConfigRefused
    for a file that is not there or names nobody.
    """
    reached = _addresses(targets)
    failures: list[str] = []
    with _shrunk(message.picture) as picture:
        # A daemon: a server that never answers must not keep the process from ending.
        worker = threading.Thread(
            target=_deliver, args=(reached, message, picture, failures), daemon=True
        )
        worker.start()
        worker.join(WAIT_S)
    if worker.is_alive():
        return (f"no answer within {WAIT_S:.0f} s",)
    return tuple(failures)


def _deliver(reached: Apprise, message: Message, picture: str | None, failures: list[str]) -> None:
    from apprise import NotifyFormat

    for server in reached:
        said: list[str] = []
        with _heard(said):
            arrived = server.notify(
                body=message.body,
                title=message.title,
                notify_type=SIGNS[message.occasion],
                body_format=NotifyFormat.TEXT,
                attach=picture,
            )
        if not arrived:
            failures.append(f"{server.service_name}: {said[-1] if said else 'was not taken'}")


def _addresses(targets: Path) -> Apprise:
    # Only here, for it takes a fifth of a second.
    from apprise import Apprise, AppriseAsset, PersistentStoreMode

    text = read_text(targets, what="message targets", most_bytes=MOST_BYTES, refuse=ConfigRefused)
    lines = [line.strip() for line in text.splitlines()]
    numbered = [(n, line) for n, line in enumerate(lines, 1) if line and not line.startswith("#")]
    if not numbered:
        raise ConfigRefused(f"{targets} names nobody", remedy="give an Apprise address a line")
    reached = Apprise(
        asset=AppriseAsset(app_id="Nightscope", storage_mode=PersistentStoreMode.MEMORY)
    )
    for number, line in numbered:
        with _heard([]):
            known = reached.add(line)
        if not known:
            raise ConfigRefused(
                f"{targets}, line {number}: is no address that Apprise knows",
                value=f"{line.split(':')[0][:20]}:…",
                remedy="see https://appriseit.com/services/ for how each service is written",
            )
    return reached


@contextmanager
def _shrunk(picture: Path | None) -> Iterator[str | None]:
    """Give a copy of a picture of a size that a phone shows, None for what is no picture."""
    seen = None if picture is None else cv2.imread(str(picture), cv2.IMREAD_COLOR)
    if seen is None:
        yield None
        return
    scale = min(PICTURE_PX / max(seen.shape[:2]), 1.0)
    small = cv2.resize(seen, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    with tempfile.TemporaryDirectory(prefix="nightscope-") as folder:
        file = Path(folder) / "map.jpg"
        file.write_bytes(cv2.imencode(".jpg", small)[1].tobytes())
        yield str(file)


class _Overheard(logging.Handler):
    def __init__(self, lines: list[str]) -> None:
        super().__init__(logging.WARNING)
        self._lines, self._thread = lines, threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the first line of what a service complained of, in the thread that listens."""
        if record.thread == self._thread:
            self._lines.append(" ".join(record.getMessage().split())[:200])


@contextmanager
def _heard(lines: list[str]) -> Iterator[None]:
    """Put into `lines` what Apprise logs meanwhile in this thread; none of it reaches the terminal.

    A message whose server does not answer is still under way when the next one is sent.
    """
    logger, handler = logging.getLogger("apprise"), _Overheard(lines)
    logger.propagate = False  # for good, as another thread may not have done yet
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)

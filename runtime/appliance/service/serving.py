"""`nightscope serve`: the keeper and the API in one process, until it is asked to end.

Asked to end, it asks the night to stop after the tile in hand, waits for it, and goes; the next
service goes on with it. Asked twice, it goes at once, and the night
stops by itself.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn

from runtime.appliance.service.listening import alone, listening, server_of
from runtime.appliance.service.nights.status import (
    Heartbeat,
    same_but_for_time,
)
from runtime.appliance.service.sd_notify import tell
from runtime.appliance.service.service import Service
from runtime.config.settings import load_settings
from runtime.errors import StorageFailed
from runtime.ports import Clock
from runtime.record.storage import make_folder

TICK_S = 0.5
TOLD_EVERY_S = 60.0
"""The state is told again after so long, for what changes all the time."""
BEHIND_THE_NIGHT = 5
"""Niceness of whoever answers requests: the night comes first."""
log = logging.getLogger("nightscope")


def serve(file: Path, clock: Clock, *, say: Any) -> None:
    """Serve until asked to end; `say` is told, once, the first token and where it listens.

    Raises ConfigRefused where another service has the state folder, or the address is taken.
    """
    file = file.resolve()
    settings = load_settings(file)
    section = settings.service
    make_folder(section.state)
    with alone(section.state), listening(section) as listener:
        service = Service.of(settings, file, clock)
        try:
            if not service.store.tokens():
                token = service.tokens.make(name="first", role="administer")
                say(f"first token, shown this once: {token}")
            host, port = listener.getsockname()[:2]
            shown = f"[{host}]" if ":" in host else host
            say(f"listening on http{'s' if section.tls else ''}://{shown}:{port}")
            asyncio.run(_run(service, listener))
        finally:
            service.store.close()


async def _run(service: Service, listener: socket.socket) -> None:
    loop, server = asyncio.get_running_loop(), server_of(service)
    ending = asyncio.Event()

    def asked() -> None:
        if ending.is_set():
            server.should_exit = True
        ending.set()
        service.end()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked)
    with ThreadPoolExecutor(1, thread_name_prefix="keeper") as thread:
        # The thread that starts nights keeps the niceness that they inherit.
        await loop.run_in_executor(thread, service.step)
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), BEHIND_THE_NIGHT)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        keeping = asyncio.create_task(_keep(service, thread, server))
        try:
            await asyncio.wait((serving, keeping), return_when=asyncio.FIRST_COMPLETED)
        finally:
            tell(STOPPING=1)
            server.should_exit = True
            service.broker.close()
        await serving
        keeping.cancel()
        with suppress(asyncio.CancelledError):
            await keeping


async def _keep(service: Service, thread: ThreadPoolExecutor, server: uvicorn.Server) -> None:
    """Take one step a tick, until the service ends and its night with it."""
    loop, told = asyncio.get_running_loop(), _Told(service)
    ready = False
    while True:
        try:
            await loop.run_in_executor(thread, service.step)
        except StorageFailed as error:
            log.error("%s", error)
        heart = await loop.run_in_executor(thread, told.tell)
        if not ready and server.started:
            tell(READY=1)
            ready = True
        tell(WATCHDOG=1, STATUS=_words(heart))
        if service.keeper.draining and not service.works():
            return
        await asyncio.sleep(TICK_S)


@dataclass(slots=True)
class _Told:
    """What was told last, so that only what changed is told again."""

    service: Service
    _state: dict[str, Any] | None = None
    _at_s: float = 0.0

    def tell(self) -> Heartbeat:
        """Tell the state where it changed, and write the heartbeat down."""
        service, now_s = self.service, self.service.clock.now_s()
        state, heart = service.metrics.state(), service.metrics.heartbeat()
        old = self._state is None or now_s - self._at_s > TOLD_EVERY_S
        if old or self._state is None or not same_but_for_time(state, self._state):
            service.broker.publish("state", state)
            self._state, self._at_s = state, now_s
        try:
            heart.write(service.section.state)
        except OSError as error:
            log.error("heartbeat: %s", error)
        return heart


def _words(heart: Heartbeat) -> str:
    return f"{heart.state}, {heart.row + 1} tiles" if heart.night is not None else "no night"

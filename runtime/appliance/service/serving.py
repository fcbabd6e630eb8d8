"""`nightscope serve`: the keeper and the API in one process, until it is asked to end.

Asked to end, it asks the night to stop after the tile in hand, waits for it, and goes; the next
service goes on with it. Asked twice, it goes at once, and the night
stops by itself.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import signal
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import uvicorn

from runtime.appliance import page
from runtime.appliance.service.api.app import application
from runtime.appliance.service.api.bounded_protocol import BoundedProtocol
from runtime.appliance.service.api.broker import Broker
from runtime.appliance.service.api.endpoints import Endpoints
from runtime.appliance.service.api.instrument_endpoints import InstrumentEndpoints
from runtime.appliance.service.api.model_endpoints import LARGE, ModelEndpoints
from runtime.appliance.service.api.shown import page_rows, view_rows
from runtime.appliance.service.by_hand.instrument_process import InstrumentProcess
from runtime.appliance.service.by_hand.lease import InstrumentLease
from runtime.appliance.service.courier import Courier
from runtime.appliance.service.kept.announcements import Announcements
from runtime.appliance.service.kept.records import Happening
from runtime.appliance.service.kept.store import ServiceStore
from runtime.appliance.service.kept.tokens import Tokens
from runtime.appliance.service.metrics import ServiceMetrics
from runtime.appliance.service.nights.keeper import Keeper
from runtime.appliance.service.nights.night_process import NightProcess
from runtime.appliance.service.nights.plan_queue import PlanQueue
from runtime.appliance.service.nights.progress import NightEvent, TileNews
from runtime.appliance.service.nights.status import (
    Heartbeat,
    heartbeat_of,
    same_but_for_time,
    state_of,
)
from runtime.appliance.service.sd_notify import tell
from runtime.appliance.views import views
from runtime.config.service_settings import ServiceSection
from runtime.config.settings import CalibrationSection, Settings, load_settings
from runtime.errors import ConfigRefused, StorageFailed
from runtime.ports import Clock
from runtime.record.storage import make_folder

TICK_S = 0.5
TOLD_EVERY_S = 60.0
"""The state is told again after so long, for what changes all the time."""
BEHIND_THE_NIGHT = 5
"""Niceness of whoever answers requests: the night comes first."""
STORE = "service.sqlite"
log = logging.getLogger("nightscope")


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """Everything a service is made of."""

    section: ServiceSection
    instrument: str
    store: ServiceStore
    tokens: Tokens
    broker: Broker
    announcements: Announcements
    keeper: Keeper
    lease: InstrumentLease
    queue: PlanQueue
    metrics: ServiceMetrics
    models: ModelEndpoints
    objectives: tuple[str, ...]
    calibration: CalibrationSection
    clock: Clock

    @classmethod
    def of(cls, settings: Settings, file: Path, clock: Clock) -> Service:
        """Return the service of an instrument's settings; its state folder is made."""
        section = settings.service
        for folder in (section.state, section.runs):
            make_folder(folder)
        section.state.chmod(0o700)
        store = ServiceStore(section.state / STORE)
        broker, announcements = Broker(), Announcements(store, clock)
        lease = InstrumentLease(
            store=store,
            announcements=announcements,
            clock=clock,
            settings=file,
            process=InstrumentProcess(section.state / "by_hand.lock"),
        )
        keeper = Keeper(
            store=store,
            section=section,
            settings=file,
            announcements=announcements,
            clock=clock,
            process=lambda name: NightProcess(section.state / "nights", name),
            on_news=lambda run, tiles, events: _publish(broker, run, tiles, events),
            taken=lease.taken,
        )
        announcements.listen(lambda happening: broker.publish("event", _as_event(happening)))

        def state() -> dict[str, Any]:
            name, by_hand = settings.instrument.name, lease.shown()
            return state_of(keeper, store.items(), instrument=name, by_hand=by_hand)

        def heartbeat() -> Heartbeat:
            return heartbeat_of(keeper, store.in_hand(), clock.now_s())

        def misses() -> int:
            return 0 if keeper.hand is None else keeper.hand.watch.progress.missed

        metrics = ServiceMetrics(state, heartbeat, misses, lambda: broker.watchers)
        announcements.listen(metrics.count)
        if settings.messages.targets is not None:
            courier = Courier(settings=settings, runs=section.runs, clock=clock)
            announcements.listen(courier.listener())
        return cls(
            section=section,
            instrument=settings.instrument.name,
            store=store,
            tokens=Tokens(store, clock),
            broker=broker,
            announcements=announcements,
            keeper=keeper,
            lease=lease,
            queue=PlanQueue(
                store=store, section=section, settings=file, announcements=announcements
            ),
            metrics=metrics,
            models=ModelEndpoints(settings, clock, announcements),
            objectives=tuple(settings.objectives),
            calibration=settings.calibration,
            clock=clock,
        )

    def step(self) -> None:
        """Take one step: whoever has the instrument by hand first, then the nights."""
        self.lease.step()
        self.keeper.step()

    def end(self) -> None:
        """Have the night and whoever has the instrument by hand come to an end."""
        self.keeper.draining = self.lease.draining = True

    def works(self) -> bool:
        """Return whether something still runs that is to end first."""
        hand = self.keeper.hand
        return self.lease.busy or (hand is not None and hand.process.alive())

    def app(self) -> Any:
        """Return the application."""
        endpoints = Endpoints(
            queue=self.queue,
            tokens=self.tokens,
            broker=self.broker,
            state=self.metrics.state,
            tls=self.section.tls,
        )
        instrument = InstrumentEndpoints(self.lease, self.objectives)
        shown = views(self.section.runs, self.clock, self.calibration)
        return application(
            (
                *endpoints.rows(),
                *instrument.rows(),
                *self.models.rows(),
                *view_rows(shown),
                *page_rows(page.routes()),
            ),
            tokens=self.tokens,
            metrics=self.metrics,
            large=LARGE,
            heartbeat=self.metrics.heartbeat,
            requests_per_s=self.section.requests_per_s,
            now_s=self.clock.now_s,
            tls=self.section.tls,
            version=_version(),
        )


def serve(file: Path, clock: Clock, *, say: Any) -> None:
    """Serve until asked to end; `say` is told, once, the first token and where it listens.

    Raises ConfigRefused where another service has the state folder, or the address is taken.
    """
    file = file.resolve()
    settings = load_settings(file)
    section = settings.service
    make_folder(section.state)
    with _alone(section.state), _listening(section) as listener:
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
    loop, server = asyncio.get_running_loop(), _server(service)
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


def _server(service: Service) -> uvicorn.Server:
    section = service.section
    config = uvicorn.Config(
        service.app(),
        http=BoundedProtocol,
        ws="none",
        lifespan="off",
        loop="asyncio",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=10,
        timeout_graceful_shutdown=5,
        ssl_certfile=section.certificate,
        ssl_keyfile=section.key,
    )

    class OurServer(uvicorn.Server):
        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield  # a signal is first the night's

    return OurServer(config)


@contextmanager
def _alone(state: Path) -> Iterator[None]:
    """Keep a second service from the same queue."""
    lock = os.open(state / "service.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigRefused(
                f"another service works with {state}",
                remedy="stop it first, or name another folder in [service] state",
            ) from None
        yield
    finally:
        os.close(lock)


@contextmanager
def _listening(section: ServiceSection) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in section.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((section.host, section.port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise ConfigRefused(
            f"cannot listen on {section.host}, port {section.port}: {error.strerror}",
            remedy="end what listens there, or name another port in [service]",
        ) from None
    with listener:
        yield listener


def _publish(broker: Broker, run: str, tiles: list[TileNews], events: list[NightEvent]) -> None:
    for tile in tiles:
        broker.publish(
            "tile", {"run": run, "tile": tile.tile, "state": tile.state, "label": tile.label}
        )
    for event in events:
        broker.publish(
            "event",
            {"run": run, "time": event.time_s, "kind": event.kind, "words": event.words},
        )


def _as_event(happening: Happening) -> dict[str, Any]:
    return {
        "run": happening.run or None,
        "time": happening.at.wall_s,
        "kind": happening.kind,
        "words": happening.words,
    }


def _words(heart: Heartbeat) -> str:
    return f"{heart.state}, {heart.row + 1} tiles" if heart.night is not None else "no night"


def _version() -> str:
    try:
        return version("nightscope")
    except PackageNotFoundError:
        return "unknown"

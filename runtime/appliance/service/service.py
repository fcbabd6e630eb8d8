"""What a service is made of, put together from the settings of an instrument."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from runtime.appliance import page
from runtime.appliance.service.api.app import application
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
    state_of,
)
from runtime.appliance.views import views
from runtime.config.service_settings import ServiceSection
from runtime.config.settings import CalibrationSection, Settings
from runtime.ports import Clock
from runtime.record.storage import make_folder

STORE = "service.sqlite"


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


def _version() -> str:
    try:
        return version("nightscope")
    except PackageNotFoundError:
        return "unknown"

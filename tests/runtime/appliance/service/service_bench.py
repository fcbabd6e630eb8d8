"""A service of which everything is real but the clock and whatever moves the instrument."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from runtime.appliance.service.kept.records import ROLES
from runtime.appliance.service.listening import server_of
from runtime.appliance.service.service import Service
from runtime.config.settings import load_settings
from runtime.instant import Instant
from runtime.record.journal import Journal
from runtime.record.run_folder import RunFolder
from tests.runtime.appliance.by_hand.made_up_instrument import MadeUpInstrument
from tests.simulated import SIMULATED

PLAN = """
name: corner
objective: 10x
grid: {rows: 3, columns: 3, centre_um: [0, 0]}
"""
EVENING_S = 1_795_000_000.0
PATIENCE_S = 240.0
"""For an answer: on a busy machine a process that opens an instrument takes its time."""


@dataclass
class HandClock:
    """Time that passes when a test says so."""

    passed_s: float = 1000.0
    wall_s: float = EVENING_S
    boot_id: str = "boot"

    def now_s(self) -> float:
        return self.passed_s

    def instant(self) -> Instant:
        return Instant(boot_id=self.boot_id, monotonic_s=self.passed_s, wall_s=self.wall_s)

    def sleep(self, *, duration_s: float) -> None:
        self.passed_s += duration_s
        self.wall_s += duration_s


@dataclass
class MadeUpProcess:
    """A night's process that does nothing by itself."""

    running: bool = False
    started: list[list[str]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    code: int | None = None
    said: dict[str, Any] = field(default_factory=dict)
    unheard: bool = False

    def start(self, arguments: list[str]) -> None:
        assert not self.running
        self.running = True
        self.started.append(list(arguments))

    def alive(self) -> bool:
        return self.running

    def ask_to_stop(self) -> None:
        self.asked.append("stop")

    def kill(self) -> None:
        self.asked.append("kill")

    def has_said(self) -> bool:
        return self.unheard

    def ending(self) -> tuple[int | None, dict[str, Any]]:
        self.unheard = False
        return self.code, self.said

    def end(self, code: int | None, **said: Any) -> None:
        self.running, self.code, self.said, self.unheard = False, code, said, bool(said)


@dataclass
class ServiceBench:
    """One controller: its folder outlives its services, `processes` its nights, `instrument` what
    has that open by hand.
    """

    folder: Path
    clock: HandClock = field(default_factory=HandClock)
    processes: dict[str, MadeUpProcess] = field(default_factory=dict)
    instrument: MadeUpInstrument = field(default_factory=MadeUpInstrument)
    settings: str = SIMULATED
    service: Service | None = None

    def begin(self, more: str = "") -> Service:
        """Begin a service, the first or one after the other died."""
        if self.service is not None:
            self.service.store.close()
        file = self.folder / "settings.toml"
        shelf, store = self.folder / "shelf", self.folder / "models"
        models = f'[models]\nfolder = "{shelf}"\nstore = "{store}"'
        file.write_text(f"{self.settings}\n{models}\n[service]\nport = 0\n{more}")
        self.service = Service.of(load_settings(file), file, self.clock)
        self.service.keeper.process = lambda name: self.processes.setdefault(name, MadeUpProcess())
        self.service.lease.process = self.instrument
        return self.service

    def steps(self, count: int = 3, *, each_s: float = 0.5) -> None:
        for _ in range(count):
            self.service.step()
            self.clock.sleep(duration_s=each_s)

    def item(self, number: int = 1) -> Any:
        return self.service.store.item(number)

    def night(self, number: int = 1) -> MadeUpProcess:
        return self.processes[f"night-{number}"]

    def said(self) -> list[str]:
        """Return the kinds of what happened, in order."""
        return [happening.kind for happening in self.service.store.happenings()]

    @contextmanager
    def journal(self, number: int = 1) -> Iterator[Journal]:
        """Give a night its run folder, and what its process would write there."""
        folder = RunFolder(self.service.section.runs / self.item(number).run)
        if not folder.journal.exists():
            folder.create(plan_text=PLAN, settings_text=SIMULATED)
        journal = Journal(folder.journal)
        try:
            yield journal
        finally:
            journal.close()


@dataclass
class Answer:
    """What a service answered."""

    status: int
    headers: dict[str, str]
    content: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.content)


@dataclass
class Served:
    """A service that listens on this machine; its keeper takes a step when a test says so."""

    bench: ServiceBench
    port: int
    tokens: dict[str, str]

    def __call__(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        role: str | None = "operate",
        headers: dict[str, str] | None = None,
    ) -> Answer:
        given = dict(headers or {})
        if role is not None:
            given["Authorization"] = f"Bearer {self.tokens[role]}"
        content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        try:
            connection.request(method, path, content, given)
            answer = connection.getresponse()
            named = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, named, answer.read())
        finally:
            connection.close()

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_S)


@contextmanager
def served(folder: Path, more: str = "", *, examine: Any = None) -> Iterator[Served]:
    """Serve until the test is over; `examine` tries bundles out instead of a process."""
    bench = ServiceBench(folder)
    service = bench.begin(more)
    if examine is not None:
        service = replace(service, models=replace(service.models, examine=examine))
    tokens = {role: service.tokens.make(name=f"{role}er", role=role) for role in ROLES}
    server = server_of(service)
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listener])))
    thread.start()
    try:
        yield Served(bench, listener.getsockname()[1], tokens)
    finally:
        server.should_exit = True
        service.broker.close()
        thread.join()
        service.store.close()

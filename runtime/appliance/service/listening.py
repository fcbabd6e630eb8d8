"""What a service has to itself: its state folder, and the address where it listens."""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn

from runtime.appliance.service.api.bounded_protocol import BoundedProtocol
from runtime.appliance.service.service import Service
from runtime.config.service_settings import ServiceSection
from runtime.errors import ConfigRefused


def server_of(service: Service) -> uvicorn.Server:
    """Return what answers requests, and leaves signals to the night."""
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
def alone(state: Path) -> Iterator[None]:
    """Keep a second service from the same queue. Raises ConfigRefused where one has it."""
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
def listening(section: ServiceSection) -> Iterator[socket.socket]:
    """Yield the socket of the settings. Raises ConfigRefused where it cannot be had."""
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

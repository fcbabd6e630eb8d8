"""The settings of `nightscope serve`: where it keeps its state, and who reaches it how."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Annotated

from pydantic import Field, model_validator

from runtime.config.strict import Strict

PORT = 8470


class ServiceSection(Strict):
    """A night's queue, its API and its page.

    `state` holds the queue, the tokens' hashes and the heartbeat, `runs` a folder for every night,
    `plans` the plans that can be queued by name. It is reached from this machine alone unless
    `host` says otherwise, and then by TLS (`certificate` and `key`, PEM) unless `plain_http` says
    that something before it sees to that. A night that journals nothing for `stalled_after_s` is
    ended and resumed; one that is asked to stop has `stop_within_s` for the tile in hand. One
    address may ask `requests_per_s` times a second, and in a burst ten times as often.
    """

    state: Path = Path("service")
    runs: Path = Path("runs")
    plans: Path = Path("plans")
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = PORT
    certificate: Path | None = None
    key: Path | None = None
    plain_http: bool = False
    requests_per_s: Annotated[float, Field(gt=0, le=10_000)] = 50.0
    stalled_after_s: Annotated[float, Field(ge=60)] = 1200.0
    stop_within_s: Annotated[float, Field(ge=1)] = 900.0

    @property
    def tls(self) -> bool:
        """Return whether it speaks TLS."""
        return self.certificate is not None

    @model_validator(mode="after")
    def _is_private(self) -> ServiceSection:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("'certificate' and 'key' belong together; give both or none")
        if not (self.tls or self.plain_http or is_loopback(self.host)):
            raise ValueError(
                f"'host' is {self.host}, which others reach, and tokens would pass in the clear; "
                "give 'certificate' and 'key', or plain_http = true behind something that speaks "
                "TLS"
            )
        return self


def is_loopback(host: str) -> bool:
    """Return whether a name or address is this machine's own, which nobody else reaches."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

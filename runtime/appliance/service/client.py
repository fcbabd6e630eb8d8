"""The terminal's side: asks a service and follows what it tells, by the standard library alone."""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from runtime.errors import ConfigRefused, InputRefused

ANSWER_S = 30.0
QUIET_S = 60.0
"""A service that is well says something four times as often."""


class ServiceAway(ConfigRefused):
    """No service answers at the address, or it has stopped answering."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceClient:
    """A service at `url`, asked with a token; `authority` is a file of certificates to trust where
    the system does not know the service's own.
    """

    url: str
    token: str
    authority: Path | None = None

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Return the answer to a request. Raises InputRefused for one that is refused, in the
        service's own words, and ServiceAway.
        """
        with closing(self._connection(ANSWER_S)) as connection:
            try:
                connection.request(
                    method,
                    path,
                    body=None if body is None else json.dumps(body),
                    headers=self._headers | {"Content-Type": "application/json"},
                )
                answer = connection.getresponse()
                content = answer.read()
            except (OSError, http.client.HTTPException) as error:
                raise self._away(error) from None
        return _read(answer.status, content)

    def follow(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield (kind, content) of everything the service tells. Raises ServiceAway at its end."""
        with closing(self._connection(QUIET_S)) as connection:
            try:
                connection.request("GET", "/api/v1/events", headers=self._headers)
                answer = connection.getresponse()
                if answer.status != 200:
                    _read(answer.status, answer.read())
                kind = ""
                for line in answer:
                    name, _, value = line.decode().rstrip("\n").partition(": ")
                    if name == "event":
                        kind = value
                    elif name == "data":
                        yield kind, json.loads(value)
            except (OSError, http.client.HTTPException) as error:
                raise self._away(error) from None
        raise self._away("it ended")

    @property
    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    def _connection(self, limit_s: float) -> http.client.HTTPConnection:
        parts = urlsplit(self.url)
        try:
            host, port = parts.hostname, parts.port
        except ValueError:
            host, port = None, None
        if parts.scheme not in ("http", "https") or not host:
            raise ConfigRefused(
                "no address of a service", value=self.url, remedy="give http://HOST:PORT"
            )
        if parts.scheme == "http":
            return http.client.HTTPConnection(host, port, timeout=limit_s)
        context = ssl.create_default_context(cafile=self.authority)
        return http.client.HTTPSConnection(host, port, timeout=limit_s, context=context)

    def _away(self, why: object) -> ServiceAway:
        return ServiceAway(
            f"no service answers at {self.url}: {why}",
            remedy="start it with `nightscope serve`, or give --url; a night that runs goes on",
        )


def _read(status: int, content: bytes) -> Any:
    try:
        answer = json.loads(content)
    except ValueError:
        answer = {}
    if status < 400:
        return answer
    told = answer.get("error") or {"what": f"the service answered {status}", "remedy": ""}
    raise InputRefused(
        told["what"], value=told.get("value"), limit=told.get("limit"), remedy=told["remedy"]
    )

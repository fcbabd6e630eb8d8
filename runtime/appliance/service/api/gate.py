"""What every request passes before anything looks at it: who asks, how often, and how much.

Whatever the gate does not know needs a token: a route that somebody adds is closed until it is
opened here. The page's files hold nothing of a run, and are the same for everybody.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from runtime.appliance.service.kept.records import Role
from runtime.appliance.service.kept.tokens import Principal, Tokens, require
from runtime.appliance.service.refusal import (
    TOO_LARGE,
    TOO_MANY,
    TOO_SLOW,
    UNAUTHORISED,
    RequestRefused,
    status_of,
    told_as_json,
)
from runtime.errors import NightscopeError

API, HEALTH, METRICS, SESSION = "/api/", "/health", "/metrics", "/api/v1/session"
COOKIE = "nightscope"
READING = ("GET", "HEAD")
BODY_BYTES = 2**18
"""Of a request: a plan's largest file. Routes that take a model say so themselves."""
BODY_S = 20.0
"""For a whole body of that size; a client that dribbles is let go."""
BURST = 10.0
ADDRESSES = 4096
GUESSES, GUESSES_S = 10, 60.0
"""Wrong tokens from one address in that time; then it waits."""
SECURITY_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (
        b"content-security-policy",
        b"default-src 'self'; img-src 'self' data: blob:; style-src 'self' 'unsafe-inline'; "
        b"object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    ),
)


@dataclass(slots=True)
class Allowance:
    """How often each address may still ask: so many a second, and a burst of them at once."""

    per_s: float
    most: float
    _left: OrderedDict[str, tuple[float, float]] = field(
        default_factory=OrderedDict[str, tuple[float, float]]
    )

    def take(self, address: str, now_s: float) -> float:
        """Return 0 where it may, else in how many seconds it may."""
        left, then_s = self._left.pop(address, (self.most, now_s))
        left = min(left + (now_s - then_s) * self.per_s, self.most)
        wait_s = 0.0 if left >= 1 else (1 - left) / self.per_s
        self._left[address] = (left - (1 if left >= 1 else 0), now_s)
        while len(self._left) > ADDRESSES:
            self._left.popitem(last=False)
        return wait_s

    def spent(self, address: str, now_s: float) -> bool:
        """Return whether an address may not, without asking on its behalf."""
        left, then_s = self._left.get(address, (self.most, now_s))
        return left + (now_s - then_s) * self.per_s < 1


@dataclass(slots=True)
class Gate:
    """Middleware around the whole application. `roles` names what a path and method need where it
    is not to look or to administer, `large` the bytes of bodies that are larger than others.
    """

    app: ASGIApp
    tokens: Tokens
    now_s: Callable[[], float]
    requests: Allowance
    roles: Callable[[str, str], Role | None]
    large: dict[str, int]
    tls: bool = False
    guesses: Allowance = field(default_factory=lambda: Allowance(GUESSES / GUESSES_S, GUESSES))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer why not."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        answered = _Answered(send, hardened=self.tls)
        try:
            await self._admit(scope)
            bounded = _Bounded(receive, self._most_bytes(scope))
            await self.app(scope, bounded, answered)
        except NightscopeError as error:
            if answered.begun:
                raise
            await refuse(error)(scope, receive, answered)
        if answered.status == UNAUTHORISED and _shown(scope):
            self.guesses.take(_address(scope), self.now_s())

    async def _admit(self, scope: Scope) -> None:
        """Set the scope's principal, and what asks for it again, or raise RequestRefused."""
        address = _address(scope)
        now_s, path, method = self.now_s(), scope["path"], scope["method"]
        wait_s = self.requests.take(address, now_s)
        if wait_s:
            raise _too_many(wait_s, "too many requests", f"{self.requests.per_s:g} a second")
        needed = self._needed(path, method)
        guessed = self.guesses.spent(address, now_s)
        if needed is None and path == SESSION and guessed:
            raise _guessed()
        if needed is None:
            return
        try:
            principal = await run_in_threadpool(self._who, scope)
        except RequestRefused:
            # Whoever shows a right one is let in: others at that address may be guessing.
            if guessed:
                raise _guessed() from None
            raise
        csrf = Headers(scope=scope).get("x-nightscope") == "1"
        require(principal, needed, csrf_header=csrf, changes=method not in READING)
        scope["principal"] = principal
        scope["ask_again"] = partial(self._who, scope)

    def _needed(self, path: str, method: str) -> Role | None:
        """Return the role that is needed, None for what is open to everybody."""
        reading = method in READING
        if path == HEALTH or (path == SESSION and method == "POST"):
            return None
        if path == METRICS:
            return "look"
        if path.startswith(API) or path == API.rstrip("/"):
            # Whoever answers a GET answers its HEAD.
            asked = "GET" if method == "HEAD" else method
            return self.roles(path, asked) or ("look" if reading else "administer")
        return None if reading else "administer"

    def _who(self, scope: Scope) -> Principal:
        given = Headers(scope=scope).get("authorization")
        if given is not None:
            kind, _, token = given.partition(" ")
            if kind.lower() != "bearer":
                raise RequestRefused(
                    UNAUTHORISED, "no bearer token", remedy="send 'Authorization: Bearer TOKEN'"
                )
            return self.tokens.bearer(token.strip())
        return self.tokens.session(_cookie(scope))

    def _most_bytes(self, scope: Scope) -> int:
        most = self.large.get(scope["path"], BODY_BYTES)
        length = Headers(scope=scope).get("content-length", "0")
        if length.isascii() and length.isdecimal() and int(length[:18]) > most:
            raise _too_large(most)
        return most


class _Bounded:
    """A request's body, no larger than it may be and no slower."""

    def __init__(self, receive: Receive, most_bytes: int) -> None:
        self._receive, self._most, self._got = receive, most_bytes, 0
        self._whole = False

    async def __call__(self) -> Message:
        if self._whole:  # what is left to come is that the client goes away, which may take hours
            return await self._receive()
        try:
            async with asyncio.timeout(BODY_S):
                message = await self._receive()
        except TimeoutError:
            raise RequestRefused(
                TOO_SLOW, "the rest of the request did not come", limit=f"{BODY_S:.0f} s"
            ) from None
        self._got += len(message.get("body", b""))
        self._whole = not message.get("more_body", False)
        if self._got > self._most:
            raise _too_large(self._most)
        return message


class _Answered:
    """An answer, with the headers that every one carries; `status` is 0 before it begins."""

    def __init__(self, send: Send, *, hardened: bool) -> None:
        self._send, self._hardened, self.status = send, hardened, 0

    @property
    def begun(self) -> bool:
        """Return whether there is no taking back."""
        return self.status != 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            given = {name.lower() for name, _ in message["headers"]}
            more = [one for one in SECURITY_HEADERS if one[0] not in given]
            if b"cache-control" not in given:
                more.append((b"cache-control", b"no-store"))
            if self._hardened:
                more.append((b"strict-transport-security", b"max-age=31536000"))
            message = {**message, "headers": [*message["headers"], *more]}
        await self._send(message)


def refuse(error: NightscopeError) -> JSONResponse:
    """Return the answer to a request that is refused."""
    status, headers = status_of(error), {}
    if status == UNAUTHORISED:
        headers["www-authenticate"] = "Bearer"
    if status == TOO_MANY:
        headers["retry-after"] = str(error.value)
    return JSONResponse(told_as_json(error), status, headers)


def _address(scope: Scope) -> str:
    return str(scope["client"][0]) if scope.get("client") else "local"


def _shown(scope: Scope) -> bool:
    """Return whether a request showed a token or a cookie, right or wrong."""
    return bool(
        scope["path"] == SESSION or Headers(scope=scope).get("authorization") or _cookie(scope)
    )


def _cookie(scope: Scope) -> str:
    return HTTPConnection(scope).cookies.get(COOKIE, "")


def _guessed() -> RequestRefused:
    return _too_many(GUESSES_S, "too many wrong tokens", f"{GUESSES} in {GUESSES_S:.0f} s")


def _too_many(wait_s: float, what: str, limit: str) -> RequestRefused:
    seconds = max(1, round(wait_s))
    return RequestRefused(
        TOO_MANY, what, value=seconds, limit=limit, remedy=f"ask again in {seconds} s"
    )


def _too_large(most: int) -> RequestRefused:
    return RequestRefused(
        TOO_LARGE, "the request is too large", limit=f"{most} bytes", remedy="send less"
    )

"""The API, a row an endpoint: who may ask, what it takes, what it does. Routes, roles and the
OpenAPI description are all made of these rows.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from runtime.appliance.service.api.bodies import (
    ChangedPlanBody,
    NewPlanBody,
    NightBody,
    SkipBody,
    TokenBody,
    read_body,
)
from runtime.appliance.service.api.broker import Broker
from runtime.appliance.service.api.event_stream import EventStream
from runtime.appliance.service.api.gate import COOKIE
from runtime.appliance.service.kept.records import QueuedPlan, Role, Wanted
from runtime.appliance.service.kept.tokens import SESSION_S, Principal, Tokens
from runtime.appliance.service.nights.plan_queue import PlanQueue
from runtime.appliance.service.nights.status import item_as_json
from runtime.appliance.service.refusal import TOO_MANY, UNKNOWN, RequestRefused
from runtime.config.strict import Strict

Handler = Callable[[Request], Awaitable[Response] | Response]
CREATED, OK = 201, 200


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiEndpoint:
    """One endpoint. `role` is None where no token is needed; `answers` describes what is answered
    when it is done, with `status` or one of `also`, `refusals` the statuses it refuses with beyond
    those of every endpoint. A body that is `optional` may be left out; `asks` names words of the
    query that are text, `query` is the record of others. What is `unchanged` since a browser asked
    last is not sent again.
    """

    method: str
    path: str
    role: Role | None
    summary: str
    handler: Handler
    body: type[Strict] | None = None
    optional: bool = False
    query: type[Strict] | None = None
    asks: tuple[str, ...] = ()
    unchanged: bool = False
    status: int = OK
    answers: str = "application/json"
    also: tuple[int, ...] = ()
    refusals: tuple[int, ...] = ()
    takes: str = "application/json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoints:
    """What the endpoints work with. `state` returns the state as it is now."""

    queue: PlanQueue
    tokens: Tokens
    broker: Broker
    state: Callable[[], dict[str, Any]]
    tls: bool

    def rows(self) -> tuple[ApiEndpoint, ...]:
        """Return every endpoint."""
        v1 = "/api/v1"
        return (
            ApiEndpoint(
                method="POST", path=f"{v1}/session", role=None, handler=self.open_session,
                body=TokenBody, summary="Exchange a token for a cookie", refusals=(400, 401, 422),
            ),
            ApiEndpoint(
                method="DELETE", path=f"{v1}/session", role="look", handler=self.end_session,
                summary="End the session of a cookie",
            ),
            ApiEndpoint(
                method="GET", path=f"{v1}/me", role="look", handler=self.me,
                summary="Whose token it is, and what it may",
            ),
            ApiEndpoint(
                method="GET", path=f"{v1}/state", role="look", handler=self.now,
                summary="The night in hand and the queue",
            ),
            ApiEndpoint(
                method="GET", path=f"{v1}/events", role="look", handler=self.events,
                summary="State, tiles and events as they come", answers="text/event-stream",
                refusals=(429,),
            ),
            ApiEndpoint(
                method="POST", path=f"{v1}/queue", role="operate", handler=self.add,
                body=NewPlanBody, status=CREATED, summary="Queue a plan",
                refusals=(400, 409, 422),
            ),
            ApiEndpoint(
                method="PATCH", path=f"{v1}/queue/{{id}}", role="operate", handler=self.change,
                body=ChangedPlanBody, summary="Move, hold or schedule a plan that waits",
                refusals=(400, 404, 409, 422),
            ),
            ApiEndpoint(
                method="DELETE", path=f"{v1}/queue/{{id}}", role="operate", handler=self.remove,
                summary="Take a plan out of the queue", refusals=(404, 409),
            ),
            *(self._asking(verb, wanted, said) for verb, wanted, said in ASKED),
            ApiEndpoint(
                method="POST", path=f"{v1}/night/skip", role="operate", handler=self.skip,
                body=SkipBody, summary="Give up a tile or a region not yet taken",
                refusals=(400, 404, 409, 422),
            ),
        )  # fmt: skip

    # -- who asks ----------------------------------------------------------------------------

    async def open_session(self, request: Request) -> Response:
        """Answer with a cookie that no script can read and no other site can use."""
        body = await read_body(request, TokenBody)
        cookie, principal = await run_in_threadpool(self.tokens.begin, body.token)
        answer = JSONResponse(_me(principal))
        answer.set_cookie(
            COOKIE,
            cookie,
            max_age=int(SESSION_S),
            path="/",
            secure=self.tls,
            httponly=True,
            samesite="strict",
        )
        return answer

    async def end_session(self, request: Request) -> Response:
        """End the session, if there is one."""
        await run_in_threadpool(self.tokens.end, request.cookies.get(COOKIE, ""))
        answer = JSONResponse({})
        answer.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")
        return answer

    async def me(self, request: Request) -> Response:
        """Answer who asks."""
        return JSONResponse(_me(principal_of(request)))

    # -- looking -----------------------------------------------------------------------------

    async def now(self, _: Request) -> Response:
        """Answer with the state."""
        return JSONResponse(await run_in_threadpool(self.state))

    async def events(self, request: Request) -> Response:
        """Answer with messages for as long as somebody reads them."""
        if self.broker.full:
            raise RequestRefused(
                TOO_MANY,
                "too many watch already",
                value=30,
                limit=self.broker.watchers,
                remedy="close a page that nobody looks at",
            )
        last_id = request.headers.get("last-event-id", "")
        return EventStream(self.broker, last_id, request.scope["ask_again"])

    # -- the queue ---------------------------------------------------------------------------

    async def add(self, request: Request) -> Response:
        """Queue a plan."""
        body, by = await read_body(request, NewPlanBody), principal_of(request).name

        def add() -> QueuedPlan:
            return self.queue.add(body.plan, by=by, settings=body.settings, start_at=body.start_at)

        return self._item(await run_in_threadpool(add), CREATED)

    async def change(self, request: Request) -> Response:
        """Change a plan that waits."""
        number, body = _number(request), await read_body(request, ChangedPlanBody)
        by, queue = principal_of(request).name, self.queue

        def change() -> QueuedPlan:
            if body.position is not None:
                return queue.move(number, body.position, by=by)
            if body.held is not None:
                return queue.hold(number, body.held, by=by)
            return queue.start_at(number, body.start_at, by=by)

        return self._item(await run_in_threadpool(change))

    async def remove(self, request: Request) -> Response:
        """Take a plan out of the queue."""
        number, by = _number(request), principal_of(request).name
        return self._item(await run_in_threadpool(lambda: self.queue.remove(number, by=by)))

    # -- the night in hand -------------------------------------------------------------------

    def _asking(self, verb: str, wanted: Wanted, summary: str) -> ApiEndpoint:
        async def ask(request: Request) -> Response:
            body, by = await read_body(request, NightBody), principal_of(request).name
            return self._item(
                await run_in_threadpool(lambda: self.queue.ask(wanted, by=by, night=body.night))
            )

        return ApiEndpoint(
            method="POST",
            path=f"/api/v1/night/{verb}",
            role="operate",
            handler=ask,
            body=NightBody,
            optional=True,
            summary=summary,
            refusals=(400, 409, 422),
        )

    async def skip(self, request: Request) -> Response:
        """Give up a tile or a region."""
        body, by = await read_body(request, SkipBody), principal_of(request).name

        def skip() -> list[str]:
            return self.queue.skip(by=by, tile=body.tile, region=body.region, night=body.night)

        return JSONResponse({"skipped": await run_in_threadpool(skip)})

    def _item(self, item: QueuedPlan, status: int = OK) -> JSONResponse:
        coming = [one for one in self.queue.store.items() if one.to_come]
        return JSONResponse(item_as_json(item, coming), status)


ASKED: tuple[tuple[str, Wanted, str], ...] = (
    ("pause", "pause", "Pause the night after the tile in hand"),
    ("resume", "run", "Go on with a paused night"),
    ("abort", "abort", "Give the night up after the tile in hand"),
)


def principal_of(request: Request) -> Principal:
    """Return who asks, as the gate found out."""
    principal = request.scope["principal"]
    assert isinstance(principal, Principal)
    return principal


def _me(principal: Principal) -> dict[str, str]:
    return {"name": principal.name, "role": principal.role}


def _number(request: Request) -> int:
    given = request.path_params["id"]
    if not (given.isascii() and given.isdecimal() and len(given) < 10):
        raise RequestRefused(UNKNOWN, "no such plan in the queue", value=given[:40])
    return int(given)

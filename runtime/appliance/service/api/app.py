"""The application: its routes behind the gate, and every error in the API's own form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from runtime.appliance.service.api.endpoints import ApiEndpoint
from runtime.appliance.service.api.gate import HEALTH, METRICS, Allowance, Gate, refuse
from runtime.appliance.service.api.openapi import description
from runtime.appliance.service.kept.records import Role
from runtime.appliance.service.kept.tokens import Tokens
from runtime.appliance.service.metrics import CONTENT_TYPE, ServiceMetrics
from runtime.appliance.service.nights.status import Heartbeat
from runtime.appliance.service.refusal import RequestRefused
from runtime.errors import NightscopeError

OPENAPI = "/api/v1/openapi.json"
UNHEALTHY = 503
BURST_S = 10.0


def application(
    rows: tuple[ApiEndpoint, ...],
    *,
    tokens: Tokens,
    metrics: ServiceMetrics,
    heartbeat: Callable[[], Heartbeat],
    large: dict[str, int] | None = None,
    requests_per_s: float,
    now_s: Callable[[], float],
    tls: bool,
    version: str,
) -> ASGIApp:
    """Return the service's application: these endpoints and its own; `large` are the bytes of
    bodies that are larger than others, by path.
    """
    rows = (*rows, *_own(metrics, heartbeat))
    document: dict[str, Any] = {}

    async def openapi(_: Request) -> Response:
        return JSONResponse(document)

    rows = (
        *rows,
        ApiEndpoint(
            method="GET", path=OPENAPI, role="look", handler=openapi, summary="This description"
        ),
    )
    document |= description(rows, version=version)

    async def not_there(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        path = request.url.path
        return _not_there(request, error, [r.method for r in rows if _is_at(r.path, path)])

    app = Starlette(
        routes=[Route(row.path, row.handler, methods=[row.method]) for row in rows],
        exception_handlers={NightscopeError: _refused, HTTPException: not_there},
    )
    return Gate(
        app,
        tokens=tokens,
        now_s=now_s,
        requests=Allowance(requests_per_s, requests_per_s * BURST_S),
        roles=_roles(rows),
        large=large or {},
        tls=tls,
    )


def _own(
    metrics: ServiceMetrics, heartbeat: Callable[[], Heartbeat]
) -> tuple[ApiEndpoint, ApiEndpoint]:
    """Return what is asked of the service itself: health and figures."""

    async def health(_: Request) -> Response:
        heart = heartbeat()
        return JSONResponse(heart.as_json(), 200 if heart.ok else UNHEALTHY)

    async def figures(_: Request) -> Response:
        page = await run_in_threadpool(metrics.page)
        return Response(page, headers={"content-type": CONTENT_TYPE})

    return (
        ApiEndpoint(
            method="GET", path=HEALTH, role=None, handler=health, also=(UNHEALTHY,),
            summary="Whether a night that runs goes on; 503 where it stands still",
        ),
        ApiEndpoint(
            method="GET", path=METRICS, role="look", handler=figures, answers="text/plain",
            summary="Figures for Prometheus",
        ),
    )  # fmt: skip


def _roles(rows: tuple[ApiEndpoint, ...]) -> Callable[[str, str], Role | None]:
    """Return what looks up which role a path and method need; None for what no row names."""

    def role(path: str, method: str) -> Role | None:
        return next((r.role for r in rows if r.method == method and _is_at(r.path, path)), None)

    return role


def _is_at(pattern: str, path: str) -> bool:
    """Return whether a path is one that a route's pattern means."""
    wanted, given = pattern.split("/"), path.split("/")
    return len(wanted) == len(given) and all(
        one == other or one.startswith("{") for one, other in zip(wanted, given, strict=True)
    )


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, NightscopeError)
    return refuse(error)


def _not_there(request: Request, error: HTTPException, methods: list[str]) -> Response:
    """Return the answer to a request for nothing, or that no route of its path takes."""
    said = RequestRefused(
        error.status_code,
        "no such address" if error.status_code == 404 else str(error.detail),
        value=f"{request.method} {request.url.path}"[:200],
        remedy=f"{OPENAPI} lists what there is",
    )
    answer = refuse(said)
    answer.headers.update(error.headers or {})
    if methods and error.status_code == 405:
        answer.headers["allow"] = ", ".join(sorted(methods))
    return answer

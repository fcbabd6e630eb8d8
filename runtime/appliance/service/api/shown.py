"""The views and the page as endpoints, so that they are listed and described like all others."""

from __future__ import annotations

from collections.abc import Iterable

from starlette.routing import Route

from runtime.appliance.service.api.endpoints import ApiEndpoint
from runtime.appliance.service.refusal import CONFLICT, UNKNOWN
from runtime.appliance.views.view import ApiView

AWAY = 503
"""The disk fails, or a night holds its journal: to be asked again."""


def view_rows(views: Iterable[ApiView]) -> tuple[ApiEndpoint, ...]:
    """Return the endpoints of read-only views, below the API's own address."""
    return tuple(
        ApiEndpoint(
            method="GET",
            path=f"/api/v1{view.path}",
            role="look",
            summary=view.summary,
            handler=view.answer,
            asks=view.asks,
            answers=view.media,
            unchanged=True,
            refusals=(UNKNOWN, CONFLICT, AWAY),
        )
        for view in views
    )


def page_rows(routes: Iterable[Route]) -> tuple[ApiEndpoint, ...]:
    """Return the endpoints of the page's own files, which are open to everybody."""
    return tuple(
        ApiEndpoint(
            method="GET",
            path=route.path,
            role=None,
            summary="The page" if route.path == "/" else "A file of the page",
            handler=route.endpoint,
            answers="text/html" if route.path == "/" else "*/*",
            unchanged=True,
            refusals=(UNKNOWN,),
        )
        for route in routes
    )

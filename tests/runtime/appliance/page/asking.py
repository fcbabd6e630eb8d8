"""Asks an application without a network: one request at a time, answers read to the end."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.routing import BaseRoute, Route

from runtime.appliance.views.view import ApiView


class Asking:
    """A client of the given routes."""

    def __init__(self, routes: list[BaseRoute]) -> None:
        self._app = Starlette(routes=routes)

    @classmethod
    def of_views(cls, views: list[ApiView]) -> Asking:
        """Return a client of the given views, where they say they are."""
        return cls([Route(view.path, view.answer) for view in views])

    def get(self, path: str, **headers: str) -> httpx.Response:
        """Return the answer to a GET; `if_none_match` stands for If-None-Match."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}

        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(self._app)
            async with httpx.AsyncClient(transport=transport, base_url="http://page") as client:
                return await client.get(path, headers=named)

        return asyncio.run(ask())

    def json(self, path: str) -> Any:
        """Return what a GET answers, which must be fine."""
        answer = self.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()

"""The instrument by hand over the API: open, look, jog, focus, close; one person at a time."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from runtime.appliance.service.api.bodies import read_body
from runtime.appliance.service.api.endpoints import ApiEndpoint, principal_of
from runtime.appliance.service.api.instrument_bodies import (
    CloseBody,
    FocusBody,
    FrameQuery,
    JogBody,
    OpenBody,
)
from runtime.appliance.service.by_hand.lease import InstrumentLease
from runtime.appliance.service.refusal import FORBIDDEN, RequestRefused

INSTRUMENT = "/api/v1/instrument"
FIGURES = "x-nightscope-frame"
"""The header that holds a frame's figures, JSON."""
LOOK_S, JOG_S, FOCUS_S = 60.0, 180.0, 300.0
"""How long a driver may take; a longer silence is one that hangs."""


@dataclass(frozen=True, slots=True)
class InstrumentEndpoints:
    """The endpoints of the instrument by hand, which has these objectives."""

    lease: InstrumentLease
    objectives: tuple[str, ...]

    def rows(self) -> tuple[ApiEndpoint, ...]:
        """Return every endpoint."""
        refused = (400, 409, 422)
        return (
            ApiEndpoint(
                method="GET", path=INSTRUMENT, role="look", handler=self.now,
                summary="Who has the instrument open by hand, and what it has",
            ),
            ApiEndpoint(
                method="POST", path=f"{INSTRUMENT}/open", role="operate", handler=self.open,
                body=OpenBody, optional=True, refusals=(*refused, 507),
                summary="Open the instrument, home its stage, and have it by hand",
            ),
            ApiEndpoint(
                method="POST", path=f"{INSTRUMENT}/close", role="operate", handler=self.close,
                body=CloseBody, optional=True, refusals=refused,
                summary="Give the instrument back, dark; without a key whoever has it",
            ),
            ApiEndpoint(
                method="POST", path=f"{INSTRUMENT}/jog", role="operate", handler=self.jog,
                body=JogBody, refusals=refused, summary="Move the stage by so much",
            ),
            ApiEndpoint(
                method="POST", path=f"{INSTRUMENT}/focus", role="operate", handler=self.focus,
                body=FocusBody, refusals=refused,
                summary="Find focus here as a night does, and stay there",
            ),
            ApiEndpoint(
                method="GET", path=f"{INSTRUMENT}/frame", role="operate", handler=self.frame,
                query=FrameQuery, answers="image/jpeg", refusals=(409, 422),
                summary=f"Light a lamp for one frame; its figures are in the header {FIGURES}",
            ),
        )  # fmt: skip

    async def now(self, _: Request) -> Response:
        """Answer who has it, and what the instrument told when it was opened."""
        told = {"by_hand": self.lease.shown(), "about": self.lease.about()}
        return JSONResponse(told | {"objectives": self.objectives})

    async def open(self, request: Request) -> Response:
        """Open it for whoever asks."""
        body, by = await read_body(request, OpenBody), principal_of(request).name

        def work() -> dict[str, Any]:
            return self.lease.open(by=by, objective=body.objective)

        return JSONResponse(await run_in_threadpool(work))

    async def close(self, request: Request) -> Response:
        """Close it; what is closed already stays so."""
        body, asking = await read_body(request, CloseBody), principal_of(request)
        if body.lease is None and asking.role != "administer":
            raise RequestRefused(
                FORBIDDEN,
                "to close what somebody else has open needs another role",
                value=asking.role,
                limit="administer",
                remedy="give the lease that opening gave, or wait until they have left",
            )
        await run_in_threadpool(lambda: self.lease.close(body.lease, by=asking.name))
        return JSONResponse({})

    async def jog(self, request: Request) -> Response:
        """Move the stage."""
        return await self._ordered(await read_body(request, JogBody), "jog", within_s=JOG_S)

    async def focus(self, request: Request) -> Response:
        """Find focus."""
        return await self._ordered(await read_body(request, FocusBody), "focus", within_s=FOCUS_S)

    async def frame(self, request: Request) -> Response:
        """Take a frame."""
        asked = FrameQuery.read(dict(request.query_params), source="the address")
        lamp = asked.model_dump(exclude={"lease", "width"}) | {"width_px": asked.width}

        def look() -> tuple[dict[str, Any], bytes]:
            within_s = LOOK_S + asked.exposure_ms / 1000
            return self.lease.order(asked.lease, "look", lamp, within_s=within_s)

        figures, picture = await run_in_threadpool(look)
        told = {FIGURES: json.dumps(figures)}
        return Response(picture, headers=told, media_type="image/jpeg")

    async def _ordered(self, body: JogBody | FocusBody, what: str, *, within_s: float) -> Response:
        given = body.model_dump(exclude={"lease"})

        def work() -> dict[str, Any]:
            return self.lease.order(body.lease, what, given, within_s=within_s)[0]

        return JSONResponse(await run_in_threadpool(work))

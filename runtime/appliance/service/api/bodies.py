"""What requests may hold: a record each, which refuses what it does not know."""

from __future__ import annotations

import json
from typing import Annotated, Any, TypeVar

from pydantic import Field, model_validator
from starlette.requests import Request

from runtime.appliance.service.refusal import BAD, RequestRefused
from runtime.config.strict import Strict

Seconds = Annotated[float, Field(strict=True)]
Whole = Annotated[int, Field(strict=True, ge=0, le=2**31)]
Name = Annotated[str, Field(strict=True, min_length=1, max_length=200)]
Body = TypeVar("Body", bound=Strict)


class TokenBody(Strict):
    """A token, shown once more for a cookie."""

    token: Annotated[str, Field(strict=True, max_length=200)]


class NewPlanBody(Strict):
    """A plan: its text, or its name below the plans; the settings by name, beside the service's."""

    plan: Annotated[str, Field(strict=True, min_length=1, max_length=2**17)]
    settings: Name | None = None
    start_at: Seconds | None = None


class ChangedPlanBody(Strict):
    """What is to change of a plan that waits: one thing at a time."""

    position: Whole | None = None
    start_at: Seconds | None = None
    held: Annotated[bool, Field(strict=True)] | None = None

    @model_validator(mode="after")
    def _one_thing(self) -> ChangedPlanBody:
        given = self.model_fields_set
        if len(given) != 1 or (
            given & {"position", "held"} and None in (getattr(self, name) for name in given)
        ):
            raise ValueError("give one of 'position', 'start_at' and 'held'")
        return self


class NightBody(Strict):
    """The id of the night that is meant, so that no other is hit that began meanwhile."""

    night: Whole | None = None


class SkipBody(NightBody):
    """A tile, or a region with all its frames."""

    tile: Name | None = None
    region: Name | None = None

    @model_validator(mode="after")
    def _one_of_them(self) -> SkipBody:
        if (self.tile is None) == (self.region is None):
            raise ValueError("give either 'tile' or 'region'")
        return self


async def read_body(request: Request, kind: type[Body]) -> Body:
    """Return the record that a request's body holds; an empty one is that of an empty record.

    Raises RequestRefused for what is no JSON, ConfigRefused for what is no such record.
    """
    content = await request.body()
    try:
        values: Any = json.loads(content) if content.strip() else {}
    except (ValueError, RecursionError) as error:
        raise RequestRefused(
            BAD, f"the body is not JSON: {error}", remedy="send one JSON object in UTF-8"
        ) from None
    if not isinstance(values, dict):
        raise RequestRefused(
            BAD, "the body is no JSON object", value=type(values).__name__, remedy="send {...}"
        )
    return kind.read(values, source="the body")

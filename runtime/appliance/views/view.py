"""What a view is, for whoever mounts it and for whoever describes it."""

from __future__ import annotations

from dataclasses import dataclass

from runtime.appliance.views.answers import Endpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiView:
    """A read-only address: what answers a GET of it, what it is, and of which media type.

    `asks` names what may stand in its query: all of it is text, and what means nothing is taken for
    nothing.
    """

    path: str
    answer: Endpoint
    summary: str
    media: str = "application/json"
    asks: tuple[str, ...] = ()

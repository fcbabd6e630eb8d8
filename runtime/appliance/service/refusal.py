"""What a request is refused with: the house's error, and the status of the answer."""

from __future__ import annotations

from typing import Any

from runtime.errors import NightscopeError, StorageFailed

BAD, UNKNOWN, CONFLICT, TOO_MANY = 400, 404, 409, 429
UNAUTHORISED, FORBIDDEN, TOO_LARGE, TOO_SLOW, UNFIT = 401, 403, 413, 408, 422
NO_ROOM = 507


class RequestRefused(NightscopeError):
    """A request that is not done, and why. `status` is HTTP's."""

    def __init__(
        self,
        status: int,
        what: str,
        *,
        value: object = None,
        limit: object = None,
        remedy: str = "",
    ) -> None:
        super().__init__(what, value=value, limit=limit, remedy=remedy)
        self.status = status


def status_of(error: NightscopeError) -> int:
    """Return the status that an error is answered with: a disk that is full is the server's."""
    if isinstance(error, RequestRefused):
        return error.status
    return NO_ROOM if isinstance(error, StorageFailed) else UNFIT


def told_as_json(error: NightscopeError) -> dict[str, Any]:
    """Return the body of the answer to a request that is refused."""
    return {
        "error": {
            "what": error.what,
            "value": None if error.value is None else str(error.value),
            "limit": None if error.limit is None else str(error.limit),
            "remedy": error.remedy,
        }
    }

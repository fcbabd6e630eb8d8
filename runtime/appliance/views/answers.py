"""What every view shares: JSON with a tag, refusals as the API words them, numbers in addresses."""

from __future__ import annotations

import gzip
import json
import math
import re
from collections.abc import Callable
from functools import wraps
from hashlib import blake2b
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from runtime.errors import InputRefused, NightscopeError, StorageFailed

Endpoint = Callable[[Request], Response]

WORTH_PACKING_BYTES = 2048
ASK_AGAIN = {"Cache-Control": "private, no-cache"}
"""A browser keeps the answer, and asks each time whether it still holds."""
NUMBER = re.compile(r"[0-9]{1,9}")


class NotThere(InputRefused):
    """What an address names does not exist."""


def answered(endpoint: Endpoint) -> Endpoint:
    """Return an endpoint whose refusals are answers: 404 for what is not there, 503 for a disk that
    fails or a journal that is held, 409 for everything else that cannot be shown.
    """

    @wraps(endpoint)
    def told(request: Request) -> Response:
        try:
            return endpoint(request)
        except NotThere as refusal:
            return refused(refusal, 404)
        except StorageFailed as refusal:
            return refused(refusal, 503)
        except NightscopeError as refusal:
            return refused(refusal, 409)

    return told


def refused(refusal: NightscopeError, status: int) -> Response:
    """Return a refusal as the API words it."""
    about = {
        "what": refusal.what,
        "value": None if refusal.value is None else str(refusal.value),
        "limit": None if refusal.limit is None else str(refusal.limit),
        "remedy": refusal.remedy,
    }
    body = json.dumps({"error": about}).encode()
    headers = {"Cache-Control": "no-store"}
    return Response(body, status, headers, media_type="application/json")


def json_answer(request: Request, content: Any) -> Response:
    """Return JSON, packed where that is worth it; 304 where the browser has it already."""
    body = as_json(content)
    tag = f'W/"{blake2b(body, digest_size=12).hexdigest()}"'
    headers = ASK_AGAIN | {"ETag": tag, "Vary": "Accept-Encoding"}
    if known(request, tag):
        return Response(status_code=304, headers=headers)
    if len(body) > WORTH_PACKING_BYTES and "gzip" in request.headers.get("accept-encoding", ""):
        headers["Content-Encoding"] = "gzip"
        body = gzip.compress(body, compresslevel=4, mtime=0)
    return Response(body, headers=headers, media_type="application/json")


def known(request: Request, tag: str) -> bool:
    """Return whether the browser says that it has what bears a tag."""
    tags = request.headers.get("if-none-match", "")
    return tag in (one.strip() for one in tags.split(","))


def as_json(content: Any) -> bytes:
    """Return compact JSON; a number that is none (a calibration that failed has some) is null."""
    try:
        text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except ValueError:
        text = json.dumps(_finite(content), ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "backslashreplace")


def number(request: Request, name: str) -> int:
    """Return a part of the address as a number from 0. Raises NotThere for anything else."""
    text = str(request.path_params[name])
    if not NUMBER.fullmatch(text):
        raise NotThere(f"no number: {name}", value=repr(text[:40]), remedy="name one from 0")
    return int(text)


def _finite(content: Any) -> Any:
    if isinstance(content, float) and not math.isfinite(content):
        return None
    if isinstance(content, dict):
        return {key: _finite(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_finite(value) for value in content]
    return content

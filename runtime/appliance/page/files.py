"""The page's own files: the same for everybody, and all there is; no other machine is asked."""

from __future__ import annotations

import mimetypes
from collections.abc import Awaitable, Callable
from hashlib import blake2b
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

STATIC = Path(__file__).with_name("static")
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
"""No script or style but these files, and nothing from elsewhere: what a run calls its tiles can
never become one."""
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    # Asked for each time, sent only when it is another: a page is never half of one release.
    "Cache-Control": "no-cache",
}
KINDS = {".js": "text/javascript", ".svg": "image/svg+xml"}
"""What the machine's own table of types may have otherwise."""


def routes() -> list[Route]:
    """Return the routes of the page: `/`, and `/static/...` for each of its files by name."""
    found = sorted(path for path in STATIC.rglob("*") if path.is_file())
    files = {path.relative_to(STATIC).as_posix(): _sender(path) for path in found}

    async def named(request: Request) -> Response:
        sender = files.get(request.path_params["file"])
        if sender is None:
            raise HTTPException(404)
        return await sender(request)

    return [
        Route("/", files["index.html"], methods=["GET"]),
        Route("/static/{file:path}", named, methods=["GET"]),
    ]


def _sender(path: Path) -> Callable[[Request], Awaitable[Response]]:
    content = path.read_bytes()
    kind = KINDS.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "text/plain"
    tag = f'"{blake2b(content, digest_size=12).hexdigest()}"'
    headers = HEADERS | {"ETag": tag}

    async def send(request: Request) -> Response:
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        return Response(content, headers=headers, media_type=kind)

    return send

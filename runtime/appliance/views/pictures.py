"""Pictures that are made once for all who look: encoded, kept for a while, under one tag each."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from hashlib import blake2b

from starlette.requests import Request
from starlette.responses import Response

from runtime.appliance.views.answers import ASK_AGAIN, known

KEPT_BYTES = 48 << 20
FOR_EVER = {"Cache-Control": "private, max-age=31536000, immutable"}


class PictureShelf:
    """Encoded pictures by what they were made from, the least asked for thrown out first.

    One is made at a time: the other processors are the night's.
    """

    def __init__(self) -> None:
        self._lock, self._making = threading.Lock(), threading.Lock()
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._bytes = 0

    def get(self, key: str, make: Callable[[], bytes]) -> bytes:
        """Return the picture of a key, made where it is not at hand."""
        with self._making:
            with self._lock:
                if (found := self._kept.get(key)) is not None:
                    self._kept.move_to_end(key)
                    return found
            made = make()
            with self._lock:
                self._kept[key] = made
                self._bytes += len(made)
                while self._bytes > KEPT_BYTES and len(self._kept) > 1:
                    self._bytes -= len(self._kept.popitem(last=False)[1])
            return made


def picture_answer(
    request: Request, shelf: PictureShelf, key: str, make: Callable[[], bytes], *, lasts: bool
) -> Response:
    """Return a JPEG, or 304 where the browser has it. What `lasts` has an address of its own for
    every content, and is never asked for again.
    """
    tag = f'"{blake2b(key.encode(), digest_size=12).hexdigest()}"'
    headers = (FOR_EVER if lasts else ASK_AGAIN) | {"ETag": tag}
    if known(request, tag):
        return Response(status_code=304, headers=headers)
    return Response(shelf.get(key, make), headers=headers, media_type="image/jpeg")

"""The answer to whoever watches: server-sent events until one of the two has enough."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from runtime.appliance.service.broker import Broker

SEND_S = 20.0
"""For one message to be taken: a page that sleeps is let go, and comes back by itself."""


class EventStream(Response):
    """Messages of a broker, from the one after `last_id` on."""

    def __init__(self, broker: Broker, last_id: str) -> None:
        super().__init__(
            media_type="text/event-stream",
            # A proxy that collected what it forwards would hold the messages up.
            headers={"cache-control": "no-store", "x-accel-buffering": "no"},
        )
        del self.headers["content-length"]
        self._broker, self._last_id = broker, last_id

    async def __call__(self, _: Scope, receive: Receive, send: Send) -> None:
        """Send until the client goes away, does not read, or the service ends."""
        start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        await send(start)
        gone = asyncio.ensure_future(_until_gone(receive))
        try:
            async with aclosing(self._broker.watch(self._last_id)) as messages:
                async for message in messages:
                    if gone.done():
                        return
                    async with asyncio.timeout(SEND_S):
                        await send(
                            {"type": "http.response.body", "body": message, "more_body": True}
                        )
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        except TimeoutError:
            return
        finally:
            gone.cancel()


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass

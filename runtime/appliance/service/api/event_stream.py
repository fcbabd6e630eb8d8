"""The answer to whoever watches: server-sent events until one of the two has enough."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from runtime.appliance.service.api.broker import Broker
from runtime.appliance.service.refusal import RequestRefused

ASK_AGAIN_S = 10.0
SEND_S = 20.0
"""For one message to be taken: a page that sleeps is let go, and comes back by itself."""


class EventStream(Response):
    """Messages of a broker, from the one after `last_id` on, for as long as `ask_again` raises
    nothing: a token may be revoked while somebody watches with it.
    """

    def __init__(self, broker: Broker, last_id: str, ask_again: Callable[[], object]) -> None:
        super().__init__(
            media_type="text/event-stream",
            # A proxy that collected what it forwards would hold the messages up.
            headers={"cache-control": "no-store", "x-accel-buffering": "no"},
        )
        del self.headers["content-length"]
        self._broker, self._last_id, self._ask_again = broker, last_id, ask_again

    async def __call__(self, _: Scope, receive: Receive, send: Send) -> None:
        """Send until the client goes away, does not read, or the service ends."""
        start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        await send(start)
        gone = asyncio.ensure_future(_until_gone(receive))
        loop = asyncio.get_running_loop()
        asked_s = loop.time()
        try:
            async with aclosing(self._broker.watch(self._last_id)) as messages:
                async for message in messages:
                    if gone.done():
                        return
                    if loop.time() - asked_s > ASK_AGAIN_S:
                        asked_s = loop.time()
                        await run_in_threadpool(self._ask_again)
                    await _sent(send, message, more=True)
        except RequestRefused:
            pass  # it is the last it hears
        except TimeoutError:
            return
        finally:
            gone.cancel()
        await _sent(send, b"", more=False)


async def _sent(send: Send, message: bytes, *, more: bool) -> None:
    async with asyncio.timeout(SEND_S):
        await send({"type": "http.response.body", "body": message, "more_body": more})


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass

"""The floors of streams, as plain aiohttp: events written straight to every transport, and pages of the log written as they are read."""

from __future__ import annotations

import asyncio
import json
import sys

import nats
import uvloop
from aiohttp import web
from nats.aio.client import Client
from nats.aio.msg import Msg

from trunkline_gateway.sockets import text_frame

BATCH = 256
BYTES = 1 << 20
HEADERS = {"Content-Type": "text/event-stream"}


class Bare:
    """Nothing but what was asked for."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._readers: set[asyncio.Transport] = set()
        self._sockets: set[asyncio.Transport] = set()
        self._page: list[bytes] = []
        self._last = 0
        self._done = asyncio.Event()

    async def follow(self, request: web.Request) -> web.StreamResponse:
        """Everything that is stored from now on."""
        response = web.StreamResponse(headers=HEADERS)
        await response.prepare(request)
        await response.write(b": open\n\n")
        assert request.transport
        self._readers.add(request.transport)
        try:
            await asyncio.Event().wait()
        finally:
            self._readers.discard(request.transport)
        return response

    async def connect(self, request: web.Request) -> web.WebSocketResponse:
        """The same over a WebSocket."""
        ws = web.WebSocketResponse(compress=False)
        await ws.prepare(request)
        assert request.transport
        self._sockets.add(request.transport)
        try:
            async for _ in ws:
                pass
        finally:
            self._sockets.discard(request.transport)
        return ws

    async def spread(self, message: Msg) -> None:
        frame = b"data: %b\n\n" % message.data
        chunk = b"%x\r\n%b\r\n" % (len(frame), frame)
        text = text_frame(message.data)
        for transports, data in ((self._readers, chunk), (self._sockets, text)):
            for transport in transports:
                if not transport.is_closing():
                    transport.write(data)

    async def history(self, request: web.Request) -> web.StreamResponse:
        """All that is stored on one subject, one write a page."""
        response = web.StreamResponse(headers=HEADERS)
        await response.prepare(request)
        inbox, first = self._client.new_inbox(), 1
        await self._client.subscribe(inbox, cb=self._take)
        while True:
            self._page, self._done = [], asyncio.Event()
            wish = {"seq": first, "next_by_subj": request.query["subject"], "batch": BATCH, "max_bytes": BYTES}
            await self._client.publish("$JS.API.DIRECT.GET.EVENTS", json.dumps(wish).encode(), reply=inbox)
            await self._done.wait()
            if not self._page:
                return response
            await response.write(b"".join(self._page))
            first = self._last + 1

    async def _take(self, message: Msg) -> None:
        headers = message.headers or {}
        if "Status" in headers:
            self._done.set()
            return
        self._last = int(headers["Nats-Sequence"])
        self._page.append(b"id: %d\ndata: %b\n\n" % (self._last, message.data))


async def serve(url: str, port: int) -> None:
    """Until killed."""
    client = await nats.connect(url)
    bare = Bare(client)
    await client.subscribe("live.evt.>", cb=bare.spread)
    app = web.Application()
    app.router.add_get("/follow", bare.follow)
    app.router.add_get("/connect", bare.connect)
    app.router.add_get("/history", bare.history)
    app.router.add_get("/health", _health)
    await web._run_app(app, host="127.0.0.1", port=port, print=None, access_log=None, backlog=1024)


async def _health(request: web.Request) -> web.Response:
    return web.json_response({"status": "healthy"})


if __name__ == "__main__":
    uvloop.run(serve(sys.argv[1], int(sys.argv[2])))

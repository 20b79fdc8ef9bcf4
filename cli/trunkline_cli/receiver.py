"""A receiver of webhooks on this machine: answers the handshake, and tells what came and is genuine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from trunkline.sdk.webhooks import WebhookError, WebhookEvent, verify

LARGEST: Final = 256 << 10
"""Bytes; ours are a tenth of that."""


@dataclass(frozen=True, slots=True)
class Receiver:
    """`hear` is called with every event that is genuine, `doubt` with why one is not."""

    secrets: Sequence[str]
    hear: Callable[[WebhookEvent], None]
    doubt: Callable[[str], None]

    def site(self) -> web.Application:
        site = web.Application(client_max_size=LARGEST)
        site.router.add_post("/{path:.*}", self._receive)
        return site

    async def _receive(self, request: web.Request) -> web.Response:
        body = await request.read()
        try:
            event = verify(body, request.headers, self.secrets)
        except WebhookError as error:
            self.doubt(str(error))
            return web.Response(status=400)
        self.hear(event)
        return web.Response(body=event.answer, content_type="application/json")

"""A subscriber that costs next to nothing: echoes a challenge, thanks for everything else, and knows when it was told what."""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from typing import ClassVar, cast

import uvloop

_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_AFTER = re.compile(rb"[?]after=(\d+) ")
_CHALLENGE = re.compile(rb'"challenge":"([^"]+)"')
THANKS = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class Ear(asyncio.Protocol):
    """One connection."""

    moments: ClassVar[list[float]] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._unread = b""

    def data_received(self, data: bytes) -> None:
        self._unread += data
        while (end := self._unread.find(b"\r\n\r\n")) >= 0:
            found = _LENGTH.search(self._unread, 0, end)
            size = end + 4 + (int(found[1]) if found else 0)
            if len(self._unread) < size:
                return
            request, self._unread = self._unread[:size], self._unread[size:]
            self._transport.write(self._answer(request))

    def _answer(self, request: bytes) -> bytes:
        if request.startswith(b"GET"):
            known = _AFTER.search(request)
            return _json(json.dumps(self.moments[int(known[1]) if known else 0 :]).encode())
        challenge = _CHALLENGE.search(request)
        if challenge:
            return _json(b'{"challenge":"%b"}' % challenge[1])
        self.moments.append(time.monotonic())
        return THANKS


def _json(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)


async def listen(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Ear, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(listen(int(sys.argv[1])))

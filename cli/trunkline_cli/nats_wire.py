"""The first words of the NATS protocol: enough to learn that a server answers, who it is, and that it lets us in."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, ConfigDict

from trunkline.contracts.errors import Denied, Unavailable

DEFAULT_PORT = 4222
PATIENCE = 4.0
"""Seconds: where a gateway says who may connect and none is up, a wrong credential is refused only after two."""


class ServerInfo(BaseModel):
    """What a server says of itself before anybody asks."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    server_id: str
    version: str
    jetstream: bool = False
    tls_required: bool = False


async def greet(url: str, user: str = "", password: str = "", *, patience: float = PATIENCE) -> ServerInfo:
    """Connect, log in, ping, and leave. Raises Unavailable (NATS_UNREACHABLE) or Denied (NATS_DENIED)."""
    place = urlsplit(url if "//" in url else f"nats://{url}")
    host, port = place.hostname or "127.0.0.1", place.port or DEFAULT_PORT
    user, password = user or unquote(place.username or ""), password or unquote(place.password or "")
    try:
        async with asyncio.timeout(patience), _open(host, port) as (reader, writer):
            info = ServerInfo.model_validate_json((await reader.readline()).partition(b" ")[2])
            if not info.tls_required and not place.scheme.startswith("ws"):
                await _log_in(reader, writer, user, password)
            return info
    except (OSError, ValueError, TimeoutError, EOFError) as error:
        why = str(error) or type(error).__name__
        raise Unavailable(f"No nats-server answers at {host}:{port} ({why}). Is it running?", code="NATS_UNREACHABLE") from None


@asynccontextmanager
async def _open(host: str, port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection(host, port)
    try:
        yield reader, writer
    finally:
        writer.close()


async def _log_in(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, user: str, password: str) -> None:
    who = {"user": user, "pass": password} if user else {}
    hello = {"verbose": False, "pedantic": False, "name": "trunkline up", "lang": "python", "version": "1", **who}
    writer.write(f"CONNECT {json.dumps(hello)}\r\nPING\r\n".encode())
    answer = await reader.readline()
    if not answer or answer.startswith(b"-ERR"):
        why = answer.decode().strip() or "it hangs up"
        raise Denied(f"nats-server refuses the credentials ({why}).", code="NATS_DENIED")
    if not answer:
        raise EOFError("it hung up")

"""Messages as nats-py writes them to nats-server, in a third of its time, and many at once."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from typing import Any

from nats.aio.client import Client
from nats.errors import MaxPayloadError


def outlive(client: Client) -> None:
    """From now on a write to a connection that has just ended is lost, as what was on its way is; whoever waits for an answer asks again.

    nats-py raises whatever its transport does then: its own status says that it is connected for a moment longer.
    """
    flush = client._flush_pending

    async def flushed(force_flush: bool = False) -> Any:
        try:
            return await flush(force_flush)
        except (OSError, RuntimeError):  # the second is what uvloop's transport raises
            lost = asyncio.get_running_loop().create_future()
            lost.set_result(None)
            return lost

    client._flush_pending = flushed  # type: ignore[method-assign]  # every write of nats-py and of ours goes there


async def publish(client: Client, subject: str, body: bytes, reply: str, headers: Mapping[str, str]) -> None:
    """As `client.publish`; raises the same. The names of headers are ours."""
    lines = "".join([f"{name}: {text.strip()}\r\n" for name, text in headers.items()])
    if not _open(client) or lines.count("\r") > len(headers) or lines.count("\n") > len(headers):  # it waits, or mends them
        await client.publish(subject, body, reply=reply, headers=dict(headers))
        return
    if len(body) > client.max_payload:
        raise MaxPayloadError
    head = f"NATS/1.0\r\n{lines}\r\n".encode()
    sizes = len(head), len(head) + len(body)
    await _send(client, b"HPUB %b %b %d %d\r\n%b%b\r\n" % (subject.encode(), reply.encode(), *sizes, head, body))


async def publish_all(client: Client, messages: Collection[tuple[str, bytes]]) -> None:
    """Each of them, a subject and a body; raises what `client.publish` does."""
    if _open(client):
        await _send(client, b"".join([b"PUB %b  %d\r\n%b\r\n" % (subject.encode(), len(body), body) for subject, body in messages]))
        return
    for subject, body in messages:
        await client.publish(subject, body)


def _open(client: Client) -> bool:
    return client.is_connected and not client.is_draining_pubs


async def _send(client: Client, command: bytes) -> None:
    await client._send_command(command)
    if client._flush_queue is not None and client._flush_queue.empty():
        await client._flush_pending()

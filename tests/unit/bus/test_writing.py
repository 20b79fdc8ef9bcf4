"""What we write ourselves arrives as what nats-py writes, on a real nats-server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import nats
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import ConnectionClosedError, MaxPayloadError

from trunkline.bus.writing import outlive, publish, publish_all
from trunkline.testing.nats import NatsServer, nats_server

HEADERS = {"Nats-Msg-Id": "dlv_1:0:1", "Nats-Expected-Last-Subject-Sequence": "7"}


@pytest.fixture(scope="module")
def server() -> Iterator[NatsServer]:
    with nats_server() as one:
        yield one


@asynccontextmanager
async def heard(server: NatsServer) -> AsyncIterator[tuple[Client, asyncio.Queue[Msg]]]:
    client, messages = await nats.connect(server.url), asyncio.Queue[Msg]()
    await client.subscribe("said.>", cb=messages.put)
    await client.flush()
    try:
        yield client, messages
    finally:
        await client.close()


async def told(messages: asyncio.Queue[Msg]) -> tuple[str, str, bytes, dict[str, str] | None]:
    async with asyncio.timeout(10):
        message = await messages.get()
    return message.subject, message.reply, message.data, message.headers


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b'{"a":1}', HEADERS),
        (b"", HEADERS),
        (b"\r\nPUB said.else  0\r\n\r\n", {}),
        (b"x", {"Nats-Msg-Id": " été "}),
        (b"x", {"Nats-Msg-Id": "one\r\nNats-Rollup: all"}),
        (b"x", {"Nats-Msg-Id": "one\rtwo", "Other": "\n"}),
    ],
)
async def test_a_message_with_headers_arrives_as_nats_py_sends_it(server: NatsServer, body: bytes, headers: dict[str, str]) -> None:
    async with heard(server) as (client, messages):
        await client.publish("said.this", body, reply="to.me", headers=headers)
        await publish(client, "said.this", body, "to.me", headers)
        assert await told(messages) == await told(messages)


async def test_many_messages_arrive_in_order_as_nats_py_sends_them(server: NatsServer) -> None:
    async with heard(server) as (client, messages):
        many = [(f"said.{number}", b"" if number % 2 else b"\r\n") for number in range(40)]
        await publish_all(client, many)
        await client.publish("said.last", b"x")
        assert [(await told(messages))[:3] for _ in range(41)] == [(name, "", body) for name, body in (*many, ("said.last", b"x"))]


async def test_what_is_too_large_or_comes_too_late_is_refused_as_nats_py_refuses_it(server: NatsServer) -> None:
    async with heard(server) as (client, _):
        with pytest.raises(MaxPayloadError):
            await publish(client, "said.this", b"x" * (client.max_payload + 1), "to.me", {})
    for late in (publish(client, "said.this", b"", "to.me", {}), publish_all(client, [("said.this", b"")])):
        with pytest.raises(ConnectionClosedError):
            await late


async def test_a_write_to_a_connection_that_has_just_ended_may_be_lost_and_raises_nothing(
    server: NatsServer,
) -> None:
    async with heard(server) as (client, messages):
        outlive(client)
        assert client._flusher_task
        client._flusher_task.cancel()
        await asyncio.wait([client._flusher_task], timeout=10)
        client._transport._io_writer.transport.abort()  # type: ignore[union-attr]
        await asyncio.sleep(0)
        assert client.is_connected, "its status does not say so yet"
        await publish(client, "said.this", b"x", "to.me", HEADERS)
        await publish_all(client, [("said.this", b"x")])
        await client.publish("said.this", b"x")
        async with asyncio.timeout(10):  # and all is well again when the connection is
            while not await said_more(client, messages):  # noqa: ASYNC110 - nobody tells of it here
                await asyncio.sleep(0.05)


async def said_more(client: Client, messages: asyncio.Queue[Msg]) -> bool:
    await client.publish("said.more", b"x")
    await asyncio.sleep(0)
    return any(messages.get_nowait().subject == "said.more" for _ in range(messages.qsize()))

"""The way out of a sandbox leads to the hosts that were named, and nowhere else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from tests.conformance.sandbox.agents import Box, python
from trunkline_sandbox.adapters.providers.local import LocalProvider
from trunkline_sandbox.model import Entry

_ASK = """
import os, sys, urllib.error, urllib.request, http.client
os.environ["no_proxy"] = ""
def get(url):
    try:
        return urllib.request.urlopen(url, timeout=5).read().decode()
    except urllib.error.HTTPError as e:
        return str(e.code)
    except OSError as e:
        return "no: " + type(e).__name__
def tunnel(host, port):
    c = http.client.HTTPConnection("127.0.0.1", 3128, timeout=5)
    c.set_tunnel(host, port)
    try:
        c.request("GET", "/x")
        return c.getresponse().read().decode()
    except OSError as e:
        return str(e)
"""


@pytest.fixture
async def port() -> AsyncIterator[int]:
    """A web server of the host that says which path was asked for, and by which host name."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        host = next(line for line in head.split("\r\n") if line.lower().startswith("host:"))
        body = f"{head.split()[1]} {host.split(':')[1].strip()}".encode()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(body), body))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()


async def test_a_named_host_is_reached_and_no_other(walled: Box, port: int) -> None:
    code = f"""
print(get("http://127.0.0.1:{port}/a?b=c"))
print(tunnel("127.0.0.1", {port}))
print(get("http://localhost:{port}/")); print(get("http://127.0.0.1:1/"))
print(tunnel("example.invalid", 443))
import socket
try: socket.create_connection(("127.0.0.1", {port}), 2); print("direct")
except OSError: print("not direct")
"""
    await walled.ensure(egress=(f"127.0.0.1:{port}",))
    await walled.provider.start(walled.id, python(_ASK + code))
    heard = await walled.hear()
    assert heard.out[:4] == [b"/a?b=c 127.0.0.1", b"/x 127.0.0.1", b"403", b"403"], heard.text
    assert b"403" in heard.out[4] and heard.out[5] == b"not direct"


async def test_the_way_out_opens_again_with_the_next_service(walled: Box, port: int) -> None:
    await walled.ensure(egress=(f"127.0.0.1:{port}",))
    code = f'import sys\nsys.stdin.readline()\nprint(get("http://127.0.0.1:{port}/again"))'
    await walled.provider.start(walled.id, replace(python(_ASK + code), keep_stdin=True))
    walled.provider.close()
    next_one = Box(LocalProvider(walled.root), walled.root)
    await next_one.ensure(egress=(f"127.0.0.1:{port}",))
    await next_one.provider.tell(walled.id, "k", Entry("word", b"go\n"))
    heard = await next_one.hear()
    next_one.provider.close()
    assert heard.out == [b"/again 127.0.0.1"]

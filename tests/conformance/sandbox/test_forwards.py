"""Ports of the loopback inside lead to unix sockets, and to nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from tests.conformance.sandbox.agents import Box, python
from trunkline.contracts.errors import Invalid
from trunkline_sandbox.ports import Launch

PORT = 8091
INSIDE = "/run/host/door/door.sock"
_ASK = """
import os, socket
def ask(address, words=b"hello"):
    try:
        with socket.create_connection(address, 5) as far:
            far.sendall(words); far.shutdown(socket.SHUT_WR)
            answer = b""
            while chunk := far.recv(65536): answer += chunk
            return answer
    except OSError as error:
        return type(error).__name__.encode()
name = open(os.environ["HOME"] + "/.conf").read().removeprefix("http://").rstrip("/")
here = (name.partition(":")[0], int(name.partition(":")[2]))
"""


@pytest.fixture
async def doors(tmp_path: Path) -> AsyncIterator[Mapping[str, Path]]:
    """Two unix sockets of the host; each says its name and how much it was told."""
    async with AsyncServers(tmp_path) as opened:
        yield {name: await opened.door(name) for name in ("one", "two")}


class AsyncServers:
    """Servers that close together."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._open = folder, list[asyncio.Server]()

    async def __aenter__(self) -> AsyncServers:
        return self

    async def __aexit__(self, *_: object) -> None:
        for server in self._open:
            server.close()

    async def door(self, name: str) -> Path:
        path = self._folder / name / "door.sock"
        path.parent.mkdir()

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            told = await reader.read(-1)
            writer.write(f"{name} {len(told)} ".encode() + told[:5])
            await writer.drain()
            writer.close()

        self._open.append(await asyncio.start_unix_server(answer, path))
        for one in (*self._folder.parents, self._folder, path.parent):
            if one.is_relative_to("/tmp") and one != Path("/tmp"):
                one.chmod(0o755)
        path.chmod(0o666)
        return path.parent


def asking(code: str, door: Path) -> Launch:
    home = {".conf": f"http://127.0.0.1:{PORT}/".encode()}
    return replace(python(_ASK + code), forwards={PORT: INSIDE}, sockets={"door": door}, home_files=home)


async def test_a_port_leads_to_its_socket(near: Box, doors: Mapping[str, Path]) -> None:
    heard = await near.run(asking("print(ask(here).decode()); print(ask(here, b'y' * (5 << 20)).decode())", doors["one"]))
    assert heard.out == [b"one 5 hello", b"one 5242880 yyyyy"], heard.text


async def test_two_sandboxes_with_one_port_come_each_to_their_own(near: Box, doors: Mapping[str, Path]) -> None:
    other = near.other("box-2")
    code = "import time; time.sleep(0.5); print(ask(here).decode())"
    await near.start(asking(code, doors["one"]))
    await other.start(asking(code, doors["two"]))
    assert (await near.hear()).out == [b"one 5 hello"] and (await other.hear()).out == [b"two 5 hello"]


async def test_a_socket_that_comes_later_is_found(near: Box, doors: Mapping[str, Path]) -> None:
    here, away = doors["one"] / "door.sock", doors["one"] / "away.sock"
    here.rename(away)
    code = "import time; print((ask(here) or b'nobody').decode(), flush=True); time.sleep(0.7); print(ask(here).decode())"
    await near.start(asking(code, doors["one"]))
    assert await near.first_line() != b"one 5 hello"
    away.rename(here)
    assert (await near.hear()).out[-1] == b"one 5 hello"


async def test_the_network_is_otherwise_empty(walled: Box, doors: Mapping[str, Path]) -> None:
    code = f"""
print(ask(("127.0.0.1", {PORT})).decode())
for address in (("127.0.0.1", {PORT + 1}), ("127.0.0.1", 3128), ("::1", {PORT}), ("1.1.1.1", 53)): print(ask(address).decode())
print([line.split(":")[0].strip() for line in open("/proc/net/dev") if ":" in line])
print(sorted(line.split()[1] for line in open("/proc/net/tcp") if line.split()[3] == "0A"))
print(os.environ.get("http_proxy"))
"""
    heard = await walled.run(asking(code, doors["one"]))
    refused = {b"ConnectionRefusedError", b"OSError"}
    assert heard.out[0] == b"one 5 hello" and set(heard.out[1:5]) <= refused, heard.text
    assert heard.out[5:] == [b"['lo']", b"['0100007F:%04X']" % PORT, b"None"]


async def test_it_stands_beside_the_way_out(walled: Box, doors: Mapping[str, Path]) -> None:
    await walled.ensure(egress=("127.0.0.1:9",))
    code = "print(ask(here).decode()); print(ask(('127.0.0.1', 3128), b'CONNECT example.invalid:443 HTTP/1.1\\r\\n\\r\\n')[:12].decode())"
    await walled.provider.start(walled.id, asking(code, doors["one"]))
    heard = await walled.hear()
    assert heard.out == [b"one 5 hello", b"HTTP/1.1 403"], heard.text


@pytest.mark.parametrize(("port", "path"), [(80, INSIDE), (3128, INSIDE), (70000, INSIDE), (PORT, "/etc/x"), (PORT, "/run/host/../x")])
async def test_a_forward_that_leads_elsewhere_is_refused(near: Box, port: int, path: str) -> None:
    with pytest.raises(Invalid):
        await near.start(replace(python("pass"), forwards={port: path}))

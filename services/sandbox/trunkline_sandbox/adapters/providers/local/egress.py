"""The allow-list proxy of one sandbox: it resolves names itself, dials what it resolved, and reaches nothing that was not named."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import re
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

HEAD = 16 << 10
_PATIENCE = 30.0
_IDLE = 900.0
_AT_ONCE = 128
_HOST = re.compile(r"\A[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?\Z")
_TRANSLATED = tuple(ipaddress.ip_network(net) for net in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32"))
"""IPv6 that is carried to an IPv4 address of the sender's choice."""
_OWN_HEADERS = (b"host:", b"connection:", b"keep-alive:", b"te:", b"upgrade:", b"trailer:")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Refused(Exception):
    """The request goes nowhere; the text is the status line's reason."""


@dataclass(frozen=True, slots=True)
class Target:
    """What a request asks for. `head` is what the far side is to get first; None for a tunnel."""

    host: str
    port: int
    head: bytes | None = None


def allowed(rules: Iterable[str], target: Target) -> bool:
    """Whether a rule (`name` for the ports 80 and 443, `name:port`) names the target."""
    for rule in rules:
        name, port = _host_and_port(rule, None)
        ports = (80, 443) if port is None else (port,)
        if name.lower().rstrip(".") == target.host.lower().rstrip(".") and target.port in ports:
            return True
    return False


def public(text: str) -> bool:
    """Whether an address is one of the open internet: not ours, not our network's, not a disguise of such a one."""
    address: Address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        elif any(address in net for net in _TRANSLATED):
            return False
    return address.is_global and not address.is_multicast


def named_literally(host: str) -> bool:
    """Whether the host is an address itself (or `localhost`): allowing that one allows what it is, private or not."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host.lower() == "localhost"
    return True


def parse(head: bytes) -> Target:
    """Read the head of a proxy request. Raises Refused."""
    lines = head.split(b"\r\n")
    words = lines[0].split(b" ")
    if len(words) != 3 or b"\0" in head or not words[2].startswith(b"HTTP/1."):
        raise Refused("400 Bad Request")
    text = words[1].decode("latin-1")
    if words[0] == b"CONNECT":
        return Target(*_checked(text, None))
    if not text.lower().startswith("http://"):
        raise Refused("400 Bad Request")
    authority, slash, path = text[7:].partition("/")
    host, port = _checked(authority, 80)
    kept = [line for line in lines[1:] if line and not line.lower().startswith((b"proxy-", *_OWN_HEADERS))]
    first = [words[0] + b" " + (slash or "/").encode() + path.encode("latin-1") + b" HTTP/1.1"]
    own = [b"Host: " + authority.encode("latin-1"), b"Connection: close"]
    return Target(host, port, b"\r\n".join([*first, *own, *kept, b"", b""]))


def _checked(authority: str, default: int | None) -> tuple[str, int]:
    host, port = _host_and_port(authority, default)
    if port is None or not 0 < port < 65536 or not (_HOST.match(host) or (":" in host and named_literally(host))):
        raise Refused("400 Bad Request")
    return host, port


def _host_and_port(text: str, default: int | None) -> tuple[str, int | None]:
    if text.startswith("["):
        host, _, port = text[1:].partition("]")
        port = port.removeprefix(":")
    else:
        host, _, port = text.partition(":")
    if not port:
        return host, default
    return host, int(port) if port.isascii() and port.isdigit() and len(port) < 6 else None


class Egress:
    """The way out of one sandbox, on a unix socket in the directory `dir`."""

    def __init__(self, dir: Path, rules: tuple[str, ...]) -> None:
        self._dir, self._rules = dir, rules
        self._server: asyncio.Server | None = None
        self._open = 0

    async def open(self) -> None:
        """Listen; the socket of a service that is gone is replaced."""
        here = socket.socket(socket.AF_UNIX)
        dir = os.open(self._dir, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            path = f"/proc/self/fd/{dir}/egress.sock"  # a unix socket's path has room for 107 bytes only
            (self._dir / "egress.sock").unlink(missing_ok=True)
            here.bind(path)
            os.chmod(path, 0o666)
        finally:
            os.close(dir)
        here.setblocking(False)
        self._server = await asyncio.start_unix_server(self._serve, sock=here, limit=HEAD)

    def close(self) -> None:
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open += 1
        try:
            if self._open > _AT_ONCE:
                raise Refused("503 Too many connections at once")
            await self._carry(reader, writer)
        except Refused as refused:
            writer.write(f"HTTP/1.1 {refused}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            self._open -= 1
            writer.close()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with asyncio.timeout(_PATIENCE):
            target = parse(await reader.readuntil(b"\r\n\r\n"))
            far_reader, far_writer = await self._dial(target)
        try:
            if target.head is None:
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                far_writer.write(target.head)
            async with asyncio.TaskGroup() as group:
                group.create_task(_pump(reader, far_writer))
                group.create_task(_pump(far_reader, writer))
        finally:
            far_writer.close()

    async def _dial(self, target: Target) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if not allowed(self._rules, target):
            raise Refused("403 Not on the list of allowed hosts")
        addresses = await _resolve(target)
        if not named_literally(target.host) and not all(public(address) for address in addresses):
            raise Refused("403 The host has an address of a private network")
        for address in addresses:
            try:
                return await asyncio.open_connection(address, target.port)
            except OSError:
                continue
        raise Refused("502 The host does not answer")


async def _resolve(target: Target) -> list[str]:
    try:
        found = await asyncio.get_running_loop().getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise Refused("502 The host has no address") from error
    return [str(entry[4][0]) for entry in found]


async def _pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    """Carry bytes until the source ends or is silent for too long."""
    try:
        while data := await _some(source):
            target.write(data)
            await _drained(target)
        if target.can_write_eof():
            target.write_eof()
    except (OSError, TimeoutError):
        target.close()


async def _some(source: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(_IDLE):
        return await source.read(65536)


async def _drained(target: asyncio.StreamWriter) -> None:
    async with asyncio.timeout(_IDLE):
        await target.drain()

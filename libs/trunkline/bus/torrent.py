"""Messages of a consumer by a socket of our own: a part of the time that a client library takes, for whoever reads a whole log."""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Callable, Iterator
from typing import Final
from urllib.parse import unquote, urlsplit

from trunkline.contracts.errors import Unavailable

PORT: Final = 4222
BATCH: Final = 2000
BYTES: Final = 8 << 20
"""Of one batch; two are under way at once, well below what nats-server holds for one connection."""
SILENCE: Final = 15.0
"""Seconds without a word after which the server is thought to be away."""
_INBOX: Final = b"_INBOX.reading"
_MESSAGES: Final = (b"MSG", b"HMSG")
_ROOM: Final = 1 << 20

Take = Callable[[int, str, bytes], None]
"""Gets sequence, subject and body of one record."""


class Torrent:
    """One connection. Everything blocks, for SILENCE at most. Raises OSError, Unavailable (LOG_AWAY)."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._socket = socket.create_connection((parts.hostname or "127.0.0.1", parts.port or PORT), SILENCE)
        self._rest = b""
        info = json.loads(self._line().removeprefix(b"INFO "))
        if info.get("tls_required") or parts.scheme == "tls":
            self._socket = ssl.create_default_context().wrap_socket(self._socket, server_hostname=parts.hostname)
        wish: dict[str, object] = {
            "verbose": False,
            "pedantic": False,
            "headers": True,
            "name": "reading",
            "lang": "python",
            "version": "1",
        }
        if parts.username and parts.password is None:
            wish["auth_token"] = unquote(parts.username)
        elif parts.username:
            wish |= {"user": unquote(parts.username), "pass": unquote(parts.password or "")}
        self._socket.sendall(b"CONNECT %b\r\nPING\r\n" % json.dumps(wish).encode())
        if (said := self._line()) != b"PONG":
            raise _away(said)

    def close(self) -> None:
        self._socket.close()

    def read(self, stream: str, consumer: str, take: Take, last: int) -> None:
        """Give `take` each message up to the sequence `last`, in order, of a consumer that wants no acknowledgements."""
        ask = _asking(f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}")
        self._socket.sendall(b"SUB %b.* 1\r\n" % _INBOX + ask + ask)
        for line, payload in self._frames():
            head = int(line[-2]) if line[0] == b"HMSG" else 0
            if len(line) < (6 if head else 5):  # nobody is to be answered: a word of the server's about what was asked
                self._socket.sendall(_again(payload, ask))
                continue
            seq, pending = _place(line[3])
            if seq <= last:
                take(seq, line[1].decode(), payload[head:])
            if seq >= last or not pending:
                return

    def _frames(self) -> Iterator[tuple[list[bytes], bytes]]:
        """Each message: the words of its line, and what follows it. Raises Unavailable."""
        whole, place = self._rest, 0
        while True:
            end = whole.find(b"\r\n", place)
            line = whole[place:end].split(b" ") if end >= 0 else [b""]
            size = int(line[-1]) + 2 if line[0] in _MESSAGES else 0
            over = end + 2 + size
            if end < 0 or over > len(whole):
                whole, place = whole[place:] + self._more(), 0
                continue
            if size:
                yield line, whole[end + 2 : over - 2]
            else:
                self._heed(line)
            place = over

    def _heed(self, line: list[bytes]) -> None:
        """A word of the server's that is no message."""
        if line[0] == b"PING":
            self._socket.sendall(b"PONG\r\n")
        if line[0] == b"-ERR":
            raise _away(b" ".join(line))

    def _line(self) -> bytes:
        while b"\r\n" not in self._rest:
            self._rest += self._more()
        line, _, self._rest = self._rest.partition(b"\r\n")
        return line

    def _more(self) -> bytes:
        try:
            more = self._socket.recv(_ROOM)
        except TimeoutError:
            raise _away(b"it went silent") from None
        if not more:
            raise _away(b"it closed the connection")
        return more


def _asking(subject: str) -> bytes:
    wish = json.dumps({"batch": BATCH, "max_bytes": BYTES, "expires": int(SILENCE * 1e9)}).encode()
    return b"PUB %b %b.next %d\r\n%b\r\n" % (subject.encode(), _INBOX, len(wish), wish)


def _place(reply: bytes) -> tuple[int, int]:
    """Sequence in the stream, and how many are left to come, in either form in which they are told."""
    told = reply.split(b".")
    first = 5 if len(told) == 9 else 7
    return int(told[first]), int(told[first + 3])


def _again(status: bytes, ask: bytes) -> bytes:
    """After a batch that is complete, as large as it may be, or as old. Raises Unavailable for anything else."""
    if status.startswith((b"NATS/1.0 409 Batch Completed", b"NATS/1.0 409 Message Size", b"NATS/1.0 408")):
        return ask
    raise _away(status.partition(b"\r\n")[0])


def _away(why: bytes) -> Unavailable:
    return Unavailable(f"nats-server does not give the log ({why.decode(errors='replace')}); try again", code="LOG_AWAY")

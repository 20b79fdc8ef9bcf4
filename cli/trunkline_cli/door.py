"""One gateway as HTTP: asks as whoever the credential says, waits out a short limit, follows a stream over its breaks."""

from __future__ import annotations

import asyncio
from argparse import ArgumentParser, Namespace
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from os import environ
from shlex import join
from time import monotonic
from typing import Final

import aiohttp
from pydantic import JsonValue

from trunkline.contracts.errors import Exhausted, Invalid, Unavailable
from trunkline_cli.blocks import Block, blocks
from trunkline_cli.operator import credential
from trunkline_cli.refusals import refuse, seconds_of, told_json, waits

DEFAULT_URL: Final = "http://127.0.0.1:8787"
TRIES: Final = 20
FIRST_TRIES: Final = 3
"""How often nobody may answer before anybody ever did: who is not there at all is soon said to be so."""
LIVED: Final = 5.0
"""Seconds: a connection that held so long was a good one, though nothing happened on it."""
WAITS: Final = 3
_LONGEST_PAUSE: Final = 3.0
_SILENCE: Final = 60.0
"""Seconds without a byte, heartbeats included, after which a stream is given up and opened again."""


@dataclass(frozen=True, slots=True)
class Wish:
    """One thing to ask for."""

    method: str
    path: str
    body: JsonValue = None
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    patience: float = 30.0
    """Seconds until nobody answers."""


@dataclass(frozen=True, slots=True)
class Door:
    """One gateway. Every call raises Unavailable when it cannot be reached, else the refusal that it spoke."""

    url: str
    http: aiohttp.ClientSession
    known: bool = False
    """Whether a credential is shown."""

    async def ask(self, wish: Wish) -> JsonValue:
        """The answer's JSON. Raises Exhausted for a limit that does not end soon."""
        for _ in range(WAITS):
            try:
                return await self._ask(wish)
            except Exhausted as refused:
                if not waits(refused):
                    raise
                await asyncio.sleep(seconds_of(refused))
        return await self._ask(wish)

    async def follow(self, path: str, last: Callable[[Block], bool]) -> AsyncIterator[Block]:
        """Every event from the first to the `last`; a connection that breaks is resumed where it broke."""
        seen, failures = "", 0
        while failures < (most := TRIES if seen else FIRST_TRIES):
            began = monotonic()
            async for block in self._until_cut(path, seen, failures + 1 == most):
                seen, failures = block.id or seen, 0
                yield block
                if last(block):
                    return
            failures = 1 if monotonic() - began > LIVED else failures + 1
            await asyncio.sleep(min(0.1 * 2.0**failures, _LONGEST_PAUSE))
        raise Unavailable(f"{self.url} closes the stream again and again before it is over. Its log may say why.")

    async def _until_cut(self, path: str, seen: str, final: bool) -> AsyncIterator[Block]:
        """What one connection gives; that it breaks is an error only at the `final` try, as the next one goes on from there."""
        try:
            async for block in self._stream(path, seen):
                yield block
        except (aiohttp.ClientError, TimeoutError):
            if final:
                raise self._unreachable() from None
        except (Unavailable, Exhausted) as refused:
            if final or not waits(refused):
                raise
            await asyncio.sleep(seconds_of(refused))

    async def _stream(self, path: str, seen: str) -> AsyncIterator[Block]:
        headers = {"Accept": "text/event-stream", **({"Last-Event-ID": seen} if seen else {})}
        patience = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=_SILENCE)
        async with self.http.get(f"{self.url}{path}", headers=headers, timeout=patience, allow_redirects=False) as answer:
            await refuse(answer)
            rest = b""
            async for chunk in answer.content.iter_any():
                found, rest = blocks(rest + chunk)
                for block in found:
                    yield block

    async def _ask(self, wish: Wish) -> JsonValue:
        patience = aiohttp.ClientTimeout(total=wish.patience, sock_connect=5)
        asking = self.http.request(
            wish.method,
            f"{self.url}{wish.path}",
            json=wish.body,
            params=wish.query,
            headers=wish.headers,
            timeout=patience,
            allow_redirects=False,
        )
        try:
            async with asking as answer:
                await refuse(answer)
                return await told_json(answer)
        except (aiohttp.ClientError, TimeoutError):
            raise self._unreachable() from None

    def _unreachable(self) -> Unavailable:
        return Unavailable(f"No gateway answers at {self.url}. Start one with `trunkline up`, or give its address by --url.")


@asynccontextmanager
async def entered(url: str, headers: Mapping[str, str] | None = None) -> AsyncIterator[Door]:
    """The gateway at `url`; `headers` are the credential, if there is any. Raises Invalid."""
    if not url.lower().startswith(("http://", "https://")):
        raise Invalid(f"{url} is no address of a gateway: write --url or TRUNKLINE_URL as http://HOST:PORT.")
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30, sock_connect=5), headers=headers or {}) as http:
        yield Door(url.rstrip("/"), http, bool(headers))


@asynccontextmanager
async def opened(args: Namespace) -> AsyncIterator[Door]:
    """The gateway that the flags name, entered as whoever they say."""
    async with entered(args.url, credential(args, args.url)) as door:
        yield door


def same_door(args: Namespace) -> str:
    """The flags that were given to find and enter this gateway, so that a command that is suggested goes there too."""
    url = args.url if args.url != environ.get("TRUNKLINE_URL", DEFAULT_URL) else None
    given = {"--url": url, "--token-file": args.token_file, "--data-dir": args.data_dir}
    words = join(word for flag, value in given.items() if value for word in (flag, str(value)))
    return f" {words}" if words else ""


def add_gateway(parser: ArgumentParser) -> None:
    """Where the gateway is, and as whom to enter it."""
    default = environ.get("TRUNKLINE_URL", DEFAULT_URL)
    parser.add_argument("--url", default=default, help="where the gateway is (default: TRUNKLINE_URL, else %(default)s)")
    known = "TRUNKLINE_TOKEN or TRUNKLINE_API_KEY, else the operator's own"
    parser.add_argument("--token-file", metavar="FILE", help=f"your credential (default: {known})")
    parser.add_argument("--data-dir", metavar="DIR", help="where a gateway on this machine keeps the operator's credential")

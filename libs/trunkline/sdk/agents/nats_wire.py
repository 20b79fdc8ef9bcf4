"""The way to the bus by NATS: a connection that is made anew, with a credential as it is then, whenever it was lost."""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from inspect import isawaitable
from ssl import SSLContext
from typing import Any, Final

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import AuthorizationError, NoServersError
from nats.errors import Error as NatsError

from trunkline.sdk.agents.failing import AgentError, AwayError
from trunkline.sdk.agents.places import Place, place_of
from trunkline.sdk.agents.wire import Hear
from trunkline.sdk.retrying import Patience

log: Final = logging.getLogger("trunkline.agent")
Credential = Callable[[], str | Awaitable[str]]
OPEN_QUESTIONS: Final = 10_000
NOBODY: Final = "503"
LOOK_EVERY: Final = 0.5
FIRST_WITHIN: Final = 60.0
"""Seconds for the first connection: a wrong address or credential is soon said to be one."""
_BACKOFF: Final = Patience(first=0.1, longest=10.0)
_ODD: Final = (AssertionError, AttributeError, ValueError)
"""What nats-py raises besides, as when it is closed before it was open: no reason to end."""
_OPTIONS: Final[dict[str, Any]] = {
    "allow_reconnect": False,  # nats-py would come back with the credential that it began with, and not at all where that is over
    "max_reconnect_attempts": 1,
    "reconnect_time_wait": 0.05,
    "connect_timeout": 5,
    "ping_interval": 5,
    "max_outstanding_pings": 2,
    "flush_timeout": 5,
}


@dataclass(frozen=True, slots=True)
class Way:
    """Where the bus is and who comes. `credential` is asked for anew for each connection; `give_up` in seconds without any."""

    servers: tuple[str, ...]
    credential: Credential = field(repr=False)
    tenant: str = ""
    name: str = ""
    tls: SSLContext | None = field(default=None, repr=False)
    give_up: float = 300.0


class NatsWire:
    """As Wire promises, by one connection at a time."""

    def __init__(self, way: Way) -> None:
        self._way = way
        self._client: Client | None = None
        self._place: Place | None = None
        self._open: dict[str, asyncio.Future[Msg]] = {}
        self._up = asyncio.Event()
        self._hear: Hear = _deaf
        self._failed: Exception | None = None
        """The last that nats-py told of."""

    async def run(self, hear: Hear) -> None:
        self._hear = hear
        loop, tries = asyncio.get_running_loop(), 0
        seen, patience, why = loop.time(), min(FIRST_WITHIN, self._way.give_up), ""
        while True:
            gone = asyncio.Event()
            try:
                await self._connect(self._way.servers[tries % len(self._way.servers)], gone)
                await self._until(gone)
                tries, seen, patience, why = 0, loop.time(), self._way.give_up, "the connection was closed"
                log.warning("agent.disconnected")
            except (OSError, TimeoutError, NatsError) as error:
                why = _why(error)
                log.warning("agent.not_connected", extra={"why": why, "tries": tries + 1})
            except _ODD as error:
                why = _why(error)
                log.exception("agent.connection_broke")
            finally:
                await self._let_go()
            if loop.time() - seen > patience:
                raise AgentError(f"no way to the bus at {', '.join(map(_shown, self._way.servers))} for {patience:.0f} s: {why}")
            tries += 1
            await asyncio.sleep(_BACKOFF.backoff(tries, random.random()))

    async def _until(self, gone: asyncio.Event) -> None:
        """Until the connection is closed, of which nats-py does not always tell."""
        while self._client is not None and not self._client.is_closed:
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY):
                    await gone.wait()
                    return

    async def ask(self, verb: str, body: bytes, seconds: float) -> bytes:
        try:
            async with asyncio.timeout(seconds):
                await self._up.wait()
                return await self._asked(verb, body)
        except TimeoutError:
            raise AwayError(f"no answer to {verb!r} within {seconds:.0f} s") from None
        except NatsError as error:
            raise AwayError(f"{verb!r} cannot be asked: {_why(error)}") from error

    async def _asked(self, verb: str, body: bytes) -> bytes:
        client, place = self._client, self._place
        if client is None or place is None or len(self._open) >= OPEN_QUESTIONS:
            raise AwayError(f"{verb!r} cannot be asked now")
        token = secrets.token_hex(16)  # another agent may have its own answers sent to any inbox whose name it can guess
        self._open[token] = coming = asyncio.get_running_loop().create_future()
        try:
            await client.publish(place.subject(verb), body, reply=f"{place.inbox}.{token}")
            answer = await coming
        finally:
            self._open.pop(token, None)
        if (answer.headers or {}).get("Status") == NOBODY:
            raise AwayError(f"nobody answers {verb!r}: is a control plane there that takes agents?")
        return bytes(answer.data)

    async def _connect(self, server: str, gone: asyncio.Event) -> None:
        secret = await self._secret()
        place = place_of(secret, self._way.tenant, self._way.name)
        client = Client()

        async def closed() -> None:
            gone.set()

        async def failed(error: Exception) -> None:
            self._failed = error
            if "permissions violation" in str(error).lower():
                log.error("agent.not_permitted", extra={"why": str(error), "do": "give it a credential of the role agent"})
            else:
                log.debug("agent.bus_error", extra={"why": _why(error)})

        how = {**_OPTIONS, "tls": self._way.tls, "closed_cb": closed, "error_cb": failed, "token": secret}
        self._client = client
        try:
            await client.connect(server, name=f"agent {place.tenant}/{place.name}", inbox_prefix=place.inbox, **how)
        except NoServersError as error:  # which says nothing of why
            raise self._failed or error from None
        await client.subscribe(f"{place.inbox}.*", cb=self._on)
        await client.subscribe(place.told, cb=self._told)
        if not await _settled(client, gone):
            raise AuthorizationError
        self._place = place
        self._up.set()
        log.info("agent.connected", extra={"tenant": place.tenant, "agent": place.name})

    async def _secret(self) -> str:
        """Whoever gives it may take a while, and may fail for a while. Raises AgentError, NatsError."""
        try:
            word = await asyncio.to_thread(self._way.credential)
            return await word if isawaitable(word) else word
        except AgentError:
            raise
        except Exception as error:
            log.exception("agent.no_credential")
            raise NatsError(f"the agent's own function gives no credential: {type(error).__name__}") from error

    async def _let_go(self) -> None:
        """Whoever waits for an answer over the connection that is gone may ask again at once."""
        client, self._client = self._client, None
        self._up.clear()
        for coming in self._open.values():
            if not coming.done():
                coming.set_exception(AwayError("the connection was lost"))
        if client is not None:
            with suppress(OSError, TimeoutError, NatsError, *_ODD):
                await client.close()

    async def _on(self, message: Msg) -> None:
        coming = self._open.get(message.subject.rpartition(".")[2])
        if coming is not None and not coming.done():
            coming.set_result(message)

    async def _told(self, message: Msg) -> None:
        self._hear(message.subject.rpartition(".")[2], message.data)


def _deaf(what: str, body: bytes) -> None:
    """Until somebody listens."""


async def _settled(client: Client, gone: asyncio.Event) -> bool:
    """Whether the bus took us: nats-py takes an end without a word for a beginning. Raises NatsError."""

    async def settle() -> Exception | None:
        try:
            for _ in range(2):  # it says PING before what it was told to say first
                await client.flush(5)
        except (NatsError, TimeoutError) as error:
            return error
        return None

    async with asyncio.TaskGroup() as group:
        settling, ended = group.create_task(settle()), group.create_task(gone.wait())
        either: set[asyncio.Task[Any]] = {settling, ended}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        settling.cancel()
        ended.cancel()
    closed = gone.is_set() or client.is_closed
    if not closed and not settling.cancelled() and (error := settling.result()) is not None:
        raise error
    return not closed


def _shown(server: str) -> str:
    """Without a password that may stand in it."""
    return server.rpartition("@")[2]


def _why(error: Exception) -> str:
    if isinstance(error, AuthorizationError) or "authorization" in str(error).lower():
        return "the bus refuses the credential: is it one of the role agent, and not over or revoked?"
    return str(error) or type(error).__name__

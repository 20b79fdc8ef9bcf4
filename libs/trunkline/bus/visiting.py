"""A connection of somebody who looks after an installation from outside: it makes no stream, no consumer, and hears no commands."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import orjson
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import StreamInfo
from nats.js.errors import APIError, NotFoundError

from trunkline.bus import headers
from trunkline.bus.answers import Answers
from trunkline.bus.commands import Commands
from trunkline.bus.direct import DirectReader
from trunkline.bus.heeding import heeding
from trunkline.bus.log_life import EARLIER, LogLife, read_earlier
from trunkline.bus.patience import patiently
from trunkline.bus.settings import BusSettings
from trunkline.bus.streams import EPOCH, EVENTS, RESTORING, SEAL, UNFINISHED
from trunkline.contracts.errors import Conflict, NotFound, Unavailable

CONNECT_WITHIN: Final = 5
ASK_WITHIN: Final = 5.0
LIST_TRIES: Final = 5
"""In a cluster a list may lack what nobody leads at the moment: some seconds, until somebody does."""
NONE_MADE: Final = "this nats-server holds no log of Trunkline's; is it the right one, and did Trunkline ever run on it?"

Json = dict[str, Any]
_OPTIONS: Final[dict[str, Any]] = {"connect_timeout": CONNECT_WITHIN, "max_reconnect_attempts": 10, "reconnect_time_wait": 0.2}


@dataclass(frozen=True, slots=True)
class Visit:
    """What can be asked of a nats-server."""

    client: Client
    js: JetStreamContext
    answers: Answers
    commands: Commands

    async def life(self) -> LogLife:
        """Raises NotFound NO_LOG, Conflict while a restore is unfinished."""
        if await self.stream(RESTORING):
            raise Conflict("a backup is being restored here: run `trunkline restore` again, to its end", code=UNFINISHED)
        try:
            config = (await patiently(lambda: self.js.stream_info(EVENTS))).config
        except NotFoundError:
            raise NotFound(NONE_MADE, code="NO_LOG") from None
        metadata = config.metadata or {}
        if EPOCH not in metadata:
            raise NotFound(NONE_MADE, code="NO_LOG")
        return LogLife(metadata[EPOCH], metadata[SEAL].encode(), config.num_replicas or 1, read_earlier(metadata.get(EARLIER, "")))

    async def stream(self, name: str) -> StreamInfo | None:
        """Raises BusAway."""
        try:
            return await patiently(lambda: self.js.stream_info(name))
        except NotFoundError:
            return None

    async def streams(self) -> list[Json]:
        """All of the account, as nats-server tells of them. Raises BusAway."""
        return await self._listed("$JS.API.STREAM.LIST", "streams")

    async def consumers(self, stream: str) -> list[Json]:
        """All of a stream, as nats-server tells of them. Raises BusAway."""
        return await self._listed(f"$JS.API.CONSUMER.LIST.{stream}", "consumers")

    async def asked(self, subject: str, wish: Json, within: float = ASK_WITHIN) -> Json:
        """What nats-server answers, an error of its own in it. Raises BusAway."""

        async def once() -> Json:
            answer: Json = orjson.loads((await heeding(self.client.request(subject, orjson.dumps(wish), timeout=within))).data)
            return answer

        return await patiently(once)

    async def _listed(self, subject: str, what: str) -> list[Json]:
        """All of them, or Unavailable: a list that lacks something would be taken for the whole."""
        found: list[Json] = []
        while page := await self._page(subject, what, len(found)):
            found += page
        return found

    async def _page(self, subject: str, what: str, offset: int) -> list[Json]:
        for attempt in range(LIST_TRIES):
            said = await self.asked(subject, {"offset": offset})
            if "error" not in said and not said.get("missing"):
                return list(said.get(what) or ())
            await asyncio.sleep(0.2 * 2**attempt)
        why = said.get("error", {}).get("description") or f"no server tells of {', '.join(sorted(said['missing'])[:3])}"
        raise Unavailable(f"nats-server does not list its {what} ({why}); try again", code="BUS_AWAY")

    async def reader(self, stream: str = EVENTS, *, replicated: bool = False) -> DirectReader:
        reader = DirectReader(self.client, self.js, replicated=replicated, stream=stream)
        await reader.start()
        return reader


@asynccontextmanager
async def visiting(settings: BusSettings) -> AsyncIterator[Visit]:
    """Raises Unavailable."""
    client = Client()
    client._parse_header_lines = headers.read  # type: ignore[method-assign]  # as for services: most of the time of a message
    try:
        options = {**_OPTIONS, **settings.credentials()}
        await client.connect(settings.addresses(), name="operator", error_cb=_quiet, skip_subject_validation=True, **options)
    except (OSError, TimeoutError, NatsError, APIError) as error:
        why = str(error) or type(error).__name__
        raise Unavailable(f"nats-server does not answer at {settings.shown()}: {why}", code="BUS_AWAY") from error
    try:
        answers = Answers(client)
        await answers.start()
        yield Visit(client, client.jetstream(timeout=5), answers, Commands(answers))
    finally:
        await client.close()


async def _quiet(_: Exception) -> None:
    """What went wrong is told by whatever was asked for."""

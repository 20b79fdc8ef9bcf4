"""Reading all of the log once, as fast as nats-server gives it, without making or changing any of it but a consumer that goes by itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js import JetStreamContext, api
from nats.js.errors import NotFoundError

from trunkline.bus.heeding import heeding
from trunkline.bus.log_life import EARLIER, LogLife, read_earlier
from trunkline.bus.settings import BusSettings
from trunkline.bus.streams import EPOCH, EVENTS
from trunkline.bus.torrent import PORT, Take, Torrent
from trunkline.contracts.errors import NotFound, Unavailable

CONNECT_WITHIN: Final = 10


@dataclass(frozen=True, slots=True)
class Extent:
    """What the log holds now."""

    life: LogLife
    first: int
    last: int
    kept_s: float
    """Seconds for which a record is kept; 0: for ever."""


class Reading:
    def __init__(self, client: Client, url: str) -> None:
        self._url = url
        self._js: JetStreamContext = client.jetstream(timeout=5)

    async def extent(self) -> Extent:
        """Raises NotFound (NO_LOG), Unavailable."""
        try:
            found = await heeding(self._js.stream_info(EVENTS))
        except NotFoundError:
            raise NotFound("this nats-server has no log of Trunkline's", code="NO_LOG") from None
        except (NatsError, TimeoutError) as error:
            raise _away(error) from error
        metadata = found.config.metadata or {}
        earlier = read_earlier(metadata.get(EARLIER, ""))
        life = LogLife(metadata.get(EPOCH, ""), b"", found.config.num_replicas or 1, earlier)
        return Extent(life, found.state.first_seq, found.state.last_seq, found.config.max_age or 0)

    async def all(self, take: Take, first: int, last: int) -> None:
        """Give `take` every record from sequence `first` to `last`, in order, in a thread beside the loop. Raises Unavailable."""
        name, pending = await self._consumer(first)
        try:
            if pending:  # nobody tells the end of nothing
                await asyncio.to_thread(self._poured, name, take, last)
        except OSError as error:
            raise _away(error) from error
        finally:
            with suppress(NatsError, TimeoutError):
                await heeding(self._js.delete_consumer(EVENTS, name))

    def _poured(self, consumer: str, take: Take, last: int) -> None:
        with closing(Torrent(self._url)) as torrent:
            torrent.read(EVENTS, consumer, take, last)

    async def _consumer(self, first: int) -> tuple[str, int]:
        """Its name, and how many records there are for it."""
        wish = api.ConsumerConfig(
            description="Reads the log once.",
            deliver_policy=api.DeliverPolicy.BY_START_SEQUENCE,
            opt_start_seq=max(first, 1),
            ack_policy=api.AckPolicy.NONE,
            inactive_threshold=60,
            mem_storage=True,
            num_replicas=1,
        )
        try:
            made = await heeding(self._js.add_consumer(EVENTS, wish))
            return made.name, made.num_pending or 0
        except (NatsError, TimeoutError) as error:
            raise _away(error) from error


@asynccontextmanager
async def reading(settings: BusSettings) -> AsyncIterator[Reading]:
    """A connection that only reads: streams are neither made nor changed. Raises Unavailable."""
    client = Client()
    try:
        await client.connect(settings.addresses(), name="reading", connect_timeout=CONNECT_WITHIN, allow_reconnect=False, error_cb=_quiet)
    except (OSError, TimeoutError, NatsError) as error:
        raise Unavailable(
            f"nats-server does not answer at {settings.shown()}: {str(error) or type(error).__name__}", code="BUS_AWAY"
        ) from error
    try:
        yield Reading(client, _reached(client, settings))
    finally:
        await client.close()


def _reached(client: Client, settings: BusSettings) -> str:
    """The address that answered, with the credentials in it: of a cluster it may be one that nobody named."""
    there, named = client.connected_url, settings.addresses()
    if there is None:
        return named[0]
    same = (url for url in named if _place(url) == (there.hostname, there.port))
    held = urlsplit(named[0]).netloc.rpartition("@")
    return next(same, there._replace(netloc=f"{held[0]}{held[1]}{there.netloc.rpartition('@')[2]}").geturl())


def _place(url: str) -> tuple[str | None, int]:
    parts = urlsplit(url)
    return parts.hostname, parts.port or PORT


async def _quiet(_: Exception) -> None:
    """What went wrong is told by whatever was asked for."""


def _away(error: Exception) -> Unavailable:
    return Unavailable(f"nats-server does not give the log ({str(error) or type(error).__name__}); try again", code="LOG_AWAY")

"""Realtime: tickets, and the two ways to hear a channel."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from aiohttp import web

from trunkline.auth.policy import Action
from trunkline.auth.principal import Principal
from trunkline_gateway.body import BodyReader
from trunkline_gateway.broadcast import Line
from trunkline_gateway.channel import Channel, Channels, Seat, Way, Wish, end_of
from trunkline_gateway.dialect import Media, Route, Spec
from trunkline_gateway.dialects.omni import decode, encode
from trunkline_gateway.dialects.omni.names import CHANNEL, STATUS, SURFACE, UPDATE
from trunkline_gateway.dialects.omni.schemas import ConnectQuery, ResumeHeaders, TokenBody, TokenMade
from trunkline_gateway.ports import Happenings
from trunkline_gateway.sockets import Seated, Sockets
from trunkline_gateway.sse import STANDS, Streams
from trunkline_gateway.usecases.realtime import Admission, Realtime
from trunkline_gateway.usecases.telling import Place

ROOT: Final = "/v1/realtime"
FLOWING: Final = frozenset({UPDATE, STATUS})
MINT: Final = Spec(
    "Get a token for a channel",
    SURFACE,
    "As the inngest SDKs ask for it; the credential may also be the signing key, raw or hashed.",
    body=TokenBody,
    answers={201: TokenMade},
    refusals=(400, 401, 403, 413, 415, 429, 503),
)
CONNECT: Final = Spec(
    "Hear a channel over a WebSocket",
    SURFACE,
    "Text frames of JSON; a ping every 20 s, as a WebSocket ping and as a frame of kind `ping`. A frame of kind `gap` comes first where "
    "what follows `lastEventId` or `from` is lost, or further back than the ticket reaches.",
    query=ConnectQuery,
    answers={101: Media("", "The WebSocket.")},
    refusals=(400, 401, 503),
)
EVENTS: Final = Spec(
    "Hear a channel as server-sent events",
    SURFACE,
    query=ConnectQuery,
    headers=ResumeHeaders,
    answers={200: Media("text/event-stream", "The same frames as `data:`; `id:` is the place to resume from.")},
    refusals=(400, 401, 503),
)

Carry = Callable[[Line, Wish, Place], Awaitable[Seat]]


@dataclass(frozen=True, slots=True)
class Ways:
    """What readers hear by."""

    channels: Channels
    source: Happenings
    streams: Streams
    sockets: Sockets


@dataclass(frozen=True, slots=True)
class _Asked:
    """How somebody comes in, beyond which place it wants to hear, and how fast what was."""

    admission: Admission
    beyond: Place | None
    speed: float | None


@dataclass(frozen=True, slots=True)
class RealtimeRoutes:
    realtime: Realtime
    ways: Ways
    body: BodyReader

    def routes(self) -> tuple[Route, ...]:
        return (
            Route("POST", f"{ROOT}/token", Action.MINT_REALTIME, self._mint, MINT, "realtime.token", secret=True),
            Route("GET", f"{ROOT}/connect", Action.READ_REALTIME, self._connect, CONNECT, streams=True),
            Route("GET", f"{ROOT}/sse", Action.READ_REALTIME, self._events, EVENTS, streams=True),
        )

    async def _mint(self, request: web.Request, principal: Principal) -> web.Response:
        wish = decode.ticket(await self.body.any_json(request))
        return encode.answer(TokenMade(jwt=self.realtime.mint(principal, wish, *decode.login(request.headers)).text), 201)

    async def _connect(self, request: web.Request, _: Principal) -> web.StreamResponse:
        asked = self._admitted(request)
        async with self.ways.channels.hearing(asked.admission.tenant) as channel:
            place, gap = await self._from(channel, asked)
            wish = Wish(_topics(asked.admission), Way.SOCKET)

            async def carry(line: Line) -> Seated:
                if gap:
                    await line.send(encode.GAP[Way.SOCKET])
                if asked.speed is not None:
                    play = partial(channel.hear, line, wish, place, asked.speed)
                    return Seated(asyncio.get_running_loop().create_future(), _nothing, play)
                seat = await channel.sit(line, wish, place)
                return Seated(seat.cut, partial(channel.leave, seat))

            return await self.ways.sockets.serve(request, carry, lambda: self.realtime.stands(asked.admission))

    async def _events(self, request: web.Request, _: Principal) -> web.StreamResponse:
        asked = self._admitted(request)
        request[STANDS] = lambda: self.realtime.stands(asked.admission)
        async with self.ways.channels.hearing(asked.admission.tenant) as channel:
            place, gap = await self._from(channel, asked)

            async def carry(line: Line) -> None:
                await line.send(encode.GAP[Way.EVENTS] if gap else b"")
                await channel.hear(line, Wish(_topics(asked.admission), Way.EVENTS), place, asked.speed)

            return await self.ways.streams.share(request, carry)

    def _admitted(self, request: web.Request) -> _Asked:
        token, beyond, speed = decode.connect(request.query, request.headers)
        return _Asked(self.realtime.admit(token), beyond, speed)

    async def _from(self, channel: Channel, asked: _Asked) -> tuple[Place, bool]:
        """Where the reader begins, and whether something may be missing behind the place that it named."""
        now, named = await channel.now(), asked.beyond
        known = named if named and named.cursor.epoch == now.cursor.epoch else None
        if known and known >= now:  # whoever has heard all has nothing to catch up with
            return known, False
        if known is None and not asked.admission.history:
            return now, named is not None
        earliest = end_of(await self.ways.source.before(asked.admission.earliest))
        begin = max(known, earliest) if known else earliest
        return begin, named is not None and begin != named


def _topics(admission: Admission) -> frozenset[str]:
    """Nothing flows on another channel, and nothing of ours on other topics."""
    return admission.topics & FLOWING if admission.channel == CHANNEL else frozenset()


def _nothing() -> None:
    """Whoever plays leaves its seat by itself."""

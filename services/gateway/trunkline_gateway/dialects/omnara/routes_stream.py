"""What happens to an instance, as server-sent events with names."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Final

from aiohttp import web

from trunkline.auth.policy import Action
from trunkline.auth.principal import Principal
from trunkline.contracts.cursor import Cursor
from trunkline_gateway.broadcast import Line
from trunkline_gateway.dialect import Media, Route, Spec
from trunkline_gateway.dialects.omnara import decode, encode_stream
from trunkline_gateway.dialects.omnara.names import INSTANCE, STREAM, SURFACE
from trunkline_gateway.dialects.omnara.routes_instances import named
from trunkline_gateway.dialects.omnara.schemas import InstancePath, StreamHeaders, StreamQuery
from trunkline_gateway.ports import Timeline
from trunkline_gateway.sse import Streams
from trunkline_gateway.usecases.instance_stream import Heard, InstanceStream

FOLLOW: Final = Spec(
    "Follow an instance",
    SURFACE,
    "From now on, or beyond `Last-Event-ID`, or with `history=true` from the start; it ends with the instance's task.",
    path=InstancePath,
    query=StreamQuery,
    headers=StreamHeaders,
    answers={
        200: Media(
            "text/event-stream",
            "Events `connected`, `message`, `message_update`, `status_update`, `git_diff_update`, `agent_heartbeat`, `heartbeat`, `error`.",
        )
    },
    refusals=(422,),
)


@dataclass(frozen=True, slots=True)
class StreamRoutes:
    stream: InstanceStream
    streams: Streams

    def routes(self) -> tuple[Route, ...]:
        return (Route("GET", INSTANCE + STREAM, Action.READ_INSTANCE, self._follow, FOLLOW, "instances.read", streams=True),)

    async def _follow(self, request: web.Request, principal: Principal) -> web.StreamResponse:
        last, history = decode.place(request.query, request.headers)
        timeline = await self.stream.timeline(principal, named(request).task)
        after = last if last or history else await self.stream.newest()
        return await self.streams.share(request, partial(self._told, timeline, after))

    async def _told(self, timeline: Timeline, after: Cursor | None, line: Line) -> None:
        await line.send(encode_stream.connected(timeline.task, after))

        async def say(heard: Heard) -> None:
            await line.send(encode_stream.frame(heard, timeline.task))

        await self.stream.tell(timeline, after, say)

"""What happens to a task: as a stream that goes on, or as a page of what is there."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Final

from aiohttp import web

from trunkline.auth.policy import Action
from trunkline.auth.principal import Principal
from trunkline.contracts.errors import NotFound
from trunkline.contracts.record import Event, Gap
from trunkline_gateway.broadcast import Broadcasts
from trunkline_gateway.dialect import PARTS, Media, Route, Spec
from trunkline_gateway.dialects.orchestrator import answers_events, decode_lists, encode_events, names
from trunkline_gateway.dialects.orchestrator.answering import json
from trunkline_gateway.dialects.orchestrator.decode_lists import Following
from trunkline_gateway.dialects.orchestrator.schemas import FeedHeaders, FeedQuery, TaskPath
from trunkline_gateway.frames import Frames
from trunkline_gateway.ports import Timeline
from trunkline_gateway.sse import Streams
from trunkline_gateway.usecases import Tasks
from trunkline_gateway.usecases.in_time import in_time

FOLLOW: Final = Spec(
    "Follow a task, or read a page of what happened",
    "tasks",
    "A stream of server-sent events, history first, to the event that ends the task. A page for whoever accepts "
    "application/json, or asks with `after` or `limit` and does not accept text/event-stream. With `speed` what is stored comes at its own "
    "pace, so many times as fast as it happened, from the event `from`; then what happens, as it happens.",
    path=TaskPath,
    query=FeedQuery,
    headers=FeedHeaders,
    answers={200: (answers_events.EventPage, Media("text/event-stream"))},
    refusals=(400, 401, 403, 404, 422, 429, 503),
)


@dataclass(slots=True)
class FeedRoutes:
    """`frame_cache` in bytes."""

    tasks: Tasks
    streams: Streams
    frame_cache: int
    _frames: Frames = field(init=False)
    _live: Broadcasts = field(init=False)

    def __post_init__(self) -> None:
        self._frames = Frames(encode_events.frame, self.frame_cache)
        self._live = Broadcasts(self.tasks.feed, lambda timeline: lambda item: self._frame(item, timeline))

    def routes(self) -> tuple[Route, ...]:
        return (Route("GET", "/tasks/{task_id}/events", Action.READ_TASK, self._events, FOLLOW, "tasks.events", streams=True),)

    async def _events(self, request: web.Request, principal: Principal) -> web.StreamResponse:
        asked = decode_lists.following(request.query, request.headers)
        task = names.read_task(request[PARTS]["task_id"])
        try:
            async with in_time():
                timeline = await self.tasks.timeline(principal, task)
        except NotFound:
            raise names.unknown_task() from None
        if asked.page:
            return await self._page(timeline, asked)
        return await self.streams.share(request, partial(self._live.tell, timeline, asked.place))

    async def _page(self, timeline: Timeline, asked: Following) -> web.Response:
        async with in_time():
            items, more = await self.tasks.page(timeline, asked.place.after, asked.limit)
        last = next((item.cursor for item in reversed(items) if isinstance(item, Event)), asked.place.after)
        shown = [told for item in items if (told := self._told(item, timeline))]
        return json(encode_events.page(timeline.task, shown, str(last) if last else None, more=more))

    def _told(self, item: Event | Gap, timeline: Timeline) -> encode_events.Object | None:
        return encode_events.gap(item, timeline.task, self.tasks.now()) if isinstance(item, Gap) else encode_events.happened(item)

    def _frame(self, item: Event | Gap, timeline: Timeline) -> bytes:
        if isinstance(item, Gap):
            return encode_events.gap_frame(item, timeline.task, self.tasks.now())
        return self._frames.of(item)

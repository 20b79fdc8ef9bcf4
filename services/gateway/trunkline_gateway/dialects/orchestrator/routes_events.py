"""Events that people and agents publish, and everything that carries one trace id."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from aiohttp import web

from trunkline.auth.policy import Action
from trunkline.auth.principal import Principal
from trunkline.contracts.errors import NotFound
from trunkline_gateway.body import BodyReader
from trunkline_gateway.dialect import IDS, PARTS, Route, Spec
from trunkline_gateway.dialects.orchestrator import answers_events, decode, decode_lists, encode_events, names
from trunkline_gateway.dialects.orchestrator.answering import json
from trunkline_gateway.dialects.orchestrator.schemas import EventBody, TracePath, TraceQuery
from trunkline_gateway.usecases import Events, Traces

TAG: Final = "events"
PUBLISH: Final = Spec(
    "Publish an event",
    TAG,
    "Kept as it was said, told to every agent that listens and to the readers of the task; Trunkline acts on none of it.",
    body=EventBody,
    answers={200: answers_events.Published},
    refusals=(400, 401, 403, 404, 413, 415, 422, 429, 503),
)
TRACE: Final = Spec(
    "Read everything that carries a trace id",
    TAG,
    path=TracePath,
    query=TraceQuery,
    answers={200: answers_events.Trace},
    refusals=(400, 401, 403, 404, 422, 429, 503),
)


@dataclass(frozen=True, slots=True)
class EventRoutes:
    events: Events
    traces: Traces
    body: BodyReader

    def routes(self) -> tuple[Route, ...]:
        return (
            Route("POST", "/events/publish", Action.PUBLISH_EVENT, self._publish, PUBLISH, "events.publish"),
            Route("GET", "/traces/{trace_id}", Action.READ_TRACE, self._trace, TRACE, "traces.read"),
        )

    async def _publish(self, request: web.Request, principal: Principal) -> web.Response:
        said = decode.event(await self.body.json(request))
        id = request[IDS].id()
        try:
            await self.events.publish(principal, said.event, task=said.task, id=id)
        except NotFound:
            raise names.unknown_task() from None
        return json(encode_events.published(said.event.event_type, id))

    async def _trace(self, request: web.Request, principal: Principal) -> web.Response:
        trace_id, limit = decode_lists.trace(request[PARTS]["trace_id"], request.query)
        try:
            return json(encode_events.trace(await self.traces.trace(principal, trace_id, limit)))
        except NotFound:
            raise names.unknown_trace() from None

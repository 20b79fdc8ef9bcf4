"""The orchestrator dialect: every route of its document, and the words for whatever nobody else claims."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from aiohttp import web

from trunkline.contracts.errors import DomainError
from trunkline_gateway.body import BodyReader
from trunkline_gateway.dialect import Route
from trunkline_gateway.dialects.orchestrator import answering, answers, decode, encode, known_queries
from trunkline_gateway.dialects.orchestrator.routes_approvals import ApprovalRoutes
from trunkline_gateway.dialects.orchestrator.routes_events import EventRoutes
from trunkline_gateway.dialects.orchestrator.routes_feed import FeedRoutes
from trunkline_gateway.dialects.orchestrator.routes_front import About, FrontRoutes
from trunkline_gateway.dialects.orchestrator.routes_going_on import GoingOnRoutes
from trunkline_gateway.dialects.orchestrator.routes_letters import LetterRoutes
from trunkline_gateway.dialects.orchestrator.routes_schedules import ScheduleRoutes
from trunkline_gateway.dialects.orchestrator.routes_steering import SteeringRoutes
from trunkline_gateway.dialects.orchestrator.routes_tasks import TaskRoutes
from trunkline_gateway.dialects.orchestrator.routes_tokens import TokenRoutes
from trunkline_gateway.dialects.orchestrator.routes_usage import UsageRoutes
from trunkline_gateway.dialects.orchestrator.routes_webhooks import WebhookRoutes
from trunkline_gateway.dialects.orchestrator.seal import Seal
from trunkline_gateway.ports import Readiness
from trunkline_gateway.sse import Streams
from trunkline_gateway.usecases import Approvals, Events, Steering, Tasks, Traces
from trunkline_gateway.usecases.desk import Desk
from trunkline_gateway.usecases.going_on import GoingOn
from trunkline_gateway.usecases.letters import Letters
from trunkline_gateway.usecases.schedules import Schedules
from trunkline_gateway.usecases.usage import Usage
from trunkline_gateway.usecases.webhooks import Webhooks


@dataclass(frozen=True, slots=True)
class Verbs:
    """All that this surface can ask for."""

    tasks: Tasks
    approvals: Approvals
    events: Events
    traces: Traces
    desk: Desk
    steering: Steering
    usage: Usage
    webhooks: Webhooks
    schedules: Schedules
    letters: Letters


@dataclass(frozen=True, slots=True)
class Means:
    """What it works with. `seal` signs cursors: at least 32 bytes, the same on every replica. `frame_cache` in bytes."""

    streams: Streams
    body: BodyReader
    readiness: Readiness
    seal: bytes
    frame_cache: int


@dataclass(slots=True)
class Orchestrator:
    """Claims every path that is left."""

    verbs: Verbs
    means: Means
    about: About
    name: str = field(default=decode.SURFACE, init=False)
    claims: tuple[str, ...] = field(default=("/",), init=False)
    error_model: type[answers.Refused] = field(default=answers.Refused, init=False)
    strict: bool = field(default=True, init=False)
    visitors: None = field(default=None, init=False)

    def routes(self) -> tuple[Route, ...]:
        return tuple(known_queries.strict(route) for route in self._every())

    def _every(self) -> Iterator[Route]:
        verbs, means, seal = self.verbs, self.means, Seal(self.means.seal)
        yield from (
            *FrontRoutes(verbs.tasks, means.readiness, self.about).routes(),
            *TokenRoutes(verbs.desk, means.body).routes(),
            *TaskRoutes(verbs.tasks, means.body, seal).routes(),
            *GoingOnRoutes(GoingOn(verbs.tasks), means.body).routes(),
            *SteeringRoutes(verbs.steering, means.body).routes(),
            *FeedRoutes(verbs.tasks, means.streams, means.frame_cache).routes(),
            *EventRoutes(verbs.events, verbs.traces, means.body).routes(),
            *UsageRoutes(verbs.usage).routes(),
            *ScheduleRoutes(verbs.schedules, means.body).routes(),
            *WebhookRoutes(verbs.webhooks, means.body, seal).routes(),
            *LetterRoutes(verbs.letters, means.body, seal).routes(),
            *ApprovalRoutes(verbs.approvals, means.body, seal).routes(),
        )

    def encode_error(self, error: DomainError) -> web.Response:
        return answering.json(*encode.error(error))

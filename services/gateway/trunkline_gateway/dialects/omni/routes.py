"""The omni dialect: sandboxes, knowledge and realtime in the words of its document."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NoReturn, Protocol

from aiohttp import web
from pydantic import BaseModel

from trunkline.auth.policy import Action
from trunkline.auth.principal import Principal
from trunkline.contracts.errors import DomainError, Unsupported
from trunkline_gateway.dialect import Route, Spec
from trunkline_gateway.dialects.omni import decode, encode, story
from trunkline_gateway.dialects.omni.names import CLAIMS, SURFACE, task_alias
from trunkline_gateway.dialects.omni.schemas import Problem, Registered, Results, ResultsQuery
from trunkline_gateway.dialects.omni.story import Job
from trunkline_gateway.dialects.omni.visitors import KeyHolders
from trunkline_gateway.usecases import results
from trunkline_gateway.usecases.tasks import Tasks
from trunkline_gateway.usecases.telling import Story

INNGEST: Final = "/api/inngest"
STORY: Final = Story(story.begin, story.tell)
SHOW: Final = Spec("Read what is registered", SURFACE, answers={200: Registered})
REFUSE: Final = Spec("Refused: there is nothing to register", SURFACE, refusals=(501,))
POLL: Final = Spec(
    "Read what the channel has said about a task",
    SURFACE,
    "For clients that cannot hear the channel: the same messages, of the newest job that a `taskId` has. `taskId` alone: "
    "how it stands now, and the newest 1,000 messages. With `limit` they come in pages, from the first on. Ask on with the `next` of the "
    "answer before as `after`: at once while there is `more`, else when you like, until it is `done`.",
    query=ResultsQuery,
    answers={200: Results},
    refusals=(400, 401, 403, 404, 429, 503),
)


class Part(Protocol):
    """Some of the dialect's routes."""

    def routes(self) -> tuple[Route, ...]: ...


@dataclass(slots=True)
class Omni:
    """`parts`: the routes for sandboxes, knowledge, snapshots and realtime, each in a module of its own."""

    tasks: Tasks
    visitors: KeyHolders
    parts: Sequence[Part] = ()
    name: str = field(default=SURFACE, init=False)
    claims: tuple[str, ...] = field(default=CLAIMS, init=False)
    error_model: type[BaseModel] = field(default=Problem, init=False)
    strict: bool = field(default=False, init=False)
    """Whoever shows none of our credentials may show a signing key; what is neither is refused by `visitors`."""
    polled: results.Results[Job] = field(init=False)

    def __post_init__(self) -> None:
        self.polled = results.Results(self.tasks, STORY, story.begin_for_viewer)

    def routes(self) -> tuple[Route, ...]:
        own = (
            Route("GET", INNGEST, Action.LOOK_AROUND, self._registered, SHOW),
            Route("PUT", INNGEST, Action.REGISTER, self._not_here, REFUSE),
            Route("POST", INNGEST, Action.REGISTER, self._not_here, REFUSE),
            Route("GET", "/api/task/results", Action.READ_TASK, self._results, POLL, "results.read"),
        )
        return (*own, *(route for part in self.parts for route in part.routes()))

    def encode_error(self, error: DomainError) -> web.Response:
        return encode.refusal(error)

    async def _registered(self, request: web.Request, principal: Principal) -> web.Response:
        return encode.answer(encode.REGISTERED)

    async def _not_here(self, request: web.Request, principal: Principal) -> NoReturn:
        message = "nothing is registered or run here: JetStream is the engine of this server"
        raise Unsupported(message, code="NOT_IMPLEMENTED")

    async def _results(self, request: web.Request, principal: Principal) -> web.Response:
        task, asked = decode.results(request.query)
        return encode.answer(encode.results(await self.polled.of(principal, task_alias(task), asked), asked.after))

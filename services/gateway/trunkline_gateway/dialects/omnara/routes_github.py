"""Workflows in repositories: started, listed with the runs that came of it, and the keys that they were given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from aiohttp import web

from trunkline.auth.policy import Action
from trunkline.auth.principal import Principal
from trunkline_gateway.body import BodyReader
from trunkline_gateway.dialect import IDS, Route, Spec
from trunkline_gateway.dialects.omnara import decode, encode, encode_github
from trunkline_gateway.dialects.omnara.answers import DispatchTaken, Keys, Runs, Success
from trunkline_gateway.dialects.omnara.names import DISPATCHES, INSTANCE, RUNS, SURFACE
from trunkline_gateway.dialects.omnara.routes_instances import named
from trunkline_gateway.dialects.omnara.schemas import DispatchBody, InstancePath, RunBody, RunsQuery
from trunkline_gateway.usecases.dispatching import Dispatching
from trunkline_gateway.usecases.instances import InstanceName

DISPATCH: Final = Spec(
    "Start an agent in a repository's own workflow",
    SURFACE,
    "The wish is on disk when this answers; GitHub is asked then. The workflow gets a key that opens its own instance alone.",
    body=DispatchBody,
    answers={202: DispatchTaken},
    refusals=(409, 422),
)
LIST: Final = Spec("List the runs that dispatches started", SURFACE, query=RunsQuery, answers={200: Runs}, refusals=(422,))
TOLD: Final = Spec(
    "Say which run an instance is",
    SURFACE,
    "Its workflow does, with its key: so it is known without being looked for.",
    path=InstancePath,
    body=RunBody,
    answers={200: Success},
    refusals=(409,),
)
KEYS: Final = Spec("List the keys of an instance", SURFACE, "Never their text.", path=InstancePath, answers={200: Keys})


@dataclass(frozen=True, slots=True)
class GitHubRoutes:
    dispatching: Dispatching
    body: BodyReader

    def routes(self) -> tuple[Route, ...]:
        return (
            Route("POST", DISPATCHES, Action.DISPATCH, self._dispatch, DISPATCH, "github.dispatch"),
            Route("GET", RUNS, Action.READ_DISPATCH, self._runs, LIST, "github.runs"),
            Route("PUT", f"{INSTANCE}/run", Action.CALL_HOME, self._ran, TOLD, "instances.message"),
            Route("GET", f"{INSTANCE}/keys", Action.READ_DISPATCH, self._keys, KEYS, "github.runs"),
        )

    async def _dispatch(self, request: web.Request, principal: Principal) -> web.Response:
        body = decode.read(DispatchBody, await self.body.json(request))
        named_so = body.agent_instance_id
        name = InstanceName(request[IDS].task_id()) if named_so is None else decode.instance(named_so)
        made = await self.dispatching.start(principal, decode.dispatch(body), name)
        return encode.answer(encode_github.taken(made), 202)

    async def _runs(self, request: web.Request, principal: Principal) -> web.Response:
        asked = decode.asked(RunsQuery, request.query)
        page = await self.dispatching.runs(principal, f"{asked.owner}/{asked.repo}", asked.limit)
        return encode.answer(encode_github.runs(page))

    async def _ran(self, request: web.Request, principal: Principal) -> web.Response:
        body = decode.read(RunBody, await self.body.json(request))
        await self.dispatching.ran(principal, named(request), body.repository, decode.run(body))
        return encode.answer(Success())

    async def _keys(self, request: web.Request, principal: Principal) -> web.Response:
        return encode.answer(encode_github.keys(await self.dispatching.of(principal, named(request))))

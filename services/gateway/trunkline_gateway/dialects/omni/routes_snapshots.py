"""Snapshots: invalidated as the document has it; how the one stands, and the log of its build, are ours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from aiohttp import web

from trunkline.auth.policy import Action
from trunkline.auth.principal import Principal
from trunkline.contracts.cursor import Cursor
from trunkline_gateway.dialect import Media, Route, Spec
from trunkline_gateway.dialects.omni import encode, encode_snapshots
from trunkline_gateway.dialects.omni.names import SURFACE
from trunkline_gateway.dialects.omni.schemas import ResumeHeaders
from trunkline_gateway.dialects.omni.schemas_snapshots import Invalidated, SnapshotStanding
from trunkline_gateway.sse import Streams
from trunkline_gateway.usecases.snapshots import Snapshots

ROOT: Final = "/api/snapshot"
_WAIT: Final = (401, 403, 429, 503)
INVALIDATE: Final = Spec(
    "Let the next create build the snapshot again",
    SURFACE,
    "Under a new timestamped name. Sandboxes that are there keep what they have.",
    answers={200: Invalidated},
    refusals=(*_WAIT, 500),
)
STATUS: Final = Spec("Read how the snapshot stands", SURFACE, answers={200: SnapshotStanding}, refusals=_WAIT)
LOG: Final = Spec(
    "Follow the log of the newest build",
    SURFACE,
    "From its first line to its end; `Last-Event-ID` goes on behind what was read.",
    headers=ResumeHeaders,
    answers={200: Media("text/event-stream", "Messages `status`, `log`, `error` and `done` as `data:`.")},
    refusals=(400, *_WAIT, 404),
)


@dataclass(frozen=True, slots=True)
class SnapshotRoutes:
    snapshots: Snapshots
    streams: Streams

    def routes(self) -> tuple[Route, ...]:
        return (
            Route("POST", f"{ROOT}/invalidate", Action.USE_SANDBOX, self._invalidate, INVALIDATE, "sandboxes.change"),
            Route("GET", f"{ROOT}/status", Action.READ_SANDBOX, self._status, STATUS, "sandboxes.read"),
            Route("GET", f"{ROOT}/log", Action.READ_SANDBOX, self._log, LOG, "sandboxes.read", streams=True),
        )

    async def _invalidate(self, request: web.Request, principal: Principal) -> web.Response:
        await self.snapshots.invalidate(principal)
        return encode.answer(Invalidated())

    async def _status(self, request: web.Request, principal: Principal) -> web.Response:
        return encode.answer(encode_snapshots.standing(await self.snapshots.standing(principal)))

    async def _log(self, request: web.Request, principal: Principal) -> web.StreamResponse:
        last = request.headers.get("Last-Event-ID")
        said = await self.snapshots.following(principal, Cursor.parse(last) if last else None)
        return await self.streams.send(request, said, encode_snapshots.frame)

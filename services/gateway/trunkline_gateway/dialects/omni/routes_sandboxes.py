"""Sandboxes: create and status as the document has them; list, stop, start, delete and usage in the same style."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from aiohttp import web

from trunkline.auth.policy import Action
from trunkline.auth.principal import Principal
from trunkline.contracts.errors import NotFound
from trunkline.contracts.sandbox import ListSandboxes, SandboxPage, SandboxStatus, SandboxTerms, SandboxView
from trunkline_gateway.body import BodyReader
from trunkline_gateway.dialect import IDS, Route, Spec
from trunkline_gateway.dialects.omni import decode, encode
from trunkline_gateway.dialects.omni.names import SURFACE
from trunkline_gateway.dialects.omni.schemas_sandboxes import (
    CreateBody,
    ListQuery,
    SandboxBody,
    SandboxList,
    SandboxSaid,
    SandboxShown,
    SandboxStanding,
    SandboxUse,
    StatusQuery,
    UsageQuery,
)
from trunkline_gateway.usecases.sandboxes import Sandboxes, SandboxWish

ROOT: Final = "/api/sandbox"
_WAIT: Final = (400, 401, 403, 429, 503)
_BODY: Final = (*_WAIT, 413, 415)
CREATE: Final = Spec(
    "Create a sandbox, or get the preferred one of a user", SURFACE, body=CreateBody, answers={200: SandboxSaid}, refusals=(*_BODY, 500)
)
STATUS: Final = Spec("Read how a sandbox stands", SURFACE, query=StatusQuery, answers={200: SandboxStanding}, refusals=(*_WAIT, 404))
LIST: Final = Spec("List the sandboxes", SURFACE, query=ListQuery, answers={200: SandboxList}, refusals=_WAIT)
USAGE: Final = Spec("Read what sandboxes used on a day", SURFACE, query=UsageQuery, answers={200: SandboxUse}, refusals=_WAIT)
STOP: Final = Spec("Stop a sandbox", SURFACE, "Its files stay.", body=SandboxBody, answers={200: SandboxSaid}, refusals=(*_BODY, 404, 409))
START: Final = Spec(
    "Start a sandbox that is stopped",
    SURFACE,
    "Answers when it is ready, within 60 s.",
    body=SandboxBody,
    answers={200: SandboxSaid},
    refusals=(*_BODY, 404, 409, 500),
)
DELETE: Final = Spec("Delete a sandbox", SURFACE, body=SandboxBody, answers={200: SandboxSaid}, refusals=(*_BODY, 404))


@dataclass(frozen=True, slots=True)
class SandboxRoutes:
    sandboxes: Sandboxes
    body: BodyReader

    def routes(self) -> tuple[Route, ...]:
        read, use = Action.READ_SANDBOX, Action.USE_SANDBOX
        return (
            Route("POST", f"{ROOT}/create", use, self._create, CREATE, "sandboxes.change"),
            Route("GET", f"{ROOT}/status", read, self._status, STATUS, "sandboxes.read"),
            Route("GET", f"{ROOT}/list", read, self._list, LIST, "sandboxes.read"),
            Route("GET", f"{ROOT}/usage", read, self._usage, USAGE, "sandboxes.read"),
            Route("POST", f"{ROOT}/stop", use, self._stop, STOP, "sandboxes.change"),
            Route("POST", f"{ROOT}/start", use, self._start, START, "sandboxes.change"),
            Route("POST", f"{ROOT}/delete", use, self._delete, DELETE, "sandboxes.change"),
        )

    async def _create(self, request: web.Request, principal: Principal) -> web.Response:
        wish = wished(decode.read(CreateBody, await self.body.json(request)))
        return said(await self.sandboxes.ensure(principal, wish, id=request[IDS].id()))

    async def _status(self, request: web.Request, principal: Principal) -> web.Response:
        asked = decode.read(StatusQuery, decode.once(request.query, StatusQuery))
        view = await self.sandboxes.one(principal, asked.id)
        return encode.answer(SandboxStanding(sandboxId=view.sandbox_id, status=view.status.value, createdAt=_ms(view.created_at)))

    async def _list(self, request: web.Request, principal: Principal) -> web.Response:
        asked = decode.read(ListQuery, decode.once(request.query, ListQuery))
        page = await self._page(principal, asked)
        return encode.answer(SandboxList(sandboxes=[shown(view) for view in page.sandboxes], total=page.total, next=page.next))

    async def _page(self, principal: Principal, asked: ListQuery) -> SandboxPage:
        if asked.id is None:
            return await self.sandboxes.all(principal, query_of(asked, principal, self.sandboxes.now()))
        try:
            return SandboxPage(sandboxes=(await self.sandboxes.one(principal, asked.id),), total=1)
        except NotFound:
            return SandboxPage(sandboxes=(), total=0)

    async def _usage(self, request: web.Request, principal: Principal) -> web.Response:
        asked = decode.read(UsageQuery, decode.once(request.query, UsageQuery))
        used = await self.sandboxes.usage(principal, asked.day or f"{self.sandboxes.now():%Y%m%d}")
        body = SandboxUse(day=used.day, minutes=round(used.seconds / 60, 2), costUsd=used.cost_usd, running=used.running)
        return encode.answer(body)

    async def _stop(self, request: web.Request, principal: Principal) -> web.Response:
        return said(await self.sandboxes.stop(principal, await self._named(request)))

    async def _start(self, request: web.Request, principal: Principal) -> web.Response:
        return said(await self.sandboxes.started(principal, await self._named(request)))

    async def _delete(self, request: web.Request, principal: Principal) -> web.Response:
        return said(await self.sandboxes.delete(principal, await self._named(request)))

    async def _named(self, request: web.Request) -> str:
        return decode.read(SandboxBody, await self.body.json(request)).sandboxId


def wished(body: CreateBody) -> SandboxWish:
    terms = SandboxTerms(
        labels=body.labels,
        cpus=body.cpus,
        memory_mb=body.memoryMb,
        disk_mb=body.diskMb,
        egress=None if body.egress is None else tuple(body.egress),
        ttl_s=body.ttlSeconds,
        idle_s=body.idleSeconds,
    )
    return SandboxWish(body.userId, body.provider, terms, body.reuse)


def query_of(asked: ListQuery, principal: Principal, at: datetime) -> ListSandboxes:
    name, _, value = (asked.label or "").partition("=")
    return ListSandboxes(
        tenant=principal.tenant,
        at=at,
        user=asked.userId,
        status=SandboxStatus(asked.status) if asked.status else None,
        labels={name: value} if name else {},
        limit=asked.limit,
        cursor=asked.cursor,
    )


def said(view: SandboxView) -> web.Response:
    return encode.answer(SandboxSaid(sandboxId=view.sandbox_id, status=view.status.value))


def shown(view: SandboxView) -> SandboxShown:
    terms = view.terms
    return SandboxShown(
        sandboxId=view.sandbox_id,
        status=view.status.value,
        createdAt=_ms(view.created_at),
        userId=view.user,
        provider=view.provider,
        isolation=view.isolation,
        image=view.image,
        site=view.site,
        labels=terms.labels,
        egress=list(terms.egress or ()),
        cpus=terms.cpus,
        memoryMb=terms.memory_mb,
        diskMb=terms.disk_mb,
        expiresAt=_ms(view.expires_at) if view.expires_at else None,
        idleAt=_ms(view.idle_at) if view.idle_at else None,
        idleSeconds=terms.idle_s or 0,
        usedSeconds=view.used_s,
        costUsd=view.cost_usd,
        code=view.code,
        error=view.error,
    )


def _ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)

"""A gateway with one small dialect: real limits, real memory, and a handler that counts what it does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import ClientSession, ClientTimeout, web

from trunkline.auth.policy import Action
from trunkline.auth.principal import ANONYMOUS, Principal, Role, Tier
from trunkline.bus import Bus
from trunkline.contracts.errors import DomainError, Unauthenticated
from trunkline.contracts.ids import TenantId
from trunkline.runtime.ids import new_id
from trunkline.testing.nats import NatsServer
from trunkline_gateway import app
from trunkline_gateway.adapters.limiter import BusLimiter, Unlimited, limiter
from trunkline_gateway.adapters.memory import BusMemory
from trunkline_gateway.body import BodyReader
from trunkline_gateway.dialect import IDS, Media, Route, Spec, status_of
from trunkline_gateway.pipeline import Pipeline
from trunkline_gateway.ports import Claim, Kept, Limiter, Memory
from trunkline_gateway.settings import LIMITS, Settings
from trunkline_gateway.wiring import serving

TEXT = Media("text/plain")
SPEC = Spec("small", "small")
NOBODY = Unlimited(frozenset(LIMITS))
Work = Callable[[web.Request], Awaitable[web.Response]]


def identify(request: web.Request, strict: bool) -> Principal:
    """`Bearer role:subject[@tenant]`, believed as it stands."""
    shown = request.headers.get("Authorization", "")
    if not shown:
        return ANONYMOUS
    role, _, rest = shown.removeprefix("Bearer ").partition(":")
    subject, _, tenant = rest.partition("@")
    if role == "operator":
        return Principal(TenantId("public"), subject, Role.ADMIN, Tier.OPERATOR)
    if role not in set(Role):
        raise Unauthenticated("that is no credential", code="AUTH_REQUIRED")
    return Principal(TenantId(tenant or "public"), subject, Role(role))


@dataclass
class Small:
    """Makes things at POST /tasks and shows them at GET /tasks."""

    work: Work | None = None
    more: Sequence[Route] = ()
    made: list[str] = field(default_factory=list)
    name: str = "small"
    claims: tuple[str, ...] = ("/",)
    error_model: Media = TEXT
    strict: bool = True
    visitors: None = None

    def routes(self) -> Sequence[Route]:
        return (
            Route("POST", "/tasks", Action.SUBMIT_TASK, self._make, SPEC, limit="tasks.create"),
            Route("GET", "/tasks", Action.READ_TASK, self._show, SPEC, limit="tasks.read"),
            Route("GET", "/open", Action.LOOK_AROUND, self._show, SPEC),
            Route("POST", "/open", Action.OPEN_SUBMIT, self._make, SPEC),
            Route("POST", "/token", Action.MINT_TOKEN, self._make, SPEC, limit="auth.token"),
            *self.more,
        )

    def encode_error(self, error: DomainError) -> web.Response:
        return web.json_response({"detail": error.message, "code": error.code}, status=status_of(error))

    async def _make(self, request: web.Request, principal: Principal) -> web.Response:
        said = await BodyReader().json_if_any(request)
        id = request[IDS].task_id()
        self.made.append(id)
        if self.work:
            return await self.work(request)
        return web.json_response({"id": id, "said": said, "n": len(self.made)}, status=201)

    async def _show(self, request: web.Request, principal: Principal) -> web.Response:
        return web.json_response(self.made)


@asynccontextmanager
async def small(dialect: Small, counting: Limiter = NOBODY, memory: Memory | None = None) -> AsyncIterator[ClientSession]:
    site = app.build((dialect,), Pipeline(identify, counting, memory or Forgetful(), BodyReader()))
    settings, patience = Settings.model_validate({"port": 0}), ClientTimeout(10)
    async with serving(site, settings) as port, ClientSession(f"http://127.0.0.1:{port}", timeout=patience) as session:
        yield session


async def limited(bus: Bus, **settings: object) -> BusLimiter | Unlimited:
    return await limiter(bus.limits, Settings.model_validate(settings))


def remembering(bus: Bus, lease: float = 60.0) -> BusMemory:
    return BusMemory(bus.memos, new_id, lease)


class Forgetful:
    """Where no request comes with a key."""

    async def claim(self, key: str, digest: str) -> Claim | Kept:
        raise AssertionError("no request came with a key")

    async def keep(self, claim: Claim, answer: Kept) -> None: ...

    async def reopen(self, claim: Claim) -> None: ...

    async def forget(self, claim: Claim) -> None: ...


async def back(server: NatsServer, bus: Bus) -> None:
    """A connection that is closed while it has none is no tidy end of a test."""
    server.start()
    async with asyncio.timeout(10):
        while not bus.connected:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def together(count: int, work: Callable[[int], Awaitable[object]]) -> list[object]:
    async with asyncio.TaskGroup() as group:

        async def one(number: int) -> object:
            return await work(number)

        tasks = [group.create_task(one(number)) for number in range(count)]
    return [task.result() for task in tasks]

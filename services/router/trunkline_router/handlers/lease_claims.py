"""Agents on NATS ask for work: a claim waits in the lines of its pools, and what it is given it is told again until the agent knows it."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import ExitStack, asynccontextmanager, suppress
from typing import Final

import structlog

from trunkline.contracts.agent import Claim, Claimed, Held, Leased
from trunkline.contracts.errors import Conflict, Denied, Unavailable
from trunkline.contracts.ids import TenantId
from trunkline.contracts.message import Accepted
from trunkline.contracts.subjects import AgentCall
from trunkline_router.handlers.agent_bodies import accepted
from trunkline_router.handlers.lease_line import Giving, Line, Waiting
from trunkline_router.handlers.lease_reading import Leases
from trunkline_router.handlers.lease_rest import Resting
from trunkline_router.model.routing import POOLS
from trunkline_router.ports import Handed, HandsOf

log = structlog.get_logger()

TOGETHER: Final = 0.004
"""Seconds for which a claim with more room waits for more, once it has something."""
SETTLED: Final = 5.0
"""Seconds within which what is promised is given; what comes later is told by the next claim."""
MOST_UNTOLD: Final = 10_000
MOST_LEFT: Final = 32
"""Lines in which nobody waits any more, and of which it is still known what rests there."""
SERVED: Final = frozenset(POOLS.values())
"""Pools whose work no agent may take out of the hands of the services that do it."""
Session = tuple[str, str, str]


class Untold:
    """What was leased and may not have been told: the answer may be lost. Of this process; others' leases are over when no beat comes."""

    def __init__(self) -> None:
        self._leases: OrderedDict[str, tuple[Session, Leased]] = OrderedDict()

    def given(self, session: Session, leased: Leased) -> None:
        self._leases[leased.lease] = session, leased
        while len(self._leases) > MOST_UNTOLD:
            self._leases.popitem(last=False)

    def known(self, lease: str) -> None:
        self._leases.pop(lease, None)

    def of(self, session: Session) -> list[Leased]:
        return [leased for whose, leased in self._leases.values() if whose == session]


class Claims:
    def __init__(self, hands: HandsOf, giving: Giving, leases: Leases) -> None:
        self._hands = hands
        self._giving = giving
        self._leases = leases
        self._lease_s = leases.lasts.total_seconds()
        self.untold = Untold()
        self._lines: dict[tuple[TenantId, str], Line] = {}
        self._left: OrderedDict[tuple[TenantId, str], Resting] = OrderedDict()
        self._sessions: dict[Session, Waiting] = {}
        self._here: dict[tuple[TenantId, str], set[Waiting]] = {}
        """By agent."""
        self._group: asyncio.TaskGroup | None = None
        self._serving: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Work is given inside the block; claims that wait at its end are answered with nothing."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            try:
                yield
            finally:
                self.end()
                self._group = None
                for task in list(self._serving):
                    task.cancel()

    def end(self) -> None:
        """Claims that wait are answered now."""
        for waiting in list(self._sessions.values()):
            waiting.end()

    def gone(self, tenant: TenantId, name: str) -> None:
        """A connection of that agent ended: what it waits for it may not hear. Whatever else of it is there asks again at once."""
        for waiting in self._here.get((tenant, name), ()):
            waiting.end()

    async def claim(self, call: AgentCall, wish: Claim) -> Accepted:
        """Raises Denied, Unavailable."""
        if ours := SERVED & set(wish.pools):
            raise Denied(
                f"the tasks of the pool {min(ours)} are carried out by Trunkline's own services; name pools of agents", code="NOT_YOURS"
            )
        session = call.tenant, call.name, wish.session
        if earlier := self._sessions.pop(session, None):
            earlier.end()
        again = await self._again(call, wish, session)
        if again or not wish.room or self._group is None:
            return accepted(Claimed(tasks=tuple(again), lease_s=self._lease_s))
        given = await self._given(session, Waiting(call, wish))
        return accepted(Claimed(tasks=tuple(given), lease_s=self._lease_s))

    async def _again(self, call: AgentCall, wish: Claim, session: Session) -> list[Leased]:
        for held in wish.holding:
            self.untold.known(held.lease)
        found = []
        for leased in self.untold.of(session):
            try:
                await self._leases.held(call, Held(task_id=leased.task_id, lease=leased.lease))
            except Conflict:
                self.untold.known(leased.lease)
            else:
                found.append(leased)
        return found

    async def _given(self, session: Session, waiting: Waiting) -> list[Leased]:
        self._sessions[session] = waiting
        here = self._here.setdefault(who := (waiting.call.tenant, waiting.call.name), set())
        here.add(waiting)
        try:
            with ExitStack() as lines:
                for pool in waiting.wish.pools:
                    lines.enter_context(self._line(waiting.call.tenant, pool).standing(waiting))
                await _until(waiting, lambda: bool(waiting.given) or waiting.over, waiting.wish.wait_s)
                if waiting.given or waiting.promised:
                    await _until(waiting, lambda: len(waiting.given) >= waiting.wish.room or waiting.over, TOGETHER)
        finally:
            waiting.over = True
            if self._sessions.get(session) is waiting:
                del self._sessions[session]
            here.discard(waiting)
            if not here:
                self._here.pop(who, None)
        await _until(waiting, lambda: not waiting.promised, SETTLED)
        return waiting.given

    async def kind(self, handed: Handed) -> str | None:
        return await self._giving.kind(handed)

    async def give(self, handed: Handed, waiting: Waiting) -> Leased | None:
        """Told again from now on until it is known to be heard, though the claim be over before it could say so."""
        leased = await self._giving.give(handed, waiting)
        if leased:
            self.untold.given((waiting.call.tenant, waiting.call.name, waiting.wish.session), leased)
        return leased

    def _line(self, tenant: TenantId, pool: str) -> Line:
        key = tenant, pool
        line = self._lines.get(key)
        if line is None:
            line = self._lines[key] = Line(self._hands, self, key, self._left.pop(key, None))
            self._start(self._serve(key, line))
        return line

    async def _serve(self, key: tuple[TenantId, str], line: Line) -> None:
        try:
            await line.serve(self._start)
            while line.wanted:  # somebody came while it was being closed
                await line.serve(self._start)
        except Unavailable as error:  # those who wait are told that nothing came, and ask again
            log.warning("lease_claims.away", pool=key[1], error=error.message)
        except Exception:
            log.exception("lease_claims.broke", pool=key[1])
        finally:
            del self._lines[key]
            self._leave(key, line.resting)

    def _leave(self, key: tuple[TenantId, str], resting: Resting) -> None:
        if resting:
            self._left[key] = resting
        while len(self._left) > MOST_LEFT:
            self._left.popitem(last=False)

    def _start(self, work: Coroutine[object, object, None]) -> None:
        async def run() -> None:
            try:
                await work
            except Exception:  # one task's misfortune is not the others'
                log.exception("lease_claims.broke")

        if self._group is not None:
            self._serving.add(task := self._group.create_task(run()))
            task.add_done_callback(self._serving.discard)


async def _until(waiting: Waiting, done: Callable[[], bool], seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while not done():
                waiting.changed.clear()
                await waiting.changed.wait()

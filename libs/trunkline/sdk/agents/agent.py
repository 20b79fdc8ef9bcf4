"""The agent: handlers by type of task, where the bus is, and who comes; `run` does the rest."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from ssl import SSLContext
from types import FrameType
from typing import Any, Final, TypedDict, TypeVar, Unpack

from trunkline.contracts.agent import MOST_LEASES, MOST_POOLS, MOST_TYPES
from trunkline.contracts.ids import token
from trunkline.sdk.agents.claiming import ANY, Wanted
from trunkline.sdk.agents.failing import AgentError
from trunkline.sdk.agents.serving import LAST_WORDS, Pace, Serving
from trunkline.sdk.agents.signatures import Handler, handler_of
from trunkline.sdk.agents.wire import Wire
from trunkline.sdk.credentials import API_KEY, TOKEN

F = TypeVar("F", bound=Callable[..., Any])
log: Final = logging.getLogger("trunkline.agent")
SERVERS: Final = "TRUNKLINE_NATS_AGENTS_URL"
NAME: Final = "TRUNKLINE_AGENT_NAME"
LOCAL: Final = "nats://127.0.0.1:4222"
STOPPED: Final = (signal.SIGTERM, signal.SIGINT)


class AgentOptions(TypedDict, total=False):
    """How the bus is reached, and the patience with handlers; times in seconds.

    `servers`: addresses of the bus, else TRUNKLINE_NATS_AGENTS_URL (separated by commas). `credential`: gives a token or an API key, and is
    asked anew for each connection, as a coroutine if you like; else TRUNKLINE_TOKEN or TRUNKLINE_API_KEY. `name`, `tenant`: of an API key,
    which does not say them. `tls`: whose certificates are trusted. `give_up`: without any connection for so long it ends. `drain_s`: for
    handlers to finish when it drains; `cleanup_s`: for one that is to end; `blocked_s`: until one that blocks all others is told of.
    """

    servers: Sequence[str]
    credential: Any
    name: str
    tenant: str
    tls: SSLContext
    give_up: float
    drain_s: float
    cleanup_s: float
    blocked_s: float


class Agent:
    """Takes tasks of its pools, `at_once` of them at a time, and gives each to the handler of its type.

    Raises AgentError, here and from `task`, for what can be no agent.
    """

    def __init__(self, pools: str | Sequence[str], *, at_once: int = 1, **options: Unpack[AgentOptions]) -> None:
        self.pools = (pools,) if isinstance(pools, str) else tuple(pools)
        self.at_once = at_once
        self._options = options
        self._handlers: dict[str, Handler] = {}
        self._serving: Serving | None = None
        _check(self.pools, at_once)

    def task(self, *types: str) -> Callable[[F], F]:
        """Decorates the handler of these types of task; of every type that no other handler takes, where none is named."""
        if not all(isinstance(type, str) for type in types):
            raise AgentError('name the types of task, or none: @agent.task("bugfix"), @agent.task()')
        known = sys._getframe(1).f_locals

        def take(function: F) -> F:
            handler = handler_of(function, known)
            for type in types or (ANY,):
                if type in self._handlers:
                    raise AgentError(f"{handler.name}() is the second handler of {type or 'every other type'!r}; one is enough")
                self._handlers[type] = handler
            if len(self._handlers) > MOST_TYPES:
                raise AgentError(f"an agent has at most {MOST_TYPES} types of task; let one handler take all others: @agent.task()")
            return function

        return take

    def run(self) -> None:
        """Work until SIGTERM or SIGINT: then finish what is begun, or hand it back, and return. A second signal ends it at once.

        For the main thread of a program. Raises AgentError.
        """
        asyncio.run(self._run())

    async def serve(self) -> None:
        """The same inside a program that has an event loop and signals of its own: until `drain`, or until cancelled."""
        await self._serve(self._wire)

    def drain(self) -> None:
        """Take no more tasks, finish what is begun or hand it back, and end. From any thread."""
        if self._serving is not None:
            self._serving.drain()

    async def _serve(self, wire: Callable[[], Wire]) -> None:
        if not self._handlers:
            raise AgentError("the agent has no handler: decorate a function with @agent.task(…)")
        if self._serving is not None:
            raise AgentError("the agent works already: one program, one time")
        pace = {name: float(self._options[name]) for name in ("drain_s", "cleanup_s", "blocked_s") if name in self._options}
        self._serving = Serving(Wanted(self.pools, dict(self._handlers), self.at_once), Pace(**pace), wire)
        try:
            await self._serving.serve()
        finally:
            self._serving = None

    async def _run(self) -> None:
        before = {number: signal.signal(number, self._signalled) for number in STOPPED}
        try:
            await self.serve()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _signalled(self, number: int, frame: FrameType | None) -> None:
        """A plain handler, as the loop may stand still. The first drains, within a time; the second ends."""
        for each in STOPPED:
            signal.signal(each, _end)
        pace = Pace()
        drain_s, cleanup_s = self._options.get("drain_s", pace.drain_s), self._options.get("cleanup_s", pace.cleanup_s)
        limit = threading.Timer(drain_s + 2 * cleanup_s + LAST_WORDS, os._exit, (1,))
        limit.daemon = True
        limit.start()
        self.drain()

    def _wire(self) -> Wire:
        from trunkline.sdk.agents.nats_wire import NatsWire, Way  # NATS is loaded by who needs it: tests of agents do not

        options = self._options
        servers = tuple(options.get("servers", ())) or tuple((os.environ.get(SERVERS) or LOCAL).split(","))
        named = options.get("name") or os.environ.get(NAME, "")
        credential = options.get("credential") or _credential
        way = Way(servers, credential, options.get("tenant", ""), named, options.get("tls"))
        return NatsWire(replace(way, give_up=options.get("give_up", way.give_up)))


def _check(pools: tuple[str, ...], at_once: int) -> None:
    if not 1 <= len(pools) <= MOST_POOLS:
        raise AgentError(f"an agent takes tasks of 1 to {MOST_POOLS} pools, not of {len(pools)}")
    for pool in pools:
        try:
            token(pool)
        except ValueError as error:
            raise AgentError(f"the pool {pool!r} {error}") from None
    if not 1 <= at_once <= MOST_LEASES:
        raise AgentError(f"an agent works on 1 to {MOST_LEASES} tasks at once, not on {at_once}: start more agents")


def _credential() -> str:
    """Raises AgentError."""
    found = os.environ.get(TOKEN) or os.environ.get(API_KEY)
    if not found:
        raise AgentError(f"there is no credential: set {TOKEN} or {API_KEY}, or give Agent(credential=…)")
    return found.strip()


def _end(number: int, frame: FrameType | None) -> None:
    os._exit(128 + number)

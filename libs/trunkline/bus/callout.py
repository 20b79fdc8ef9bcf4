"""Who may connect to the agents' account: nats-server asks, and connections that should be no more are cut."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final, NamedTuple

import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError

from trunkline.auth import nats_users
from trunkline.auth.nats_users import ACCOUNT, Grant
from trunkline.auth.nkeys import Issuer
from trunkline.bus.accounts import CONNECTIONS, KICK
from trunkline.bus.heeding import heeding
from trunkline.contracts.errors import DomainError

log = structlog.get_logger()

QUESTIONS: Final = "$SYS.REQ.USER.AUTH"
AT_ONCE: Final = 256
"""Questions that one gateway answers at a time; nats-server refuses who is not vouched for in time."""
PAGE: Final = 4096
FIRST_WITHIN: Final = 1.0
MORE_WITHIN: Final = 0.25
"""Seconds in which the other servers of a cluster answer too."""
_CREDENTIALS: Final = ("user", "pass", "jwt", "nkey", "sig")


class Shown(NamedTuple):
    """What somebody shows who would connect."""

    token: str
    more: bool
    """A second credential besides."""
    host: str


Judge = Callable[[Shown], Awaitable[Grant]]
"""Raises DomainError for whom it does not let in."""


class Callout:
    """Answers nats-server's questions, with as many others as there are gateways."""

    def __init__(self, client: Client, issuer: Issuer, now: Callable[[], float] = time.time) -> None:
        self._client = client
        self._issuer = issuer
        self._now = now
        self._ear: Subscription | None = None
        self._under_way: set[asyncio.Task[None]] = set()

    async def hear(self, judge: Judge) -> None:
        async def receive(message: Msg) -> None:
            if len(self._under_way) < AT_ONCE:  # whoever is not answered is refused, and comes again
                task = asyncio.get_running_loop().create_task(self._answer(message, judge))
                self._under_way.add(task)
                task.add_done_callback(self._under_way.discard)

        self._ear = await self._client.subscribe(QUESTIONS, queue="callout", cb=receive)

    async def stop(self) -> None:
        if self._ear is not None:
            with suppress(NatsError, TimeoutError):
                await self._ear.unsubscribe()

    async def _answer(self, message: Msg, judge: Judge) -> None:
        try:
            asked = _question(message.data)
            server, nkey = str(asked["server_id"]["id"]), str(asked["user_nkey"])
            said = self._issuer.signed(await self._claims(asked, (server, nkey), judge), self._now())
        except Exception as error:  # a question that cannot be read, or a defect: whoever asks is not let in
            log.error("callout.broke", error=type(error).__name__)
            return
        with suppress(NatsError):
            await self._client.publish(message.reply, said.encode())

    async def _claims(self, asked: dict[str, Any], names: tuple[str, str], judge: Judge) -> dict[str, Any]:
        server, nkey = names
        shown = _shown(asked)
        try:
            grant = await judge(shown)
        except DomainError as error:
            log.info("agents.refused", host=shown.host, code=error.code)
            return nats_users.answer(server, nkey, error=error.code)
        log.info("agents.connected", tenant=grant.tenant, agent=grant.name, host=shown.host)
        return nats_users.answer(server, nkey, jwt=self._issuer.signed(nats_users.user(nkey, grant), self._now()))


class Connected(NamedTuple):
    """One connection of an agent's."""

    server: str
    number: int
    user: str
    """As the grant was written."""


class Connections:
    """All connections of agents, on all servers."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def all(self) -> list[Connected]:
        """Those that answered in time."""
        found: list[Connected] = []
        offset, more = 0, True
        while more:
            pages = await self._pages(offset)
            found += [each for page in pages for each in _connected(page)]
            offset += PAGE
            more = any(page["data"].get("total", 0) > offset for page in pages)
        return found

    async def cut(self, connection: Connected) -> None:
        subject = KICK.replace("*", connection.server)
        with suppress(NatsError, TimeoutError):  # nats-server does it only for whoever wants an answer
            body = json.dumps({"cid": connection.number}).encode()
            await heeding(self._client.request(subject, body, timeout=FIRST_WITHIN))

    async def _pages(self, offset: int) -> list[dict[str, Any]]:
        wish = json.dumps({"acc": ACCOUNT, "auth": True, "limit": PAGE, "offset": offset}).encode()
        inbox = self._client.new_inbox()
        answers = await self._client.subscribe(inbox)
        pages: list[dict[str, Any]] = []
        try:
            await self._client.publish(CONNECTIONS, wish, reply=inbox)
            while True:
                message = await heeding(answers.next_msg(MORE_WITHIN if pages else FIRST_WITHIN))
                page = json.loads(message.data or b"{}")
                if "data" in page:
                    pages.append(page)
        except (NatsError, TimeoutError, ValueError):
            return pages
        finally:
            with suppress(NatsError, TimeoutError):
                await answers.unsubscribe()


def _connected(page: dict[str, Any]) -> list[Connected]:
    server = page["server"]["id"]
    return [Connected(server, each["cid"], each.get("authorized_user", "")) for each in page["data"].get("connections") or ()]


def _question(body: bytes) -> dict[str, Any]:
    claims = body.split(b".")[1]
    asked: dict[str, Any] = json.loads(base64.urlsafe_b64decode(claims + b"=" * (-len(claims) % 4)))["nats"]
    return asked


def _shown(asked: dict[str, Any]) -> Shown:
    options = asked.get("connect_opts", {})
    more = any(options.get(name) for name in _CREDENTIALS)
    return Shown(str(options.get("auth_token") or ""), more, str(asked.get("client_info", {}).get("host", "")))

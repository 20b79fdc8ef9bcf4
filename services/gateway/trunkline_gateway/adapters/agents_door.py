"""Lets agents in on NATS by the credentials of every other door, and cuts those whose credential counts no more."""

from __future__ import annotations

import asyncio
import math
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Final

import structlog

from trunkline.auth.claims import Token, owner
from trunkline.auth.keys import Entry
from trunkline.auth.nats_users import Grant
from trunkline.auth.nkeys import Issuer
from trunkline.auth.policy import connects
from trunkline.auth.principal import Principal, Role
from trunkline.bus import Bus, Callout, Connected, Connections, Shown
from trunkline.bus.vital import vital
from trunkline.contracts.errors import Denied, Invalid, Unauthenticated
from trunkline.contracts.ids import token
from trunkline_gateway.adapters.credentials import Credentials, keys_of, operators_of
from trunkline_gateway.ports import Roll
from trunkline_gateway.settings import Settings

log = structlog.get_logger()

LOOK_S: Final = 0.2
"""Seconds between two looks whether anything was revoked."""
AGAIN_S: Final = 1.0
"""Seconds after a revocation at which connections are looked through once more: one may have been on its way in."""
ROUND_S: Final = 30.0
"""Seconds between two rounds in any case: API keys that are gone from the settings, and who has too many connections."""
MOST_OF_ONE: Final = 64
"""Connections of one agent; the newest beyond them are cut."""
KEY: Final = "key:"


class AgentsDoor:
    def __init__(self, credentials: Credentials, roll: Roll, issuer: Issuer, keys: Iterable[Entry]) -> None:
        """`keys`: every API key that counts, and whose it is."""
        self._credentials = credentials
        self._roll = roll
        self._issuer = issuer
        self._came: Counter[tuple[str, str]] = Counter()
        connecting = (entry for entry in keys if connects(entry.principal))
        self._keys = {_who(entry.principal, KEY + issuer.mark(entry.key)): credentials.key(entry.key) for entry in connecting}

    async def judge(self, shown: Shown) -> Grant:
        """Raises Invalid, Unauthenticated, Denied."""
        if not shown.token:
            raise Unauthenticated("show a token or an API key as `auth_token`", code="NO_CREDENTIAL")
        if shown.more:
            raise Invalid("one connection shows one credential; this one shows two", code="AMBIGUOUS_CREDENTIALS")
        principal, proof = self._credentials.proof(shown.token)
        if not connects(principal):
            raise Denied("only agents and admins connect here", code="NO_AGENT")
        name = _named(principal)
        self._came[principal.tenant, name] += 1
        if proof is None:
            return Grant(principal.tenant, name, KEY + self._issuer.mark(shown.token))
        return Grant(principal.tenant, name, proof.mark, proof.issued_at, math.ceil(proof.expires_at))

    def holds(self, user: str) -> bool:
        """Whether a connection that was let in may stay."""
        try:
            grant = Grant.read(user)
        except ValueError:
            return False
        if grant.mark.startswith(KEY):
            key = self._keys.get((grant.tenant, grant.name, grant.mark))
            return key is not None and not self._roll.revoked(key)
        whose = Principal(grant.tenant, grant.name, Role.AGENT)
        return not self._roll.revoked(Token(whose, grant.mark, owner(grant.tenant, grant.name), grant.issued_at, math.inf))

    @property
    def crowded(self) -> bool:
        """Whether one agent came so often since the last look that it may have too many connections."""
        return any(times > MOST_OF_ONE for times in self._came.values())

    def looked(self) -> None:
        self._came.clear()

    def unwanted(self, connections: Iterable[Connected]) -> list[Connected]:
        counted: defaultdict[tuple[str, str], int] = defaultdict(int)
        found = []
        for each in sorted(connections, key=lambda one: one.number):
            who = each.server, each.user.partition(" ")[0]
            counted[who] += 1
            if counted[who] > MOST_OF_ONE or not self.holds(each.user):
                found.append(each)
        return found


async def watched(door: AgentsDoor, connections: Connections, roll: Roll) -> None:
    """For ever: whoever should not be connected any more is cut."""
    loop = asyncio.get_running_loop()
    seen, due = -1, loop.time()
    while True:
        changed = roll.changes != seen
        if changed or door.crowded or loop.time() >= due:
            seen = roll.changes
            await _cut(door, connections)
            due = loop.time() + (AGAIN_S if changed else ROUND_S)
        await asyncio.sleep(LOOK_S)


async def _cut(door: AgentsDoor, connections: Connections) -> None:
    door.looked()
    for each in door.unwanted(await connections.all()):
        log.info("agents.cut", user=each.user.partition(" ")[0])
        await connections.cut(each)


@asynccontextmanager
async def agents_let_in(bus: Bus, settings: Settings, credentials: Credentials) -> AsyncIterator[None]:
    """Inside the block agents may connect, where the settings hold the key to vouch with."""
    issuer = settings.callout_issuer
    if issuer is None:
        yield
        return
    door = AgentsDoor(credentials, bus.roll, issuer, (*keys_of(settings), *operators_of(settings)))
    callout = Callout(bus.client, issuer)
    await callout.hear(door.judge)
    try:
        async with vital(lambda: watched(door, Connections(bus.client), bus.roll)):
            yield
    finally:
        await callout.stop()


def _who(principal: Principal, mark: str) -> tuple[str, str, str]:
    return principal.tenant, principal.subject, mark


def _named(principal: Principal) -> str:
    try:
        return token(principal.subject)
    except ValueError as error:
        raise Invalid(f"the subject of an agent on NATS {error}", code="BAD_AGENT_NAME") from None

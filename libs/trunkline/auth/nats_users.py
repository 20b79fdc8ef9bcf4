"""What an agent may do on NATS, as nats-server is told for each connection: the verbs under its own name, and its own inbox."""

from __future__ import annotations

from typing import Final, NamedTuple, Self

from pydantic import JsonValue

from trunkline.contracts import subjects
from trunkline.contracts.ids import TenantId

ACCOUNT: Final = "AGENTS"


class Grant(NamedTuple):
    """Whom a connection is for, and what it was let in by."""

    tenant: TenantId
    name: str
    mark: str
    """Of its token or API key."""
    issued_at: float = 0.0
    expires_at: int = 0
    """0: it does not end by itself."""

    def __str__(self) -> str:
        """As nats-server shows the user of a connection."""
        return f"{self.tenant}.{self.name} {self.mark} {self.issued_at}"

    @classmethod
    def read(cls, shown: str) -> Self:
        """What `str` wrote. Raises ValueError."""
        who, mark, issued = shown.split(" ")
        tenant, name = who.split(".")
        return cls(TenantId(tenant), name, mark, float(issued))


def user(nkey: str, grant: Grant) -> dict[str, JsonValue]:
    """The claims of the user that a connection becomes. Only what is named is allowed."""
    tenant, name = grant.tenant, grant.name
    allowed: list[JsonValue] = [subjects.agent_call(tenant, name, verb) for verb in subjects.AGENT_VERBS]
    heard: list[JsonValue] = [f"{subjects.agent_inbox(tenant, name)}.>", subjects.told_of(tenant, name)]
    rights: dict[str, JsonValue] = {
        "pub": {"allow": allowed},
        "sub": {"allow": heard},
        # nats-server goes by the limits of the account: those of a user that a callout vouches for it passes over.
        "subs": -1,
        "data": -1,
        "payload": -1,
        "allowed_connection_types": ["STANDARD", "WEBSOCKET"],
        "type": "user",
        "version": 2,
    }
    ends: dict[str, JsonValue] = {"exp": grant.expires_at} if grant.expires_at else {}
    return {"aud": ACCOUNT, "sub": nkey, "name": str(grant), "nats": rights, **ends}


def answer(server: str, nkey: str, *, jwt: str = "", error: str = "") -> dict[str, JsonValue]:
    """The claims of the answer to one question of nats-server's."""
    said: dict[str, JsonValue] = {"jwt": jwt} if jwt else {"error": error}
    return {"aud": server, "sub": nkey, "nats": {**said, "type": "authorization_response", "version": 2}}

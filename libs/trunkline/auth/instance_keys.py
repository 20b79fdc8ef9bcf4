"""Keys of agent instances: each opens one door until a moment that it names itself, is made anew from what is known, and lies nowhere.

A key says its task, its tenant and its end, and proves them by an HMAC under a key that only gateways and relays hold. Whoever
dispatches can make it again after any crash, and whoever is shown it needs no look-up; that it was revoked, the roll knows by its hash.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final

from trunkline.auth.claims import Token, owner
from trunkline.auth.principal import Principal, Role
from trunkline.contracts.dispatch import KeyMinted
from trunkline.contracts.errors import Unauthenticated, Unsupported
from trunkline.contracts.ids import TaskId, TenantId
from trunkline.contracts.instance import instance_subject

PREFIX: Final = "omni_key_"
_FORM: Final = re.compile(r"omni_key_([0-9a-f]{32})([0-9a-f]{16})([0-9]{10})([0-9a-f]{64})_([A-Za-z0-9_-]{1,64})")
_PURPOSE: Final = b"trunkline instance keys 1"
_NO_KEY: Final = (
    "This installation makes no keys for agents elsewhere, for it has nothing to make them of: set the same TRUNKLINE_VAULT_KEY, or "
    "TRUNKLINE_VAULT_KEY_FILE, for gateways and relays."
)


@dataclass(frozen=True, slots=True)
class InstanceKey:
    """What a key that holds says, and the name under which it can be revoked."""

    tenant: TenantId
    task: TaskId
    key_id: str
    expires_at: float
    """Epoch seconds."""
    mark: str
    """SHA-256 (hex) of its text."""

    @property
    def principal(self) -> Principal:
        return Principal(self.tenant, instance_subject(self.task), Role.INSTANCE)

    @property
    def token(self) -> Token:
        """As the roll knows it."""
        return Token(self.principal, self.mark, owner(self.tenant, self.principal.subject), 0.0, self.expires_at)


class InstanceKeys:
    """Makes keys and reads them. Without a sealing key none is made, and none holds."""

    def __init__(self, sealing_key: bytes, now: Callable[[], float]) -> None:
        """`sealing_key` is that of the vault, 32 bytes, or none; `now` in epoch seconds."""
        self._key = hmac.digest(sealing_key, _PURPOSE, "sha256") if sealing_key else b""
        self._now = now

    def text(self, tenant: TenantId, task: TaskId, key_id: str, expires_at: datetime) -> str:
        """The same for the same. `key_id` is 16 hex digits, `task` 32. Raises Unsupported NO_VAULT_KEY."""
        if not self._key:
            raise Unsupported(_NO_KEY, code="NO_VAULT_KEY")
        ends = f"{int(expires_at.timestamp()):010d}"
        return f"{PREFIX}{task}{key_id}{ends}{self._mac(tenant, task, key_id, ends)}_{tenant}"

    def minted(self, tenant: TenantId, task: TaskId, key_id: str, expires_at: datetime) -> KeyMinted:
        """What may be stored of it, its end in whole seconds. Raises Unsupported NO_VAULT_KEY."""
        ends = datetime.fromtimestamp(int(expires_at.timestamp()), UTC)
        return KeyMinted(key_id=key_id, sha256=mark_of_key(self.text(tenant, task, key_id, ends)), expires_at=ends)

    def read(self, text: str) -> InstanceKey:
        """What it says, once it proved it. Raises Unauthenticated BAD_INSTANCE_KEY, INSTANCE_KEY_EXPIRED."""
        form = _FORM.fullmatch(text)
        if form is None or not self._key:
            raise _bad()
        task, key_id, ends, mac, tenant = form.groups()
        if not hmac.compare_digest(mac, self._mac(tenant, task, key_id, ends)):
            raise _bad()
        if float(ends) <= self._now():
            raise Unauthenticated("the key of this instance has expired; its task is over", code="INSTANCE_KEY_EXPIRED")
        return InstanceKey(TenantId(tenant), TaskId(task), key_id, float(ends), mark_of_key(text))

    def _mac(self, tenant: str, task: str, key_id: str, ends: str) -> str:
        return hmac.digest(self._key, f"{tenant}/{task}/{key_id}/{ends}".encode(), "sha256").hex()


def mark_of_key(text: str) -> str:
    """What a key is stored and revoked by; nobody has the key by it."""
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def revocation(tenant: TenantId, task: TaskId, minted: KeyMinted) -> Token:
    """What the roll is told of a key whose text is not at hand."""
    return InstanceKey(tenant, task, minted.key_id, minted.expires_at.timestamp(), minted.sha256).token


def _bad() -> Unauthenticated:
    return Unauthenticated("this is no key of an instance of ours", code="BAD_INSTANCE_KEY")

"""Tells whose a bearer is on the surface where agents elsewhere show the keys of their instances."""

from __future__ import annotations

from dataclasses import dataclass

from trunkline.auth.instance_keys import PREFIX, InstanceKeys
from trunkline.auth.principal import Principal
from trunkline.contracts.errors import Unauthenticated
from trunkline_gateway.adapters.credentials import Credentials
from trunkline_gateway.ports import Roll


@dataclass(frozen=True, slots=True)
class KeysAndCredentials:
    """ports.Bearers: a key proves itself, and the roll knows which were revoked; what is no key is a credential of ours, or nobody's."""

    keys: InstanceKeys
    roll: Roll
    credentials: Credentials

    def who(self, text: str, *, late: bool = False) -> Principal:
        if not text.startswith(PREFIX):
            return self.credentials.holder(text)
        key = self.keys.read(text)
        if not late and self.roll.revoked(key.token):
            raise Unauthenticated("the key of this instance was revoked; its task is over", code="INSTANCE_KEY_REVOKED")
        return key.principal

"""Signs the cursors that go out, so that none comes back but for the tenant, the filters and the order that it was made for."""

from __future__ import annotations

import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error
from dataclasses import dataclass
from typing import Final

from trunkline.auth.principal import Principal
from trunkline.contracts.approval_views import ListApprovals
from trunkline.contracts.errors import Invalid
from trunkline.contracts.letters import ListLetters
from trunkline.contracts.views import ListTasks
from trunkline.contracts.webhook import ListDeliveries, ListWebhooks

_MAC: Final = 32
"""Bytes."""
_NOT_ASKED: Final = frozenset({"tenant", "at", "limit", "offset", "after"})
"""What may differ from page to page, and whose tenant it is: that comes from the credential."""

Query = ListTasks | ListApprovals | ListWebhooks | ListDeliveries | ListLetters


@dataclass(frozen=True, slots=True)
class Seal:
    """`key` holds at least 32 bytes, the same on every replica."""

    key: bytes

    def sealed(self, principal: Principal, query: Query, place: str | None) -> str | None:
        """The cursor for `next` of a page; nothing behind the last."""
        if place is None:
            return None
        raw = self._mac(principal, query, place.encode()) + place.encode()
        return urlsafe_b64encode(raw).decode().rstrip("=")

    def opened(self, principal: Principal, query: Query, cursor: str | None) -> str | None:
        """The place it names. Raises Invalid for one that is forged, or made for anything else."""
        if not cursor:
            return None
        raw = _bytes(cursor)
        place = raw[_MAC:]
        if not hmac.compare_digest(raw[:_MAC], self._mac(principal, query, place)):
            raise _unknown()
        return place.decode()

    def _mac(self, principal: Principal, query: Query, place: bytes) -> bytes:
        said = query.model_dump_json(exclude=set(_NOT_ASKED)).encode()
        parts = (principal.tenant.encode(), said, place)
        return hmac.digest(self.key, b"".join(b"%d:%b" % (len(part), part) for part in parts), hashlib.sha256)


def _bytes(cursor: str) -> bytes:
    try:
        raw = urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
    except (Error, UnicodeEncodeError):
        raise _unknown() from None
    if len(raw) <= _MAC or urlsafe_b64encode(raw).decode().rstrip("=") != cursor:
        raise _unknown()
    return raw


def _unknown() -> Invalid:
    return Invalid("cursor is not one that was given for this list; begin again without it", code="BAD_CURSOR", field="cursor")

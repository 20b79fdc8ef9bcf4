"""Signing keys as the inngest SDKs show them: the key itself, or its hash in the SDK's own way."""

from __future__ import annotations

import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

from trunkline.contracts.errors import Invalid

_FORM: Final = re.compile(r"(?P<front>(?:signkey-\w+-)?)(?P<hex>(?:[0-9a-fA-F]{2}){16,128})")


@dataclass(frozen=True, slots=True)
class SigningKeys:
    """The present one and the one before it; none where none are set."""

    _shown: tuple[bytes, ...] = field(repr=False)
    """Hashes of everything by which one of them may be shown."""

    @classmethod
    def of(cls, keys: Sequence[str]) -> SigningKeys:
        """Empty ones are passed over. Raises Invalid (BAD_SIGNING_KEY), which does not repeat the key."""
        return cls(tuple(_hash(text) for key in keys if key for text in (key, hashed(key))))

    def __bool__(self) -> bool:
        return bool(self._shown)

    def know(self, text: str) -> bool:
        """Whether one of them is shown; takes the same time whatever comes."""
        shown = _hash(text)
        same = [hmac.compare_digest(shown, known) for known in self._shown]
        return any(same)


def hashed(key: str) -> str:
    """What the SDK sends for `key`: SHA-256 of the bytes that its hex digits stand for, behind the same `signkey-<environment>-`."""
    found = _FORM.fullmatch(key)
    if not found:
        message = "a signing key is at least 32 hex digits, with signkey-<environment>- in front or without"
        raise Invalid(f"{message}; make one with `openssl rand -hex 32`", code="BAD_SIGNING_KEY")
    return f"{found['front']}{sha256(bytes.fromhex(found['hex'])).hexdigest()}"


def _hash(text: str) -> bytes:
    return sha256(text.encode("utf-8", "surrogatepass")).digest()

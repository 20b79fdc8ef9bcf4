"""Keys as NATS writes them, and what is signed with one: who may vouch for users of the agents' account."""

from __future__ import annotations

import base64
import hmac
import json
import secrets
from collections.abc import Mapping
from typing import Final, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import JsonValue

from trunkline.contracts.errors import Invalid

_SEED: Final = 18 << 3
_ACCOUNT: Final = 0
_HEAD: Final = b'{"typ":"JWT","alg":"ed25519-nkey"}'
RAW: Final = 32


class Issuer:
    """The key of an account. Its seed is as good as a password of every agent."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._key = Ed25519PrivateKey.from_private_bytes(raw)
        self.public = _written(bytes([_ACCOUNT]), self._key.public_key().public_bytes_raw())

    @classmethod
    def of(cls, seed: str) -> Self:
        """Raises Invalid, never with what was given."""
        try:
            raw = base64.b32decode(seed.strip() + "=" * (-len(seed.strip()) % 8))
        except ValueError:
            raw = b""
        if len(raw) != RAW + 4 or raw[:2] != _seed_head() or _crc(raw[:-2]) != raw[-2:]:
            raise Invalid("this is not the seed of an account as NATS writes it (SA…)", code="BAD_NATS_SEED")
        return cls(raw[2:-2])

    def signed(self, claims: Mapping[str, JsonValue], now: float) -> str:
        """A token as NATS reads it."""
        body = {"iss": self.public, "iat": int(now), "jti": secrets.token_hex(16), **claims}
        said = f"{_plain(_HEAD)}.{_plain(json.dumps(body, separators=(',', ':')).encode())}"
        return f"{said}.{_plain(self._key.sign(said.encode()))}"

    def mark(self, text: str) -> str:
        """A name for a secret that tells nothing about it, the same wherever this key is known."""
        return hmac.digest(self._raw, text.encode("utf-8", "surrogatepass"), "sha256").hex()[:32]


def new_seed() -> str:
    return _written(_seed_head(), secrets.token_bytes(RAW))


def _seed_head() -> bytes:
    return bytes([_SEED | (_ACCOUNT >> 5), (_ACCOUNT & 31) << 3])


def _written(head: bytes, raw: bytes) -> str:
    body = head + raw
    return base64.b32encode(body + _crc(body)).rstrip(b"=").decode()


def _plain(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _crc(body: bytes) -> bytes:
    """CRC-16 (XMODEM), the lower byte first."""
    sum = 0
    for byte in body:
        sum ^= byte << 8
        for _ in range(8):
            sum = ((sum << 1) ^ 0x1021 if sum & 0x8000 else sum << 1) & 0xFFFF
    return sum.to_bytes(2, "little")

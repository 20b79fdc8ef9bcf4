"""Signing as Standard Webhooks says: one signature for each secret that counts, over id, time and body."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from trunkline.contracts.errors import Invalid

PREFIX: Final = "whsec_"
SHORTEST_TEXT: Final = 16
KEY_BYTES: Final = range(24, 65)
HINT: Final = 4
"""Characters: a quarter of the shortest secret."""


def key_of(secret: str) -> bytes:
    """What is signed with: the bytes behind `whsec_`, or any other text as it is. Raises Invalid for what is too easy to guess."""
    if not secret.startswith(PREFIX):
        if len(secret) < SHORTEST_TEXT or not secret.isprintable():
            raise _bad(f"a secret that does not begin with {PREFIX} must be {SHORTEST_TEXT} printable characters or more")
        return secret.encode()
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise _bad(f"behind {PREFIX} of a secret stands base64") from None
    if len(key) not in KEY_BYTES:
        raise _bad(f"behind {PREFIX} of a secret stand {KEY_BYTES.start} to {KEY_BYTES.stop - 1} bytes in base64")
    return key


def written(key: bytes) -> str:
    """A secret as people are shown it."""
    return PREFIX + base64.b64encode(key).decode()


def hint(secret: str) -> str:
    """What may be shown of it: enough to tell two apart, too little to guess the rest."""
    return secret[-HINT:]


def headers(id: str, timestamp: int, body: bytes, keys: Sequence[bytes]) -> dict[str, str]:
    """The three headers of Standard Webhooks; `timestamp` in seconds."""
    signed = b"%b.%d.%b" % (id.encode(), timestamp, body)
    marks = " ".join([f"v1,{binascii.b2a_base64(_mark(key, signed), newline=False).decode()}" for key in keys])
    return {"webhook-id": id, "webhook-timestamp": str(timestamp), "webhook-signature": marks}


def _mark(key: bytes, signed: bytes) -> bytes:
    begun = _begun(key).copy()
    begun.update(signed)
    return begun.digest()


@lru_cache(1024)
def _begun(key: bytes) -> hmac.HMAC:
    """OpenSSL takes longer to take in a key than to sign what a webhook is told."""
    return hmac.new(key, digestmod="sha256")


def _bad(why: str) -> Invalid:
    return Invalid(f"{why}; leave it out, and one is made", code="BAD_WEBHOOK_SECRET")

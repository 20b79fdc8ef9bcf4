"""Tells whether a body was signed by somebody who knows a secret that we share with them."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from hashlib import sha256
from typing import Final

PREFIX: Final = "sha256="


def signed(body: bytes, shown: str, secrets: Sequence[bytes]) -> bool:
    """Whether `shown` is the HMAC-SHA256 of `body` by one of `secrets`, as `sha256=<hex>`. Takes the same time whatever comes."""
    given = shown.encode("utf-8", "replace")
    expected = [f"{PREFIX}{hmac.new(secret, body, sha256).hexdigest()}".encode() for secret in secrets]
    same = [hmac.compare_digest(given, each) for each in expected]
    return any(same)

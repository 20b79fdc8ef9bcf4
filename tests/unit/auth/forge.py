"""Makes tokens of every kind, also such as no library would make."""

from __future__ import annotations

import base64
import hmac
import json
from hashlib import sha256
from typing import Any

SECRET = "a secret of more than thirty-two bytes, for tests"
OTHER = "another secret of more than thirty-two bytes here"
NOW = 1_800_000_000.0
HEADER: dict[str, Any] = {"alg": "HS256", "typ": "JWT"}


def claims(**changes: Any) -> dict[str, Any]:
    """What the samples of the document sign; a change to None leaves the claim out."""
    whole = {"sub": "dev-agent-1", "role": "agent", "exp": int(NOW) + 86400, "iat": int(NOW), **changes}
    return {name: value for name, value in whole.items() if value is not None}


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def text_of(value: object) -> bytes:
    return value if isinstance(value, bytes) else json.dumps(value, separators=(",", ":")).encode()


def forged(payload: object, header: object = HEADER, secret: str | bytes = SECRET, digest: Any = sha256) -> str:
    """A token whose signature is right for `secret`, whatever the rest says."""
    signed = f"{b64(text_of(header))}.{b64(text_of(payload))}"
    key = secret if isinstance(secret, bytes) else secret.encode()
    return f"{signed}.{b64(hmac.new(key, signed.encode(), digest).digest())}"


def good(**changes: Any) -> str:
    return forged(claims(**changes))
